"""Checks for the lab translation."""

from __future__ import annotations

from collections import Counter
from typing import Any

from labkit.check import NotAnswered, exercise, expect, expect_near


def _ngrams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[k:] for k in range(n)), strict=False))


@exercise(
    "clipped-matches",
    hints=[
        "Count the n-grams of the output and those of each reference. ngrams from above returns a Counter.",
        "For each n-gram you need the largest count that any one reference has. Two Counters joined by | keep the larger.",
        "The & of two Counters keeps the smaller count. Join the references with |, take & with the output, add the values.",
    ],
)
def clipped_matches(answer: Any) -> None:
    one = ["die", "Katze", "sieht", "die", "Maus"]
    other = ["die", "die", "die", "Lampe"]
    for case, output, references, n in (
        ("«die die die Katze» against «die Katze sieht die Maus», n = 1", "die die die Katze", [one], 1),
        ("the same output, n = 2", "die die die Katze", [one], 2),
        (
            "the same output, with «die die die Lampe» as a second reference, n = 1",
            "die die die Katze",
            [one, other],
            1,
        ),
        ("«Katze Lampe Lampe» against both, n = 1", "Katze Lampe Lampe", [one, other], 1),
        ("«die Katze», n = 3", "die Katze", [one], 3),
    ):
        written = _ngrams(output.split(), n)
        each = [_ngrams(reference, n) for reference in references]
        want = sum(min(count, max(found[piece] for found in each)) for piece, count in written.items())
        got = answer(output.split(), [list(reference) for reference in references], n)
        if isinstance(got, (int, float)) and got != want:
            unclipped = sum(count for piece, count in written.items() if any(found[piece] for found in each))
            added = sum(min(count, sum(found[piece] for found in each)) for piece, count in written.items())
            distinct = sum(any(found[piece] for found in each) for piece in written)
            expect(
                got != unclipped,
                f"For {case}, {got} came: nothing was clipped. Compare the counts, not only the pieces.",
            )
            expect(
                got != added,
                f"For {case}, {got} came: the references' counts were added up. The largest of them is the limit.",
            )
            expect(got != distinct, f"For {case}, {got} came. A piece that the reference has twice may match twice.")
            expect(
                got != sum((written & each[0]).values()),
                f"For {case}, {got} came. All references count, not the first.",
            )
        expect_near(got, want, case=case)


@exercise(
    "best-of-beam",
    hints=[
        "For each pair compute log probability / length ** penalty. The length counts the stop too: len(words) + 1.",
        "Log probabilities are negative, and the best is the largest, the one nearest to 0.",
        "max(finished, key=...) returns the whole pair; its second part is wanted.",
    ],
)
def best_of_beam(answer: Any) -> None:
    short, long = (-2.0, ["ja"]), (-3.0, ["ja", "das", "ist", "so"])
    empty: tuple[float, list[str]] = (-1.8, [])
    for case, finished, penalty, want in (
        ("two sentences and penalty 0", [short, long], 0.0, short),
        ("two sentences and penalty 1", [short, long], 1.0, long),
        ("an empty sentence among them and penalty 0", [empty, long], 0.0, empty),
        ("an empty sentence among them and penalty 1", [empty, long], 1.0, long),
        ("two sentences and penalty 0.4", [short, long], 0.4, short),
        (
            "−2.2 for two words, −3 for three, penalty 1",
            [(-2.2, ["a", "b"]), (-3.0, ["c", "d", "e"])],
            1.0,
            (0, ["a", "b"]),
        ),
    ):
        got = answer(list(finished), penalty)
        if got is None or got is ...:
            raise NotAnswered
        expect(
            not isinstance(got, tuple),
            f"For {case}, a pair came. The words alone were expected.",
        )
        expect(
            isinstance(got, list),
            f"For {case}, a list of words was expected; a {type(got).__name__} came.",
        )
        expect(
            list(got) == want[1],
            f"For {case}, expected {want[1]}; {list(got)} came. The lengths count the stop: "
            f"{', '.join(f'{score} over {len(words) + 1}' for score, words in finished)}.",
        )


@exercise(
    "keeps-negation",
    hints=[
        "Count «not» on the English side. A list has the method count.",
        "On the German side a word counts when it is «nicht» or begins with «kein»: keine, keinen and so on.",
        "Return whether the two numbers are equal. One negation too many is as wrong as one too few.",
    ],
)
def keeps_negation(answer: Any) -> None:
    for source, output, want, note in (
        ("he sees the dog", "er sieht den Hund", True, "There is none on either side."),
        ("he does not see the dog", "er sieht den Hund nicht", True, ""),
        ("he does not see the dog", "er sieht den Hund", False, "The German sentence lost it."),
        ("he does not see a dog", "er sieht keinen Hund", True, "«Keinen» is a negation."),
        ("he does not see a cat", "er sieht keine Katze", True, "«Keine» is a negation."),
        ("he sees the dog", "er sieht den Hund nicht", False, "The German sentence has one that English has not."),
        (
            "i do not know whether he does not see her",
            "ich weiß nicht , ob er sie sieht",
            False,
            "Two are wanted, one is there.",
        ),
        (
            "i do not know whether he does not buy a bag",
            "ich weiß nicht , ob er keine Tasche kauft",
            True,
            "Two and two.",
        ),
    ):
        got = answer(source.split(), output.split())
        if got is None or got is ...:
            raise NotAnswered
        case = f"«{source}» and «{output}»"
        expect(isinstance(got, bool), f"For {case}, True or False was expected; {got!r} came.")
        expect(got == want, f"For {case}, {want} was expected; {got} came. {note}".rstrip())
