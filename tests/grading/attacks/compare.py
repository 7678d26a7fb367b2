"""Write ``docs/attacks.md``: what each attack comes to with stock nbgrader, and with this course's grader.

    python -m tests.grading.attacks.compare                      everything (stock nbgrader takes about 8 minutes)
    python -m tests.grading.attacks.compare --side stock NAME    only these, with only one of the graders

Results are kept in ``--results`` (JSON), so that a part can be run again. The page is written when nothing is missing.

DANGER: the side of stock nbgrader runs the attacks with your rights. See :mod:`tests.grading.attacks.stock`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from tests.grading.attacks.hostile import grade_hostile
from tests.grading.attacks.stock import CELL_SECONDS, HARD_LIMIT, Result, grade_with_stock
from tests.grading.attacks.suite import ATTACKS, FULL, GROUPS, Attack
from tests.grading.attacks.world import World

PAGE = Path(__file__).resolve().parents[3] / "docs" / "attacks.md"
SIDES = ("stock", "labkit")
Results = dict[str, dict[str, Result]]
_COUNTED = (
    "gained points they had not earned",
    "lost points they had earned",
    "read, changed, sent or left something outside",
    "kept the rest of the class from being graded",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for, and write the page if there are results for everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="attacks to run (default: all)")
    parser.add_argument("--side", choices=SIDES, help="the only grader to run")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "labkit-attacks.json")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - {attack.name for attack in ATTACKS})
    if unknown:
        parser.error(f"there is no attack called {', '.join(unknown)}")
    chosen = [attack for attack in ATTACKS if not options.names or attack.name in options.names]
    results = load(options.results)

    def keep(side: str, attack: Attack, result: Result) -> None:
        results[side][attack.name] = result
        save(results, options.results)
        print(f"{side:<7} {attack.name:<24} {in_words(attack, result)}", flush=True)

    warnings.simplefilter("ignore")  # what SQLAlchemy thinks of nbgrader
    if options.side != "labkit":
        run_stock(chosen, options.workers, keep)
    if options.side != "stock" and (faults := run_labkit(chosen, options.workers, keep)):
        print("\n".join(["labkit  did harm that no single attack explains:", *faults]))
        return 1
    missing = [f"{side}: {attack.name}" for side in SIDES for attack in ATTACKS if not _known(results, side, attack)]
    if missing:
        print(f"{options.page} was not written: {len(missing)} result(s) are missing, such as {missing[0]}")
        return 1
    options.page.write_text(page(results), encoding="utf-8")
    print(options.page)
    return 0


def run_stock(attacks: Sequence[Attack], workers: int, keep: Callable[[str, Attack, Result], None]) -> None:
    """Give stock nbgrader every attack that is not too dangerous for it."""
    with tempfile.TemporaryDirectory(prefix="labkit-attacks-") as folder, ThreadPoolExecutor(workers) as pool:
        template = World(Path(folder))
        safe = [attack for attack in attacks if not attack.unsafe]
        for attack, result in zip(safe, pool.map(lambda one: grade_with_stock(one, template), safe), strict=True):
            keep("stock", attack, result)
        template.clean_up([])


def run_labkit(attacks: Sequence[Attack], workers: int, keep: Callable[[str, Attack, Result], None]) -> list[str]:
    """Give our grader the attacks as one class. Returns what changed outside or stayed behind, whoever did it."""
    with tempfile.TemporaryDirectory(prefix="labkit-attacks-") as folder:
        hostile = grade_hostile(attacks, Path(folder), workers)
        try:
            for attack in attacks:
                keep("labkit", attack, hostile.result(attack))
        finally:
            hostile.world.clean_up(attack.name for attack in attacks)
        return hostile.changed + hostile.left


def load(path: Path) -> Results:
    """The results so far."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {side: {name: Result(**data) for name, data in kept.get(side, {}).items()} for side in SIDES}


def save(results: Results, path: Path) -> None:
    """Write the results, as JSON."""
    data = {side: {name: result.to_dict() for name, result in found.items()} for side, found in results.items()}
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")


def in_words(attack: Attack, result: Result) -> str:
    """What became of an attack, as a cell of the table. What should not be is in bold."""
    wrong = []
    if not result.ended:
        wrong.append(f"never came to an end (stopped after {HARD_LIMIT} s)")
    elif not result.neighbour:
        wrong.append("the rest of the class was not graded")
    gained, lost = difference(attack, result)
    if gained:
        wrong.append(f"gained {_points(gained)}")
    if lost:
        wrong.append(f"lost {_points(lost)}" if result.points is not None else f"not graded, lost {_points(lost)}")
    wrong += result.harm
    if wrong:
        return "; ".join(f"**{phrase}**" for phrase in wrong)
    earned = sum(attack.expected.values())
    return "told to be unreadable, no points" if attack.error else f"as deserved: {earned:g} of {sum(FULL.values()):g}"


def difference(attack: Attack, result: Result) -> tuple[float, float]:
    """Points that were given and not earned, and points that were earned and not given."""
    points = result.points or dict.fromkeys(FULL, 0.0)
    gaps = [points[name] - attack.expected[name] for name in FULL]
    return sum(gap for gap in gaps if gap > 0), -sum(gap for gap in gaps if gap < 0)


def summary(results: dict[str, Result]) -> list[int]:
    """How many attacks gained points, lost honest points, did harm outside, and kept the class from being graded."""
    pairs = [(attack, results[attack.name]) for attack in ATTACKS if attack.name in results]
    gaps = [difference(*pair) for pair in pairs]
    return [
        sum(gained > 0 for gained, _ in gaps),
        sum(lost > 0 for _, lost in gaps),
        sum(bool(result.harm) for _, result in pairs),
        sum(not (result.neighbour and result.ended) for _, result in pairs),
    ]


def page(results: Results) -> str:
    """The whole of ``docs/attacks.md``."""
    stock = f"Stock nbgrader {version('nbgrader')}"
    counts = zip(
        _COUNTED,
        summary(results["stock"]),
        summary(results["labkit"]),
        strict=True,
    )
    unsafe = sum(bool(attack.unsafe) for attack in ATTACKS)
    lines = [
        "<!-- Written by `python -m tests.grading.attacks.compare`. Do not edit. -->",
        "# Attacks and faults",
        f"{len(ATTACKS)} submissions of one small assignment, each a notebook that was run by both graders. It is worth"
        f" {sum(FULL.values()):g} points, and its tests are plain asserts. What each submission deserves is known: nothing"
        " where the answer is wrong, full points where it is right. Bold is what should not have happened.",
        f"Stock nbgrader was given each attacker together with one honest student, and {CELL_SECONDS} s for a cell;"
        f" {unsafe} attacks it was not given, because they would have ended the machine. Our grader was given all of them"
        " as one class. `tests/grading/test_attacks.py` holds it to the last column.",
        f"| Of {len(ATTACKS)} submissions | {stock} | labkit |\n| --- | --- | --- |\n"
        + "\n".join(f"| {what} | {one} | {other} |" for what, one, other in counts),
    ]
    for group, title in GROUPS.items():
        rows = [f"| Who | What they do | {stock} | labkit |", "| --- | --- | --- | --- |"]
        for attack in ATTACKS:
            if attack.group == group:
                theirs = (
                    f"not given: {attack.unsafe}" if attack.unsafe else in_words(attack, results["stock"][attack.name])
                )
                rows.append(
                    f"| {attack.name} | {attack.story} | {theirs} | {in_words(attack, results['labkit'][attack.name])} |"
                )
        lines += [f"## {title}", "\n".join(rows)]
    return "\n\n".join(lines) + "\n"


def _known(results: Results, side: str, attack: Attack) -> bool:
    return attack.name in results[side] or (side == "stock" and bool(attack.unsafe))


def _points(number: float) -> str:
    return "1 point" if number == 1 else f"{number:g} points"


if __name__ == "__main__":
    sys.exit(main())
