"""The lab data-parallel: its ring against a plain sum, between threads too, its fits, its checks that explain."""

from __future__ import annotations

import threading
from queue import Queue
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit._selftest import solutions
from labkit.check import NotAnswered, try_answer
from labkit.course import load_course
from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")
lab = lift(
    "data-parallel",
    "through_chief",
    "ring",
    "sent_by_one",
    "ring_all_reduce",
    "here",
    "gradient_of",
    "move",
    "fit_line",
)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(1, 20), st.integers(0, 1000))
def test_the_ring_adds_up_whatever_the_length(n: int, length: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).integers(-99, 99, (n, length)).astype(float)
    moments, sent = lab.ring(vectors)
    total, passed = lab.through_chief(vectors)
    assert (moments[-1] == vectors.sum(axis=0)).all() and (total == vectors.sum(axis=0)).all()
    assert len(moments) == 1 + 2 * (n - 1)
    assert sum(sent) == passed == 2 * (n - 1) * length, (
        "the ring carries as much as the chief, but nobody carries it alone"
    )
    assert max(sent) - min(sent) <= 2
    assert sent[0] == lab.sent_by_one(length, n)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_each_worker_owns_the_next_chunk_after_half_of_the_ring(n: int) -> None:
    vectors = np.arange(n * n, dtype=float).reshape(n, n)
    moments, _ = lab.ring(vectors)
    halfway = moments[n - 1] == vectors.sum(axis=0)
    assert [list(np.flatnonzero(row)) for row in halfway] == [[(worker + 1) % n] for worker in range(n)]


class Ranks:
    """``torch.distributed`` for threads: each knows its rank, and messages go through queues."""

    isend, irecv = "isend", "irecv"

    def __init__(self, n: int) -> None:
        self.n, self.own = n, threading.local()
        self.ways: dict[tuple[int, int], Queue[Any]] = {(a, b): Queue() for a in range(n) for b in range(n)}

    def get_rank(self) -> int:
        return self.own.rank

    def get_world_size(self) -> int:
        return self.n

    def P2POp(self, what: str, tensor: Any, peer: int) -> tuple[str, Any, int]:
        return what, tensor, peer

    def batch_isend_irecv(self, operations: list[tuple[str, Any, int]]) -> list[SimpleNamespace]:
        waits = []
        for what, tensor, peer in operations:
            if what == self.isend:
                self.ways[self.own.rank, peer].put(tensor.clone())
                waits.append(lambda: None)
            else:
                way = self.ways[peer, self.own.rank]
                waits.append(lambda way=way, tensor=tensor: tensor.copy_(way.get(timeout=10)))
        return [SimpleNamespace(wait=wait) for wait in waits]


@pytest.mark.parametrize(("n", "length"), [(1, 5), (2, 8), (3, 7), (4, 2), (5, 61)])
def test_the_ring_between_ranks_adds_up_and_leaves_all_with_the_same_bits(n: int, length: int, monkeypatch) -> None:
    ranks = Ranks(n)
    monkeypatch.setitem(lab.ring_all_reduce.__globals__, "dist", ranks)
    vectors = [torch.randn(length, generator=torch.Generator().manual_seed(rank)) for rank in range(n)]
    wanted = torch.stack(vectors).double().sum(0)
    sent = [0] * n

    def one(rank: int) -> None:
        ranks.own.rank = rank
        sent[rank] = lab.ring_all_reduce(vectors[rank])

    workers = [threading.Thread(target=one, args=(rank,)) for rank in range(n)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=20)
    assert torch.allclose(vectors[0].double(), wanted, atol=1e-5)
    assert all(torch.equal(vector, vectors[0]) for vector in vectors)
    assert sum(sent) == 2 * (n - 1) * length * 4
    assert sent[0] == 4 * lab.sent_by_one(length, n)


def test_moving_against_the_gradient_is_a_step_of_sgd() -> None:
    torch.manual_seed(0)
    ours = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)).double()
    theirs = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)).double()
    theirs.load_state_dict(ours.state_dict())
    X, y = torch.randn(6, 3, 4).double(), torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    velocity: Any = 0.0
    for _ in range(3):
        velocity = 0.9 * velocity + lab.gradient_of(ours, X, y)
        lab.move(ours, -0.1 * velocity)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(theirs(X), y).backward()
        optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-6, 1e-2), st.floats(1e6, 1e11))
def test_the_fit_finds_latency_and_bandwidth(alpha: float, beta: float) -> None:
    sizes = np.geomspace(1, 1000 * alpha * beta, 12)
    fitted = lab.fit_line(sizes, alpha + sizes / beta)
    assert fitted == pytest.approx((alpha, beta), rel=1e-6)


def _solution(name: str) -> Any:
    namespace: dict[str, Any] = {"np": np}
    exec(solutions(load_course().lab("data-parallel").source)[name], namespace)
    return next(value for key, value in namespace.items() if key not in ("np", "__builtins__"))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 1000))
def test_shards_of_any_size_combine_to_the_whole(sizes: list[int], seed: int) -> None:
    """A batch that the number of workers does not divide."""
    samples = np.random.default_rng(seed).normal(size=(sum(sizes), 3))
    means = np.array([shard.mean(axis=0) for shard in np.split(samples, np.cumsum(sizes)[:-1])])
    assert np.allclose(_solution("combine-shards")(means, np.array(sizes)), samples.mean(axis=0))


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("combine-shards", lambda g, s: float(np.mean(g)), "the plain mean"),
        ("combine-shards", lambda g, s: np.sum(np.asarray(g).T * s, axis=-1), "The whole has"),
        ("combine-shards", lambda g, s: float(np.sum(g.T * s) / np.sum(s)), "average over the workers"),
        ("combine-shards", lambda g, s: "all", "numbers were expected"),
        ("finished-chunk", lambda worker, n: worker, "dark cells"),
        ("finished-chunk", lambda worker, n: worker + 1, "The ring closes"),
        ("finished-chunk", lambda worker, n: (worker - 1) % n, "dark cells"),
        ("ring-seconds", lambda s, n, a, b: a + 2 * (n - 1) * s / n / b, "each pays the latency"),
        ("ring-seconds", lambda s, n, a, b: (n - 1) * (a + s / n / b), "2 (n − 1) = 4"),
        ("ring-seconds", lambda s, n, a, b: 2 * (n - 1) * (a + s / b), "a third of the vector"),
        ("each-once", lambda shards, n: set().union(*map(set, shards)) == set(range(n)), "each of them twice"),
        ("each-once", lambda shards, n: sum(map(len, shards)) == n, "Nobody read 2 and 3"),
        (
            "each-once",
            lambda shards, n: len({len(shard) for shard in shards}) == 1 and len(shards[0]) * 2 == n,
            "Nobody",
        ),
        (
            "each-once",
            lambda shards, n: len({i for one in shards for i in one}) == sum(map(len, shards)),
            "Nobody read 2",
        ),
        ("each-once", lambda shards, n: "yes", "True or False"),
        ("each-once", lambda shards, n: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_checks_name_typical_mistakes(name: str, answer: Any, says: str) -> None:
    assert says in (try_answer(name, answer) or "passed")


@pytest.mark.parametrize("name", ["combine-shards", "finished-chunk", "ring-seconds", "each-once"])
def test_no_answer_is_no_mistake(name: str) -> None:
    with pytest.raises(NotAnswered):
        try_answer(name, lambda *given: [None][0])
