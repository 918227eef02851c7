"""Encoders on labelled windows of a store, participants apart, beside the rows that a claim needs."""

from pathlib import Path

import numpy as np
import pandas as pd

from .. import disk
from ..evaluation import compare
from ..stores import WindowStore
from .labels import Labels, few, join
from .outcome import Outcome, count

FEATURES = "hand-made features"


def run(args) -> Outcome:
    """Compare weights, their untrained nets, hand-made features and the blind answer."""
    if args.out is not None and args.out.suffix not in (".csv", ".json"):
        raise ValueError(f"-o names a table to write, ending in .csv or .json; got {args.out}.")
    store = WindowStore(args.store)
    windows, y, labels = labelled(store, args)
    check_task(y, args)
    check_people(windows, args)
    # What is wrong is told before torch is loaded, which takes seconds.
    from ..encoders import Encoder, HandmadeFeatures

    encoders = {name: Encoder.from_pretrained(name, device=args.device) for name in args.weights}
    data = {"data": windows, "target": y, "groups": windows.groups, "sfreq": store.sfreq, "units": store.units}
    table = compare(
        {**encoders, FEATURES: HandmadeFeatures()},
        {store.path.name: data},
        baselines=[FEATURES],
        probe=args.probe,
        task=args.task,
        cv=args.folds,
        random_state=args.seed,
    )
    if args.out is not None:
        save(table, args.out)
    told = {
        "command": "evaluate",
        "store": store.path,
        "given": args.store,
        "target": args.target,
        "labels": None if labels is None else about(labels, store),
        "n_windows": len(y),
        "n_without_label": len(store) - len(y),
        "n_participants": int(table["n_participants"].iloc[0]),
        "n_folds": int(table["n_folds"].iloc[0]),
        "out": args.out,
        "scores": table.to_dict("records"),
    }
    return Outcome(told, [*head(told), "", text(table), *foot(told, encoders)])


def labelled(store: WindowStore, args) -> tuple[WindowStore, np.ndarray, Labels | None]:
    """The windows that have a label, none of which is read, and their labels; what a table says of them."""
    if args.labels is None:
        return *by_store(store, args.target), None
    labels = join(store.index, store.n_times / store.sfreq, args.labels, args.target, args.task)
    known = labels.codes >= 0
    return store.rows(known), labels.values[labels.codes[known]], labels


def by_store(store: WindowStore, target: str) -> tuple[WindowStore, np.ndarray]:
    """As the store itself says."""
    index = store.index
    if target not in index:
        raise ValueError(
            f"{store.path} has no column {target!r}. Its columns are {', '.join(index.columns)}. Labels that a table "
            f"has are joined to the windows by --labels TABLE.csv."
        )
    known = index[target].notna().to_numpy()
    if not known.any():
        raise ValueError(f"No window of {store.path} has a {target}. Join those of a table: --labels TABLE.csv.")
    y = index.loc[known, target]
    return store.rows(known), y.to_numpy(dtype=None if pd.api.types.is_numeric_dtype(y) else str)


def check_task(y: np.ndarray, args):
    """An error where words are to be told as numbers."""
    if args.task == "regression" and y.dtype.kind not in "biuf":
        raise ValueError(
            f"--task regression tells numbers, and column {args.target!r} has words, such as {str(y[0])!r}. Say --task "
            f"classification, or name another column."
        )


def check_people(windows: WindowStore, args):
    """An error unless there are as many participants as folds, and two at least."""
    n = len(pd.unique(windows.groups))
    if n < 2 or args.folds < 2:
        raise ValueError(
            f"Who is tested is told by what others have taught, which takes two folds and two participants with a "
            f"label; got --folds {args.folds} and {count(n, 'participant')} with a {args.target!r}."
        )
    if args.folds > n:
        raise ValueError(
            f"--folds {args.folds} takes as many participants with a label, and {n} have a {args.target!r}. Say "
            f"--folds {n}, which tests each alone."
        )


def about(labels: Labels, store: WindowStore) -> dict:
    return {
        "file": labels.file,
        "of": labels.keys,
        "of_stretches": labels.timed,
        "time_zone": labels.zoned,
        "n_windows": int((labels.codes >= 0).sum()),
        "participants_without": labels.without,
        "not_in_store": labels.foreign,
    }


def save(table: pd.DataFrame, out: Path):
    text = table.to_csv(index=False) if out.suffix == ".csv" else table.to_json(orient="records", indent=1)
    disk.write(out, text.encode())


def head(told: dict) -> list:
    without = f", {told['n_without_label']:,} without a label left out" if told["n_without_label"] else ""
    people = f"{told['n_participants']} participants in {told['n_folds']} folds"
    lines = [("store", f"{told['given']}: {count(told['n_windows'], 'window')} of {people}{without}")]
    return lines if told["labels"] is None else [*lines, *labels_lines(told["labels"])]


def labels_lines(told: dict) -> list:
    """What came of a table of labels; who has none, and who is in the table alone."""
    kind = "of stretches of time" if told["of_stretches"] else f"one a {told['of'][-1]}"
    lines = [("labels", f"{told['file']}: {kind}, for {count(told['n_windows'], 'window')}")]
    if told["time_zone"] is False:
        lines.append(("clock", "neither the table nor the store names a time zone, so both are taken for one clock"))
    if told["participants_without"]:
        names = told["participants_without"]
        lines.append(("no label", f"{count(len(names), 'participant')} of the store: {few(names)}"))
    if told["not_in_store"]:
        names = told["not_in_store"]
        lines.append(("not in store", f"{count(len(names), told['of'][-1])} of the table: {few(names)}"))
    return lines


def foot(told: dict, encoders: dict) -> list:
    lines: list = [""]
    for name, encoder in encoders.items():
        if encoder.training_.get("synthetic"):
            lines.append(("note", f"{name} was pretrained on synthetic data only"))
    lines.append(("note", "in brackets the 95 % interval over participants; untrained nets have random weights"))
    return [*lines, ("wrote", f"{told['out']}")] if told["out"] else lines


def text(table: pd.DataFrame) -> str:
    """A line an encoder with the first score of the task, and what sets an encoder apart from the best baseline."""
    score = table["score"].iloc[0]
    own = table[table["score"] == score]
    told = [*own["encoder"], *("  less " + name for name in own["against"] if isinstance(name, str))]
    width = max(map(len, told))
    lines = [f"{'':<{width}}  {score}"]
    for row in own.itertuples():
        lines.append(f"{row.encoder:<{width}}  {interval(row.pooled, row.low, row.high)}")
        if isinstance(row.against, str):
            lines.append(f"{'  less ' + row.against:<{width}}  {interval(*difference(row), sign='+')}")
    return "\n".join(lines)


def difference(row) -> tuple[float, float, float]:
    return row.difference, row.difference_low, row.difference_high


def interval(value: float, low: float, high: float, sign: str = "") -> str:
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"
