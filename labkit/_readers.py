"""From the verified bytes of a data set's files to its arrays. Nothing here unpickles."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from labkit._cards import Split
from labkit.errors import LabkitError

if TYPE_CHECKING:
    import pandas as pd

Arrays = tuple[np.ndarray, np.ndarray]  # images and labels, uint8


def read_split(split: Split, *contents: bytes) -> Arrays:
    """Images (rows, *shape) and labels (rows,), both uint8, from the contents of ``split.files``."""
    return _BY_NAME[split.reader](split, *contents)


def read_table(split: Split, content: bytes) -> pd.DataFrame:
    """A table of ``split.rows`` rows with the columns of the card, in that order.

    ``whole`` becomes int64, ``number`` float64, ``time`` datetime64[s], ``text`` pandas' text. An empty field is a missing value;
    a word such as "none" is a word. Raises LabkitError where rows, columns or values are not as the card says.
    """
    import pandas as pd

    names = list(split.columns)
    separator, header = _SEPARATORS[split.reader], split.reader == "csv"
    kinds = {"text": "str", "whole": "int64", "number": "float64"}
    wanted = f"Expected {split.rows:,} rows of {', '.join(names)}"
    try:
        table = pd.read_csv(
            io.BytesIO(content),
            sep=separator,
            header=0 if header else None,
            names=None if header else names,
            usecols=None if header else range(len(names)),
            dtype={name: kinds[kind] for name, kind in split.columns.items() if kind in kinds},
            encoding="utf-8" if header else "latin-1",  # GroupLens' files, which have no header, are older than UTF-8
            keep_default_na=False,
            na_values=[""],
        )
        for name, kind in split.columns.items():
            if kind == "time":
                table[name] = pd.to_datetime(table[name], format="%Y-%m-%d %H:%M:%S").astype("datetime64[s]")
    except (ValueError, KeyError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise LabkitError(wanted, str(error)) from error
    if list(table.columns) != names or len(table) < split.start + split.rows:
        raise LabkitError(wanted, f"There are {len(table):,} rows of {', '.join(map(str, table.columns))}")
    return table.iloc[split.start : split.start + split.rows].reset_index(drop=True)


def parse_idx(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Read unsigned bytes in the IDX format of the MNIST files.

    ``content`` is the unpacked file: two zero bytes, the type (8: unsigned byte), the number of dimensions, each
    dimension as four bytes with the highest first, then the values. Returns uint8 of ``shape``, and raises LabkitError
    for anything else. Format: https://github.com/cvdfoundation/mnist
    """
    wanted = f"an IDX file of unsigned bytes, {' x '.join(map(str, shape))}"
    header = 4 + 4 * len(shape)
    if len(content) < header or content[:4] != bytes([0, 0, 8, len(shape)]):
        raise LabkitError(f"Expected {wanted}", f"It begins with the bytes {content[:4].hex(' ') or '(none)'}")
    found = tuple(int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(len(shape)))
    if found != tuple(shape):
        raise LabkitError(f"Expected {wanted}", f"Its header says {' x '.join(map(str, found))}")
    if len(content) - header != math.prod(shape):
        raise LabkitError(f"Expected {wanted}", f"It holds {len(content) - header:,} values")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()  # a copy, so that it can be changed


def _read_idx(split: Split, images: bytes, labels: bytes) -> Arrays:
    return parse_idx(images, (split.rows, *split.shape)), parse_idx(labels, (split.rows,))


def _read_npz(split: Split, content: bytes) -> Arrays:
    rows = slice(split.start, split.start + split.rows)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            images, labels = (archive[name][rows] for name in split.arrays)
    except (LookupError, ValueError, TypeError, AttributeError, OSError, EOFError, BadZipFile, zlib.error) as error:
        names = " and ".join(f"'{name}'" for name in split.arrays)
        raise LabkitError(f"Expected a NumPy archive with {names}", str(error)) from error
    if labels.ndim == 2 and labels.shape[1] == 1:  # MedMNIST writes labels as a column
        labels = labels[:, 0].copy()
    return _bytes_of_shape(split, images, labels)


def _read_digits_csv(split: Split, content: bytes) -> Arrays:
    """scikit-learn's digits: a line holds the values of one image, row by row, and then its label."""
    if not content.strip():
        raise LabkitError(f"Expected lines of {math.prod(split.shape)} values and a label", "The file is empty")
    try:
        table = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.uint8, ndmin=2)
        images = table[:, :-1].reshape(len(table), *split.shape).copy()
    except (ValueError, OverflowError) as error:
        raise LabkitError(f"Expected lines of {math.prod(split.shape)} values and a label", str(error)) from error
    rows = slice(split.start, split.start + split.rows)
    return _bytes_of_shape(split, images[rows], table[rows, -1].copy())


def _bytes_of_shape(split: Split, images: np.ndarray, labels: np.ndarray) -> Arrays:
    for array, shape in ((images, (split.rows, *split.shape)), (labels, (split.rows,))):
        if array.dtype != np.uint8 or array.shape != shape:
            raise LabkitError(f"Expected uint8 of shape {shape}", f"It is {array.dtype} of shape {array.shape}")
    return images, labels


_SEPARATORS = {"csv": ",", "tab-separated": "\t", "bar-separated": "|"}
_BY_NAME: dict[str, Callable[..., Arrays]] = {
    "idx": _read_idx,
    "npz": _read_npz,
    "digits-csv": _read_digits_csv,
}
