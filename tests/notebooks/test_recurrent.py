"""The cells that the lab builds are the library's, for any size."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.check import NotAnswered, try_answer
from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")
LAB = lift("recurrent", "rnn_step", "lstm_step", "gru_step", "unroll", "half_life_bias", "symbol_share", "sequences")
SIZES = {
    "n": st.integers(1, 4),
    "length": st.integers(1, 7),
    "width": st.integers(1, 5),
    "hidden_size": st.integers(1, 6),
}


@settings(max_examples=25, deadline=None)
@given(**SIZES, seed=st.integers(0, 10_000))
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_cells_are_the_librarys(kind: str, n: int, length: int, width: int, hidden_size: int, seed: int) -> None:
    torch.manual_seed(seed)
    core = getattr(torch.nn, kind)(width, hidden_size, batch_first=True).double()
    X = torch.randn(n, length, width, dtype=torch.float64)
    hidden, cell = torch.randn(2, n, hidden_size, dtype=torch.float64)
    if kind == "LSTM":
        states = LAB.unroll(LAB.lstm_step, X, (hidden, cell), core.parameters())
        wanted, (_, wanted_cell) = core(X, (hidden[None], cell[None]))
        torch.testing.assert_close(states[-1][1], wanted_cell[0])
        came = torch.stack([state[0] for state in states], dim=1)
    else:
        step = {"RNN": LAB.rnn_step, "GRU": LAB.gru_step}[kind]
        wanted, _ = core(X, hidden[None])
        came = torch.stack(LAB.unroll(step, X, hidden, list(core.parameters())), dim=1)
    torch.testing.assert_close(came, wanted)


def test_published_gru_agrees_where_nothing_is_reset() -> None:
    torch.manual_seed(0)
    core = torch.nn.GRU(2, 3, batch_first=True).double()
    with torch.no_grad():
        core.bias_ih_l0[:3] = 1e4  # a reset gate of 1: both kinds look at the whole past
    X, zeros = torch.randn(4, 6, 2, dtype=torch.float64), torch.zeros(4, 3, dtype=torch.float64)
    weights = list(core.parameters())
    published = LAB.unroll(functools.partial(LAB.gru_step, as_published=True), X, zeros, weights)
    torch.testing.assert_close(torch.stack(published, dim=1), core(X)[0])


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 5000))
def test_half_life_bias_keeps_one_half(length: int) -> None:
    bias = torch.tensor(LAB.half_life_bias(length), dtype=torch.float64)
    assert torch.sigmoid(bias).item() ** length == pytest.approx(0.5)


def test_only_the_first_token_is_a_symbol() -> None:
    X, y = LAB.sequences(50, 9)
    tokens = X.argmax(-1)
    assert X.shape == (50, 9, 8) and X.sum(-1).eq(1).all()
    assert tokens[:, 0].equal(y) and y.max() < 4 <= tokens[:, 1:].min()


def test_symbol_share_knows_its_extremes() -> None:
    y = torch.arange(4).repeat(500)
    torch.manual_seed(0)
    states = torch.stack([y.float(), torch.randn(2000)], dim=1)[:, None]  # a unit that knows, and one that does not
    share = LAB.symbol_share(states, y)[0]
    assert share[0] == pytest.approx(1.0) and share[1] < 0.02


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("recurrent-bptt", lambda w, inputs: sum(inputs) * w, "expected"),
        ("recurrent-bptt", lambda w, inputs: float("nan"), "nan"),
        ("recurrent-clip", lambda gradients, limit: gradients[0], "list"),
        ("recurrent-clip", lambda gradients, limit: [g * float("nan") for g in gradients], "nan"),
        ("forget-bias", lambda steps: 0.5 ** (1 / steps), "1 step"),
        ("forget-bias", lambda steps: "4", "4"),
        ("recurrent-truncated", lambda step, X, hidden, weights, window: step(X[:, 0], hidden, *weights), "expected"),
        ("recurrent-truncated", lambda step, X, hidden, weights, window: X[9], "raised"),
    ],
)
def test_wrong_answers_are_explained(name: str, answer: object, said: str) -> None:
    assert said in (try_answer(name, answer) or "")


def test_truncation_in_the_wrong_place_is_told() -> None:
    def after(step, X, hidden, weights, window):  # type: ignore[no-untyped-def]
        for t, x in enumerate(X.unbind(1)):
            hidden = step(x, hidden, *weights)
            if t % window == 0:
                hidden = hidden.detach()
        return hidden

    assert "blame" in (try_answer("recurrent-truncated", after) or "")
    with pytest.raises(NotAnswered):
        try_answer("recurrent-truncated", lambda step, X, hidden, weights, window: None)
