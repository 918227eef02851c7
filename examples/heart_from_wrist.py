"""What a wrist's acceleration knows of the heart, once a PPG encoder has taught it; held-out people, with baselines.

    python examples/heart_from_wrist.py simulated
    python examples/heart_from_wrist.py e4 --data FOLDER

Windows of 60 s. An encoder is trained without labels on some people's windows of acceleration (a student on their PPG
too), a ridge regression then reads heart rate, SDNN and RMSSD from its embeddings, and both are tested on other people.
``simulated`` takes `datasets.make_ppg_accel`, whose truth is known, and one split of its people. ``e4`` takes
recordings of the Stress-Predict study (``S01.npz`` and on: ``bvp`` at 64 Hz, ``acc`` at 32 Hz in g, ``hr`` at
``t_hr``), folds of people, and the heart rate that the device itself derived from its PPG.

Each finished row is kept in ``--work``, one file each, and training inside a row is kept epoch by epoch, so that the
same line run again goes on. At the end come the tables, with intervals over people.
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wearembed import (
    AccelContrastiveEncoder,
    AccelMaskedEncoder,
    DistilledAccelEncoder,
    FineTunedRegressor,
    HandmadeFeatures,
    PPGContrastiveEncoder,
    PPGMaskedEncoder,
    from_pretrained,
    metrics,
    signals,
)
from wearembed.datasets import make_ppg_accel

SFREQ = 64.0
TARGETS = {"heart_rate": "heart rate, bpm", "sdnn": "SDNN, ms", "rmssd": "RMSSD, ms"}
ROWS = {
    "mean": "the mean of the training people",
    "hand": "hand-made features of acceleration",
    "untrained": "untrained student",
    "accel-masked": "Accel-MAE",
    "accel-contrastive": "Accel-CL",
    "supervised": "supervised from scratch",
    "from-masked": "distilled from PPG-MAE",
    "from-contrastive": "distilled from PPG-CL",
    "from-segment": "distilled from PPG-CL of pairs of one window",
    "no-augmentation": "distilled from PPG-MAE, no augmentation",
    "joint": "distilled from PPG-MAE, teacher trained along",
    "joint-untrained": "distilled from an untrained PPG net, trained along",
    "half": "distilled from PPG-MAE, student of half the width",
    "teacher-untrained": "PPG: untrained transformer",
    "teacher-masked": "PPG: PPG-MAE, the teacher",
    "teacher-contrastive": "PPG: PPG-CL, the teacher",
    "teacher-segment": "PPG: PPG-CL of pairs of one window, the teacher",
}
PAIRS = {"accel-contrastive", "teacher-contrastive", "teacher-segment"}  # half the epochs, of twice the windows
LABELS = {"supervised-0.1": 0.1, "supervised-0.01": 0.01}  # share of the labels that supervision sees
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)


class Windows(NamedTuple):
    """Pairs of windows, standardised by the encoders themselves, and what is known of each."""

    ppg: np.ndarray  # (n, 1, 3840)
    accel: np.ndarray  # (n, 3, 3840), g
    y: np.ndarray  # (n, n_targets), NaN where not known
    targets: list
    groups: np.ndarray
    still: np.ndarray  # passes the low-motion gate
    folds: list  # of (train, test) rows


def main():
    """Run what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=["simulated", "e4"])
    parser.add_argument("--data", type=Path, help="folder of S01.npz and on, for e4")
    parser.add_argument("--work", type=Path, help="where rows and weights are kept (evidence/SET)")
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, *LABELS], default=[*ROWS, *LABELS], metavar="ROW")
    parser.add_argument("--participants", type=int, default=420, help="simulated (%(default)s, 100 of them to test)")
    parser.add_argument("--windows", type=int, default=20, help="of each (%(default)s)")
    parser.add_argument("--pulse", type=float, default=2.0, help="how strongly a beat shakes the wrist (%(default)s)")
    parser.add_argument("--folds", type=int, default=3, help="of the people of e4 (%(default)s)")
    parser.add_argument("--epochs", type=int, default=12, help="of training, half of them by pairs (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=128, help="(%(default)s)")
    parser.add_argument("--width", type=int, default=36, help="of the EfficientNets, expansion 4 (%(default)s)")
    parser.add_argument("--temperature", type=float, default=0.2, help="of distillation (%(default)s)")
    parser.add_argument("--precision", default="auto", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--tables-only", action="store_true", help="of what is there")
    args = parser.parse_args()
    args.work = args.work or Path("evidence") / args.set
    args.work.mkdir(parents=True, exist_ok=True)
    windows = simulated(args) if args.set == "simulated" else stress_predict(args)
    print(
        f"{len(windows.ppg)} windows of {len(set(windows.groups))} people, {windows.still.mean():.0%} still", flush=True
    )
    for fold, (train, test) in enumerate(windows.folds):
        for row in [] if args.tables_only else args.rows:
            file = args.work / f"{row}-fold-{fold}-seed-{args.seed}.npz"
            if not file.exists():
                start = time.perf_counter()
                made = Maker(args, windows, train, test, fold).run(row)
                np.savez(file, **made)
                error = np.nanmean(np.abs(made["predicted"] - windows.y[test]), 0)
                print(f"fold {fold}  {row}  {np.round(error, 2)}  ({time.perf_counter() - start:.0f} s)", flush=True)
    tables(args, windows)


# --- windows


def simulated(args) -> Windows:
    """Still windows of simulated people, the last hundred (or quarter) of whom are for testing."""
    wrist = make_ppg_accel(
        args.participants, args.windows, n_ppg_channels=1, motion=0.0, pulse=args.pulse, random_state=args.seed
    )
    people = np.unique(wrist.groups)
    test = np.isin(wrist.groups, people[-min(100, len(people) // 4) :])
    y = np.stack([wrist[name] for name in TARGETS], 1)
    return prepared(wrist.ppg, wrist.accel, y, list(TARGETS), wrist.groups, [(~test, test)], SFREQ)


def stress_predict(args) -> Windows:
    """Minutes of 25 people, 30 s apart, with the heart rate that the device gave, averaged."""
    parts = []
    for file in sorted(args.data.glob("S*.npz")):
        with np.load(file) as d:
            bvp, acc, hr, t_hr = d["bvp"], d["acc"], d["hr"], d["t_hr"]
        for start in range(0, min(len(bvp) // 64, len(acc) // 32) - 60, 30):
            inside = (t_hr >= start) & (t_hr < start + 60)
            if inside.sum() < 50:  # the device gives one value a second, beginning at ten
                continue
            pulse, moved = bvp[64 * start : 64 * (start + 60)], acc[32 * start : 32 * (start + 60)]
            if np.ptp(pulse) > 0:
                parts.append((pulse[None], moved.T, [hr[inside].mean()], file.stem))
    ppg, accel, y, groups = (np.array(column) for column in zip(*parts))
    folds = GroupKFold(args.folds, shuffle=True, random_state=args.seed).split(ppg, groups=groups)
    masks = [(np.isin(np.arange(len(ppg)), train), np.isin(np.arange(len(ppg)), test)) for train, test in folds]
    return prepared(ppg, accel, y, ["heart_rate"], groups, masks, 32.0)


def prepared(ppg, accel, y, targets, groups, folds, accel_sfreq) -> Windows:
    still = signals.low_motion(accel, accel_sfreq)
    high = min(20.0, 0.49 * accel_sfreq)
    accel = signals.bandpass(accel, accel_sfreq, 0.5, high)
    accel = signals.resample(accel, accel_sfreq, SFREQ)
    ppg = signals.prepare_ppg(ppg, SFREQ)
    return Windows(ppg.astype(np.float32), accel.astype(np.float32), y, targets, groups, still, folds)


# --- the rows


class Maker:
    """Makes one row of one fold: predictions for the test windows, and embeddings where there are any."""

    def __init__(self, args, windows, train, test, fold):
        self.args, self.windows, self.train, self.test = args, windows, train, test
        self.folder = args.work / f"fold-{fold}-seed-{args.seed}"
        self.size = (args.width, 4)

    def run(self, row) -> dict:
        """Predictions ``(n_test, n_targets)``; ``Z`` and, for students, the teacher's ``G``, all windows each."""
        if row == "mean":
            return {"predicted": np.tile(np.nanmean(self.windows.y[self.train], 0), (self.test.sum(), 1))}
        if row.startswith("supervised"):
            return {"predicted": self.supervised(LABELS.get(row, 1.0), row)}
        if row == "hand":
            Z = HandmadeFeatures("accel-heart", sfreq=SFREQ).transform(self.windows.accel)
        else:
            X = self.windows.ppg if row.startswith("teacher") else self.windows.accel
            Z = self.encoder(row).transform(X)
        return {"predicted": self.probed(Z), "Z": Z.astype(np.float32)}

    def encoder(self, row):
        """A trained encoder, from its folder where it is there already."""
        folder = self.folder / row
        if not (folder / "config.json").exists():
            fit = {"accel-masked": self.accel, "accel-contrastive": self.accel, "untrained": self.untrained}
            fit |= {name: self.teacher for name in ROWS if name.startswith("teacher")}
            fit.get(row, self.student)(row).save_pretrained(folder)
        return from_pretrained(folder, precision=self.args.precision)

    def teacher(self, row):
        kind = {"masked": self.masked(PPGMaskedEncoder), "contrastive": self.contrastive(PPGContrastiveEncoder)}
        kind["segment"] = partial(kind["contrastive"], positives="segment")
        if row == "teacher-untrained":
            return quietly(kind["masked"](max_epochs=0), self.windows.ppg[self.train])
        return self.fitted(kind[row.removeprefix("teacher-")], row, self.windows.ppg)

    def accel(self, row):
        make = self.masked(AccelMaskedEncoder) if row == "accel-masked" else self.contrastive(AccelContrastiveEncoder)
        return self.fitted(make, row, self.windows.accel)

    def untrained(self, row):
        return quietly(self.contrastive(AccelContrastiveEncoder)(max_epochs=0), self.windows.accel[self.train])

    def student(self, row):
        teacher = teacher_of(row)
        self.encoder(teacher)
        size = (self.args.width // 2, 4) if row == "half" else self.size
        make = partial(
            DistilledAccelEncoder,
            self.folder / teacher,
            size,
            temperature=self.args.temperature,
            augment=row != "no-augmentation",
            joint=row.startswith("joint"),
            lr=3e-3,
            **self.run_parameters(),
        )
        return self.fitted(make, row, self.windows.accel, paired=self.windows.ppg[self.train])

    def masked(self, kind):
        return partial(kind, (48, 3, 192), lr=2e-3, **self.run_parameters())

    def contrastive(self, kind):
        return partial(kind, self.size, lr=2e-3, **self.run_parameters())

    def run_parameters(self):
        a = self.args
        return {"batch_size": a.batch_size, "precision": a.precision, "random_state": a.seed}

    def fitted(self, make, row, X, **paired):
        epochs = self.args.epochs // (2 if row in PAIRS else 1)
        encoder = make(max_epochs=max(1, epochs), checkpoint_dir=self.folder / f"{row}-training")
        return encoder.fit(X[self.train], groups=self.windows.groups[self.train], **paired)

    def supervised(self, share, row):
        """The student's net with a linear head, trained by labels for as many steps as the others."""
        some = labelled(self.windows, self.train, share, self.args.seed)
        epochs = min(200, round(self.args.epochs * self.train.sum() / len(some) / (1 if share == 1 else 4)))
        net = AccelContrastiveEncoder(self.size, max_epochs=0, **self.run_parameters())
        model = FineTunedRegressor(
            net,
            tune="scratch",
            lr=3e-3,
            max_epochs=max(1, epochs),
            checkpoint_dir=self.folder / f"{row}-training",
            sfreq=SFREQ,
            **self.run_parameters(),
        )
        model.fit(self.windows.accel[some], self.windows.y[some], groups=self.windows.groups[some])
        return model.predict(self.windows.accel[self.test]).reshape(self.test.sum(), -1)

    def probed(self, Z):
        """Ridge, its strength chosen by leave-one-out within the training people."""
        return np.stack([probe(Z, y, self.train).predict(Z[self.test]) for y in self.windows.y.T], 1)


def teacher_of(row):
    """The row that a student learns from, or that a baseline is turned towards."""
    if row == "joint-untrained":
        return "teacher-untrained"
    return row.replace("from", "teacher") if row.startswith("from") else "teacher-masked"


def probe(Z, y, rows):
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
    return model.fit(Z[rows], y[rows])


def labelled(windows, train, share, seed):
    """A random share of the training windows."""
    rows = np.flatnonzero(train)
    n = max(4, round(share * len(rows)))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:n])


def quietly(encoder, X):
    """Fit a net that is meant to learn nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return encoder.fit(X)


# --- the tables


def tables(args, windows):
    """Errors with intervals over people; retrieval; labels; written to CSV too."""
    found = {row: collected(args, windows, row) for row in [*ROWS, *LABELS]}
    found = {row: parts for row, parts in found.items() if parts}
    tested = np.any([test for _, test in windows.folds], 0)
    gates = {"all windows": tested} if windows.still.all() else {"still windows": tested & windows.still}
    gates |= {} if windows.still.all() else {"all windows": tested}
    for gate, rows in gates.items():
        report(args, f"errors, {gate}", errors(windows, found, rows))
    report(args, "retrieval of the minute", retrieved(args, windows, found))
    if args.set == "simulated":
        report(args, "heart rate error by share of labels", swept(args, windows, found))


def collected(args, windows, row):
    """What is kept of a row, fold by fold, where all folds are there."""
    files = [args.work / f"{row}-fold-{fold}-seed-{args.seed}.npz" for fold in range(len(windows.folds))]
    return [dict(np.load(file)) for file in files] if all(file.exists() for file in files) else None


def errors(windows, found, rows):
    """Mean absolute error, with a 95 % interval over people."""
    table = {}
    for row, parts in found.items():
        predicted = np.full_like(windows.y, np.nan, dtype=float)
        for part, (_, test) in zip(parts, windows.folds):
            predicted[test] = part["predicted"]
        error = pd.DataFrame(np.abs(predicted - windows.y)[rows], columns=windows.targets)
        by_person = error.groupby(windows.groups[rows]).agg(["sum", "count"])
        rng, drawn = np.random.default_rng(0), []
        for _ in range(1000):
            some = by_person.iloc[rng.integers(len(by_person), size=len(by_person))].sum()
            drawn.append([some[t, "sum"] / some[t, "count"] for t in windows.targets])
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
        cells = zip(windows.targets, error.mean(), low, high)
        table[name_of(row)] = {TARGETS[t]: f"{m:.2f} ({a:.2f} to {b:.2f})" for t, m, a, b in cells}
    return pd.DataFrame(table).T


def retrieved(args, windows, found):
    """Student to teacher and back among held-out windows, and within a person; the baseline is turned to fit."""
    table = {}
    for row in found:
        teacher = teacher_of(row)
        student = row.startswith("from") or row in ("no-augmentation", "half")  # whose teacher stays as it is
        turned = row in ("accel-masked", "accel-contrastive", "untrained")
        if teacher not in found or not (student or turned):
            continue
        scores = []
        for part, taught, (train, test) in zip(found[row], found[teacher], windows.folds):
            gallery = StandardScaler().fit(taught["Z"][train]).transform(taught["Z"])
            Z = (
                metrics.procrustes_align(part["Z"][train], gallery[train], part["Z"][test])
                if turned
                else part["Z"][test]
            )
            groups = windows.groups[test]
            there = metrics.retrieval(Z, gallery[test], groups=groups, random_state=args.seed)
            back = metrics.retrieval(gallery[test], Z, groups=groups, random_state=args.seed)
            within = metrics.retrieval_within(Z, gallery[test], groups, random_state=args.seed)
            scores.append(
                {**told(there, "accel to PPG"), **told(back, "PPG to accel"), **told(within, "within a person")}
            )
        label = name_of(row) + (", turned (Procrustes)" if turned else "")
        table[label] = {key: " / ".join(s[key] for s in scores) for key in scores[0]}
    return pd.DataFrame(table).T


def told(scores, what):
    cells = {f"{what}, top 1 %": "top_1", f"{what}, top 10 %": "top_10"}
    out = {
        title: f"{100 * scores[key]:.1f} ± {100 * scores[key + '_sd']:.1f} (chance {100 * scores['chance_' + key]:.1f})"
        for title, key in cells.items()
    }
    rank = f"{scores['mean_rank']:.1f} ± {scores['mean_rank_sd']:.1f} (chance {scores['chance_mean_rank']:.1f})"
    return {**out, f"{what}, mean rank": rank}


def swept(args, windows, found):
    """The probe's error by the share of training windows that it is told the labels of."""
    (train, test), table = windows.folds[0], {}
    for row, parts in found.items():
        if "Z" in parts[0]:
            Z, y = parts[0]["Z"], windows.y[:, 0]
            cells = {}
            for share in SHARES:
                model = probe(Z, y, labelled(windows, train, share, args.seed))
                cells[f"{100 * share:g} %"] = f"{np.abs(model.predict(Z[test]) - y[test]).mean():.2f}"
            table[name_of(row)] = cells
    known = {"supervised": 1.0, **LABELS}
    cells = {
        f"{100 * s:g} %": errors(windows, {r: found[r]}, test).iloc[0, 0].split()[0]
        for r, s in known.items()
        if r in found
    }
    table[ROWS["supervised"]] = cells
    return pd.DataFrame(table).T.reindex(columns=[f"{100 * share:g} %" for share in SHARES]).fillna("")


def name_of(row):
    return ROWS.get(row) or f"supervised from scratch, {100 * LABELS[row]:g} % of the labels"


def report(args, title, table):
    """Print as Markdown, and keep as CSV."""
    if not len(table):
        return
    table.to_csv(args.work / f"{title.replace(' ', '-').replace(',', '')}.csv")
    print(f"\n{title}\n\n| | {' | '.join(table.columns)} |\n|---|{'---|' * len(table.columns)}")
    for name, cells in table.iterrows():
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
