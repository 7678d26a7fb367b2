"""Checks for the lab training-bugs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from labkit.check import NotAnswered, exercise, expect


def _expect_verdict(got: Any, want: bool, case: str, note: str) -> None:
    """A check must return True or False, and the right one."""
    if got is None or got is ...:
        raise NotAnswered
    value = got.item() if hasattr(got, "item") and np.size(got) == 1 else got
    expect(isinstance(value, bool), f"For {case}, True or False was expected; a {type(got).__name__} came.")
    expect(value is want, f"For {case}, your check should say {want}; it said {value}. {note}")


def _expect_names(got: Any, want: list[str], case: str, note: str) -> None:
    """A list of strings, in any order."""
    if got is None or got is ...:
        raise NotAnswered
    expect(
        isinstance(got, (list, tuple, set)) and all(isinstance(name, str) for name in got),
        f"For {case}, a list of strings was expected; {got!r:.80} came.",
    )
    expect(sorted(got) == sorted(want), f"For {case}, {want} was expected; {sorted(got)} came. {note}")


@exercise(
    "rows-mix",
    hints=[
        "Change some rows and leave others alone. What must the answers for the untouched rows do?",
        "A leak may go forwards, backwards or through an average. Change every second row and compare those between.",
        "Call model.eval() first. Then len(logits) must be len(X), and logits[1::2] must be close before and after.",
    ],
)
def rows_mix(answer: Any) -> None:
    import torch
    from torch import nn

    class Mixer(nn.Module):
        def __init__(self, mix: Callable[[torch.Tensor], torch.Tensor]) -> None:
            super().__init__()
            self.mix, self.dense = mix, nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.mix(self.dense(x))

    def in_pairs(x: torch.Tensor) -> torch.Tensor:
        return x[(torch.arange(len(x)) ^ 1).clamp(max=len(x) - 1)]  # 0 and 1 change places, 2 and 3, and so on

    generator = torch.Generator().manual_seed(0)
    X = torch.randn(12, 6, generator=generator)
    kept = X.clone()
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        healthy = Mixer(lambda x: x)
        _expect_verdict(answer(healthy, X), False, "a dense layer", "It treats each row by itself.")
        expect(torch.equal(X, kept), "The batch passed in should stay as it was; yours was changed. Work on X.clone().")
        dropout = nn.Sequential(nn.Linear(6, 50), nn.Dropout(0.5), nn.Linear(50, 3))
        dropout.train()
        _expect_verdict(
            answer(dropout, X), False, "a network with dropout", "Put it into evaluation mode before you ask."
        )
        cases: list[tuple[str, Callable[[torch.Tensor], torch.Tensor], str]] = [
            (
                "rows that see the rows before them",
                lambda x: x.cumsum(0),
                "Row 0 sees nobody there: ask the others too.",
            ),
            (
                "rows that see the rows behind them",
                lambda x: x.flip(0).cumsum(0).flip(0),
                "The last row sees nobody there.",
            ),
            (
                "rows compared with the batch's mean",
                lambda x: x - x.mean(0),
                "A new order of the rows does not show it.",
            ),
            ("rows exchanged with their neighbour", in_pairs, "Changing the first half of the rows does not show it."),
            ("a model that returns fewer rows", lambda x: x[: len(x) // 2], "Count the rows, too."),
        ]
        for case, mix, note in cases:
            _expect_verdict(answer(Mixer(mix), X), True, case, note)


@exercise(
    "standing-still",
    hints=[
        "Note down every parameter, take one step, and compare. Which kind of note does not change with the parameter?",
        "weights.detach().clone() is a copy. The step: zero_grad, cross_entropy(model(X_batch), y_batch), backward, step.",
        "Return the names for which torch.equal(weights, before[name]) still holds.",
    ],
)
def standing_still(answer: Any) -> None:
    import torch
    from torch import nn

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        X, y = torch.randn(20, 5), torch.arange(20) % 3

        def network() -> nn.Sequential:
            return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))

        model = network()
        every = [name for name, _ in model.named_parameters()]
        got = answer(model, torch.optim.SGD(model.parameters(), lr=0.1), X, y)
        if isinstance(got, (list, tuple, set)) and sorted(got) == sorted(every):
            note = (
                "All came. Either no step was taken, or the notes are no copies and moved along (use clone), "
                "or these are the ones that moved."
            )
        else:
            note = "Here everything moves."
        _expect_names(got, [], "a healthy network", note)

        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model[2] = nn.Linear(8, 3)
        got = answer(model, optimizer, X, y)
        if isinstance(got, (list, tuple, set)) and sorted(got) == ["0.bias", "0.weight"]:
            note = "Those are the ones that moved."
        else:
            note = "The new layer is not in the optimizer."
        _expect_names(got, ["2.weight", "2.bias"], "a last layer replaced after the optimizer was made", note)

        model = network()
        model[0].requires_grad_(False)
        got = answer(model, torch.optim.SGD(model.parameters(), lr=0.1), X, y)
        _expect_names(got, ["0.weight", "0.bias"], "a frozen first layer", "Its gradient is None; compare the weights.")


@exercise(
    "batch-size-matters",
    hints=[
        "Whatever the batch size, the mean over the same rows is the same number. Which sizes would you compare?",
        "If every batch you try divides n, no batch is shorter and nothing shows. One batch of all n rows is the truth.",
        "Compare evaluate(batch_size) with evaluate(n) for all sizes below n. Allow for rounding, about 1e-6.",
    ],
)
def batch_size_matters(answer: Any) -> None:
    def losses(n: int) -> np.ndarray:
        return np.random.default_rng(n).exponential(size=n)

    def batches(n: int, size: int) -> list[np.ndarray]:
        return [losses(n)[start : start + size] for start in range(0, n, size)]

    def mean_of_means(n: int) -> Callable[[int], float]:
        return lambda size: float(np.mean([batch.mean() for batch in batches(n, size)]))

    def right(n: int) -> Callable[[int], float]:
        return lambda size: float(sum(batch.sum() for batch in batches(n, size)) / n)

    def last_dropped(n: int) -> Callable[[int], float]:
        return lambda size: float(np.mean([batch.mean() for batch in batches(n, size) if len(batch) == size]))

    def rounded(n: int) -> Callable[[int], float]:
        return lambda size: right(n)(size) + 1e-9 * size

    divides = "Did every size you tried divide n?"
    for n in (10, 12, 64, 60):
        case = f"a mean of means over {n} rows"
        _expect_verdict(answer(mean_of_means(n), n), True, case, divides)
    _expect_verdict(answer(right(12), 12), False, "a right mean over 12 rows", "Compare what should be equal.")
    _expect_verdict(answer(rounded(10), 10), False, "a right mean with rounding", "Differences of 1e-8 are rounding.")
    _expect_verdict(answer(last_dropped(10), 10), True, "an evaluation that drops a short last batch", divides)


@exercise(
    "unused-rules",
    hints=[
        "For each rule: is there any name that it fits? Keep the rules for which there is none.",
        "re.fullmatch(rule, name) is None where the pattern does not fit the whole name.",
        "[rule for rule in rules if not any(... for name in names)]",
    ],
)
def unused_rules(answer: Any) -> None:
    names = ["reader/dense_1/kernel", "reader/dense_1/bias", "reader/embed/table"]
    rules = ["dense.*kernel", ".*bias", "reader/embed/table", ".*conv.*"]
    got = answer(rules, names)
    note = "Return the rules that no name fits."
    if isinstance(got, (list, tuple, set)):
        if sorted(map(str, got)) == [".*conv.*"]:
            note = "Did you search within the names? The whole name has to fit."
        elif sorted(map(str, got)) == [".*bias", "reader/embed/table"]:
            note = "Those are the rules that are used."
    _expect_names(got, ["dense.*kernel", ".*conv.*"], "four rules and three names", note)
    _expect_names(answer([".*"], names), [], "the rule .*", "It fits every name.")
    _expect_names(
        answer(["dense"], ["dense_1"]), ["dense"], "the rule dense and the name dense_1", "Not the whole name."
    )
    _expect_names(answer(["a", "b"], []), ["a", "b"], "no names at all", "Then no rule is used.")
