"""Checks for the lab cloud."""

from __future__ import annotations

import math
from typing import Any

from labkit.check import NotAnswered, exercise, expect, expect_near


@exercise(
    "quiet-run",
    hints=[
        "How long does the group run on average, if one machine alone runs mean_each on average?",
        "mean_each / machines. The time until the first failure is longer than t with probability e to the −t / mean.",
        "math.exp of minus hours divided by the group's mean time.",
    ],
)
def quiet_run(answer: Any) -> None:
    expect_near(answer(1, 0, 100), 1.0, case="a run of no time at all", note="Nothing fails in no time.")
    note = "It runs for just its mean time: the probability is 1/e."
    expect_near(answer(1, 100, 100), math.exp(-1), case="one machine, 100 hours, a mean of 100", note=note)
    note = "Ten machines fail ten times as often: the group's mean time is 10 hours."
    expect_near(answer(10, 10, 100), math.exp(-1), case="10 machines, 10 hours, a mean of 100 each", note=note)
    expect_near(answer(16_384, 24, 50_000), math.exp(-24 * 16_384 / 50_000), case="16,384 machines, a day")


@exercise(
    "frozen-snapshot",
    hints=[
        "Take a snapshot, train one step, look at the snapshot again: its weights have moved. Why?",
        "state_dict() returns the tensors themselves, and the optimiser changes them in place. Each has to be copied.",
        "The dictionary has dictionaries inside: copy.deepcopy goes all the way down.",
    ],
)
def frozen_snapshot(answer: Any) -> None:
    import torch
    from torch import nn

    def fresh(seed: int) -> tuple[Any, Any, Any]:
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.5), nn.Linear(5, 1))
        return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), torch.Generator().manual_seed(seed)

    def go_on(model: Any, optimizer: Any, order: Any) -> Any:
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(8, 6, generator=order)).square().mean().backward()
            optimizer.step()
        return nn.utils.parameters_to_vector(model.parameters()).detach()

    with torch.random.fork_rng(devices=[]):
        parts = fresh(0)
        go_on(*parts)
        before = nn.utils.parameters_to_vector(parts[0].parameters()).detach().clone()
        momentum = [s["momentum_buffer"].clone() for s in parts[1].state_dict()["state"].values()]
        state = answer(*parts)
        if state is None or state is ...:
            raise NotAnswered
        expect(isinstance(state, dict), f"Expected a dictionary; a {type(state).__name__} came.")
        for name in ("model", "optimizer", "order", "chance"):
            expect(name in state, f"Expected the four names model, optimizer, order and chance; '{name}' is missing.")
        wanted = go_on(*parts)

        kept = torch.cat([state["model"][name].flatten() for name in parts[0].state_dict()])
        said = (
            "Training went on after the snapshot, and the weights in it moved along. They are the model's own tensors."
        )
        expect(torch.equal(kept, before), said)
        memories = [one["momentum_buffer"] for one in state["optimizer"]["state"].values()]
        said = "The weights stayed, but what the optimiser remembers moved along: its tensors must be copied as well."
        expect(len(memories) == len(momentum) and all(map(torch.equal, memories, momentum)), said)

        others = fresh(7)
        others[0].load_state_dict(state["model"])
        others[1].load_state_dict(state["optimizer"])
        others[2].set_state(state["order"])
        torch.set_rng_state(state["chance"])
        said = (
            "A run that was restored from it ends in other weights. Are both states of chance in it: order.get_state() "
        )
        expect(torch.equal(go_on(*others), wanted), said + "as order, and torch.get_rng_state() as chance?")


@exercise(
    "best-interval",
    hints=[
        "Young's formula needs the mean time between failures of the whole group. What is it for n machines?",
        "mean_each / machines goes where M stands in the square root of 2 C M.",
        "math.sqrt(2 * checkpoint * M), with M = mean_each / machines.",
    ],
)
def best_interval(answer: Any) -> None:
    came = answer(6, 1200, 1)
    expect_near(came, 120.0, case="6 minutes, a mean of 1,200, one machine", note="The example of the page.")
    came = answer(6, 1200 * 16, 16)
    if isinstance(came, float):
        expect(
            round(came, 6) != 480, "For 16 machines you took the mean time of one. The group fails 16 times as often."
        )
        wrong = (
            "Dividing one machine's interval by 16 is too much: the number of machines stands under the square root."
        )
        expect(round(came, 6) != 30, wrong)
    expect_near(came, 120.0, case="6 minutes, a mean of 19,200 each, 16 machines", note="The group's mean is 1,200.")
    expect_near(answer(1.0, 8.0, 4), 2.0, case="1, a mean of 8 each, 4 machines")


@exercise(
    "usd-per-epoch",
    hints=[
        "How many operations a second does the machine really do? Then how many seconds, and how many hours?",
        "flops / (peak · fraction) seconds, divided by 3600. The overhead makes it 1 + overhead times as long.",
        "Hours times usd_per_hour; every factor is a plain product or quotient.",
    ],
)
def usd_per_epoch(answer: Any) -> None:
    case = "3.6e15 operations, a peak of 1e12, all of it reached, 2 USD an hour, no overhead"
    expect_near(answer(3.6e15, 1e12, 1.0, 2.0, 0.0), 2.0, case=case, note="That is 3,600 seconds.")
    note = "At half of the peak it takes twice as long, and costs twice as much."
    expect_near(answer(3.6e15, 1e12, 0.5, 2.0, 0.0), 4.0, case="the same at half of the peak", note=note)
    note = "An overhead of 0.25 means a quarter more time than the work itself."
    expect_near(answer(3.6e15, 1e12, 0.5, 2.0, 0.25), 5.0, case="the same with an overhead of 0.25", note=note)
    expect_near(answer(7.2e18, 65e12, 0.4, 0.54, 0.1), 45.692307692, case="a larger run on a T4")
