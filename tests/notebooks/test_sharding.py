"""What the lab on sharding builds: shards, and the clockwork of a pipeline."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")
LAB = lift("sharding", "cut", "plan", "clockwork", "idle_share", "halves", "network")
few = st.integers(1, 8)


@settings(deadline=None, max_examples=60)
@given(length=st.integers(1, 40), ranks=few)
def test_shards_are_equal_and_hold_everything_once(length: int, ranks: int) -> None:
    vector = torch.arange(1.0, length + 1)
    shards = LAB.cut(vector, ranks)
    assert len({len(shard) for shard in shards}) == 1
    assert len(shards) == ranks
    joined = torch.cat(shards)
    assert torch.equal(joined[:length], vector)
    assert not joined[length:].any()


@settings(deadline=None, max_examples=60)
@given(
    stages=few, micro_batches=few, back=st.integers(1, 4), schedule=st.sampled_from(["all forward first", "one, one"])
)
def test_both_schedules_wait_as_long_as_the_formula_says(
    stages: int, micro_batches: int, back: int, schedule: str
) -> None:
    orders = LAB.plan(stages, micro_batches, schedule)
    spans = LAB.clockwork(orders, {"F": 1, "B": back})
    assert len(spans) == 2 * stages * micro_batches
    for (stage, kind, m), (start, _) in spans.items():
        if kind == "F" and stage > 0:
            assert spans[stage - 1, "F", m][1] <= start
        if kind == "B" and stage < stages - 1:
            assert spans[stage + 1, "B", m][1] <= start
        if kind == "B":
            assert spans[stage, "F", m][1] <= start
    assert LAB.idle_share(spans, stages) == pytest.approx((stages - 1) / (micro_batches + stages - 1))


def test_one_forward_one_back_keeps_no_more_than_there_are_stages() -> None:
    for schedule, most in (("all forward first", 8), ("one forward, one back", 3)):
        kept, held = 0, []
        for kind, _ in LAB.plan(3, 8, schedule)[0]:
            kept += 1 if kind == "F" else -1
            held.append(kept)
        assert max(held) == most
        assert kept == 0


def test_the_halves_of_two_layers_compute_what_the_layers_do() -> None:
    model = LAB.network()
    X = torch.rand(3, 784, dtype=torch.float64)
    total = 0
    for rank in range(2):
        A, a, B = LAB.halves(model, rank, 2)
        total = total + torch.relu(X @ A.T + a) @ B.T
    assert torch.allclose(total + model[2].bias, model[:3](X), atol=1e-12)
