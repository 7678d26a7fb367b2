"""What was handed in, made fit to be graded: the cells of the assignment put back, and the student's work kept.

The instructor's notebook is the truth about which cells there are and in which order. The student's file is only asked
for what is the student's: the text of the answers, and cells of their own. An answer is found by the grade id in its
metadata, and where that was lost, by the names that its code defines, its cell's id, its likeness and its place.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import itertools
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nbformat
from nbformat import NotebookNode

MAX_CELLS = 2_000  # of the student's own, kept beside the assignment's
MAX_TEXT = 20_000_000  # characters in them
_PARSED = 5_000_000  # characters; beyond, names are found by pattern, as the parser takes a second for each million
_LIKE, _VERY_LIKE = 50, 90  # of 100, rapidfuzz's ratio

_ROLES = {"answer": "The answer", "manual": "The written answer", "tests": "The test cell", "task": "The task"}
_KINDS = {"code": "a code cell", "markdown": "a text cell", "raw": "a raw cell"}
_DEFINITION = re.compile(r"^(?:async\s+)?(?:def\s+(\w+)\s*\(|class\s+(\w+)\s*[(:])", re.MULTILINE)


@dataclass(frozen=True)
class Repaired:
    """A notebook that nbgrader can grade, and what had to be done for it, a sentence each.

    ``problem`` says why there is nothing to grade, and is empty where there is; the notebook is then a blank one.
    """

    notebook: NotebookNode
    repairs: list[str]
    problem: str = ""


def repair(content: bytes, source: NotebookNode, name: str = "") -> Repaired:
    """Read what a student handed in as an answer to ``source``, the instructor's notebook. Never raises for any bytes.

    Every graded or locked cell of ``source`` is in the result once, in order, with its metadata as it was released;
    locked cells with their released text. The student's own cells stay behind the cell that they followed. Outputs are
    dropped. ``name`` is what the file is called in ``problem``; by default the assignment's id with ``.ipynb``.
    """
    return _repair(content, _blueprint(json.dumps(source)), name)


def problem_with_content(content: bytes, released: NotebookNode, name: str) -> str:
    """Why a file cannot be graded, judged as :func:`repair` does, but knowing only the students' version."""
    return _repair(content, _Blueprint(released, released), name).problem


def _repair(content: bytes, blueprint: _Blueprint, name: str) -> Repaired:
    notes: list[str] = []
    try:
        cells = _cells(_parse(_decode(content, notes), notes), notes)
        work = _Match(blueprint, cells, notes)
        if not work.recognised:
            raise _UnreadableError(
                f"is a notebook, but none of its cells belongs to {blueprint.id or 'the assignment'}."
            )
    except _UnreadableError as error:
        subject = name or (f"{blueprint.id}.ipynb" if blueprint.id else "The file")
        return Repaired(blueprint.notebook([]), [], f"{subject} {error}")
    return Repaired(blueprint.notebook(work.arranged()), notes)


class _UnreadableError(Exception):
    """Why there is nothing to grade, as the rest of a sentence about the file."""


# The file


def _decode(content: bytes, notes: list[str]) -> str:
    """The text of a file in whatever encoding it was saved."""
    encoding = ""
    if content.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        encoding = "UTF-32"
    elif content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
    elif content.startswith((b"{\0", b"\0{")):
        encoding = "UTF-16-LE" if content.startswith(b"{") else "UTF-16-BE"
    text = content.decode(encoding or "utf-8-sig", "replace" if encoding else "surrogateescape")
    text = text.strip("\0 \t\r\n")
    if not text:
        raise _UnreadableError("is empty.")
    if not encoding and re.search("[\udc80-\udcff]", text):
        if not text.startswith("{"):
            raise _UnreadableError("is not a notebook: it is not even text.")
        encoding = "Windows-1252"
        text = re.sub("[\udc80-\udcff]", _windows_1252, text)
    if encoding:
        notes.append(f"The file was not saved as UTF-8, as notebooks are; it was read as {encoding}.")
    return text


def _windows_1252(byte: re.Match[str]) -> str:
    return bytes([ord(byte[0]) - 0xDC00]).decode("cp1252", "replace")


def _parse(text: str, notes: list[str]) -> dict[str, Any]:
    """The JSON object in a text: the whole, its beginning, or one side of a merge conflict."""
    try:
        return _object(text, notes)
    except (json.JSONDecodeError, RecursionError) as error:
        conflict = re.search("^<{7} ", text, re.MULTILINE)
        sides = ("above the line", "below the line") if conflict else ()
        for side in sides:
            try:
                data = _object(_one_side(text, side), notes)
            except (json.JSONDecodeError, RecursionError):
                continue
            notes.append(f"The file held a merge conflict of git; the version {side} ======= was read.")
            return data
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        if conflict:
            what = "a damaged notebook: it holds a merge conflict of git that nobody has resolved"
        else:
            cut_off = text.startswith("{")
            what = "a damaged notebook, perhaps cut off while it was copied" if cut_off else "not a notebook"
        raise _UnreadableError(f"is {what}{where}.") from None


def _one_side(text: str, side: str) -> str:
    """A text in which git has marked conflicts, with only the lines of one side of each."""
    kept, part = [], "both"
    steps = {
        ("<<<<<<<", "both"): "above the line",
        ("|||||||", "above the line"): "before the split",
        ("=======", "above the line"): "below the line",
        ("=======", "before the split"): "below the line",
        (">>>>>>>", "below the line"): "both",
    }
    for line in text.split("\n"):
        if step := steps.get((line[:7], part)):
            part = step
        elif part in ("both", side):
            kept.append(line)
    return "\n".join(kept)


def _object(text: str, notes: list[str]) -> dict[str, Any]:
    # Python refuses numbers of more than 4,300 digits with an error of its own; none of ours has more than a few
    decoder = json.JSONDecoder(strict=False, parse_int=lambda digits: int(digits[:20]), parse_constant=lambda _: None)
    data, end = decoder.raw_decode(text)
    rest = text[end:].strip("\0 \t\r\n")
    if not isinstance(data, dict):
        if rest:
            raise json.JSONDecodeError("Extra data", text, end)
        raise _UnreadableError("is not a notebook, though it is JSON.")
    if rest:
        notes.append("There was more text behind the end of the notebook, which was left out.")
    return data


@dataclass(eq=False)
class _Cell:
    """A cell that was handed in: only what counts, and that in order. ``claim`` is its grade id, if we know it."""

    index: int
    kind: str
    text: str
    id: str
    entry: dict[str, Any]
    attachments: dict[str, dict[str, str]]
    claim: str = ""

    @property
    def bare(self) -> str:
        return self.text.strip()

    @property
    def called(self) -> str:
        grade_id = self.entry.get("grade_id")
        return _clean(grade_id) if isinstance(grade_id, str) else ""


def _cells(data: dict[str, Any], notes: list[str]) -> list[_Cell]:
    """The cells of a notebook of any format, whatever they hold."""
    raw = data.get("cells")
    sheets = data.get("worksheets")  # in format 3, and before
    if not isinstance(raw, list) and isinstance(sheets, list):
        lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        raw = [cell for cells in lists if isinstance(cells, list) for cell in cells]
        notes.append("The notebook was of an old format (before 4); it was converted.")
    if not isinstance(raw, list):
        known = isinstance(data.get("nbformat"), int)
        raise _UnreadableError("is a notebook without cells." if known else "is not a notebook, though it is JSON.")
    if not raw:
        raise _UnreadableError("is a notebook without cells.")
    cells, strange = list[_Cell](), Counter[str]()
    for cell in raw:
        if isinstance(cell, dict):
            cells.append(_cell(len(cells), cell, strange))
        else:
            strange["no cell"] += 1
    for what, sentence in (
        ("no cell", "{} thing(s) in the list of cells were no cells and were left out."),
        ("no kind", "{} cell(s) had no valid type and were read as what they looked like."),
        ("no text", "{} cell(s) had no valid text and were read as far as they could be."),
        ("bad text", "{} cell(s) held characters that cannot be saved or run; those were replaced or left out."),
    ):
        if strange[what]:
            notes.append(sentence.format(strange[what]))
    return cells


def _cell(index: int, cell: dict[str, Any], strange: Counter[str]) -> _Cell:
    metadata = cell.get("metadata")
    entry = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    text = cell.get("source", cell.get("input"))
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        text = "".join(text)
    elif not isinstance(text, str):
        strange["no text"] += 1
        text = "".join(line for line in text if isinstance(line, str)) if isinstance(text, list) else ""
    text = text.replace("\r\n", "\n")
    clean = _clean(text)
    strange["bad text"] += clean != text
    kind = cell.get("cell_type")
    if kind == "heading":  # of format 3
        kind, clean = "markdown", f"# {clean}"
    elif not isinstance(kind, str) or kind not in _KINDS:
        strange["no kind"] += 1
        kind = "code" if "outputs" in cell or "execution_count" in cell else "markdown"
    own_id = cell.get("id")
    return _Cell(
        index,
        kind,
        clean,
        own_id if isinstance(own_id, str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", own_id) else "",
        entry if isinstance(entry, dict) else {},
        _attachments(cell.get("attachments")) if kind != "code" else {},
    )


def _clean(text: str) -> str:
    """Text without NUL, at which Python stops, and without halves of characters, which no file can hold."""
    text = text.replace("\0", "")
    return text if text.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", text)


def _attachments(value: Any) -> dict[str, dict[str, str]]:
    """Pictures that were pasted into a text, as far as they are valid."""
    found = {}
    for name, data in value.items() if isinstance(value, dict) else ():
        if isinstance(data, dict) and data and all(isinstance(content, str) for content in data.values()):
            found[_clean(name)] = {_clean(mime): _clean(content) for mime, content in data.items()}
    return found


# The assignment


@dataclass(frozen=True, eq=False)
class _Place:
    """A cell of the assignment. ``names`` are those that an answer defines; ``sure`` where by ``def`` or ``class``."""

    position: int
    cell: NotebookNode
    role: str
    grade_id: str
    names: frozenset[str]
    sure: bool

    @property
    def bare(self) -> str:
        return self.cell.source.strip()

    @property
    def editable(self) -> bool:
        return self.role in ("answer", "manual")

    def __str__(self) -> str:
        return f"{_ROLES.get(self.role, 'The cell')} '{self.grade_id}'"


@functools.lru_cache(maxsize=4)
def _blueprint(source: str) -> _Blueprint:
    from labkit.build import release_notebook

    notebook = nbformat.from_dict(json.loads(source))
    return _Blueprint(notebook, release_notebook(notebook))


class _Blueprint:
    """The assignment: its places in order, as released, and what the instructor's code reads."""

    def __init__(self, source: NotebookNode, released: NotebookNode) -> None:
        self.released = released
        self.code = [cell.source if cell.cell_type == "code" else "" for cell in source.cells]
        labkit = source.metadata.get("labkit")
        self.id = str(labkit.get("id", "")) if isinstance(labkit, dict) else ""
        self.places = [_place(position, cell, self.code[position]) for position, cell in enumerate(released.cells)]
        self.graded = {place.grade_id: place for place in self.places if place.role}
        # whatever an answer may be recognised by; only cells that mention one of them need to be parsed
        words = sorted({name for place in self.places for name in place.names})
        self.mention = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b") if words else re.compile(r"(?!)")

    def notebook(self, cells: list[NotebookNode]) -> NotebookNode:
        """A notebook of these cells; without any, the blank one."""
        whole = copy.deepcopy(self.released)
        whole.cells = cells or whole.cells
        return whole


def _place(position: int, cell: NotebookNode, solution: str) -> _Place:
    entry = cell.metadata.get("nbgrader") or {}
    grade, own = entry.get("grade"), entry.get("solution")
    role = ""
    if entry.get("task"):
        role = "task"
    elif own:
        role = "manual" if grade else "answer"
    elif grade or entry.get("locked"):
        role = "tests" if grade else "readonly"
    names, sure = frozenset[str](), False
    if own and cell.cell_type == "code":
        # where the stub is bare, the solution says what is to be defined
        names = _definitions(cell.source) or _definitions(solution)
        sure = bool(names)
        names = names or _bound_in(cell.source) or _bound_in(solution)
    return _Place(position, cell, role, entry.get("grade_id", "") if role else "", names, sure)


# Code


def _tree(code: str) -> ast.Module | None:
    """The code as Python reads it, without regard to notebook magics; None where it cannot."""
    for text in (code, re.sub(r"^([ \t]*)[%!].*$", r"\1pass", code, flags=re.MULTILINE)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # such as on '\d': the student's business
                return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _statements(tree: ast.Module | None) -> Iterator[ast.stmt]:
    """The statements of a module in order, with those in its ``if``, ``for``, ``with`` and ``try``."""
    waiting = [*reversed(tree.body)] if tree else []
    while waiting:  # not by recursion: a chain of a thousand elif is as deep
        statement = waiting.pop()
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            parts = [statement, *getattr(statement, "handlers", [])]
            inner = [getattr(part, name, []) for part in parts for name in ("body", "orelse", "finalbody")]
            waiting += reversed([child for body in inner for child in body])


def _binds(statement: ast.stmt) -> set[str]:
    """The names to which one statement gives a value."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    targets: list[Any] = [*getattr(statement, "targets", []), getattr(statement, "target", None)]
    targets += [item.optional_vars for item in getattr(statement, "items", [])]
    nodes = (node for target in targets if target is not None for node in ast.walk(target))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _bound_in(code: str) -> frozenset[str]:
    return frozenset(name for statement in _statements(_tree(code)) for name in _binds(statement))


def _definitions(code: str) -> frozenset[str]:
    """The functions and classes of some code, even if Python cannot read all of it."""
    tree = _tree(code)
    if tree is None:
        return frozenset(match[1] or match[2] for match in _DEFINITION.finditer(code))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(statement.name for statement in _statements(tree) if isinstance(statement, kinds))


def _reads(code: str) -> set[str]:
    """The names that some code expects to be there before it."""
    needed, bound = set[str](), set[str]()
    for statement in getattr(_tree(code), "body", []):
        loaded, own = set[str](), set[str]()
        compound = hasattr(statement, "body")
        for node in ast.walk(statement):
            if isinstance(node, ast.arg):
                own.add(node.arg)
            elif isinstance(node, ast.Name):
                (loaded if isinstance(node.ctx, ast.Load) else own if compound else set[str]()).add(node.id)
            elif isinstance(node, ast.comprehension):
                own |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
        needed |= loaded - own - bound
        for inner in _statements(ast.Module([statement], [])):
            bound |= _binds(inner)
    return needed


def _definition_of(names: frozenset[str], code: str) -> str:
    """The part of some code that defines these names, or nothing where it does not define them all."""
    statements = [statement for statement in getattr(_tree(code), "body", []) if _binds(statement) & names]
    if not names <= {name for statement in statements for name in _binds(statement)}:
        return ""
    lines, parts = code.split("\n"), []
    for statement in statements:
        first = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", []))])
        parts.append("\n".join(lines[first - 1 : statement.end_lineno]))
    return "\n\n\n".join(parts)


# Which cell is which


class _Match:
    """The cells that were handed in, each where it belongs: ``found`` by position, and ``how`` it was recognised."""

    def __init__(self, blueprint: _Blueprint, cells: list[_Cell], notes: list[str]) -> None:
        self.blueprint, self.cells, self.notes = blueprint, cells, notes
        self.found: dict[int, _Cell] = {}
        self.how: dict[int, str] = {}
        self.taken: set[_Cell] = set()
        self.settings: dict[str, list[str]] = {}  # what was changed in the metadata, and in which cells
        self.copies: set[_Cell] = set()  # of what the student was not to change: these are no answers
        self.parsed = sum(len(cell.text) for cell in cells) <= _PARSED
        for cell in cells:
            cell.claim = cell.called if cell.called in blueprint.graded else ""
        self._find_unchanged()
        self._find_answers()
        self._find_changed()
        self._find_nameless()

    @property
    def recognised(self) -> bool:
        """Whether anything is surely of this assignment: its imports are those of others too."""
        return any(
            self.how[place.position] != "place"
            and (place.role not in ("", "readonly") or (len(place.bare) > 40 and not place.role))
            for place in self.blueprint.places
            if place.position in self.found
        )

    def _assign(self, pairs: list[tuple[tuple[Any, ...], _Cell, _Place, str]]) -> None:
        """Give every place its best cell, and every cell one place, the strongest evidence first."""
        for _, cell, place, how in sorted(pairs, key=lambda pair: pair[0], reverse=True):
            if cell not in self.taken and place.position not in self.found:
                self.taken.add(cell)
                self.found[place.position] = cell
                self.how[place.position] = "name" if cell.claim and cell.claim == place.grade_id else how

    def _idle(self) -> list[_Cell]:
        return [cell for cell in self.cells if cell not in self.taken and cell not in self.copies]

    def _unfilled(self, *, editable: bool) -> list[_Place]:
        graded = self.blueprint.graded.values()
        return [place for place in graded if place.editable == editable and place.position not in self.found]

    def _find_unchanged(self) -> None:
        """Cells that the student was not to change, and did not. Whatever they claim, they are no answer."""
        by_text: dict[str, list[_Place]] = {}
        for place in self.blueprint.places:
            if not place.editable and place.bare:
                by_text.setdefault(place.bare, []).append(place)
        pairs = []
        for cell in self.cells:
            places = by_text.get(cell.bare, [])
            for place in places:
                key = (bool(place.role) and cell.claim == place.grade_id, cell.id == place.cell.id, -cell.index)
                pairs.append((key, cell, place, "text"))
            if places and cell.claim not in {place.grade_id for place in places}:
                cell.claim = ""
            if places:
                self.copies.add(cell)
        self._assign(pairs)

    def _find_answers(self) -> None:
        """Answers, by what their code defines and by what they claim to be."""
        editable = [place for place in self.blueprint.graded.values() if place.editable]
        pairs = []
        for cell in self._idle():
            names, valid = self._names(cell)
            for place in editable:
                claims = cell.claim == place.grade_id
                if claims or place.names & names:
                    changed = cell.bare != place.bare
                    sure = changed and place.sure and bool(place.names & names)
                    begun = changed and bool(cell.bare)
                    done = begun and "raise NotImplementedError()" not in cell.text
                    own_id = not claims and cell.id == place.cell.id
                    key = (sure, claims, begun, done, valid, own_id, cell.index)
                    pairs.append((key, cell, place, "code"))
        self._assign(pairs)

    def _names(self, cell: _Cell) -> tuple[frozenset[str], bool]:
        """The names that a cell defines, so far as they matter, and whether it is Python."""
        if not self.blueprint.mention.search(cell.text):
            return frozenset(), bool(cell.claim) and self.parsed and _tree(cell.text) is not None
        tree = _tree(cell.text) if self.parsed else None
        if tree is not None:
            return frozenset(name for statement in _statements(tree) for name in _binds(statement)), True
        if cell.kind == "code" or cell.claim:  # in a text, code may be quoted
            return frozenset(match[1] or match[2] for match in _DEFINITION.finditer(cell.text)), False
        return frozenset(), False

    def _find_changed(self) -> None:
        """Locked cells in which the student wrote something."""
        from rapidfuzz import fuzz

        missing = {place.grade_id: place for place in self._unfilled(editable=False)}
        pairs = []
        nameless = 0
        for cell in self._idle():
            if cell.claim in missing:
                place = missing[cell.claim]
                like = fuzz.ratio(cell.bare, place.bare, score_cutoff=_LIKE)
                if like or not cell.bare:
                    pairs.append(((1, like, -cell.index), cell, place, "name"))
            elif not cell.claim and cell.bare and nameless < MAX_CELLS:
                nameless += 1
                for place in missing.values():
                    if like := fuzz.ratio(cell.bare, place.bare, score_cutoff=_VERY_LIKE):
                        pairs.append(((0, like, -cell.index), cell, place, "text"))
        self._assign(pairs)

    def _find_nameless(self) -> None:
        """Answers that neither say what they are nor define what they should: by cell id, likeness and place."""
        from rapidfuzz import fuzz

        missing = self._unfilled(editable=True)
        if not missing:
            return
        owners = {place.cell.id: place for place in self.blueprint.places}
        pairs = []
        for cell, before, after in self._neighbours():
            for place in missing:
                own_id = owners.get(cell.id) is place
                if cell.id in owners and not own_id:
                    continue
                like = fuzz.ratio(cell.bare, place.bare, score_cutoff=_LIKE)
                near = (before == place.position - 1) + (after == place.position + 1)
                suits = cell.kind == place.cell.cell_type
                how = "id" if own_id else "text" if like else "place" if near and suits and not place.sure else ""
                if how:
                    pairs.append(((own_id, like, near, suits, -cell.index), cell, place, how))
        self._assign(pairs)

    def _neighbours(self) -> list[tuple[_Cell, int, int]]:
        """Cells that may be anything, each with the positions of what was recognised before and after it."""
        position = {cell: place for place, cell in self.found.items()}
        after, nexts = len(self.blueprint.places), []
        for cell in reversed(self.cells):
            nexts.append(after)
            after = position.get(cell, after)
        before, found = -1, list[tuple[_Cell, int, int]]()
        for cell, following in zip(self.cells, reversed(nexts), strict=True):
            if cell in position:
                before = position[cell]
            elif not cell.claim and cell.bare and cell not in self.copies and len(found) < MAX_CELLS:
                found.append((cell, before, following))
        return found

    # What becomes of it

    def arranged(self) -> list[NotebookNode]:
        """The cells of the repaired notebook. Says in the notes what was done."""
        own = self._own_cells()
        texts = {place.position: self._text(place) for place in self.blueprint.graded.values()}
        back = self._put_back(own, texts)
        used = {self.blueprint.places[position].cell.id for position in {*self.found, *texts, *back}}
        placed = [(key, _node(cell)) for key, cell in own]
        _number([node for _, node in placed], used)
        for place in self.blueprint.places:
            if place.position in texts:
                node = copy.deepcopy(place.cell)
                node.source = texts[place.position]
                cell = self.found.get(place.position)
                if place.editable and cell and cell.attachments and node.cell_type != "code":
                    node["attachments"] = nbformat.from_dict(cell.attachments)
            elif place.position in back:
                node = copy.deepcopy(place.cell)
            elif place.position in self.found:
                node = _node(self.found[place.position], like=place.cell)
            else:
                continue
            placed.append(((place.position, -1), node))
        for changed, names in self.settings.items():  # one sentence for all: a tool that changes one cell changes many
            cells = f"the cell '{names[0]}'" if len(names) == 1 else f"{len(names)} cells"
            self.notes.append(f"The settings of {cells} were put back ({changed}).")
        order = [cell.index for _, cell in sorted(self.found.items())]
        if order != sorted(order):
            self.notes.append("Some cells stood in another order; those of the assignment were put back into its own.")
        return [node for _, node in sorted(placed, key=lambda pair: pair[0])]

    def _text(self, place: _Place) -> str:
        """What a graded cell holds in the end. Says in the notes what was wrong with it."""
        cell = self.found.get(place.position)
        if cell is None:
            return self._missing(place)
        if cell.claim != place.grade_id:
            rivals = any(other.claim == place.grade_id for other in self.cells)
            if rivals and place.editable:
                self.notes.append(f"{place} was written in another cell than its own; that one was read.")
            else:
                by = f"it was recognised by its {self.how[place.position]}"
                was = f"was called '{cell.called[:60]}'" if cell.called else "had lost its name"
                self.notes.append(f"{place} {was}; {by}.")
        elif changed := _changed_settings(cell.entry, place.cell.metadata.nbgrader):
            self.settings.setdefault(", ".join(changed), []).append(place.grade_id)
        if cell.kind != place.cell.cell_type:
            done = "read as" if place.editable else "put back as"
            kind = "code" if place.cell.cell_type == "code" else "text"
            self.notes.append(f"{place} had become {_KINDS[cell.kind]}; it was {done} {kind}.")
        if cell.bare != place.bare and not place.editable:
            self.notes.append(f"{place} had been changed and was put back.")
        return cell.text if place.editable and cell.bare != place.bare else place.cell.source

    def _missing(self, place: _Place) -> str:
        for position, cell in sorted(self.found.items()) if place.sure and self.parsed else ():
            if self.blueprint.places[position].editable and (code := _definition_of(place.names, cell.text)):
                where = self.blueprint.places[position].grade_id
                self.notes.append(f"{place} was found in the cell '{where}', and was copied into a cell of its own.")
                return code
        if any(cell.claim == place.grade_id and cell.bare for cell in self._idle()):
            what = "held something else, which was kept as an ordinary cell; the right one was put back."
        elif place.editable:
            what = "was missing; an empty one was put back."
        else:
            what = "was missing and was put back."
        self.notes.append(f"{place} {what}")
        return str(place.cell.source)

    def _own_cells(self) -> list[tuple[tuple[int, int], _Cell]]:
        """The student's own cells that are kept, each with where it goes: behind which position, and in which order."""
        dropped, kept = Counter[str](), Counter[str]()
        position = {cell: place for place, cell in self.found.items()}
        open_stubs = {
            place.bare
            for place in self.blueprint.graded.values()
            if place.editable and place.sure and (cell := self.found.get(place.position)) and cell.bare != place.bare
        }
        own: list[tuple[tuple[int, int], _Cell]] = []
        joined = self._join_split()
        anchor, text, strangers, stubs, too_many = -1, 0, 0, 0, 0
        for cell in self.cells:
            if cell in position:
                anchor = position[cell]
                continue
            place = self.blueprint.graded.get(cell.claim)
            rival = self.found.get(place.position) if place else None
            if cell in joined:
                continue
            if place and (not cell.bare or cell.bare in (place.bare, rival.bare if rival else "")):
                dropped[cell.claim] += 1
                continue
            if cell.kind == "code" and cell.bare in open_stubs:
                stubs += 1
                continue
            if len(own) >= MAX_CELLS or text + len(cell.text) > MAX_TEXT:
                too_many += 1
                continue
            text += len(cell.text)
            key = (anchor, cell.index)
            if place and rival:
                kept[cell.claim] += 1
                if place.names & self._names(cell)[0]:  # an earlier try must not come after the answer
                    key = min(key, (place.position - 1, len(self.cells) + cell.index))
            strangers += (
                not cell.claim and bool(cell.called) and any(map(cell.entry.get, ("grade", "solution", "locked")))
            )
            own.append((key, cell))
        for grade_id in self.blueprint.graded:
            self._say_twice(self.blueprint.graded[grade_id], dropped[grade_id], kept[grade_id])
        for count, what in (
            (stubs, "were unanswered copies of cells that are answered, and were left out"),
            (strangers, "bore the name of a graded cell without being one, and were kept as ordinary cells"),
            (
                too_many,
                f"were left out: beyond {MAX_CELLS:,} cells or {MAX_TEXT // 10**6} MB only what is graded is kept",
            ),
        ):
            if count:
                self.notes.append(f"{count:,} cell(s) {what}.")
        return own

    def _say_twice(self, place: _Place, dropped: int, kept: int) -> None:
        if place.position not in self.found:
            return
        if kept and place.editable:
            which = "the last that is valid Python" if place.cell.cell_type == "code" else "the last"
            self.notes.append(
                f"{place} was there more than once, and not the same: of those that answer it {which} was read, "
                "and the rest kept as ordinary cells."
            )
        elif kept:
            self.notes.append(f"{place} was there more than once; what differed was kept as an ordinary cell.")
        elif dropped:
            self.notes.append(f"{place} was there more than once; the copies were left out.")

    def _join_split(self) -> set[_Cell]:
        """Put answers together that were split within a block, and return the cells that were their ends."""
        joined: set[_Cell] = set()
        for position, cell in sorted(self.found.items()):
            place = self.blueprint.places[position]
            ends = []
            for end in self.cells[cell.index + 1 :]:
                if end in self.taken or end.claim != place.grade_id or not end.text.startswith((" ", "\t")):
                    break
                ends.append(end)
            if ends and place.names and self.parsed:
                whole = "\n".join([cell.text.rstrip(), *(end.text for end in ends)])
                if _tree(whole):
                    cell.text = whole
                    joined |= set(ends)
                    self.notes.append(f"{place} was split into several cells; it was put together again.")
        return joined

    def _put_back(self, own: list[tuple[tuple[int, int], _Cell]], texts: dict[int, str]) -> set[int]:
        """The instructor's plain code cells that are gone although code after them needs what they define."""
        code = {place.position: place for place in self.blueprint.places if place.cell.cell_type == "code"}
        plain = {position for position, place in code.items() if not place.role}
        gone = {
            position: _bound_in(self.blueprint.code[position])
            for position in plain
            if position not in self.found or self.found[position].kind != "code"
        }
        if not any(gone.values()) or not self.parsed:
            return set()
        word = re.compile(rf"\b(?:{'|'.join(sorted({name for names in gone.values() for name in names}))})\b")
        steps = [(key, cell.text) for key, cell in own if cell.kind == "code"]
        for position, place in code.items():
            steps.append(((position, -1), texts[position] if place.editable else self.blueprint.code[position]))
        reads = {key: (_reads(text), _bound_in(text)) for key, text in sorted(steps) if word.search(text)}
        back: set[int] = set()
        while gone and (missing := self._next_missing(reads, gone)) is not None:
            back.add(missing)
            names = ", ".join(sorted(gone.pop(missing))[:3])
            self.notes.append(f"A cell of the assignment that is needed ({names}) was missing and was put back.")
        return back

    @staticmethod
    def _next_missing(
        reads: dict[tuple[int, int], tuple[set[str], frozenset[str]]], gone: dict[int, frozenset[str]]
    ) -> int | None:
        """The position of a cell that is gone and defines what a later one, which is there, reads."""
        bound: set[str] = set()
        for key, (needed, own) in reads.items():
            if key[1] == -1 and key[0] in gone:
                continue
            for position in sorted(gone, reverse=True):
                if position < key[0] and gone[position] & (needed - bound):
                    return position
            bound |= own
        return None


def _changed_settings(entry: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """Which of nbgrader's settings of a cell are not as they were released."""
    changed = [
        key
        for key in ("grade", "solution", "locked", "task", "points")
        if entry.get(key, False if key == "task" else None) != right.get(key, False if key == "task" else None)
    ]
    version = entry.get("schema_version")
    return changed + ([] if version in (1, 2, 3) else ["schema_version"])


def _node(cell: _Cell, like: NotebookNode | None = None) -> NotebookNode:
    """A cell of the result that is the student's own, or one of the assignment's that is not graded."""
    node: dict[str, Any] = {"cell_type": cell.kind, "id": cell.id, "metadata": {}, "source": cell.text}
    if like is not None:
        node |= {"id": like.id, "metadata": copy.deepcopy(like.metadata), "source": like.source}
    if cell.kind == "code":
        node |= {"outputs": [], "execution_count": None}
    elif cell.attachments:
        node["attachments"] = cell.attachments
    return nbformat.from_dict(node)


def _number(nodes: list[NotebookNode], used: set[str]) -> None:
    """Give an id to each cell that has none of its own, and leave the others alone."""
    nameless = []
    for node in nodes:
        if not node.id or node.id in used:
            nameless.append(node)
        used.add(node.id)
    for node in nameless:
        name = hashlib.sha256(f"{node.cell_type}\n{node.source}".encode()).hexdigest()[:10]
        names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        node["id"] = next(one for one in names if one not in used)
        used.add(node.id)
