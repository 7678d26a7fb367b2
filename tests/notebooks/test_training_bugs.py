"""The checks that the lab training-bugs builds hold for other models, shapes and data than the lab's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")
nn = torch.nn
lab = lift(
    "training-bugs",
    *("neighbours_matter", "answers_differ", "parameters", "lowest_loss", "labels_are_strangers", "misses_or_repeats"),
    *(
        "shard_broken",
        "shard_repaired",
        "company_matters",
        "knows_the_future",
        "loss_broken",
        "loss_repaired",
        "rates",
    ),
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Mix(nn.Module):
    def __init__(self, mix):
        super().__init__()
        self.mix = mix

    def forward(self, x):
        return self.mix(x)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(4, 30), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_rows_apart_are_left_in_peace_and_every_leak_is_found(n: int, width: int, seed: int) -> None:
    torch.manual_seed(seed)
    X = torch.randn(n, width) + 3
    healthy = nn.Sequential(nn.Linear(width, 7), nn.BatchNorm1d(7), nn.Dropout(0.5), nn.ReLU(), nn.Linear(7, 3)).train()
    kept = X.clone()
    assert not lab.neighbours_matter(healthy, X)
    assert torch.equal(X, kept)
    leaks = [
        lambda x: x.cumsum(0),
        lambda x: x.flip(0).cumsum(0).flip(0),
        lambda x: x - x.mean(0),
        lambda x: x.roll(1, 0),
        lambda x: x[: len(x) // 2],
    ]
    for leak in leaks:
        assert lab.neighbours_matter(Mix(leak), X)


def test_attention_with_the_batch_in_the_wrong_place_is_found() -> None:
    class First(nn.Module):
        def __init__(self, **how):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, **how)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0][:, 0]

    torch.manual_seed(0)
    X = torch.randn(10, 5, 8)
    assert lab.neighbours_matter(First(), X)
    assert not lab.neighbours_matter(First(batch_first=True), X)


@pytest.mark.parametrize("classes", [3, 20])
def test_the_floor_of_a_doubled_softmax_depends_on_the_classes_as_the_page_says(classes: int) -> None:
    torch.manual_seed(0)
    X, y = torch.randn(12, 30), torch.arange(12) % classes
    plain, doubled = nn.Linear(30, classes), nn.Sequential(nn.Linear(30, classes), nn.Softmax(dim=1))
    floor = np.log(np.e + classes - 1) - 1
    assert lab.lowest_loss(plain, X, y, steps=400) < floor / 2
    assert floor - 1e-5 < lab.lowest_loss(doubled, X, y, steps=400) < np.log(classes)


def test_dropout_and_batch_norm_answer_twice_alike_only_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    X = torch.randn(40, 6)
    model = nn.Sequential(nn.Linear(6, 30), nn.Dropout(0.3))
    assert lab.answers_differ(model.train(), X)
    assert not lab.answers_differ(model.eval(), X)


def test_layers_in_a_list_are_not_counted() -> None:
    class Hidden(nn.Module):
        def __init__(self, keep):
            super().__init__()
            self.layers = keep([nn.Linear(4, 5)])
            self.out = nn.Linear(5, 2)

    assert lab.parameters(Hidden(list)) == 12
    assert lab.parameters(Hidden(nn.ModuleList)) == 12 + 25


@given(rows=st.integers(1, 200), workers=st.integers(2, 9))
def test_every_row_is_read_once_or_the_check_rings(rows: int, workers: int) -> None:
    assert not lab.misses_or_repeats(lab.shard_repaired, rows, workers)
    assert lab.misses_or_repeats(lab.shard_broken, rows, workers)
    assert lab.misses_or_repeats(
        lambda all_rows, worker, n: all_rows[worker :: n + 1], max(rows, n := workers + 1), n - 1
    )


def test_neighbours_agree_only_with_their_own_labels() -> None:
    rng = np.random.default_rng(0)
    for classes in (4, 12):
        y = torch.as_tensor(rng.integers(classes, size=300))
        X = torch.as_tensor(rng.normal(size=(classes, 1, 5, 5)) * 3)[y] + torch.as_tensor(
            rng.normal(size=(300, 1, 5, 5))
        )
        assert not lab.labels_are_strangers(X, y, classes)
        assert lab.labels_are_strangers(X, y[torch.as_tensor(rng.permutation(300))], classes)


def test_a_transformation_may_know_the_training_rows_and_no_others() -> None:
    X = torch.rand(50, 3, 4)
    mean = torch.rand(3, 4)
    assert not lab.company_matters(lambda x: x - mean, X)
    assert lab.company_matters(lambda x: x - x.mean(), X)
    assert lab.company_matters(lambda x: x / x.amax(0), X)


@given(n=st.integers(3, 60), seed=st.integers(0, 99))
def test_only_a_split_by_time_keeps_the_future_out(n: int, seed: int) -> None:
    times = np.arange(n)
    cut = n // 2
    assert not lab.knows_the_future(times[:cut], times[cut:])
    order = np.random.default_rng(seed).permutation(n)
    by_time = set(order[:cut]) == set(range(cut))
    assert lab.knows_the_future(order[:cut], order[cut:]) != by_time


@given(n=st.integers(1, 30), seed=st.integers(0, 99))
def test_a_perfect_column_costs_nothing_but_in_the_table_it_costs_twice_the_variance(n: int, seed: int) -> None:
    y = torch.as_tensor(np.random.default_rng(seed).normal(size=n))
    assert lab.loss_repaired(y[:, None], y) == 0
    assert torch.isclose(lab.loss_broken(y[:, None], y), 2 * y.var(correction=0))


def test_the_rate_is_constant_within_an_epoch_only_where_it_is_cut_per_epoch() -> None:
    planned, printed = lab.rates(False, epochs=9, batches=7), lab.rates(True, epochs=9, batches=7)
    assert np.allclose(planned, (1e-3 * 0.2 ** (np.arange(9) // 4))[:, None])
    assert np.allclose(printed.ravel(), 1e-3 * 0.2 ** (np.arange(63) // 4))
