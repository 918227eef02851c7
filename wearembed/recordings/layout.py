"""How a table as text is written: what is between its cells and in its numbers, and where it begins."""

import csv
import re
from typing import NamedTuple

import numpy as np

from .files import BEGINNING

_POINT, _COMMA = r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?", r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?"


class Layout(NamedTuple):
    """How a table is written."""

    delimiter: str
    decimal: str
    n_before: int  # lines before the header, or before the first row where there is none
    header: bool
    cure: str  # what to do if its channels are not found


def layout_of(start, path):
    """How a table is written, by its first bytes."""
    try:
        lines = start.decode("utf-8-sig", errors="strict" if len(start) < BEGINNING else "ignore").splitlines()
    except UnicodeDecodeError:
        lines = []
    if not lines or "\0" in "".join(lines) or path.suffix.lower() in (".cwa", ".bin", ".gt3x", ".zip", ".avro"):
        raise ValueError(
            f"Expected in {path} an Axivity .cwa, a GENEActiv .bin, an Empatica E4 folder or a table as text (each may "
            f"be gzipped), got something else that begins with {start[:12]!r}. Export it as CSV with its own software."
        )
    lines = lines[:200]
    # A comma may be a decimal one, so the others are asked first.
    delimiter = next((mark for mark in ";\t" if np.median([_count(line, mark) for line in lines[-20:]]) >= 1), ",")
    widths = [_count(line, delimiter) for line in lines]
    width = max(set(widths[-20:]), key=widths[-20:].count)
    first = widths.index(width)
    cells = [cell for cell in _cells(lines[first], delimiter) if cell.lower() not in ("nan", "na", "null", "none")]
    measured = any(re.fullmatch(f"{_POINT}|{_COMMA}", cell) for cell in cells)  # is no name
    named = any(re.match(r"[^\W\d]", cell) for cell in cells) and not measured
    named = named or lines[first].split(delimiter) == ["", *map(str, range(width))]  # as pandas writes an array
    rows = [_cells(line, delimiter) for line, n in zip(lines[first + named :], widths[first + named :]) if n == width]
    return Layout(delimiter, _decimal(rows), first, named, _cure(rows, lines[first:], delimiter, named))


def _count(line, mark):
    """How often a mark stands in a line, but for where a whole cell is in quotes."""
    return re.sub(rf'(^|{mark})\s*"(?:[^"]|"")*"', r"\1", line).count(mark) if '"' in line else line.count(mark)


def _cells(line, delimiter):
    (cells,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True) if line else ([],)
    return [cell.strip(" \"'") for cell in cells]


def _decimal(rows):
    """What most columns of numbers write before their decimals, of which a row of whole numbers says nothing."""
    point, comma = (
        sum(any(re.fullmatch(number, cell) for cell in column) for column in zip(*rows)) for number in (_POINT, _COMMA)
    )
    return "," if comma > point else "."


def _cure(rows, lines, delimiter, named):
    """What to do if columns are not found: cells may be apart by something that was not known for it."""
    cure = "Name the channels with columns=."
    if delimiter == "," and np.mean([bool(re.search(r"\d[.,]\d+ +[-+]?\d+[.,]\d", line)) for line in lines]) > 0.5:
        return "Its cells are apart by spaces: write commas, semicolons or tabs between them."
    if named or delimiter != ",":
        return cure
    whole = [all(re.fullmatch(r"[-+]?\d+|\d+-\d+-\d+.*", cell) for cell in row) for row in rows]
    if whole and len(rows[0]) > 4 and all(whole):
        return f"{cure[:-1]}; or if commas are in its numbers as well as between them, write semicolons between them."
    return cure
