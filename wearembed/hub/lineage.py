"""What a checkpoint tells of where it comes from, in plain values: data, licence, results, cost."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

NEEDED = ("dataset", "metric", "value", "low", "high")  # of a row of results
NAMED = ("name", "source", "license")  # of a row of attribution
ORIGINS = ("began_from", "encoder", "teacher")  # may be paths


def lineage(
    known: Mapping,
    *,
    data=None,
    license=None,
    synthetic=None,
    description=None,
    attribution=None,
    results=None,
    spent=None,
) -> dict[str, Any]:
    """What is known of training, with what is said besides.

    Parameters
    ----------
    known : dict
        What the estimator knows of its own training, or of the weights that it began from; data and attribution that
        are said come on top of those, everything else takes its place.
    data, license, synthetic, description, attribution, results, spent
        As in ``save_pretrained``.
    """
    sources = rows(attribution, "attribution", NAMED)
    names = [str(name) for name in ([data] if isinstance(data, str) else data or []) if str(name).strip()]
    said = {
        "data": joined(known.get("data", []), [*names, *(source["name"] for source in sources)]),
        "license": license,
        "synthetic": synthetic,
        "description": description,
        "attribution": joined(known.get("attribution", []), sources),
        "results": with_intervals(rows(results, "results", NEEDED)),
        "spent": None if spent is None else plain(dict(spent)),
    }
    return {**known, **{key: value for key, value in said.items() if value not in (None, "", [], {})}}


def inherited(*trainings: Mapping) -> dict[str, list]:
    """Data and attribution of weights that a new training began from, or learnt from: they hold for what it makes."""
    names: dict[str, list] = {"data": [], "attribution": []}
    for training in trainings:
        names = {key: joined(known, training.get(key, [])) for key, known in names.items()}
    return {key: known for key, known in names.items() if known}


def is_lineage(training) -> bool:
    """Whether it is of the kinds of values that `lineage` gives, as far as anything relies on them."""
    if not isinstance(training, dict) or not isinstance(training.get("spent", {}), dict):
        return False
    data, *tables = (training.get(key, []) for key in ("data", "attribution", "results"))
    return all(isinstance(table, list) and all(isinstance(row, dict) for row in table) for table in tables) and (
        isinstance(data, list) and all(isinstance(name, str) for name in data)
    )


def published(training: Mapping) -> dict[str, Any]:
    """What may be told to everybody: licence and data are asked for, and folders of this machine left out."""
    asked = {"license": "license='cc-by-4.0' or the like", "data": "data=['name of the data set', ...]"}
    missing = {key: how for key, how in asked.items() if not training.get(key) or not str(training[key]).strip()}
    if missing:
        raise ValueError(
            f"push_to_hub publishes, and neither these weights nor this call say what others have to know: "
            f"{', '.join(missing)}. Pass {' and '.join(missing.values())}."
        )
    origins = {key: without_folders(training[key]) for key in ORIGINS if isinstance(training.get(key), str)}
    return {**training, **origins}


def without_folders(origin: str) -> str:
    """``"RelConEncoder of /home/me/weights"`` as ``"RelConEncoder of weights"``."""
    return re.sub(r"(^| of )(?:[/\\~]|[A-Za-z]:[/\\]).*[/\\]", r"\1", origin)


def rows(table, name: str, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    """A DataFrame, or dicts, as dicts of plain values that have the needed columns."""
    if table is None:
        return []
    if isinstance(table, pd.DataFrame):
        table = table.reset_index(drop=table.index.names == [None]).to_dict("records")
    if not isinstance(table, (list, tuple)) or not all(isinstance(row, Mapping) for row in table):
        raise ValueError(f"{name} is a DataFrame or a list of dicts; got {table!r}.")
    table = [plain(row) for row in table]
    for row in table:
        missing = [column for column in needed if row.get(column) in (None, "")]
        if missing:
            raise ValueError(f"Each row of {name} says {', '.join(needed)}; one lacks {', '.join(missing)}: {row}.")
    return table


def with_intervals(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of results whose low and high are the ends of an interval."""
    for row in results:
        ends = [row[key] for key in ("value", "low", "high")]
        if not all(isinstance(end, (int, float)) for end in ends) or row["low"] > row["high"]:
            raise ValueError(
                f"Each row of results has a number as value, and low and high of an interval about it; got {row}."
            )
    return results


def plain(row: Mapping) -> dict[str, Any]:
    """Values as JSON knows them; what is not a number is left out."""
    values = {str(key): value.item() if hasattr(value, "item") else value for key, value in row.items()}
    known = {key: value for key, value in values.items() if not isinstance(value, float) or math.isfinite(value)}
    return json.loads(json.dumps(known, default=str))


def joined(known: list, said: list) -> list:
    """What was known and what is said, each once."""
    return [*known, *(new for i, new in enumerate(said) if new not in known and new not in said[:i])]
