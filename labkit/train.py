"""Training and evaluation of PyTorch models on data that fits in memory, and one history for every framework.

``fit`` is the loop everybody writes, without the parts everybody forgets: it checks its input before the first step, it
gives the same weights for the same seed, it stops when the loss is no longer a number, and a run killed half way and
started again ends in the weights of an undisturbed one. It converts the data once and slices batches out of one tensor;
for a network as small as LeNet that is most of the difference between a slow loop and a fast one.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.errors import LabkitError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class History:
    """What training recorded: one number an epoch in each list, whichever framework did the training.

    A list stays empty where nothing was recorded, so ``validation_loss`` is empty in a run without validation.
    """

    loss: list[float] = field(default_factory=list)  # mean over the epoch's samples, as training saw them
    validation_loss: list[float] = field(default_factory=list)  # after the epoch
    validation_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)  # at the end of the epoch
    seconds: list[float] = field(default_factory=list)  # of training alone, without validation and saving
    samples: list[int] = field(default_factory=list)  # trained on

    @property
    def epochs(self) -> int:
        return len(self.loss)

    @property
    def samples_per_second(self) -> list[float]:
        """Training samples a second, one number an epoch."""
        return [samples / seconds for samples, seconds in zip(self.samples, self.seconds, strict=False)]

    def to_dict(self) -> dict[str, list[Any]]:
        """Plain lists, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, list[Any]]) -> History:
        """The inverse of :meth:`to_dict`. LabkitError for anything else."""
        known = {one.name for one in fields(cls)}
        if not set(record) <= known or not all(isinstance(values, list) for values in record.values()):
            raise LabkitError("This is not the record of a History", todo=f"It has lists called {', '.join(known)}")
        return cls(**{name: list(values) for name, values in record.items()})


@dataclass(frozen=True)
class Evaluation:
    """How a model did on data it was not trained on."""

    loss: float  # mean over the samples
    accuracy: float  # between 0 and 1
    predictions: np.ndarray  # (n,) the class with the largest logit


class Diverged(LabkitError):
    """The loss became NaN or infinite. ``history`` holds the epochs before."""

    def __init__(self, epoch: int, batch: int, loss: float, history: History) -> None:
        self.epoch, self.batch, self.history = epoch, batch, history
        super().__init__(
            f"The loss became {loss} in epoch {epoch}, batch {batch} (both counted from 1), so training stopped there",
            "Most often the learning rate is too large; a logarithm of zero or a division by zero does it too",
            "Try a learning rate ten times smaller. The epochs before are in this error's .history",
        )


def fit(
    model: torch.nn.Module,
    X: Any,
    y: Any,
    *,
    epochs: int,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    loss: Loss | None = None,
    schedule: Any = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    validation: tuple[Any, Any] | None = None,
    seed: int = 0,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    history: History | None = None,
) -> History:
    """Train ``model`` in place on all of ``X``, shape (n, ...), and ``y``, shape (n, ...), and return the history.

    Both are tensors or NumPy arrays; they are moved to the model's device once. Each epoch visits every sample once, in
    a new random order; the last batch is smaller where ``batch_size`` does not divide n. The model is left in
    evaluation mode.

    - ``loss(logits, y)`` is the mean over a batch; cross entropy on integer labels by default.
    - ``schedule`` is a scheduler of ``torch.optim.lr_scheduler`` that is stepped after **every batch**, so
      ``OneCycleLR`` wants ``total_steps=epochs * ceil(n / batch_size)``.
    - ``augment`` turns a batch into a batch. Let it draw from torch's default generator: that one is seeded here, saved
      in the checkpoint, and given back to the caller as it was. It also drives dropout.
    - ``validation=(X, y)`` is evaluated after each epoch. Nothing is selected by it.
    - ``checkpoint`` names a file that is written after each epoch, whole or not at all. If it exists, training goes on
      from there; a finished run is restored without training. Initial weights need not be the same, settings must be.
    - ``history`` is an earlier History to go on filling.

    Raises LabkitError for input that cannot be right, before the first step, and Diverged when the loss is not finite:
    at the end of that epoch, because looking at every loss would make a GPU wait for every batch.
    """
    import torch

    X, y = _tensors(model, X, y)
    loss = loss or torch.nn.functional.cross_entropy
    history = History() if history is None else history
    if epochs < 1 or batch_size < 1:
        raise LabkitError(f"Cannot train {epochs} epochs in batches of {batch_size}", todo="Both must be at least 1")
    _check_optimizer(model, optimizer)
    _rehearse(model, X[: min(batch_size, 32)], y, loss is torch.nn.functional.cross_entropy)
    if validation is not None:
        validation = _tensors(model, *validation)

    settings = {"samples": len(X), "epochs": epochs, "batch_size": batch_size, "seed": seed}
    order = torch.Generator().manual_seed(seed + history.epochs)  # its own, so that augment does not change the order
    devices = [X.device] if X.device.type == "cuda" else []
    with torch.random.fork_rng(devices), _bar(epochs * -(-len(X) // batch_size), progress) as bar:
        torch.manual_seed(seed + history.epochs)
        run = _Run(model, optimizer, schedule, order, X.device, history, settings)
        first = run.restore(Path(checkpoint)) if checkpoint is not None else 0
        bar.update(first * -(-len(X) // batch_size))
        for epoch in range(first, epochs):
            model.train()
            losses = []
            start = time.perf_counter()
            for batch in torch.randperm(len(X), generator=order).to(X.device).split(batch_size):
                X_batch, y_batch = X.index_select(0, batch), y.index_select(0, batch)
                if augment is not None:
                    X_batch = augment(X_batch)
                optimizer.zero_grad()
                batch_loss = loss(model(X_batch), y_batch)
                batch_loss.backward()
                optimizer.step()
                if schedule is not None:
                    schedule.step()
                losses.append(batch_loss.detach())
                bar.update()
            values = torch.stack(losses).double().cpu()  # waits for the device: the clock stops after the work
            seconds = time.perf_counter() - start
            if not values.isfinite().all():
                bad = int((~values.isfinite()).nonzero()[0])
                raise Diverged(epoch + 1, bad + 1, float(values[bad]), history)
            sizes = torch.full((len(values),), batch_size, dtype=torch.double)
            sizes[-1] = len(X) - batch_size * (len(values) - 1)
            history.loss.append(float((values * sizes).sum() / len(X)))
            history.seconds.append(seconds)
            history.samples.append(len(X))
            history.learning_rate.append(float(optimizer.param_groups[0]["lr"]))
            if validation is not None:
                result = evaluate(model, *validation, loss=loss)
                history.validation_loss.append(result.loss)
                history.validation_accuracy.append(result.accuracy)
            bar.set_postfix_str(f"loss {history.loss[-1]:.4f}", refresh=False)
            if checkpoint is not None:
                run.save(Path(checkpoint), epoch + 1)
    model.eval()
    return history


def evaluate(model: torch.nn.Module, X: Any, y: Any, *, batch_size: int = 1000, loss: Loss | None = None) -> Evaluation:
    """Loss, accuracy and predicted classes of ``model`` on ``X`` (n, ...) and the labels ``y`` (n,).

    The model is put into evaluation mode for it, and back into the mode it was in.
    """
    import torch

    X, y = _tensors(model, X, y)
    loss = loss or torch.nn.functional.cross_entropy
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            logits = torch.cat([model(X_batch) for X_batch in X.split(batch_size)])  # (n, classes)
            if len(logits) != len(y):
                raise _lost_rows(len(y), len(logits))
            predictions = logits.argmax(1)
            accuracy = (predictions == y).double().mean().item()
            return Evaluation(float(loss(logits, y)), accuracy, predictions.cpu().numpy())
    finally:
        model.train(was_training)


def keras_history(history: History, samples: int | None = None) -> Any:
    """A callback for Keras' ``model.fit(callbacks=[...])`` that fills ``history`` as :func:`fit` does.

    Keras does not tell a callback how many samples an epoch has; give ``samples`` for ``history.samples_per_second``.
    """
    import keras

    class Recorder(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.start, self.stop = time.perf_counter(), 0.0

        def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
            self.stop = time.perf_counter()  # validation runs inside an epoch, and is not training

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            logs = logs or {}
            history.loss.append(float(logs["loss"]))
            history.seconds.append((self.stop or time.perf_counter()) - self.start)
            history.learning_rate.append(float(self.model.optimizer.learning_rate))
            if samples is not None:
                history.samples.append(samples)
            if "val_loss" in logs:
                history.validation_loss.append(float(logs["val_loss"]))
            accuracy = next(
                (name for name in logs if name.startswith("val_") and name.endswith(("accuracy", "acc"))), ""
            )
            if accuracy:
                history.validation_accuracy.append(float(logs[accuracy]))

    return Recorder()


def keras_restart(model: Any, seed: int) -> None:
    """Make a built and compiled Keras ``model`` as good as new, without compiling it again, which costs about a second.

    After ``keras.utils.set_random_seed(seed)`` it draws new first weights, sets back what layers keep (a batch norm's
    averages, a dropout's random state), and forgets the optimizer's memory. Training then gives what a new model with
    this seed gives. The learning rate stays: one that a callback lowered is still low, so let the callback set it.

    Raises LabkitError for a model without an Input, such as one of a class of its own, or without an optimizer.
    """
    import keras

    has_input = bool(getattr(model, "inputs", None))
    if not has_input or getattr(model, "optimizer", None) is None:
        missing = "a call of compile" if has_input else "an Input, from which Keras could build it anew"
        raise LabkitError(
            "This model cannot be restarted", f"It lacks {missing}", "Build it, compile it, then restart it"
        )
    keras.utils.set_random_seed(seed)
    layers = keras.Model(model.inputs, model.outputs)  # not compiled: a clone of model would compile its loss, too
    for variable, fresh in zip(layers.variables, keras.models.clone_model(layers).variables, strict=True):
        variable.assign(fresh)
    learning_rate = model.optimizer.learning_rate  # one of the variables, unless it follows a schedule
    for variable in model.optimizer.variables:
        if variable is not learning_rate:
            variable.assign(keras.ops.zeros_like(variable))


@dataclass
class _Run:
    """Everything that decides how training goes on, to be saved and restored."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Any
    order: torch.Generator
    device: torch.device
    history: History
    settings: dict[str, int]

    def save(self, path: Path, epochs_done: int) -> None:
        """Replace ``path`` at once: whoever pulls the plug finds the old file or the new one, never half of one."""
        import torch

        state = {
            "settings": self.settings,
            "epochs_done": epochs_done,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule is not None else None,
            "order": self.order.get_state(),
            "chance": torch.get_rng_state(),
            "chance_cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "history": self.history.to_dict(),
        }
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise LabkitError(
                f"The checkpoint {path} could not be written", str(error), "Free some space or name another file"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def restore(self, path: Path) -> int:
        """The number of epochs already done according to ``path``: 0 where there is no such file."""
        import torch

        if not path.exists():
            return 0
        todo = "Delete the file to start again, or name another"
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            settings = state["settings"]
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
            raise LabkitError(f"{path} is not a checkpoint that labkit.train wrote", str(error)[:200], todo) from error
        for name, value in self.settings.items():
            if settings.get(name) != value:
                why = f"It was made with {name}={settings.get(name)}, and this call says {name}={value}"
                raise LabkitError(f"The checkpoint {path} belongs to another run", why, todo)
        if (state["schedule"] is None) != (self.schedule is None):
            raise LabkitError(f"The checkpoint {path} belongs to another run", "One of the two has no schedule", todo)
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            why = f"It holds another model or optimizer: {str(error).splitlines()[0]}"
            raise LabkitError(f"The checkpoint {path} belongs to another run", why, todo) from error
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.order.set_state(state["order"])
        torch.set_rng_state(state["chance"])
        if state["chance_cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["chance_cuda"], self.device)
        for name, values in state["history"].items():
            getattr(self.history, name)[:] = values
        return int(state["epochs_done"])


def _tensors(model: torch.nn.Module, X: Any, y: Any) -> tuple[Tensor, Tensor]:
    """``X`` and ``y`` on the model's device, real numbers in the model's precision; LabkitError where they cannot be."""
    import torch

    X, y = torch.as_tensor(X), torch.as_tensor(y)
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y) or len(X) == 0:
        raise LabkitError(
            f"X has shape {tuple(X.shape)} and y has shape {tuple(y.shape)}",
            "Their first sizes must be equal and not 0: one label for each sample",
        )
    if X.dtype == torch.uint8:
        raise LabkitError(
            "X holds bytes, whole numbers from 0 to 255",
            "A network learns badly from numbers that large, and cannot multiply bytes",
            "Scale first: X = torch.as_tensor(X).float() / 255",
        )
    if X.is_floating_point():
        X = X.to(like.device, like.dtype)
        # The sum is finite if all values are, unless it overflows: one quick look, and a thorough one only in doubt.
        if not X.sum().isfinite() and not X.isfinite().all():
            row = int((~X.reshape(len(X), -1).isfinite()).any(1).nonzero()[0])
            raise LabkitError(f"X has a value in row {row} that is NaN or infinite", todo="Find out where it came from")
    y = y.to(like.dtype) if y.is_floating_point() else y.long()
    return X.to(like.device), y.to(like.device)


def _check_optimizer(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not any(id(p) in trained for p in model.parameters()):
        raise LabkitError(
            "The optimizer holds no weight of this model",
            "It was probably made for an earlier model of the same name",
            "Make the optimizer after the model: torch.optim.SGD(model.parameters(), lr=...)",
        )


def _rehearse(model: torch.nn.Module, X: Tensor, y: Tensor, labels: bool) -> None:
    """One forward pass without a trace: does the model keep its rows apart, and has it an output for every label?"""
    import torch

    model.eval()
    with torch.inference_mode():
        logits = model(X)
    if len(logits) != len(X):
        raise _lost_rows(len(X), len(logits))
    if labels and not y.is_floating_point() and y.ndim == 1:
        wrong = ((y < 0) | (y >= logits.shape[1])).nonzero()
        if len(wrong):
            row = int(wrong[0])
            raise LabkitError(
                f"The label of row {row} is {int(y[row])}",
                f"The model has {logits.shape[1]} outputs, so labels run from 0 to {logits.shape[1] - 1}",
                "Number the classes from 0, or give the last layer more outputs",
            )


def _lost_rows(given: int, came: int) -> LabkitError:
    return LabkitError(
        f"The model was given {given} samples and returned {came} rows",
        "It mixes samples with one another; a reshape such as x.view(-1, 400) on the wrong image size does that",
        "Flatten with x.flatten(1), which never touches the first size",
    )


def _bar(total: int, progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, disable=not progress, unit="batch", leave=False, mininterval=0.5, desc="training")
