"""The networks that labs share are the ones that labs build."""

from __future__ import annotations

import pytest

from labkit.models import lenet
from tests.notebooks.lifting import lift

torch = pytest.importorskip("torch")


def test_lenet_is_the_one_of_its_lab() -> None:
    lab = lift("lenet", "LeNet").LeNet()
    ours = lenet()
    weights = lab.state_dict()
    assert ours.state_dict().keys() == weights.keys()
    ours.load_state_dict(weights)
    X = torch.randn(25, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(X), lab(X))


def test_the_same_seed_gives_the_same_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(lenet().state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
