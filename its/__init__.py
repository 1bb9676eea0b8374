"""its: inference-time search for diffusion models, counted to the network evaluation."""

__version__ = "0.1.0"
