"""Standard output and error that outlive their reader: signs that a terminal lacks, or a broken pipe, end nothing.

What is printed may be a run's text, an error of its model or the name of a folder, so it cannot command the terminal.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import Any

PLAIN = {"─": "-", "–": "-", "·": "-", "±": "+-", "…": "...", "↑": "^", "↓": "v", "≤": "<=", "≥": ">=", "×": "x"}
"""Signs for those that an encoding lacks; a question mark stands for any other."""


_COMMANDS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}
"""Signs that a terminal acts on and does not show, and how they are shown."""


def keep_streams() -> None:
    """Let this process print whatever becomes of its terminal: signs it lacks are replaced, a broken pipe is left."""
    codecs.register_error("its.plain", _plainly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
        if not isinstance(stream, LastingStream):
            setattr(sys, name, LastingStream(stream))


def display() -> Any:
    """Return standard error for lines that are written anew in their places: it lets the cursor be moved."""
    return sys.stderr.moving() if isinstance(sys.stderr, LastingStream) else sys.stderr


def harmless(text: str) -> str:
    """Return text that cannot command a terminal."""
    return text.translate(_COMMANDS)


class LastingStream:
    """A text stream whose writes never fail: once one has, what follows goes nowhere.

    Args:
        stream: it writes to this one, in whose place it stands.
        moves: whether what is written may move the cursor.
    """

    def __init__(self, stream: Any, *, moves: bool = False) -> None:
        self._stream, self._moves = stream, moves
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="its.plain")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __eq__(self, other: object) -> bool:
        return other._stream is self._stream if isinstance(other, LastingStream) else NotImplemented

    def __hash__(self) -> int:
        return id(self._stream)

    def moving(self) -> LastingStream:
        """Return this stream for text that may move the cursor; tqdm takes the two for one."""
        return LastingStream(self._stream, moves=True)

    def write(self, text: str) -> int:
        """Write text, or drop it."""
        try:
            return self._stream.write(text if self._moves else harmless(text))
        except (OSError, ValueError):  # a broken pipe, a full disk, a closed stream
            self._drop()
            return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several lines, or drop them."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Flush what is written, or drop it."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._drop()

    def _drop(self) -> None:
        """Lead the stream's descriptor nowhere, so that what is still in its buffer goes there too."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in signs), error.end
