"""docs/coming-from.md: every command in it builds, and every key and choice that it names exists."""

import re
import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.build import CONF, make_experiment

CELLS = [
    line.split(" | ", 1)[1]
    for line in (CONF.parent / "docs" / "coming-from.md").read_text().splitlines()
    if line.startswith("|") and not line.startswith(("| there", "|---"))
]
SPANS = [span for cell in CELLS for span in re.findall(r"`([^`]+)`", cell)]
COMMANDS = sorted({span for span in SPANS if span.startswith("python run.py")})
NUMBERS = {"images=N": "images=10000", "batch=B": "batch=64"}
"""For a reader's own."""

OTHERS = {
    "samples_<nfe>.png",
    "prompts_open_image_pref_v1.txt",
    "openai_cifar10.pt",
    "scheduler_config.json",
    "leading",
}
"""Files, and the value of a key that is named before it."""


def keys_of_yaml() -> set[str]:
    """Every key, dotted, that some choice has; `verifier@guide` also as the group is called."""
    found = {"verifier@guide", "experiment"}
    for file in CONF.rglob("*.yaml"):
        group = file.parent.relative_to(CONF)
        pending = [("" if group == Path(".") else f"{group}.", OmegaConf.to_container(OmegaConf.load(file)))]
        while pending:
            prefix, node = pending.pop()
            found |= {f"{prefix}{key}" for key in node}
            pending += [(f"{prefix}{key}.", value) for key, value in node.items() if isinstance(value, dict)]
    return found | {file.parent.name for file in CONF.rglob("*.yaml")}


@pytest.mark.parametrize(
    "command", [pytest.param(each, marks=[pytest.mark.long] if "tt_scale" in each else []) for each in COMMANDS]
)
def test_coming_from_page_has_commands_that_build(tmp_path: Path, command: str):
    words = [NUMBERS.get(word, word) for word in shlex.split(command.removeprefix("python run.py")) if word != "-m"]
    first = [word if set("['") & set(word) else word.split(",")[0] for word in words]
    assert make_experiment(tmp_path, *first, "smoke=true").caps


def test_coming_from_page_names_existing_keys_and_choices():
    known = keys_of_yaml()
    for word in (word for span in SPANS if span not in COMMANDS for word in span.split()):
        key, _, value = word.partition("=")
        assert key in known or word in OTHERS, f"{word} is no key"
        if value and (CONF / key).is_dir():
            assert (CONF / key / f"{value}.yaml").is_file(), f"{word} is no choice"
