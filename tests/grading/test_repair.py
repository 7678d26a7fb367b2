"""Repair: whatever happens to a notebook on its way, the student's answers are found and nothing else is graded."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode

from labkit.build import release_notebook
from labkit.grading.batch import leaked_lines
from labkit.grading.repair import MAX_CELLS, Repaired, problem_with_content, repair

Cells = list[dict[str, Any]]
MODERATE = settings(
    max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
IDS = ["flatten", "flatten-tests", "conv-by-hand", "model", "double-softmax", "imports", "no-such-cell", "", "\ud800"]


@pytest.fixture(scope="session")
def released(solution: NotebookNode) -> NotebookNode:
    return release_notebook(solution)


@pytest.fixture(scope="session")
def solved_text(released: NotebookNode, solved_notebook: Callable[[NotebookNode], NotebookNode]) -> str:
    return json.dumps(solved_notebook(released))


@pytest.fixture
def handed_in(solved_text: str) -> dict[str, Any]:
    """A solved notebook, as JSON, to be damaged."""
    return json.loads(solved_text)


def grade_id(cell: dict[str, Any]) -> str:
    entry = cell["metadata"].get("nbgrader") if isinstance(cell.get("metadata"), dict) else None
    name = entry.get("grade_id") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else ""


def cell_of(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    (cell,) = [cell for cell in notebook["cells"] if grade_id(cell) == name]
    return cell


def index_of(notebook: dict[str, Any], name: str) -> int:
    return [grade_id(cell) for cell in notebook["cells"]].index(name)


def code(source: str, **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": [], "execution_count": 3}


def to_bytes(notebook: dict[str, Any]) -> bytes:
    return json.dumps(notebook).encode()


def texts(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells]


def is_whole(repaired: Repaired, solution: NotebookNode, released: NotebookNode) -> None:
    """Every graded cell once, in order, as it was released; nothing that nbgrader or nbformat would refuse."""
    notebook = repaired.notebook
    nbformat.validate(notebook)
    nbformat.writes(notebook).encode()
    graded = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    want = [cell for cell in released.cells if "nbgrader" in cell.metadata]
    assert [(cell.cell_type, cell.id, cell.metadata) for cell in graded] == [
        (cell.cell_type, cell.id, cell.metadata) for cell in want
    ]
    for cell, right in zip(graded, want, strict=True):
        assert cell.source == right.source or right.metadata.nbgrader.solution
    assert not any(cell.get("outputs") for cell in notebook.cells)
    again = repair(nbformat.writes(notebook).encode(), solution)
    assert (again.repairs, again.problem) == ([], "")
    assert again.notebook == notebook


def fixed(notebook: dict[str, Any], solution: NotebookNode, released: NotebookNode) -> Repaired:
    repaired = repair(to_bytes(notebook), solution)
    assert repaired.problem == ""
    is_whole(repaired, solution, released)
    return repaired


# What is not damaged


def test_a_released_notebook_comes_back_as_it_is(released, solution):
    from nbgrader.nbgraderformat import MetadataValidator

    repaired = fixed(released, solution, released)
    assert (repaired.notebook, repaired.repairs) == (released, [])
    MetadataValidator().validate_nb(repaired.notebook)


def test_an_honest_submission_needs_no_repair(handed_in, solution, released):
    cell_of(handed_in, "flatten")["source"] = "def flatten(features):\n    return helper(features"  # not yet Python
    cell_of(handed_in, "flatten-tests")["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "hm\n"}]
    handed_in["metadata"] = {"kernelspec": {"name": "my-env"}, "widgets": {"state": {}}}
    own = index_of(handed_in, "flatten")
    handed_in["cells"].insert(own, code("def helper(x):\n    return x.flatten(1)"))
    handed_in["cells"].insert(own + 2, code("%timeit flatten(torch.zeros(2, 3))"))
    for cell in handed_in["cells"]:  # as on Colab, and with the line ends of Windows
        cell.pop("id", None)
        cell["source"] = cell["source"].replace("\n", "\r\n").splitlines(keepends=True)
    repaired = fixed(handed_in, solution, released)
    assert repaired.repairs == []
    source = texts(repaired.notebook)
    at = source.index("def flatten(features):\n    return helper(features")
    assert source[at - 1].startswith("def helper")
    assert source[at + 1].startswith("%timeit")


def test_an_answer_that_was_not_touched_still_counts_as_unanswered(handed_in, released, solution):
    from nbgrader.utils import compute_checksum

    stub = cell_of(released, "flatten")["source"]
    cell_of(handed_in, "flatten").update(source=stub + "\n", metadata={}, cell_type="raw")
    cell = nbformat.from_dict(cell_of(fixed(handed_in, solution, released).notebook, "flatten"))
    assert compute_checksum(cell) == cell.metadata.nbgrader.checksum


def test_nothing_secret_gets_into_what_is_repaired(solution, released):
    cells = [cell for cell in released.cells if "nbgrader" not in cell.metadata]
    cells.append(cell_of(released, "flatten"))
    repaired = repair(to_bytes({**released, "cells": cells}), solution)
    assert len(repaired.repairs) > 10
    assert leaked_lines(solution, repaired.notebook) == []
    assert leaked_lines(solution, repair(b"", solution).notebook) == []


def test_pictures_in_a_written_answer_are_kept(handed_in, solution, released):
    pictures = {"photo.png": {"image/png": "iVBORw0KGgo="}}
    cell_of(handed_in, "double-softmax")["attachments"] = pictures
    repaired = fixed(handed_in, solution, released)
    assert repaired.repairs == []
    assert cell_of(repaired.notebook, "double-softmax")["attachments"] == pictures


# Damage, one kind at a time; each leaves the answers as they were


def retyped(notebook):
    cell_of(notebook, "flatten")["cell_type"] = "markdown"


def answer_without_metadata(notebook):
    cell_of(notebook, "flatten").update(metadata={}, id="else")


def written_answer_without_metadata(notebook):
    cell_of(notebook, "double-softmax").update(metadata={})


def written_answer_known_by_its_place(notebook):
    cell_of(notebook, "double-softmax").update(metadata={}, id="else")


def renamed(notebook):
    cell_of(notebook, "flatten")["metadata"]["nbgrader"]["grade_id"] = "my-flatten"


def exchanged(notebook):
    one, other = cell_of(notebook, "flatten"), cell_of(notebook, "model")
    one["metadata"], other["metadata"] = other["metadata"], one["metadata"]


def answer_called_a_test(notebook):
    cell_of(notebook, "flatten-tests")["metadata"]["nbgrader"]["grade_id"] = "x"
    cell_of(notebook, "flatten")["metadata"]["nbgrader"]["grade_id"] = "flatten-tests"


def deleted_test(notebook):
    notebook["cells"].remove(cell_of(notebook, "flatten-tests"))


def changed_test(notebook):
    cell_of(notebook, "batch-trap-tests")["source"] += "\nassert True"


def overwritten_test(notebook):
    cell_of(notebook, "flatten-tests")["source"] = "print('all is well')"


def copied_answer(notebook):
    notebook["cells"].append(dict(cell_of(notebook, "flatten")))


def copied_cell_with_other_code(notebook):
    cell = cell_of(notebook, "flatten")
    notebook["cells"].insert(index_of(notebook, "flatten") + 1, {**cell, "source": "flatten(torch.ones(2, 3)).shape"})


def copied_test(notebook):
    notebook["cells"].insert(3, dict(cell_of(notebook, "flatten-tests")))


def stub_after_the_answer(notebook):
    stub = "def flatten(features):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    notebook["cells"].append({**cell_of(notebook, "flatten"), "source": stub})


def answered_beside_an_empty_cell(notebook):
    cell = cell_of(notebook, "flatten")
    notebook["cells"].insert(index_of(notebook, "flatten"), code(cell["source"]))
    cell["source"] = ""


def reordered(notebook):
    notebook["cells"].reverse()


def points(notebook):
    cell_of(notebook, "flatten-tests")["metadata"]["nbgrader"]["points"] = 99


def schema(notebook):
    for cell in notebook["cells"]:
        cell["metadata"].get("nbgrader", {})["schema_version"] = 99


def split_by_jupyterlab(notebook):
    cell = cell_of(notebook, "conv-by-hand")
    lines = cell["source"].split("\n")
    notebook["cells"].insert(index_of(notebook, "conv-by-hand") + 1, {**cell, "source": "\n".join(lines[7:])})
    cell["source"] = "\n".join(lines[:7])


def metadata_gone(notebook):
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def fields_gone(notebook):
    for cell in notebook["cells"]:
        del cell["cell_type"], cell["id"]
        cell.pop("outputs", None)


def not_cells(notebook):
    notebook["cells"][3:3] = [None, 7, [], "cell"]


def not_text(notebook):
    notebook["cells"] += [code("a"), code("b"), code("c")]
    for cell, source in zip(notebook["cells"][-3:], (None, 7, ["x = 1\n", None]), strict=True):
        cell["source"] = source


def strange_characters(notebook):
    notebook["cells"].append(code("x = '\ud800\0'"))


def widgets(notebook):
    cell_of(notebook, "flatten")["outputs"] = [{"data": {"application/vnd.jupyter.widget-view+json": {"model_id": 1}}}]


DAMAGE = [
    (retyped, "The answer 'flatten' had become a text cell; it was read as code."),
    (answer_without_metadata, "The answer 'flatten' had lost its name; it was recognised by its code."),
    (
        written_answer_without_metadata,
        "The written answer 'double-softmax' had lost its name; it was recognised by its id",
    ),
    (written_answer_known_by_its_place, "The written answer 'double-softmax' had lost its name; .* by its place"),
    (renamed, "The answer 'flatten' was called 'my-flatten'; it was recognised by its code."),
    (exchanged, "The answer 'flatten' was written in another cell than its own"),
    (answer_called_a_test, "The answer 'flatten' was called 'flatten-tests'"),
    (deleted_test, "The test cell 'flatten-tests' was missing and was put back."),
    (changed_test, "The test cell 'batch-trap-tests' had been changed and was put back."),
    (overwritten_test, "The test cell 'flatten-tests' held something else, which was kept as an ordinary cell"),
    (copied_answer, "The answer 'flatten' was there more than once; the copies were left out."),
    (copied_cell_with_other_code, "The answer 'flatten' was there more than once, and not the same"),
    (copied_test, "The test cell 'flatten-tests' was there more than once; the copies were left out."),
    (stub_after_the_answer, "The answer 'flatten' was there more than once"),
    (
        answered_beside_an_empty_cell,
        "The answer 'flatten' was written in another cell than its own; that one was read.",
    ),
    (reordered, "Some cells stood in another order"),
    (points, r"The settings of the cell 'flatten-tests' were put back \(points\)."),
    (schema, r"The settings of \d+ cells were put back \(schema_version\)."),
    (split_by_jupyterlab, "The answer 'conv-by-hand' was split into several cells; it was put together again."),
    (metadata_gone, "The answer 'model' had lost its name"),
    (fields_gone, r"\d+ cell\(s\) had no valid type"),
    (not_cells, r"4 thing\(s\) in the list of cells were no cells"),
    (not_text, r"3 cell\(s\) had no valid text"),
    (strange_characters, r"1 cell\(s\) held characters that cannot be saved or run"),
    (widgets, ""),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGE, ids=[damage.__name__ for damage, _ in DAMAGE])
def test_every_kind_of_damage_is_repaired_and_named(damage, words, handed_in, solved_text, solution, released):
    damage(handed_in)
    repaired = fixed(handed_in, solution, released)
    right = json.loads(solved_text)
    for place in released.cells:
        if place.metadata.get("nbgrader", {}).get("solution"):
            name = place.metadata.nbgrader.grade_id
            assert cell_of(repaired.notebook, name)["source"] == cell_of(right, name)["source"]
    if words:
        assert any(re.search(words, sentence) for sentence in repaired.repairs), repaired.repairs
    else:
        assert repaired.repairs == []


def test_a_deleted_answer_becomes_an_empty_one(handed_in, solution, released):
    handed_in["cells"].remove(cell_of(handed_in, "flatten"))
    repaired = fixed(handed_in, solution, released)
    assert repaired.repairs == ["The answer 'flatten' was missing; an empty one was put back."]
    assert cell_of(repaired.notebook, "flatten") == cell_of(released, "flatten")


def test_of_several_answers_the_last_that_is_python_counts(handed_in, solution, released):
    at, cell = index_of(handed_in, "flatten"), cell_of(handed_in, "flatten")
    tries = ["def flatten(x):\n    return 1", "def flatten(x):\n    return 2", "def flatten(x:\n    return 3"]
    handed_in["cells"][at : at + 1] = [{**cell, "source": source} for source in tries]
    repaired = fixed(handed_in, solution, released)
    assert cell_of(repaired.notebook, "flatten")["source"] == tries[1]
    assert any("more than once, and not the same" in sentence for sentence in repaired.repairs)
    kept = texts(repaired.notebook)
    assert max(kept.index(tries[0]), kept.index(tries[2])) < kept.index(tries[1])


def test_an_unanswered_copy_never_undoes_the_answer(handed_in, solution, released):
    stub = cell_of(released, "flatten")["source"]
    handed_in["cells"] += [code(stub), {**cell_of(handed_in, "flatten"), "source": stub + "\n"}]
    repaired = fixed(handed_in, solution, released)
    assert stub not in map(str.strip, texts(repaired.notebook))
    assert repaired.repairs == [
        "The answer 'flatten' was there more than once; the copies were left out.",
        "1 cell(s) were unanswered copies of cells that are answered, and were left out.",
    ]


def test_an_earlier_try_never_runs_after_the_answer(handed_in, solution, released):
    at, cell = index_of(handed_in, "flatten"), cell_of(handed_in, "flatten")
    handed_in["cells"].append(handed_in["cells"].pop(at))
    handed_in["cells"].insert(-1, {**cell, "source": "def flatten(x):\n    return 1"})
    kept = texts(fixed(handed_in, solution, released).notebook)
    assert kept.index("def flatten(x):\n    return 1") < kept.index(cell["source"])


def test_merged_answers_are_given_back_to_each(handed_in, solution, released):
    flatten, model = cell_of(handed_in, "flatten"), cell_of(handed_in, "model")
    model["source"] = f"import math\n\n{model['source']}\n\n{flatten['source']}"
    handed_in["cells"].remove(flatten)
    repaired = fixed(handed_in, solution, released)
    assert cell_of(repaired.notebook, "model")["source"] == model["source"]
    assert cell_of(repaired.notebook, "flatten")["source"] == flatten["source"].rstrip()
    assert repaired.repairs == [
        "The answer 'flatten' was found in the cell 'model', and was copied into a cell of its own."
    ]


def test_a_copy_of_a_test_is_kept_and_gets_no_grade_id(handed_in, solution, released):
    tests = cell_of(handed_in, "flatten-tests")
    handed_in["cells"].append(code(tests["source"]))
    repaired = fixed(handed_in, solution, released)
    assert repaired.repairs == []
    assert texts(repaired.notebook).count(tests["source"]) == 2
    assert "nbgrader" not in repaired.notebook.cells[-1].metadata


def test_own_cells_stay_with_what_they_followed(handed_in, solution, released):
    first, flatten = code("print('first')"), index_of(handed_in, "flatten")
    handed_in["cells"].insert(flatten + 1, code("print('after flatten')"))
    handed_in["cells"].append(handed_in["cells"].pop(flatten))
    handed_in["cells"].append(handed_in["cells"].pop(flatten))
    handed_in["cells"].insert(0, first)
    kept = texts(fixed(handed_in, solution, released).notebook)
    assert kept[0] == "print('first')"
    assert kept[kept.index("print('after flatten')") - 1] == cell_of(handed_in, "flatten")["source"]


def test_a_cell_of_the_instructor_is_put_back_only_where_it_is_needed(solution, released):
    source = nbformat.from_dict(json.loads(json.dumps(solution)))
    at = index_of(source, "flatten")
    for place, text in ((at, "def halve(x):\n    return x / base"), (at - 2, "base = 2"), (1, "unused = 1")):
        source.cells.insert(place, nbformat.v4.new_code_cell(text, id=f"plain-{place}"))
    blank = release_notebook(source)
    handed_in = json.loads(json.dumps(blank))
    handed_in["cells"] = [cell for cell in handed_in["cells"] if not cell["id"].startswith("plain-")]
    assert repair(to_bytes(handed_in), source).repairs == []
    cell_of(handed_in, "flatten")["source"] = "def flatten(features):\n    return halve(features)"
    repaired = fixed(handed_in, source, blank)
    assert [sentence.split(" was missing")[0] for sentence in repaired.repairs] == [
        "A cell of the assignment that is needed (halve)",
        "A cell of the assignment that is needed (base)",
    ]
    kept = texts(repaired.notebook)
    assert "unused = 1" not in kept
    assert (
        kept.index("base = 2")
        < kept.index("def halve(x):\n    return x / base")
        < kept.index("def flatten(features):\n    return halve(features)")
    )


# The file


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        (lambda text: b"\xef\xbb\xbf" + text.encode(), ""),
        (lambda text: text.encode("utf-16"), "read as UTF-16."),
        (lambda text: text.encode("utf-16-le"), "read as UTF-16-LE."),
        (lambda text: text.encode("cp1252"), "read as Windows-1252."),
        (lambda text: text.encode() + b"\0\0", ""),
        (lambda text: text.encode() + b"\n}}garbage", "more text behind the end"),
        (lambda text: text.replace('"nbformat": 4', '"nbformat": NaN, "x": -Infinity').encode(), ""),
        (lambda text: text.replace('"nbformat": 4', f'"nbformat": {"9" * 5000}').encode(), ""),
        (
            lambda text: f'<<<<<<< HEAD\n{text}\n=======\n{{"cells":\n>>>>>>> theirs\n'.encode(),
            "above the line =======",
        ),
        (
            lambda text: f'<<<<<<< HEAD\n{{"cells"\n||||||| b\n=======\n{text}\n>>>>>>> x'.encode(),
            "below the line =======",
        ),
    ],
)
def test_files_that_were_saved_strangely_are_read(encode, words, handed_in, solution, released):
    own = "# naïve “café”, 5 € – déjà vu"
    handed_in["cells"].append(code(own))
    text = json.dumps(handed_in, ensure_ascii=False)
    for sign in "·−×π→":  # which Windows-1252 has not
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    text = re.sub(r"[^\x00-\xff“”€–]", lambda sign: json.dumps(sign[0])[1:-1], text)
    repaired = repair(encode(text), solution)
    assert repaired.problem == ""
    is_whole(repaired, solution, released)
    assert own in texts(repaired.notebook)
    assert len(repaired.repairs) == bool(words)
    assert all(words in sentence for sentence in repaired.repairs)


def test_a_notebook_of_format_3_is_converted(handed_in, solution, released):
    old = nbformat.convert(nbformat.from_dict(handed_in), 3)
    old.worksheets[0].cells.insert(0, {"cell_type": "heading", "level": 1, "source": "Mine", "metadata": {}})
    repaired = fixed(json.loads(json.dumps(old)), solution, released)
    assert any("of an old format" in sentence for sentence in repaired.repairs)
    assert cell_of(repaired.notebook, "flatten")["source"] == cell_of(handed_in, "flatten")["source"]
    assert repaired.notebook.cells[0].source == "# Mine"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\0\0", "is empty"),
        (b"\x89PNG\r\n\x1a\n\xff", "is not a notebook: it is not even text"),
        (b"My answers are below.", "is not a notebook"),
        (b'{"cells": [{"cell_type": "code", "sou', r"perhaps cut off while it was copied \(line 1\)"),
        (b'{"cells":\n<<<<<<< HEAD\n[\n=======\n{\n>>>>>>> x\n', "a merge conflict of git that nobody has resolved"),
        (b"[1, 2]", "is not a notebook, though it is JSON"),
        (b"{}", "is not a notebook, though it is JSON"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "is a notebook without cells"),
        (b'{"nbformat": 4, "cells": []}', "is a notebook without cells"),
        (b"[" * 100_000, "is not a notebook"),
        (b'{"cells":' * 100_000, "damaged notebook"),
        (b'{"nbformat": 4, "cells": [1, null, {"metadata": []}]}', "none of its cells belongs to ps2-lenet"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "1"}]}', "none of its cells belongs to"),
    ],
)
def test_what_cannot_be_graded_is_said_and_a_blank_one_given(content, words, solution, released):
    repaired = repair(content, solution)
    assert re.match(f"ps2-lenet.ipynb is .*{words.removeprefix('is ')}", repaired.problem), repaired.problem
    assert (repaired.notebook, repaired.repairs) == (released, [])
    assert re.match(
        f"mine.ipynb is .*{words.removeprefix('is ')}", problem_with_content(content, released, "mine.ipynb")
    )


def test_the_students_version_is_enough_to_recognise_a_submission(handed_in, released):
    metadata_gone(handed_in)
    assert problem_with_content(to_bytes(handed_in), released, "x.ipynb") == ""


def test_a_half_notebook_is_a_problem_wherever_it_was_cut(solved_text, solution):
    for end in range(1, len(solved_text), len(solved_text) // 20):
        assert "damaged notebook, perhaps cut off" in repair(solved_text[:end].encode(), solution).problem


def test_a_huge_notebook_is_cut_to_what_counts_in_seconds(handed_in, solution, released):
    deleted_test(handed_in)
    metadata_gone(handed_in)
    handed_in["cells"] += [code(f"def flatten_{i}(x):\n    return {i}") for i in range(50_000)]
    content = to_bytes(handed_in)
    start = time.process_time()
    repaired = repair(content, solution)
    assert time.process_time() - start < 8
    assert len(repaired.notebook.cells) <= MAX_CELLS + len(released.cells)
    assert any("48,000 cell(s) were left out" in sentence for sentence in repaired.repairs)
    is_whole(repaired, solution, released)


# Any damage, in any combination


@pytest.fixture(scope="session")
def check(solution: NotebookNode, released: NotebookNode) -> Callable[[bytes], Repaired]:
    """Repairs, and checks what must hold whatever it was."""

    def repaired(content: bytes) -> Repaired:
        result = repair(content, solution)
        if result.problem:
            assert (result.notebook, result.repairs) == (released, [])
        else:
            is_whole(result, solution, released)
        return result

    return repaired


@pytest.fixture(scope="session")
def solved_copy(solved_text: str) -> Callable[[], dict[str, Any]]:
    return lambda: json.loads(solved_text)


KEYS = [
    "cells",
    "worksheets",
    "source",
    "metadata",
    "nbgrader",
    "grade_id",
    "cell_type",
    "id",
    "attachments",
    "outputs",
]
GARBAGE = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(st.characters(), max_size=5) | st.sampled_from([*IDS, "code"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


def delete(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    own = [cell for cell in cells if "".join(cell["source"]) not in answers]
    for cell in chance.sample(own, min(len(own) - 1, chance.randint(0, 20))):
        cells.remove(cell)


def duplicate(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    for cell in chance.choices(cells, k=chance.randint(1, 5)):
        cells.insert(chance.randrange(len(cells) + 1), json.loads(json.dumps(cell)))


def shuffle(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    chance.shuffle(cells)


def retype(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    for cell in chance.choices(cells, k=10):
        cell["cell_type"] = chance.choice(["code", "markdown", "raw", "heading", None, 4])
        if cell["cell_type"] == "heading" and "".join(cell["source"]) in answers:
            cell["cell_type"] = "markdown"


def strip(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    for cell in chance.choices(cells, k=20):
        cell["metadata"] = {}


def garble(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    for cell in chance.choices(cells, k=10):
        garbage = [None, 7, [], {"nbgrader": None}, {"nbgrader": {"grade_id": [1], "points": float("nan")}}]
        cell["metadata"] = chance.choice(garbage)


def rename(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    for cell in chance.choices(cells, k=10):
        entry = {"grade_id": chance.choice(IDS), "grade": True, "solution": chance.random() < 0.5, "points": -1}
        cell["metadata"] = {"nbgrader": entry | {"schema_version": chance.choice([0, 3, 99, "x"])}}


def renumber(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    for cell in cells:
        cell["id"] = chance.choice(["same", "not valid!", None, 5, str(chance.random())[2:], cell.get("id")])


def list_sources(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    for cell in cells:
        cell["source"] = "".join(cell["source"]).splitlines(keepends=True)


def add(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    answer = chance.choice(sorted(answers))
    alike = re.sub(r"(def|class) (\w+)", r"\1 \2_old", answer, count=1)
    copies = [cell for cell in cells if "assert" in "".join(cell["source"])]
    for source in (
        alike,
        "x = 1",
        "Some text, and no code.",
        "".join(chance.choice([*copies, {"source": ""}])["source"]),
    ):
        cells.insert(chance.randrange(len(cells) + 1), code(source))
    name = chance.choice(IDS)
    cells.insert(chance.randrange(len(cells) + 1), code("# mine", nbgrader={"grade_id": name, "solution": True}))


def outputs(cells: Cells, chance: random.Random, answers: set[str]) -> None:
    for cell in cells:
        cell["outputs"] = chance.choice([None, 3, [None], [{"output_type": "?"}], []])


@MODERATE
@given(
    steps=st.lists(
        st.sampled_from(
            [delete, duplicate, shuffle, retype, strip, garble, rename, renumber, list_sources, add, outputs]
        ),
        max_size=8,
    ),
    seed=st.integers(0, 2**32),
)
def test_no_damage_around_the_answers_touches_them(steps, seed, check, solved_copy):
    notebook, chance = solved_copy(), random.Random(seed)
    entries = {id(cell): cell["metadata"].get("nbgrader", {}) for cell in notebook["cells"]}
    answers = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and entries[id(cell)].get("solution")]
    right = {grade_id(cell): cell["source"] for cell in answers}
    for step in steps:
        step(notebook["cells"], chance, set(right.values()))
    repaired = check(to_bytes(notebook))
    assert repaired.problem == ""
    assert {name: cell_of(repaired.notebook, name)["source"] for name in right} == right


@MODERATE
@given(content=st.binary(max_size=300) | GARBAGE.map(lambda data: json.dumps(data).encode()))
def test_no_bytes_ever_raise(content, check):
    assert check(content).problem


@MODERATE
@given(cells=st.lists(GARBAGE, max_size=3))
def test_no_cells_ever_raise(cells, check):
    answer = code("def flatten(x):\n    return x", nbgrader={"grade_id": "flatten"})
    repaired = check(to_bytes({"nbformat": 4, "cells": [answer, *cells]}))
    assert repaired.problem == ""
    assert cell_of(repaired.notebook, "flatten")["source"] == answer["source"]


@MODERATE
@given(spots=st.lists(st.tuples(st.integers(0, 2**32), st.binary(min_size=1, max_size=3)), max_size=4))
def test_a_notebook_with_spoilt_bytes_never_raises(spots, check, solved_copy):
    content = bytearray(to_bytes(solved_copy()))
    for place, data in spots:
        content[place % len(content) : place % len(content) + len(data)] = data
    check(bytes(content))
