"""Hostile configurations: none runs code, leaves the output folder or keeps a secret; each has its error."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from its.config import guard
from its.config.blueprint import Blueprint
from its.config.checks import GROUPS
from its.config.composed import of_job
from its.config.guard import check_command_line
from its.config.instantiate import instantiate
from tests.build import CONF, blueprint_of, make_experiment

ROOT = CONF.parent
CANARY = "its-canary"

TARGETS = [
    "os.system",
    "subprocess.run",
    "builtins.eval",
    "builtins.exec",
    "pathlib.Path.write_text",
    "pty.spawn",
    "asyncio.create_subprocess_shell",
    "pkgutil.resolve_name",
    "urllib.request.urlopen",
    "shutil.rmtree",
    "hydra.utils.instantiate",
    "hydra._internal.utils._locate",
    "torch.load",
    "its.run.job.run_workers",
    "its.disk.store.write_atomic",
    "its.disk.store.os.system",
    "importlib.import_module",
    "runpy.run_path",
    "its.model.unet2d.torch.load",
    "its.verifier.classifier.torch.load",
    "functools.partial",
    "itself.budget.Budget",
    "its",
    "",
    "its.budget.Budget.__init__",
    "its..budget.Budget",
    "posix.system",
    "its.twins.unet2d.write",
    "its.metric.statistics_file.write_statistics",
    "its.tracker.child.main",
    "its.search.random.Random.run",
    "its.config.guard.run",
    "its.Random",
]


@pytest.mark.parametrize("target", TARGETS)
def test_blueprint_refuses_targets_outside_its_choices(tmp_path: Path, target: str):
    with pytest.raises(ValueError, match=r"verifier._target_ is"):
        blueprint_of(tmp_path, f"verifier._target_='{target}'")
    assert not list(tmp_path.iterdir())


NESTED = [
    "+verifier.extra={_target_: os.system, command: touch /tmp/its-canary}",
    "+verifier.extra=[{_target_: subprocess.run}]",
    "+search._partial_=true",
    "+search._args_=[[1]]",
    "+metric.more={deep: {er: {_target_: os.system}}}",
    "+dataset.report.network._target_=os.system",
    "verifier.network={_target_: builtins.eval}",
    "verifier._target_=${oc.env:HOME}",
    "+verifier.x=${verifier._target_} verifier._target_=os.system",
]


@pytest.mark.parametrize("override", NESTED)
def test_instantiate_refuses_nested_and_interpolated_targets(tmp_path: Path, override: str):
    overrides = override.split(" verifier.")
    overrides = [overrides[0], *(f"verifier.{rest}" for rest in overrides[1:])]
    with pytest.raises(Exception, match=r"_target_|not allowed|already at"):
        make_experiment(tmp_path, *overrides)
    assert not list(tmp_path.iterdir())


class Host:
    """Somebody's folder of choices with one experiment in it, and a file that shows whether its code ran."""

    def __init__(self, folder: Path):
        self.folder, self.canary = folder, folder / CANARY
        self.jobs: list[Blueprint] = []
        self.said = ""

    def words(self, text: str, *more: str) -> list[str]:
        """The words that run the experiment `text`, in which CANARY stands for the file."""
        (self.folder / "mine" / "experiment").mkdir(parents=True, exist_ok=True)
        content = "# @package _global_\n" + text.replace("CANARY", str(self.canary))
        (self.folder / "mine" / "experiment" / "evil.yaml").write_text(content)
        place = f"out_dir={self.folder / 'out'}"
        return [f"hydra.searchpath=[file://{self.folder / 'mine'}]", "experiment=evil", place, *more]

    def run(self, *words: str) -> None:
        """Do what run.py does with words, up to the objects that it makes of each job's choices."""

        def job(config: DictConfig) -> dict:
            try:
                blueprint = Blueprint.of(*of_job(config, HydraConfig.get()))
                for group in GROUPS:
                    instantiate(blueprint.plain[group], blueprint.packages)
            except Exception as error:
                self.said += str(error)
                raise
            self.jobs.append(blueprint)
            return {"status": "finished", "folder": None}

        guard.run(words, job)

    def refuses(self, *words: str) -> str:
        """The error of `run`, after which nothing has run and nothing is on disk."""
        before = sorted(self.folder.iterdir())
        with pytest.raises((ValueError, HydraException, OmegaConfBaseException, SystemExit)) as error:
            self.run(*words)
        assert not self.canary.exists()
        assert not self.jobs
        assert [path for path in sorted(self.folder.iterdir()) if path not in before] == []
        return f"{error.value} {self.said}"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


EVIL = "{_target_: logging.FileHandler, filename: CANARY}"  # Hydra by itself refuses os.system, and not this

HYDRA = {
    "callback": f"hydra: {{callbacks: {{x: {EVIL}}}}}",
    "callback of ours": "hydra: {callbacks: {x: {_target_: its.run.job.Closing}}}",
    "no callback": "hydra: {callbacks: {closing: null}}",
    "whole node": f"evil: {{x: {EVIL}}}\nhydra: {{callbacks: '${{evil}}'}}",
    "oc.create": f"""hydra: {{callbacks: '${{oc.create:"{{x: {EVIL}}}"}}'}}""",
    "one callback": f"evil: {EVIL}\nhydra: {{callbacks: {{closing: '${{evil}}'}}}}",
    "target": "evil: logging.FileHandler\nhydra: {callbacks: {closing: {_target_: '${evil}', filename: CANARY}}}",
    "own import": "defaults:\n  - override /hydra/launcher: local\n"
    "hydra: {launcher: {_target_: hydra_plugins.its_launcher.launcher.Path.touch, self: CANARY}}",
    "import of the callback": "hydra: {callbacks: {x: {_target_: its.run.job.Path.touch, self: CANARY}}}",
    "another launcher": "defaults:\n  - override /hydra/launcher: submitit_local\nseed: 0",
    "launcher's argument": f"defaults:\n  - override /hydra/launcher: local\nhydra: {{launcher: {{x: {EVIL}}}}}",
    "launcher interpolated": "hydra: {launcher: '${search}'}",
    "launcher partial": "defaults:\n  - override /hydra/launcher: local\nhydra: {launcher: {_partial_: true}}",
    "sweeper": "hydra: {sweeper: {_target_: os.system}}",
    "sweeper's argument": f"hydra: {{sweeper: {{max_batch_size: {EVIL}}}}}",
    "axis": f"hydra: {{mode: MULTIRUN, sweeper: {{params: {{seed: {EVIL}}}}}}}",
    "axis interpolated": f"evil: {{seed: {EVIL}}}\nhydra: {{mode: MULTIRUN, sweeper: {{params: '${{evil}}'}}}}",
    "axis of Hydra": "hydra: {mode: MULTIRUN, sweeper: {params: {+hydra.callbacks.x._target_: os.system}}}",
    "handler of a file": "hydra: {job_logging: {handlers: {console: {class: logging.FileHandler, filename: CANARY}}}}",
    "handler of a socket": "hydra: {hydra_logging: {handlers: {x: {class: logging.handlers.SocketHandler}}}}",
    "factory": "hydra: {job_logging: {handlers: {x: {'()': logging.FileHandler, filename: CANARY}}}}",
    "formatter": "hydra: {job_logging: {formatters: {x: {'()': logging.FileHandler, filename: CANARY}}}}",
    "class of a formatter": "hydra: {hydra_logging: {formatters: {simple: {class: os.system}}}}",
    "filter": "hydra: {job_logging: {filters: {x: {'()': 'ext://logging.FileHandler', filename: CANARY}}}}",
    "stream": "hydra: {job_logging: {handlers: {console: {stream: 'ext://os.system'}}}}",
    "environment": "hydra: {job: {env_set: {LD_PRELOAD: CANARY}}}",
    "environment copied": "hydra: {job: {env_copy: [HOME]}}",
    "folder of a run": "hydra: {run: {dir: CANARY}}",
    "folder of a sweep": "hydra: {mode: MULTIRUN, sweep: {dir: CANARY}}",
    "folder of a job": "hydra: {mode: MULTIRUN, sweep: {subdir: CANARY}}",
    "Hydra's output": "hydra: {output_subdir: CANARY}",
    "working folder": "hydra: {job: {chdir: true}}",
    "folder that Hydra records": "hydra: {runtime: {output_dir: CANARY}}",
    "searchpath": "hydra: {searchpath: ['pkg://os']}",
    "mode interpolated": "evil: MULTIRUN\nhydra: {mode: '${evil}'}",
    "verbose": "hydra: {verbose: '${oc.env:HOME}'}",
}


@pytest.mark.parametrize("text", HYDRA.values(), ids=HYDRA)
def test_guard_refuses_a_yaml_that_touches_hydra_settings(host: Host, text: str):
    assert re.search("take it out|raised while composing|primary config", host.refuses(*host.words(text)))


ODD_SWEEPS = ["seed=interval(0,1)", "search=glob(no*)", "seed=shuffle(range(2))", "search=choice(none,random)"]


@pytest.mark.parametrize("axis", ODD_SWEEPS)
def test_guard_is_not_blinded_by_sweeps_that_it_cannot_follow(host: Host, axis: str):
    assert "hydra.callbacks.x is" in host.refuses(*host.words(HYDRA["callback"]), "-m", axis)


PLUGINS = {
    "experiment": "plugins: [logging]",
    "interpolated": "evil: [logging]\nplugins: ${evil}",
    "axis": "hydra: {mode: MULTIRUN, sweeper: {params: {plugins: '[logging]'}}}",
    "added axis": "hydra: {mode: MULTIRUN, sweeper: {params: {++plugins: '[logging]'}}}",
    "axis of an entry": "hydra: {mode: MULTIRUN, sweeper: {params: {+plugins.0: logging}}}",
    "axis hidden behind a space": "hydra: {mode: MULTIRUN, sweeper: {params: {' plugins': '[logging]'}}}",
    "words": "hydra: {overrides: {task: ['plugins=[logging]']}}\nplugins: [logging]",
    "words of Hydra": "hydra: {overrides: {hydra: ['plugins=[logging]']}}\nplugins: [logging]",
}


@pytest.mark.parametrize("text", PLUGINS.values(), ids=PLUGINS)
def test_guard_takes_plugins_from_the_command_line_alone(host: Host, text: str):
    evil = f"{text}\ntracker: {EVIL}"
    assert re.search("plugins.*command line|take it out", host.refuses(*host.words(evil), "images=4"))
    assert host.refuses(*host.words(evil), "plugins=[fractions]")


@pytest.mark.parametrize("words", [["plugins=[a],[os]", "-m"], ["plugins=os"], ["plugins=null"]])
def test_guard_refuses_plugins_that_are_not_one_list_of_names(host: Host, words: list[str]):
    assert "is no list of packages" in host.refuses(f"out_dir={host.folder / 'out'}", *words)
    assert "neither the name" in host.refuses(f"out_dir={host.folder / 'out'}", "plugins=['a b']")


@pytest.mark.parametrize("key", ["plugins.0", "+plugins.0"])
def test_guard_refuses_to_change_one_entry_of_plugins(host: Host, key: str):
    assert host.refuses(f"out_dir={host.folder / 'out'}", "plugins=[a]", f"{key}=os")


def test_guard_checks_every_value_of_a_sweep(host: Host):
    folder = host.folder / "mine" / "search"
    folder.mkdir(parents=True)
    (folder / "second.yaml").write_text(
        f"# @package _global_\nhydra: {{job: {{env_set: {{LD_PRELOAD: {host.canary}}}}}}}\n"
    )
    where = f"hydra.searchpath=[file://{host.folder / 'mine'}]"
    for words in (
        ["search=none,second"],
        ["search=choice(none,second)"],
    ):
        with pytest.raises(ValueError, match=r"hydra.job.env_set.LD_PRELOAD is"):
            guard.check_command_line([where, "-m", *words])
        with pytest.raises(ValueError, match=r"hydra.job.env_set.LD_PRELOAD is"):
            host.run(where, f"out_dir={host.folder / 'out'}", "-m", *words)
    assert not host.jobs


RESOLVED = {
    "target": f"verifier: {EVIL}",
    "whole node": f"evil: {EVIL}\nverifier: ${{evil}}",
    "oc.create": f"""verifier: '${{oc.create:"{EVIL}"}}'""",
    "nested": f"""dataset: {{images: {{classes: '${{oc.create:"{EVIL}"}}'}}}}""",
    "escaped": f"""budget: {{samplings: null, nfe: '\\${{oc.create:"[{EVIL}]"}}'}}""",
    "own import": "verifier: {_target_: its.verifier.classifier.Path.touch, self: CANARY}",
    "maker of twins": "dataset: {images: {_target_: its.twins.npz.write, path: CANARY, shape: [1, 2, 2], classes: 2, "
    "count: 4}}",
    "function of a room": "tracker: {_target_: its.metric.statistics_file.write_statistics, path: CANARY}",
    "below the root": f"evil: {EVIL}",
    "method": "search: {_target_: its.search.random.Random.run, image: 1}",
    "convert": "search: {_convert_: object}",
}


@pytest.mark.parametrize("text", RESOLVED.values(), ids=RESOLVED)
def test_guard_refuses_what_targets_come_to(host: Host, text: str):
    assert re.search("_target_ is|not allowed|budget.nfe|is no parameter of", host.refuses(*host.words(text)))


MAKERS = {
    "elsewhere": "path: CANARY",
    "above": "path: '{twin}/../../../../its-canary'",
    "beside": "path: '{twin}x'",
    "nested": "path: '{twin}/x.npz', more: {_target_: its.twins.npz.write, path: CANARY, shape: [1, 2, 2], "
    "classes: 1, count: 1}",
}


@pytest.mark.parametrize("place", MAKERS.values(), ids=MAKERS)
def test_twin_is_written_to_its_own_folder_alone(host: Host, place: str):
    make = f"{{_target_: its.twins.npz.write, shape: [1, 2, 2], classes: 1, count: 4, {place}}}"
    said = host.refuses(*host.words(f"dataset: {{images: {{smoke: {{make: {make}}}}}}}", "smoke=true"))
    assert re.search("a twin is written to|_target_ is", said)


@pytest.mark.parametrize(
    "words",
    [
        ["hydra.callbacks.closing._target_=os.system"],
        ["+hydra.callbacks.mine._target_=os.system"],
        ["~hydra.callbacks.closing"],
        ["hydra.launcher._target_=os.system"],
        ["hydra.sweeper._target_=subprocess.run"],
        ["hydra.job_logging.handlers.console.class=os.system"],
        ["+hydra.hydra_logging.handlers.x={class: subprocess.Popen}"],
        ["+hydra.job.env_set.LD_PRELOAD=x"],
        ["hydra/job_logging=default"],
        ["hydra/launcher=submitit_slurm"],
        ["hydra.run.dir=/tmp/its-canary"],
        ["hydra.output_subdir=x"],
    ],
)
def test_guard_refuses_words_that_touch_hydra_settings(words: list[str]):
    with pytest.raises(ValueError, match="take it out"):
        check_command_line(words)


FLAGS = [
    "--config-dir=C",
    "--config-d=C",
    "--config-dir|C",
    "--config-path=C",
    "--config-pa=C",
    "--config-name=mine",
    "--config-n=mine",
    "-cd=C",
    "-cd|C",
    "-cdC",
    "-cp=C",
    "-cp|C",
    "-cn=mine",
    "-cn|mine",
    "--experimental-rerun=C",
    "--experimental-r=C",
    "--experimental-rerun|C",
    "--exp=C",
    "--experimental-rerun=",
    "-x",
    "--multi",
    "--cf=job",
    "--hydra",
]


@pytest.mark.parametrize("flag", FLAGS)
def test_guard_refuses_flags_that_swap_the_configuration_however_spelt(host: Host, flag: str):
    assert re.search(
        "is not supported|unrecognized arguments|invalid choice|expected one argument",
        host.refuses(*flag.replace("C", str(host.folder)).split("|")),
    )


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["-c", "hydra"], ["--info", "searchpath"], ["--hydra-help"]])
def test_guard_lets_hydra_show_a_configuration(host: Host, flags: list[str], capsys):
    host.run("seed=3", *flags)
    assert capsys.readouterr().out
    assert not host.jobs


SECRETS = [
    "+wandb_api_key=x",
    "+tracker.api_key=x",
    "+hf_token=x",
    "+model.token=x",
    "+password=x",
    "+aws.secret=x",
    "+API_KEY=x",
    "+AWS_SECRET_ACCESS_KEY=x",
    "+tracker.more={inner: [{api_key: x}]}",
]


@pytest.mark.parametrize("override", SECRETS)
def test_guard_refuses_keys_that_look_like_secrets(override: str):
    with pytest.raises(ValueError, match="looks like a secret"):
        check_command_line([override])


@pytest.mark.parametrize(
    "where",
    [
        "name=x_{}",
        "name={}",
        "+dataset.note=a/{}",
        "+dataset.{}=1",
        "hydra.job.name={}",
        "hydra.sweep.dir=/x/{}",
        "seed={}",
    ],
)
def test_guard_refuses_the_value_of_a_secret_environment_variable(monkeypatch, where: str):
    secret = "20251231" if "seed" in where else "a0123456789bc"
    monkeypatch.setenv("SOME_API_KEY", secret)
    for words in ([where.format(secret)], ["-m", "images=4,8", where.format(secret)]):
        with pytest.raises(ValueError, match=r"holds what the environment's SOME_API_KEY holds") as error:
            check_command_line(words)
        assert secret not in str(error.value)
    check_command_line(["name=y", "seed=20251230"])


@pytest.mark.parametrize(
    "text",
    [
        "dataset: {note: a 0123456789abc}",
        "dataset: {note: {0123456789abc: 1}}",
        "tracker: {note: [0123456789abc]}",
        "hydra: {job: {env_set: {X: 0123456789abc}}}",
        "hydra: {sweeper: {params: {seed: '0,1', name: 0123456789abc}}}",
        "hydra: {runtime: {choices: {x: {0123456789abc: 1}}}}",
        "half: '0123456'\nout_dir: CANARY_${half}789abc",
    ],
)
def test_guard_refuses_a_yaml_with_the_value_of_a_secret_variable(host: Host, monkeypatch, text: str):
    monkeypatch.setenv("SOME_API_KEY", "0123456789abc")
    words = [word for word in host.words(text) if not ("out_dir" in text and word.startswith("out_dir="))]
    assert "holds what the environment's SOME_API_KEY holds" in host.refuses(*words, "-m", "seed=0,1")


SMUGGLED = [
    "${oc.env:HF_TOKEN}",
    "a${oc.env:HF_TOKEN}b",
    "${oc.decode:${oc.env:HF_TOKEN}}",
    "${oc.env:${oc.env:WHICH}}",
    "${oc.create:{a:${oc.env:HF_TOKEN}}}",
    "${oc.env:PROXY}",
    "${oc.env:HF_TOKEN,none}",
]


@pytest.mark.parametrize("value", SMUGGLED)
def test_blueprint_refuses_interpolation_of_a_secret_variable(tmp_path: Path, monkeypatch, value: str):
    for name, content in {"HF_TOKEN": "0x1234567890", "WHICH": "HF_TOKEN", "PROXY": "http://me:pass@host"}.items():
        monkeypatch.setenv(name, content)
    with pytest.raises(ValueError, match=r"what the environment's (HF_TOKEN|PROXY) holds"):
        make_experiment(tmp_path, f"dataset.name='{value}'")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "harmless",
    [
        [],
        ["-m", "search=random,zero_order"],
        ["-m", "seed=range(3)"],
        ["experiment=digits_demo"],
        [
            "hydra/launcher=slurm",
            "hydra.launcher.partition=long",
            "hydra.launcher.timeout_min=90",
            "hydra.verbose=true",
        ],
        ["seed=1", "--multirun", "hydra/launcher=local"],
        ["plugins=[fractions, os.path]"],
        ["+model.weights_key=ema"],
    ],
)
def test_guard_accepts_harmless_command_lines(harmless: list[str]):
    check_command_line(harmless)


@pytest.mark.parametrize(
    "word",
    ["+search.monkey=1", "+model.max_tokens=3", "+model.cls_token=1", "+tracker.url='https://host:8080/a@b?monkey=1'"],
)
def test_guard_takes_no_unknown_key_for_a_secret(word: str):
    with pytest.raises(ValueError, match="is no parameter of"):
        check_command_line([word])


@pytest.mark.parametrize("wrong", ["search=no_such_thing", "experiment=digit_demo", "sead=3", "seed=[1", "verifier"])
def test_guard_refuses_what_does_not_compose(wrong: str):
    with pytest.raises(ValueError, match=r"there is no|is no key|cannot be read"):
        check_command_line([wrong])


NOTHING = ["search=glob(zzz*)", "seed=range(0)", "experiment=digits_demo,digits_hacking"]


@pytest.mark.parametrize("axis", NOTHING)
def test_guard_refuses_a_sweep_that_would_do_nothing_or_something_else(host: Host, axis: str):
    said = host.refuses(f"out_dir={host.folder / 'out'}", "-m", axis)
    assert re.search("an axis has no value|would drop each file's own axes", said)


@pytest.mark.parametrize("word", ["~name", "~tracker", "~guide", "name=null", "out_dir=null", "images=a", "images=???"])
def test_guard_leaves_no_job_that_lacks_a_key_without_an_error(host: Host, word: str):
    said = host.refuses(f"out_dir={host.folder / 'out'}", word)
    assert re.search(f"{word.lstrip('~').split('=')[0]} is|images has no value", said)


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "..", "x" * 300, "", "a b", "a\0b", "-rf"])
def test_blueprint_refuses_names_that_leave_the_output_folder(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match=r"cannot name a folder|null"):
        make_experiment(tmp_path, f"name={name!r}")
    assert not list(tmp_path.iterdir())


def run(tmp_path: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "run.py", f"out_dir={tmp_path / 'out'}", *overrides],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.parametrize(
    "text",
    [
        HYDRA["whole node"],
        RESOLVED["escaped"],
        PLUGINS["axis"] + f"\ntracker: {EVIL}",
        "verifier: !!python/object/apply:os.system [touch CANARY]\n",
    ],
    ids=["whole node", "escaped", "plugins", "python tag"],
)
def test_run_script_refuses_a_hostile_yaml_without_running_it(host: Host, text: str):
    done = run(host.folder, *host.words(text))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert not host.canary.exists()
    assert not (host.folder / "out").exists(), "nothing is made before the refusal"


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_classifier_weights_refuse_pickles_without_opening_them(tmp_path: Path):
    canary = tmp_path / CANARY
    weights = tmp_path / "weights.safetensors"
    torch.save({"head.weight": Touch(canary)}, weights)
    with pytest.raises(ValueError, match="not safetensors"):
        make_experiment(tmp_path / "out", f"dataset.classifier.weights={weights}")
    np.savez(tmp_path / "weights.npz", x=np.array([Touch(canary)], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="not safetensors"):
        make_experiment(tmp_path / "out", f"dataset.classifier.weights={tmp_path / 'weights.npz'}")
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


def test_classifier_weights_of_another_network_name_the_missing_keys(tmp_path: Path):
    with pytest.raises(ValueError, match=r"digits/report.safetensors does not fit VerifierNet.*[Mm]issing"):
        make_experiment(tmp_path, "dataset.classifier.weights=digits/report.safetensors", "allow_same_scorer=true")


def test_run_script_writes_no_secret_of_the_environment(tmp_path: Path):
    secret = "s3cr3t-c4n4ry"
    done = run(
        tmp_path,
        "images=4",
        "shard=4",
        "sampler.steps=2",
        "~metric.kid",
        "~metric.prc",
        "~metric.isc",
        WANDB_API_KEY=secret,
        HF_TOKEN=secret,
    )
    assert done.returncode == 0, done.stderr
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if secret.encode() in path.read_bytes()]
    assert secret not in done.stdout + done.stderr


def test_sweep_writes_no_secret_that_it_refuses(host: Host, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-c4n4ry")
    for text in (
        "dataset: {name: '${oc.env:HF_TOKEN}'}",
        "name: '${oc.env:HF_TOKEN}'",
        "out_dir: '${oc.env:HF_TOKEN}'",
    ):
        words = host.words(text, "-m", "seed=0,1")
        with pytest.raises((SystemExit, ValueError)):
            host.run(*(word for word in words if "out_dir" not in text or not word.startswith("out_dir=")))
        assert "HF_TOKEN" in host.said or "out_dir" in text
    for file in host.folder.rglob("*"):
        assert "s3cr3t" not in str(file)
        assert not file.is_file() or b"s3cr3t" not in file.read_bytes()


FAILING = """import os
from its.verifier.null_rewards import NullRewards
class Failing(NullRewards):
    def reward(self, images, conditions):
        raise RuntimeError(f"401: Bearer {os.environ['HF_TOKEN']} at https://me:pw@host")
"""


@pytest.mark.long
def test_run_script_keeps_no_secret_of_an_error(tmp_path: Path):
    (tmp_path / "failing.py").write_text(FAILING)
    secret = "s3cr3t-c4n4ry"
    done = run(
        tmp_path,
        *("images=4", "shard=4", "sampler.steps=2", "verifier=null_rewards"),
        *("plugins=[failing]", "verifier._target_=failing.Failing"),
        HF_TOKEN=secret,
        PYTHONPATH=str(tmp_path),
    )
    [failed] = (tmp_path / "out").rglob("failed.json")
    for text in (done.stdout + done.stderr, failed.read_text()):
        assert "401: Bearer <HF_TOKEN> at https://me:...@host" in text
        assert secret not in text
    assert done.returncode == 1


def test_run_script_names_an_output_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "out").write_text("a file where the folder should be")
    done = run(tmp_path, "images=4", "shard=4", "sampler.steps=2")
    assert done.returncode == 1
    assert "out" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
