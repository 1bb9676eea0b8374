"""Folders, `.npz` files and torchvision's sets as images in batches."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from its.dataset.cifar import Cifar
from its.dataset.folder import Folder, squared
from its.dataset.image_set import Loaded
from its.dataset.npz import Npz


def gathered(images, rows: int = 3) -> tuple[np.ndarray, np.ndarray]:
    parts = list(images.batches(rows))
    assert all(len(block) <= rows for block, _ in parts)
    assert sum(len(block) for block, _ in parts) == len(images)
    return np.concatenate([block for block, _ in parts]), np.concatenate([labels for _, labels in parts])


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)


def test_folder_gives_images_in_the_order_of_their_names(tmp_path: Path, pixels):
    for k in (3, 0, 6, 1, 2, 5, 4):
        Image.fromarray(pixels[k]).save(tmp_path / f"{k:05d}_label{9 - k}.png")
    (tmp_path / "notes.txt").touch()
    images, labels = gathered(Folder(str(tmp_path)))
    np.testing.assert_array_equal(images, pixels)
    assert labels.tolist() == [9, 8, 7, 6, 5, 4, 3]
    assert labels.dtype == np.int64


def test_folder_takes_subfolders_as_classes_in_alphabetical_order(tmp_path: Path, pixels):
    for k, name in enumerate(["dog/a.png", "cat/b.png", "cat/c.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[k]).save(tmp_path / name)
    images, labels = gathered(Folder(str(tmp_path)))
    np.testing.assert_array_equal(images, pixels[[1, 2, 0]])
    assert labels.tolist() == [0, 0, 1]


def test_folder_gives_no_class_to_images_named_without_one(tmp_path: Path, pixels):
    Image.fromarray(pixels[0]).save(tmp_path / "face.png")
    assert gathered(Folder(str(tmp_path)))[1].tolist() == [-1]


def save(root: Path, *names: str, pixels: np.ndarray | None = None) -> None:
    for k, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture = np.full((4, 4), k, dtype=np.uint8) if pixels is None else pixels
        Image.fromarray(picture).save(root / name)


def test_folder_takes_numbered_folders_as_classes_of_these_numbers(tmp_path: Path):
    save(tmp_path, *(f"{k}/a.png" for k in range(11)))
    assert gathered(Folder(str(tmp_path)))[1].tolist() == [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9], "by order of names"
    shutil.rmtree(tmp_path / "4")
    assert "10 classes (0, 1, 2, 3, 5, 6, 7, 8, 9, 10) of 1 to 1, and none of 1 below 10 (4)" in (
        Folder(str(tmp_path)).account
    )


def test_folder_leaves_out_what_systems_and_notebooks_leave_behind(tmp_path: Path):
    save(tmp_path, "cat/a.png", "dog/b.png")
    hidden = (".ipynb_checkpoints/a.png", "cat/.ipynb_checkpoints/a.png", "__MACOSX/cat/._a.png", "@eaDir/b.png")
    save(tmp_path, *hidden, "cat/._a.png", ".thumbnails/c.png")
    for name in ("Thumbs.db", "labels.csv", "cat/photo.heic"):
        (tmp_path / name).touch()
    folder = Folder(str(tmp_path))
    assert gathered(folder)[1].tolist() == [0, 1]
    for left_out in ("2 .ipynb_checkpoints/", "1 __MACOSX/", "1 @eaDir/", "1 .db", "1 .csv", "1 .heic", "1 hidden"):
        assert left_out in folder.account


def test_folder_refuses_splits_and_reads_one_of_them(tmp_path: Path):
    save(tmp_path, "train/cat/a.png", "train/dog/a.png", "val/cat/a.png", "val/dog/a.png")
    with pytest.raises(ValueError, match=rf"holds train, val, .* give one of them, such as {tmp_path}/train"):
        Folder(str(tmp_path))
    assert gathered(Folder(str(tmp_path / "train")))[1].tolist() == [0, 1]
    assert gathered(Folder(str(tmp_path), classes=False))[1].tolist() == [-1] * 4


def test_folder_refuses_classes_of_a_dataset_json(tmp_path: Path):
    """EDM's and StyleGAN's folders 00000, 00001 are no classes."""
    save(tmp_path, "00000/img00000000.png", "00001/img00001000.png")
    (tmp_path / "dataset.json").write_text('{"labels": [["00000/img00000000.png", 3]]}')
    with pytest.raises(ValueError, match=r"has a dataset.json, .* set classes=false"):
        Folder(str(tmp_path))
    assert gathered(Folder(str(tmp_path), classes=False))[1].tolist() == [-1, -1]


def test_folder_refuses_an_empty_class_folder_among_words(tmp_path: Path):
    save(tmp_path, "cat/a.png", "fox/a.png")
    (tmp_path / "dog").mkdir()
    with pytest.raises(ValueError, match=r"/dog holds no images, and as a class it would count"):
        Folder(str(tmp_path))
    shutil.rmtree(tmp_path)
    save(tmp_path, "0/a.png", "2/a.png")
    (tmp_path / "1").mkdir()
    assert gathered(Folder(str(tmp_path)))[1].tolist() == [0, 2], "numbers do not move"


def test_folder_reads_every_suffix_in_either_case(tmp_path: Path):
    save(tmp_path, "a.tif", "b.GIF", "c.jfif", "d.TIFF", "e.PNG", "f.JPG", "g.ppm", "h.bmp", "i.webp")
    assert len(gathered(Folder(str(tmp_path)))[0]) == 9


def test_folder_reads_names_of_any_bytes_and_refuses_what_is_no_file(tmp_path: Path):
    save(tmp_path, "a.png")
    before = Folder(str(tmp_path)).fingerprint()
    os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/\xff.png")
    assert Folder(str(tmp_path)).fingerprint() not in ("", before)
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b.png is a link to nothing, or no file; take it out"):
        Folder(str(tmp_path))
    (tmp_path / "b.png").unlink()
    (tmp_path / "c.png").symlink_to("absent.png")
    with pytest.raises(ValueError, match=r"c.png is a link to nothing"):
        Folder(str(tmp_path))


def test_folder_keeps_grey_in_one_channel(tmp_path: Path, pixels):
    save(tmp_path, "a.png", "b.gif")
    assert gathered(Folder(str(tmp_path), channels=1))[0].shape == (2, 4, 4, 1)
    assert gathered(Folder(str(tmp_path), channels=None))[0].shape == (2, 4, 4, 1)
    assert gathered(Folder(str(tmp_path)))[0].shape == (2, 4, 4, 3)
    save(tmp_path, "c.png", pixels=pixels[0][:4, :4])
    assert gathered(Folder(str(tmp_path), channels=None))[0].shape == (3, 4, 4, 3)
    with pytest.raises(ValueError, match=r"c.png .*it is in colour"):
        gathered(Folder(str(tmp_path), channels=1))


def test_folder_follows_links_to_folders_but_not_in_circles(tmp_path: Path):
    save(tmp_path / "there", "a.png")
    save(tmp_path / "here", "dog/b.png")
    (tmp_path / "here" / "cat").symlink_to(tmp_path / "there")
    assert gathered(Folder(str(tmp_path / "here")))[1].tolist() == [0, 1]
    (tmp_path / "here" / "dog" / "up").symlink_to(tmp_path / "here")
    with pytest.raises(ValueError, match=r"dog/up is a link to a folder that holds it"):
        Folder(str(tmp_path / "here"))


def test_folder_names_a_picture_that_is_cut_short(tmp_path: Path, pixels):
    save(tmp_path, "a.png", "b.jpg", pixels=np.repeat(np.repeat(pixels[0], 9, axis=0), 9, axis=1))
    whole = (tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"b.jpg cannot be read as an image"):
        gathered(Folder(str(tmp_path)))


def test_folder_fingerprint_follows_content_names_and_crop(tmp_path: Path, pixels):
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    first = Folder(str(tmp_path)).fingerprint()
    assert Folder(str(tmp_path)).fingerprint() == first
    prints = {first, Folder(str(tmp_path), "adm", 4).fingerprint(), Folder(str(tmp_path), "squash", 4).fingerprint()}
    Image.fromarray(pixels[1]).save(tmp_path / "a.png")
    prints.add(Folder(str(tmp_path)).fingerprint())
    (tmp_path / "a.png").rename(tmp_path / "b_label1.png")
    prints.add(Folder(str(tmp_path)).fingerprint())
    assert len(prints) == 5


def test_squared_takes_the_centre_by_adm_and_the_whole_by_squash():
    """A wide image whose left half is black and right half white, with a red square in the middle."""
    wide = np.zeros((64, 192, 3), dtype=np.uint8)
    wide[:, 96:] = 255
    wide[:, 64:128] = [255, 0, 0]
    image = Image.fromarray(wide)
    assert (np.asarray(squared(image, "adm", 16)) == [255, 0, 0]).all(), "only the square in the middle is left"
    squashed = np.asarray(squared(image, "squash", 12))
    assert squashed.shape == (12, 12, 3)
    np.testing.assert_array_equal(squashed[6, [1, 6, 10]], [[0, 0, 0], [255, 0, 0], [255, 255, 255]])


def test_squared_by_adm_halves_by_averaging_before_bicubic():
    rough = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
    by_hand = rough.reshape(16, 4, 16, 4).astype(float).mean(axis=(1, 3))
    found = np.asarray(squared(Image.fromarray(rough), "adm", 16)).astype(float)
    assert np.abs(found - by_hand).max() <= 2.5, "two halvings, rounded four times"
    at_once = np.asarray(Image.fromarray(rough).resize((16, 16), Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(at_once - by_hand).max() > 5


@pytest.mark.parametrize(
    ("crop", "size", "message"),
    [("none", 8, "none has null"), ("adm", None, "have a size"), ("centre", 8, "choose one of none, adm, squash")],
)
def test_folder_refuses_mismatched_crop_and_size(tmp_path: Path, crop, size, message):
    with pytest.raises(ValueError, match=message):
        Folder(str(tmp_path), crop, size)


def test_folder_refuses_missing_unequal_and_damaged_images(tmp_path: Path, pixels):
    with pytest.raises(ValueError, match="there are no images"):
        Folder(str(tmp_path))
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    Image.fromarray(pixels[0][:4]).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b.png has shape \(4, 5, 3\).*set crop"):
        gathered(Folder(str(tmp_path)))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"b.png cannot be read as an image"):
        gathered(Folder(str(tmp_path)))


@pytest.mark.parametrize("names", [("arr_0", "arr_1"), ("arr", "label_arr")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_reads_images_and_labels_under_either_name(tmp_path: Path, pixels, names, save):
    save(tmp_path / "a.npz", **dict(zip(names, (pixels, np.arange(7)), strict=True)))
    images, labels = gathered(Npz(str(tmp_path / "a.npz")))
    np.testing.assert_array_equal(images, pixels)
    assert labels.tolist() == list(range(7))


def test_npz_without_labels_gives_no_class_to_its_images(tmp_path: Path, pixels):
    np.savez(tmp_path / "a.npz", pixels)
    assert gathered(Npz(str(tmp_path / "a.npz")))[1].tolist() == [-1] * 7


U8, IDS = np.zeros((2, 4, 5, 3), dtype=np.uint8), np.arange(2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(3)}, "holds mu, and no images"),
        ({"x_train": U8}, r"holds x_train, and no images in arr_0 or arr; .* np.savez\(path, arr_0=images"),
        ({"arr_0": U8, "arr": U8}, "holds arr_0 and arr, and which is meant"),
        ({"arr_0": U8, "arr_1": IDS, "label_arr": IDS}, "holds arr_1 and label_arr, and which is meant"),
        ({"arr_0": np.zeros((2, 4, 4, 3))}, r"is float64 of shape .* np.rint\(255 \* images\).* if in \[-1, 1\]"),
        ({"arr_0": np.zeros((2, 4, 4, 3), np.float16)}, "is float16 of shape"),
        ({"arr_0": np.zeros((2, 4, 4, 3), np.int64)}, "is int64 of shape"),
        ({"arr_0": np.zeros((2, 4, 4, 3), bool)}, "is bool of shape"),
        ({"arr_0": np.zeros((2, 3, 4, 4), dtype=np.uint8)}, r"C 1 or 3: save images.transpose\(0, 2, 3, 1\)"),
        ({"arr_0": np.zeros((2, 3, 4, 3), dtype=np.uint8)}, "if channels come first"),
        ({"arr_0": np.zeros((2, 4, 4), dtype=np.uint8)}, r"save grey ones as images\[\.\.\., None\]"),
        ({"arr_0": np.zeros((2, 4, 4, 4), dtype=np.uint8)}, "C 1 or 3"),
        ({"arr_0": np.zeros((0, 4, 4, 3), dtype=np.uint8)}, "C 1 or 3"),
        ({"arr_0": np.asfortranarray(U8)}, "Fortran order"),
        ({"arr_0": U8, "arr_1": np.zeros(3)}, "there are 2 images; it is one class id each"),
        ({"arr_0": U8, "arr_1": np.eye(2)}, r"labels.argmax\(1\), if they are one-hot"),
        ({"arr_0": U8, "arr_1": IDS[:, None]}, r"save labels\[:, 0\]"),
        ({"arr_0": U8, "arr_1": np.zeros(2)}, r"is float64 .* labels.astype\(np.int64\)"),
        ({"arr_0": U8, "arr_1": np.array(["cat", "dog"])}, "save whole numbers"),
    ],
)
def test_npz_refuses_bad_images_and_labels(tmp_path: Path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        Npz(str(tmp_path / "a.npz"))


@pytest.mark.parametrize(("ids", "found"), [([-2, 0], "holds -2 to 0"), ([0, 2**31], f"holds 0 to {2**31}")])
def test_npz_refuses_numbers_that_are_no_class_ids(tmp_path: Path, ids, found):
    np.savez(tmp_path / "a.npz", arr_0=U8, arr_1=np.array(ids))
    with pytest.raises(ValueError, match=found):
        gathered(Npz(str(tmp_path / "a.npz")))


def test_npz_refuses_fractions_that_were_cut_to_bytes(tmp_path: Path):
    np.savez(tmp_path / "a.npz", arr_0=np.random.default_rng(0).integers(0, 2, (7, 4, 4, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"arr_0 of .* holds nothing above 1; save np.rint\(255 \* images\)"):
        gathered(Npz(str(tmp_path / "a.npz")))
    np.savez(tmp_path / "black.npz", arr_0=U8)
    assert gathered(Npz(str(tmp_path / "black.npz")))[0].max() == 0, "a black image is one"


def test_npz_account_says_what_was_taken_and_left_out(tmp_path: Path, pixels):
    np.savez(tmp_path / "a.npz", arr_0=pixels[..., :1], arr_1=np.arange(7), mu=np.zeros(3), notes=np.zeros(2))
    images = Npz(str(tmp_path / "a.npz"))
    assert images.account == f"{tmp_path}/a.npz: 7 images of 6x5 in grey, classes from arr_1; left out: notes"
    assert images.shape == (1, 6, 5)


def test_loaded_fingerprint_follows_the_content(pixels):
    labels = np.zeros(7, dtype=np.int64)
    prints = {Loaded("a", pixels, labels).fingerprint(), Loaded("b", pixels.copy(), labels).fingerprint()}
    assert len(prints) == 1
    assert Loaded("a", pixels, labels + 1).fingerprint() not in prints


def test_cifar_reads_the_files_of_torchvision(tmp_path: Path, monkeypatch):
    """Files in the original's format, with MD5 sums of their own, as there is no network here."""
    import hashlib
    import pickle

    from torchvision.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    lists = {"train_list": [], "test_list": []}
    for name in ("train_list", "test_list"):
        content = pickle.dumps({"data": rows, "labels": [7, 1]})
        (folder / name).write_bytes(content)
        lists[name] = [[name, hashlib.md5(content).hexdigest()]]
    content = pickle.dumps({"label_names": [str(k) for k in range(10)]})
    (folder / "meta").write_bytes(content)
    monkeypatch.setattr(
        CIFAR10, "meta", {"filename": "meta", "key": "label_names", "md5": hashlib.md5(content).hexdigest()}
    )
    for name, value in lists.items():
        monkeypatch.setattr(CIFAR10, name, value)
    archive = Path(shutil.make_archive(str(tmp_path / "cifar-10-python"), "gztar", tmp_path, folder.name))
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    shutil.rmtree(folder)
    Cifar.fetch(10, str(tmp_path))  # torchvision finds the download there already, and unpacks it
    ((images, labels),) = Cifar(10, str(tmp_path)).batches(9)
    np.testing.assert_array_equal(images, rows.reshape(2, 3, 32, 32).transpose(0, 2, 3, 1))
    assert labels.tolist() == [7, 1]
    (folder / "train_list").write_bytes(b"not the same")
    with pytest.raises(ValueError, match=r"files of cifar10-train .* are damaged"):
        Cifar(10, str(tmp_path)).batches(9)


def test_cifar_tells_how_to_get_missing_files(tmp_path: Path):
    with pytest.raises(ValueError, match=r"CIFAR100 as C; C\(.*download=True"):
        Cifar(100, str(tmp_path))
    with pytest.raises(ValueError, match="there is CIFAR-10 and -100"):
        Cifar(11, str(tmp_path))
