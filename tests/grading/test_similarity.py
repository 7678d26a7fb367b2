"""Copies are found however they are disguised, and honest work is left in peace."""

from __future__ import annotations

import random
import re
import textwrap

import nbformat
import pytest
from nbformat import NotebookNode

from labkit.errors import LabkitError
from labkit.grading.mistakes import Mistake, answer_with
from labkit.grading.similarity import OTHER, OTHER_TEXT, Pair, similarity, write_similarity_html

STUB = '''
def moving_mean(values, width):
    """The mean of every `width` values that follow one another."""
    # YOUR CODE HERE
    raise NotImplementedError()
'''
ORIGINAL = '''
def moving_mean(values, width):
    """The mean of every `width` values that follow one another."""
    # walk along and keep the sum of the window
    total, means = sum(values[:width]), []
    means.append(total / width)
    for place in range(width, len(values)):
        total += values[place] - values[place - width]
        means.append(total / width)
    if not means:
        raise ValueError("nothing to average")
    return means


def check(values):
    """Whether all are numbers."""
    return all(isinstance(value, (int, float)) for value in values) and len(values) > 3
'''
RENAMED = """
def check(xs):
    return all(isinstance(x, (int, float))
               for x in xs) and len(xs) > 5

def moving_mean(values: list, width: int) -> list:
    s, out = sum(values[:width]), []   # completely my own idea!
    out.append(s / width)
    for i in range(width, len(values)):
        s += values[i] - values[i - width]
        out.append(s / width)
    if not out: raise ValueError("there is no data")
    return out
"""
HONEST = """
def moving_mean(values, width):
    padded = np.concatenate([[0.0], np.cumsum(values)])
    if width > len(values):
        return np.array([])
    return (padded[width:] - padded[:-width]) / width
"""
PARSED_NOT = ORIGINAL.replace("return means", "return means)")
TEXT = "The loss can never fall below one point four six, because the second softmax sees only numbers from 0 to 1."
QUESTION = "What is the smallest loss that such a network can ever report for one single image of a digit?"


def notebook(code: str = STUB, text: str = "YOUR ANSWER HERE", *more: NotebookNode) -> NotebookNode:
    """An assignment of one answer in code and one in words."""
    answer = nbformat.v4.new_code_cell(code, metadata=entry("mean", grade=False))
    words = nbformat.v4.new_markdown_cell(text, metadata=entry("essay", grade=True))
    question = nbformat.v4.new_markdown_cell(QUESTION)
    plain = nbformat.v4.new_code_cell("import numpy as np\nvalues = np.arange(12).reshape(3, 4).sum(axis=0) / 3 + 1")
    return nbformat.v4.new_notebook(cells=[plain, answer, question, words, *more])


def entry(grade_id: str, *, grade: bool) -> dict:
    return {"nbgrader": {"grade_id": grade_id, "solution": True, "grade": grade, "locked": False, "task": False}}


def compare(**notebooks: NotebookNode) -> dict[tuple[str, str], Pair]:
    return {(pair.first, pair.second): pair for pair in similarity(notebooks, notebook())}


@pytest.mark.parametrize(
    "copy",
    [
        ORIGINAL,
        RENAMED,
        ORIGINAL.replace("    ", "  "),
        "\n".join(line for line in ORIGINAL.splitlines() if "#" not in line and '"""' not in line),
        ORIGINAL + textwrap.indent(HONEST, "")[1:].replace("moving_mean", "not_used"),
        "%matplotlib inline\n" + ORIGINAL,
    ],
    ids=["same", "renamed and reordered", "indented otherwise", "without comments", "padded", "magic"],
)
def test_a_copy_is_found_in_any_disguise(copy):
    (pair,) = similarity({"ada": notebook(ORIGINAL), "bao": notebook(copy)}, notebook())
    assert (pair.first, pair.second) == ("ada", "bao")
    assert pair.score > 0.75
    assert pair.shared[0].grade_id == "mean" and pair.shared[0].score > 0.75


def test_a_whole_copy_scores_the_same_as_a_renamed_one():
    pairs = compare(ada=notebook(ORIGINAL), bao=notebook(ORIGINAL), chi=notebook(RENAMED))
    assert len({round(pair.score, 6) for pair in pairs.values()}) == 1 and len(pairs) == 3


def test_two_honest_answers_are_far_below_a_copy():
    pairs = compare(ada=notebook(ORIGINAL), bao=notebook(HONEST), chi=notebook(RENAMED))
    honest = [pairs[pair].score for pair in (("ada", "bao"), ("bao", "chi")) if pair in pairs]
    assert max(honest, default=0) < 0.15 < 0.5 < pairs["ada", "chi"].score


def test_what_was_given_out_counts_nothing():
    assert similarity({"ada": notebook(), "bao": notebook(), "chi": notebook(ORIGINAL, TEXT)}, notebook()) == []
    quoted = nbformat.v4.new_markdown_cell(QUESTION)
    assert similarity({"ada": notebook(STUB, QUESTION, quoted), "bao": notebook(STUB, QUESTION)}, notebook()) == []


def test_code_that_does_not_parse_is_compared_by_its_words():
    other = re.sub(r"\btotal\b", "s", PARSED_NOT).replace("means", "out")
    pairs = compare(ada=notebook(PARSED_NOT), bao=notebook(other), chi=notebook(ORIGINAL), dee=notebook(HONEST))
    assert pairs["ada", "bao"].score > 0.6 and pairs["ada", "chi"].score > 0.6
    assert ("ada", "dee") not in pairs or pairs["ada", "dee"].score < 0.15


@pytest.mark.parametrize(
    "code",
    ["", "'''", "\x00", "((((" * 30_000, "x" + "+x" * 60_000, "def", "\ud800 = 1", "match = [\n" * 400, "%%bash\nls"],
    ids=["empty", "open text", "null", "brackets", "deep", "keyword", "surrogate", "lists", "cell magic"],
)
def test_no_answer_stops_the_comparison(code):
    pairs = compare(ada=notebook(code), bao=notebook(code), chi=notebook(ORIGINAL), dee=notebook(RENAMED))
    assert pairs["chi", "dee"].score > 0.5


def test_text_is_compared_by_runs_of_words():
    own = "It stays above ln(1 + 9/e), since a probability of one is only one more than zero."
    changed = TEXT.replace("because", "BECAUSE").replace(".", "!")
    pairs = compare(ada=notebook(STUB, TEXT), bao=notebook(STUB, changed), chi=notebook(STUB, own))
    assert list(pairs) == [("ada", "bao")]
    assert [each.grade_id for each in pairs["ada", "bao"].shared] == ["essay"] and pairs["ada", "bao"].score > 0.7


def test_an_answer_put_elsewhere_is_still_seen():
    code, text = nbformat.v4.new_code_cell(ORIGINAL), nbformat.v4.new_markdown_cell(TEXT)
    pairs = compare(ada=notebook(STUB, "", code, text), bao=notebook(STUB, "", text, code))
    assert {each.grade_id for each in pairs["ada", "bao"].shared} == {OTHER, OTHER_TEXT}


def test_what_everybody_writes_counts_little_and_a_rare_copy_much():
    class_of = {f"s{number}": notebook(HONEST + f"\nresult = {'-' * number}1\n") for number in range(12)}
    class_of |= {"copy1": notebook(ORIGINAL), "copy2": notebook(RENAMED)}
    ranked = similarity(class_of, notebook())
    assert (ranked[0].first, ranked[0].second) == ("copy1", "copy2") and ranked[0].score > 0.6
    assert max(pair.score for pair in ranked[1:]) < 0.4


def test_the_order_of_students_and_of_functions_changes_nothing():
    students = {"ada": notebook(ORIGINAL), "bao": notebook(RENAMED), "chi": notebook(HONEST, TEXT)}
    backwards = dict(reversed(students.items()))
    assert similarity(students, notebook()) == similarity(backwards, notebook())
    first, second = ORIGINAL.split("\n\n\n")
    swapped = {**students, "ada": notebook(f"{second}\n\n\n{first}")}
    assert similarity(students, notebook()) == similarity(swapped, notebook())


def test_nobody_and_one_alone_are_no_pairs():
    assert similarity({}, notebook()) == [] == similarity({"ada": notebook(ORIGINAL)}, notebook())


def test_the_real_assignment(solution, released, solved_notebook):
    """Different mistakes in one answer leave two notebooks alike, and a blank one is like nobody's."""
    from labkit.course import load_course
    from labkit.grading.mistakes import load_mistakes

    solved = solved_notebook(released)
    mistakes = load_mistakes(load_course(), "ps2-lenet")
    own = Mistake("own", "", "conv-by-hand", HONEST.replace("moving_mean", "cross_correlate"), {})
    students = {"blank": released, "solved": solved, "own": answer_with(solved, [own])}
    students |= {mistake.name: answer_with(released, [mistake]) for mistake in mistakes}
    pairs = {(pair.first, pair.second): pair for pair in similarity(students, released)}
    assert not [names for names in pairs if "blank" in names]
    assert pairs["own", "solved"].score == max(pair.score for pair in pairs.values())
    assert "conv-by-hand" not in {each.grade_id for each in pairs["own", "solved"].shared[:8]}


@pytest.fixture(scope="module")
def released(course) -> NotebookNode:
    return nbformat.read(course.assignment("ps2-lenet").release, as_version=4)


def test_three_hundred_students_and_the_three_who_copied():
    chance = random.Random(0)
    students = {f"s{number:03}": notebook(random_program(chance)) for number in range(300)}
    for thief, victim in {"s010": "s200", "s020": "s201", "s030": "s202"}.items():
        students[thief] = notebook(students[victim].cells[1].source.replace("acc", "mine").replace("item", "thing"))
    ranked = similarity(students, notebook())
    assert {(pair.first, pair.second) for pair in ranked[:3]} == {("s010", "s200"), ("s020", "s201"), ("s030", "s202")}
    assert ranked[2].score > 2 * ranked[3].score


def random_program(chance: random.Random) -> str:
    """A function of a dozen statements that no two students would write alike by chance."""
    lines = ["def moving_mean(values, width):", "    acc = []"]
    for _ in range(12):
        one, two = (chance.choice(["len(values)", "width", "acc[-1]", "values[0]", "sum(acc)"]) for _ in range(2))
        sign = chance.choice(["+", "-", "*", "//", "%"])
        lines.append(
            chance.choice(
                [
                    f"    acc.append({one} {sign} {two})",
                    f"    for item in values:\n        acc.append(item {sign} {one} {sign} {two})",
                    f"    if {one} > {two}:\n        acc = [item {sign} {one} for item in acc]",
                    f"    while len(acc) < {one}:\n        acc.append(max({one}, {two}) {sign} 2)",
                ]
            )
        )
    return "\n".join([*lines, "    return acc"])


def test_the_page_shows_both_answers_and_warns(tmp_path):
    students = {"ada": notebook(ORIGINAL), "<b>bao": notebook(RENAMED + "\n# </pre><script>alert(1)</script>")}
    pairs = similarity(students, notebook())
    path = write_similarity_html(pairs, tmp_path / "new" / "alike.html", students, notebook(), title="$PS <2> & more")
    page = path.read_text(encoding="utf-8")
    assert "Likeness is no proof" in page and "PS &lt;2&gt; &amp; more" in page
    assert "&lt;b&gt;bao and ada" in page and "<script" not in page and "<b>bao" not in page
    assert "# completely my own idea!" in page and "# walk along" in page
    assert not re.search(r"(src|href)=", page)


def test_the_page_of_a_class_without_likeness(tmp_path):
    path = write_similarity_html([], tmp_path / "alike.html", {"ada": notebook(), "bao": notebook()}, notebook())
    assert "No two notebooks share anything" in path.read_text(encoding="utf-8")
    with pytest.raises(LabkitError, match="could not be written"):
        write_similarity_html([], tmp_path, {}, notebook())


def test_only_the_top_is_shown(tmp_path):
    students = {name: notebook(ORIGINAL) for name in ("ada", "bao", "chi")}
    path = write_similarity_html(similarity(students, notebook()), tmp_path / "x.html", students, notebook(), top=2)
    page = path.read_text(encoding="utf-8")
    assert page.count("<section>") == 2 and "the first 2 are shown" in page
