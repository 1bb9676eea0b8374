"""its: inference-time search for diffusion models, counted to the network evaluation."""

import os

# Threads that wait for each other must not spin: on a core that another process uses as well, spinning made the digits
# network 50 times slower. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
