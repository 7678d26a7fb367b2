"""The start of every lab: say at once what is missing here, and be a good neighbour on the machine."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator

from labkit._machine import accelerators, may_have_tpu
from labkit.course import Item, load_course
from labkit.errors import LabkitError, unknown

NAMES = {
    "torch": "PyTorch",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "jax": "JAX",
    "optuna": "Optuna",
    "tensorboard": "TensorBoard",
    "wandb": "Weights & Biases",
    "libtpu": "libtpu, Google's TPU compiler,",
    "sacrebleu": "sacreBLEU",
    "surprise": "Surprise",
}
# the extra of pyproject.toml that brings each framework
_EXTRAS = {
    "torch": "torch",
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "jax": "jax",
    "optuna": "experiments",
    "tensorboard": "experiments",
    "wandb": "experiments",
    "libtpu": "tpu",
    "sacrebleu": "cases",
    "surprise": "cases",
}


def begin(item_id: str) -> None:
    """Check that the frameworks which a lab or an assignment needs are installed, without importing them.

    Also asks GNU OpenMP, which runs PyTorch's threads on Linux, to let a thread that waits fall asleep after a moment
    instead of spinning on. On a machine of two cores a LeNet step took 4 to 5 ms either way; beside one busy neighbour it
    took 15 ms with a short spin, and 160 to 590 ms with the default.

    TensorFlow is asked to keep quiet about itself: that it found no GPU is not an error of the lab.

    Where Google's TPU compiler is installed and nothing but a processor is here, JAX is told so: it would look for a TPU, and
    print errors about not finding one.

    Raises LabkitError naming what is missing and the command that adds it.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # read when the library is loaded, so before any framework is
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # likewise
    if importlib.util.find_spec("libtpu") is not None and not accelerators() and not may_have_tpu():
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    course = load_course()
    known: dict[str, Item] = {**course.labs, **course.assignments}
    if item_id not in known:
        raise unknown("lab or assignment", item_id, known)
    missing = [name for name in known[item_id].frameworks if importlib.util.find_spec(name) is None]
    if missing:
        raise LabkitError(
            f"This lab needs {' and '.join(NAMES[name] for name in missing)}, and this environment has none",
            todo=remedy(missing),
        )


def has(framework: str, skipped: str) -> bool:
    """Whether a framework that a lab can do without is installed; says what is ``skipped`` and how to add it if not.

    Nothing is imported. ``framework`` is the name to import, one of :data:`NAMES`.
    """
    if importlib.util.find_spec(framework) is not None:
        return True
    print(f"{NAMES[framework]} is not installed here, so this is skipped: {skipped}.")
    print(f"To add it: {remedy([framework])}")
    return False


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Hold back what libraries write to stderr while they are imported; it is shown after all if the import fails.

    TensorFlow's C++ part greets with some lines, one of them about an error of CUDA, on every machine without a GPU, and before
    it can be told not to.

    >>> with quietly():
    ...     import tensorflow as tf
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def remedy(missing: list[str]) -> str:
    """What to do to add frameworks."""
    extras = ",".join(dict.fromkeys(_EXTRAS[name] for name in missing))
    make = "`make lab WITH=tpu`" if "libtpu" in missing else "`make lab` (without WITH=core)"
    return (
        f"In a checkout run {make}; elsewhere run "
        f'`%pip install "labkit[{extras}] @ git+{load_course().repository}"` and restart the kernel'
    )
