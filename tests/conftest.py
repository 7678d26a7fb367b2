"""Shared fixtures: a course of one lab in a temporary folder."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit.course import Course, load_course

MANIFEST = """\
[course]
title = "A small course"
repository = "https://github.com/owner/name"
branch = "main"

[[part]]
id = "first"
title = "First part"

[[lab]]
id = "adding"
part = "first"
title = "Adding"
minutes = 5
hardware = ["cpu"]

[lab.claims]
"adding.sum" = "Two and two make four"

[[assignment]]
id = "ps0-adding"
title = "Problem set 0"
minutes = 10
after = ["adding"]
"""

LAB = """\
---
kernelspec: {name: python3, display_name: Python 3, language: python}
---

What do two and two make?

```{code-cell} ipython3
from labkit import claim

total = 2 + 2
claim("adding.sum", total, equals=4)
```
"""

ASSIGNMENT = """\
---
kernelspec: {name: python3, display_name: Python 3, language: python}
---

Add two numbers.

```{code-cell} ipython3
:grade: answer add
def add(a, b):
    ### BEGIN SOLUTION
    return a + b
    ### END SOLUTION
```

```{code-cell} ipython3
:grade: tests add-small 2
assert add(1, 2) == 3
### BEGIN HIDDEN TESTS
assert add(-4, 1) == -3
### END HIDDEN TESTS
```

+++ {"grade": "manual why 3"}

Why does the order not matter?
"""


@pytest.fixture(autouse=True)
def no_learner_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests see none of the switches of the person who runs them, and leave their cache alone."""
    for name in [name for name in os.environ if name.startswith("LABKIT_") and name != "LABKIT_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def make_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Course]:
    """A function that writes a small course, makes it the current one, and reads its manifest."""
    monkeypatch.setenv("LABKIT_COURSE", str(tmp_path))

    def make(manifest: str = MANIFEST, lab: str = LAB, assignment: str = ASSIGNMENT) -> Course:
        for name, text in {
            "notebooks/course.toml": manifest,
            "notebooks/first/adding.md": lab,
            "assignments/source/ps0-adding/ps0-adding.md": assignment,
        }.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return load_course(tmp_path)

    return make
