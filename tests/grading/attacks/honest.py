"""Those who mean well: honest students, notebooks that came to harm on their way, and unusual ones."""

from __future__ import annotations

from typing import Any

import nbformat
from nbformat import NotebookNode

from tests.grading.attacks.submission import (
    TESTS_OF,
    Attack,
    Damage,
    add_cell,
    all_of,
    edit,
    find,
    put_before,
    replace,
    text_of,
)


def broken(name: str, story: str, damage: Damage, why: str, **more: Any) -> Attack:
    """Somebody whose notebook came to harm on its way, and whose answers are right as far as they are there."""
    return Attack(name, "broken", story, damage, why, **more)


def restored(name: str, story: str, damage: Damage, *, told: bool = True) -> Attack:
    """Somebody all of whose answers can be read. What was done for it has to be ``told``, if anything was."""
    why = "The student's answers are all there and right; the rest comes from the instructor."
    return Attack(name, "broken", story, damage, why, repaired=told)


def unusual(name: str, story: str, damage: Damage, **more: Any) -> Attack:
    """Somebody whose notebook is not like others, and right."""
    return Attack(name, "unusual", story, damage, "Every answer is right.", **more)


def remove(*grade_ids: str) -> Damage:
    """Delete the cells of these ids."""
    return edit(lambda notebook: [notebook.cells.remove(find(notebook, name)) for name in grade_ids])


def retype(kind: str, *grade_ids: str) -> Damage:
    """Turn the cells of these ids into cells of another type."""

    def change(notebook: NotebookNode) -> None:
        for cell in (find(notebook, name) for name in grade_ids):
            cell.cell_type = kind
            del cell["outputs"], cell["execution_count"]

    return edit(change)


def doubled(grade_id: str) -> Damage:
    """Copy and paste the cell of this id, so that it is there twice."""

    def change(notebook: NotebookNode) -> None:
        cell = find(notebook, grade_id)
        notebook.cells.insert(notebook.cells.index(cell), nbformat.from_dict({**cell, "id": "a-copy"}))

    return edit(change)


def in_every_entry(**values: Any) -> Damage:
    """Set these fields in the nbgrader metadata of every cell that has any."""
    return edit(
        lambda notebook: [
            cell.metadata.nbgrader.update(values) for cell in notebook.cells if "nbgrader" in cell.metadata
        ]
    )


def fifty_thousand(notebook: NotebookNode) -> None:
    """Add 50,000 small cells at the end."""
    for number in range(50_000):
        notebook.cells.append(nbformat.v4.new_code_cell(f"x = {number}", id=f"n{number}"))


def with_widgets(notebook: NotebookNode) -> None:
    """Add the outputs and the state of an ipywidgets slider, with a field that no widget has."""
    shown = {"application/vnd.jupyter.widget-view+json": {"model_id": "abc", "version_major": 2, "version_minor": 0}}
    output = nbformat.v4.new_output("display_data", shown)
    notebook.cells.append(nbformat.v4.new_code_cell("1 + 1", outputs=[output], execution_count=7))
    state = {"abc": {"model_name": "SliderModel", "state": None, "psx": [1]}}
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": state}}


HONEST = [
    Attack("zoe", "honest", "Everything is right.", text_of, "All is right."),
    Attack(
        "yan",
        "honest",
        "Nothing is filled in.",
        edit(
            lambda notebook: [
                find(notebook, name).update(source=f"def {name}(*values):\n    raise NotImplementedError()")
                for name in TESTS_OF
            ]
        ),
        "Nothing was answered.",
        all_of(*TESTS_OF),
    ),
    Attack(
        "xia",
        "honest",
        "One answer is half right: the share comes out as a half.",
        replace("share", "def share(values, limit):\n    return 0.5"),
        "The test gives points for the share that was found, and a half was.",
        {"share-tests": 1.0},
    ),
    Attack(
        "wei",
        "honest",
        "One answer is wrong, and its name is misspelt too.",
        replace("mean", "def maen(values):\n    return 0.0"),
        "There is no mean.",
        all_of("mean"),
    ),
]

BROKEN = [
    restored("doubled-answer", "An answer stands there twice.", doubled("mean")),
    restored("doubled-test", "A test stands there twice.", doubled("mean-tests")),
    restored("deleted-test", "Two cells of tests were deleted.", remove("mean-tests", "speed-tests")),
    restored("deleted-imports", "The cell with the imports was deleted.", remove("imports")),
    broken(
        "deleted-answer",
        "An answer was deleted.",
        remove("mean"),
        "There is no mean. The tests for it are there again, and fail.",
        lost=all_of("mean"),
    ),
    restored(
        "renamed-answer",
        "An answer's id was changed to one that nobody knows.",
        edit(lambda notebook: find(notebook, "mean").metadata.nbgrader.update(grade_id="mean-2")),
    ),
    restored(
        "renamed-test",
        "A test's id was changed to one that nobody knows.",
        edit(lambda notebook: find(notebook, "mean-tests").metadata.nbgrader.update(grade_id="my-tests")),
    ),
    restored("test-as-text", "A cell of tests was turned into Markdown.", retype("markdown", "mean-tests")),
    restored(
        "answer-as-text",
        "An answer was turned into Markdown, a second one into raw text.",
        retype("raw", "add", "mean"),
    ),
    restored(
        "stripped-metadata",
        "All metadata of all cells is gone, as some editors do.",
        edit(lambda notebook: [cell.update(metadata={}) for cell in notebook.cells]),
    ),
    restored(
        "stripped-answer",
        "One answer has lost its metadata.",
        edit(lambda notebook: find(notebook, "mean").update(metadata={})),
    ),
    restored(
        "odd-metadata",
        "nbgrader's metadata is a text in one cell, and a list in another.",
        edit(
            lambda notebook: (
                find(notebook, "speed-tests").metadata.update(nbgrader=[1, 2]),
                find(notebook, "mean").metadata.update(nbgrader="solution"),
            )
        ),
    ),
    restored("schema-99", "Every cell says `schema_version: 99`.", in_every_entry(schema_version=99)),
    restored("schema-1", "Every cell says `schema_version: 1`.", in_every_entry(schema_version=1), told=False),
    restored("changed-points", "Every cell says that it is worth 1000 points.", in_every_entry(points=1000)),
    restored("reordered", "The cells stand in reverse order.", edit(lambda notebook: notebook.cells.reverse())),
    restored(
        "future-format",
        "The notebook says that it is of format 4.99.",
        edit(lambda notebook: notebook.update(nbformat_minor=99)),
        told=False,
    ),
    restored(
        "other-kernel",
        "The notebook asks for a kernel that is not there.",
        edit(lambda notebook: notebook.metadata.update(kernelspec={"name": "julia-9", "display_name": "Julia"})),
        told=False,
    ),
    restored(
        "conflict",
        "The file holds a merge conflict that nobody has resolved.",
        lambda notebook: text_of(notebook).replace(
            b'\n "nbformat_minor"', b'\n<<<<<<< HEAD\n=======\n>>>>>>> mine\n "nbformat_minor"'
        ),
    ),
    restored(
        "latin-1",
        "The file was saved as Latin-1.",
        lambda notebook: (
            put_before("mean", "# na\u00efve, but it works: d\u00e9j\u00e0 vu")(notebook).decode().encode("latin-1")
        ),
    ),
    restored("utf-16", "The file was saved as UTF-16.", lambda notebook: text_of(notebook).decode().encode("utf-16")),
    restored(
        "byte-order-mark",
        "The file begins with a byte order mark.",
        lambda notebook: b"\xef\xbb\xbf" + text_of(notebook),
        told=False,
    ),
    broken(
        "cut-off",
        "The file ends in the middle.",
        lambda notebook: text_of(notebook)[:2500],
        "It cannot be read. The report says so.",
        lost=all_of(*TESTS_OF),
        error=True,
    ),
    broken(
        "empty-file",
        "The file is empty.",
        lambda notebook: b"",
        "There is nothing in it. The report says so.",
        lost=all_of(*TESTS_OF),
        error=True,
    ),
    broken(
        "picture",
        "The file is a picture that somebody gave another name.",
        lambda notebook: b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        "It is no notebook. The report says so.",
        lost=all_of(*TESTS_OF),
        error=True,
    ),
    restored("50000-cells", "There are 50,000 more cells at the end.", edit(fifty_thousand)),
    broken(
        "syntax-error",
        "One answer cannot be compiled.",
        replace("mean", "def mean(values)\n    return values.mean("),
        "There is no mean.",
        lost=all_of("mean"),
    ),
]

UNUSUAL = [
    unusual(
        "warning",
        "Warns and prints on stderr beside a right answer.",
        replace(
            "mean",
            """
            import sys, warnings


            def mean(values):
                warnings.warn("this may be slow")
                print("still here", file=sys.stderr)
                return float(np.mean(values))
            """,
        ),
    ),
    unusual("slow-import", "Imports something that takes three seconds.", add_cell("import time\n\ntime.sleep(3)")),
    unusual(
        "changed-seed",
        "Sets every random seed to 0.",
        put_before("mean", "import random\n\nrandom.seed(0)\nnp.random.seed(0)"),
    ),
    unusual("widgets", "Shows widgets, with a broken state.", edit(with_widgets)),
    unusual(
        "numpy-scalars",
        "Answers with NumPy's numbers instead of Python's.",
        edit(
            lambda notebook: (
                find(notebook, "mean").update(source="def mean(values):\n    return np.asarray(np.mean(values))"),
                find(notebook, "share").update(
                    source="def share(values, limit):\n    return round(float(np.mean(values < limit)), 3)"
                ),
            )
        ),
    ),
    unusual(
        "magics",
        "Uses magics, the shell and a question mark.",
        add_cell("%time x = 1\n!echo hello\nlen?\n%matplotlib inline"),
    ),
    unusual("await", "Awaits something in a cell.", add_cell("import asyncio\n\nawait asyncio.sleep(0)")),
    unusual("error-on-the-way", "Has a cell of its own that fails.", add_cell("1 / 0", before="share")),
    unusual(
        "class-behind-it",
        "Answers with methods, closures and a decorator.",
        replace(
            "report",
            """
            import functools


            class Reporter:
                def __call__(self, values):
                    return dict(count=len(values), text=self.words(len(values)))

                @functools.lru_cache
                def words(self, count):
                    return f"{count} values"


            report = Reporter()
            """,
        ),
    ),
]
