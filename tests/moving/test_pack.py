"""Packs: the same bytes each time, nothing of the machine in them, and nothing out of them but what they know."""

import io
import os
import shutil
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from its.config.identity import differences
from its.disk.files import DamagedFile
from its.disk.run_folder import RunFolder
from its.disk.sealed import sealed, unsealed
from its.moving.pack import Pack, pack
from its.moving.portable import command_without_places, config_text, require_portable, summary_without_places
from its.rerun.finished_run import FinishedRun
from its.weights import locate
from tests.build import SMALL, make_experiment

WORDS = (*SMALL, "images=12", "shard=5", "keep_candidates=true", "~metric.isc")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> FinishedRun:
    """A finished run of digits with weights of one's own, named by their full path."""
    root = tmp_path_factory.mktemp("machine of mine")
    weights = root / "my weights.safetensors"
    save_file(load_file(locate("digits/verifier.safetensors")), weights)
    experiment = make_experiment(root, *WORDS, f"dataset.classifier.weights='{weights}'")
    experiment.run()
    return FinishedRun.of(experiment.folder)


@pytest.fixture
def folder(run, tmp_path) -> Path:
    """A copy of its folder."""
    return Path(shutil.copytree(run.folder, tmp_path / run.folder.name))


@pytest.fixture(scope="module")
def packed(run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("packs") / "run.tar"
    pack(run, out)
    return out


def rewritten(packed: Path, target: Path, change) -> Path:
    """A pack with other members: `change` is given names and contents, and returns members and contents."""
    with tarfile.open(packed) as archive:
        contents = {member.name: archive.extractfile(member).read() for member in archive}
    with tarfile.open(target, "w") as archive:
        for member, content in change(contents):
            archive.addfile(member, io.BytesIO(content) if content is not None else None)
    return target


def member(name: str, content: bytes | None = b"", kind: bytes = tarfile.REGTYPE, link: str = ""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content or b"")
    return info, content


def plus(*more):
    return lambda contents: [*(member(name, content) for name, content in contents.items()), *more]


def test_pack_is_the_same_bytes_wherever_and_whenever(run, packed, folder, tmp_path):
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    pack(FinishedRun.of(folder), tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == packed.read_bytes()
    with pytest.raises(FileExistsError, match="is there already"):
        pack(run, packed)
    assert not list(tmp_path.glob(".*")), "nothing is left under a temporary name"


def test_pack_comes_back_as_a_run(run, packed, tmp_path):
    unpacked = tmp_path / "theirs"
    Pack.of(packed).unpack(unpacked)
    again = FinishedRun.of(unpacked)
    assert again.files.is_whole(again.summary)
    assert again.files.store.damage() == {}
    assert again.files.store.present() == run.files.store.present()
    assert again.summary["curve"] == run.summary["curve"]
    assert not differences(again.config, run.config), "weights count by their content"
    pack(again, tmp_path / "again.tar")
    with pytest.raises(FileExistsError):
        Pack.of(packed).unpack(unpacked)


def test_pack_names_no_place_of_the_machine(run, packed):
    with tarfile.open(packed) as archive:
        texts = {m.name: archive.extractfile(m).read() for m in archive if not m.name.endswith((".png", "tensors"))}
    content = b"\n".join(texts.values())
    assert b"machine of mine" in run.files.config.read_bytes()
    assert b"machine of mine" in run.files.summary.read_bytes()
    for place in ("machine of mine", str(Path.home()), '"host"', "/tmp"):
        assert place.encode() not in content
    assert b"my weights.safetensors" in content
    with tarfile.open(packed) as archive:
        owners = {(m.uid, m.gid, m.uname, m.gname, m.mtime, m.mode) for m in archive}
    assert owners == {(0, 0, "", "", 0, 0o644)}


@pytest.mark.parametrize(
    ("command", "portable"),
    [
        ("python run.py search=ses images=4", "python run.py search=ses images=4"),
        ("python /home/me/its/run.py a=1", "python run.py a=1"),
        ("python ../run.py 'plugins=[/a/b.py,/c/d]'", "python ../run.py 'plugins=[b.py,d]'"),
        ("python run.py 'hydra.searchpath=[file:///a/conf]'", "python run.py 'hydra.searchpath=[conf]'"),
        ("python run.py model.weights=~/x/w.pt", "python run.py model.weights=w.pt"),
        ("python run.py \"a='/my place/w.pt'\"", "python run.py \"a='w.pt'\""),
        ("python run.py '+a={_target_: x.Y, path: /q/r.npz}'", "python run.py '+a={_target_: x.Y, path: r.npz}'"),
        ("python run.py ++a.b=/q/r", "python run.py ++a.b=r"),
        ("python run.py a=1/2 b=google/ddpm@1", "python run.py a=1/2 b=google/ddpm@1"),
    ],
)
def test_command_without_places_keeps_their_last_part(command, portable):
    assert command_without_places(command) == portable


def test_summary_without_places_leaves_numbers_and_sentences():
    summary = {"command": "python run.py", "left_out": {"kid": "needs it, and /a/b/ref.npz has 1/2 of it"}, "n": [1.5]}
    assert summary_without_places(summary) == {
        "command": "python run.py",
        "left_out": {"kid": "needs it, and ref.npz has 1/2 of it"},
        "n": [1.5],
    }


def test_pack_refuses_what_may_not_leave_the_machine(monkeypatch):
    with pytest.raises(ValueError, match=r"metrics\.json names "):
        require_portable("metrics.json", f"made in {Path.home()}/x")
    monkeypatch.setenv("MY_API_KEY", "s3cretvalue")
    with pytest.raises(ValueError, match=r"metrics\.json holds what the environment's MY_API_KEY"):
        require_portable("metrics.json", "by s3cretvalue")
    require_portable("metrics.json", "nothing")


def test_config_text_refuses_a_place_that_decides_images(folder):
    files = RunFolder(folder)
    text = files.config.read_text().rpartition("# sha256")[0]
    files.config.write_text(text.replace("seed: 0", "seed: /home/me/seed", 1))
    with pytest.raises(ValueError, match=r"is /home/me/seed, which is a place of this machine"):
        config_text(files)
    files.config.write_text(text + "  /elsewhere/my weights.safetensors: abc\n")
    with pytest.raises(ValueError, match=r"have one name in different folders"):
        config_text(files)


@pytest.mark.parametrize("name", ["shards/00000005.safetensors", "curve.csv", "config.yaml", "per_image.safetensors"])
def test_pack_refuses_a_damaged_run(folder, tmp_path, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged|is not what"):
        pack(FinishedRun.of(folder), tmp_path / "out.tar")
    assert not (tmp_path / "out.tar").exists()


@pytest.mark.parametrize(
    "more",
    [
        member("../evil"),
        member("/tmp/evil"),
        member("{root}/../evil"),
        member("{root}/shards/../../evil"),
        member("{root}/shards/..\\evil.safetensors"),
        member("{root}/curve.csv"),
        member("{root}/evil.py"),
        member("{root}/.alive.host.1.json"),
        member("{root}/rescored/a/config.yaml"),
        member("{root}/shards/00000099.safetensors"),
        member("{root}/features/../00000000.safetensors"),
        member("{root}/sources/0123456789ab.txt", b"other"),
        member("{root}/samples_../../x.png"),
        member("{root}/samples_9.png"),
        member("other/curve.csv"),
        member("{root}/curve.csv", None, tarfile.SYMTYPE, "/etc/passwd"),
        member("{root}/shards", None, tarfile.SYMTYPE, "/tmp"),
        member("{root}/curve.csv", None, tarfile.LNKTYPE, "/etc/passwd"),
        member("{root}/samples_1.png", None, tarfile.CHRTYPE),
        member("{root}/samples_1.png", None, tarfile.FIFOTYPE),
        member("{root}/shards", None, tarfile.DIRTYPE),
        member("{root}/samples_1.png", b"", tarfile.GNUTYPE_SPARSE),
        member("{root}/samples_1.png", b"", b"Z"),
    ],
    ids=lambda more: f"{more[0].type} {more[0].name} {more[0].linkname}",
)
def test_unpack_refuses_members_that_no_run_has(run, packed, tmp_path, more):
    info, content = more
    info = tarfile.TarInfo.frombuf(info.tobuf(), "utf-8", "strict")
    info.name = info.name.replace("{root}", run.folder.name)
    before = set(tmp_path.parent.rglob("*"))
    hostile = rewritten(packed, tmp_path / "hostile.tar", plus((info, content)))
    with pytest.raises(ValueError, match=r"is no pack of a run|is damaged"):
        Pack.of(hostile).unpack(tmp_path / "out")
    assert set(tmp_path.parent.rglob("*")) == before | {hostile}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda contents: [member(n, c) for n, c in contents.items() if "00000005" not in n], r"cut short"),
        (lambda contents: [member(n, c) for n, c in contents.items() if "metrics" not in n], r"has no metrics"),
        (lambda contents: [member(n, c) for n, c in contents.items() if "manifest" not in n], r"has no manifest"),
        (lambda contents: [member(n, c + b"x" * n.endswith("csv")) for n, c in contents.items()], r"curve\.csv is not"),
        (
            lambda contents: [member(n, c[:-1] + b"?") if "shards" in n else member(n, c) for n, c in contents.items()],
            r"shards/00000000\.safetensors is not",
        ),
        (
            lambda contents: [member(n, b"{}") if "metrics" in n else member(n, c) for n, c in contents.items()],
            r"names no files",
        ),
        (lambda contents: [], r"holds 0 folders"),
    ],
)
def test_unpack_refuses_members_that_are_not_as_recorded(packed, tmp_path, change, words):
    hostile = rewritten(packed, tmp_path / "hostile.tar", change)
    with pytest.raises(ValueError, match=words):
        Pack.of(hostile).unpack(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.tar"]


def test_unpack_believes_no_line_about_a_file_outside(packed, tmp_path):
    """A record that names a file elsewhere does not make it a member."""

    def change(contents):
        [record] = [name for name in contents if name.endswith("metrics.json")]
        entry = unsealed(contents[record].decode())
        entry["files"]["evil.py"] = sha256(b"evil").hexdigest()
        root = record.partition("/")[0]
        contents[record] = sealed(entry, indent=1).encode()
        return [*(member(n, c) for n, c in contents.items()), member(f"{root}/evil.py", b"evil")]

    with pytest.raises(ValueError, match=r"evil\.py' is nothing that a run has"):
        Pack.of(rewritten(packed, tmp_path / "hostile.tar", change))


@pytest.mark.parametrize("cut", [0, 100, 512, 5000, -1024, -20000])
def test_unpack_names_an_archive_that_is_cut_short_or_none(packed, tmp_path, cut):
    path = tmp_path / "cut.tar"
    path.write_bytes(packed.read_bytes()[:cut] if cut != 100 else b"no archive" * 100)
    try:
        Pack.of(path).unpack(tmp_path / "out")
    except (ValueError, DamagedFile):
        assert not (tmp_path / "out").exists()
    else:
        assert cut == -1024, "zeros at the end alone may be missing"


def test_unpack_is_refused_of_a_compressed_archive(packed, tmp_path):
    """It could unpack to anything."""
    with tarfile.open(tmp_path / "small.tar.gz", "w:gz") as archive:
        archive.add(packed, "seed=0-1/curve.csv")
    with pytest.raises(ValueError, match="is no pack of a run"):
        Pack.of(tmp_path / "small.tar.gz")
