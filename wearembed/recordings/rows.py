"""Rows of a table as text, read some at a time as pandas would read all of them at once."""

import io
import re

import numpy as np
import pandas as pd

from .files import line_blocks

AT_ONCE = 2**23  # bytes of text that are parsed at once


class Rows:
    """The rows of a table, as many at a time as `AT_ONCE` bytes of text hold.

    A piece is read as a table of its own, behind the head of the whole one, which is all up to its first row. So its
    columns are those of the whole, and what is too long or too short in it is so there. What pandas takes a
    column for may differ from piece to piece, which `dtypes`, by name, prevents.
    """

    def __init__(self, path, start, layout, dtypes=None):
        self.path, self.layout = path, layout
        self.n, self.n_lines, self.has_nul = 0, 1, False  # rows, lines up to the last that is not blank
        self._n_ends = 0  # of lines, blank ones at the end included
        self._dtypes = None
        self._head = self._find_head(start)
        if self._head and dtypes:
            self._dtypes = {name: dtypes[_plain(name)] for name in self._raw(self._head) if _plain(name) in dtypes}

    def __iter__(self):
        blocks, before = line_blocks(self.path, AT_ONCE), b""
        piece = _joined(blocks, len(self._head) or np.inf)
        while piece:
            frame, piece = self._parsed(before, piece, blocks)
            self._count(piece)
            self.n += len(frame)
            yield frame
            before, piece = self._head, next(blocks, b"")

    @property
    def row_a_line(self):
        """Whether each line is a row."""
        return not self.has_nul and self.n_lines == self.layout.n_before + self.layout.header + self.n

    def _find_head(self, start):
        """All up to the end of the first row; nothing where that cannot be told, and all rows are read at once."""
        ends = [match.end() for match in re.finditer(b"\n", start)]
        least = self.layout.n_before + self.layout.header
        for end in ends[least : least + 20]:
            try:
                n_rows = len(self._raw(start[:end]))
            except ValueError:  # not even a header, or a cell that goes on in the next line
                n_rows = 0
            if n_rows:
                return start[:end] if n_rows == 1 else b""
        return b""

    def _parsed(self, before, piece, blocks):
        """The rows of a piece, and the piece with what had to be read besides it."""
        while True:
            try:
                frame = self._raw(before + piece).iloc[int(bool(before)) :]
                frame = frame.rename(columns=_plain)
                return frame.loc[:, ~frame.columns.duplicated()], piece
            except ValueError as error:  # pandas' own errors are ValueErrors
                # A cell in quotes may hold ends of lines.
                more = _joined(blocks, len(piece)) if "EOF inside string" in str(error) else b""
                if not more:
                    said = self._in_the_whole(str(error).strip(), before)
                    raise ValueError(
                        f"Expected a table with rows of equal length in {self.path}: {said}. Mend them."
                    ) from error
                piece += more

    def _raw(self, data):
        return pd.read_csv(
            io.BytesIO(data),
            sep=self.layout.delimiter,
            header=0 if self.layout.header else None,
            skiprows=self.layout.n_before,
            decimal=self.layout.decimal,
            encoding="utf-8-sig",
            low_memory=False,
            skipinitialspace=True,
            dtype=self._dtypes,
        )

    def _in_the_whole(self, said, before):
        """A message of pandas on a piece, with the numbers that its lines have in the file."""
        more = self._n_ends - _n_ends(before)
        return re.sub(r"\b(line|row) (\d+)", lambda match: f"{match[1]} {int(match[2]) + more}", said)

    def _count(self, piece):
        self.has_nul = self.has_nul or b"\0" in piece
        full = piece.rstrip()
        if full:
            self.n_lines = self._n_ends + _n_ends(full) + 1
        self._n_ends += _n_ends(piece)


def _plain(name):
    return name.strip() if isinstance(name, str) else name


def _joined(blocks, size):
    """Blocks until they are so many bytes, or all that there are."""
    some, n = [], 0
    while n < size and (block := next(blocks, b"")):
        some.append(block)
        n += len(block)
    return b"".join(some)


def _n_ends(text):
    """Ends of lines, however they are written."""
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
