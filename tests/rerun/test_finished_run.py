"""A finished run as something to start from."""

from pathlib import Path

import pytest

from its.disk.run_folder import RunFolder
from its.rerun.finished_run import FinishedRun

PLUGINS, CHOICES = "plugins=[/home/us/my_methods]", "hydra.searchpath=[file:///home/us/my_methods/conf]"


def made_by(*words: str) -> FinishedRun:
    command = " ".join(["python run.py", *(f"'{word}'" for word in words)])
    return FinishedRun(RunFolder(Path("run")), {}, {"command": command})


def test_finished_run_wants_its_packages_and_choices_named_again():
    run = made_by("search=climb", PLUGINS, CHOICES)
    run.require_places([CHOICES, "plugins=[my_methods]"])
    with pytest.raises(
        ValueError, match=r"if they are yours, add 'plugins=\[/home/us/my_methods\]' 'hydra\.searchpath=\[file:"
    ):
        run.require_places(["verifier=null_rewards"])
    with pytest.raises(ValueError, match=r"add 'hydra\.searchpath=\[file:"):
        run.require_places([PLUGINS])
    made_by("search=random", "images=20").require_places([])
