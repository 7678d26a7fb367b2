"""The page a student gets: what it says, what it must not show, and what it must not run."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import tomllib
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from traitlets.config import Config

from labkit import build
from labkit.course import Course
from labkit.errors import LabkitError
from labkit.grading.feedback_page import ExplainGrades, FeedbackExporter, Note, clean, load_hints, points

PS = "ps2-lenet"
BROWSER = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
TESTS = """assert add(1, 2) == 3, "1 + 2 is 3."
### BEGIN HIDDEN TESTS
assert add(40, 2) == 42, "Larger numbers too."
### END HIDDEN TESTS"""
EVIL = [
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<svg onload=\"document.title='owned'\"></svg>",
    "<a href=\"javascript:document.title='owned'\">x</a>",
    "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>",
    "<details open ontoggle=\"document.title='owned'\">x</details>",
    "<math><mtext><table><mglyph><style><img src onerror=\"document.title='owned'\"></style></mglyph></table></mtext></math>",
    "</pre></div></body><script>document.title='owned'</script>",
    "\"><script>document.title='owned'</script>",
    "{{ resources }}{% raw %}",
]


def cell(
    role: str, source: str = "", outputs: list[NotebookNode] | None = None, labkit: dict | None = None, **entry: Any
) -> NotebookNode:
    """A cell as it lies in ``autograded/``, with what GetGrades has added."""
    flags = {"tests": (True, False), "answer": (False, True), "manual": (True, True), "plain": None, "text": None}[role]
    metadata: dict[str, Any] = {} if labkit is None else {"labkit": labkit}
    if flags:
        metadata["nbgrader"] = {"grade": flags[0], "solution": flags[1], "grade_id": role, **entry}
    if role in ("manual", "text"):
        return nbformat.v4.new_markdown_cell(source, metadata=metadata)
    return nbformat.v4.new_code_cell(source, metadata=metadata, outputs=outputs or [])


def error(name: str, value: str) -> NotebookNode:
    lines = ["\x1b[0;31m-----\x1b[0m", '      3 assert add(40, 2) == 42, "Larger numbers too."', f"{name}: {value}"]
    return nbformat.v4.new_output("error", ename=name, evalue=value, traceback=lines)


def page(*cells: NotebookNode, hints: Path = Path("/nowhere"), grading: dict | None = None, **known: Any) -> str:
    exporter = FeedbackExporter(
        config=Config({"Exporter": {"default_preprocessors": []}, "ExplainGrades": {"hints": str(hints)}})
    )
    exporter.register_preprocessor(ExplainGrades, enabled=True)
    notebook = nbformat.v4.new_notebook(cells=list(cells), metadata={"labkit_grading": grading} if grading else {})
    about = {"notebook": "ps1", "assignment": "ps1", "student": "ada", "score": 1.0, "max_score": 4.0, **known}
    return exporter.from_notebook_node(notebook, {"nbgrader": about})[0]


class Reader(HTMLParser):
    """What a reader sees, and what a browser might run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.risky: list[str] = []
        self.hidden = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "title"):
            self.hidden = tag
        if tag in ("script", "iframe", "object", "embed", "form", "base", "link", "svg", "math"):
            self.risky.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name == "style" or re.match(r"\s*(javascript|vbscript|data:text)", value or ""):
                self.risky.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = "" if tag == self.hidden else self.hidden

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def text_of(html: str) -> str:
    return Reader(html).text


def test_the_page_begins_with_a_table_that_says_what_was_wrong():
    wrong = cell("tests", TESTS, labkit={"seconds": 0.25, "memory": 120e6, "message": "1 + 2 is 3.\nYou have 4."})
    wrong.metadata.nbgrader |= {"score": 0.0, "points": 3.0}
    right = cell("tests", "pass", labkit={"seconds": 0.001, "memory": 4096, "message": ""}, score=1.0, points=1.0)
    right.metadata.nbgrader["grade_id"] = "more-tests"
    shown = text_of(page(cell("answer", "def add(a, b): ..."), wrong, right))
    table, notebook = shown.split("Your notebook")
    assert "1 of 4 points for ada" in table
    assert "tests 0 of 3 1 + 2 is 3. 0.25 s, 120 MB" in table and "You have 4." not in table
    assert "more-tests 1 of 1 All right. under 0.01 s, under 1 MB" in table
    assert "1 + 2 is 3. You have 4." in notebook


def test_repairs_stops_lateness_and_a_missing_wall_are_told():
    grading = {"sealed": False, "repairs": ["Cell <b>one</b> was put back."], "stopped": "It ran longer than 30 s."}
    shown = text_of(page(cell("plain", "1"), grading=grading, late_penalty=0.4))
    assert "Cell <b>one</b> was put back." in shown and "cost you nothing" in shown
    assert "stopped before its end. It ran longer than 30 s." in shown
    assert "after 0.4 taken off for handing in late" in shown and "--unsealed" in shown
    quiet = text_of(page(cell("plain", "1"), grading={"sealed": True, "repairs": [], "stopped": ""}))
    assert not re.search("repaired|stopped|late|unsealed", quiet)


def test_hidden_tests_and_tracebacks_are_never_shown():
    graded = cell("tests", TESTS, [error("AssertionError", "Larger numbers too.")], score=0.0, points=3.0)
    html = page(graded)
    assert "add(40" not in html.replace("</span>", "").replace("<span", "") and "HIDDEN" not in html
    shown = text_of(html)
    assert "Larger numbers too." in shown and "more tests of this kind" in shown and "add ( 1 , 2 )" in shown
    assert "40" not in shown and "-----" not in shown


def test_a_hidden_region_that_never_ends_is_hidden_too():
    assert "40" not in text_of(page(cell("tests", TESTS.rsplit("\n", 1)[0], score=3.0, points=3.0)))


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([error("AssertionError", "1 + 2 is 3.")], "1 + 2 is 3."),
        ([error("AssertionError", "")], "AssertionError"),
        ([error("NameError", "name 'add' is not defined")], "NameError: name 'add' is not defined"),
        ([nbformat.v4.new_output("stream", name="stdout", text="Not yet: sums.\n")], "Not yet: sums."),
        ([nbformat.v4.new_output("stream", name="stderr", text="UserWarning: slow\n")], "UserWarning: slow"),
        ([], "Points were lost here, and the test did not say why."),
    ],
)
def test_a_notebook_that_stock_nbgrader_graded_is_explained_too(outputs, said):
    shown = text_of(page(cell("tests", TESTS, outputs, score=1.0, points=3.0)))
    assert f"tests 1 of 3 {said}" in shown


def test_what_the_builder_keeps_in_metadata_is_no_note_of_the_grader():
    plain = cell("plain", "1 + 1")
    plain.metadata["labkit"] = "setup"
    assert "1 + 1" in text_of(page(plain))


def test_marks_by_hand():
    waiting, marked = Note("manual", "essay", 0.0, 4.0, waiting=True), Note("manual", "essay", 2.5, 4.0, comment="Why?")
    assert (waiting.state, waiting.sentence) == ("waiting", "A person has yet to read this.")
    assert (marked.state, marked.sentence) == ("partly", "See the comment.")
    shown = text_of(page(cell("manual", "Because $a < b$.", score=2.5, points=4.0, comment="Say **why**.")))
    assert "2.5 of 4" in shown and "Comment. Say why ." in shown and "$a < b$" in shown


def test_points_and_costs_are_for_people():
    assert [points(value) for value in (None, 3.0, 1 / 3, 0, 12.5)] == ["–", "3", "0.33", "0", "12.5"]
    costs = [Note(seconds=seconds, memory=memory).cost for seconds, memory in [(None, None), (0.0, 0), (61.26, 2e9)]]
    assert costs == ["", "under 0.01 s", "61.3 s, 2,000 MB"]
    long = Note("tests", "t", 0.0, 1.0, message="x" * 5000).sentence
    assert len(long) == 300 and long.endswith("…")


def test_the_first_hint_is_open_and_the_others_fold(tmp_path):
    (tmp_path / "ps1.toml").write_text('[hints]\ntests = ["Try `a`.", "Try **b**.", "Try <c>."]\n', encoding="utf-8")
    wrong = page(cell("tests", TESTS, score=0.0, points=3.0), hints=tmp_path)
    body = wrong.split("Your notebook")[1]
    first, second, third = (
        body.index("Try <code>a</code>"),
        body.index("Try <strong>b</strong>"),
        body.index("Try &lt;c"),
    )
    folds = [match.start() for match in re.finditer("<details", body)]
    assert first < folds[0] < second < folds[1] < third < folds[2]
    assert "The next hint" in body[first:second] and "One more hint" in body[second:third]
    assert "Try" not in page(cell("tests", TESTS, score=3.0, points=3.0), hints=tmp_path)


@pytest.mark.parametrize(
    "text", ["hints = 1", "[hints]\na = 'x'", "[hints]\na = []", "[hints]\na = [1]", "[hints]\na = [' ']", "[[["]
)
def test_a_damaged_file_of_hints_is_one_clear_error(text, tmp_path):
    (tmp_path / "ps1.toml").write_text(text, encoding="utf-8")
    with pytest.raises(LabkitError, match=r"ps1\.toml cannot be read as hints.*A line under \[hints\]"):
        load_hints(tmp_path / "ps1.toml")


def test_every_test_cell_of_the_assignment_has_hints_and_none_is_an_answer(course, tests_of, answers_of):
    hints = load_hints(course.root / "assignments" / "hints" / f"{PS}.toml")
    assert set(hints) == set(tests_of)
    assert all(1 <= len(ladder) <= 2 for ladder in hints.values())
    answers = "".join("".join(answer.source.split()) for answer in answers_of.values())
    for hint in (hint for ladder in hints.values() for hint in ladder):
        for code in re.findall("`([^`]+)`", hint):
            assert len(code) < 30 or "".join(code.split()) not in answers, code


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_that_a_student_wrote_can_run(evil):
    page_source = page(*evil_cells(evil), grading={"repairs": [evil], "stopped": evil}, student=evil, notebook=evil)
    reader = Reader(page_source)
    assert reader.risky == ["script"], "the page's own, and no other"
    assert len(re.findall("<script", page_source, re.IGNORECASE)) == 1


def evil_cells(evil: str) -> list[NotebookNode]:
    """The same attack by every way into the page."""
    kinds = ("text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml", "application/javascript")
    kinds += ("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json", "application/pdf")
    outputs = [nbformat.v4.new_output("display_data", {kind: evil}) for kind in kinds]
    outputs += [
        nbformat.v4.new_output("stream", text=evil),
        nbformat.v4.new_output("execute_result", {"text/html": evil}, metadata={"text/html": {"isolated": True}}),
        nbformat.v4.new_output("error", ename=evil, evalue=evil, traceback=[evil]),
    ]
    tests = cell("tests", f"# {evil}", outputs, {"seconds": 1, "memory": evil, "message": evil}, score=0.0, points=3.0)
    tests.metadata.nbgrader["grade_id"] = evil
    image = cell("text", "![x](attachment:a.png)")
    image["attachments"] = {"a.png": {f"image/png{evil}": "AAAA"}}
    answer = cell("answer", f"'''{evil}'''", outputs, {"message": evil}, comment=evil)
    answer.metadata |= {"tags": [evil], "magics_language": evil}
    raw = nbformat.v4.new_raw_cell(evil, metadata={"raw_mimetype": "text/html"})
    return [cell("text", evil), cell("text", f"```{evil}\nx\n```"), answer, tests, image, raw]


def test_what_is_harmless_stays():
    table = "<table class='dataframe'><thead><tr><th>a</th></tr></thead><tbody><tr><td>1.5</td></tr></tbody></table>"
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    outputs = [
        nbformat.v4.new_output("display_data", {"text/html": f"<style>td {{ color: red }}</style>{table}"}),
        nbformat.v4.new_output("display_data", {"image/png": picture + "\n", "text/plain": "<Figure>"}),
        nbformat.v4.new_output("display_data", {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"}),
        nbformat.v4.new_output("stream", text="\x1b[31mred\x1b[0m" + "x" * 30_000),
    ]
    html = page(cell("plain", "f(x)", outputs), cell("text", "[link](https://example.org) and **bold** ![p](a.png)"))
    assert re.sub("'", '"', table) in html and "color: red" not in html
    assert f'src="data:image/png;base64,{picture}"' in html and "&lt;Figure" not in html
    assert "data:image/svg+xml;base64," in html and '<span class="ansi-red-fg">red</span>' in html
    assert "… and 10,012 characters more" in html
    assert 'href="https://example.org"' in html and "<strong>bold</strong>" in html and 'src="a.png"' in html


def test_text_that_cannot_be_rendered_is_shown_as_it_was_typed():
    pasted = cell("text", "here ![it](attachment:a.png) and ![gone](attachment:b.png) is, ![odd](attachment:c.png)")
    pasted["attachments"] = {"a.png": {"image/png": "AAAA"}}
    shown = page(pasted, cell("text", "[" * 3000 + ">" * 3000), cell("text", "$a$ " * 9000))
    assert 'src="data:image/png;base64,AAAA"' in shown and 'alt="gone"' in shown and "attachment:" not in shown
    assert "… and 16,000 characters more" in shown
    pasted["attachments"] = {"a.png": {}}
    assert "here ![it](attachment:a.png)" in text_of(page(pasted))


def test_a_student_cannot_dress_up_as_the_page():
    assert clean('<div class="lk-right">40 of 40</div>') == "<div>40 of 40</div>"
    assert clean('<span class="k" style="position:fixed" id="x">def</span>') == '<span class="k">def</span>'


@pytest.mark.browser
@pytest.mark.skipif(
    BROWSER is None and os.environ.get("LABKIT_REQUIRE_BROWSER") != "1", reason="no chromium on this machine"
)
def test_a_browser_runs_our_script_and_no_other(tmp_path):
    """Even where a script got past the cleaning, for example by a new trick, the policy stops it."""
    html = page(*(each for evil in EVIL for each in evil_cells(evil)), notebook="clean")
    smuggled = "<script>document.title='owned'</script><img src='x:' onerror=\"document.title='owned'\">"
    html = html.replace("</body>", f"{smuggled}</body>")
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    dom = run_browser(tmp_path)
    assert "<title>clean: feedback</title>" in dom
    assert 'src="https://cdnjs.cloudflare.com/ajax/libs/mathjax/' in dom, "our own script ran: the policy knows it"
    (tmp_path / "page.html").write_text(re.sub('<meta content="default-src[^>]*>', "", html), encoding="utf-8")
    assert "<title>owned</title>" in run_browser(tmp_path), "without the policy the smuggled script runs"


def run_browser(folder: Path) -> str:
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = [
        str(BROWSER), *flags.split(), "--disable-component-update", "--disable-sync", "--dump-dom",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}", (folder / "page.html").as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_nbgrader_makes_the_page_from_its_own_gradebook(released_course, solution, solved_notebook, tmp_path):
    """``nbgrader generate_feedback``, with a gradebook and an autograded notebook as grading leaves them."""
    from labkit.grading import submit
    from labkit.grading.nbgrader_course import NbgraderCourse

    course: Course = released_course()
    released = nbformat.read(course.assignment(PS).release, as_version=4)
    (tmp_path / "mine.ipynb").write_text(build.to_text(solved_notebook(released)), encoding="utf-8")
    submit(course, PS, "ada", tmp_path / "mine.ipynb", when=datetime(2026, 1, 1, tzinfo=UTC))
    nbgrader = NbgraderCourse(course)
    with nbgrader.gradebook() as gradebook:
        gradebook.update_or_create_student("ada")
        gradebook.update_or_create_submission(PS, "ada")
        for grade in gradebook.find_submission(PS, "ada").notebooks[0].grades:
            grade.auto_score = 0 if grade.name == "flatten-tests" else grade.max_score
            grade.needs_manual_grade = grade.name in ("double-softmax", "most-confused-tests")
        gradebook.db.commit()
    autograded = course.root / "assignments" / "autograded" / "ada" / PS / f"{PS}.ipynb"
    autograded.parent.mkdir(parents=True)
    graded = nbformat.from_dict(solution)
    for each in graded.cells:
        if each.metadata.get("nbgrader", {}).get("grade_id") == "flatten-tests":
            each.metadata["labkit"] = {"seconds": 0.5, "memory": 2e8, "message": "The batch did not survive."}
        if each.metadata.get("nbgrader", {}).get("grade_id") == "most-confused-tests":
            each.metadata["labkit"] = {"message": "It gave no verdict.", "review": True}
    autograded.write_text(nbformat.writes(graded), encoding="utf-8")

    html = nbgrader.feedback(course.assignment(PS), "ada").read_text(encoding="utf-8")
    shown = text_of(html)
    assert "A person has yet to look at this. It gave no verdict." in shown
    assert "flatten-tests 0 of 2 The batch did not survive. 0.50 s, 200 MB" in shown
    assert "double-softmax" in shown and "A person has yet to read this." in shown and "Not final" in shown
    assert tomllib.loads(hints_of(course).read_text(encoding="utf-8"))["hints"]["flatten-tests"][0] in shown
    assert "HIDDEN" not in html and "manual_seed(3), requires_grad=True" not in shown


def hints_of(course: Course) -> Path:
    return course.root / "assignments" / "hints" / f"{PS}.toml"
