"""labkit: the small helper package behind the labs of this course.

``from labkit import claim, check, predict, pick`` is what a lab needs. Nothing is imported before it is asked for, so
``import labkit`` costs milliseconds and loads no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.check import check as check
    from labkit.claims import claim as claim
    from labkit.mode import pick as pick
    from labkit.predictions import predict as predict

__version__ = "0.1.0"

_HOME = {"claim": "claims", "check": "check", "predict": "predictions", "pick": "mode"}
__all__ = ["check", "claim", "pick", "predict"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'labkit' has no attribute '{name}'")
    module = importlib.import_module(f"labkit.{_HOME[name]}")
    if name == "check":  # the module of this name can itself be called, see its last lines
        return module
    globals()[name] = getattr(module, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
