"""The cards of the data sets, ``datasets/NAME.toml``, read and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from labkit import course
from labkit._toml import TomlFile
from labkit.errors import unknown

# reader -> how many files it takes; the readers themselves are in labkit/_readers.py
IMAGE_READERS = {"idx": 2, "npz": 1, "digits-csv": 1}
TABLE_READERS = {"csv": 1, "tab-separated": 1, "bar-separated": 1}
READERS = IMAGE_READERS | TABLE_READERS
COLUMN_TYPES = ("text", "whole", "number", "time")  # "number" and "text" may be missing in a row


@dataclass(frozen=True)
class File:
    """One file of a data set. ``size`` and ``sha256`` are those of the file, or of its unpacked content."""

    name: str
    size: int
    sha256: str
    hash_of: str = "file"  # "content": of the unpacked bytes, for files that others compress again
    urls: tuple[str, ...] = ()
    bundled: bool = False
    made_by: str = ""  # of a bundled file: the script in datasets/make that reproduces it
    installed: tuple[str, ...] = ()  # "/an/absolute/path" or "python_package:path/inside/it"
    given: bool = False  # nowhere to be fetched: whoever has it puts it below LABKIT_DATA


@dataclass(frozen=True)
class Split:
    """One named part of a data set, read from ``files`` by ``reader``: ``rows`` images of ``shape``, or of ``columns``."""

    name: str
    about: str
    rows: int
    reader: str
    files: tuple[str, ...]
    shape: tuple[int, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)  # of a table: name -> one of COLUMN_TYPES
    start: int = 0  # row of the file at which the split begins
    arrays: tuple[str, ...] = ("images", "labels")  # what an npz file calls them

    @property
    def is_table(self) -> bool:
        return self.reader in TABLE_READERS

    @property
    def of(self) -> str:
        """What a row is made of, in a word or two: "28 x 28" or "7 columns"."""
        return f"{len(self.columns)} columns" if self.is_table else " x ".join(map(str, self.shape))


@dataclass(frozen=True)
class Card:
    """What ``datasets/NAME.toml`` says."""

    name: str
    title: str
    row: str
    licence: str
    citation: str
    source: str
    classes: tuple[str, ...]
    splits: dict[str, Split]
    files: dict[str, File]

    def split(self, name: str) -> Split:
        """The split of this name; a LabkitError with the nearest names where there is none."""
        if name not in self.splits:
            raise unknown(f"split of {self.name}", name, self.splits)
        return self.splits[name]


def cards() -> dict[str, Card]:
    """All cards by name. Raises LabkitError naming file, line and what was expected where one is malformed."""
    return {path.stem: _read_card(path) for path in sorted(course.datasets_folder().glob("*.toml"))}


def card(name: str) -> Card:
    """The card of one data set; a LabkitError with the nearest names where there is none."""
    names = [path.stem for path in course.datasets_folder().glob("*.toml")]
    if name not in names:
        raise unknown("data set", name, names)
    return _read_card(course.datasets_folder() / f"{name}.toml")


def _read_card(path: Path) -> Card:
    toml = TomlFile(path)
    texts = ("title", "row", "licence", "citation", "source")
    toml.only((), {*texts, "classes", "splits", "files"})
    files: dict[str, File] = {}
    for number, _ in enumerate(toml.tables("files")):
        file = _read_file(toml, ("files", number))
        if file.name in files:
            raise toml.error(("files", number), "name", "each file once", f"'{file.name}' is there already")
        files[file.name] = file
    splits = {name: _read_split(toml, name, files) for name in toml.get((), "splits", dict)}
    if not splits:
        raise toml.error((), "splits", "at least one [splits.NAME]")
    about = {key: toml.get((), key, str) for key in texts}
    classes = toml.texts((), "classes", [])
    if not classes and not all(split.is_table for split in splits.values()):
        raise toml.error((), "classes", "the meaning of label 0, 1, ...")
    return Card(name=path.stem, classes=classes, splits=splits, files=files, **about)


def _read_file(toml: TomlFile, at: tuple[str | int, ...]) -> File:
    toml.only(at, {"name", "size", "sha256", "hash_of", "urls", "bundled", "made_by", "installed", "given"})
    file = File(
        name=toml.get(at, "name", str),
        size=toml.get(at, "size", int),
        sha256=toml.get(at, "sha256", str),
        hash_of=toml.get(at, "hash_of", str, "file"),
        urls=toml.texts(at, "urls", []),
        bundled=toml.get(at, "bundled", bool, False),
        made_by=toml.get(at, "made_by", str, ""),
        installed=toml.texts(at, "installed", []),
        given=toml.get(at, "given", bool, False),
    )
    if not re.fullmatch(r"[\w-][\w.-]*", file.name):
        raise toml.error(at, "name", "a file name of letters, digits, '.', '_' and '-'", f"It is '{file.name}'")
    if not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
        raise toml.error(at, "sha256", "64 hexadecimal digits in small letters", f"It is '{file.sha256}'")
    if file.size <= 0:
        raise toml.error(at, "size", "the number of bytes", f"It is {file.size}")
    if file.hash_of not in ("file", "content"):
        raise toml.error(at, "hash_of", "'file' or 'content'", f"It is '{file.hash_of}'")
    for url in file.urls:
        if not re.match(r"https?://[^/]", url):
            raise toml.error(at, "urls", "addresses that begin with https:// or http://", f"One is '{url}'")
    for place in file.installed:
        if not re.match(r"/|\w+:[^/]", place):
            raise toml.error(at, "installed", "'/absolute/path' or 'python_package:path/inside'", f"One is '{place}'")
    if not (file.urls or file.bundled or file.installed or file.given):
        raise toml.error(
            at, "name", "a place for the file: urls, installed, bundled = true or given = true", "There is none"
        )
    return file


def _read_split(toml: TomlFile, name: str, files: dict[str, File]) -> Split:
    toml.get(("splits",), name, dict)
    at = ("splits", name)
    toml.only(at, {"about", "rows", "shape", "columns", "reader", "files", "start", "arrays"})
    reader = toml.get(at, "reader", str)
    if reader not in READERS:
        raise toml.error(at, "reader", f"one of {', '.join(READERS)}", f"It is '{reader}'")
    shape = toml.get(at, "shape", list, []) if reader in IMAGE_READERS else []
    columns = toml.get(at, "columns", dict) if reader in TABLE_READERS else {}
    split = Split(
        name=name,
        about=toml.get(at, "about", str),
        rows=toml.get(at, "rows", int),
        shape=tuple(shape),
        columns=columns,
        reader=reader,
        files=toml.texts(at, "files"),
        start=toml.get(at, "start", int, 0),
        arrays=toml.texts(at, "arrays", ["images", "labels"]),
    )
    if not split.is_table and not (shape and all(type(side) is int and side > 0 for side in shape)):
        raise toml.error(at, "shape", "the shape of one row, such as [28, 28]", f"It is {shape}")
    for column, kind in columns.items():
        if kind not in COLUMN_TYPES:
            raise toml.error((*at, "columns"), column, f"one of {', '.join(COLUMN_TYPES)}", f"It is '{kind}'")
    if split.is_table and not columns:
        raise toml.error(at, "columns", 'the columns with their types, such as {age = "whole"}', "There are none")
    if len(split.arrays) != 2:
        raise toml.error(at, "arrays", "the names of images and labels", f"There are {len(split.arrays)}")
    if split.rows <= 0 or split.start < 0:
        key = "rows" if split.rows <= 0 else "start"
        raise toml.error(at, key, "a positive number of rows, and 'start' not below 0")
    wanted = READERS[split.reader]
    if len(split.files) != wanted:
        raise toml.error(
            at, "files", f"{wanted} file(s) for the reader '{split.reader}'", f"There are {len(split.files)}"
        )
    for file in split.files:
        if file not in files:
            raise toml.error(at, "files", "names of [[files]] of this card", f"'{file}' is not one")
    return split
