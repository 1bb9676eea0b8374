"""A file of arrays: safetensors, in which integers lie packed without loss where that is smaller.

A packed array is a tensor of bytes; the file's `__metadata__` names its codec, type and shape. Two versions of zlib may
pack the same array into other bytes, so files are the same if their arrays are: see `digests_of`.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from its.disk.files import DamagedFile

CODECS = "codecs"
"""Key of the metadata: for each packed array its codec, type and shape, as JSON."""

HARMLESS = "format"
"""Key of the metadata by which other libraries say which framework's tensors they are."""

NOTE = {"codec", "dtype", "shape"}
"""What is said of a packed array."""

MOST_BYTES = 1 << 31
"""Of an array that is packed: a larger one lies as it is, and one that says it is larger is not unpacked."""

OTHER_VERSION = "read it with the version that wrote it"
"""The remedy where a later version has packed otherwise."""

TYPES = tuple(np.dtype(kind).str for kind in "?bBhHiIqQ")
"""Types that are packed. Floats are not: noise and rewards do not shrink, and features by a fifth, slowly."""

TRIED = 8
"""Images by which the codec of all is chosen."""

_ZERO = np.uint8(0)


def to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the file that holds these arrays."""
    from safetensors.numpy import save

    tensors, notes = dict[str, np.ndarray](), dict[str, Any]()
    for name, array in arrays.items():
        tensors[name] = plain = np.ascontiguousarray(array)
        if plain.dtype.str not in TYPES or not 0 < plain.nbytes <= MOST_BYTES:
            continue
        codec, content = _packed(plain)
        note = {"codec": codec, "dtype": plain.dtype.str, "shape": plain.shape}
        if len(content) + len(json.dumps(note)) < plain.nbytes:
            tensors[name], notes[name] = np.frombuffer(content, np.uint8), note
    return save(tensors, {CODECS: json.dumps(notes, sort_keys=True)} if notes else None)


def from_bytes(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a file, one of an earlier version too, which packed nothing.

    Raises:
        DamagedFile: it is no such file. ValueError: it was packed in a way that is not known here.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__", {})
        notes = json.loads(metadata.get(CODECS, "{}"))
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedFile(f"it is no safetensors file ({error})") from error
    if unknown := sorted(metadata.keys() - {CODECS, HARMLESS}):
        raise ValueError(f"its metadata says {unknown[0]!r}, which this version does not know; {OTHER_VERSION}")
    if not isinstance(notes, dict) or not notes.keys() <= tensors.keys():
        raise DamagedFile("its metadata names packed arrays that it does not hold")
    return tensors | {name: _unpacked(name, tensors[name], note) for name, note in notes.items()}


def digests_of(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return the sha256 of each array's type, shape and bytes, however a file packs them."""
    return {name: _digest(np.ascontiguousarray(array)) for name, array in sorted(arrays.items())}


def _digest(array: np.ndarray) -> str:
    digest = sha256(f"{array.dtype.str} {array.shape}\0".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _packed(array: np.ndarray) -> tuple[str, bytes]:
    """Return the codec that suits an array, and what it makes of it; of images, the first few tell."""
    if array.dtype != np.uint8 or array.ndim != 4:
        return "zlib", _deflated(array, zlib.Z_DEFAULT_STRATEGY)
    some, runs = array[:TRIED], zlib.Z_RLE  # runs are found fast, and little else is there to find
    if len(_deflated(_gradient(some), runs)) < len(_deflated(some, runs)):
        return "gradient+zlib", _deflated(_gradient(array), runs)
    return "zlib", _deflated(array, runs)


def _deflated(array: np.ndarray, strategy: int) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return packer.compress(array.reshape(-1).view(np.uint8).data) + packer.flush()


def _gradient(images: np.ndarray) -> np.ndarray:
    """Return uint8 images `[n, H, W, C]` less what their neighbours predict, modulo 256.

    A pixel is predicted as left + above - left above, and of RGB red and blue by green (PNG's gradient without its
    clipping, and WebP's subtracted green).
    """
    rest = np.diff(np.diff(images, axis=1, prepend=_ZERO), axis=2, prepend=_ZERO)
    for channel in (0, 2) if images.shape[3] == 3 else ():
        rest[..., channel] -= rest[..., 1]
    return rest


def _from_gradient(rest: np.ndarray) -> np.ndarray:
    """Return the images of which `_gradient` made `rest`."""
    if rest.ndim != 4 or rest.dtype != np.uint8:
        raise DamagedFile("an array packed as images is none")
    rest = rest.copy()
    for channel in (0, 2) if rest.shape[3] == 3 else ():
        rest[..., channel] += rest[..., 1]
    return rest.cumsum(axis=2, dtype=np.uint8).cumsum(axis=1, dtype=np.uint8)


UNPACKED: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "zlib": lambda array: array,
    "gradient+zlib": _from_gradient,
}
"""Codecs: what makes the array of that which zlib returns."""


def _unpacked(name: str, packed: np.ndarray, note: Any) -> np.ndarray:
    """Return a packed array; what it says of itself is believed only as far as its content bears it out."""
    entry = note if isinstance(note, dict) else {}
    codec, dtype, shape = str(entry.get("codec")), entry.get("dtype"), entry.get("shape")
    if codec not in UNPACKED:
        raise ValueError(
            f"{name} is packed by codec {codec!r}, and this version knows {', '.join(UNPACKED)}; {OTHER_VERSION}"
        )
    if unknown := sorted(entry.keys() - NOTE):
        raise ValueError(f"{name} is packed with {unknown[0]!r}, which this version does not know; {OTHER_VERSION}")
    sizes = shape if isinstance(shape, list) else [-1]
    sized = dtype in TYPES and all(type(size) is int and size >= 0 for size in sizes)
    nbytes = math.prod(sizes) * np.dtype(dtype).itemsize if sized else MOST_BYTES + 1
    if nbytes > MOST_BYTES:
        raise DamagedFile(f"{name} is packed, and is said to be {dtype} {shape}, which nothing here packs")

    # Unpack no more than it may come to.
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed.tobytes(), nbytes + 1)
    except zlib.error as error:
        raise DamagedFile(f"{name} cannot be unpacked ({error})") from error
    if len(content) != nbytes or not unpacker.eof or unpacker.unused_data:
        raise DamagedFile(f"{name} does not unpack to {dtype} {shape}")
    return UNPACKED[codec](np.frombuffer(bytearray(content), dtype).reshape(shape))
