"""Scripts fail in one way."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf.errors import InterpolationKeyError

from its.disk.store import DamagedFile
from its.process.command import Parser, command, joined

SCRIPTS = sorted((Path(__file__).parents[2] / "scripts").glob("*.py"))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("images is 0\n  it is 1 or more"),
        FileNotFoundError("no such file"),
        DamagedFile("shards/0 is damaged"),
        ConfigCompositionException("no\nsuch group"),
        InterpolationKeyError("no such key"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_command_prints_a_user_error_in_one_line(error):
    @command
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ending:
        main()
    assert str(ending.value.code).startswith("error: ")
    assert str(ending.value.code).split()[1:] == str(error).split()
    assert "\n" not in str(ending.value.code)


def test_command_keeps_the_traceback_of_a_bug():
    @command
    def main() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        main()


def test_parser_refuses_a_bad_argument_with_a_value_error():
    parser = Parser("A page.")
    parser.add_argument("--size", type=int)
    with pytest.raises(ValueError, match=r"invalid int value: 'x'; .* --help says what it takes"):
        parser.parse_args(["--size", "x"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_all_use_command(script):
    text = script.read_text(encoding="utf-8")
    assert "@command\ndef main() -> None:" in text
    assert "SystemExit" not in text
    assert "ArgumentParser" not in text


@pytest.mark.parametrize("words", [["report.py", "nowhere"], ["status.py"], ["rescore.py", "nowhere"]], ids=" ".join)
def test_scripts_end_an_error_with_one_line_and_code_1(tmp_path, words):
    name, *arguments = words
    done = subprocess.run(
        [sys.executable, SCRIPTS[0].parent / name, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_joined_words_are_what_a_shell_reads():
    words = ["prompt='sketch, a cat'", "a b", "it's $5", 'say "it\'s"', "it's `x` \\ !", "plain", "[1,2]", "", "'"]
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {joined(words)}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == words
    assert joined(words[:1]) == "\"prompt='sketch, a cat'\""
