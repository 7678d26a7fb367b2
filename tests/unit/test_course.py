"""The manifest: what it says, and what is said when it is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit._toml import TomlFile
from labkit.course import Course, load_course
from labkit.errors import LabkitError
from tests.conftest import MANIFEST


def test_the_real_manifest_names_labs_that_exist() -> None:
    course = load_course()
    assert {"start-here", "linear-regression", "lenet"} <= set(course.labs)
    for item in (*course.labs.values(), *course.assignments.values()):
        assert item.source.is_file(), f"{item.id} has no source"
        assert item.notebook.is_file(), f"{item.id} was not built"
    for lab in course.labs.values():
        assert lab.claims, f"{lab.id} claims nothing"


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("lennet", "lenet"), ("linear-regresion", "linear-regression"), ("LeNet", "lenet")],
)
def test_an_unknown_lab_gets_the_nearest_ids(wrong: str, near: str) -> None:
    with pytest.raises(LabkitError, match=rf"'{wrong}'.*Did you mean.*{near}"):
        load_course().lab(wrong)


def test_an_unknown_assignment_gets_the_nearest_ids() -> None:
    with pytest.raises(LabkitError, match="Did you mean ps2-lenet"):
        load_course().assignment("ps2-lnet")


def test_nothing_near_lists_what_there_is() -> None:
    with pytest.raises(LabkitError, match=r"Known: .*lenet"):
        load_course().lab("zzzzzz")


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ('minutes = 5\n', 'minutes = "five"\n', 14, "whole number"),
        ('part = "first"\n', 'part = "second"\n', 12, "one of the parts first"),
        ('hardware = ["cpu"]', 'hardware = ["abacus"]', 15, "name only cpu, gpu, tpu"),
        ('id = "adding"', 'id = "Adding it"', 11, "small letters"),
        ('title = "Adding"\n', "", 10, "a text called 'title'"),
        ('"adding.sum"', '"summing.sum"', 18, "claim named 'adding."),
        ('repository = "https://github.com/owner/name"', 'repository = "github"', 3, "https://github.com/OWNER/NAME"),
        ('hardware = ["cpu"]', 'hardwear = ["cpu"]', 15, "is not known here"),
        ('after = ["adding"]', 'after = ["multiplying"]', 24, "name only adding"),
        ('hardware = ["cpu"]', 'hardware = ["cpu"]\nstand_in_for = ["toy/all"]', 16, "data sets that the lab lists"),
        ('hardware = ["cpu"]', 'hardware = ["cpu"]\ndatasets = ["toy"]\nstand_in_for = ["toy"]', 17, "'NAME/SPLIT'"),
        ('[lab.claims]', '[lab.claims_on_real]', 10, "'stand_in_for' beside it"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_line(
    make_course: Callable[..., Course], old: str, new: str, line: int, expected: str
) -> None:
    assert old in MANIFEST
    with pytest.raises(LabkitError) as caught:
        make_course(MANIFEST.replace(old, new, 1))
    assert f"course.toml, line {line}:" in str(caught.value)
    assert expected in str(caught.value)


def test_broken_toml_names_file_and_line(make_course: Callable[..., Course]) -> None:
    with pytest.raises(LabkitError, match=r"course\.toml is not valid TOML.*line 2"):
        make_course(MANIFEST.replace('title = "A small course"', 'title = "A small course', 1))


def test_two_labs_of_one_id_are_refused(make_course: Callable[..., Course]) -> None:
    start = MANIFEST.index("[[lab]]")
    end = MANIFEST.index("[[assignment]]")
    with pytest.raises(LabkitError, match="'adding' is there already"):
        make_course(MANIFEST[:end] + MANIFEST[start:end] + MANIFEST[end:])


@given(st.integers(0, 3), st.sampled_from(["title", "minutes"]))
def test_the_line_of_a_key_is_found_in_any_table(
    tmp_path_factory: pytest.TempPathFactory, number: int, key: str
) -> None:
    tables = "".join(f'\n[[lab]]\n# a comment\ntitle = "lab {n}"\n\nminutes = {n}\n' for n in range(4))
    path = tmp_path_factory.mktemp("toml") / "course.toml"
    path.write_text(tables)
    file = TomlFile(path)
    line = tables.splitlines()[file.line(("lab", number), key) - 1]
    assert line == (f'title = "lab {number}"' if key == "title" else f"minutes = {number}")
