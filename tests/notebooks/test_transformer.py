"""What the lab transformer builds, against the library, on random shapes and masks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.notebooks.lifting import lift

lab = lift("transformer", "attention_weights", "attend", "causal_mask", "SelfAttention", "Block", "Decoder", "waves")
size = st.integers(1, 7)
seed = st.integers(0, 10_000)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Matrices as small as these are done before a second thread is awake."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@settings(max_examples=60, deadline=None)
@given(seed=seed, batch=size, heads=size, asking=size, asked=size, width=size, out=size, chance=st.floats(0, 1))
def test_attention_is_the_librarys(seed, batch, heads, asking, asked, width, out, chance):
    torch.manual_seed(seed)
    queries, keys = torch.randn(batch, heads, asking, width), torch.randn(batch, heads, asked, width)
    values = torch.randn(batch, heads, asked, out)
    mask = torch.rand(batch, 1, asking, asked) < chance
    mask[..., 0] = True  # no empty row
    for m in (None, mask):
        want = F.scaled_dot_product_attention(queries, keys, values, attn_mask=m)
        torch.testing.assert_close(lab.attend(queries, keys, values, m), want, atol=1e-6, rtol=1e-5)
    shares = lab.attention_weights(queries, keys, mask)
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones(batch, heads, asking))
    assert (shares.masked_select(~mask) == 0).all()


@settings(max_examples=25, deadline=None)
@given(seed=seed, n=size, heads=st.integers(1, 4), per_head=size, length=size, causal=st.booleans())
def test_several_heads_are_the_librarys(seed, n, heads, per_head, length, causal):
    torch.manual_seed(seed)
    width = heads * per_head
    ours, theirs = lab.SelfAttention(width, heads), torch.nn.MultiheadAttention(width, heads, batch_first=True)
    theirs.in_proj_weight, theirs.in_proj_bias, theirs.out_proj = ours.project.weight, ours.project.bias, ours.mix
    x, mask = torch.randn(n, length, width), lab.causal_mask(length) if causal else None
    with torch.inference_mode():
        want = theirs(x, x, x, attn_mask=None if mask is None else ~mask)[0]
        torch.testing.assert_close(ours(x, mask), want, atol=1e-6, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=seed, length=st.integers(2, 9), place=st.integers(0, 8))
def test_the_future_does_not_leak(seed, length, place):
    torch.manual_seed(seed)
    place %= length
    model = lab.Decoder(8, 2, 2, lab.waves(16, 8)).eval()
    tokens = torch.randint(0, 12, (3, length))
    changed = tokens.clone()
    changed[:, place] = (changed[:, place] + 1) % 12
    with torch.inference_mode():
        before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :place], after[:, :place])
    assert not torch.equal(before[:, place], after[:, place])


@settings(max_examples=20, deadline=None)
@given(seed=seed, pieces=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_cache_filled_in_any_pieces_gives_the_same_logits(seed, pieces):
    torch.manual_seed(seed)
    model = lab.Decoder(8, 2, 2, lab.waves(16, 8)).eval()
    tokens, cache = torch.randint(0, 12, (2, sum(pieces))), {}
    with torch.inference_mode():
        logits = torch.cat([model(piece, cache) for piece in tokens.split(pieces, dim=1)], dim=1)
        torch.testing.assert_close(logits, model(tokens), atol=1e-5, rtol=1e-5)


def test_a_row_that_may_look_nowhere_is_nan_and_says_so():
    x, mask = torch.randn(3, 4), torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1]], dtype=torch.bool)
    assert lab.attend(x, x, x, mask).isnan().any(dim=1).tolist() == [False, True, False]


def test_a_mask_of_another_shape_is_refused():
    x = torch.randn(3, 4)
    with pytest.raises(RuntimeError):
        lab.attend(x, x, x, torch.ones(2, 2, dtype=torch.bool))


def test_waves_are_sines_and_cosines():
    table = lab.waves(5, 6)
    assert table.shape == (5, 6)
    for place in range(5):
        for k in range(3):
            angle = place / 10_000 ** (2 * k / 6)
            assert table[place, 2 * k] == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[place, 2 * k + 1] == pytest.approx(math.cos(angle), abs=1e-6)
