"""What a column of a table is, told by all of it and gathered piece by piece."""

from typing import Any

import numpy as np
import pandas as pd

_EXACT = 2**53  # whole numbers up to this are floats as well


class Column:
    """What has been seen of a column.

    `kinds` are what pandas took its pieces for: "i" whole numbers, "n" with negative ones among them, "I" and "N" if
    some are too large for a float, "u" if some are too large for 64 bits with a sign, "f" other numbers, "e" nothing
    but missing cells, "b" true and false, "B" with missing cells among them, "s" text.
    """

    def __init__(self):
        self.kinds: set[str] = set()
        self.rises, self.counts, self.dated = True, True, True
        self.first: Any = None
        self.last: Any = None
        self.n = 0

    def see(self, part):
        """Take in the next piece, a pandas.Series."""
        if len(part) == 0:
            return
        kind = _kind(part)
        self.kinds.add(kind)
        self.n += len(part)
        if self.numeric:
            self._see_steps(part)
        if self.dated:
            self.dated = kind == "s" and bool(part.astype(str).str.match(r"\d{4}-\d\d-\d\d[T ]\d\d:").all())
        self.first = part.iloc[0] if self.first is None else self.first
        self.last = part.iloc[-1]

    def _see_steps(self, part):
        if self.rises or self.counts:
            before = [] if self.last is None else [float(self.last)]
            steps = np.diff(np.r_[before, part.to_numpy(np.float64)])
            self.rises = self.rises and bool((steps >= 0).all())
            self.counts = self.counts and bool((steps == 1).all())

    @property
    def kind(self):
        """What pandas would take all of it for: "int", "uint", "float", "bool" or "text"."""
        kinds = self.kinds
        if not self.n or "s" in kinds or (kinds & {"b", "B"} and kinds != {"b"}):
            return "text"
        if kinds == {"b"}:
            return "bool"
        if kinds <= set("inIN"):
            return "int"
        if "u" in kinds and "f" not in kinds and "e" not in kinds:
            return "text" if kinds & set("nN") else "uint"
        return "float"

    @property
    def numeric(self):
        return self.kind != "text"

    @property
    def numbers_rows(self):
        """Whether it merely numbers the rows."""
        return self.numeric and self.counts

    @property
    def tells_time(self):
        """Whether it says time, by what is in it: dates, or numbers that rise."""
        if not self.numeric:
            return self.dated
        return self.n > 2 and self.rises and bool(self.last > self.first) and not self.counts

    def read_as(self, dates=False):
        """As what it has to be read again, because a piece alone was taken for something else; or None."""
        kinds, kind = self.kinds - {"e"}, self.kind
        if kind == "float":
            return np.float64 if kinds & set("INu") else None
        if len(kinds) < 2 or kinds == {"b", "B"}:
            return None
        if kind == "text":
            return str if kinds & set("bBINu") or (dates and kinds != {"s"}) else None
        return np.uint64 if kind == "uint" else None


def _kind(part):
    """The kind of a piece."""
    if not pd.api.types.is_numeric_dtype(part):
        return "B" if pd.api.types.infer_dtype(part, skipna=True) == "boolean" else "s"
    kind = part.dtype.kind
    if kind == "f":
        return "f" if part.notna().any() else "e"
    if kind in "bu":
        return kind
    low, high = part.min(), part.max()
    sign = "n" if low < 0 else "i"
    return sign.upper() if max(-low, high) > _EXACT else sign
