"""Folders of pictures: classes by folder, one size, gray or in colour; damaged pictures named."""

from __future__ import annotations

import numpy as np
import pytest

from backlit import data
from backlit.base.errors import ArgumentError, DataError

from .damage import cuts, flips, survivors

Image = pytest.importorskip("PIL.Image")

RNG = np.random.default_rng(0)


def draw(path, size=(5, 4), colours=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, size if colours is None else (*size, colours), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def test_classes_are_folders(tmp_path):
    cat, dog = draw(tmp_path / "cat" / "2.png"), draw(tmp_path / "dog" / "1.bmp")
    first = draw(tmp_path / "cat" / "1.png")
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"?")
    found = data.read_images(tmp_path)
    np.testing.assert_array_equal(found.x, [first, cat, dog])
    assert (found.classes, found.y.tolist(), found.y.dtype) == (("cat", "dog"), [0, 0, 1], np.int64)
    assert [file.name for file in found.files] == ["1.png", "2.png", "1.bmp"]


def test_colour_comes_before_height_and_width(tmp_path):
    gray, colour = draw(tmp_path / "a" / "1.png"), draw(tmp_path / "b" / "2.png", colours=3)
    found = data.read_images(tmp_path)
    assert found.x.shape == (2, 3, 5, 4)
    np.testing.assert_array_equal(found.x[0], [gray] * 3)
    np.testing.assert_array_equal(found.x[1], np.moveaxis(colour, -1, 0))
    assert data.read_images(tmp_path, mode="gray").x.shape == (2, 5, 4)
    assert data.read_image(tmp_path / "a" / "1.png", mode="colour").shape == (3, 5, 4)
    rgba = draw(tmp_path / "c.png", colours=4)
    np.testing.assert_array_equal(data.read_image(tmp_path / "c.png"), np.moveaxis(rgba[..., :3], -1, 0))


def test_sizes_agree_or_are_brought_to_one(tmp_path):
    draw(tmp_path / "a" / "1.png")
    draw(tmp_path / "a" / "2.png", (7, 3))
    with pytest.raises(DataError, match=r"2.png: expected 5 x 4 pixels .* as in .*1.png, found 7 x 3. Give size="):
        data.read_images(tmp_path)
    found = data.read_images(tmp_path, size=(6, 2))
    assert found.x.shape == (2, 6, 2)
    wanted = Image.open(tmp_path / "a" / "1.png").resize((2, 6), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found.x[0], np.asarray(wanted))


def test_folders_without_pictures_are_named(tmp_path):
    with pytest.raises(DataError, match="expected one folder for each class, found none"):
        data.read_images(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="expected pictures of the class 'a', found none"):
        data.read_images(tmp_path)
    (tmp_path / "a" / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt: not a valid picture"):
        data.read_images(tmp_path)
    for read in (data.read_images, data.read_image):
        with pytest.raises(DataError, match="nowhere: cannot be read"):
            read(tmp_path / "nowhere")
    with pytest.raises(ArgumentError, match="mode must be"):
        data.read_images(tmp_path, mode="color")


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "bmp"])
def test_a_cut_picture_is_never_read(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    draw(path, (12, 12))
    whole, raw = data.read_image(path), path.read_bytes()
    for found in survivors(path, cuts(raw, 5), data.read_image):  # the end mark may be missing
        np.testing.assert_array_equal(found, whole)


def test_a_png_with_turned_bits_is_never_read_as_another(tmp_path):
    path = tmp_path / "a.png"
    whole = draw(path, (6, 6))
    raw = path.read_bytes()
    for found in survivors(path, flips(raw, range(0, len(raw), 3)), data.read_image):
        np.testing.assert_array_equal(found, whole)
