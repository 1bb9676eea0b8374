"""NumPy's `.npz` files, read without trusting them: no pickles, nothing larger than it says, rows as a stream."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from its.disk.leftovers import temporary_name

MOST_BYTES = 1 << 31
"""Of an array that is read whole."""

MOST_PACKED = 200
"""How many times smaller than its content a large member may be; deflate reaches 1,000 on zeros alone."""

CHUNK = 1 << 20
REMAKE = "pickles run code when they are opened, so they are not; remake it: python scripts/prepare_reference.py"


@dataclass(frozen=True)
class Header:
    """The header of a member: shape and type of its array, and where that begins."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    offset: int

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


class Archive:
    """A `.npz` whose directory and headers have been checked.

    Attributes:
        headers: by array name.

    Raises:
        ValueError: it is no such file, is damaged, holds pickled objects or unpacks to far more than it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Refuse what is no archive; a pickle gets the way to make one.
        if not path.is_file():
            raise ValueError(f"there is no file {path.absolute()}; give the path of a .npz")
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                pickled = file.read(1) in (b"\x80", b"(") or path.suffix in (".pkl", ".pickle", ".pt", ".pth")
            why = f"{REMAKE} <images> {path.with_suffix('.npz').name}" if pickled else "it is cut short, or no .npz"
            raise ValueError(f"{path} cannot be read: {why}")

        # Read the headers of its arrays.
        with self._zip() as archive:
            names = archive.namelist()
            if any(Path(name).name == "data.pkl" for name in names):
                raise ValueError(f"{path} cannot be read: {REMAKE} <images> {path.with_suffix('.npz').name}")
            if len(set(names)) < len(names):
                raise ValueError(f"{path} holds two arrays of one name, and which is meant is not said; make it again")
            self.headers = {
                info.filename.removesuffix(".npy"): self._header(archive, info)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
        if not self.headers:
            raise ValueError(f"{path} holds no arrays; it is no .npz")

    def verify(self) -> None:
        """Read everything once, a piece at a time, and compare it with its checksums.

        Raises:
            ValueError: a byte is not what it was.
        """
        with self._zip() as archive:
            for name in self.headers:
                with archive.open(f"{name}.npy") as member:
                    while self._read(member, name, CHUNK):
                        pass

    def array(self, name: str) -> np.ndarray:
        """Return a whole array."""
        header = self.headers[name]
        if header.nbytes > MOST_BYTES:
            raise ValueError(
                f"{name} of {self.path} is {header.nbytes / 1e9:.1f} GB, and at most "
                f"{MOST_BYTES / 1e9:.1f} are read whole; make it smaller"
            )
        (content,) = self._pieces(name, [header.nbytes])
        flat = np.frombuffer(content, dtype=header.dtype)
        return flat.reshape(header.shape, order="F" if header.fortran else "C")

    def rows(self, name: str, count: int) -> Iterator[np.ndarray]:
        """Yield the rows of an array, `count` at a time.

        Raises:
            ValueError: it is stored by columns.
        """
        header = self.headers[name]
        if header.fortran:
            raise ValueError(
                f"{name} of {self.path} is in Fortran order, and rows are read one after another; save "
                "np.ascontiguousarray of it"
            )
        row = header.nbytes // max(1, header.shape[0])
        sizes = [min(count, header.shape[0] - first) for first in range(0, header.shape[0], count)]
        for size, content in zip(sizes, self._pieces(name, [size * row for size in sizes]), strict=True):
            yield np.frombuffer(content, dtype=header.dtype).reshape(size, *header.shape[1:])

    def _pieces(self, name: str, sizes: Iterable[int]) -> Iterator[bytes]:
        """Yield the bytes of a member after its header; see that they are all there and no more."""
        with self._zip() as archive, archive.open(f"{name}.npy") as member:
            self._read(member, name, self.headers[name].offset)
            for size in sizes:
                content = self._read(member, name, size)
                if len(content) != size:
                    raise ValueError(f"{name} of {self.path} ends early; the file is damaged: get it again")
                yield content
            self._read(member, name, 1)  # past the end: where the checksum is compared

    def _read(self, member: IO[bytes], name: str, size: int) -> bytes:
        try:
            return member.read(size)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, zlib.error) as error:
            raise ValueError(f"{name} of {self.path} is damaged ({error}); get or make the file again") from error

    def _zip(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError(f"{self.path} is damaged ({error}); get or make the file again") from error

    def _header(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
        name = info.filename.removesuffix(".npy")

        # Refuse a member that unpacks to far more than it is.
        if info.file_size > CHUNK and info.file_size > MOST_PACKED * info.compress_size:
            raise ValueError(
                f"{name} of {self.path} unpacks from {info.compress_size / 1e6:.1f} to "
                f"{info.file_size / 1e6:.0f} MB; images do not: it is not opened"
            )

        # Read the header, and compare it with the member's size.
        try:
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                shape, fortran, dtype = read[version](member)
                header = Header(shape, dtype, fortran, member.tell())
        except (
            ValueError,
            KeyError,
            zipfile.BadZipFile,
            OSError,
            EOFError,
            RuntimeError,
            NotImplementedError,
            zlib.error,
        ) as error:
            raise ValueError(
                f"{name} of {self.path} has no readable header ({error}); the file is damaged: get or make it again"
            ) from error
        if dtype.hasobject:
            raise ValueError(f"{name} of {self.path} holds Python objects: {REMAKE} <images> {self.path.name}")
        if min(shape, default=0) < 0 or header.offset + header.nbytes != info.file_size:
            raise ValueError(
                f"{name} of {self.path} is {info.file_size} bytes, and its header says "
                f"{header.offset + header.nbytes}; the file is damaged: get it again"
            )
        return header


@dataclass(frozen=True)
class Stream:
    """An array that is written a piece at a time: blocks along the first axis, and the shape they add up to."""

    shape: tuple[int, ...]
    dtype: Any
    blocks: Iterable[np.ndarray]


def write_npz(path: Path, arrays: Mapping[str, np.ndarray | Stream]) -> None:
    """Write arrays so that `path` is only ever absent or whole; the same arrays always give the same bytes.

    Raises:
        ValueError: a stream's blocks do not add up to its shape.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    _write_member(member, name, array)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_member(member: IO[bytes], name: str, array: np.ndarray | Stream) -> None:
    stream = array if isinstance(array, Stream) else Stream(array.shape, array.dtype, [array])
    dtype = np.dtype(stream.dtype)
    np.lib.format.write_array_header_1_0(
        member, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(stream.shape)}
    )
    written = 0
    for block in stream.blocks:
        content = np.ascontiguousarray(block, dtype=dtype).tobytes()
        member.write(content)
        written += len(content)
    if written != int(np.prod(stream.shape, dtype=object)) * dtype.itemsize:
        raise ValueError(f"{name} was to have shape {stream.shape} and got {written} bytes")
