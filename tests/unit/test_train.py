"""labkit.train: the loop, its history, its checks, and a run that survives being killed."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from labkit.errors import LabkitError
from labkit.train import Diverged, History, evaluate, fit, keras_history, keras_restart

torch = pytest.importorskip("torch")


@pytest.fixture
def problem():
    """Three clouds of points and a small network with dropout, the same each time."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 100)
    X = rng.normal(size=(100, 4)) + 2 * np.eye(3, 4)[y]
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(16, 3))
    return model, X, y


def adam(model, lr=0.01):
    return torch.optim.Adam(model.parameters(), lr=lr)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def settings(**changes):
    return {"epochs": 4, "batch_size": 32, "progress": False, **changes}


def test_fit_is_the_loop_one_would_write(problem):
    model, X, y = problem
    model = torch.nn.Sequential(
        model[0], model[1], model[3]
    )  # no dropout: nothing here is left to chance but the order
    twin = copy.deepcopy(model)
    history = fit(model, X, y, optimizer=adam(model), **settings())

    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    order, optimizer, losses = torch.Generator().manual_seed(0), adam(twin), []
    for _ in range(4):
        total = 0.0
        for batch in torch.randperm(100, generator=order).split(32):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(twin(X[batch]), y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / 100)
    assert torch.equal(weights(model), weights(twin))
    assert history.loss == pytest.approx(losses, rel=1e-6)


def test_every_sample_is_seen_once_an_epoch(problem):
    model, _, y = problem
    X, seen = np.arange(400.0).reshape(100, 4), []

    def spy(batch):
        seen.extend(batch[:, 0].tolist())
        return batch / 400

    fit(model, X, y, optimizer=adam(model), augment=spy, **settings(epochs=2))
    first, second = seen[:100], seen[100:]
    assert sorted(first) == sorted(second) == X[:, 0].tolist()
    assert first != second


def test_it_learns_and_records(problem):
    model, X, y = problem
    history = fit(model, X[:80], y[:80], optimizer=adam(model), validation=(X[80:], y[80:]), **settings(epochs=30))
    result = evaluate(model, X[80:], y[80:])
    assert history.loss[-1] < 0.7 * history.loss[0]
    assert result.accuracy >= 0.7
    assert result.accuracy == np.mean(result.predictions == y[80:]) == history.validation_accuracy[-1]
    assert history.validation_loss[-1] == pytest.approx(result.loss)
    assert history.epochs == len(history.samples_per_second) == 30
    assert all(rate > 0 for rate in history.samples_per_second)
    assert history.samples == [80] * 30


def test_same_seed_same_weights_and_the_callers_chance_is_left_alone(problem):
    model, X, y = problem
    runs = {}
    for seed in (1, 1, 2):
        twin = copy.deepcopy(model)
        before = torch.get_rng_state()
        torch.rand(seed)  # what the caller did with chance before must not matter
        state = torch.get_rng_state()
        fit(twin, X, y, optimizer=adam(twin), augment=lambda b: b + torch.rand_like(b), seed=seed, **settings())
        assert torch.equal(torch.get_rng_state(), state)
        torch.set_rng_state(before)
        runs.setdefault(seed, []).append(weights(twin))
    assert torch.equal(*runs[1])
    assert not torch.equal(runs[1][0], runs[2][0])


def test_the_schedule_is_stepped_after_every_batch(problem):
    model, X, y = problem
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    history = fit(model, X, y, optimizer=optimizer, schedule=schedule, **settings())
    assert history.learning_rate == pytest.approx([1 / 5, 1 / 9, 1 / 13, 1 / 17])  # 4 batches an epoch: 32, 32, 32, 4


def test_a_history_can_go_on(problem):
    model, X, y = problem
    optimizer = adam(model)
    history = fit(model, X, y, optimizer=optimizer, **settings())
    again = fit(model, X, y, optimizer=optimizer, history=history, **settings(epochs=2))
    assert again is history
    assert history.epochs == 6


def test_history_survives_json():
    history = History(loss=[2.0, 1.0], seconds=[0.5, 0.25], samples=[10, 10])
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history
    assert history.samples_per_second == [20, 40]
    with pytest.raises(LabkitError, match="not the record"):
        History.from_dict({"los": [1.0]})


def test_a_loss_of_ones_own(problem):
    model, X, _ = problem
    target = X[:, :3] @ np.ones((3, 3))
    history = fit(model, X, target, optimizer=adam(model), loss=torch.nn.functional.mse_loss, **settings(epochs=20))
    assert history.loss[-1] < history.loss[0]


def test_evaluate_leaves_the_mode_and_fit_leaves_evaluation_mode(problem):
    model, X, y = problem
    assert model.training
    evaluate(model, X, y)
    assert model.training
    fit(model, X, y, optimizer=adam(model), **settings())
    assert not model.training
    assert evaluate(model, X, y).loss == evaluate(model, X, y).loss


def article_lenet():
    """The network as often published: its flattening assumes 32 × 32 images."""
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2))
            self.head = nn.Linear(400, 10)

        def forward(self, x):
            return self.head(self.features(x).view(-1, 400))

    return Net()


def test_rows_that_get_lost_are_noticed():
    model = article_lenet()
    X, y = np.zeros((25, 1, 28, 28)), np.zeros(25, int)
    for use in (
        lambda: fit(model, X, y, optimizer=adam(model), **settings(batch_size=25)),
        lambda: evaluate(model, X, y),
    ):
        with pytest.raises(LabkitError, match=r"given 25 samples and returned 16 rows.*flatten\(1\)"):
            use()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, y: (X[:-1], y), r"\(99, 4\) and y has shape \(100,\)"),
        (lambda X, y: (X[:0], y[:0]), "must be equal and not 0"),
        (lambda X, y: (X, np.where(np.arange(100) == 7, 3, y)), "label of row 7 is 3. The model has 3 outputs"),
        (lambda X, y: (X, np.where(np.arange(100) == 9, -1, y)), "label of row 9 is -1"),
        (lambda X, y: (X.astype(np.uint8), y), "X holds bytes.*/ 255"),
        (lambda X, y: (np.where(np.arange(100)[:, None] == 5, np.nan, X), y), "row 5 that is NaN"),
    ],
)
def test_input_that_cannot_be_right_is_refused_before_the_first_step(problem, spoil, message):
    model, X, y = problem
    before = weights(model).clone()
    with pytest.raises(LabkitError, match=message):
        fit(model, *spoil(X, y), optimizer=adam(model), **settings())
    assert torch.equal(weights(model), before)


def test_an_optimizer_of_another_model_is_refused(problem):
    model, X, y = problem
    other = copy.deepcopy(model)
    with pytest.raises(LabkitError, match="holds no weight of this model"):
        fit(model, X, y, optimizer=adam(other), **settings())


@pytest.mark.parametrize("change", [{"epochs": 0}, {"batch_size": 0}])
def test_impossible_settings(problem, change):
    model, X, y = problem
    with pytest.raises(LabkitError, match="at least 1"):
        fit(model, X, y, optimizer=adam(model), **settings(**change))


def test_a_loss_that_is_not_a_number_stops_training_and_spares_the_checkpoint(problem, tmp_path):
    model, X, y = problem
    calls = 0

    def loss(logits, labels):
        nonlocal calls
        calls += 1
        value = torch.nn.functional.cross_entropy(logits, labels)
        return value * float("nan") if calls == 6 else value  # 4 batches an epoch

    history, path = History(), tmp_path / "run.pt"
    with pytest.raises(Diverged, match="nan in epoch 2, batch 2") as caught:
        fit(model, X, y, optimizer=adam(model), loss=loss, history=history, checkpoint=path, **settings())
    assert (caught.value.epoch, caught.value.batch) == (2, 2)
    assert caught.value.history is history
    assert history.epochs == 1
    assert torch.load(path, weights_only=True)["epochs_done"] == 1


# A training run that prints a line an epoch, and holds on after the line given, so that it can be killed just there.
RUN = textwrap.dedent(
    """
    import sys, time, torch
    from labkit.train import fit
    path, hold, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch.manual_seed(0)
    X, y = torch.randn(90, 4), torch.randint(0, 3, (90,))
    torch.manual_seed(int(sys.argv[4]))   # other initial weights must not matter to a run that is resumed
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=6 * 5)
    calls = 0
    def augment(batch):
        global calls
        calls += 1
        print(calls, flush=True)
        if calls == hold:
            time.sleep(60)
        return batch + 0.1 * torch.randn_like(batch)
    history = fit(model, X, y, epochs=6, batch_size=20, optimizer=optimizer, schedule=schedule, augment=augment,
                  validation=(X, y), checkpoint=path, progress=False)
    torch.save({"weights": model.state_dict(), "loss": history.loss, "validation": history.validation_loss}, out)
    """
)


def run(path: Path, out: Path, *, hold: int = 0, init: int = 1) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", RUN, str(path), str(hold), str(out), str(init)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_killed_and_started_again_ends_in_the_same_weights(tmp_path):
    undisturbed, killed = tmp_path / "undisturbed.pt", tmp_path / "killed.pt"
    assert run(tmp_path / "a.ckpt", undisturbed).communicate(timeout=120) and undisturbed.exists()

    process = run(tmp_path / "b.ckpt", killed, hold=18)  # 5 batches an epoch: in the middle of the fourth
    assert process.stdout is not None
    while process.stdout.readline().strip() != "18":
        pass
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not killed.exists()
    assert torch.load(tmp_path / "b.ckpt", weights_only=True)["epochs_done"] == 3

    output, _ = run(tmp_path / "b.ckpt", killed, init=2).communicate(timeout=120)
    assert len(output.split()) == 15  # three epochs were left to do
    one, two = (torch.load(path, weights_only=True) for path in (undisturbed, killed))
    assert all(torch.equal(one["weights"][name], two["weights"][name]) for name in one["weights"])
    assert one["loss"] == two["loss"]
    assert one["validation"] == two["validation"]
    assert not list(tmp_path.glob("*.part"))


def test_a_finished_run_is_restored_without_training(problem, tmp_path):
    model, X, y = problem
    path = tmp_path / "deep" / "run.pt"
    first = fit(model, X, y, optimizer=adam(model), checkpoint=path, **settings())
    twin = copy.deepcopy(model)
    for parameter in twin.parameters():
        torch.nn.init.zeros_(parameter)

    def never(batch):
        raise AssertionError("trained again")

    second = fit(twin, X, y, optimizer=adam(twin), checkpoint=path, augment=never, **settings())
    assert torch.equal(weights(model), weights(twin))
    assert first == second


def test_a_checkpoint_of_another_run_is_refused_and_left_alone(problem, tmp_path):
    model, X, y = problem
    path = tmp_path / "run.pt"
    fit(model, X, y, optimizer=adam(model), checkpoint=path, **settings())
    before = path.read_bytes()
    other = torch.nn.Linear(4, 3)
    for attempt, message in (
        (lambda: fit(model, X, y, optimizer=adam(model), checkpoint=path, **settings(batch_size=10)), "batch_size=32"),
        (lambda: fit(other, X, y, optimizer=adam(other), checkpoint=path, **settings()), "another model"),
    ):
        with pytest.raises(LabkitError, match=message):
            attempt()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
def test_a_broken_checkpoint_is_named(problem, tmp_path, content):
    model, X, y = problem
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    with pytest.raises(LabkitError, match=r"run\.pt is not a checkpoint"):
        fit(model, X, y, optimizer=adam(model), checkpoint=path, **settings())


def test_a_checkpoint_that_runs_code_is_not_opened(problem, tmp_path):
    model, X, y = problem
    path, proof = tmp_path / "run.pt", tmp_path / "owned"

    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {proof}",)

    torch.save({"settings": Attack()}, path)
    with pytest.raises(LabkitError, match="not a checkpoint"):
        fit(model, X, y, optimizer=adam(model), checkpoint=path, **settings())
    assert not proof.exists()


def test_the_bar_moves(problem, capsys):
    model, X, y = problem
    fit(model, X, y, optimizer=adam(model), **settings(progress=True))
    assert "training" in capsys.readouterr().err


def test_keras_fills_the_same_history(problem):
    keras = pytest.importorskip("keras")
    _, X, y = problem
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    history = History()
    started = time.perf_counter()
    record = model.fit(
        X, y, epochs=3, verbose=0, validation_data=(X, y), callbacks=[keras_history(history, samples=len(X))]
    )
    assert history.loss == pytest.approx(record.history["loss"])
    assert history.validation_loss == pytest.approx(record.history["val_loss"])
    assert history.validation_accuracy == pytest.approx(record.history["val_accuracy"])
    assert history.learning_rate == pytest.approx([0.05] * 3)
    assert history.samples == [100] * 3
    assert 0 < sum(history.seconds) < time.perf_counter() - started


@pytest.mark.parametrize("schedule", [False, True], ids=["constant", "schedule"])
def test_a_restarted_keras_model_trains_as_a_new_one(problem, schedule):
    """Also where layers and the optimizer keep something: moving averages, random states, momenta, a step count."""
    keras = pytest.importorskip("keras")
    _, X, y = problem

    def new():
        rate = keras.optimizers.schedules.CosineDecay(0.02, 20) if schedule else 0.02
        layers = [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
        model = keras.Sequential([keras.Input(X.shape[1:]), *layers, keras.Sequential([keras.layers.Dense(3)])])
        model.compile(keras.optimizers.Adam(rate), own_loss, metrics=["accuracy"], jit_compile=False)
        return model

    def own_loss(labels, logits):  # one that Keras could not find by its name
        return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)

    def trained(model):
        model.fit(X, y, epochs=2, batch_size=25, verbose=0)
        return model.get_weights()

    keras.utils.set_random_seed(5)
    as_new = trained(new())
    keras.utils.set_random_seed(1)
    model = new()
    before = trained(model)
    keras_restart(model, 5)
    again = trained(model)
    assert all(np.array_equal(one, other) for one, other in zip(as_new, again, strict=True))
    assert not np.array_equal(before[0], again[0])


def test_what_cannot_be_restarted_is_refused():
    keras = pytest.importorskip("keras")
    with pytest.raises(LabkitError, match=r"(?s)lacks an Input"):
        keras_restart(keras.Sequential([keras.layers.Dense(3)]), 0)
    with pytest.raises(LabkitError, match=r"(?s)lacks a call of compile"):
        keras_restart(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]), 0)

    class OwnClass(keras.Model):
        def call(self, X):
            return X

    own = OwnClass()
    own.compile("sgd", "mse")
    own(np.ones((1, 2)))
    with pytest.raises(LabkitError, match=r"(?s)lacks an Input"):
        keras_restart(own, 0)


def test_importing_it_loads_no_framework():
    code = "import sys, labkit.train; print([m for m in ('torch', 'keras', 'tensorflow', 'jax') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
