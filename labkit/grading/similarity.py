"""Which answers are alike: fingerprints of their syntax trees, compared across the class, for a person to look at.

An answer is read as the sequence of its tree's nodes. Comments, layout, docstrings, annotations and the values of
constants are not in it, and names that the student chose are only told apart, so renaming changes nothing. Every
function is a sequence of its own, so their order does not matter either. From the hashes of all runs of a few nodes,
winnowing (Schleimer, Wilkerson and Aiken, 2003) keeps some, whichever they are, the same ones in every copy: the
fingerprints. Those of the template are taken away, and the rest count the more, the fewer students have them: what the
task makes everybody write is worth nearly nothing.

Code that does not parse is compared by its words and signs, and text by its runs of five words.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import html
import keyword
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from nbformat import NotebookNode

from labkit.grading.exports import write_whole

OTHER, OTHER_TEXT = "other code", "other text"
"""The names under which what stands outside the answer cells is compared."""

# how long a run is, and of how many runs at least one is kept
_NODES, _TOKENS, _WORDS = (8, 4), (12, 4), (5, 1)
# this many rare fingerprints must be shared before a score passes one half: a line that is right in one way only is
# the same in many notebooks
_FEW = 4.0
_LONGEST = 100_000  # characters of an answer that are read; nobody writes more by hand
_TOKEN = re.compile(
    r"""(?P<skip>\#[^\n]*|\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3})
    |(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<number>\d[\w.]*)|(?P<attribute>(?<=\.)[^\W\d]\w*)|(?P<name>[^\W\d]\w*)|(?P<sign>[^\s\w])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Evidence:
    """How alike two answers to one question are, 0 to 1. ``grade_id`` is the answer cell's."""

    grade_id: str
    score: float


@dataclass(frozen=True)
class Pair:
    """Two students and how alike their work is, 0 to 1, with the answers it rests on, the most alike first."""

    first: str
    second: str
    score: float
    shared: tuple[Evidence, ...]


@dataclass(frozen=True)
class _Local:
    """A name that the student chose."""

    name: str


@dataclass(frozen=True)
class _Prints:
    """The fingerprints of one answer: of its tree (None where there is none), and of its words and signs."""

    tree: frozenset[int] | None
    tokens: frozenset[int]


def similarity(notebooks: Mapping[str, NotebookNode], template: NotebookNode) -> list[Pair]:
    """Compare everybody's answers with everybody else's; ``template`` is the released notebook, ``notebooks`` by student.

    Returns the pairs that share something beyond the template, the most alike first. A score of 1 would be a long copy
    that nobody else has. Scores say where to look, and no more: two people can think alike, and one who copied with
    care is not found.
    """
    import numpy as np

    students = sorted(notebooks)
    public = _public(template)
    answers = {student: _answers(notebooks[student], template) for student in students}
    shared = np.zeros((len(students), len(students)))
    smaller = np.zeros_like(shared)
    evidence: dict[str, Any] = {}
    for grade_id in sorted({grade_id for cells in answers.values() for grade_id in cells}):
        prints = [_prints(answers[student].get(grade_id, []), public) for student in students]
        has_tree = np.array([each.tree is not None for each in prints])
        by_tree = _overlaps([each.tree or frozenset() for each in prints])
        by_token = _overlaps([each.tokens for each in prints])
        both = has_tree[:, None] & has_tree[None, :]
        in_common, at_most = (np.where(both, tree, token) for tree, token in zip(by_tree, by_token, strict=True))
        shared += in_common
        smaller += at_most
        evidence[grade_id] = in_common / (at_most + _FEW)
    scores = shared / (smaller + _FEW)
    pairs = [
        Pair(students[i], students[j], float(scores[i, j]), _evidence(evidence, i, j))
        for i, j in zip(*np.nonzero(np.triu(scores, k=1) > 0), strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.score, pair.first, pair.second))


def write_similarity_html(
    pairs: Sequence[Pair],
    path: Path,
    notebooks: Mapping[str, NotebookNode],
    template: NotebookNode,
    *,
    title: str = "",
    top: int = 30,
) -> Path:
    """Write a page for the instructor: the ``top`` pairs, and their answers side by side. Returns the path.

    The page stands for itself (no scripts, nothing from the network). Raises LabkitError where it cannot be written.
    """
    everyone = len(notebooks) * (len(notebooks) - 1) // 2
    high = sum(pair.score >= 0.5 for pair in pairs)
    shown = pairs[:top]
    students = {student for pair in shown for student in (pair.first, pair.second)}
    answers = {student: _answers(notebooks[student], template) for student in students}
    heading = html.escape(f"Answers that are alike{': ' if title else ''}{title}")
    body = [
        f"<h1>{heading}</h1>",
        "<p class='note'><b>Likeness is no proof.</b> A short task has few right answers, friends explain things to "
        "each other, and both may have read the same page. Read the answers, think of a harmless reason, and talk to "
        "the students before you decide anything. A low score proves nothing either.</p>",
        f"<p>{len(notebooks)} students, {everyone} pairs. {high} of them score 0.5 or more; "
        f"{'the first ' + str(len(shown)) if len(pairs) > len(shown) else 'all that share anything'} are shown. "
        "The score goes from 0 to 1. What the template gives does not count, and what many students wrote counts "
        "little.</p>",
    ]
    body += [_pair_html(pair, answers) for pair in shown] or ["<p>No two notebooks share anything worth showing.</p>"]
    path = Path(path).absolute()
    write_whole(path, Template(_PAGE).substitute(title=heading, body="\n".join(body)))
    return path


def _answers(notebook: NotebookNode, template: NotebookNode) -> dict[str, list[tuple[bool, str]]]:
    """What the student wrote, by grade id: (is it code, text) of each cell. The student's own cells come under ``OTHER``
    and ``OTHER_TEXT``, for an answer may stand there too."""
    asked = {_entry(cell).get("grade_id") for cell in template.cells if _entry(cell).get("solution")}
    found: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    room: dict[str, int] = defaultdict(lambda: _LONGEST)
    for cell in notebook.cells:
        is_code = cell.cell_type == "code"
        grade_id = _entry(cell).get("grade_id") or (OTHER if is_code else OTHER_TEXT)
        if grade_id in {*asked, OTHER, OTHER_TEXT} and room[grade_id] > 0:
            found[grade_id].append((is_code, cell.source[: room[grade_id]]))
            room[grade_id] -= len(cell.source)
    return found


def _entry(cell: NotebookNode) -> Mapping[str, Any]:
    entry = cell.metadata.get("nbgrader")
    return entry if isinstance(entry, Mapping) else {}


def _public(template: NotebookNode) -> _Prints:
    """The fingerprints of all that was given to the students."""
    every = [_prints([(cell.cell_type == "code", cell.source)], None) for cell in template.cells]
    return _Prints(
        frozenset().union(*(each.tree or () for each in every)), frozenset().union(*(each.tokens for each in every))
    )


def _prints(cells: Iterable[tuple[bool, str]], public: _Prints | None) -> _Prints:
    """The fingerprints of an answer, without those that are ``public``."""
    tree: set[int] | None = set()
    tokens: set[int] = set()
    for is_code, text in cells:
        if not is_code:
            words: list[str | _Local] = list(re.findall(r"\w+", text.lower()))
            tokens |= _winnow(words, *_WORDS)
            tree = None
            continue
        tokens |= _winnow(list(_tokens(text)), *_TOKENS)
        parsed = _parse(text)
        if parsed is None:
            tree = None
        elif tree is not None:
            tree.update(*(_winnow(stream, *_NODES) for stream in _streams(parsed)))
    if public is not None:
        tree = None if tree is None else tree - (public.tree or frozenset())
        tokens -= public.tokens
    return _Prints(None if tree is None else frozenset(tree), frozenset(tokens))


def _parse(code: str) -> ast.Module | None:
    code = re.sub(r"^(\s*)[%!].*$", r"\1pass", code, flags=re.MULTILINE)  # IPython's own lines
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a student's invalid escape is not the instructor's business
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _streams(module: ast.Module) -> Iterator[list[str | _Local]]:
    """The nodes of each function, and of what stands outside of them, from the outside in and from first to last."""
    own, own_attributes = _chosen_names(module)
    roots: list[ast.AST] = [module]
    while roots:
        root = roots.pop()
        stream: list[str | _Local] = []
        stack: list[ast.AST] = [root]
        while stack:  # no recursion: a student's expression may be nested deeper than Python would follow
            node = stack.pop()
            if node is not root and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                roots.append(node)
                continue
            label = _label(node, own, own_attributes)
            if label is not None:
                stream.append(label)
            stack.extend(reversed(list(_children(node))))
        yield stream


def _chosen_names(module: ast.Module) -> tuple[set[str], set[str]]:
    """Names of variables, arguments and functions, and names of attributes, that this code itself gives."""
    names, attributes = set(), set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            attributes.add(node.name)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            attributes.add(node.attr)
    return names, attributes


def _label(node: ast.AST, own: set[str], own_attributes: set[str]) -> str | _Local | None:
    match node:
        case ast.Module() | ast.expr_context():
            return None
        case ast.Name(id=name):
            return _Local(name) if name in own else name
        case ast.arg(arg=name):
            return _Local(name)
        case ast.Attribute(attr=name):
            return _Local("." + name) if name in own_attributes else "." + name
        case ast.Constant(value=value):
            return type(value).__name__
        case ast.keyword(arg=name):
            return f"{name}="
        case ast.alias(name=name):
            return f"import {name}"
        case ast.AnnAssign():
            return "Assign"
        case _:
            return type(node).__name__


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """A node's children, less annotations and strings that stand alone (docstrings)."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            alone = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.AST) and not alone:
                yield child


def _tokens(code: str) -> Iterator[str | _Local]:
    for match in _TOKEN.finditer(code):
        kind, text = match.lastgroup, match.group()
        if kind == "name" and not keyword.iskeyword(text) and not hasattr(builtins, text):
            yield _Local(text)
        elif kind in ("text", "number"):
            yield kind
        elif kind != "skip":
            yield text


def _winnow(stream: Sequence[str | _Local], length: int, window: int) -> set[int]:
    """The fingerprints of a sequence: of every ``window`` runs of ``length`` that follow one another, the least hash."""
    runs = [_hash(stream[start : start + length]) for start in range(len(stream) - length + 1)]
    return {min(runs[start : start + window]) for start in range(max(len(runs) - window + 1, min(len(runs), 1)))}


def _hash(run: Sequence[str | _Local]) -> int:
    """A run's hash, 64 bits. A chosen name counts as the place in the run where it came up first."""
    places: dict[_Local, str] = {}
    labels = [places.setdefault(label, f"\x00{len(places)}") if isinstance(label, _Local) else label for label in run]
    # not Python's own hash, which differs from one process to the next, and with it the choice of fingerprints
    return int.from_bytes(hashlib.blake2b("\x01".join(labels).encode("utf-8", "replace"), digest_size=8).digest())


def _overlaps(sets: Sequence[frozenset[int]]) -> tuple[Any, Any]:
    """What each two students share, and the most they could: two arrays (students, students) of weights.

    A fingerprint weighs 1 if only these two (or one) have it, and hardly anything if the whole class does. In the most
    that could be shared it weighs a quarter at least: answers that have only the usual in common stay far below 1. The
    product of sparse matrices is an inverted index: it visits the pairs that share a fingerprint, and no others.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    columns = {each: number for number, each in enumerate(sorted(set().union(*sets)))}
    rows = [row for row, prints in enumerate(sets) for _ in prints]
    places = [columns[each] for prints in sets for each in prints]
    has = csr_matrix((np.ones(len(rows)), (rows, places)), shape=(len(sets), len(columns)))
    holders = np.asarray(has.sum(axis=0)).ravel()
    weights = 1 - np.log(np.maximum(holders - 1, 1)) / np.log(len(sets) + 1)
    totals = has @ np.maximum(weights, 0.25)
    return (has.multiply(weights).tocsr() @ has.T).toarray(), np.minimum.outer(totals, totals)


def _evidence(scores: Mapping[str, Any], i: int, j: int) -> tuple[Evidence, ...]:
    found = [Evidence(grade_id, float(table[i, j])) for grade_id, table in scores.items() if table[i, j] > 0]
    return tuple(sorted(found, key=lambda each: (-each.score, each.grade_id)))


def _pair_html(pair: Pair, answers: Mapping[str, Mapping[str, list[tuple[bool, str]]]]) -> str:
    first, second = html.escape(pair.first), html.escape(pair.second)
    parts = [f"<section><h2>{first} and {second} <span class='score'>{pair.score:.2f}</span></h2>"]
    for number, each in enumerate(pair.shared):
        sides = [
            f"<div><h3>{html.escape(student)}</h3><pre>"
            + html.escape("\n\n".join(text for _, text in answers[student].get(each.grade_id, [])))
            + "</pre></div>"
            for student in (pair.first, pair.second)
        ]
        opened = " open" if number == 0 and each.score >= 0.5 else ""
        parts.append(
            f"<details{opened}><summary><code>{html.escape(each.grade_id)}</code> "
            f"<span class='score'>{each.score:.2f}</span></summary><div class='sides'>{''.join(sides)}</div></details>"
        )
    return "\n".join([*parts, "</section>"])


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 75rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 0 0 .5rem; } h3 { font-size: .9rem; margin: .5rem 0; }
.note { background: #fff6dd; border-left: .3rem solid #d9a400; padding: .6rem 1rem; }
section { border: 1px solid #ccc; border-radius: .4rem; padding: .8rem 1rem; margin: 1rem 0; }
summary { cursor: pointer; padding: .2rem 0; }
.score { font-variant-numeric: tabular-nums; color: #555; float: right; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 0 1rem; }
.sides > div { min-width: 0; }
pre { background: #f5f5f5; padding: .6rem; overflow-x: auto; font-size: .8rem; line-height: 1.4; margin: 0; }
</style>
</head>
<body>
$body
</body>
</html>
"""
