"""What pairs of windows of one person teach, beside pairs of one window: PPG and ECG, participants apart.

    python examples/participant_pairs.py --data FOLDER --set e4 mitdb --out participant_pairs.csv
    python examples/participant_pairs.py --set ppg-simulated ecg-simulated --out participant_pairs.csv
    python examples/participant_pairs.py --ranks --out participant_pairs.csv

`FOLDER` holds stress_predict_e4 and mitdb_ecg, one .npz a participant: `bvp` at 64 Hz, and `ecg_uv` at 360 Hz. An
encoder is trained on some participants and judged on others:

- `top_1`: windows of the last third of a recording look for their person among windows of the first third of
  everybody held out, by cosine of standardised embeddings. Chance is one among the held out.
- `same_person_auc`: how often a window of the same person is more similar than one of another. Chance is 0.5, however
  many are held out, so that folds compare. Both are means over participants.
- `dispersion_ratio`, `effective_rank`: of the same standardised embeddings. The rank is `width` at most.
- simulated sets: ridge regression of traits on the mean embedding of a participant, fitted on those of training.

Intervals are 95 %, drawing participants anew; `difference` draws the same ones for both. `--ranks` repeats the order of
the paper's Table 3: losses and the effective rank of embeddings as they are, of people whom training has not seen.

Every fold is written to the CSV at once and not computed again; encoders stay in `--work`, where training goes on.
"""

import argparse
import csv
import json
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import find_peaks, welch
from scipy.stats import rankdata, skew
from sklearn.linear_model import RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from skorch.callbacks import Callback

from wearembed import ECGContrastiveEncoder, PPGContrastiveEncoder
from wearembed.datasets import make_ecg, make_ppg_accel
from wearembed.metrics import dispersion_ratio, effective_rank
from wearembed.signals import prepare_ecg, prepare_ppg


class Rule(NamedTuple):
    """What a set is, and sizes that two cores can bear; None takes all that there is."""

    sensor: str
    seconds: float
    sfreq: float  # of the encoder
    source: tuple[str, str, float] | None  # folder, array, Hz
    n_folds: int  # of three, how many are held out in turn
    participants: int | None
    windows: int | None
    epochs: int
    batch_size: int


SETS = {  # batches of about as many as there are training participants, so that few meet themselves
    "e4": Rule("ppg", 60, 64.0, ("stress_predict_e4", "bvp", 64.0), 3, None, None, 8, 16),
    "mitdb": Rule("ecg", 30, 128.0, ("mitdb_ecg", "ecg_uv", 360.0), 3, None, None, 8, 16),
    "ppg-simulated": Rule("ppg", 60, 64.0, None, 1, 180, 10, 12, 64),
    "ecg-simulated": Rule("ecg", 30, 128.0, None, 1, 180, 10, 12, 64),
}
ROWS = {
    "participant": "pairs of one participant",
    "segment": "pairs of one window",
    "untrained": "same net, untrained",
    "features": "hand-made: waves, spectrum, intervals",
    "intervals": "hand-made: intervals alone",
    "random": "random numbers",
}
RANKS = {  # parameters, and effective rank of 256 in the paper's Table 3
    "full method": ({}, {"ppg": 104.13, "ecg": 113.82}),
    "without KoLeo": ({"koleo": 0.0}, {"ppg": 101.29, "ecg": 108.84}),
    "SimCLR form": ({"koleo": 0.0, "momentum": None}, {"ppg": 98.87, "ecg": 103.65}),
}
OF_A_PERSON = ("top_1", "same_person_auc")
OF_A_FOLD = ("dispersion_ratio", "effective_rank")
TRAITS = {"age": "age_mae", "age_over_50": "age_auc", "bmi": "bmi_mae", "bmi_over": "bmi_auc", "sex": "sex_auc"}


class Windows(NamedTuple):
    """Windows of one set in order of time, whose they are, and what is known of the people."""

    X: np.ndarray  # (n, 1, 3840)
    groups: np.ndarray
    traits: pd.DataFrame | None  # of participants


def main():
    """Fill the CSV, then print it as a table."""
    args = arguments()
    names = [name for name in args.set if SETS[name].source is None or not args.ranks]
    if not names:
        raise SystemExit("--ranks is for the simulated sets.")
    for name in names:
        rule = settled(args, name)
        windows = read_windows(args, name, rule)
        (fill_ranks if args.ranks else fill_pairs)(args, name, rule, windows)
        if not args.ranks:
            summarise(args, name, rule, windows)
    if args.ranks:
        print_ranks(args, names)
        draw_curves(args, names)
    else:
        for name in names:
            print_pairs(args, name)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="folder with a folder for each real set")
    add("--set", nargs="+", choices=SETS, default=["ppg-simulated", "ecg-simulated"], help="(%(default)s)")
    add("--ranks", action="store_true", help="losses and effective ranks of three forms, in place of the rows")
    add("--out", type=Path, default=Path("participant_pairs.csv"), help="CSV, gone on with where it exists")
    add("--work", type=Path, help="where encoders are kept (beside --out)")
    add("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    add("--size", nargs=2, type=int, default=[36, 4], metavar=("WIDTH", "EXPANSION"), help="(%(default)s)")
    add("--epochs", type=int, help="8, simulated 12")
    add("--batch-size", type=int, help="16, simulated 64; at most as many as there are training participants is best")
    add("--lr", type=float, default=2e-3, help="(%(default)s)")
    add("--participants", type=int, help="all; simulated 180, a third of them for testing")
    add("--windows", type=int, help="of a participant, even over time: all; simulated 10")
    add("--precision", default="bfloat16", help="of training (%(default)s); embeddings are float32")
    add("--device", default="auto", help="(%(default)s)")
    add("--seed", type=int, default=0, help="of folds, simulation, nets and intervals (%(default)s)")
    args = parser.parse_args()
    args.work = args.work or args.out.with_suffix("")
    return args


def settled(args, name):
    """The set's rule with what was asked for; it has to be that of the numbers which the CSV already holds."""
    asked = {key: getattr(args, key) for key in ("participants", "windows", "epochs", "batch_size")}
    rule = SETS[name]._replace(**{key: value for key, value in asked.items() if value is not None})
    now = {key: getattr(rule, key) for key in asked} | {"size": args.size, "lr": args.lr, "precision": args.precision}
    file = args.work / f"{name}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(now))
    elif json.loads(file.read_text()) != now:
        raise SystemExit(f"{args.out} holds {name} with {file.read_text()}, now it is {json.dumps(now)}: name another.")
    return rule


# --- reading


def read_windows(args, name, rule):
    """Prepared windows, participant by participant."""
    start = time.perf_counter()
    prepare = prepare_ppg if rule.sensor == "ppg" else prepare_ecg
    if rule.source is None:
        how = {"n_participants": rule.participants, "n_windows": rule.windows, "random_state": args.seed}
        made = make_ecg(**how) if rule.sensor == "ecg" else make_ppg_accel(n_ppg_channels=1, motion=0.2, **how)
        X, groups = prepare(made.data if rule.sensor == "ecg" else made.ppg, made.sfreq), made.groups
        people = pd.DataFrame({"age": made.age, "sex": made.sex == "M", "bmi": made.bmi}, index=groups)
        traits = people.groupby(level=0).first().astype(float)
        common = 30 if (traits["bmi"] > 30).sum() >= 30 else 27
        traits["age_over_50"], traits["bmi_over"] = traits["age"] > 50.0, traits["bmi"] > common
        print(f"{name}: {(traits['bmi_over']).sum()} of {len(traits)} have a BMI above {common}", flush=True)
        traits = traits[list(TRAITS)].astype(float)
    else:
        parts = list(recorded(args.data, rule))
        X = np.concatenate([prepare(x, rule.source[2]) for _, x in parts])
        groups, traits = np.repeat([person for person, _ in parts], [len(x) for _, x in parts]), None
    X = X.astype(np.float32)
    print(f"{name}: {len(X)} windows of {len(set(groups))} in {time.perf_counter() - start:.0f} s", flush=True)
    return Windows(X, groups, traits)


def recorded(data, rule):
    """Yield each participant with windows (n, 1, n_times) as recorded, without those in which nothing changes."""
    folder, key, sfreq = rule.source
    files = sorted((data / folder).glob("*.npz")) if data else []
    if not files:
        raise SystemExit(f"No .npz in {folder}: --data names the folder that holds it.")
    length = round(rule.seconds * sfreq)
    for file in files[: rule.participants]:
        with np.load(file) as stored:
            x = stored[key].astype(np.float32)
        x = x[: len(x) // length * length].reshape(-1, 1, length)
        x = x[np.ptp(x, axis=-1)[:, 0] > 0]
        some = np.arange(len(x)) if rule.windows is None else np.linspace(0, len(x) - 1, min(rule.windows, len(x)))
        yield file.stem, x[some.round().astype(int)]


def folds(args, rule, windows):
    """Rows of training and of testing, no participant in both."""
    split = GroupKFold(3, shuffle=True, random_state=args.seed).split(windows.X, groups=windows.groups)
    return list(split)[: rule.n_folds]


# --- embeddings


def embed(args, name, rule, row, fold, windows, train):
    """What a row makes of all windows."""
    if row == "features":
        return np.stack([np.r_[intervals(x, rule), wave(x, rule)] for x in windows.X[:, 0]])
    if row == "intervals":
        return np.stack([intervals(x, rule) for x in windows.X[:, 0]])
    if row == "random":
        return np.random.default_rng(args.seed).normal(size=(len(windows.X), args.size[0]))
    how = {"max_epochs": 0} if row == "untrained" else {"positives": row}
    encoder = pretrained(args, name, rule, f"{row}-fold-{fold}", windows, train, **how)
    return encoder.set_params(precision="float32").transform(windows.X)


def pretrained(args, name, rule, row, windows, train, **how):
    """An encoder trained on the rows `train`; begun before, it goes on; ended before, it is there at once."""
    kind = PPGContrastiveEncoder if rule.sensor == "ppg" else ECGContrastiveEncoder
    folder = args.work / name / f"{row}-seed-{args.seed}".replace(" ", "-")
    common = {"size": tuple(args.size), "max_epochs": rule.epochs, "batch_size": rule.batch_size, "lr": args.lr}
    common |= {"precision": args.precision, "device": args.device, "random_state": args.seed}
    common |= {"checkpoint_dir": folder / "training", "callbacks": [Tell(f"{name}  {row}")]}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*max_epochs=0.*")  # that it has learned nothing
        encoder = kind(**(common | how)).fit(windows.X[train], groups=windows.groups[train])
    if not (folder / "model").exists():
        encoder.save_pretrained(folder / "model", data=[name], synthetic=rule.source is None)
    return encoder


class Tell(Callback):
    """A line an epoch."""

    def __init__(self, about):
        self.about = about

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        losses = "  ".join(f"{key} {epoch[key]:.3f}" for key in ("train_loss", "valid_loss") if key in epoch)
        print(f"{self.about}  epoch {epoch['epoch']}: {losses}  ({epoch['dur']:.0f} s)", flush=True)


def beats(x, rule):
    """Samples of the beats: high and 0.33 s apart at least, on the side to which the wave leans."""
    up = x * (np.sign(skew(x)) if rule.sensor == "ecg" else 1)
    return find_peaks(up, distance=round(rule.sfreq / 3), prominence=0.35 * (np.quantile(up, 0.98) - np.median(up)))[0]


def intervals(x, rule):
    """Heart rate and its variation: log median of the intervals, and two spreads relative to it."""
    rr = np.diff(beats(x, rule)) / rule.sfreq
    if len(rr) < 5:
        return np.zeros(3)
    low, middle, high = np.quantile(rr, [0.25, 0.5, 0.75])
    return np.array([np.log(middle), (high - low) / middle, np.median(np.abs(np.diff(rr))) / middle])


def wave(x, rule):
    """The median beat at 24 moments, its scatter, the window's skewness, and log power in eight bands."""
    around = np.round(np.linspace(-0.3, 0.5, 24) * rule.sfreq).astype(int)
    at = beats(x, rule)
    at = at[(at + around[0] >= 0) & (at + around[-1] < len(x))]
    each = x[at[:, None] + around] if len(at) > 2 else np.zeros((1, 24))
    f, power = welch(x, rule.sfreq, nperseg=round(8 * rule.sfreq))
    edges = np.array([0.4, 0.8, 1.2, 1.7, 2.4, 3.4, 4.8, 6.5, 9.0]) * (1 if rule.sensor == "ppg" else 4)
    bands = [np.log(power[(f >= low) & (f < high)].sum() + 1e-6) for low, high in zip(edges, edges[1:])]
    return np.r_[np.median(each, axis=0), each.std(0).mean(), skew(x), bands]


# --- A: pairs of one participant, pairs of one window


def fill_pairs(args, name, rule, windows):
    """Judge what is missing of each row and fold, and write it down."""
    done = read_results(args.out)
    for fold, (train, test) in enumerate(folds(args, rule, windows)):
        for row in args.only:
            if (name, row, str(args.seed), str(fold), OF_A_FOLD[-1]) in done:
                continue
            start = time.perf_counter()
            Z = embed(args, name, rule, row, fold, windows, train)
            lines = judge(args, Z, windows, train, test)
            write_results(args.out, [[name, row, args.seed, fold, *line] for line in lines])
            told = "  ".join(f"{m} {v:.3f}" for m, v, *_ in lines if " of " not in m)
            print(f"{name}  {row}  fold {fold}: {told}  ({time.perf_counter() - start:.0f} s)", flush=True)


def judge(args, Z, windows, train, test):
    """Measure, value, low and high of a fold: those of each participant first, then those of all."""
    scaled, groups = StandardScaler().fit(Z[train]).transform(Z[test]), windows.groups[test]
    persons = reidentified(scaled, groups)
    lines = [[m, persons[m].mean(), *interval(args, persons[m].to_numpy(), np.mean)] for m in OF_A_PERSON]
    if windows.traits is not None:
        persons = persons.join(probed(Z, windows, train, test))
    each = [[f"{m} of {p}", v, "", ""] for m in persons for p, v in persons[m].items()]
    values = dispersion_ratio(scaled, groups), effective_rank(scaled)
    return each + lines + [[m, v, "", ""] for m, v in zip(OF_A_FOLD, values)]


def reidentified(Z, groups):
    """`top_1` and `same_person_auc` of each participant."""
    place = pd.Series(groups).groupby(groups).transform(lambda own: np.arange(len(own)) / len(own)).to_numpy(float)
    early, late = place < 1 / 3 - 1e-9, place >= 2 / 3 - 1e-9
    likeness = normalize(Z[late]) @ normalize(Z[early]).T
    same = groups[late][:, None] == groups[early]
    top = same[np.arange(len(same)), likeness.argmax(1)].astype(float)
    n_same, n_other = same.sum(1), (~same).sum(1)
    above = (rankdata(likeness, axis=1) * same).sum(1) - n_same * (n_same + 1) / 2
    table = pd.DataFrame({"top_1": top, "same_person_auc": above / (n_same * n_other)})
    return table.groupby(groups[late]).mean()


def probed(Z, windows, train, test):
    """Each trait of held-out participants as ridge regression on the mean embedding tells it."""
    seen, new = (pd.DataFrame(Z[rows]).groupby(windows.groups[rows]).mean() for rows in (train, test))
    # 1e-10 to 1 are those of Apple's later code; the stronger ones are ours, for few participants.
    ridge = RidgeCV([1e-10, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000], alpha_per_target=True)
    model = make_pipeline(StandardScaler(), ridge).fit(seen.to_numpy(), windows.traits.loc[seen.index].to_numpy())
    return pd.DataFrame(model.predict(new.to_numpy()), index=new.index, columns=list(TRAITS))


def summarise(args, name, rule, windows):
    """Write the measures over all folds, and the difference of the two kinds of pairs, once all folds are there."""
    done = read_results(args.out)
    tables = {row: of_persons(done, name, row, args.seed) for row in ROWS}
    tables = {row: table for row, table in tables.items() if len(table) == len(held_out(args, rule, windows))}
    lines = [[row, *line] for row, table in tables.items() for line in overall(args, table, windows.traits)]
    if {"participant", "segment"} <= set(tables):
        both = tables["participant"], tables["segment"].loc[tables["participant"].index]
        lines += [["difference", *line] for line in overall(args, both[0], windows.traits, both[1])]
    keys = [(name, row, str(args.seed), "all", measure) for row, measure, *_ in lines]
    new = [line for line, key in zip(lines, keys) if key not in done]
    write_results(args.out, [[name, row, args.seed, "all", *line] for row, *line in new])


def held_out(args, rule, windows):
    return np.unique(np.concatenate([windows.groups[test] for _, test in folds(args, rule, windows)]))


def of_persons(done, name, row, seed):
    """What the CSV knows of each participant of a row, a column for each measure."""
    known = [(*key[4].split(" of "), v) for key, (v, *_) in done.items() if key[:3] == (name, row, str(seed))]
    known = [line for line in known if len(line) == 3]
    return pd.DataFrame(known, columns=["measure", "person", "v"]).pivot(index="person", columns="measure", values="v")


def overall(args, table, traits, minus=None):
    """Measure, value, low and high over all participants of `table`, or of its difference to another."""
    measures = {m: lambda chosen, m=m: chosen[m].mean() for m in OF_A_PERSON}
    if traits is not None:
        measures |= {TRAITS[m]: lambda chosen, m=m: trait_score(chosen[m], traits.loc[chosen.index, m]) for m in TRAITS}
    for measure, score in measures.items():

        def value(rows, score=score):
            other = 0 if minus is None else score(minus.iloc[rows])
            return score(table.iloc[rows]) - other

        rows = np.arange(len(table))
        yield [measure, value(rows), *interval(args, rows, value)]


def trait_score(told, truth):
    """Mean absolute error of a number; area under the ROC curve of yes and no; NaN where all are alike."""
    if set(truth) - {0.0, 1.0}:
        return float(np.abs(told - truth).mean())
    return roc_auc_score(truth, told) if truth.nunique() == 2 else np.nan


def interval(args, values, statistic, n_draws=500):
    """Where 95 % of the statistic lie as its values, one a participant, are drawn anew."""
    rng = np.random.default_rng(args.seed)
    drawn = [statistic(rng.choice(values, len(values))) for _ in range(n_draws)]
    return np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else ("", "")


# --- B: losses and effective ranks of three forms


def fill_ranks(args, name, rule, windows):
    """Train each form with a fifth of its participants watched, and write losses and rank down."""
    done = read_results(args.out)
    train, test = folds(args, rule, windows)[0]
    for row, (how, _) in RANKS.items():
        if (name, row, str(args.seed), "0", "effective_rank") in done:
            continue
        encoder = pretrained(args, name, rule, row, windows, train, validation_fraction=0.2, **how)
        Z = encoder.set_params(precision="float32").transform(windows.X[test])
        kinds = ("train_loss", "valid_loss")
        lines = [[f"{kind} in epoch {e['epoch']}", e[kind], "", ""] for kind in kinds for e in encoder.history_]
        lines += [["dispersion_ratio", dispersion_ratio(Z, windows.groups[test]), "", ""]]
        lines += [["effective_rank", effective_rank(Z), "", ""]]
        write_results(args.out, [[name, row, args.seed, 0, *line] for line in lines])


def curve(done, name, row, seed, kind):
    """A loss by epoch."""
    told = {key[4]: v for key, (v, *_) in done.items() if key[:3] == (name, row, str(seed))}
    return [told[m] for m in sorted((m for m in told if m.startswith(f"{kind} in")), key=lambda m: int(m.split()[-1]))]


def print_ranks(args, names):
    """Losses and effective rank beside the paper's, as Markdown. Losses with KoLeo hold a term more than the others."""
    done = read_results(args.out)
    for name in names:
        paper = f"paper's Table 3, of 256 ({SETS[name].sensor.upper()})"
        print(
            f"\n| {name} | train loss | valid loss | effective rank of {args.size[0]} | {paper} |\n|---|---|---|---|---|"
        )
        for row, (_, ranks) in RANKS.items():
            ends = [curve(done, name, row, args.seed, kind) for kind in ("train_loss", "valid_loss")]
            cells = " | ".join(f"{end[0]:.2f} to {end[-1]:.2f}" for end in ends)
            rank = done[name, row, str(args.seed), "0", "effective_rank"][0]
            print(f"| {row} | {cells} | {rank:.2f} | {ranks[SETS[name].sensor]:.2f} |")


def draw_curves(args, names):
    """Losses by epoch as a picture, where matplotlib is there."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    done = read_results(args.out)
    figure = Figure(figsize=(4.5 * len(names), 3.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        for colour, row in enumerate(RANKS):
            for kind, line in (("train_loss", "-"), ("valid_loss", "--")):
                y = curve(done, name, row, args.seed, kind)
                axes.plot(range(1, len(y) + 1), y, line, color=f"C{colour}", label=f"{row}, {kind[:5]}")
        axes.set(xlabel="epoch", ylabel="loss", title=name)
        axes.legend(fontsize=7)
    figure.savefig(args.out.with_suffix(".png"), dpi=120)


# --- the CSV and its table

HEADER = ["set", "row", "seed", "fold", "measure", "value", "low", "high"]


def write_results(path, lines):
    """Add lines to the CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        lines = [[f"{v:.6f}" if isinstance(v, float) else v for v in line] for line in lines]
        csv.writer(file).writerows([HEADER] * new + lines)


def read_results(path):
    """Value, low and high by set, row, seed, fold and measure."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        lines = [[line[key] for key in HEADER] for line in csv.DictReader(file)]
    return {tuple(line[:5]): tuple(float(v) if v else np.nan for v in line[5:]) for line in lines}


def print_pairs(args, name):
    """Measures on held-out participants, [95 % interval] and ± deviation over folds, as Markdown."""
    done = {
        key[1:2] + key[3:]: v for key, v in read_results(args.out).items() if key[0::2][:2] == (name, str(args.seed))
    }
    measures = [m for m in (*OF_A_PERSON, *OF_A_FOLD, *TRAITS.values()) if any(key[2] == m for key in done)]
    print(f"\n| {name} | {' | '.join(measures)} |\n|---|{'---|' * len(measures)}")
    for row, title in (ROWS | {"difference": "participant - window, paired"}).items():
        cells = [cell(done, row, measure) for measure in measures]
        if any(cells):
            print(f"| {title} | {' | '.join(cells)} |")


def cell(done, row, measure):
    values = [v[0] for key, v in done.items() if key[::2] == (row, measure) and key[1] != "all"]
    value, low, high = done.get((row, "all", measure), (np.mean(values) if values else np.nan, np.nan, np.nan))
    told = "" if np.isnan(value) else f"{value:.3f}"
    told += f" ± {np.std(values):.3f}" if len(values) > 1 else ""
    return told + ("" if np.isnan(low) else f" [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
