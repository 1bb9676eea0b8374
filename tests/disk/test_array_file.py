"""Files of arrays: what is packed comes back to the bit, and what a file says of itself is not believed."""

import json
import zlib
from contextlib import suppress

import numpy as np
import pytest
from safetensors.numpy import load, save

from its.disk.array_file import CODECS, MOST_BYTES, TYPES, digests_of, from_bytes, to_bytes
from its.disk.files import DamagedFile

RANDOM = np.random.Generator(np.random.Philox(key=3))


def images(channels: int) -> np.ndarray:
    """Smooth images with a little noise, uint8 `[8, 32, 24, channels]`."""
    slope = np.linspace(0, 400, 32)[:, None, None] + np.linspace(0, 90, 24)[:, None] + np.arange(channels) * 50
    return ((slope + RANDOM.integers(0, 4, (8, 32, 24, channels))) % 256).astype(np.uint8)


def packed(name: str, array: np.ndarray, **said: object) -> bytes:
    """A file with one array packed by zlib, of which the metadata says something else."""
    note = {"codec": "zlib", "dtype": array.dtype.str, "shape": list(array.shape)} | said
    tensor = np.frombuffer(zlib.compress(array.tobytes()), np.uint8)
    return save({name: tensor}, {CODECS: json.dumps({name: note})})


def notes_of(content: bytes) -> dict:
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header.get("__metadata__", {}).get(CODECS, "{}"))


@pytest.mark.parametrize("kind", [*TYPES, "<f4", "<f8"])
@pytest.mark.parametrize("shape", [(0, 1, 1, 1), (1,), (300,), (5, 7, 9, 3), (5, 7, 9, 1), (4, 3, 2, 2), (40, 30)])
def test_from_bytes_gives_back_every_bit(kind, shape):
    for array in (RANDOM.integers(0, 2, shape).astype(kind), RANDOM.integers(0, 100, shape).astype(kind)):
        arrays = {"first": array, "second": np.flip(array)}
        back = from_bytes(to_bytes(arrays))
        for name in arrays:
            assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
            assert back[name].tobytes() == arrays[name].tobytes()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_to_bytes_packs_images_by_their_gradient_where_that_is_smaller(channels):
    array = images(channels)
    content = to_bytes({"images": array})
    assert notes_of(content)["images"]["codec"] == "gradient+zlib"
    assert len(content) < array.nbytes / 2
    assert np.array_equal(from_bytes(content)["images"], array)


def test_to_bytes_leaves_floats_and_what_does_not_shrink_as_they_are():
    arrays = {
        "noise": RANDOM.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8),
        "features": np.zeros((100, 100), np.float32),
        "few": np.zeros(4, np.int64),
    }
    content = to_bytes(arrays)
    assert content == save(arrays), "no array is packed, so this is the file of an earlier version"
    assert digests_of(load(content)) == digests_of(arrays)


def test_to_bytes_of_real_images_is_smaller_than_png(cifar):
    """The codec pays: Pillow's PNG needs 0.74 of these images' bytes."""
    array = cifar["test"][:300]
    assert len(to_bytes({"images": array})) < 0.62 * array.nbytes


def test_to_bytes_of_the_same_arrays_is_the_same_file():
    arrays = {f"array{k}": np.full(1000, k) for k in range(20)}
    assert len({to_bytes(arrays) for _ in range(20)}) == 1


def test_from_bytes_refuses_a_codec_that_it_does_not_know():
    with pytest.raises(ValueError, match=r"images is packed by codec 'webp', and this version knows zlib, ") as refusal:
        from_bytes(packed("images", images(3), codec="webp"))
    assert not isinstance(refusal.value, DamagedFile), "it is whole, so it may not be made again"


@pytest.mark.parametrize(
    "said",
    [
        {"shape": [100]},
        {"shape": [102]},
        {"shape": [-101]},
        {"shape": [101.0]},
        {"shape": [True, 101]},
        {"shape": "101"},
        {"shape": [MOST_BYTES, MOST_BYTES]},
        {"shape": None},
        {"dtype": "<i4"},
        {"dtype": "|O"},
        {"dtype": "<f8"},
        {"dtype": None},
        {"codec": "gradient+zlib"},
    ],
)
def test_from_bytes_refuses_what_an_array_does_not_unpack_to(said):
    assert from_bytes(packed("index", np.arange(101)))["index"].tolist() == [*range(101)]
    with pytest.raises(DamagedFile, match=r"index|packed as images"):
        from_bytes(packed("index", np.arange(101), **said))


def test_from_bytes_unpacks_no_more_than_the_shape_says(monkeypatch):
    bomb = packed("index", np.zeros(1 << 20, np.uint8), shape=[10])
    sizes = []
    whole = zlib.decompressobj

    class Watched:
        def __init__(self):
            self.inner = whole()

        def decompress(self, content, most):
            sizes.append(len(result := self.inner.decompress(content, most)))
            return result

        def __getattr__(self, name):
            return getattr(self.inner, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    with pytest.raises(DamagedFile):
        from_bytes(bomb)
    assert sizes == [11]


@pytest.mark.parametrize("place", [0, 8, 20, 60, -30, -1])
def test_from_bytes_names_damage_and_never_fails_otherwise(place):
    content = bytearray(to_bytes({"images": images(3), "index": np.arange(100)}))
    content[place] ^= 0xFF
    with suppress(ValueError):  # and nothing else; a store would have known by the sha256
        from_bytes(bytes(content))


@pytest.mark.parametrize("metadata", [{CODECS: "[1]"}, {CODECS: '{"other": {}}'}, {CODECS: "{"}, {CODECS: '{"a": 3}'}])
def test_from_bytes_refuses_metadata_that_says_nothing_true(metadata):
    with pytest.raises(ValueError, match=r"metadata|no safetensors|codec 'None'"):
        from_bytes(save({"a": np.arange(3)}, metadata))


def test_from_bytes_ignores_metadata_of_others():
    assert from_bytes(save({"a": np.arange(3)}, {"format": "pt"}))["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"transform": "log"}, "its metadata says 'transform'"),
        ({CODECS: '{"a": {"codec": "zlib", "dtype": "<i8", "shape": [3], "order": "F"}}'}, "a is packed with 'order'"),
    ],
)
def test_from_bytes_refuses_what_a_later_version_says_more(metadata, told):
    packed = np.frombuffer(zlib.compress(np.arange(3).tobytes()), np.uint8)
    with pytest.raises(ValueError, match=f"{told}, which this version does not know; read it with") as refusal:
        from_bytes(save({"a": packed}, metadata))
    assert not isinstance(refusal.value, DamagedFile)


def test_digests_of_tell_type_and_shape_apart():
    zeros = [np.zeros(shape, kind) for shape in ((8,), (2, 4)) for kind in ("<i8", "<u8", "<f8")]
    assert len({digests_of({"a": array})["a"] for array in zeros}) == 6
    array = RANDOM.integers(0, 9, (4, 6))
    assert digests_of({"a": array.T}) == digests_of({"a": np.ascontiguousarray(array.T)}) != digests_of({"a": array})
