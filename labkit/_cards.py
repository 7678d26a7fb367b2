"""The cards of the data sets, ``datasets/NAME.toml``, read and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from labkit import course
from labkit._toml import TomlFile
from labkit.errors import unknown

# reader -> how many files it takes; the readers themselves are in labkit/_readers.py
READERS = {"idx": 2, "npz": 1, "digits-csv": 1}


@dataclass(frozen=True)
class File:
    """One file of a data set. ``size`` and ``sha256`` are those of the file, or of its unpacked content."""

    name: str
    size: int
    sha256: str
    hash_of: str = "file"  # "content": of the unpacked bytes, for files that others compress again
    urls: tuple[str, ...] = ()
    bundled: bool = False
    installed: tuple[str, ...] = ()  # "/an/absolute/path" or "python_package:path/inside/it"


@dataclass(frozen=True)
class Split:
    """One named part of a data set: ``rows`` images of ``shape``, read from ``files`` by ``reader``."""

    name: str
    about: str
    rows: int
    shape: tuple[int, ...]
    reader: str
    files: tuple[str, ...]
    start: int = 0  # row of the file at which the split begins


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
    return Card(name=path.stem, classes=toml.texts((), "classes"), splits=splits, files=files, **about)


def _read_file(toml: TomlFile, at: tuple[str | int, ...]) -> File:
    toml.only(at, {"name", "size", "sha256", "hash_of", "urls", "bundled", "installed"})
    file = File(
        name=toml.get(at, "name", str),
        size=toml.get(at, "size", int),
        sha256=toml.get(at, "sha256", str),
        hash_of=toml.get(at, "hash_of", str, "file"),
        urls=toml.texts(at, "urls", []),
        bundled=toml.get(at, "bundled", bool, False),
        installed=toml.texts(at, "installed", []),
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
    if not (file.urls or file.bundled or file.installed):
        raise toml.error(at, "name", "a place for the file: urls, installed, or bundled = true", "There is none")
    return file


def _read_split(toml: TomlFile, name: str, files: dict[str, File]) -> Split:
    toml.get(("splits",), name, dict)
    at = ("splits", name)
    toml.only(at, {"about", "rows", "shape", "reader", "files", "start"})
    shape = toml.get(at, "shape", list)
    split = Split(
        name=name,
        about=toml.get(at, "about", str),
        rows=toml.get(at, "rows", int),
        shape=tuple(shape),
        reader=toml.get(at, "reader", str),
        files=toml.texts(at, "files"),
        start=toml.get(at, "start", int, 0),
    )
    if not shape or not all(type(side) is int and side > 0 for side in shape):
        raise toml.error(at, "shape", "the shape of one row, such as [28, 28]", f"It is {shape}")
    if split.rows <= 0 or split.start < 0:
        key = "rows" if split.rows <= 0 else "start"
        raise toml.error(at, key, "a positive number of rows, and 'start' not below 0")
    if split.reader not in READERS:
        raise toml.error(at, "reader", f"one of {', '.join(READERS)}", f"It is '{split.reader}'")
    wanted = READERS[split.reader]
    if len(split.files) != wanted:
        raise toml.error(
            at, "files", f"{wanted} file(s) for the reader '{split.reader}'", f"There are {len(split.files)}"
        )
    for file in split.files:
        if file not in files:
            raise toml.error(at, "files", "names of [[files]] of this card", f"'{file}' is not one")
    return split
