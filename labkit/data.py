"""The data registry: finds, downloads, verifies and loads the data sets of the course.

Each data set has a card, ``datasets/NAME.toml``, which says where its files come from and what their SHA-256 is. A
file is looked for in ``LABKIT_DATA``, in the user's cache, among the files that come with the course, among those that
system or Python packages install, and last on the network. Whatever the place, the bytes are read once, checked against
the card, and those very bytes are parsed: a damaged file is noticed before anything is learned from it.

Environment variables (``datasets/README.md`` has the whole contract):

- ``LABKIT_DATA``: a folder searched first, for ``NAME/FILE`` and then ``FILE``.
- ``LABKIT_CACHE``: where downloads are kept, instead of the platform's usual cache folder.
- ``LABKIT_OFFLINE=1``: never touch the network.
- ``LABKIT_TIMEOUT``: how many seconds a server may stay silent before the next mirror is tried (default 20).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.util
import io
import math
import os
import sys
import textwrap
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from labkit import course
from labkit._cards import Card, File, Split, card, cards
from labkit._readers import parse_idx, read_split, read_table
from labkit.errors import LabkitError

if TYPE_CHECKING:
    import pandas as pd


class NotHad(LabkitError):
    """A file is nowhere on this machine and could not be fetched."""


def load(name: str, split: str, *, progress: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of one split, fetched first if they are nowhere on this machine.

    >>> X_train, y_train = load("mnist", "train")  # (8000, 28, 28) and (8000,), both uint8

    Raises LabkitError for an unknown name, and for a file that is missing, damaged or cannot be fetched.
    """
    found = card(name)
    part = found.split(split)
    if part.is_table:
        raise LabkitError(f"{name}/{split} is a table, not images", todo=f'Call data.table("{name}", "{split}")')
    contents = [_content(found, found.files[file], progress) for file in part.files]
    try:
        images, labels = read_split(part, *contents)
    except LabkitError as error:
        raise _not_as_described(name, split, error) from error
    if len(labels) and labels.max() >= len(found.classes):
        raise LabkitError(
            f"{name}/{split} holds the label {labels.max()}", f"The card names {len(found.classes)} classes"
        )
    return images, labels


def table(name: str, split: str, *, progress: bool = True) -> pd.DataFrame:
    """The rows of one split of a data set that is a table, fetched first if it is nowhere on this machine.

    >>> loans = table("german-credit", "all")  # 1,000 rows, 21 columns

    Missing values are NaN (NaT for times). Raises LabkitError as :func:`load` does.
    """
    found = card(name)
    part = found.split(split)
    if not part.is_table:
        raise LabkitError(f"{name}/{split} holds images, not a table", todo=f'Call data.load("{name}", "{split}")')
    content = _content(found, found.files[part.files[0]], progress)
    try:
        return read_table(part, content)
    except LabkitError as error:
        raise _not_as_described(name, split, error) from error


def has(name: str, split: str, stand_in: str, *, progress: bool = True) -> bool:
    """Whether real data that may not be bundled can be had, from this machine or else from the network.

    If not, one sentence says what stands in for it (such as "simulated ratings") and what would bring the real data. A damaged
    file below ``LABKIT_DATA`` raises LabkitError, as it does in :func:`load`.
    """
    found = card(name)
    try:
        for file in found.split(split).files:
            _content(found, found.files[file], progress)
    except NotHad as error:
        print(f"{found.title}: not here ({error.why}). In its place: {stand_in}.\nTo have it: {error.todo}.")
        return False
    return True


def load_standardised(name: str, train: str = "train", test: str = "held-out") -> tuple[np.ndarray, ...]:
    """``X_train, y_train, X_test, y_test`` as networks want them: X (n, 1, height, width) float32, y (n,) int64.

    Pixels have the mean subtracted and are divided by the spread, both of the training images only.
    """
    images, y_train = load(name, train)
    test_images, y_test = load(name, test)
    mean, spread = images.mean(dtype=np.float64), images.std(dtype=np.float64)
    X_train, X_test = (((part - mean) / spread).astype(np.float32)[:, None] for part in (images, test_images))
    return X_train, y_train.astype(np.int64), X_test, y_test.astype(np.int64)


def available(name: str, split: str) -> bool:
    """True if ``load(name, split)`` would succeed without the network. Files are verified, not only seen.

    A damaged file below ``LABKIT_DATA`` raises LabkitError, as it does in :func:`load`: a quiet False would hide it.
    """
    found = card(name)
    return all(_search(found, found.files[file], []) is not None for file in found.split(split).files)


def fetch(name: str, *, progress: bool = True) -> str:
    """Make every file of a data set present and verified; the text says where each one is.

    A file that cannot be fetched by anybody is passed over with a line, unless nothing else is left of the data set.
    """
    found = card(name)
    lines = []
    for file in found.files.values():
        try:
            _content(found, file, progress)
        except NotHad:
            if not file.given or all(other.given for other in found.files.values()):
                raise
            lines.append(f"{file.name:<28} not here, and cannot be fetched")
            continue
        path = next(path for _, path, wrong in _copies(found, file) if not wrong)
        lines.append(f"{file.name:<28} right    {path}")
    return "\n".join(lines)


def verify(name: str) -> str:
    """Hash every copy of every file of a data set that is on this machine, one line each.

    Raises LabkitError naming the damaged ones.
    """
    found = card(name)
    lines: list[str] = []
    damaged: list[str] = []
    for file in found.files.values():
        copies = list(_copies(found, file))
        right = [path for _, path, wrong in copies if not wrong]
        lines += [f"{file.name:<28} right    {path}" for path in right] or [f"{file.name:<28} not here"]
        # A loose file in LABKIT_DATA may belong to another data set with the same file names.
        damaged += [f"{path} ({wrong})" for place, path, wrong in copies if wrong and place != "LABKIT_DATA, loose"]
    if damaged:
        raise LabkitError(
            f"Damaged files of the data set {name}: {'; '.join(damaged)}",
            todo=f"Delete them, then run: labkit data fetch {name}",
        )
    return "\n".join(lines)


def where(name: str, split: str) -> str:
    """Where the files of a split are seen (not verified): a few words such as 'bundled' or 'network, 11.6 MB'."""
    found = card(name)
    places, missing = [], []
    for file in (found.files[file] for file in found.split(split).files):
        place = next((place for place, path in _places(found, file) if os.access(path, os.R_OK)), None)
        if place is None:
            missing.append(file)
        else:
            places.append(place)
    if not missing:
        return ", ".join(dict.fromkeys(places))
    if not all(file.urls for file in missing):
        return "not here"
    about = "" if all(file.hash_of == "file" for file in missing) else " unpacked"
    return f"network, {sum(file.size for file in missing) / 1e6:.1f} MB{about}"


def list_report() -> str:
    """A table of all data sets and splits, and where each is."""
    lines = []
    for name, found in cards().items():
        lines += textwrap.wrap(f"{name}: {found.title} ({found.licence})", 80, subsequent_indent="    ")
        for split in found.splits.values():
            lines.append(f"  {split.name:<16}{split.rows:>7,} of {split.of:<12}{where(name, split.name)}")
    return "\n".join(lines)


def cache_folder() -> Path:
    """Where downloads and measurements of this machine are kept. It need not exist yet."""
    if os.environ.get("LABKIT_CACHE"):
        return Path(os.environ["LABKIT_CACHE"]).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("labkit", appauthor=False)


class _Damaged(Exception):
    """A file is there and is not what its card says; str() gives the reason."""


def _places(card: Card, file: File) -> Iterator[tuple[str, Path]]:
    """(kind of place, path) in the order of the search; the paths need not exist."""
    if os.environ.get("LABKIT_DATA"):
        folder = Path(os.environ["LABKIT_DATA"]).expanduser()
        if not folder.is_dir():
            raise LabkitError(f"LABKIT_DATA is '{folder}'", "There is no such folder", "Correct it or unset it")
        yield "LABKIT_DATA", folder / card.name / file.name
        yield "LABKIT_DATA, loose", folder / file.name
    yield "cache", cache_folder() / card.name / file.name
    if file.bundled:
        yield "bundled", course.datasets_folder() / file.name
    for place in file.installed:
        package, colon, inside = place.partition(":")
        if not colon:
            yield "system package", Path(place)
            continue
        spec = importlib.util.find_spec(package)  # finds the package without importing it
        if spec is not None and spec.submodule_search_locations:
            yield f"with {package}", Path(spec.submodule_search_locations[0]) / inside


def _search(card: Card, file: File, reasons: list[str]) -> bytes | None:
    """The verified content from the first place that has it, without the network; None if there is none.

    Why a copy was passed over is added to ``reasons``.
    """
    for place, path in _places(card, file):
        try:
            return _verified(path, file)
        except FileNotFoundError:
            continue
        except _Damaged as error:
            if place == "LABKIT_DATA":  # somebody put it there on purpose and would want to know
                raise LabkitError(
                    f"{path} is damaged: {error}", todo="Replace or delete that file, or unset LABKIT_DATA"
                ) from error
            reasons.append(f"{path}: {error}")
            warnings.warn(f"{path} is passed over: {error}", stacklevel=4)
    return None


def _copies(card: Card, file: File) -> Iterator[tuple[str, Path, str]]:
    """(kind of place, path, what is wrong with it) of every copy on this machine; '' for a right one."""
    for place, path in _places(card, file):
        try:
            _verified(path, file)
        except FileNotFoundError:
            continue
        except _Damaged as error:
            yield place, path, str(error)
        else:
            yield place, path, ""


def _verified(path: Path, file: File) -> bytes:
    """The unpacked content of a file, read once and checked. FileNotFoundError if it is not there, else _Damaged."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except OSError as error:
        raise _Damaged(f"it cannot be read ({error.strerror})") from error
    if file.hash_of == "file":
        _compare(raw, file)
        return _unpack(raw, None)
    content = _unpack(raw, file.size)
    _compare(content, file)
    return content


def _compare(content: bytes, file: File) -> None:
    what = "" if file.hash_of == "file" else " unpacked"
    if len(content) < file.size:
        raise _Damaged(f"it is truncated, {len(content):,} of {file.size:,}{what} bytes")
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise _Damaged(f"its sha256{what} is {found[:12]}…, expected {file.sha256[:12]}…")


def _unpack(raw: bytes, limit: int | None) -> bytes:
    """Gunzip what is gzipped. ``limit`` guards bytes that are not verified yet: nothing longer is unpacked."""
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
            return packed.read() if limit is None else packed.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _Damaged(f"it cannot be unpacked ({error})") from error


def _content(card: Card, file: File, progress: bool) -> bytes:
    """The verified content of a file, from this machine or else from the network."""
    reasons: list[str] = []
    content = _search(card, file, reasons)
    if content is not None:
        return content
    if file.given:
        todo = f"Whoever has that file puts it into a folder and sets LABKIT_DATA to it. About it: {card.source}"
        raise _not_had(card, file, reasons or ["it cannot be fetched"], todo)
    if not file.urls:
        todo = "Install the course again, or the package it comes with"
        raise _not_had(card, file, reasons or ["it is not installed here"], todo)
    if os.environ.get("LABKIT_OFFLINE", "0") not in ("", "0"):
        raise _not_had(card, file, [*reasons, "LABKIT_OFFLINE is set, so it is not fetched"])
    folder = cache_folder() / card.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / f".{file.name}.lock", file.name):
            # Another process may have fetched it while this one waited. If it is damaged, it is replaced below.
            with contextlib.suppress(FileNotFoundError, _Damaged):
                return _verified(folder / file.name, file)
            return _download(card, file, folder / file.name, reasons, progress)
    except OSError as error:
        raise LabkitError(
            f"The file {file.name} of the data set {card.name} cannot be kept in {folder}",
            error.strerror or str(error),
            "Make room there, or set LABKIT_CACHE to a folder with room that you may write to",
        ) from error


def _not_had(card: Card, file: File, reasons: list[str], todo: str = "") -> NotHad:
    todo = todo or (
        f"With a connection, run: labkit data fetch {card.name}. "
        f"Or set LABKIT_DATA to a folder that has {card.name}/{file.name}"
    )
    return NotHad(f"The file {file.name} of the data set {card.name} could not be had", "; ".join(reasons), todo)


def _not_as_described(name: str, split: str, error: LabkitError) -> LabkitError:
    return LabkitError(f"The files of {name}/{split} are not what the card describes", str(error))


@contextlib.contextmanager
def _lock(path: Path, name: str) -> Iterator[None]:
    """Hold a lock that other processes see, and that the system releases if this process dies."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=2)
    except Timeout:
        print(f"Another process is fetching {name}; waiting for it.", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(card: Card, file: File, target: Path, reasons: list[str], progress: bool) -> bytes:
    """Fetch into a file beside ``target``, verify that, and only then give it its name. OSError: the disk's fault.

    The lock is held, so a ``.part`` file found here was left by a process that was killed. It is overwritten.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        for url in file.urls:
            try:
                _transfer(url, part, file, progress)
                content = _verified(part, file)
                part.replace(target)
                return content
            except _Damaged as error:
                reasons.append(f"{url}: {error}")
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    raise _not_had(card, file, reasons)


def _transfer(url: str, part: Path, file: File, progress: bool) -> None:
    """One attempt at one address. _Damaged: the server's fault, try the next. OSError: the disk's, trying is no use."""
    import pooch
    import requests
    import urllib3

    wait = _timeout()
    # "identity": a server that packs once more on the way would change the bytes the card's hash is of.
    get = pooch.HTTPDownloader(timeout=(wait, wait), headers={"Accept-Encoding": "identity"})
    # A repacked file may be a little longer than its content at worst, when nothing in it could be packed.
    limit = file.size if file.hash_of == "file" else file.size + file.size // 100 + 1024
    bar: Any = _progress_bar(file) if progress else contextlib.nullcontext()
    with part.open("wb") as stream, bar:
        sink = _Sink(stream, limit, bar.update if progress else None)
        try:
            get(url, sink, None)
        # requests' errors are OSErrors too: caught here, they cannot be mistaken for those of the disk.
        except requests.HTTPError as error:
            raise _Damaged(f"the server answers {_status(error.response)}") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            if isinstance(error, requests.Timeout) or "timed out" in str(error):
                raise _Damaged(f"no answer for {wait:g} seconds, after {sink.received:,} bytes") from error
            if sink.received:
                raise _Damaged(f"the transfer broke off after {sink.received:,} bytes") from error
            raise _Damaged(f"no connection ({_innermost(error)})") from error


def _progress_bar(file: File) -> Any:
    from tqdm import tqdm

    total = file.size if file.hash_of == "file" else None  # how long a repacked file is, only the server knows
    return tqdm(desc=file.name, total=total, unit="B", unit_scale=True, ncols=79, leave=False)


class _Sink:
    """Where pooch writes: a file that takes no more than it should, whatever the server sends."""

    def __init__(self, stream: IO[bytes], limit: int, progress: Callable[[int], object] | None) -> None:
        self.stream, self.limit, self.progress, self.received = stream, limit, progress, 0

    def write(self, chunk: bytes) -> int:
        self.received += len(chunk)
        if self.received > self.limit:
            raise _Damaged(f"the server sends more than the {self.limit:,} bytes expected")
        if self.progress is not None:
            self.progress(len(chunk))
        return self.stream.write(chunk)

    def flush(self) -> None:
        self.stream.flush()


def _status(response: Any) -> str:
    return "with an error" if response is None else f"{response.status_code} {response.reason}".strip()


def _innermost(error: BaseException) -> str:
    """The plainest words for a nest of network errors: those of the operating system, if it spoke."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


def _timeout() -> float:
    text = os.environ.get("LABKIT_TIMEOUT") or "20"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise LabkitError(f"LABKIT_TIMEOUT is '{text}'", todo="Set it to a number of seconds above 0")
    return seconds


__all__ = [
    "Card",
    "File",
    "NotHad",
    "Split",
    "available",
    "cache_folder",
    "card",
    "cards",
    "fetch",
    "has",
    "list_report",
    "load",
    "parse_idx",
    "table",
    "verify",
    "where",
]
