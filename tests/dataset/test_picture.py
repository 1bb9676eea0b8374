"""Pictures in every form that people have: read to the pixel, or refused by name."""

import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from its.dataset.picture import SUFFIXES, is_grey, read_picture

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
GREY = COLOUR[..., 0].copy()
LOSSLESS = (".png", ".bmp", ".dib", ".tif", ".TIFF", ".ppm", ".PNM")


def read(path: Path, channels: int) -> np.ndarray:
    return np.asarray(read_picture(path, channels))


def png(depth: int, kind: int, rows: list[bytes], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 5 pixels a row, spelled out as the standard has it."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 5, len(rows), depth, kind, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), (b"IEND", b"")]
    whole = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_read_picture_keeps_every_pixel_of_lossless_files(tmp_path: Path, suffix):
    Image.fromarray(COLOUR).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read(tmp_path / f"a{suffix}", 3), COLOUR)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".pgm", ".tif", ".bmp"])
def test_read_picture_keeps_grey_in_one_channel_and_repeats_it_in_three(tmp_path: Path, suffix):
    Image.fromarray(GREY).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read(tmp_path / f"a{suffix}", 1), GREY)
    np.testing.assert_array_equal(read(tmp_path / f"a{suffix}", 3), np.repeat(GREY[..., None], 3, axis=2))
    assert is_grey(tmp_path / f"a{suffix}")


def test_read_picture_takes_grey_out_of_colour_and_refuses_colour(tmp_path: Path):
    Image.fromarray(np.repeat(GREY[..., None], 3, axis=2)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png", 1), GREY)
    assert not is_grey(tmp_path / "a.png")
    Image.fromarray(COLOUR).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b.png .*it is in colour"):
        read(tmp_path / "b.png", 1)


@pytest.mark.parametrize("suffix", [".jpg", ".jfif", ".JPEG", ".jpe", ".webp"])
def test_read_picture_reads_compressed_files(tmp_path: Path, suffix):
    flat = np.full((6, 5, 3), (200, 100, 50), dtype=np.uint8)
    Image.fromarray(flat).save(tmp_path / f"a{suffix}", quality=95)
    assert Path(f"a{suffix}").suffix.lower() in SUFFIXES
    assert np.abs(read(tmp_path / f"a{suffix}", 3).astype(int) - flat).max() <= 4


def test_read_picture_reads_palettes_bits_and_opaque_alpha(tmp_path: Path):
    few = np.array([[10, 20, 30], [250, 0, 5]], dtype=np.uint8)[np.arange(30).reshape(6, 5) % 2]
    Image.fromarray(few).quantize(4).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read(tmp_path / "palette.png", 3), few)
    bits = np.arange(30).reshape(6, 5) % 3 == 0
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read(tmp_path / "bits.png", 1), bits * np.uint8(255))
    Image.fromarray(np.dstack([COLOUR, np.full((6, 5), 255, np.uint8)])).save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(read(tmp_path / "opaque.png", 3), COLOUR)
    Image.fromarray(np.dstack([GREY, np.full((6, 5), 255, np.uint8)])).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read(tmp_path / "la.png", 1), GREY)


@pytest.mark.parametrize(("orientation", "quarters"), [(3, 2), (6, -1), (8, 1)])
def test_read_picture_turns_upright_as_exif_says(tmp_path: Path, orientation, quarters):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.png", "a.tif"):
        Image.fromarray(COLOUR).save(tmp_path / name, exif=exif)
        np.testing.assert_array_equal(read(tmp_path / name, 3), np.rot90(COLOUR, quarters))


def test_read_picture_says_that_cmyk_has_no_profile(tmp_path: Path, caplog):
    Image.new("CMYK", (5, 6), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path / "a.tif", 3)[0, 0].tolist() == [255, 0, 0]
    assert "a.tif is CMYK" in caplog.text


def gif(path: Path) -> None:
    frames = [Image.fromarray(np.full((6, 5), value, np.uint8)) for value in (0, 120)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


UNCERTAIN = {
    "frames.gif": (gif, "it holds 2 frames"),
    "pages.tif": (gif, "it holds 2 frames"),
    "moving.webp": (gif, "it holds 2 frames"),
    "moving.png": (gif, "it holds 2 frames"),
    "grey16.png": (lambda path: Image.fromarray(GREY.astype(np.uint16) * 257).save(path), "more than 8 bits"),
    "rgb16.png": (lambda path: path.write_bytes(png(16, 2, [bytes(range(30))] * 6)), "more than 8 bits"),
    "rgb16.ppm": (lambda path: path.write_bytes(b"P6 5 6 65535\n" + bytes(180)), "more than 8 bits"),
    "float.tif": (lambda path: Image.fromarray(GREY.astype(np.float32)).save(path), "more than 8 bits"),
    "int.tif": (lambda path: Image.fromarray(GREY.astype(np.int32)).save(path), "more than 8 bits"),
    "lab.tif": (lambda path: Image.new("LAB", (5, 6)).save(path), "colours need a choice"),
    "glass.png": (lambda path: Image.new("RGBA", (5, 6), (1, 2, 3, 200)).save(path), "see-through"),
    "hole.png": (lambda path: path.write_bytes(png(8, 2, [bytes(15)] * 6, (b"tRNS", bytes(6)))), "see-through"),
    "hole.gif": (lambda path: Image.new("P", (5, 6), 3).save(path, transparency=3), "see-through"),
    "page.jpg": (lambda path: path.write_bytes(b"<html>not found</html>"), "cannot identify"),
    "empty.png": (lambda path: path.touch(), "cannot identify"),
    "gone.png": (lambda path: path.symlink_to("nowhere.png"), "No such file"),
}


@pytest.mark.parametrize(
    ("name", "write", "reason"), [(name, *pair) for name, pair in UNCERTAIN.items()], ids=UNCERTAIN
)
def test_read_picture_refuses_by_name_what_would_be_guessed(tmp_path: Path, name, write, reason):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} cannot be read as an image .*{reason}"):
        read_picture(tmp_path / name, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".gif", ".webp", ".ppm"])
def test_read_picture_refuses_half_a_file_by_name(tmp_path: Path, suffix):
    path = tmp_path / f"half{suffix}"
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for share in (0.2, 0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=rf"half\{suffix} cannot be read"):
            read_picture(path, 3)
