"""Messages between a judge and a student's process: JSON with blobs of bytes beside it, over a Unix socket.

Nothing is ever unpickled on the judge's side. A message is a dict; bytes travel as blobs and are named in it by their
number. The reader refuses what is larger than it allows, so a student cannot fill the judge's memory.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from typing import Any

LARGEST = 256 << 20  # bytes in one message
LARGEST_TEXT = 32 << 20  # bytes of them that are JSON, which takes many times as much memory when it is read
_HEADER = struct.Struct(">QI")


class Lost(Exception):
    """The other side is gone, or speaks another language."""


class Late(Exception):
    """No whole message came in time."""


class Wire:
    """One end of a connection. ``largest`` bounds what is read, in bytes."""

    def __init__(self, connection: socket.socket, largest: int = LARGEST) -> None:
        self.connection = connection
        self.largest = largest
        self._pending = bytearray()  # what came of a message that was not whole when time ran out

    def send(self, message: dict[str, Any], blobs: list[bytes] | None = None) -> None:
        """Write one message; :class:`Lost` where nobody reads any more."""
        blobs = blobs or []
        text = json.dumps({"m": message, "b": [len(blob) for blob in blobs]}).encode("ascii")
        total = len(text) + sum(map(len, blobs))
        try:
            self.connection.sendall(b"".join([_HEADER.pack(total, len(text)), text, *blobs]))
        except OSError as error:
            raise Lost(str(error)) from error

    def receive(self, seconds: float | None = None) -> tuple[dict[str, Any], list[bytes]]:
        """Read one message and its blobs. :class:`Late` after ``seconds``, :class:`Lost` where there is no more."""
        deadline = None if seconds is None else time.monotonic() + seconds
        self._fill(_HEADER.size, deadline)
        total, text_size = _HEADER.unpack_from(self._pending)
        if total > self.largest or text_size > min(total, LARGEST_TEXT):
            raise Lost(f"a message of {total} bytes, {text_size} of them text, is larger than allowed")
        self._fill(_HEADER.size + total, deadline)
        view = bytes(self._pending[_HEADER.size : _HEADER.size + total])
        del self._pending[: _HEADER.size + total]
        try:
            envelope = json.loads(view[:text_size])
            message, sizes = envelope["m"], envelope["b"]
            if not isinstance(message, dict) or sum(sizes) != total - text_size or any(size < 0 for size in sizes):
                raise ValueError("its parts do not add up")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Lost(f"not a message: {error}") from error
        blobs, place = [], text_size
        for size in sizes:
            blobs.append(view[place : place + size])
            place += size
        return message, blobs

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def _fill(self, size: int, deadline: float | None) -> None:
        while len(self._pending) < size:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self.connection], [], [], left)
            if not ready:
                raise Late
            try:
                part = self.connection.recv(min(1 << 20, size - len(self._pending)))
            except OSError as error:
                raise Lost(str(error)) from error
            if not part:
                raise Lost("the other side has ended")
            self._pending += part
