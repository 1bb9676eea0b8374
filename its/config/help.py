"""The text of `python run.py --help`: every group and its choices, read from the YAML files' first lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

USAGE = """python run.py [-m] [group=choice ...] [key=value ...]

  python run.py search=random budget=nfe_800        one run
  python run.py -m search=random,zero_order         a sweep, and the comparison at its end
  python run.py experiment=digits_hacking           a sweep that a file describes
  python run.py experiment=flux2_klein_ses "prompt='sketch, a cat'"    the best of 50 images of a text
  python run.py ... tracker=wandb                   and tell Weights & Biases
  python run.py ... plan=true                       what it would do and cost, and nothing else
"""


def text(conf: Path, others: Sequence[Path] = ()) -> str:
    """Return the help text for a folder of configuration groups, and for others, whose choices say where they lie."""
    lines = [USAGE]
    for group in sorted({file.parent.relative_to(conf) for file in conf.glob("*/**/*.yaml")}):
        lines.append(f"{group.as_posix()}=")
        for folder in (conf, *others):
            place = "" if folder == conf else f"  ({folder})"
            lines += [
                f"  {file.stem:<22}{_first_line(file)}{place}" for file in sorted((folder / group).glob("*.yaml"))
            ]
    lines += ["", "keys (their defaults and meaning: conf/config.yaml)"]
    return "\n".join(lines + _keys(conf / "config.yaml"))


def _first_line(file: Path) -> str:
    comments = [line[1:].strip() for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return next((line for line in comments if not line.startswith("@package")), "")


def _keys(config: Path) -> list[str]:
    lines = config.read_text(encoding="utf-8").splitlines()
    return [f"  {line}" for line in lines if line and line[0].isalpha() and "#" in line]
