"""BLEU is sacreBLEU's, the beam finds what trying everything finds, and the grammar's German is German."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from labkit.errors import LabkitError
from tests.notebooks.lifting import lift

sacrebleu = pytest.importorskip("sacrebleu")
torch = pytest.importorskip("torch")
GRAMMAR = [
    *("table", "NOUNS", "FEMALE", "VERBS", "SUBJECTS", "HELPERS", "ADJECTIVES", "ADVERBS", "ARTICLES", "ENDINGS"),
    *("FRAMES", "draw_noun", "draw_clause", "join", "name", "english", "german", "Pair", "draw_pair"),
]
SCORES = ["ngrams", "counts", "bleu_of", "bleu", "bootstrap"]
OTHERS = ["LONGEST", "beam_search", "without_negation", "as_text", "negations", "translate"]
LAB = lift("translation", *GRAMMAR, *SCORES, *OTHERS)
START, STOP = 1, 2
LAB.beam_search.__globals__.update(START=START, STOP=STOP)
TEXTS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=9), min_size=1, max_size=5)


@settings(max_examples=80, deadline=None)
@given(outputs=TEXTS, data=st.data())
def test_bleu_is_sacrebleus(outputs: list[list[str]], data: st.DataObject) -> None:
    lines = st.lists(st.sampled_from("abc"), min_size=1, max_size=9)
    references = data.draw(st.lists(lines, min_size=len(outputs), max_size=len(outputs)))
    ours = LAB.bleu(outputs, references)
    written, wanted = ([" ".join(words) for words in texts] for texts in (outputs, references))
    theirs = sacrebleu.corpus_bleu(written, [wanted], tokenize="none", smooth_method="none", force=True).score
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_an_empty_output_scores_nothing() -> None:
    assert LAB.bleu([[]], [["ja"]]) == 0.0


@pytest.mark.parametrize(
    ("outputs", "references", "said"),
    [([], [], "no sentence"), ([["ja"]], [["ja"], ["nein"]], "1 outputs and 2 references")],
)
def test_bleu_refuses_what_it_cannot_compare(outputs: list[Any], references: list[Any], said: str) -> None:
    with pytest.raises(LabkitError, match=said):
        LAB.bleu(outputs, references)


def test_a_system_does_not_differ_from_itself() -> None:
    texts = [list("abcde"), list("abcab"), list("ccbae")]
    assert not LAB.bootstrap(texts, texts, texts, repetitions=20).any()


def clause(who: tuple[str, ...], verb: str, what: tuple[str, ...], **more: Any) -> dict[str, Any]:
    def one(words: tuple[str, ...]) -> dict[str, Any]:
        if len(words) == 3:  # a pronoun
            return {"english": words[0], "german": words[1], "form": int(words[2])}
        article, noun = words
        row = next(row for row in LAB.NOUNS if row[1] == noun)
        return {"english": row[0], "german": noun, "gender": row[2], "article": article, "adjective": "", "form": 2}

    row = next(row for row in LAB.VERBS if row[0] == verb)
    thing = one(what) | ({"adjective": more.pop("adjective")} if "adjective" in more else {})
    plain = {"subject": one(who), "verb": row, "object": thing, "tense": "present", "adverb": "", "negated": False}
    return plain | more


ME, YOU, MAN, DOOR = ("i", "ich", "0"), ("you", "du", "1"), ("the", "Mann"), ("the", "Tür")


@pytest.mark.parametrize(
    ("meant", "order", "english", "german"),
    [
        (clause(MAN, "open", DOOR), "main", "the man opens the door", "der Mann macht die Tür auf"),
        (clause(MAN, "open", DOOR), "last", "the man opens the door", "der Mann die Tür aufmacht"),
        (
            clause(YOU, "open", DOOR, tense="must", negated=True),
            "main",
            "you must not open the door",
            "du darfst die Tür nicht aufmachen",
        ),
        (clause(YOU, "open", DOOR, tense="must"), "last", "you must open the door", "du die Tür aufmachen musst"),
        (
            clause(ME, "buy", ("a", "Tisch"), adjective="small", adverb="today", negated=True),
            "main",
            "i do not buy a small table today",
            "ich kaufe heute keinen kleinen Tisch",
        ),
        (
            clause(ME, "buy", ("a", "Tisch"), adjective="small", adverb="today"),
            "fronted",
            "i buy a small table today",
            "heute kaufe ich einen kleinen Tisch",
        ),
        (
            clause(ME, "find", ("the", "Buch"), tense="past", adverb="yesterday", negated=True),
            "last",
            "i did not find the book yesterday",
            "ich das Buch gestern nicht gefunden habe",
        ),
        (
            clause(MAN, "pick~up", ("the", "Tasche"), adverb="today"),
            "main",
            "the man picks up the bag today",
            "der Mann holt heute die Tasche ab",
        ),
        (
            clause(("a", "Mädchen"), "invite", ("a", "Kind"), adjective="strange", tense="want"),
            "last",
            "a girl wants to invite a strange child",
            "ein Mädchen ein seltsames Kind einladen will",
        ),
    ],
)
def test_what_is_meant_is_said_in_both_languages(meant: dict[str, Any], order: str, english: str, german: str) -> None:
    assert LAB.english(meant) == english
    assert LAB.german(meant, order) == german


def test_every_pair_keeps_its_negations_and_its_words() -> None:
    rng = np.random.default_rng(5)
    for _ in range(500):
        pair = LAB.draw_pair(rng)
        assert LAB.negations(pair.source) == LAB.negations(pair.target)
        assert not pair.other or sorted(word.lower() for word in pair.other) == sorted(
            word.lower() for word in pair.target
        )
        assert LAB.negations(LAB.without_negation(pair.target)) == 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), penalty=st.sampled_from([0.0, 0.5, 1.0]))
def test_a_wide_beam_finds_what_trying_everything_finds(seed: int, penalty: float) -> None:
    torch.manual_seed(seed)
    words, longest = [3, 4, 5], 3
    table = torch.zeros(6, 6)
    table[:, 2:] = torch.rand(6, 4).double().softmax(1).float()

    def step(tokens: Any, state: Any) -> tuple[Any, Any]:  # the state counts the words: no text is longer than three
        log_probabilities = table[tokens].log()
        log_probabilities[state[:, 0] >= longest, 3:] = -torch.inf
        return log_probabilities, state + 1

    score, _ = LAB.beam_search(step, torch.zeros(1, 1), width=200, penalty=penalty)
    everything = []
    for length in range(longest + 1):
        for one in itertools.product(words, repeat=length):
            path = [START, *one, STOP]
            log_probability = sum(math.log(table[a, b]) for a, b in itertools.pairwise(path))
            everything.append((log_probability / (length + 1) ** penalty, list(one)))
    assert score == pytest.approx(max(everything)[0], abs=1e-5)
    greedy, token = [], START
    while token != STOP:
        token = int(table[token].argmax()) if len(greedy) < longest else STOP
        greedy.append(token)
    assert LAB.beam_search(step, torch.zeros(1, 1), width=1)[1] == greedy[:-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  ?! ", "nothing to translate"),
        ("The dogs see her", "'dogs'.*dog"),
        ("he " * 13, "13 words, and the longest in training had 12"),
    ],
)
def test_what_the_translator_refuses(text: str, said: str) -> None:
    LAB.translate.__globals__["SOURCE"] = {"the": 3, "dog": 4, "see": 5, "her": 6, "he": 7}
    with pytest.raises(LabkitError, match=said):
        LAB.translate(None, text)


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("clipped-matches", lambda output, references, n: len(output), "came"),
        ("clipped-matches", lambda output, references, n: sum(w in references[0] for w in output), "clipped"),
        ("best-of-beam", lambda finished, penalty: max(finished), "pair"),
        ("best-of-beam", lambda finished, penalty: max(finished)[1], "penalty 1"),
        ("best-of-beam", lambda f, p: max(f, key=lambda one: one[0] / max(len(one[1]), 1) ** p)[1], "stop"),
        ("keeps-negation", lambda source, output: True, "lost it"),
        ("keeps-negation", lambda source, output: ("not" in source) == ("nicht" in output), "negation"),
        ("keeps-negation", lambda source, output: source.count("not"), "True or False"),
    ],
)
def test_wrong_answers_are_explained(name: str, answer: Any, said: str) -> None:
    assert said in (try_answer(name, answer) or "")


@pytest.mark.parametrize("name", ["clipped-matches", "best-of-beam", "keeps-negation"])
def test_an_untouched_stub_is_no_answer(name: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(name, lambda *given: None)
