"""Commands of this repository in forks of a server: as a shell starts them, but torch is there already.

The server is a small process of its own. Forks of pytest's, which is large after some thousand tests, are refused
by a machine that has little memory left.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch

from its.process import modules

for name in ("torch._dynamo", "its.run.experiment", "its.model.unet2d", "its.report.report", "sklearn.datasets"):
    import_module(name)  # what nearly every command imports

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


class Finished(NamedTuple):
    """A command that has ended: its exit code, and what it printed to both streams."""

    code: int
    text: str


def forked(words: Sequence[str], folder: Path, **environment: str) -> Finished:
    """Run `python <script> ...` in a folder.

    Args:
        words: the command's; the first is `python`.
        folder: where a shell would stand.
    """
    with tempfile.TemporaryDirectory() as place:
        output = Path(place, "output")
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        child = FORKS.Process(target=_become, args=(list(words[1:]), folder, variables, output))
        child.start()
        child.join()
        assert child.exitcode is not None
        return Finished(child.exitcode, output.read_text())


def _become(words: list[str], folder: Path, variables: dict[str, str], output: Path) -> NoReturn:
    """Become the process that a shell would have started."""
    code = 1
    try:
        with output.open("wb") as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(stream), "w", encoding="utf-8") for stream in (1, 2))
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        torch.set_num_threads(1)
        modules.spec_of.cache_clear()
        if words[0] == "-m":
            sys.argv, sys.path[0:0] = words[1:], [str(folder)]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0:0] = words, [str(Path(words[0]).parent)]
            runpy.run_path(words[0], run_name="__main__")
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        print(error.code if isinstance(error.code, str) else "", end="", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
