"""What a judge holds in place of a student's objects: handles that can be called and asked, and cannot judge.

Whatever a stand-in is asked is done in the student's process, and the answer comes back as data. Two things are never
sent there, because a student could answer them to please: comparisons and arithmetic with the judge's own values. They
are passed on only where the test asks for them, by naming the class in question (an assignment to write a ``Vector``
must be able to add two of them).
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.grading.sealed.judge import Session

# Attributes that libraries look for to take a short cut; a stand-in has none of them.
_NO_SHORT_CUTS = ("__array_", "__cuda", "__jax", "__torch", "__tf", "__dataframe", "__dlpack", "_ipython_", "_repr_")
_ASKED = ("__name__", "__doc__", "__qualname__", "__dict__", "__annotations__", "__defaults__", "__wrapped__")


class StandIn:
    """A student's object, class, function or module, seen from the judge."""

    labkit_stand_in = True

    def __init__(self, session: Session, number: int, told: dict[str, Any]) -> None:
        object.__setattr__(self, "_session", session)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_told", told)

    # -- what it is ---------------------------------------------------------------------------------------------

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        what = self._told["what"]
        if what == "class":
            return type
        if what == "function":
            return types.FunctionType
        return library_class(self._told["bases"]) or type(self)

    @property
    def __name__(self) -> str:
        return str(self._told["name"])

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self._told.get("doc")

    @property
    def __module__(self) -> str:  # type: ignore[override]
        return "__main__"

    @property
    def __bases__(self) -> tuple[type, ...]:
        if self._told["what"] != "class":
            raise AttributeError("__bases__")
        return (library_class(self._told["bases"]) or object,)

    @property
    def __signature__(self) -> inspect.Signature:
        parameters = self._told.get("signature")
        if not parameters:
            raise AttributeError("__signature__")
        kinds = list(inspect._ParameterKind)
        made = [
            inspect.Parameter(str(name), kinds[int(kind)], default=... if default else inspect.Parameter.empty)
            for name, kind, default in parameters
        ]
        return inspect.Signature(made)

    def __instancecheck__(self, thing: Any) -> bool:
        told: Any = thing._told if is_stand_in(thing) else None
        return bool(told) and told["what"] == "object" and self._number in told["classes"]

    def __repr__(self) -> str:
        return f"<the student's {self._told['what']} {self._told['name']}>"

    def __hash__(self) -> int:
        return hash(self._number)

    # -- what it can be asked -----------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith(_NO_SHORT_CUTS) or (name.startswith("__") and name.endswith("__") and name not in _ASKED):
            raise AttributeError(name)
        return self._ask("getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("setattr", name, value)

    def __delattr__(self, name: str) -> None:
        self._ask("delattr", name)

    def __getitem__(self, key: Any) -> Any:
        return self._ask("getitem", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._ask("setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        self._ask("delitem", key)

    def __len__(self) -> int:
        return self._ask("len")

    def __iter__(self) -> Iterator[Any]:
        walk = self if self._told.get("iterates") else self._ask("iter")
        while isinstance(walk, StandIn):
            some = walk._session.do("some", walk, 1)  # one at a time: a generator may have no end
            if not some:
                return
            yield some[0]
        yield from walk

    def __next__(self) -> Any:
        some = self._ask("some", 1)
        if not some:
            raise StopIteration
        return some[0]

    def __contains__(self, item: Any) -> bool:
        # Is it among the values? The judge looks for itself; only a class that the test names may answer.
        if self._asked_for():
            return bool(self._ask("contains", item))
        return any(item is each or item == each for each in self)

    def __enter__(self) -> Any:
        return self._ask("enter")

    def __exit__(self, *_: Any) -> None:
        self._ask("exit")

    def __str__(self) -> str:
        return self._ask("str")

    def __float__(self) -> float:
        return float(self._ask("float"))

    def __int__(self) -> int:
        return int(self._ask("int"))

    def __index__(self) -> int:
        return int(self._ask("index"))

    def __bool__(self) -> bool:
        if self._told["what"] != "object":
            return True
        if self._asked_for():
            return bool(self._ask("bool"))
        raise TypeError(f"A {self._told['class']} came where True or False was expected.")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        import numpy as np

        return np.asarray(self._ask("array"), dtype=dtype)

    def __deepcopy__(self, memory: Any) -> Any:
        return self._ask("deepcopy")

    def __copy__(self) -> Any:
        return self._ask("copy")

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("A student's object cannot be pickled")

    # -- comparing and reckoning --------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return bool(self._reckon("eq", self, other)) if self._asked_for() else False

    def __ne__(self, other: object) -> bool:
        return bool(self._reckon("ne", self, other)) if self._asked_for() else self is not other

    def _reckon(self, name: str, *operands: Any) -> Any:
        if not self._asked_for():
            raise TypeError(f"A {self._told['class']} came where a plain value was expected.")
        return self._session.do("operator", name, *operands)

    def _asked_for(self) -> bool:
        return bool(self._session.named & set(self._told.get("classes", ())))

    def _ask(self, what: str, *arguments: Any) -> Any:
        return self._session.do(what, self, *arguments)


def _add_operators() -> None:
    pairs = {"add": "add", "sub": "sub", "mul": "mul", "truediv": "truediv", "floordiv": "floordiv", "mod": "mod"}
    pairs |= {"pow": "pow", "matmul": "matmul", "and": "and_", "or": "or_", "xor": "xor"}
    for special, name in pairs.items():

        def forward(self: StandIn, other: Any, name: str = name) -> Any:
            return self._reckon(name, self, other)

        def backward(self: StandIn, other: Any, name: str = name) -> Any:
            return self._reckon(name, other, self)

        setattr(StandIn, f"__{special}__", forward)
        setattr(StandIn, f"__r{special}__", backward)
    for special in ("lt", "le", "gt", "ge"):

        def compare(self: StandIn, other: Any, name: str = special) -> Any:
            return self._reckon(name, self, other)

        setattr(StandIn, f"__{special}__", compare)
    for special in ("neg", "pos", "abs", "invert"):

        def alone(self: StandIn, name: str = special) -> Any:
            return self._reckon(name, self)

        setattr(StandIn, f"__{special}__", alone)


_add_operators()


class CallableStandIn(StandIn):
    # A docstring of its own would hide the student's
    __doc__ = property(lambda self: self._told.get("doc"))

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._session.do("call", self, *arguments, **options)


def is_stand_in(thing: Any) -> bool:
    """Whether the judge holds this in place of a student's object."""
    return getattr(type(thing), "labkit_stand_in", False)


def library_class(bases: Any) -> type | None:
    """The nearest class of a library, loaded here, that a student's class derives from."""
    for module, name in bases:
        found: Any = sys.modules.get(str(module))
        for part in str(name).split("."):
            found = getattr(found, part, None)
        if isinstance(found, type) and found is not object:
            return found
    return None


def error_class(name: str, bases: Any) -> type[Exception]:
    """An exception class for a student's error: the library's own, or the nearest one that exists here."""
    for module, base in bases:
        found = getattr(sys.modules.get(str(module)), str(base), None)
        if isinstance(found, type) and issubclass(found, Exception):
            return found
    return RuntimeError


def make_stand_in(session: Session, number: int, told: dict[str, Any]) -> Any:
    """The stand-in for what the student's side describes; a torch module becomes one whose weights are here too."""
    torch = sys.modules.get("torch")
    if told["what"] == "class" and told.get("error"):
        made = type(str(told["name"]), (error_class(told["name"], told["bases"]),), {})
        session.errors[number] = made
        return made
    if told["what"] == "object" and torch is not None:
        base = library_class(told["bases"])
        if base is not None and issubclass(base, torch.nn.Module):
            return _module(session, told, base)
    callable_ = told["what"] in ("function", "class") or told.get("callable")
    return (CallableStandIn if callable_ else StandIn)(session, number, told)


def _module(session: Session, told: dict[str, Any], base: type) -> Any:
    import torch

    def forward(self: Any, *arguments: Any, **options: Any) -> Any:
        return self.__dict__["_session"].do("call", self, *arguments, **options)

    def get(self: Any, name: str) -> Any:
        try:
            return torch.nn.Module.__getattr__(self, name)
        except AttributeError:
            if name.startswith("__") or "_session" not in self.__dict__:
                raise
            return self.__dict__["_session"].do("getattr", self, name)

    members = {
        "labkit_stand_in": True,
        "forward": forward,
        "__getattr__": get,
        "__deepcopy__": lambda self, memory: self.__dict__["_session"].do("deepcopy", self),
        "_told": property(lambda self: self.__dict__["_stand_in"]),
    }
    kind = type(str(told["class"]), (base,), members)
    module: Any = object.__new__(kind)
    torch.nn.Module.__init__(module)
    module.__dict__["_stand_in"], module.__dict__["_session"] = told, session
    session.modules.append(module)
    return module
