"""Every encoder and baseline on five sets of real recordings, participants apart: one command, one table.

    python examples/show.py --data FOLDER --out FOLDER
    python examples/show.py --data FOLDER --out FOLDER --few-labels
    python examples/show.py --data FOLDER --out FOLDER --instead "wearembed/relcon-open=FOLDER/without-{set}"

How `--data` is laid out stands in `real_sets.py`. Encoders stay frozen, and all rows of a question share its five folds
of participants. The answers of each row are kept in `--out` as soon as they are there; a row whose windows, weights and
parameters are the same is not computed again. The tables are `evaluation.compare` of the kept answers, so that
intervals and differences of all rows come of the same draws of participants.
"""

import argparse
import hashlib
import importlib.util
import json
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from real_sets import ACTIVITIES, SETS, TASKS
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from wearembed import HandmadeFeatures, MiniRocketFeatures, RawWindows, Spectra, evaluation, from_pretrained, hub

N_FOLDS = 5
PENALTIES = {  # the weak ones for small embeddings; the strong ones where there is nothing to be found
    "classification": (0.1, 1.0, 10.0, 100.0, 1000.0),
    "regression": (1.0, 10.0, 100.0, 1e3, 1e4, 1e5),
}
FOREST = "hand-made features, random forest"
ROWS = {
    "untrained": "the same net, untrained",
    "forest": FOREST,
    "linear": "hand-made features, linear",
    "rocket": "MiniRocket, linear",
    "spectra": "spectra, linear",
    "raw": "raw windows, linear",
}
FEW = (1, 2, 5, 10)  # labelled participants
OF_FEW = (10.0,)  # the penalty there, the same for all rows: among few there is nobody to choose it by
HIGHEST = {"accel": 20.0, "accel-heart": 16.0, "ppg": 8.0, "ecg": 40.0}  # hertz, of spectra
SCORES = {"macro_f1": "macro F1", "auc": "AUC", "mae": "mean absolute error"}


def main(arguments=None):
    """Answer what is missing, then print the tables."""
    args = parsed(arguments)
    comparisons, few = [], {}
    for name in asked(args):
        windows = TASKS[name].read(args.data)
        rows = list(planned(args, name, windows))
        comparison = compared(args, name, windows, rows)
        comparisons.append(comparison)
        comparison.to_csv(args.out / f"{slug(name)}.csv", index=False)
        if args.few_labels and name in ACTIVITIES:
            few[name] = {row.name: few_labels(args, name, windows, row) for row in rows if row.in_few}
    print_tables(args, pd.concat(comparisons, ignore_index=True))
    if few:
        print_few_labels(few)
        draw_few_labels(few, args.out / "few-labels.png")


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each set")
    parser.add_argument("--out", type=Path, required=True, help="folder, gone on with where it exists")
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), metavar="SET", help=", ".join(SETS))
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument(
        "--encoders", nargs="*", default=hub.bundled(), metavar="NAME_OR_FOLDER", help="checkpoints (the bundled ones)"
    )
    parser.add_argument(
        "--instead",
        nargs="+",
        default=[],
        metavar="NAME=FOLDER",
        help="for one of --encoders, the checkpoint trained without a set; {set} in FOLDER stands for its name",
    )
    parser.add_argument("--untrained", type=int, default=3, help="nets of random weights, averaged (%(default)s)")
    parser.add_argument("--few-labels", action="store_true", help="activities with the labels of few participants too")
    parser.add_argument("--repeats", type=int, default=5, help="draws of few participants (%(default)s)")
    parser.add_argument("--device", default="auto", help="of the encoders (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of folds, draws and forests (%(default)s)")
    args = parser.parse_args(arguments)
    args.instead = dict(pair.split("=", 1) for pair in args.instead)
    unknown = sorted(set(args.instead) - set(args.encoders))
    if unknown:
        parser.error(f"--instead names {', '.join(unknown)}, which is not among {', '.join(args.encoders)}")
    if "rocket" in args.rows and importlib.util.find_spec("sktime") is None:
        print('MiniRocket is left out: it needs sktime. pip install "wearembed[baselines]"', flush=True)
        args.rows.remove("rocket")
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def asked(args):
    return [name for name, task in TASKS.items() if task.of in args.only]


# --- the rows


class Once:
    """Features that are computed once, however often they are asked for."""

    def __init__(self, transformer):
        self.transformer, self.seconds, self.seen = transformer, 0.0, (None, None)

    def transform(self, X):
        if self.seen[0] is not X:
            start = time.perf_counter()
            self.seen = X, self.transformer.transform(X)
            self.seconds = time.perf_counter() - start
        return self.seen[1]


class Row(NamedTuple):
    """Features, and what learns from them."""

    name: str
    kind: str  # encoder or baseline
    features: Any  # Once, or what has to be fitted in each fold
    of: str  # what went in, as text; the weights by what they hash to
    forest: bool = False
    in_few: bool = False
    data: tuple[str, ...] = ()  # that the weights were trained on, as their card says
    n_parameters: int | None = None


def planned(args, name, windows):
    """Yield the rows that can answer a question."""
    untrained = set()
    for source in args.encoders:
        encoder = checkpoint(args, name, source, windows)
        if not takes(encoder, windows):
            continue
        told = {"sfreq": windows.sfreq, "units": windows.units}
        data = tuple(str(one) for one in encoder.training_.get("data", []))
        yield of_net(source, "encoder", encoder.set_params(**told), in_few=True, data=data)
        for seed in range(args.untrained if "untrained" in args.rows else 0):
            twin = encoder.untrained(random_state=seed, windows=windows.data)
            row = of_net(f"{source}, untrained {seed}", "baseline", twin, in_few=seed == 0)
            net = row.of, repr(twin.architecture_)
            if net not in untrained:  # else it is that of another encoder with the same net
                untrained.add(net)
                yield row
    yield from baselines(args, name, windows)


def baselines(args, name, windows):
    """Yield what needs no pretraining."""
    sensor, told = TASKS[name].sensor, {"sfreq": windows.sfreq, "units": windows.units}
    short = name in ACTIVITIES
    standardize = sensor in ("ppg", "ecg")
    hand = Once(HandmadeFeatures(sensor, **told))
    made = {
        "forest": hand,
        "linear": hand,
        "rocket": MiniRocketFeatures(1008, standardize=standardize, random_state=args.seed, **told),
        "spectra": Once(Spectra(32 if short else 64, highest=HIGHEST[sensor], standardize=standardize, **told)),
        "raw": Once(RawWindows(64 if short else 256, standardize=standardize, **told)),
    }
    for key in (key for key in made if key in args.rows):
        of = repr(getattr(made[key], "transformer", made[key]))
        forest = key == "forest"
        yield Row(ROWS[key], "baseline", made[key], f"{key}: {of}", forest, in_few=key in ("forest", "linear", "raw"))


def checkpoint(args, name, source, windows):
    """An encoder, or the one that stands in for it on this set."""
    encoder, of = from_pretrained(source, device=args.device), TASKS[name].of
    if source not in args.instead or not takes(encoder, windows):
        return encoder
    folder = Path(args.instead[source].replace("{set}", of))
    if folder.exists():
        print(f"{name}: {source} is {folder}, trained without {of}", flush=True)
        return from_pretrained(folder, device=args.device)
    if of in encoder.training_.get("data", []):
        raise SystemExit(f"{source} was trained on {of}, and --instead names {folder}, which is not there.")
    return encoder


def takes(encoder, windows):
    """Whether an encoder is of the sensor and the length of the windows."""
    own, (_, n_channels, n_times) = encoder.contract_, windows.data.shape
    return (own.units, own.n_channels, own.n_times_at(windows.sfreq)) == (windows.units, n_channels, n_times)


def in_words(contract):
    return f"windows of {contract.n_channels} x {contract.seconds:g} s in {contract.units}"


def of_net(name, kind, encoder, **more):
    arrays = encoder.net_.state_dict()
    weights = hashlib.sha256(b"".join(arrays[key].numpy(force=True).tobytes() for key in sorted(arrays))).hexdigest()
    n_parameters = sum(array.numel() for array in encoder.net_.parameters())
    of = f"{type(encoder).__name__} {in_words(encoder.contract_)} {weights}"
    return Row(name, kind, Once(encoder), of, n_parameters=n_parameters, **more)


# --- the answers


def compared(args, name, windows, rows):
    """All rows of a question on the same draws of participants."""
    kept = {row.name: answered(args, name, windows, row) for row in rows}
    n = np.arange(len(windows.groups))[:, None]
    table = evaluation.compare(
        {row.name: replayed(kept[row.name], row, windows) for row in rows},
        {TASKS[name].of: (n, windows.target, windows.groups)},
        baselines=[row.name for row in rows if row.kind == "baseline"],
        **how(args, name, windows),
    )
    told = {row.name: (kept[row.name]["seconds_per_1000"], row.n_parameters) for row in rows}
    table["seconds_per_1000"] = [told[row][0] if row in told else np.nan for row in table["encoder"]]
    table["n_parameters"] = pd.array([told[row][1] if row in told else None for row in table["encoder"]], dtype="Int64")
    table["n_bytes"] = 4 * table["n_parameters"]
    table.insert(0, "question", name)
    return table


def how(args, name, windows):
    """What an evaluation is told beside windows."""
    task = task_of(windows)
    return {"task": task, "cv": N_FOLDS, "scoring": list(TASKS[name].scoring), "random_state": args.seed}


def task_of(windows):
    return "regression" if windows.target.dtype.kind == "f" else "classification"


def answered(args, name, windows, row):
    """The answers of one row, from its file where they are there."""
    file, key = args.out / slug(name) / f"{slug(row.name)}.npz", key_of(args, windows, row)
    if file.exists():
        with np.load(file) as stored:
            if str(stored["key"]) == key:
                return dict(stored)
    start = time.perf_counter()
    kept = answer(args, name, windows, row) | {"key": key}
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **kept)
    print(f"{name}: {row.name}  ({time.perf_counter() - start:.0f} s)", flush=True)
    return kept


def key_of(args, windows, row):
    """What the answers depend on."""
    told = [row.of, repr(forest(args, windows)) if row.forest else str(PENALTIES), str(args.seed), str(N_FOLDS)]
    asked = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return f"{digest(windows.data, windows.target, windows.groups)} {asked}"


def digest(*arrays):
    seen = hashlib.sha256()
    for array in arrays:
        seen.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return seen.hexdigest()


def answer(args, name, windows, row):
    """What a row says of each window when its participant is left out, and how long features and answers take."""
    y, groups = windows.target, windows.groups
    told = how(args, name, windows) | {"n_bootstraps": 2}  # intervals come later, for all rows at once
    if row.forest:
        Z = row.features.transform(windows.data)
        done = evaluation.fine_tune(forest(args, windows), Z, y, groups, **told)
        seconds = done.seconds_per_window
    else:
        penalties = PENALTIES[task_of(windows)]
        done = evaluation.linear_probe(row.features, windows.data, y, groups, penalties=penalties, **told)
        seconds = 0 if isinstance(row.features, Once) else done.seconds_per_window
    seconds += getattr(row.features, "seconds", 0) / len(y)  # once, whoever asked first
    said = done.predictions.set_index("window").sort_index()
    likely = said.filter(regex="^p_").to_numpy(dtype=np.float32)
    return {"said": said["y_pred"].to_numpy().astype(y.dtype), "likely": likely, "seconds_per_1000": 1000 * seconds}


def forest(args, windows):
    """What hand-made features usually go with."""
    told = {"n_estimators": 300, "min_samples_leaf": 2, "random_state": args.seed}
    if task_of(windows) == "regression":
        return RandomForestRegressor(max_features="sqrt", **told)
    return RandomForestClassifier(class_weight="balanced_subsample", **told)


class Classes(ClassifierMixin, BaseEstimator):
    """A classifier that says of row numbers what was said of those windows."""

    def __init__(self, said, likely, classes):
        self.said, self.likely, self.classes = said, likely, classes

    def fit(self, rows, y):
        self.classes_ = self.classes
        return self

    def predict(self, rows):
        return self.said[rows[:, 0]]

    def predict_proba(self, rows):
        return self.likely[rows[:, 0]]


class Numbers(RegressorMixin, BaseEstimator):
    """The same of numbers."""

    def __init__(self, said):
        self.said = said

    def fit(self, rows, y):
        self.fitted_ = True
        return self

    def predict(self, rows):
        return self.said[rows[:, 0]]


def replayed(kept, row, windows):
    """Kept answers as an estimator, with what the card of the weights says of their training."""
    if task_of(windows) == "regression":
        estimator = Numbers(kept["said"])
    else:
        estimator = Classes(kept["said"], kept["likely"], np.unique(windows.target))
    estimator.training_ = {"data": list(row.data)}
    return estimator


def slug(name):
    return re.sub(r"\W+", "-", name).strip("-")


# --- the tables


def print_tables(args, comparison):
    """Pooled scores with intervals over participants; then how far each encoder is from the best baseline."""
    comparison = comparison.assign(dataset=comparison["question"])
    first = comparison.groupby("dataset")["score"].transform("first") == comparison["score"]
    comparison = averaged(comparison[first])
    table = evaluation.comparison_table(comparison)
    table = table.reindex(sorted(table.index, key=lambda row: place(args, row)))
    for row in comparison[comparison["seen"]].itertuples():
        table.loc[row.encoder, f"{row.dataset}, {row.score}"] += " *"
    print(f"\n{evaluation.to_markdown(table)}")
    if comparison["seen"].any():
        print("\n\\* pretrained on this very set: no evidence")
    gaps = comparison[comparison["kind"] == "encoder"]
    if len(gaps):
        print(f"\n{evaluation.to_markdown(differences(gaps))}")

    for source in args.encoders if args.only == list(SETS) else ():
        if source not in table.index:
            print(f"\n{source} has no windows here: it takes {in_words(from_pretrained(source).contract_)}")


def place(args, row):
    """Encoders come first, each with its untrained net; what looks at nothing comes last."""
    source, baselines = row.removesuffix(", untrained"), list(ROWS.values())
    if source in args.encoders:
        return 0, args.encoders.index(source), row != source
    return 1, baselines.index(row) if row in baselines else len(baselines), 0


def averaged(comparison):
    """Untrained nets of several seeds as one row; scores, ends of intervals and times are averaged."""
    named = comparison.assign(encoder=comparison["encoder"].str.replace(r"(, untrained) \d+$", r"\1", regex=True))
    keys = ["dataset", "score", "encoder"]
    numbers = named.select_dtypes("number").columns.difference(["n_parameters", "n_bytes"])
    means = named.groupby(keys, sort=False)[list(numbers)].mean()
    return named.drop_duplicates(keys).drop(columns=numbers).merge(means.reset_index(), on=keys)


def differences(gaps):
    """Encoder less best baseline, with its interval, and which baseline that is."""
    sign = "{:+.3f} ({:+.3f} to {:+.3f}), {}"
    cells = [
        sign.format(row.difference, row.difference_low, row.difference_high, row.against) for row in gaps.itertuples()
    ]
    columns = gaps["dataset"] + ", " + gaps["score"] + ", to the best baseline"
    table = gaps.assign(cell=cells, column=columns).pivot(index="encoder", columns="column", values="cell")
    return table.reindex(index=gaps["encoder"].unique(), columns=columns.unique()).fillna("").rename_axis("encoder")


# --- few labels


def few_labels(args, name, windows, row):
    """What is reached with the labels of few participants, from its file where it is there."""
    file, key = args.out / slug(name) / f"{slug(row.name)}-few-labels.csv", key_of(args, windows, row)
    key = f"{key} {args.repeats} {FEW} {OF_FEW}"
    if file.exists():
        table = pd.read_csv(file)
        if (table["key"] == key).all():
            return table
    start = time.perf_counter()
    told = how(args, name, windows) | {"participants": FEW, "windows": (), "repeats": args.repeats}
    learner, X = row.features, windows.data
    if row.forest:
        learner, X = forest(args, windows), row.features.transform(X)
    else:
        told["penalties"] = OF_FEW
    table = evaluation.label_efficiency(learner, X, windows.target, windows.groups, **told)
    table.assign(set=name, row=row.name, key=key).to_csv(file, index=False)
    print(f"{name}: {row.name}, few labels  ({time.perf_counter() - start:.0f} s)", flush=True)
    return table


def print_few_labels(few):
    """Mean over draws of the pooled score, with its interval over tested participants."""
    for name, tables in few.items():
        score = TASKS[name].scoring[0]
        cells = {row: of_sizes(table[table["score"] == score]) for row, table in tables.items()}
        table = pd.DataFrame(cells).T.rename_axis(f"{name}, {SCORES[score]} by labelled participants")
        print(f"\n{evaluation.to_markdown(table)}")


def of_sizes(table):
    return {f"{row.size_:g}": f"{row.mean_:.3f} ({row.low:.3f} to {row.high:.3f})" for row in renamed(table)}


def renamed(table):
    return table.rename(columns={"size": "size_", "mean": "mean_"}).itertuples()


def draw_few_labels(few, path):
    """The same as a picture, where matplotlib is there."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    from wearembed.plots import LabelEfficiencyDisplay

    figure = Figure(figsize=(4 * len(few) + 3, 4), layout="constrained")
    axes = figure.subplots(1, len(few), squeeze=False)[0]
    for ax, (name, tables) in zip(axes, few.items()):
        LabelEfficiencyDisplay.from_result(tables, score=TASKS[name].scoring[0], ax=ax)
        ax.set_title(name)
    for ax in axes[:-1]:
        ax.get_legend().remove()  # the rows are the same
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
