"""The page of feedback that a student gets, made by ``nbgrader generate_feedback`` and by formgrader's button.

nbgrader's own page shows the notebook with its scores. This one says first what was wrong, in the words of the tests,
and what to try next. :class:`ExplainGrades` gathers what is to be said, and :class:`FeedbackExporter` lays it out with
``feedback_page.html.j2``. Both are named in nbgrader's configuration, after its ``GetGrades``.

The grader leaves its notes in the autograded notebook: ``{"seconds", "memory", "score", "message"}`` in
``cell.metadata.labkit`` of each code cell, and ``{"sealed", "repairs", "stopped"}`` in ``nb.metadata.labkit_grading``.
Without them, for a notebook that stock nbgrader graded, the page tells what the outputs tell.

Two things never reach the page. *Hidden tests*: nbgrader puts them back before it grades and would show them, in the cell
and again in the traceback; next year's class would know them. And *code that runs*: what a student wrote or displayed
is cleaned of scripts, and the page's policy forbids the browser to run any but our own.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import bleach
from markupsafe import Markup
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from pygments.formatters import HtmlFormatter
from traitlets import Unicode, default

from labkit.errors import LabkitError

_HIDDEN = re.compile(r"^[^\n]*BEGIN HIDDEN TESTS.*?(END HIDDEN TESTS[^\n]*|\Z)", re.MULTILINE | re.DOTALL)
_TEXT_SHOWN = 20_000  # characters of one output; a page is to be read

# The one script of the page. It fetches MathJax, where there is a network, to set the formulas.
_MATHJAX = Markup("""
window.MathJax = {
  tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]], processEscapes: true},
  options: {ignoreHtmlClass: "lk-plain"},
  loader: {load: ["ui/safe"]}
};
const script = document.createElement("script");
script.src = "https://cdnjs.cloudflare.com/ajax/libs/mathjax/3.2.2/es5/tex-chtml.js";
document.head.appendChild(script);
""")
_COLOURS = Markup(HtmlFormatter(style="default").get_style_defs(".highlight"))
_OURS = base64.b64encode(hashlib.sha256(_MATHJAX.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; script-src 'strict-dynamic' 'sha256-{_OURS}'; style-src 'unsafe-inline'; "
    "img-src 'self' data: https:; font-src https://cdnjs.cloudflare.com; base-uri 'none'; form-action 'none'"
)

# fmt: off
_TAGS = frozenset((
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h1", "h2",
    "h3", "h4", "h5", "h6", "hr", "i", "img", "kbd", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub",
    "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
))
# fmt: on


@dataclass
class Note:
    """What the page says about one cell. Scores in points, ``seconds`` in seconds, ``memory`` in bytes.

    ``role`` is ``tests``, ``answer``, ``manual``, ``task`` or empty. ``waiting`` is True while a person has yet to look
    at it. What is None is not known.
    """

    role: str = ""
    grade_id: str = ""
    score: float | None = None
    max_score: float = 0.0
    message: str = ""
    hints: tuple[str, ...] = ()
    seconds: float | None = None
    memory: float | None = None
    waiting: bool = False
    comment: str = ""

    @property
    def state(self) -> str:
        """``right``, ``partly`` or ``wrong``, ``waiting`` for a person, or empty for a cell without points."""
        if self.role not in ("tests", "manual", "task") or self.score is None:
            return ""
        if self.waiting:
            return "waiting"
        if self.score >= self.max_score:
            return "right"
        return "partly" if self.score > 0 else "wrong"

    @property
    def sentence(self) -> str:
        """The outcome in one line."""
        if self.state == "waiting":
            return "A person has yet to read this." if self.role != "tests" else "A person has yet to look at this."
        if self.state in ("", "right"):
            return "All right." if self.state else ""
        if self.message:
            line = self.message.strip().splitlines()[0]
            return line if len(line) <= 300 else f"{line[:299]}…"
        if self.role != "tests":
            return "See the comment." if self.comment else "Ask the person who marked it."
        return "Points were lost here, and the test did not say why."

    @property
    def cost(self) -> str:
        """Time and memory, for people."""
        parts = []
        if self.seconds is not None:
            parts.append(
                "under 0.01 s" if self.seconds < 0.01 else f"{self.seconds:.{2 if self.seconds < 1 else 1}f} s"
            )
        if self.memory:
            parts.append(f"{self.memory / 1e6:,.0f} MB" if self.memory >= 1e6 else "under 1 MB")
        return ", ".join(parts)


@dataclass
class Page:
    """All that the page says beside the notebook. ``notes`` has an entry for each cell; ``sealed`` may be unknown."""

    title: str
    student: str
    score: float | None = None
    max_score: float = 0.0
    late_penalty: float = 0.0
    repairs: list[str] = field(default_factory=list)
    stopped: str = ""
    sealed: bool | None = None
    notes: list[Note] = field(default_factory=list)
    policy: str = _POLICY
    script: Markup = _MATHJAX
    colours: Markup = _COLOURS

    @property
    def marked(self) -> list[Note]:
        """The cells that are worth points, in their order."""
        return [note for note in self.notes if note.state]


class ExplainGrades(NbGraderPreprocessor):
    """Gathers what is to be said in ``resources["labkit_page"]``, and takes hidden tests and scripts out of the notebook.

    Hints are read from ``HINTS/ASSIGNMENT.toml``, where there is one: a table ``[hints]`` with a list of texts for each
    test cell, from a nudge to nearly the answer. The first is shown to whoever lost points there, the others unfold.
    """

    hints = Unicode("hints", help="The folder of hints; nbgrader works in the course's folder").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Raises LabkitError for a file of hints that cannot be read."""
        known = resources.get("nbgrader", {})
        hints = load_hints(Path(self.hints) / f"{known['assignment']}.toml") if "assignment" in known else {}
        waiting = _waiting(known)
        about = _mapping(nb.metadata.get("labkit_grading"))
        page = Page(
            title=str(known.get("notebook", "Feedback")),
            student=str(known.get("student", "")),
            score=_number(known.get("score")),
            max_score=_number(known.get("max_score")) or 0.0,
            late_penalty=_number(known.get("late_penalty")) or 0.0,
            repairs=[str(repair) for repair in about.get("repairs") or []],
            stopped=str(about.get("stopped") or ""),
            sealed=about.get("sealed"),
        )
        for cell in nb.cells:
            note = _note(cell, waiting)
            note.hints = hints.get(note.grade_id, ()) if note.state in ("wrong", "partly") else ()
            page.notes.append(note)
            _hide_tests(cell)
            if note.role == "tests" and "outputs" in cell:
                cell.outputs = []  # the note has the message; a traceback quotes the lines of the test
        resources["labkit_page"] = page
        return nb, resources


class FeedbackExporter(HTMLExporter):
    """nbconvert's HTML exporter with our page. Formulas, highlighting and colours are nbconvert's."""

    @default("raw_template")
    def _our_template(self) -> str:
        return Path(__file__).with_name("feedback_page.html.j2").read_text(encoding="utf-8")

    def default_filters(self) -> Any:
        yield from super().default_filters()
        yield "prose", prose
        yield "points", points
        yield "shown", shown

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> Any:
        nb.metadata.pop("language_info", None)  # the course is in Python, whatever a student's file says
        return super().from_notebook_node(nb, resources, **kw)


def load_hints(path: Path) -> dict[str, tuple[str, ...]]:
    """The hints for each test cell; none where there is no such file.

    Raises LabkitError naming the file and what is wrong with it.
    """
    if not path.is_file():
        return {}
    todo = 'A line under [hints] is `test-cell-id = ["first hint", "second hint"]`'
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("hints", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise LabkitError(f"{path} cannot be read as hints", str(error), todo) from error
    for name, ladder in table.items() if isinstance(table, dict) else [("hints", table)]:
        if not (isinstance(ladder, list) and ladder and all(isinstance(hint, str) and hint.strip() for hint in ladder)):
            raise LabkitError(f"{path} cannot be read as hints", f"'{name}' is not a list of texts", todo)
    return {name: tuple(ladder) for name, ladder in table.items()}


def prose(source: str, attachments: Mapping[str, Any] | None = None) -> Markup:
    """Markdown as HTML that cannot run. Text that cannot be rendered is shown as it was typed."""
    kept = attachments or {}

    def place(match: re.Match[str]) -> str:
        return match.group() if match.group(1) in kept else "()"

    # a picture that was pasted and lost on the way must not cost anyone the page
    source = re.sub(r"\(attachment:([^)\s]+)[^)]*\)", place, _cut(source))
    try:
        return _render(source, kept) if kept else _render_plain(source)
    except Exception:  # brackets a thousand deep, an attachment of no known form, ...
        return Markup("<pre>{}</pre>").format(source)


def _render(source: str, attachments: Mapping[str, Any]) -> Markup:
    renderer = IPythonRenderer(escape=False, exclude_anchor_links=True, attachments=dict(attachments))
    return clean(MarkdownWithMath(renderer=renderer).render(source))


@lru_cache(maxsize=1024)  # most cells of text are the same for the whole class
def _render_plain(source: str) -> Markup:
    return _render(source, {})


def clean(text: str) -> Markup:
    """HTML that cannot run: what is not known to be harmless is shown as the text it is."""
    return Markup(bleach.clean(text, tags=_TAGS, attributes=_harmless, protocols={"https", "http", "mailto", "data"}))


def points(value: float | None) -> str:
    """Points for people: at most two decimals, and a dash where there are none yet."""
    return "–" if value is None else f"{round(value, 2):g}"


def shown(output: NotebookNode) -> dict[str, str]:
    """An output in the one form that the page shows: ``kind`` is a type of content, and ``content`` is cut to size."""
    if output.output_type == "stream":
        return {"kind": "text/plain", "content": _cut(output.text)}
    if output.output_type == "error":
        traceback = "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"
        return {"kind": "text/plain", "content": _cut(traceback)}
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if re.fullmatch(r"[A-Za-z0-9+/=\s]+", str(data.get(kind, ""))):
            return {"kind": kind, "content": re.sub(r"\s", "", data[kind])}
    if "image/svg+xml" in data:  # as a picture, in which no script runs
        content = base64.b64encode(str(data["image/svg+xml"]).encode()).decode()
        return {"kind": "image/svg+xml", "content": content}
    if "text/html" in data:
        table = str(data["text/html"])
        # styles and scripts would be shown as text, which is safe and of no use to anyone
        table = re.sub(r"<(style|script)\b.*?(</\1\s*>|\Z)", "", table, flags=re.DOTALL | re.IGNORECASE)
        if len(table) <= _TEXT_SHOWN:
            return {"kind": "text/html", "content": clean(table)}
    for kind in ("text/markdown", "text/latex", "text/plain"):
        if kind in data:
            return {"kind": kind, "content": _cut(str(data[kind]))}
    return {"kind": "text/plain", "content": "(something that this page cannot show)"}


def _harmless(tag: str, name: str, value: str) -> bool:
    match tag, name:
        case _, "class":
            return "lk-" not in value  # those are the page's own
        case "a", "href":
            return not value.strip().lower().startswith("data:")
        case "img", "src":
            return not re.match(r"\s*data:(?!image/)", value, re.IGNORECASE)
        case "img", "alt" | "width" | "height":
            return True
        case "td" | "th", "colspan" | "rowspan":
            return True
    return name == "title" or (tag, name) == ("ol", "start")


def _note(cell: NotebookNode, waiting: set[str]) -> Note:
    entry = _mapping(cell.metadata.get("nbgrader"))
    about = _mapping(cell.metadata.get("labkit"))  # the builder keeps a word there, in cells of its own
    grade, solution = bool(entry.get("grade")), bool(entry.get("solution"))
    role = (
        "task"
        if entry.get("task")
        else {(1, 0): "tests", (0, 1): "answer", (1, 1): "manual"}.get((grade, solution), "")
    )
    note = Note(
        role=role,
        grade_id=str(entry.get("grade_id", "")) if role else "",
        score=_number(entry.get("score")),
        max_score=_number(entry.get("points")) or 0.0,
        message=str(about.get("message") or ""),
        seconds=_number(about.get("seconds")),
        memory=_number(about.get("memory")),
        comment=str(entry.get("comment") or ""),
    )
    note.waiting = role in ("tests", "manual", "task") and note.grade_id in waiting
    if role == "tests" and "message" not in about and note.state in ("wrong", "partly"):
        note.message = _told(cell)
    return note


def _told(cell: NotebookNode) -> str:
    """What a test cell that stock nbgrader ran had to say."""
    printed = []
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            bare = output.ename == "AssertionError" and output.evalue
            return output.evalue if bare else f"{output.ename}: {output.evalue}".rstrip(": ")
        if output.output_type == "stream":
            printed.append(output.text.strip())
    return "\n".join(printed)


def _hide_tests(cell: NotebookNode) -> None:
    if "nbgrader" in cell.metadata:
        cell.source = _HIDDEN.sub("# more tests of this kind ran here, on other numbers", cell.source)


def _cut(text: str) -> str:
    left = len(text) - _TEXT_SHOWN
    return text if left <= 0 else f"{text[:_TEXT_SHOWN]}\n… and {left:,} characters more"


def _waiting(known: Mapping[str, Any]) -> set[str]:
    """The cells of this notebook that a person has yet to mark."""
    from nbgrader.api import Gradebook

    if "db_url" not in known:
        return set()
    with Gradebook(known["db_url"]) as gradebook:
        notebook = gradebook.find_submission_notebook(known["notebook"], known["assignment"], known["student"])
        return {grade.name for grade in notebook.grades if grade.needs_manual_grade}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
