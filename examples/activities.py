"""What embeddings know of activities: real recordings, participants apart, beside simpler ways.

    python examples/activities.py --data FOLDER --out activities.csv

`FOLDER` holds a folder for each set, with one .npz a participant: `acc` (n, 3) in g, all recordings one after the
other, `length` and `sfreq` of each recording, and `label` of each sample. Windows of 2.56 s at 100 Hz are classified by
logistic regression on frozen embeddings; the same five folds of participants serve every row. Every fold is written to
the CSV at once, and a fold that stands there is not computed again.
"""

import argparse
import csv
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wearembed import HandmadeFeatures, RelConDistance, RelConEncoder, from_pretrained
from wearembed.recordings import Recording, cut

SECONDS, SFREQ = 2.56, 100.0
BUNDLED = "wearembed/relcon-synthetic"
N_FOLDS, N_UNTRAINED = 5, 3
FEWEST = 5  # participants that a label must have, so that each fold may hold it


class Rule(NamedTuple):
    """Seconds from one window to the next, and the middle part in which the label must not change."""

    step: float
    middle: float


# Most recordings hold one activity for long. Those of spsw_watch hold acts of about a second, so that no window holds
# one alone: there a window is asked what goes on in its middle.
SETS = {"hmp_wrist_adl": Rule(2.56, 2.05), "spsw_watch": Rule(0.64, 0.5), "wisdm_phone": Rule(2.56, 2.05)}


class Windows(NamedTuple):
    """Windows of one set, and whose they are."""

    X: np.ndarray  # (n, 3, 256)
    y: np.ndarray
    groups: np.ndarray
    session: np.ndarray


ROWS = {
    "bundled": f"{BUNDLED}, logistic",
    "untrained": "same net, untrained, logistic",
    "elsewhere": "same net, RelCon on the other two sets, logistic",
    "forest": "hand-made features, random forest",
    "linear": "hand-made features, logistic",
    "majority": "the most frequent label",
}


def main():
    """Fill the CSV, then print it as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each set")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("activities.csv"),
        help="CSV, gone on with where it exists; one for each --like",
    )
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), metavar="SET", help=", ".join(SETS))
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--encoders", nargs="+", default=[], metavar="NAME_OR_FOLDER", help="checkpoints to compare")
    parser.add_argument("--like", default=BUNDLED, help="checkpoint whose recipe the other nets take (%(default)s)")
    parser.add_argument("--epochs", type=int, default=2, help="of 'elsewhere' (%(default)s)")
    parser.add_argument("--at-most", type=int, default=6000, help="windows that 'elsewhere' draws (%(default)s)")
    parser.add_argument("--work", type=Path, help="where 'elsewhere' keeps its weights (beside --out)")
    parser.add_argument("--device", default="auto", help="of the encoders (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the folds and of training (%(default)s)")
    args = parser.parse_args()
    args.work = args.work or args.out.with_suffix("")
    done = read_results(args.out)
    for name in args.only:
        windows = read_windows(args.data, name)
        for row, make in planned(args, name, windows):
            missing = [fold for fold in range(N_FOLDS) if (name, row, str(args.seed), str(fold)) not in done]
            if missing:
                evaluate(args, name, row, make, windows, missing)
    print_table(read_results(args.out), args.only, args.seed)


# --- reading


def read_windows(data, name):
    """All windows of one set whose label is certain."""
    rule, parts = SETS[name], []
    for i, (recording, label) in enumerate(read_recordings(data / name)):
        X, index = cut(recording, SECONDS, SFREQ, step=rule.step)
        centre = (index["start"] - recording.start).dt.total_seconds().to_numpy() + SECONDS / 2
        first, last = (((centre + side * rule.middle / 2) * recording.sfreq).astype(int) for side in (-1, 1))
        changes = np.r_[0, np.cumsum(label[1:] != label[:-1])]
        sure = changes[first] == changes[np.minimum(last, len(label) - 1)]
        n = sure.sum()
        parts.append((X[sure], label[first[sure]], np.full(n, recording.participant), np.full(n, f"{name}-{i}")))
    windows = Windows(*(np.concatenate(column) for column in zip(*parts)))
    common = [label for label in np.unique(windows.y) if len(set(windows.groups[windows.y == label])) >= FEWEST]
    return Windows(*(column[np.isin(windows.y, common)] for column in windows))


def read_recordings(folder):
    """Yield each recording with the labels of its samples."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise SystemExit(f"No .npz in {folder}: --data names the folder that holds {', '.join(SETS)}.")
    for file in files:
        with np.load(file) as stored:
            acc, label, sfreq, length = (stored[key] for key in ("acc", "label", "sfreq", "length"))
        ends = np.cumsum(length)
        for start, end, rate in zip(ends - length, ends, sfreq):
            yield Recording(acc[start:end].T, float(rate), f"{folder.name}-{file.stem}", "g"), label[start:end]


# --- the rows


def planned(args, name, windows):
    """Yield the name of each row with a function that gives features and an unfitted classifier."""
    for source in args.encoders:
        yield (
            source,
            lambda source=source: (from_pretrained(source, device=args.device).transform(windows.X), logistic()),
        )
    makers = {
        "bundled": lambda: (from_pretrained(BUNDLED, device=args.device).transform(windows.X), logistic()),
        "elsewhere": lambda: (pretrained_elsewhere(args, name).transform(windows.X), logistic()),
        "forest": lambda: (HandmadeFeatures(sfreq=SFREQ, units="g").transform(windows.X), forest(args.seed)),
        "linear": lambda: (HandmadeFeatures(sfreq=SFREQ, units="g").transform(windows.X), logistic()),
        "majority": lambda: (np.zeros((len(windows.X), 1)), DummyClassifier(strategy="most_frequent")),
    }
    for row in args.rows:
        if row == "untrained":
            for seed in range(N_UNTRAINED):
                yield f"untrained-{seed}", lambda seed=seed: (untrained(args, windows.X, seed), logistic())
        else:
            yield (f"elsewhere-{args.epochs}" if row == "elsewhere" else row), makers[row]


def untrained(args, X, seed):
    """Features of a net that has learned nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it has learned nothing
        encoder = like(args, max_epochs=0, random_state=seed)
        return encoder.fit(X[:100]).transform(X)


def pretrained_elsewhere(args, name):
    """An encoder trained on every set but this one, kept in a folder of its own."""
    folder = args.work / f"{Path(args.like).name}-without-{name}-{args.epochs}-epochs-seed-{args.seed}"
    if not (folder / "model").exists():
        others = [other for other in SETS if other != name]
        X, _, groups, session = (np.concatenate(c) for c in zip(*(read_windows(args.data, other) for other in others)))
        some = np.random.default_rng(args.seed).permutation(len(X))[: args.at_most]
        X, groups, session = X[some], groups[some], session[some]
        encoder = like(args, max_epochs=args.epochs, random_state=args.seed).set_params(
            checkpoint_dir=folder / "training", distance__checkpoint_dir=folder / "distance"
        )
        encoder.fit(X, groups=groups, session=session).save_pretrained(folder / "model", data=others, synthetic=False)
    return from_pretrained(folder / "model", device=args.device)


def like(args, **params):
    """An encoder with the nets and the recipe of a checkpoint, but not with its weights."""
    params = {**params, "device": args.device}
    model = RelConEncoder.from_pretrained(args.like)
    of_the_net = {key: getattr(model, key) for key in ("width", "blocks", "kernels")}
    of_training = {key: getattr(model, key) for key in ("mates", "temperature", "sampler", "batch_size", "lr")}
    known = model.distance_ or RelConDistance()
    kept = ("dim", "kernel", "n_dilated", "bottleneck", "attention", "center", "time_warp", "batch_size", "lr")
    distance = RelConDistance(**{key: getattr(known, key) for key in kept}, **params)
    return RelConEncoder(**of_the_net, **of_training, distance=distance, **params)


def logistic():
    """Logistic regression whose strength is chosen on participants held out within the training folds."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, tol=1e-3, class_weight="balanced"))
    strengths = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]}
    return GridSearchCV(model, strengths, cv=GroupKFold(3), scoring="f1_macro")


def forest(seed):
    """The classifier that hand-made features usually go with."""
    return RandomForestClassifier(300, min_samples_leaf=2, class_weight="balanced_subsample", random_state=seed)


# --- the folds


def evaluate(args, name, row, make, windows, missing):
    """Score the missing folds of one row and write each down."""
    start = time.perf_counter()
    Z, classifier = make()
    folds = GroupKFold(N_FOLDS, shuffle=True, random_state=args.seed)
    for fold, (train, test) in enumerate(folds.split(Z, windows.y, windows.groups)):
        if fold not in missing:
            continue
        told = {"groups": windows.groups[train]} if isinstance(classifier, GridSearchCV) else {}
        predicted = classifier.fit(Z[train], windows.y[train], **told).predict(Z[test])
        present = np.unique(windows.y[test])
        score = f1_score(windows.y[test], predicted, labels=present, average="macro", zero_division=0)
        seconds = time.perf_counter() - start
        print(f"{name}  {row}  fold {fold}: macro F1 {score:.3f}  ({seconds:.0f} s)", flush=True)
        write_result(args.out, [name, row, args.seed, fold, f"{score:.6f}", len(train), len(test)])


HEADER = ["set", "row", "seed", "fold", "macro_f1", "n_train", "n_test"]


def write_result(path, values):
    """Add a line to the CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        csv.writer(file).writerows([HEADER] * new + [values])


def read_results(path):
    """Scores by set, row, seed and fold."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {tuple(line[key] for key in HEADER[:4]): float(line["macro_f1"]) for line in csv.DictReader(file)}


def print_table(done, sets, seed):
    """Macro F1 on held-out participants, mean and deviation over the folds, seeds averaged, as Markdown."""
    scores = {}
    for (name, row, of_seed, fold), score in done.items():
        if of_seed == str(seed):
            row = "untrained" if row.startswith("untrained-") else row
            scores.setdefault(row, {}).setdefault(name, {}).setdefault(fold, []).append(score)
    print(f"\n| macro F1, {N_FOLDS} folds of participants | {' | '.join(sets)} |\n|---|{'---|' * len(sets)}")
    for row, by_set in scores.items():
        folds = [[np.mean(nets) for nets in by_set.get(name, {}).values()] for name in sets]
        cells = [f"{np.mean(means):.3f} ± {np.std(means):.3f}" if means else "" for means in folds]
        kind, _, epochs = row.partition("-")
        title = f"{ROWS[kind]} ({epochs} epochs)" if kind == "elsewhere" else ROWS.get(row, row)
        print(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
