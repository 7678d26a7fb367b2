"""The engine that learners build in autodiff, against PyTorch, finite differences, TensorFlow and JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.gradients import numerical_gradient
from tests.notebooks.lifting import lift

engine = lift(
    "autodiff",
    *("Node", "Arithmetic", "Tensor", "unbroadcast", "plain", "matrix_product"),
    *("STEPS", "random_program", "random_inputs", "row_sums", "OURS", "TORCH", "with_ours", "with_torch"),
    *("Counted", "Scalar", "add", "multiply", "backward", "push", "layout"),
)
Tensor = engine.Tensor
seeds = st.integers(0, 2**32 - 1)


def case(seed: int, length: int = 12) -> tuple[Any, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return engine.random_program(rng, length), engine.random_inputs(rng)


def assert_same(ours: list[Any], theirs: list[Any], rtol: float = 1e-9) -> None:
    scale = max(np.abs(gradient).max() for gradient in theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)


@given(seed=seeds, length=st.integers(0, 25))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_gradients_are_those_of_torch(seed: int, length: int) -> None:
    program, inputs = case(seed, length)
    assert_same(engine.with_ours(program, inputs), engine.with_torch(program, inputs))


@given(seed=seeds)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_gradients_are_those_of_nudging(seed: int) -> None:
    program, inputs = case(seed, 8)

    def nudged(which: int) -> np.ndarray:
        def value(x: np.ndarray) -> float:
            arrays = [Tensor(x if i == which else array) for i, array in enumerate(inputs)]
            return float(program(engine.OURS, *arrays).value)

        return numerical_gradient(value, inputs[which])

    assert_same(engine.with_ours(program, inputs), [nudged(which) for which in range(5)], rtol=1e-6)


@given(seed=seeds, shape=st.sampled_from([(), (1,), (4,), (1, 4), (3, 1), (3, 4), (1, 1), (2, 1, 4)]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_broadcasting_is_undone_for_every_operator(seed: int, shape: tuple[int, ...]) -> None:
    import torch

    rng = np.random.default_rng(seed)
    small, large = rng.uniform(0.5, 2, shape), rng.uniform(0.5, 2, (2, 3, 4))
    for operator in ("__add__", "__sub__", "__mul__", "__truediv__"):
        for left, right in ((small, large), (large, small)):
            ours, theirs = [Tensor(left), Tensor(right)], [torch.tensor(x, requires_grad=True) for x in (left, right)]
            for a, b in (ours, theirs):
                (getattr(a, operator)(b) ** 2).sum().backward()
            assert_same([x.gradient for x in ours], [x.grad.numpy() for x in theirs])  # type: ignore[union-attr]


def test_constants_on_either_side_of_an_operator() -> None:
    x, constant = Tensor([[1.0, 2.0]]), np.array([[3.0], [4.0]])
    total = (constant * x + 1 - x / 2 + 2 / x + (1 - x) + constant @ x).sum()
    assert isinstance(total, Tensor)
    total.backward()
    np.testing.assert_allclose(x.gradient, 7 - 1 - 4 / x.value**2 - 2 + 7)


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_sums_over_any_axis(axis: Any, keepdims: bool) -> None:
    x = Tensor(np.arange(24.0).reshape(2, 3, 4))
    total = x.sum(axis=axis, keepdims=keepdims)
    assert total.value.shape == x.value.sum(axis=axis, keepdims=keepdims).shape
    (total**2).sum().backward()
    np.testing.assert_allclose(x.gradient, np.broadcast_to(2 * x.value.sum(axis=axis, keepdims=True), x.value.shape))


def test_products_of_batches_of_matrices() -> None:
    import torch

    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((5, 2, 3)), rng.standard_normal((3, 4))
    ours, theirs = [Tensor(left), Tensor(right)], [torch.tensor(x, requires_grad=True) for x in (left, right)]
    for a, b in (ours, theirs):
        (a @ b).tanh().sum().backward()
    assert_same([x.gradient for x in ours], [x.grad.numpy() for x in theirs])  # type: ignore[union-attr]


def test_the_parents_of_a_sum_do_not_share_their_gradient() -> None:
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    ((a + b) + a * 10).sum().backward()
    np.testing.assert_array_equal(b.gradient, [1, 1])
    np.testing.assert_array_equal(a.gradient, [11, 11])


def test_backward_twice_gives_the_same_and_a_long_chain_needs_no_recursion() -> None:
    x = Tensor(1.0)
    y = x
    for _ in range(5000):
        y = y + 1
    (y * y).backward()
    y_squared = y * y
    y_squared.backward()
    y_squared.backward()
    assert float(x.gradient) == 2 * 5001


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one number.*\(3,\)"):
        Tensor(np.ones(3)).backward()
    with pytest.raises(ValueError, match="two dimensions"):
        Tensor(np.ones(3)) @ Tensor(np.ones((3, 2)))


def test_counting_arrays_count() -> None:
    Counted = engine.Counted
    before = Counted.operations
    a, b = np.ones((2, 3)).view(Counted), np.ones((3, 4)).view(Counted)
    np.exp(a)  # 6
    (a @ b).sum(axis=1)  # 2 * 3 * 4, then 8 numbers added
    assert Counted.operations - before == 6 + 24 + 8


def test_in_the_right_order_scalars_get_what_every_path_gives() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        nodes = [engine.Scalar("x", rng.normal()) for _ in range(2)]
        recipe = [(bool(rng.integers(2)), *rng.integers(0, 2 + i, 2)) for i in range(7)]
        for times, i, j in recipe:
            nodes.append((engine.multiply if times else engine.add)("x", nodes[i], nodes[j]))
        engine.backward(nodes[::-1])
        right = [node.gradient for node in nodes]
        for node in nodes:
            node.gradient = 0.0
        engine.push(nodes[-1])
        np.testing.assert_allclose([node.gradient for node in nodes], right)
        assert len(set(engine.layout(nodes).values())) == len(nodes)


@pytest.mark.slow
def test_gradients_are_those_of_tensorflow_and_jax() -> None:
    from types import SimpleNamespace

    tf, jax = pytest.importorskip("tensorflow"), pytest.importorskip("jax")
    jnp, rows = jax.numpy, engine.row_sums
    in_tensorflow = SimpleNamespace(exp=tf.exp, log=tf.math.log, tanh=tf.tanh, relu=tf.nn.relu, total=tf.reduce_sum)
    in_tensorflow.rows = lambda x: tf.reduce_sum(x, axis=1, keepdims=True)
    in_jax = SimpleNamespace(exp=jnp.exp, log=jnp.log, tanh=jnp.tanh, relu=jax.nn.relu, rows=rows, total=jnp.sum)
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        for seed in range(10):
            program, inputs = case(seed)
            ours = engine.with_ours(program, inputs)
            variables = [tf.Variable(x, dtype=tf.float64) for x in inputs]
            with tf.GradientTape() as tape:
                result = program(in_tensorflow, *variables)
            assert_same(ours, [gradient.numpy() for gradient in tape.gradient(result, variables)])
            by_jax = jax.grad(lambda arrays, run=program: run(in_jax, *arrays))([jnp.asarray(x) for x in inputs])
            assert_same(ours, [np.asarray(gradient) for gradient in by_jax])
    finally:
        jax.config.update("jax_enable_x64", before)
