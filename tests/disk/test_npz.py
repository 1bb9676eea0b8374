"""`.npz` files that are damaged or hostile: each has its error, and none runs code or fills the memory."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from its.disk.npz import Archive, Stream, write_npz

ROWS = np.arange(60, dtype=np.int32).reshape(12, 5)


class Touch:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def read_all(path: Path) -> None:
    archive = Archive(path)
    archive.verify()
    for name in archive.headers:
        archive.array(name)


def test_archive_returns_arrays_whole_and_by_rows(tmp_path: Path):
    write_npz(tmp_path / "a.npz", {"x": ROWS, "f": Stream((12, 5), np.int32, (ROWS[k : k + 5] for k in (0, 5, 10)))})
    archive = Archive(tmp_path / "a.npz")
    np.testing.assert_array_equal(archive.array("x"), ROWS)
    np.testing.assert_array_equal(np.concatenate(list(archive.rows("f", 7))), ROWS)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["f"], ROWS)
    np.savez(tmp_path / "b.npz", x=np.asfortranarray(ROWS), s=np.asarray("text"), e=np.zeros((0, 3)))
    other = Archive(tmp_path / "b.npz")
    np.testing.assert_array_equal(other.array("x"), ROWS)
    assert str(other.array("s")) == "text"
    assert other.array("e").shape == (0, 3)
    with pytest.raises(ValueError, match="Fortran order"):
        list(other.rows("x", 2))


def test_write_npz_is_reproducible_and_leaves_no_partial_file(tmp_path: Path):
    for name in ("a", "b"):
        write_npz(tmp_path / f"{name}.npz", {"x": ROWS})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with pytest.raises(ValueError, match="was to have shape"):
        write_npz(tmp_path / "c.npz", {"x": Stream((12, 5), np.int32, [ROWS[:3]])})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archive_detects_cut_files_and_flipped_bits(tmp_path: Path, save):
    content = io.BytesIO()
    save(content, x=np.random.default_rng(0).integers(0, 256, 2000, dtype=np.uint8))
    whole, path = content.getvalue(), tmp_path / "a.npz"
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.npz"):
            read_all(path)
    for at in range(200, 1800, 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        with pytest.raises(ValueError, match="damaged"):
            read_all(path)


@pytest.mark.parametrize("name", ["stats.pkl", "stats.pt", "stats.npz"])
def test_archive_refuses_pickles_and_tells_how_to_remake_them(tmp_path: Path, name: str):
    canary = tmp_path / "canary"
    (tmp_path / name).write_bytes(pickle.dumps({"mu": Touch(canary)}))
    with pytest.raises(ValueError, match=r"python scripts/prepare_reference.py <images> stats.npz"):
        Archive(tmp_path / name)
    assert not canary.exists()


def test_archive_refuses_pickles_inside_archives(tmp_path: Path):
    canary = tmp_path / "canary"
    np.savez(tmp_path / "objects.npz", mu=np.array([Touch(canary)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "torch.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Touch(canary)))
    for name in ("objects.npz", "torch.pt"):
        with pytest.raises(ValueError, match=r"scripts/prepare_reference.py"):
            Archive(tmp_path / name)
    assert not canary.exists()


def member(shape: str, body: bytes = b"") -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (member("(1000000000000,)"), "its header says"),
        (member("(-2, -4)", bytes(8)), "its header says"),
        (member("(4,)", bytes(9)), "its header says"),
        (member("(__import__('os').system('true'),)"), "no readable header"),
        (b"\x93NUMPY\x09\x00", "no readable header"),
        (b"", "no readable header"),
        (member("(8000000,)", bytes(8_000_000)), "unpacks from"),
    ],
)
def test_archive_refuses_members_that_differ_from_their_headers(tmp_path: Path, content: bytes, message: str):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", content)
    with pytest.raises(ValueError, match=message):
        Archive(tmp_path / "a.npz")


def test_archive_refuses_two_arrays_of_one_name(tmp_path: Path):
    content = io.BytesIO()
    np.save(content, np.ones(3))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("mu.npy", content.getvalue())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("mu.npy", content.getvalue())
    with pytest.raises(ValueError, match="holds two arrays of one name"):
        Archive(tmp_path / "a.npz")


def test_archive_refuses_empty_and_missing_files(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(ValueError, match="holds no arrays"):
        Archive(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="there is no file"):
        Archive(tmp_path / "b.npz")
