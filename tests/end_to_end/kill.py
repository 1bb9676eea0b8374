"""Fork a run again and again and SIGKILL every fork at a random moment; each begins where the last one died.

`python -m tests.end_to_end.kill <out_dir> <seconds of an undisturbed run> <overrides>`
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from tests.build import make_experiment

KILLS = 20


def main(out_dir: Path, seconds: float, overrides: list[str]) -> None:
    torch.set_num_threads(1)
    random.seed(0)
    for kill in range(KILLS):
        child = os.fork()
        if child == 0:
            make_experiment(out_dir, *overrides).run()
            os._exit(0)
        time.sleep(random.uniform(0.0, seconds * (kill + 1) / KILLS))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
