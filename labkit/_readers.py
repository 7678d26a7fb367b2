"""From the verified bytes of a data set's files to its arrays. Nothing here unpickles."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from zipfile import BadZipFile

import numpy as np

from labkit._cards import Split
from labkit.errors import LabkitError

Arrays = tuple[np.ndarray, np.ndarray]  # images and labels, uint8


def read_split(split: Split, *contents: bytes) -> Arrays:
    """Images (rows, *shape) and labels (rows,), both uint8, from the contents of ``split.files``."""
    return _BY_NAME[split.reader](split, *contents)


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
            images, labels = archive["images"][rows], archive["labels"][rows]
    except (LookupError, ValueError, TypeError, AttributeError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise LabkitError("Expected a NumPy archive with 'images' and 'labels'", str(error)) from error
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


_BY_NAME: dict[str, Callable[..., Arrays]] = {
    "idx": _read_idx,
    "npz": _read_npz,
    "digits-csv": _read_digits_csv,
}
