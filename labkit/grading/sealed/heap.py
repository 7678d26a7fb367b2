"""Objects that a judge and a student's process have in common, kept equal at each call.

Each side holds its own copy of every shared object under a number. Before a call, the judge sends those that are new or
changed among what the call can reach; afterwards the student's side sends what has changed, with the result. So a
function that fills a list, trains a model or forgets to copy an array is seen to have done so, though it ran elsewhere.

What crosses towards the judge is data: numbers, text, containers, arrays, tensors, tables, and torch's own modules and
optimizers by the names of their classes. It is built by this module and never unpickled. Anything else stays where it
is and crosses as a *handle*, which the judge can call and ask, but which cannot judge itself. Towards the student, whom
nothing protects from the judge, functions and classes of a test cell are sent with cloudpickle.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import random
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

MOST_OBJECTS = 1_000_000
_ATOMS = (type(None), bool, float, str)
_DICTS = {kind.__name__: kind for kind in (dict, collections.OrderedDict, collections.Counter)}
_TYPES = {
    kind.__name__: kind
    for kind in (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, object, type(None))
}
# A module's hooks and caches are each side's own.
_NOT_SHARED = ("_hooks", "_hooks_with_kwargs", "_hooks_always_called", "_pre_hooks", "_compiled_call_impl")


def _is_plain_type(thing: Any) -> bool:
    return isinstance(thing, type) and _TYPES.get(thing.__name__) is thing


class NotData(TypeError):
    """Something came that is not data, or not what it says it is."""


class Heap:
    """One side's table of shared objects.

    ``first`` is the first number this side gives (the judge counts 0, 2, 4, the student 1, 3, 5). ``opaque(object)``
    describes what this side cannot send as data, and ``stand_in(number, description)`` makes of such a description what
    this side works with; the judge has no ``opaque`` objects, because it pickles them.
    """

    def __init__(
        self,
        first: int,
        opaque: Callable[[Any], dict[str, Any]] | None = None,
        stand_in: Callable[[int, dict[str, Any]], Any] | None = None,
        home: str = "",
    ) -> None:
        self.objects: dict[int, Any] = {}
        self.home = home  # the module whose classes a judge's test cells define
        self.private: Any = None  # that module's namespace, which is never shared
        self.bridge: list[Any] = []  # results of the call in hand through which gradients may flow back
        self.bridged: list[tuple[int, Any]] = []  # the same on the judge's side, with their places in the list above
        self._numbers: dict[int, int] = {}
        self._known: dict[int, tuple] = {}
        self._next = first
        self._opaque = opaque
        self._stand_in = stand_in

    # -- sending ------------------------------------------------------------------------------------------------

    def pack(self, values: Any, also: Iterable[Any] = ()) -> tuple[dict[str, Any], list[bytes]]:
        """``values`` (any object) as a message, with every object it or ``also`` reaches that is new or has changed."""
        packing = _Packing(self)
        root = packing.value(values)
        for extra in also:
            packing.value(extra)
        packing.run()
        return {"root": root, "new": packing.records}, packing.blobs

    def reached(self, values: Any) -> list[Any]:
        """Every shared object that ``values`` reaches, themselves among them."""
        packing = _Packing(self)
        packing.value(values)
        packing.run()
        return [self.objects[number] for number in packing.seen]

    def number(self, thing: Any) -> int | None:
        """The number of a shared object, or None."""
        return self._numbers.get(id(thing))

    def add(self, thing: Any, number: int | None = None) -> int:
        """Share an object under a number, by default the next."""
        if number is None:
            number, self._next = self._next, self._next + 2
        self.objects[number] = thing
        self._numbers[id(thing)] = number
        return number

    def forget(self, keep: set[int]) -> None:
        """Drop every shared object whose number is not in ``keep``."""
        for number in [number for number in self.objects if number not in keep]:
            self._numbers.pop(id(self.objects.pop(number)), None)
            self._known.pop(number, None)

    # -- receiving ----------------------------------------------------------------------------------------------

    def unpack(self, message: dict[str, Any], blobs: list[bytes]) -> Any:
        """The values of :meth:`pack`, after the shared objects were brought up to date. :class:`NotData` if unfit."""
        records = message["new"]
        if len(records) > MOST_OBJECTS:
            raise NotData(f"{len(records)} objects, more than anybody wants to look at")
        fresh: list[tuple[int, tuple, Any]] = []
        for number, kind, *rest in records:
            if not isinstance(number, int):
                raise NotData("an object without a number")
            record = (kind, *[_with_blobs(part, blobs) for part in rest])
            known = self.objects.get(number)
            if known is not None and not self._may_change(number, record):
                raise NotData("an object that has become another")
            if known is None:
                # Immutable containers are made only when their parts are there, so they come in an order that allows it
                known = _make(self, number, record)
                self.add(known, number)
            fresh.append((number, record, known))
        for number, record, thing in fresh:
            _fill(self, record, thing)
            self._known[number] = record
        return self.value(message["root"])

    def _may_change(self, number: int, record: tuple) -> bool:
        """Whether a record is a newer state of a shared object. A student may change what is in a list, an array or an
        object of a test; nobody may write into a module or a class that was only mentioned."""
        before = self._known.get(number)
        return before is not None and (self._opaque is not None or before[0] == record[0])

    def value(self, encoded: Any) -> Any:
        """The value that :class:`_Packing` wrote as ``encoded``."""
        if isinstance(encoded, _ATOMS) or type(encoded) is int:
            return encoded
        if not isinstance(encoded, list) or len(encoded) != 2:
            raise NotData("a value that is none")
        mark, content = encoded
        if mark == "r":
            if content not in self.objects:
                raise NotData("a reference to nothing")
            return self.objects[content]
        if mark == "i":
            return int(content, 16)
        if mark == "c":
            return complex(float(content[0]), float(content[1]))
        if mark == "t" and content in _TYPES:
            return _TYPES[content]
        if mark == "e":
            return Ellipsis if content == "..." else NotImplemented
        raise NotData(f"a value of the kind {mark!r}")


class _Packing:
    """One message being written: a worklist rather than recursion, so that no depth of nesting is too deep."""

    def __init__(self, heap: Heap) -> None:
        self.heap = heap
        self.records: list[list[Any]] = []
        self.blobs: list[bytes] = []
        self.seen: dict[int, None] = {}
        self._todo: list[int] = []

    def value(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is int:
            return thing if -(2**53) < thing < 2**53 else ["i", hex(thing)]
        if kind in _ATOMS:
            return thing
        if kind is complex:
            return ["c", [thing.real, thing.imag]]
        if thing is Ellipsis or thing is NotImplemented:
            return ["e", "..." if thing is Ellipsis else "no"]
        if kind is type and _is_plain_type(thing):
            return ["t", thing.__name__]
        number = self.heap.number(thing)
        if number is None:
            number = self.heap.add(thing)
        if number not in self.seen:
            if len(self.seen) >= MOST_OBJECTS:
                raise NotData(f"more than {MOST_OBJECTS} objects")
            self.seen[number] = None
            self._todo.append(number)
        return ["r", number]

    def run(self) -> None:
        late: list[tuple[int, tuple]] = []
        while self._todo:
            number = self._todo.pop()
            record = _again(self.heap, number, self.value) or _record(self.heap, self.heap.objects[number], self.value)
            if self.heap._known.get(number) != record:
                self.heap._known[number] = record
                late.append((number, record))
        for number, record in _parts_first(late):
            self.records.append([number, *[self._without_blobs(part) for part in record]])

    def _without_blobs(self, part: Any) -> Any:
        if isinstance(part, bytes):
            self.blobs.append(part)
            return {"blob": len(self.blobs) - 1}
        return part


def _with_blobs(part: Any, blobs: list[bytes]) -> Any:
    if isinstance(part, dict) and "blob" in part:
        place = part["blob"]
        if not isinstance(place, int) or not 0 <= place < len(blobs):
            raise NotData("a blob that is not there")
        return blobs[place]
    return part


_FROZEN = ("tuple", "namedtuple", "frozenset", "slice", "range", "table", "series", "index", "library-array")


def _parts_first(records: list[tuple[int, tuple]]) -> list[tuple[int, tuple]]:
    """Immutable containers after what they hold; everything else can be made empty and filled later."""
    frozen = {number: record for number, record in records if record[0] in _FROZEN}
    ordered = [item for item in records if item[0] not in frozen]
    done: set[int] = set()
    for start in frozen:
        stack = [(start, False)]
        while stack:
            number, ready = stack.pop()
            if number in done:
                continue
            if ready:
                done.add(number)
                ordered.append((number, frozen[number]))
                continue
            stack.append((number, True))
            for child in _references(frozen[number]):
                if child in frozen and child not in done:
                    stack.append((child, False))
    return ordered


def _references(record: Any) -> Iterable[int]:
    todo = list(record[1:])
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            if len(part) == 2 and part[0] == "r" and isinstance(part[1], int):
                yield part[1]
            else:
                todo.extend(part)


# -- what each kind of object is made of --------------------------------------------------------------------------


def _again(heap: Heap, number: int, value: Callable[[Any], Any]) -> tuple | None:
    """The record of an object that was shared before, where its kind cannot be told again from this side."""
    known = heap._known.get(number)
    if known is None or known[0] not in ("handle", "pickle", "object", "function", "keras"):
        return None
    thing = heap.objects[number]
    if known[0] == "keras":
        return ("keras", known[1], [value(weights) for weights in thing.get_weights()])
    if known[0] == "object":
        return ("object", known[1], known[2], _attributes(thing, value))
    if known[0] == "function":
        return ("function", known[1], [[name, value(item)] for name, item in captured(thing)])
    return known


def _attributes(thing: Any, value: Callable[[Any], Any]) -> list[Any]:
    """What an object is made of, by name, without what is each side's own."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(thing, torch.optim.Optimizer):
        return [[name, value(getattr(thing, name))] for name in ("defaults", "state", "param_groups")]
    return [[name, value(item)] for name, item in list(thing.__dict__.items()) if not _own(name)]


def _own(name: str) -> bool:
    return name in ("_stand_in", "_session") or name.endswith(_NOT_SHARED)


def _record(heap: Heap, thing: Any, value: Callable[[Any], Any]) -> tuple:
    """One object as (kind, parts ...), its parts as values. Equal objects give equal records."""
    kind = type(thing)
    torch = sys.modules.get("torch")
    if thing is heap.private:
        raise NotData("The names of the tests cannot be handed to the student's process.")
    if kind is list or kind is collections.deque:
        return ("list" if kind is list else "deque", [value(item) for item in list(thing)])
    if kind is tuple:
        return ("tuple", [value(item) for item in thing])
    if kind in (set, frozenset):
        return (kind.__name__, [value(item) for item in list(thing)])
    if kind.__name__ in _DICTS and _DICTS[kind.__name__] is kind:
        return ("dict", kind.__name__, [[value(key), value(item)] for key, item in list(thing.items())])
    if kind is collections.defaultdict:
        # Only a plain type can cross as what makes a missing item; with anything else there is none on the other side
        factory = thing.default_factory if _is_plain_type(thing.default_factory) else None
        return ("dict", kind.__name__, [[value(key), value(item)] for key, item in list(thing.items())], value(factory))
    if kind in (bytes, bytearray):
        return (kind.__name__, bytes(thing))
    if kind in (range, slice):
        return (kind.__name__, [value(thing.start), value(thing.stop), value(thing.step)])
    if isinstance(thing, tuple) and hasattr(kind, "_fields"):
        return ("namedtuple", kind.__name__, list(kind._fields), [value(item) for item in tuple.__iter__(thing)])
    plain = _plain(thing)
    if plain is not None:
        return plain
    if isinstance(thing, np.ndarray):
        array = np.ndarray.view(thing, np.ndarray)  # a subclass may claim to be equal to anything: its numbers cross
        if array.dtype.hasobject:
            return ("objects", list(array.shape), [value(item) for item in array.ravel().tolist()])
        if array.dtype.fields is None:
            return ("array", array.dtype.str, list(array.shape), np.ascontiguousarray(array).tobytes())
    if isinstance(thing, np.generic) and thing.dtype.fields is None and not thing.dtype.hasobject:
        return ("scalar", thing.dtype.str, np.asarray(thing).tobytes())
    if isinstance(thing, np.dtype) and thing.fields is None:
        return ("dtype", thing.str)
    if isinstance(thing, np.random.Generator) and kind is np.random.Generator:
        return ("generator", type(thing.bit_generator).__name__, _json_state(thing.bit_generator.state))
    if torch is not None:
        record = _torch_record(heap, torch, thing, value)
        if record is not None:
            return record
    record = _other_library(thing, value)
    if record is not None:
        return record
    if heap._opaque is not None:
        return ("handle", heap._opaque(thing))
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "Model") and isinstance(thing, keras.Model):
        # A test's model is sent once; after that its weights are kept equal. A student's stays a handle.
        return ("keras", _dump(heap, thing), [value(weights) for weights in thing.get_weights()])
    return _pickled(heap, thing, value)


def _plain(thing: Any) -> tuple | None:
    """Small values of the standard library, and subclasses of numbers and text, which lose what makes them special."""
    if isinstance(thing, bool | int):
        return ("number", hex(int.__index__(thing)))
    if isinstance(thing, float):
        return ("float", float.__add__(thing, 0.0))
    if isinstance(thing, str):
        return ("text", str.__str__(thing) if type(thing) is str else "".join(str.__iter__(thing)))
    if (
        isinstance(thing, datetime.datetime | datetime.date | datetime.timedelta)
        and type(thing).__module__ == "datetime"
    ):
        if isinstance(thing, datetime.timedelta):
            return ("span", [thing.days, thing.seconds, thing.microseconds])
        return ("date", type(thing).__name__, thing.isoformat())
    if type(thing) is decimal.Decimal:
        return ("decimal", str(thing))
    if type(thing) is fractions.Fraction:
        return ("fraction", [hex(thing.numerator), hex(thing.denominator)])
    return None


def _torch_record(heap: Heap, torch: Any, thing: Any, value: Callable[[Any], Any]) -> tuple | None:
    if isinstance(thing, torch.Tensor) and thing.layout is torch.strided and not thing.is_quantized:
        detached = thing.detach().cpu().resolve_conj().resolve_neg().contiguous()
        raw = detached.reshape(-1).view(torch.uint8).numpy().tobytes() if detached.numel() else b""
        gradient = thing.grad if thing.is_leaf else None
        through = None
        if heap._opaque is not None and thing.requires_grad and not thing.is_leaf:
            if not any(thing is other for other in heap.bridge):
                heap.bridge.append(thing)
            through = next(place for place, other in enumerate(heap.bridge) if other is thing)
        parameter = isinstance(thing, torch.nn.Parameter)
        name = str(thing.dtype).removeprefix("torch.")
        return ("tensor", name, list(thing.shape), raw, thing.requires_grad, parameter, value(gradient), through)
    if isinstance(thing, torch.dtype | torch.device | torch.Size):
        return ("torch", type(thing).__name__, list(thing) if isinstance(thing, torch.Size) else str(thing))
    if isinstance(thing, torch.Generator):
        return ("torch-generator", thing.get_state().numpy().tobytes())
    if isinstance(thing, torch.nn.Module | torch.optim.Optimizer):
        return ("object", *_class_of(heap, thing), _attributes(thing, value))
    return None


def _class_of(heap: Heap, thing: Any) -> tuple[Any, Any]:
    """How the class is named: a library's by its path, a test cell's by pickling it, a student's as a description."""
    kind = type(thing)
    if _library_class(kind.__module__, kind.__qualname__) is kind:
        return "library", [kind.__module__, kind.__qualname__]
    if heap._opaque is not None:
        return "handle", heap._opaque(thing)
    return "pickle", _dump(heap, kind)


def _library_class(module: str, name: str) -> type | None:
    """A class of torch.nn or torch.optim, which may be made from its state alone; None for any other."""
    if not module.startswith(("torch.nn.modules.", "torch.optim.")) or "." in name:
        return None
    found = getattr(sys.modules.get(module), name, None)
    torch = sys.modules["torch"]
    fits = isinstance(found, type) and issubclass(found, torch.nn.Module | torch.optim.Optimizer)
    return found if fits else None


def _other_library(thing: Any, value: Callable[[Any], Any]) -> tuple | None:
    pandas = sys.modules.get("pandas")
    if pandas is not None and hasattr(pandas, "DataFrame"):
        if isinstance(thing, pandas.DataFrame):
            columns = [_column(thing.iloc[:, place], value) for place in range(thing.shape[1])]
            return ("table", value(thing.columns), value(thing.index), columns)
        if isinstance(thing, pandas.Series):
            return ("series", value(thing.name), value(thing.index), _column(thing, value))
        if isinstance(thing, pandas.Index):
            return ("index", value(thing.name), _column(thing, value))
        if isinstance(thing, pandas.Timestamp):
            return ("date", "Timestamp", thing.isoformat())
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and hasattr(tensorflow, "Tensor") and isinstance(thing, tensorflow.Tensor):
        return ("library-array", "tensorflow", value(np.asarray(thing)))
    jax = sys.modules.get("jax")
    if jax is not None and hasattr(jax, "Array") and isinstance(thing, jax.Array):
        return ("library-array", "jax", value(np.asarray(thing)))
    return None


def _column(series: Any, value: Callable[[Any], Any]) -> list[Any]:
    kind = str(series.dtype)
    numbers = series.to_numpy()
    if numbers.dtype.hasobject:
        return [kind, value(tuple(numbers))]
    return [kind, value(np.asarray(numbers))]


def _pickled(heap: Heap, thing: Any, value: Callable[[Any], Any]) -> tuple:
    """Towards the student: an instance of a test cell's class by its attributes, anything else as a pickle."""
    if type(thing).__module__ == heap.home and type(getattr(thing, "__dict__", None)) is dict:
        return ("object", "pickle", _dump(heap, type(thing)), _attributes(thing, value))
    if isinstance(thing, types.FunctionType) and thing.__module__ == heap.home:
        # What the function was given to write into (a list of its calls, say) is shared, the code is sent.
        return ("function", _dump(heap, thing), [[name, value(item)] for name, item in captured(thing)])
    return ("pickle", _dump(heap, thing))


def captured(function: types.FunctionType) -> list[tuple[str, Any]]:
    """The lists, dicts and sets a function writes into from outside: its globals and closure, by name."""
    names: list[str] = []
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        names.extend(code.co_names)
        codes.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    found = {name: function.__globals__[name] for name in sorted(set(names)) if name in function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    return [(name, item) for name, item in found.items() if type(item) in (list, dict, set)]


def _dump(heap: Heap, thing: Any) -> bytes:
    import cloudpickle

    try:
        return cloudpickle.dumps(thing)
    except Exception as error:
        raise NotData(
            f"a {type(thing).__name__} cannot be handed to the student's process ({error}). "
            "Let that part of the test run there: ### BEGIN STUDENT SIDE"
        ) from error


def _json_state(state: Any) -> Any:
    """The state of a numpy bit generator, whose large integers JSON must carry as text."""
    if isinstance(state, dict):
        return {key: _json_state(item) for key, item in state.items()}
    if isinstance(state, np.ndarray):
        return {"array": state.tolist(), "dtype": state.dtype.str}
    return {"int": hex(state)} if isinstance(state, int) else state


def _state_of_json(state: Any) -> Any:
    if isinstance(state, dict):
        if set(state) == {"int"}:
            return int(state["int"], 16)
        if set(state) == {"array", "dtype"}:
            return np.array(state["array"], dtype=state["dtype"])
        return {key: _state_of_json(item) for key, item in state.items()}
    return state


# -- and how it is put together again -----------------------------------------------------------------------------


def _dtype(text: Any) -> np.dtype:
    found = np.dtype(str(text))
    if found.hasobject or found.fields is not None:
        raise NotData(f"numbers of the type {text}")
    return found


def _array(record: tuple) -> np.ndarray:
    _, kind, shape, raw = record
    try:
        return np.frombuffer(raw, dtype=_dtype(kind)).reshape(shape).copy()
    except (ValueError, TypeError) as error:
        raise NotData(f"an array that is none: {error}") from error


def _tensor(record: tuple) -> Any:
    torch = sys.modules["torch"]
    _, name, shape, raw, *_ = record
    kind = getattr(torch, str(name), None)
    if not isinstance(kind, torch.dtype):
        raise NotData(f"a tensor of {name}")
    try:
        flat = torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else torch.empty(0, dtype=torch.uint8)
        return flat.view(kind).reshape(shape).clone()
    except (RuntimeError, TypeError, ValueError) as error:
        raise NotData(f"a tensor that is none: {error}") from error


def _make(heap: Heap, number: int, record: tuple) -> Any:
    """A new object: whole where it cannot be changed later, else empty for :func:`_fill`."""
    kind = record[0]
    makers: dict[str, Callable[[], Any]] = {
        "list": list,
        "deque": collections.deque,
        "set": set,
        "bytes": lambda: bytes(record[1]),
        "bytearray": bytearray,
        "range": lambda: range(*[heap.value(item) for item in record[1]]),
        "slice": lambda: slice(*[heap.value(item) for item in record[1]]),
        "tuple": lambda: tuple(heap.value(item) for item in record[1]),
        "frozenset": lambda: frozenset(heap.value(item) for item in record[1]),
        "namedtuple": lambda: _named(record[1], record[2])(*[heap.value(item) for item in record[3]]),
        "dict": lambda: _DICTS[record[1]]() if record[1] != "defaultdict" else _default_dict(heap.value(record[3])),
        "number": lambda: int(record[1], 16),
        "float": lambda: float(record[1]),
        "text": lambda: str(record[1]),
        "span": lambda: datetime.timedelta(*map(int, record[1])),
        "date": lambda: _date(record[1], record[2]),
        "decimal": lambda: decimal.Decimal(str(record[1])),
        "fraction": lambda: fractions.Fraction(*[int(part, 16) for part in record[1]]),
        "array": lambda: _array(record),
        "objects": lambda: np.empty([int(size) for size in record[1]], dtype=object),
        "scalar": lambda: np.frombuffer(record[2], dtype=_dtype(record[1]))[0],
        "dtype": lambda: _dtype(record[1]),
        "generator": lambda: _generator(record),
        "tensor": lambda: _empty_tensor(record),
        "torch": lambda: _torch_value(record),
        "torch-generator": lambda: sys.modules["torch"].Generator(),
        "object": lambda: _empty_object(heap, number, record),
        "table": lambda: _table(heap, record),
        "series": lambda: _series(heap, record),
        "index": lambda: _index(heap, record),
        "library-array": lambda: _library_array(record[1], heap.value(record[2])),
    }
    if kind in makers:
        try:
            return makers[kind]()
        except NotData:
            raise
        except Exception as error:
            raise NotData(f"a {kind} that is none: {error}") from error
    if kind == "handle" and heap._stand_in is not None:
        return heap._stand_in(number, record[1])
    if kind in ("pickle", "function", "keras") and heap._opaque is not None:
        import pickle

        return pickle.loads(record[1])
    raise NotData(f"an object of the kind {kind!r}")


def _fill(heap: Heap, record: tuple, thing: Any) -> None:
    """Give a shared object the state of a record, in place."""
    kind = record[0]
    if kind in ("list", "deque"):
        items = [heap.value(item) for item in record[1]]
        thing.clear()
        thing.extend(items)
    elif kind == "set":
        items = [heap.value(item) for item in record[1]]
        thing.clear()
        thing.update(items)
    elif kind == "dict":
        pairs = [(heap.value(key), heap.value(item)) for key, item in record[2]]
        thing.clear()
        for key, item in pairs:  # not update(), which means something else to a Counter
            thing[key] = item
    elif kind == "bytearray":
        thing[:] = record[1]
    elif kind == "array":
        new = _array(record)
        if thing.shape == new.shape and thing.dtype == new.dtype:
            if thing.flags.writeable:
                thing[...] = new
        else:
            raise NotData("an array that has changed its shape")
    elif kind == "objects":
        flat = thing.ravel()
        flat[:] = [heap.value(item) for item in record[2]] if len(record[2]) else []
        thing[...] = flat.reshape(thing.shape)
    elif kind == "generator":
        thing.bit_generator.state = _state_of_json(record[2])
    elif kind == "tensor":
        _fill_tensor(heap, record, thing)
    elif kind == "torch-generator":
        torch = sys.modules["torch"]
        thing.set_state(torch.frombuffer(bytearray(record[1]), dtype=torch.uint8))
    elif kind == "object":
        state = {str(name): heap.value(item) for name, item in record[3]}
        kept = {name: item for name, item in thing.__dict__.items() if _own(name)}
        if "param_groups" in state and "defaults" in state and hasattr(thing, "zero_grad"):
            thing.__dict__.update(state)  # an optimizer's other attributes are each side's own
        else:
            thing.__dict__.clear()
            thing.__dict__.update(kept | state)
    elif kind == "keras":
        weights = [heap.value(item) for item in record[2]]
        if not all(map(np.array_equal, weights, thing.get_weights())):
            thing.set_weights(weights)
    elif kind in ("table", "series"):
        new = (_table if kind == "table" else _series)(heap, record)
        if not thing.equals(new) or not thing.index.equals(new.index):
            thing._update_inplace(new)
    elif kind == "function" and heap._opaque is not None:
        _fill_function(heap, record, thing)


def _fill_function(heap: Heap, record: tuple, function: types.FunctionType) -> None:
    """Let a function that was sent write into the shared objects instead of its own copies of them."""
    shared = {name: heap.value(item) for name, item in record[2]}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name in shared:
            cell.cell_contents = shared.pop(name)
    function.__globals__.update(shared)


def _fill_tensor(heap: Heap, record: tuple, thing: Any) -> None:
    new = _tensor(record)
    requires_grad, gradient = bool(record[4]), heap.value(record[6])
    torch = sys.modules["torch"]
    if isinstance(record[7], int) and heap._opaque is None:
        heap.bridged.append((record[7], thing))
        requires_grad = False
    if gradient is not None and not isinstance(gradient, torch.Tensor):
        raise NotData("a gradient that is no tensor")
    if thing.dtype == new.dtype and thing.shape == new.shape:
        if not torch.equal(thing.detach(), new):
            thing.data.copy_(new)
    else:
        thing.data = new
    if thing.is_leaf and thing.requires_grad != requires_grad and (new.is_floating_point() or new.is_complex()):
        thing.requires_grad_(requires_grad)
    if thing.is_leaf:
        thing.grad = gradient


def _empty_tensor(record: tuple) -> Any:
    torch = sys.modules["torch"]
    new = _tensor(record)
    differentiable = bool(record[4]) and record[7] is None and (new.is_floating_point() or new.is_complex())
    if record[5]:
        return torch.nn.Parameter(new, requires_grad=differentiable)
    return new.requires_grad_(differentiable)


def _empty_object(heap: Heap, number: int, record: tuple) -> Any:
    how, name = record[1], record[2]
    if how == "library":
        kind = _library_class(str(name[0]), str(name[1]))
        if kind is None:
            raise NotData(f"an object of the class {name}")
    elif how == "handle" and heap._stand_in is not None:
        return heap._stand_in(number, name)
    elif how == "pickle" and heap._opaque is not None:
        import pickle

        kind = pickle.loads(name)
    else:
        raise NotData("an object of an unknown class")
    thing: Any = object.__new__(kind)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(thing, torch.nn.Module):
        torch.nn.Module.__init__(thing)
    elif torch is not None and isinstance(thing, torch.optim.Optimizer):
        thing.__setstate__({"defaults": {}, "state": {}, "param_groups": []})
    return thing


def _default_dict(factory: Any) -> collections.defaultdict:
    if factory is not None and not _is_plain_type(factory):
        raise NotData("a dictionary that makes its items in an unknown way")
    return collections.defaultdict(factory)


def _named(name: Any, fields: Any) -> Callable[..., Any]:
    return collections.namedtuple(str(name), [str(field) for field in fields])  # it refuses what is no identifier


def _date(kind: str, text: str) -> Any:
    if kind == "Timestamp":
        return sys.modules["pandas"].Timestamp(text)
    return (datetime.datetime if kind == "datetime" else datetime.date).fromisoformat(text)


def _generator(record: tuple) -> np.random.Generator:
    names = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
    if record[1] not in names:
        raise NotData("a generator nobody knows")
    return np.random.Generator(getattr(np.random, record[1])())


def _torch_value(record: tuple) -> Any:
    torch = sys.modules["torch"]
    if record[1] == "dtype":
        found = getattr(torch, str(record[2]).removeprefix("torch."), None)
        if isinstance(found, torch.dtype):
            return found
        raise NotData("a type of numbers nobody knows")
    if record[1] == "Size":
        return torch.Size([int(size) for size in record[2]])
    return torch.device(str(record[2]))


def _library_array(library: str, array: Any) -> Any:
    if library == "tensorflow":
        return sys.modules["tensorflow"].constant(array)
    return sys.modules["jax"].numpy.asarray(array)


def _values(heap: Heap, column: Any) -> Any:
    kind, encoded = column
    pandas = sys.modules["pandas"]
    values = heap.value(encoded)
    return list(values) if kind == "object" else pandas.array(values, dtype=str(kind))


def _table(heap: Heap, record: tuple) -> Any:
    pandas = sys.modules["pandas"]
    columns, index = heap.value(record[1]), heap.value(record[2])
    table = pandas.DataFrame({place: pandas.Series(_values(heap, c)) for place, c in enumerate(record[3])})
    table.columns, table.index = columns, index
    return table


def _series(heap: Heap, record: tuple) -> Any:
    return sys.modules["pandas"].Series(
        _values(heap, record[3]), index=heap.value(record[2]), name=heap.value(record[1])
    )


def _index(heap: Heap, record: tuple) -> Any:
    return sys.modules["pandas"].Index(_values(heap, record[2]), name=heap.value(record[1]))


# -- what both sides have without handing it over -----------------------------------------------------------------


def random_state() -> list[Any]:
    """The state of the global random number generators, as something that can be compared and sent."""
    torch = sys.modules.get("torch")
    version, numbers, gauss = random.getstate()
    _, keys, place, has_gauss, cached = np.random.get_state(legacy=True)
    mine = [[version, list(numbers), gauss], [np.asarray(keys).tolist(), int(place), int(has_gauss), float(cached)]]
    return [*mine, torch.get_rng_state().tolist() if torch is not None else None]


def set_random_state(state: list[Any]) -> None:
    """Set what :func:`random_state` gave."""
    (version, numbers, gauss), (keys, place, has_gauss, cached), torch_state = state
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), place, has_gauss, cached))
    torch = sys.modules.get("torch")
    if torch is not None and torch_state is not None:
        torch.set_rng_state(torch.tensor(torch_state, dtype=torch.uint8))
