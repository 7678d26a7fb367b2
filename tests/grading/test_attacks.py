"""Everybody in the hostile class gets what they deserve, and nothing outside is read, changed or left behind.

The class is graded once; the same notebooks beside stock nbgrader are in ``docs/attacks.md``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labkit.grading import feedback
from tests.grading.attacks.hostile import Hostile, grade_hostile
from tests.grading.attacks.suite import ATTACKS, FULL, GROUPS, Attack
from tests.grading.attacks.world import PS, World

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("attacks"), pytest.mark.timeout(1200)]
NAMES = [attack.name for attack in ATTACKS]
THIEVES = [attack.name for attack in ATTACKS if attack.group == "reading" and not attack.error]


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    graded = grade_hostile(ATTACKS, tmp_path_factory.mktemp("hostile"))
    yield graded
    graded.world.clean_up(NAMES)


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_everybody_gets_what_they_deserve(attack: Attack, hostile: Hostile):
    result, error = hostile.result(attack), hostile.report.students[attack.name].error
    assert result.points == attack.expected, f"{attack.story} {attack.why} Error: {error}"
    assert bool(error) == attack.error, error
    assert result.harm == []


def test_nothing_outside_was_changed(hostile: Hostile):
    assert hostile.changed == []


def test_no_process_outlives_the_grading(hostile: Hostile):
    assert hostile.left == []


def test_nobody_printed_a_secret(hostile: Hostile):
    assert hostile.world.taken(NAMES) == []


def test_nobody_sent_a_message(hostile: Hostile):
    assert hostile.world.listener.heard == []


def test_the_whole_class_was_graded(hostile: Hostile):
    assert sorted(hostile.report.students) == sorted(NAMES)
    assert sorted(hostile.report.errors) == sorted(attack.name for attack in ATTACKS if attack.error)


def test_repairs_are_told(hostile: Hostile):
    untold = [attack.name for attack in ATTACKS if attack.repaired and not hostile.report.students[attack.name].repairs]
    assert untold == []


def test_feedback_shows_no_secret(hostile: Hostile):
    pages = feedback(hostile.world.course, PS, students=[*THIEVES, "wei", "yan"], progress=False)
    assert len(pages) == len(THIEVES) + 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert [where for where, secret in hostile.world.secrets.items() if secret in text] == [], page


# The rest looks at the suite itself: what would notice harm must be able to.


def test_the_suite_is_large_and_told_apart():
    assert len(ATTACKS) >= 50 and len(set(NAMES)) == len(NAMES)
    assert {attack.group for attack in ATTACKS} == set(GROUPS)
    for attack in ATTACKS:
        assert attack.story.endswith(".") and attack.why.endswith(".")
        assert attack.lost.keys() <= FULL.keys() and all(points >= 0 for points in attack.expected.values())


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.clean_up(["eve"])


@pytest.mark.slow
def test_harm_is_noticed(world: World):
    """A thief who gets at everything is told as one; this is what the tests above rest on."""
    import socket

    world.hand_in_neighbour()
    world.remember()
    assert world.harm("eve") == [] and world.changed() == []
    with socket.create_connection(world.listener.tcp.getsockname()) as outside:
        outside.sendall(f"psx eve {world.secrets['home']}".encode())
    (world.loot / "eve").write_text(world.secrets["tests"])
    assert world.harm("eve") == ["read tests", "read home", "sent a message by TCP", "wrote a file outside"]
    (world.assignments / "source" / PS / f"{PS}.ipynb").write_text("{}")
    (world.home / ".profile").write_text("")
    assert world.changed() == [f"changed course/assignments/source/{PS}/{PS}.ipynb", "changed home/.profile"]


@pytest.mark.slow
def test_a_damaged_gradebook_is_noticed(world: World):
    import sqlite3

    world.remember()
    with sqlite3.connect(world.gradebook) as database:
        database.execute("CREATE TRIGGER psx AFTER UPDATE ON grade BEGIN SELECT 1; END")
    assert world.changed() == ["planted a trigger in the gradebook"]
    world.gradebook.write_bytes(b"nothing")
    assert [phrase[:29] for phrase in world.changed()] == ["made the gradebook unusable ("]
