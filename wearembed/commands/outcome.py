"""What a command has to say: lines for people, or one JSON document for programs."""

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

INDENT = 13  # columns before what a line says
EXPECTED = (ValueError, OSError, ImportError, TypeError, RuntimeError)  # whose messages are written for users


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Parameters
    ----------
    document : dict
        What ``--json`` prints.
    lines : list of (str, str) or str
        What is printed otherwise: a word and what is to be said of it, or a text as it is.
    code : int, default=0
        With which the process ends.
    """

    document: Mapping[str, Any]
    lines: list[tuple[str, str] | str] = field(default_factory=list)
    code: int = 0

    def text(self) -> str:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        return "\n".join(line if isinstance(line, str) else two_columns(*line, width) for line in self.lines)

    def json(self) -> str:
        return json.dumps(plain(self.document), indent=1, ensure_ascii=False, allow_nan=False)


def two_columns(word: str, said: str, width: int = 0) -> str:
    """A word and what is to be said of it; lines that a terminal of `width` columns would break go on below it."""
    line = f"{word:<{INDENT}}{said}"
    if not width or len(line) <= width or width < 2 * INDENT:
        return line
    lines = textwrap.TextWrapper(width - 1, subsequent_indent=" " * INDENT, break_on_hyphens=False)
    lines.break_long_words = False  # names, paths and hashes, to be copied
    return lines.fill(line)


def wrapped(word: str, said: str) -> str:
    """Two columns of prose, broken at the terminal's width, or at 80 where there is none."""
    return two_columns(word, said, shutil.get_terminal_size().columns)


def plain(value: Any) -> Any:
    """Values as JSON knows them; what is no number is null."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (str, bool, int, type(None))):
        return value
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return [plain(one) for one in value] if isinstance(value, Iterable) else str(value)


def one_line(error: Exception) -> str:
    """What an error says; what kind it is, where nobody foresaw it."""
    said = " ".join(str(error).split())
    return said if isinstance(error, EXPECTED) and said else f"{type(error).__name__}: {said}"


def count(n: int, word: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would say them in."""
    for name, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {name}"
    return f"{seconds:.3g} s"


def share(part: float) -> str:
    """A share in per cent; what is not all is not called all."""
    if not math.isfinite(part):
        return "–"
    shown = f"{part:.1%}"
    return ">99.9%" if shown == "100.0%" and part < 1 else shown
