"""A newcomer's mistakes in words and in YAML: before anything runs, one sentence says where, what and what to do."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from its.config.blueprint import Blueprint
from its.config.composed import composed, composed_sweep
from its.config.guard import check_command_line
from its.config.instantiate import instantiate
from its.config.searchpath import CONF
from its.process.modules import spec_of

CODE = {
    "climb.py": "from dataclasses import dataclass\nfrom its import Search\n@dataclass(frozen=True)\n"
    "class Climb(Search):\n    share: float = 0.8\n    def run(self, image):\n        yield\n"
    "@dataclass(frozen=True)\nclass Needs(Search):\n    length: int\n"
    "class Free:\n    def __init__(self, **values):\n        pass\n",
    "broken.py": "class Broken:\n    def run(self:\n        pass\n",
    "fails.py": "import nowhere_at_all\nclass Fails:\n    pass\n",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Iterator[Path]:
    """A package of one's own; its searches are written in every other test's YAML."""
    folder = tmp_path_factory.mktemp("theirs") / "mistaken"
    folder.mkdir()
    for name, text in CODE.items():
        (folder / name).write_text(text)
    path = [*sys.path]
    yield folder
    sys.path[:] = path
    spec_of.cache_clear()


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A folder of choices in which there is only what a test writes."""
    (tmp_path / "conf" / "search").mkdir(parents=True)
    return tmp_path / "conf"


def refused(package: Path, conf: Path, *words: str) -> str:
    """What is said of words, with the package and the folder of choices, up to the objects that need no network."""
    where = (f"plugins=[{package}]", f"hydra.searchpath=[file://{conf}]", f"out_dir={conf.parent / 'out'}")
    with pytest.raises(ValueError) as error:
        Blueprint.of(*composed([*words, *where]))
    assert not (conf.parent / "out").exists()
    return " ".join(str(error.value).split())


T = "_target_: mistaken.climb.Climb\n"

YAML = {
    "target": (
        "target: mistaken.climb.Climb\n",
        "line 1: search names no class; for target: write _target_: mistaken.cl",
    ),
    "_target": (
        "share: 1.0\n_target: mistaken.climb.Climb\n",
        "line 2: search names no class; for _target: write _target_",
    ),
    "__target__": (
        "__target__: mistaken.climb.Climb\n",
        "line 1: search names no class; for __target__: write _target_: m",
    ),
    "class": (
        "class: mistaken.climb.Climb\n",
        "line 1: search names no class; for class: write _target_: mistaken.climb",
    ),
    "no space": (
        "_target_:mistaken.climb.Climb\n",
        "names no class; for _target_:mistaken.climb.Climb, without a space",
    ),
    "nothing": ("", "/search/own.yaml: search names no class; write _target_: and the class by its full name"),
    "no class": (
        "share: 0.5\n",
        "/search/own.yaml: search names no class; write _target_: and the class by its full name",
    ),
    "nested": (T + "share: {target: a.B}\n", "line 2: search.share names no class; for target: write _target_: a.B"),
    "a tab": (
        T + "\tshare: 1.0\n",
        r"own.yaml, line 2: found character '\t' that cannot start any token; indent by spaces",
    ),
    "indentation": (
        T + "  share: 1.0\n",
        "own.yaml, line 2: mapping values are not allowed here; here or a line above, put",
    ),
    "twice": (T + "share: 1.0\nshare: 0.5\n", "own.yaml, line 3: found duplicate key share; keep one of the two"),
    "a quote": ('_target_: "mistaken\n', "own.yaml, line 2: found unexpected end of stream; close every quote"),
    "a parameter": (
        T + "shrae: 1.0\n",
        "line 2: search.shrae is no parameter of mistaken.climb.Climb; did you mean share?",
    ),
    "of another": (T + "zeta: 1.0\n", "line 2: search.zeta is no parameter of mistaken.climb.Climb; it takes share"),
    "a missing one": (
        "_target_: mistaken.climb.Needs\n",
        "line 1: search has no length, which mistaken.climb.Needs needs",
    ),
    "a class": (
        "_target_: mistaken.climb.Clim\n",
        "line 1: search._target_ is 'mistaken.climb.Clim', and no .py file defines",
    ),
    "nearest class": ("_target_: mistaken.climb.Clim\n", "did you mean mistaken.climb.Climb?"),
    "a module": ("_target_: mistaken.Climb\n", "did you mean mistaken.climb.Climb?"),
    "no package": ("_target_: climb.Climb\n", "line 1: search._target_ is 'climb.Climb'; it must be defined in its"),
    "nearest package": ("_target_: climb.Climb\n", "did you mean mistaken.climb.Climb?"),
    "broken code": ("_target_: mistaken.broken.Broken\n", "broken.py, line 2: this is no Python: '(' was never closed"),
    "failing code": (
        "_target_: mistaken.fails.Fails\n",
        "fails.py:1: ModuleNotFoundError: No module named",
    ),
    "no value": (T + "share: ???\n", "search.share has no value (??? in its YAML); write search.share=..."),
    "interpolation": (T + "share: ${sampler.stpes}\n", "there is no sampler.stpes; did you mean sampler.steps?"),
}


@pytest.mark.parametrize(("text", "said"), YAML.values(), ids=YAML)
def test_yaml_is_refused_with_its_line(package: Path, conf: Path, text: str, said: str):
    (conf / "search" / "own.yaml").write_text(text)
    assert said in refused(package, conf, "search=own")


def test_yaml_of_a_class_that_says_not_all_is_left_to_it(package: Path, conf: Path):
    (conf / "verifier").mkdir()
    (conf / "verifier" / "own.yaml").write_text("_target_: mistaken.climb.Free\nanything: 1\n")
    config = composed([f"plugins=[{package}]", f"hydra.searchpath=[{conf}]", "verifier=own"]).config
    assert config.verifier.anything == 1
    assert instantiate({"_target_": "mistaken.climb.Free", "anything": 1}, ["mistaken"])


OTHERS = {
    "dataset/own": (
        "name: own\nshape: [1]\nreport_width: 4\nreport: {_target_: mistaken.climb.Free}\n",
        "dataset has no images",
    ),
    "dataset/near": (
        "name: own\nshape: [1]\nreport_width: 4\nimags: {}\n",
        "near.yaml, line 4: dataset has no images",
    ),
    "metric/own": (
        "fid: {target: its.metric.fid.Fid}\n",
        "own.yaml, line 1: metric.fid names no class; for target: write",
    ),
    "model/own": ("target: a.B\n", "own.yaml, line 1: model names no class; for target: write _target_: a.B"),
    "experiment/own": ("images: 3\n", "own.yaml: write `# @package _global_` as an experiment's first line"),
    "experiment/key": (
        "# @package _global_\nimagess: 3\n",
        "key.yaml, line 2: imagess is no key of a configuration; did you",
    ),
    "experiment/value": (
        "# @package _global_\nsampler: {stpes: 3}\n",
        "value.yaml, line 2: sampler.stpes is no parameter of",
    ),
    "experiment/choice": ("# @package _global_\nsearch: own\n", "in its defaults, - override /search: own"),
    "experiment/add": (
        "# @package _global_\ndefaults: [search: none]\n",
        "replace a choice: write - override /search: none",
    ),
    "experiment/group": (
        "# @package _global_\ndefaults: [override /serch: none]\n",
        "experiment/group.yaml: serch is no key",
    ),
    "experiment/near": ("# @package _global_\ndefaults: [override /search: randm]\n", "no search=randm in conf/, "),
}


@pytest.mark.parametrize("place", OTHERS)
def test_yaml_of_every_group_is_refused_with_its_line(package: Path, conf: Path, place: str):
    text, said = OTHERS[place]
    (conf / place).parent.mkdir(exist_ok=True)
    (conf / f"{place}.yaml").write_text(text)
    assert said in refused(package, conf, place.replace("/", "="))


WORDS = {
    "search.particle=4": "search.particle is no key of this configuration; did you mean search.particles?",
    "image=4": "image is no key of this configuration; did you mean images?",
    "sampler.stpes=4": "sampler.stpes is no key of this configuration; did you mean sampler.steps?",
    "sampler.churn=4": "sampler.churn is no key of this configuration; there are sampler.eta, sampler.spacing",
    "sampler.churn.x=4": "sampler.churn.x is no key of this configuration",
    "search.steps=4": "search.steps is no key of this configuration; did you mean sampler.steps?",
    "searh=random": "searh is no key of this configuration; did you mean search?",
    "verifer@guide=classifier": "did you mean verifier",
    "search=randm": "there is no search=randm in conf/; did you mean random?",
    "search=Random": "there is no search=Random in conf/; did you mean random?",
    "search=digits": "there is no search=digits in conf/; search has beam, bfs_prune",
    "search=zzz": "there is no search=zzz in conf/; search has beam, bfs_prune",
    "+search.foo=3": "search.foo is no parameter of its.search.bfs_resample.BFSResample; it takes temperature, start",
    "dataset.report._target_=its.metric.inception.InceptionFeatures": "give the node whole, dataset.report={_tar",
    "++serch.foo=3": "serch is no key of a configuration; did you mean search?",
    "~metric.kidd": "metric.kidd is no key of this configuration; did you mean metric.kid?",
    "plugin=[x]": "plugin is no key of this configuration; did you mean plugins?",
    "plugins=my_methods": "plugins=my_methods is no list of packages; write plugins=[my_methods] once, for every job",
    "hydra.searchpath=/x": "hydra.searchpath=/x is no list of folders; write hydra.searchpath=[/x] once",
    "hydra.searchpat=[/x]": "hydra.searchpat is no key of this configuration; did you mean hydra.searchpath?",
    "searchpath=[/x]": "searchpath is no key of this configuration; did you mean hydra.searchpath?",
    "name=a cat, a dog": """has several values; for several runs add -m""",
    "name=a cat,": """name=a cat, cannot be read; quote what is a text: 'name="a cat,"'""",
    "name=it's": """name=it's cannot be read; quote what is a text: 'name="it'"'"'s"'""",
    "name=a cat!": """name=a cat! cannot be read; quote what is a text: 'name="a cat!"'""",
    "name=a cat (big), so": """quote what is a text: 'name="a cat (big), so"'""",
    "budget.samplings=[1,2": "budget.samplings=[1,2 cannot be read; close every bracket that it opens",
    "budget.samplings=1,2": "for several runs add -m, for a list write budget.samplings=[1,2]",
    "search:random": "search:random cannot be read; write search=random",
    "search =random": "search =random cannot be read; write search=random, with no space before the equals sign",
}


@pytest.mark.parametrize("word", WORDS)
def test_words_are_refused_with_what_is_meant(word: str):
    base = [] if word.startswith("search=") else ["search=bfs_resample"]
    with pytest.raises(ValueError) as error:
        composed([*base, word])
    assert WORDS[word] in " ".join(str(error.value).split())


def test_words_name_the_class_that_takes_what_a_yaml_leaves_out(package: Path, conf: Path):
    (conf / "search" / "own.yaml").write_text(T)
    assert "but mistaken.climb.Climb takes it; write +search.share=" in refused(
        package, conf, "search=own", "search.share=1"
    )


PIECES = {
    ("name=a", "cat,", "a", "dog"): "if this belongs to a text, quote it: 'name=\"a cat, a dog\"'",
    ("search=random,", "none"): "for several values write search=random,none, for one text 'search=\"random, none\"'",
    ("images", "=", "3"): "write images=3, without spaces",
    ("images", "=3"): "write images=3, without spaces",
    ("images=", "3"): "write images=3, without spaces",
}


@pytest.mark.parametrize("pieces", PIECES, ids=" ".join)
def test_words_that_a_space_has_parted_are_put_together(pieces: tuple[str, ...]):
    with pytest.raises(ValueError) as error:
        composed_sweep(["seed=1", *pieces, "batch=4"])
    assert str(error.value).endswith(PIECES[pieces])


SWEEPS = {
    "name=a cat, a dog": ["refused", 'name="a cat, a dog"'],
    'name="a cat, a dog"': ["a cat, a dog"],
    'name="a cat","a dog"': ["a cat", "a dog"],
    "name=cat,dog": ["cat", "dog"],
    "seed=0, 1": ["0", "1"],
}


@pytest.mark.parametrize("word", SWEEPS)
def test_words_of_a_sweep_are_no_silent_pieces_of_a_text(word: str):
    expected = SWEEPS[word]
    if expected[0] == "refused":
        with pytest.raises(ValueError, match=f"is one text, or several runs; quote the text, '{expected[1]}'"):
            composed_sweep([word])
    else:
        key = word.partition("=")[0]
        assert [str(job.config[key]) for job in composed_sweep([word])] == expected


def test_options_that_are_words_are_refused_with_the_word():
    with pytest.raises(ValueError, match="unrecognized arguments: --search=random; write search=random"):
        check_command_line(["--search=random"])


PLACES = {
    "gone": ("cnf", "and there is no such folder; did you mean .*/conf?"),
    "its file": ("conf/search/own.yaml", "own.yaml, and there is no such folder"),
    "its group": ("conf/search", "it is one: give the folder that holds it, file://.*/conf"),
    "its parent": (".", "holds no folder of a group such as search/ or model/; give file://.*/conf"),
    "beside": ("loose", "holds no folder of a group .*; move own.yaml into the folder of its group"),
    "misspelled group": ("serches", "serch/ is none: call it search/"),
    "empty": ("empty", "make one, with your YAML in it"),
}


@pytest.mark.parametrize("case", PLACES)
def test_searchpath_refuses_a_folder_without_groups(conf: Path, case: str):
    place, said = PLACES[case]
    for name in ("conf/search/own.yaml", "loose/own.yaml", "serches/serch/own.yaml"):
        (conf.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (conf.parent / name).write_text(T)
    (conf.parent / "empty").mkdir()
    with pytest.raises(ValueError, match=rf"hydra.searchpath names file://.*{said}"):
        composed([f"hydra.searchpath=[file://{conf.parent / place}]"])


@pytest.mark.parametrize("entry", ["{}", "file:{}", "file://{}", "file://./conf", "conf"])
def test_searchpath_takes_every_way_to_write_a_folder(conf: Path, monkeypatch, entry: str):
    monkeypatch.chdir(conf.parent)
    (conf / "search" / "own.yaml").write_text("_target_: its.search.none.NoSearch\n")
    job = composed(["search=own", f"hydra.searchpath=[{entry.format(conf)}]"])
    assert f"hydra.searchpath=[file://{conf}]" in job.overrides


MISPLACED = {"own.yaml": "search/own.yaml", "search/own.yml": "search/own.yaml", "serch/own.yaml": "search/own.yaml"}


@pytest.mark.parametrize("name", MISPLACED)
def test_choice_that_lies_elsewhere_is_named(conf: Path, name: str):
    (conf / name).parent.mkdir(exist_ok=True)
    (conf / name).write_text(T)
    with pytest.raises(ValueError, match=f"no search=own: {conf / name} would have to be {conf / MISPLACED[name]}$"):
        composed(["search=own", f"hydra.searchpath=[file://{conf}]"])


def test_choice_of_two_folders_is_refused(conf: Path):
    (conf / "search" / "random.yaml").write_text(T)
    said = f"search=random is {CONF / 'search' / 'random.yaml'}, and {conf / 'search' / 'random.yaml'} too"
    with pytest.raises(ValueError, match=said):
        composed([f"hydra.searchpath=[file://{conf}]"])
    composed([f"hydra.searchpath=[file://{conf}]", "search=none"])
    composed([f"hydra.searchpath=[{CONF},{CONF}]"])
