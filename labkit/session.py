"""The start of every lab: say at once what is missing here, and be a good neighbour on the machine."""

from __future__ import annotations

import importlib.util
import os

from labkit.course import Item, load_course
from labkit.errors import LabkitError, unknown

_NAMES = {"torch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras", "jax": "JAX"}
# the extra of pyproject.toml that brings each framework
_EXTRAS = {"torch": "torch", "tensorflow": "tensorflow", "keras": "tensorflow", "jax": "jax"}


def begin(item_id: str) -> None:
    """Check that the frameworks which a lab or an assignment needs are installed, without importing them.

    Also asks GNU OpenMP, which runs PyTorch's threads on Linux, to let a thread that waits fall asleep after a moment
    instead of spinning on. On a machine of two cores a LeNet step took 4 to 5 ms either way; beside one busy neighbour it
    took 15 ms with a short spin, and 160 to 590 ms with the default.

    Raises LabkitError naming what is missing and the command that adds it.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # read when the library is loaded, so before any framework is
    course = load_course()
    known: dict[str, Item] = {**course.labs, **course.assignments}
    if item_id not in known:
        raise unknown("lab or assignment", item_id, known)
    missing = [name for name in known[item_id].frameworks if importlib.util.find_spec(name) is None]
    if missing:
        extras = ",".join(dict.fromkeys(_EXTRAS[name] for name in missing))
        raise LabkitError(
            f"This lab needs {' and '.join(_NAMES[name] for name in missing)}, and this environment has none",
            todo=f'In a checkout run `make lab` (without WITH=core); elsewhere run `%pip install "labkit[{extras}] @ '
            f'git+{course.repository}"` and restart the kernel',
        )
