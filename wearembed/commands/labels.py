"""Labels from a table beside a store: one a participant or a recording, or of stretches of time."""

import csv
import difflib
import io
import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd

from .stretches import by_time

KEYS = ("participant", "recording")  # whose a label is
TIMES = ("start", "stop")  # of a stretch of time
NONE = [  # cells that say nothing, as pandas has it; but "None" may be a class
    *("", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NULL", "null"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
]
MOST = 0.8  # of cells that are numbers: the others are mistakes
THOUSANDS = r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?"  # or three decimals, which nobody can tell
LINE = object()  # a name that no column of a table has


@dataclass(frozen=True)
class Labels:
    """What a table tells of the windows of a store.

    Parameters
    ----------
    file : Path
    keys : list of str
        Columns that say whose a label is.
    timed : bool
        Labels are of stretches of time.
    zoned : bool or None
        Their times name a time zone, as those of the windows do; None where they are of no time.
    codes : array of shape (n_windows,)
        Which of `values` a window has; -1 is none.
    values : array
        Different labels, numbers or words.
    without : list of str
        Participants of the store none of whose windows has a label.
    foreign : list of str
        Whom the table tells of, and who are not in the store.
    """

    file: Path
    keys: list[str]
    timed: bool
    zoned: bool | None
    codes: np.ndarray
    values: np.ndarray
    without: list[str]
    foreign: list[str]


def join(index: pd.DataFrame, seconds: float, file: Path, target: str, task: str = "auto") -> Labels:
    """Labels of windows.

    Parameters
    ----------
    index : DataFrame
        Of a store.
    seconds : float
        Of a window.
    file : Path
        A table with a column ``participant`` or ``recording``, or both; ``start`` and ``stop``, of labels of stretches
        of time; and `target`.
    target : str
        Column of labels.
    task : {"auto", "classification", "regression"}, default="auto"
        What they are for.
    """
    table = read(file, target, task)
    keys = [name for name in KEYS if name in table]
    own, whose = named(index, keys, file), named(table, keys, file)
    check_known(own, whose, index, keys, file)
    code, kinds = pd.factorize(table["label"])
    values = np.asarray(kinds, dtype=None if pd.api.types.is_numeric_dtype(kinds) else str)
    table = table.assign(whose=whose, code=code)
    timed, zoned = TIMES[0] in table, None
    if timed:
        codes = by_time(index["start"], seconds, own, table[whose.isin(own)], values, file)
        zoned = not pd.api.types.is_datetime64_dtype(index["start"])
    else:
        codes = by_name(own, table, values, file)
    people = index["participant"]
    without = sorted(set(people) - set(people[codes >= 0]))
    foreign = list(dict.fromkeys(whose[~whose.isin(own)]))
    return Labels(file, keys, timed, zoned, codes, values, without, foreign)


# --------------------------------------------------------------------------------- the table


def read(file: Path, target: str, task: str) -> pd.DataFrame:
    """The rows that have a label, called so; keys and times as text; the line that each stands on."""
    between, names, rows = cells(file)
    check_columns(names, target, file)
    known = [name for name in (*KEYS, *TIMES) if name in names]
    table = pd.DataFrame(rows, columns=[*names, LINE], dtype=object)[[*known, target, LINE]]
    table.columns = pd.Index([*known, "label", "line"])
    table = table[~table["label"].isin(NONE)].reset_index(drop=True)
    if table.empty:
        raise ValueError(f"{file} has no label in column {target!r}: all of its cells are empty.")
    for name in known:
        nameless = table["line"][table[name] == ""]
        if len(nameless):
            raise ValueError(f"{file} has no {name} on {lines(nameless.tolist())}. Say it, or delete the row.")
    numbers = as_numbers(table["label"], between)
    check_numbers(table, numbers, target, task, file)
    return table.assign(label=numbers) if numbers.notna().all() else table


def cells(file: Path) -> tuple[str, list[str], list[list]]:
    """What stands between the cells of a table, the names of its columns, and its rows, each with its line."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"Expected a table of labels at {file}, found nothing there. Name another.") from error
    except IsADirectoryError as error:
        raise ValueError(f"Expected a table of labels at {file}, found a folder. Name a file in it.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8. Save the table as CSV in UTF-8.") from error
    written = text.split("\n")
    before = list(takewhile(says_nothing, written))
    between = max(",;\t", key="".join(written[len(before) : len(before) + 1]).count)
    reader = csv.reader(io.StringIO(text), delimiter=between, strict=True)
    try:
        for _ in before:
            next(reader, None)
        names = [name.strip() for name in next(reader, [])]
        rows = [[*(cell.strip() for cell in row), reader.line_num] for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(
            f"{file} is damaged on line {reader.line_num}, or before: {error}. Mend its quotes."
        ) from error
    uneven = [row[-1] for row in rows if len(row) != len(names) + 1]
    if uneven:
        raise ValueError(
            f"{file} has {len(names)} columns, and another number of cells on {lines(uneven)}. A cell that has "
            f"{between!r} in it stands in double quotes."
        )
    return between, names, rows


def says_nothing(line: str) -> bool:
    """Whether a line before the names is empty, or tells Excel alone what stands between cells: ``sep=;``."""
    return not line.strip(' ,;\t"') or bool(re.match('"?sep=', line, re.IGNORECASE))


def as_numbers(labels: pd.Series, between: str) -> pd.Series:
    """Numbers, with a point or a comma before their decimals; of what is none, NaN."""
    commas = labels[labels.str.contains(",", regex=False)]
    if between != "," or not commas.str.fullmatch(THOUSANDS).all():
        labels = labels.str.replace(",", ".", regex=False)
    return pd.to_numeric(labels, errors="coerce").replace([np.inf, -np.inf], np.nan)


def check_numbers(table: pd.DataFrame, numbers: pd.Series, target: str, task: str, file: Path):
    """An error where labels are to be numbers, because of the task or of most of them, and one is none."""
    others = numbers.isna().to_numpy()
    few_others = task == "auto" and (~others).mean() >= MOST
    if others.any() and (task == "regression" or few_others):
        first = table.iloc[int(np.argmax(others))]
        cure = ", or say --task classification if they are names of classes" if few_others else ""
        why = "as most of it are" if few_others else "for a regression"
        raise ValueError(
            f"Expected numbers in column {target!r} of {file}, {why}, got {first['label']!r} on line {first['line']}. "
            f"Write a number or an empty cell{cure}."
        )


def check_columns(names: list[str], target: str, file: Path):
    """An error unless a table has a column of labels, and others that say whose they are."""
    found = f"found {', '.join(names) or 'none'}"
    if target in (*KEYS, *TIMES):
        raise ValueError(f"--target {target} says whose a label is, and is none. Name a column of labels; {found}.")
    twice = [name for name in (*KEYS, *TIMES, target) if names.count(name) > 1]
    if twice:
        raise ValueError(f"{file} has two columns called {twice[0]}. Rename one.")
    if target not in names:
        raise ValueError(f"Expected a column {target!r} in {file}, {found}. {meant(target, names)}".rstrip())
    if not set(KEYS) & set(names):
        others = [name for name in names if name != target]
        raise ValueError(
            f"Expected a column called participant or recording in {file}, which says whose a label is; {found}. "
            f"{meant(KEYS[0], others, 'Rename {}.') or meant(KEYS[1], others, 'Rename {}.')}".rstrip()
        )
    if len(set(TIMES) & set(names)) == 1:
        there = next(name for name in TIMES if name in names)
        raise ValueError(
            f"{file} has a column {there} alone, {found}: labels of stretches of time have start and stop, others "
            f"neither. Rename or add the other one."
        )


def meant(name: str, names: list[str], told: str = "Did you mean {}?") -> str:
    """A sentence with the name that is most like another one, or nothing."""
    lower = {one.lower(): one for one in names}
    near = difflib.get_close_matches(name.lower(), lower, 1)
    return told.format(lower[near[0]]) if near else ""


def lines(numbers) -> str:
    """``line 3``, ``lines 3 and 5``, ``lines 3, 5, 8 and 4 more``."""
    shown = [str(n) for n in numbers[:3]]
    if len(numbers) > 3:
        return f"lines {', '.join(shown)} and {len(numbers) - 3} more"
    return f"line{'s' if len(shown) > 1 else ''} {' and '.join(', '.join(shown).rsplit(', ', 1))}"


# --------------------------------------------------------------------------------- whose they are


def named(table: pd.DataFrame, keys: list[str], file: Path) -> pd.Series:
    """Whose each row is, as one word."""
    missing = [name for name in keys if table[name].isna().all()]
    if missing:
        raise ValueError(f"{file} names the {missing[0]} of a label, and no window of the store has one.")
    words = table[keys[0]].astype(object)
    for name in keys[1:]:
        words = words + " / " + table[name].astype(object)
    return words


def check_known(own: pd.Series, whose: pd.Series, index: pd.DataFrame, keys: list[str], file: Path):
    """An error where a table tells of nobody in the store, or of recordings that are of more than one participant."""
    if not whose.isin(own).any():
        raise ValueError(
            f"{file} tells of no {keys[-1]} of the store: it names {few([*map(repr, whose.unique())])}, and the store "
            f"has {few([*map(repr, own.dropna().unique())])}. Write them as the store does."
        )
    if keys == ["recording"]:
        owners = index.groupby("recording")["participant"].nunique()
        shared = owners.index[(owners > 1) & owners.index.isin(whose)]
        if len(shared):
            raise ValueError(
                f"Recording {shared[0]!r} is of {owners[shared[0]]} participants of the store. Add a column "
                f"participant to {file}."
            )


def few(names, most: int = 5) -> str:
    shown = ", ".join(map(str, names[:most]))
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def by_name(own: pd.Series, table: pd.DataFrame, values: np.ndarray, file: Path) -> np.ndarray:
    """One label for all windows of a participant or recording."""
    table = table.drop_duplicates(["whose", "code"])
    doubled = table[table["whose"].duplicated(keep=False)]
    if len(doubled):
        first = doubled[doubled["whose"] == doubled["whose"].iloc[0]]
        raise ValueError(
            f"{file} has {len(first)} labels of {first['whose'].iloc[0]!r}, "
            f"{few([repr(str(one)) for one in values[first['code']]])}, on "
            f"{lines(first['line'].to_numpy())}. Keep one; labels of stretches of time have columns start and stop."
        )
    return own.map(table.set_index("whose")["code"]).fillna(-1).astype(int).to_numpy()
