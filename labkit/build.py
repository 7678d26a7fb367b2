"""From sources to notebooks: ``lab.md`` (MyST Markdown, read by jupytext) becomes ``lab.ipynb``.

The header with its badges and the set-up cell come from the manifest, the ids of cells from their content, and nbgrader's
metadata from one short line per cell. What nbgrader releases to students is built too, so ``check`` guards all three.

A cell of an assignment says what it is in its first line (code) or in its block's metadata (Markdown)::

    :grade: answer ID            students write it, tests judge it; holds ### BEGIN SOLUTION ... ### END SOLUTION
    :grade: tests ID POINTS      locked; may hold ### BEGIN HIDDEN TESTS ... ### END HIDDEN TESTS
    :grade: manual ID POINTS     students write it, a person marks it
    :grade: task ID POINTS       Markdown that sets a task, which a person marks
    :grade: readonly ID          locked, worth nothing
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode

from labkit.course import Assignment, Course, Item, Lab
from labkit.errors import LabkitError

AnItem = TypeVar("AnItem", bound=Item)

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

# role -> nbgrader's flags (grade, solution, locked, task); see nbgrader's documentation, "cell metadata", schema 3
_ROLES = {
    "answer": (False, True, False, False),
    "tests": (True, False, True, False),
    "manual": (True, True, False, False),
    "task": (True, False, True, True),
    "readonly": (False, False, True, False),
}


@dataclass(frozen=True)
class Target:
    """A generated notebook: where it goes, what it is made from, and its text."""

    path: Path
    source: Path
    text: str

    @property
    def state(self) -> Literal["fresh", "missing", "stale", "edited"]:
        """How the file on disk compares. ``edited``: somebody changed it by hand since it was built."""
        if not self.path.exists():
            return "missing"
        on_disk = self.path.read_text(encoding="utf-8")
        if on_disk == self.text:
            return "fresh"
        try:
            notebook = nbformat.reads(on_disk, as_version=4)
            built = notebook.metadata.get("labkit", {}).get("digest")
            return "stale" if built == digest(notebook) else "edited"
        except Exception:  # whatever is there is no notebook of ours: it is not to be overwritten unasked
            return "edited"


def targets(course: Course, only: Collection[str] = ()) -> Iterator[Target]:
    """Everything that ``labkit build`` generates, or what it generates for the items named in ``only``."""
    for lab in _chosen(course.labs, only):
        yield Target(lab.notebook, lab.source, to_text(lab_notebook(course, lab)))
    for assignment in _chosen(course.assignments, only):
        notebook = assignment_notebook(assignment, course)
        yield Target(assignment.notebook, assignment.source, to_text(notebook))
        yield Target(assignment.release, assignment.source, to_text(release_notebook(notebook)))


def _chosen(items: Mapping[str, AnItem], only: Collection[str]) -> list[AnItem]:
    return [item for name, item in items.items() if not only or name in only]


def build(course: Course, *, only: Collection[str] = (), force: bool = False) -> list[Path]:
    """Write every notebook that is missing or stale, and return their paths. ``only`` names some labs or assignments.

    Raises LabkitError before anything is written if a notebook was edited by hand, unless ``force``.
    """
    everything = list(targets(course, only))
    edited = [course.relative(target.path) for target in everything if target.state == "edited"]
    if edited and not force:
        raise LabkitError(
            f"Edited by hand since the last build: {', '.join(edited)}",
            "Building would throw those edits away",
            "Keep them with `labkit build --pull LAB`, or drop them with `labkit build --force`",
        )
    written = []
    for target in everything:
        if target.state != "fresh":
            _write(target.path, target.text)
            written.append(target.path)
    return written


def check(course: Course, only: Collection[str] = ()) -> list[str]:
    """What is wrong with the generated files (or those of ``only``), a line each; an empty list where all is well."""
    reasons = {
        "missing": "was never built",
        "stale": "is older than its source",
        "edited": "was edited by hand (or executed and saved)",
    }
    problems = []
    for target in targets(course, only):
        if target.state != "fresh":
            problems.append(f"{course.relative(target.path)} {reasons[target.state]}: {course.relative(target.source)}")
    known = {lab.source for lab in course.labs.values()} | {item.source for item in course.assignments.values()}
    for folder in ("notebooks", "assignments/source"):
        for path in sorted((course.root / folder).rglob("*.md")):
            if path not in known and ".ipynb_checkpoints" not in path.parts:
                problems.append(f"{course.relative(path)} is not in the manifest")
    return problems


def pull(course: Course, item: Item) -> Path:
    """Bring what was edited in JupyterLab back into the source, and return the source's path."""
    import jupytext

    notebook = nbformat.read(item.notebook, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "labkit" not in cell.metadata]
    for cell in notebook.cells:
        cell.metadata = NotebookNode(_short_notation(cell.metadata))
        cell.pop("id", None)
    notebook.metadata = NotebookNode({"kernelspec": KERNEL, "language_info": {"pygments_lexer": "ipython3"}})
    text = jupytext.writes(notebook, fmt="md:myst")
    text = re.sub(r"\A---\n.*?\n---\n", f"{_FRONT_MATTER}", text, count=1, flags=re.DOTALL)
    _write(item.source, text)
    return item.source


def format_sources(course: Course, only: Collection[str] = ()) -> list[Path]:
    """Format the code of every source (or those ``only``) with ruff, and return what changed. Prose is left as it is."""
    import subprocess
    import sys

    def formatted(match: re.Match[str]) -> str:
        command = [sys.executable, "-m", "ruff", "format", "--line-length=120", "--stdin-filename=cell.py", "-"]
        done = subprocess.run(command, input=match["code"], capture_output=True, text=True)
        return match["head"] + (done.stdout if done.returncode == 0 else match["code"]) + match["end"]

    cell = re.compile(
        r"(?P<head>^```(?:\{code-cell\}[^\n]*|python)\n(?::[^\n]*\n)*\n*)(?P<code>.*?)(?P<end>^```$)",
        re.MULTILINE | re.DOTALL,
    )
    changed = []
    for item in _chosen({**course.labs, **course.assignments}, only):
        text = item.source.read_text(encoding="utf-8")
        new = cell.sub(formatted, text)
        if new != text:
            _write(item.source, new)
            changed.append(item.source)
    return changed


_FRONT_MATTER = "---\nkernelspec: {name: python3, display_name: Python 3, language: python}\n---\n"


def lab_notebook(course: Course, lab: Lab) -> NotebookNode:
    """The notebook of a lab, without outputs."""
    facts = [
        course.parts[lab.part].title,
        f"about {lab.minutes} minutes",
        f"runs on {_and(name.upper() for name in lab.hardware)}",
    ]
    if lab.datasets:
        facts.append(f"data: {_and(lab.datasets)}")
    lines = [f"# {lab.title}", " · ".join(facts), badges(course, lab.notebook)]
    if lab.after:
        lines.append("Builds on " + _and(_link(course, lab, before) for before in lab.after) + ".")
    if lab.full_mode:
        lines.append(lab.full_mode)
    return _notebook(course, lab, "\n\n".join(lines))


def assignment_notebook(assignment: Assignment, course: Course | None = None) -> NotebookNode:
    """The instructor's notebook of an assignment, with solutions and nbgrader's metadata."""
    from labkit.course import load_course

    course = course or load_course()
    lines = [f"# {assignment.title}", f"About {assignment.minutes} minutes", badges(course, assignment.release)]
    lines.append(
        "Write where a cell says `YOUR CODE HERE`, and remove the line below it. Cells with tests are locked: run them as"
        f" often as you like. Hand in with `labkit submit {assignment.id}`."
    )
    notebook = _notebook(course, assignment, "\n\n".join(lines))
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        if cell.metadata.get("labkit") == "setup":
            cell.metadata["grade"] = "readonly setup"
        notation = cell.metadata.pop("grade", None)
        if notation is not None:
            cell.metadata["nbgrader"] = _nbgrader_metadata(assignment, cell, str(notation))
            seen[cell.metadata["nbgrader"]["grade_id"]] += 1
    twice = [name for name, count in seen.items() if count > 1]
    if twice:
        raise LabkitError(f"{assignment.source}: two cells are called {_and(twice)}", todo="Give each cell its own id")
    return notebook


def release_notebook(notebook: NotebookNode) -> NotebookNode:
    """What nbgrader releases to students: its own preprocessors, without its database.

    ``tests/grading`` holds this against ``nbgrader generate_assignment``.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.preprocessors import SaveCells

    released = nbformat.from_dict(json.loads(json.dumps(notebook)))
    resources: dict[str, Any] = {}
    for preprocessor in GenerateAssignment().preprocessors:
        if preprocessor is not SaveCells:
            released, resources = preprocessor().preprocess(released, resources)
    released.metadata["labkit"]["digest"] = digest(released)
    return released


def badges(course: Course, notebook: Path) -> str:
    """Markdown of the Colab and Binder badges for a notebook."""
    path, repository = quote(course.relative(notebook)), course.repository.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{repository}/blob/{course.branch}/{path}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{course.branch}?urlpath=lab/tree/{path}"
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def setup_code(course: Course, item: Item) -> str:
    """The first code cell. Where labkit is missing it adds labkit alone: pip leaves satisfied packages as they are."""
    return (
        "# Run this first. On Colab and Kaggle it adds the course's helper package,\n"
        "# and leaves their own torch, jax and numpy as they are.\n"
        "import importlib.util\n"
        "\n"
        'if importlib.util.find_spec("labkit") is None:\n'
        f'    %pip install -q "labkit @ git+{course.repository}@{course.branch}"\n'
        "\n"
        "import labkit.session\n"
        "\n"
        f'labkit.session.begin("{item.id}")'
    )


def digest(notebook: NotebookNode) -> str:
    """A fingerprint of what a notebook's cells say, blind to outputs and to what an editor adds around them."""
    cells = [[cell.cell_type, cell.source] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def to_text(notebook: NotebookNode) -> str:
    """The notebook as it is written to disk: stable order of keys, one final newline."""
    nbformat.validate(notebook)
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _notebook(course: Course, item: Item, header: str) -> NotebookNode:
    import jupytext

    try:
        text = item.source.read_text(encoding="utf-8")
    except OSError as error:
        raise LabkitError(
            f"'{item.id}' is in the manifest, but {course.relative(item.source)} cannot be read", str(error)
        ) from error
    try:
        cells = jupytext.reads(text, fmt="md:myst").cells
    except Exception as error:  # jupytext raises several kinds; each names the line
        raise LabkitError(
            f"{course.relative(item.source)} is not MyST Markdown that jupytext can read", str(error)
        ) from error
    first = nbformat.v4.new_markdown_cell(header, metadata={"labkit": "header"})
    setup = nbformat.v4.new_code_cell(setup_code(course, item), metadata={"labkit": "setup"})
    notebook = nbformat.v4.new_notebook(
        cells=[first, setup, *(cell for cell in cells if "labkit" not in cell.metadata)]
    )
    notebook.metadata.update(kernelspec=dict(KERNEL), language_info={"name": "python"})
    _number(notebook)
    notebook.metadata["labkit"] = {"id": item.id, "digest": digest(notebook)}
    return notebook


def _number(notebook: NotebookNode) -> None:
    """Give every cell an id made from its content, so that a change elsewhere in the file leaves it alone."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[name] += 1
        cell["id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"


def _nbgrader_metadata(assignment: Assignment, cell: NotebookNode, notation: str) -> dict[str, Any]:
    words = notation.split()
    where = f"{assignment.source.name}, cell ':grade: {notation}'"
    role = words[0] if words else ""
    graded = role in ("tests", "manual", "task")
    if role not in _ROLES or len(words) != (3 if graded else 2):
        raise LabkitError(f"{where}: expected one of {', '.join(_ROLES)}, then an id, and points if it is graded")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", words[1]):
        raise LabkitError(f"{where}: expected an id of small letters, digits and hyphens")
    if graded and not re.fullmatch(r"[1-9]\d*", words[2]):
        raise LabkitError(f"{where}: expected the points as a whole number above 0")
    if (role == "task" and cell.cell_type != "markdown") or (role in ("answer", "tests") and cell.cell_type != "code"):
        raise LabkitError(f"{where}: a {cell.cell_type} cell cannot be that")
    for marker in ("SOLUTION", "HIDDEN TESTS"):
        if cell.source.count(f"### BEGIN {marker}") != cell.source.count(f"### END {marker}"):
            raise LabkitError(f"{where}: each ### BEGIN {marker} needs its ### END {marker}")
    if role == "answer" and "### BEGIN SOLUTION" not in cell.source:
        raise LabkitError(f"{where}: an answer needs ### BEGIN SOLUTION and ### END SOLUTION, or students get it whole")
    grade, solution, locked, task = _ROLES[role]
    metadata: dict[str, Any] = {"schema_version": 3, "grade_id": words[1], "cell_type": cell.cell_type}
    metadata |= {"grade": grade, "solution": solution, "locked": locked, "task": task}
    return metadata | ({"points": int(words[2])} if graded else {})


def _short_notation(metadata: dict[str, Any]) -> dict[str, Any]:
    """nbgrader's metadata back as the author wrote it."""
    kept = {key: value for key, value in metadata.items() if key in ("tags", "grade")}
    full = metadata.get("nbgrader")
    if full:
        flags = tuple(bool(full.get(key)) for key in ("grade", "solution", "locked", "task"))
        role = next((name for name, expected in _ROLES.items() if flags == expected), None)
        if role is None:
            raise LabkitError(f"Cell '{full.get('grade_id')}' has flags that no short notation has", str(full))
        kept["grade"] = " ".join([role, full["grade_id"], *([str(full["points"])] if full.get("grade") else [])])
    return kept


def _link(course: Course, lab: Lab, other: str) -> str:
    target = course.lab(other)
    path = target.notebook.name if target.part == lab.part else f"../{target.part}/{target.notebook.name}"
    return f"[{target.title}]({path})"


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)
