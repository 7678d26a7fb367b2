"""Reading the course's TOML files so that a mistake in one is reported with file, line and what was expected."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.errors import LabkitError

_NAMES = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "a table"}
_REQUIRED: Any = object()


class TomlFile:
    """A parsed TOML file that knows on which line each of its tables stands.

    ``table`` below is a path such as ``("lab", 2)`` for the third ``[[lab]]``, or ``("course",)`` for ``[course]``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LabkitError(f"{path} cannot be read", str(error)) from error
        try:
            self.data: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise LabkitError(f"{path} is not valid TOML", str(error), "Correct that line") from error

    def tables(self, name: str) -> list[dict[str, Any]]:
        """Every ``[[name]]`` table, in the order of the file; an empty list where there is none."""
        found = self.data.get(name, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise self.error((name,), None, f"tables written [[{name}]]")
        return found

    def get(self, table: tuple[str | int, ...], key: str, kind: type, default: Any = _REQUIRED) -> Any:
        """The value of ``key`` in ``table``; a LabkitError where it is missing or of another kind."""
        value: Any = self.data
        for step in table:
            value = value.get(step, {}) if isinstance(step, str) else value[step]
        value = value.get(key, default) if isinstance(value, Mapping) else default
        if value is _REQUIRED:
            raise self.error(table, None, f"{_NAMES.get(kind, kind.__name__)} called '{key}'", "It is missing")
        if value is not default and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise self.error(table, key, f"'{key}' to be {_NAMES.get(kind, kind.__name__)}", f"It is {value!r}")
        return value

    def texts(self, table: tuple[str | int, ...], key: str, default: Any = _REQUIRED) -> tuple[str, ...]:
        """A list of texts."""
        values = self.get(table, key, list, default)
        if not all(isinstance(value, str) for value in values):
            raise self.error(table, key, f"'{key}' to be a list of texts", f"It is {values!r}")
        return tuple(values)

    def only(self, table: tuple[str | int, ...], allowed: set[str]) -> None:
        """Refuse keys nobody reads, which are misspellings as a rule."""
        value: Any = self.data
        for step in table:
            value = value[step]
        for key in value:
            if key not in allowed:
                raise self.error(table, key, f"one of {', '.join(sorted(allowed))}", f"'{key}' is not known here")

    def error(self, table: tuple[str | int, ...], key: str | None, expected: str, found: str = "") -> LabkitError:
        """A LabkitError that points at ``key`` in ``table``, or at the table's header."""
        return LabkitError(f"{self.path}, line {self.line(table, key)}: expected {expected}", found)

    def line(self, table: tuple[str | int, ...], key: str | None = None) -> int:
        """The line (from 1) of a key or of a table's header, found by reading the text from the top."""
        name = ".".join(str(step) for step in table if isinstance(step, str))
        wanted = next((step for step in table if isinstance(step, int)), 0)
        lines = self.text.splitlines()
        seen, start = -1, 0
        for number, line in enumerate(lines):
            header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?", line)
            if header and header[1].replace('"', "") == name:
                seen += 1
                if seen == wanted:
                    start = number
                    break
        if key is None:
            return start + 1
        first = start + 1 if name else 0
        for number, line in enumerate(lines[first:], first):
            if re.match(rf'\s*"?{re.escape(key)}"?\s*(=|\.)', line):
                return number + 1
            if line.lstrip().startswith("[") and name:
                break
        return start + 1
