"""What pairs of windows of one person teach, beside pairs of one window: PPG and ECG, participants apart.

    python examples/participant_pairs.py --data FOLDER --set e4 mitdb --out participant_pairs.csv
    python examples/participant_pairs.py --set ppg-simulated ecg-simulated --out participant_pairs.csv
    python examples/participant_pairs.py --ranks --out participant_ranks.csv

`FOLDER` holds stress_predict_e4 and mitdb_ecg, one .npz a participant: `bvp` at 64 Hz, and `ecg_uv` at 360 Hz. An
encoder is trained on some participants and judged on others:

- `top_1`: windows of the last third of a recording look for their person among windows of the first third of
  everybody held out, by cosine of embeddings standardised by those of training. Chance is one among the held out.
- `same_person_auc`: how often a window of the same person is more similar than one of another. Chance is 0.5, however
  many are held out, so that folds compare. Both are means over participants.
- `dispersion_ratio`, `effective_rank`: of the same standardised embeddings. The rank of a net is `width` at most.
- simulated sets: ridge regression of traits on the mean embedding of a participant, fitted on those of training.

Brackets are 95 % of draws of the held-out participants, the same draws in each row, with the nets as they are: another
training is another --seed. `--ranks` repeats the order of the paper's Table 3: losses, and the effective rank of
embeddings as they are, of people whom training has not seen.

Every fold is written to the CSV at once and not computed again; encoders stay in `--work`, where training goes on.
"""

import argparse
import csv
import json
import time
import warnings
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks, welch
from scipy.stats import rankdata, skew
from sklearn.linear_model import RidgeCV
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
    sfreq: float  # as recorded; 64 Hz (PPG) and 128 Hz (ECG) once prepared
    seconds: float
    source: tuple[str, str] | None  # folder and array
    n_folds: int  # of three, how many are held out in turn
    participants: int | None
    windows: int | None
    epochs: int
    batch_size: int


SETS = {  # in a batch no more windows than there are training participants, so that few meet themselves
    "e4": Rule("ppg", 64.0, 60, ("stress_predict_e4", "bvp"), 3, None, None, 8, 16),
    "mitdb": Rule("ecg", 360.0, 30, ("mitdb_ecg", "ecg_uv"), 3, None, None, 8, 15),
    "ppg-simulated": Rule("ppg", 64.0, 60, None, 1, 180, 10, 20, 32),
    "ecg-simulated": Rule("ecg", 128.0, 30, None, 1, 180, 10, 20, 32),
}
ROWS = {
    "participant": "pairs of one participant",
    "segment": "pairs of one window",
    "untrained": "same net, untrained",
    "features": "hand-made: beats, spectrum, intervals",
    "intervals": "hand-made: intervals alone",
    "random": "random numbers",
}
RANKS = {  # parameters, and effective rank in the paper's Table 3, of 256
    "full method": ({}, {"ppg": 104.13, "ecg": 113.82}),
    "without KoLeo": ({"koleo": 0.0}, {"ppg": 101.29, "ecg": 108.84}),
    "SimCLR form": ({"koleo": 0.0, "momentum": None}, {"ppg": 98.87, "ecg": 103.65}),
}
OF_A_PERSON = ("top_1", "same_person_auc")
OF_A_FOLD = ("dispersion_ratio", "effective_rank")
TRAITS = {  # BMI above 27, where the paper has 30: a dozen of 60 held out would be too few
    "age": "age_mae",
    "age_over_50": "age_over_50_auc",
    "bmi": "bmi_mae",
    "bmi_over_27": "bmi_over_27_auc",
    "male": "sex_auc",
}
LOSSES = ("train_loss", "valid_loss")


class Windows(NamedTuple):
    """Windows of one set in order of time, whose they are, and what is known of the people."""

    X: np.ndarray  # (n, 1, 3840)
    groups: np.ndarray
    traits: pd.DataFrame | None = None  # a row for each participant


def main():
    """Fill the CSV, then print it as a table."""
    args = arguments()
    names = [name for name in args.set if SETS[name].source is None or not args.ranks]
    if not names:
        raise SystemExit("--ranks is for the simulated sets.")
    for name in names:
        rule = settled(args, name)
        windows = simulated(args, name, rule) if rule.source is None else recorded(args, name, rule)
        (fill_ranks if args.ranks else fill_pairs)(args, name, rule, windows)
    for name in names:
        (print_ranks if args.ranks else print_pairs)(args, name)
    if args.ranks:
        draw_curves(args, names)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="folder with a folder for each real set")
    add("--set", nargs="+", choices=SETS, default=["ppg-simulated", "ecg-simulated"], help="(%(default)s)")
    add("--ranks", action="store_true", help="losses and effective ranks of three forms, in place of the rows")
    add("--out", type=Path, default=Path("participant_pairs.csv"), help="gone on with where it exists (%(default)s)")
    add("--work", type=Path, help="where encoders are kept (beside --out)")
    add("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    add("--size", nargs=2, type=int, default=[36, 4], metavar=("WIDTH", "EXPANSION"), help="(%(default)s)")
    add("--epochs", type=int, help="(8, simulated 20)")
    add("--batch-size", type=int, help="(16 and 15, simulated 32)")
    add("--lr", type=float, default=2e-3, help="(%(default)s)")
    add("--participants", type=int, help="a third of them is held out (all; simulated 180)")
    add("--windows", type=int, help="of each participant, even over time (all; simulated 10)")
    add("--precision", default="bfloat16", help="of training, embeddings are made in float32 (%(default)s)")
    add("--device", default="auto", help="(%(default)s)")
    add("--seed", type=int, default=0, help="of simulation, folds, nets and draws (%(default)s)")
    args = parser.parse_args()
    args.work = args.work or args.out.with_suffix("")
    return args


def settled(args, name):
    """The rule of a set with what was asked for, which has to be what the CSV was begun with."""
    asked = {key: getattr(args, key) for key in ("participants", "windows", "epochs", "batch_size")}
    rule = SETS[name]._replace(**{key: value for key, value in asked.items() if value is not None})
    told = [getattr(rule, key) for key in asked] + [args.size, args.lr, args.precision]
    now = json.dumps(dict(zip([*asked, "size", "lr", "precision"], told)))
    file = args.work / f"{name}.json"
    if file.exists() and file.read_text() != now:
        raise SystemExit(f"{args.out} was begun with {file.read_text()}, now it is {now}: name another --out.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(now)
    return rule


# --- reading


def simulated(args, name, rule):
    """Windows hours apart, of people of known traits."""
    how = {"n_participants": rule.participants, "n_windows": rule.windows, "random_state": args.seed}
    made = make_ecg(**how) if rule.sensor == "ecg" else make_ppg_accel(n_ppg_channels=1, motion=0.2, **how)
    traits = {"age": made.age, "age_over_50": made.age > 50, "bmi": made.bmi, "bmi_over_27": made.bmi > 27}
    traits = pd.DataFrame(traits | {"male": made.sex == "M"}, index=made.groups).groupby(level=0).first().astype(float)
    print(f"{name}: {len(made.groups)} windows of {len(traits)}", flush=True)
    return Windows(prepared(rule, made.data if rule.sensor == "ecg" else made.ppg), made.groups, traits)


def recorded(args, name, rule):
    """Windows of real recordings, one after the other, without those in which nothing changes."""
    folder, key = rule.source
    files = sorted((args.data / folder).glob("*.npz")) if args.data else []
    if not files:
        raise SystemExit(f"No .npz in {folder}: --data names the folder that holds it.")
    length, parts, groups = round(rule.seconds * rule.sfreq), [], []
    for file in files[: rule.participants]:
        with np.load(file) as stored:
            x = stored[key].astype(np.float32)
        x = x[: len(x) // length * length].reshape(-1, 1, length)
        x = x[np.ptp(x, axis=-1)[:, 0] > 0]
        some = np.linspace(0, len(x) - 1, min(rule.windows or len(x), len(x))).round().astype(int)
        parts.append(prepared(rule, x[some]))
        groups += [file.stem] * len(some)
    print(f"{name}: {len(groups)} windows of {len(parts)}", flush=True)
    return Windows(np.concatenate(parts), np.array(groups))


def prepared(rule, x):
    return (prepare_ppg if rule.sensor == "ppg" else prepare_ecg)(x, rule.sfreq).astype(np.float32)


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
        return np.random.default_rng([args.seed, fold]).normal(size=(len(windows.X), args.size[0]))
    how = {"max_epochs": 0} if row == "untrained" else {"positives": row}
    return pretrained(args, name, rule, f"{row}-fold-{fold}", windows, train, **how).transform(windows.X)


def pretrained(args, name, rule, title, windows, train, **how):
    """An encoder trained on the rows `train`; begun before, it goes on; ended before, it is there at once."""
    kind = PPGContrastiveEncoder if rule.sensor == "ppg" else ECGContrastiveEncoder
    folder = args.work / name / f"{title.replace(' ', '-')}-seed-{args.seed}"
    common = {"size": tuple(args.size), "max_epochs": rule.epochs, "batch_size": rule.batch_size, "lr": args.lr}
    common |= {"precision": args.precision, "device": args.device, "random_state": args.seed}
    common |= {"checkpoint_dir": folder / "training", "callbacks": [Tell(f"{name}  {title}")]}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*max_epochs=0.*")  # that it has learned nothing
        encoder = kind(**(common | how)).fit(windows.X[train], groups=windows.groups[train])
    if not (folder / "model").exists():
        encoder.save_pretrained(folder / "model", data=[name], synthetic=rule.source is None)
    return encoder.set_params(precision="float32")


class Tell(Callback):
    """A line an epoch."""

    def __init__(self, about):
        self.about = about

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        losses = "  ".join(f"{key} {epoch[key]:.3f}" for key in LOSSES if key in epoch)
        print(f"{self.about}  epoch {epoch['epoch']}: {losses}  ({epoch['dur']:.0f} s)", flush=True)


def beats(x, rule):
    """Samples of the beats, a third of a second apart: crests of a pulse; stretches where an ECG is steep."""
    sfreq = len(x) / rule.seconds
    up = np.sqrt(gaussian_filter1d(np.gradient(x) ** 2, 0.04 * sfreq)) if rule.sensor == "ecg" else x
    height = np.quantile(up, 0.98) - np.median(up)
    return find_peaks(up, distance=round(sfreq / 3), prominence=0.4 * height)[0]


def intervals(x, rule):
    """Heart rate and how it varies: log median of the intervals, and two spreads relative to it."""
    rr = np.diff(beats(x, rule)) * rule.seconds / len(x)
    if len(rr) < 5:
        return np.zeros(3)
    low, middle, high = np.quantile(rr, [0.25, 0.5, 0.75])
    return np.array([np.log(middle), (high - low) / middle, np.median(np.abs(np.diff(rr))) / middle])


def wave(x, rule):
    """The median beat at 24 moments, how much beats differ, skewness, and log power in eight bands."""
    sfreq, at = len(x) / rule.seconds, beats(x, rule)
    around = np.round(np.linspace(-0.3, 0.5, 24) * sfreq).astype(int)
    at = at[(at + around[0] >= 0) & (at + around[-1] < len(x))]
    each = x[at[:, None] + around] if len(at) > 2 else np.zeros((1, 24))
    f, power = welch(x, sfreq, nperseg=round(8 * sfreq))
    edges = np.array([0.4, 0.8, 1.2, 1.7, 2.4, 3.4, 4.8, 6.5, 9.0]) * (1 if rule.sensor == "ppg" else 4)
    bands = [np.log(power[(f >= low) & (f < high)].sum() + 1e-6) for low, high in pairwise(edges)]
    return np.r_[np.median(each, axis=0), each.std(0).mean(), skew(x), bands]


# --- A: pairs of one participant, pairs of one window


def fill_pairs(args, name, rule, windows):
    """Judge what is missing of each row and fold, and write it down; then what all folds say together."""
    done, out = read_results(args.out), []
    for fold, (train, test) in enumerate(folds(args, rule, windows)):
        out += list(np.unique(windows.groups[test]))
        for row in args.only:
            if (name, row, str(args.seed), str(fold), OF_A_FOLD[-1]) in done:
                continue
            start = time.perf_counter()
            lines = judge(embed(args, name, rule, row, fold, windows, train), windows, train, test)
            write_results(args.out, [[name, row, args.seed, fold, *line] for line in lines])
            told = "  ".join(f"{measure} {value:.3f}" for measure, value in lines if " of " not in measure)
            print(f"{name}  {row}  fold {fold}: {told}  ({time.perf_counter() - start:.0f} s)", flush=True)
    summarise(args, name, windows.traits, len(out))


def judge(Z, windows, train, test):
    """Measure and value: those of each participant first, then those of the fold."""
    scaled, groups = StandardScaler().fit(Z[train]).transform(Z[test]), windows.groups[test]
    persons = reidentified(scaled, groups)
    lines = [["chance", 1 / len(persons)], *([m, persons[m].mean()] for m in OF_A_PERSON)]
    if windows.traits is not None:
        persons = persons.join(probed(Z, windows, train, test))
    each = [[f"{measure} of {person}", value] for measure in persons for person, value in persons[measure].items()]
    return each + lines + list(zip(OF_A_FOLD, [dispersion_ratio(scaled, groups), effective_rank(scaled)]))


def reidentified(Z, groups):
    """`top_1` and `same_person_auc` of each participant."""
    own = pd.Series(groups).groupby(groups)
    place, n = own.cumcount().to_numpy(), own.transform("size").to_numpy()
    early, late = 3 * place < n, 3 * place >= 2 * n
    likeness = normalize(Z[late]) @ normalize(Z[early]).T
    same = groups[late][:, None] == groups[early]
    top = same[np.arange(len(same)), likeness.argmax(1)].astype(float)
    return pd.DataFrame({"top_1": top, "same_person_auc": auc(likeness, same)}).groupby(groups[late]).mean()


def auc(score, truth):
    """Area under the ROC curve of each row; NaN where all are of one kind."""
    n_true, n_false = truth.sum(-1), (truth == 0).sum(-1)
    above = (rankdata(score, axis=-1) * truth).sum(-1) - n_true * (n_true + 1) / 2
    return above / np.where(n_true * n_false, n_true * n_false, np.nan)


def probed(Z, windows, train, test):
    """Each trait of held-out participants, as ridge regression on the mean embedding tells it."""
    seen, new = (pd.DataFrame(Z[rows]).groupby(windows.groups[rows]).mean() for rows in (train, test))
    # 1e-10 to 1 as in Apple's later code; the stronger ones are ours, for few participants.
    ridge = RidgeCV([1e-10, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000], alpha_per_target=True)
    model = make_pipeline(StandardScaler(), ridge).fit(seen.to_numpy(), windows.traits.loc[seen.index].to_numpy())
    return pd.DataFrame(model.predict(new.to_numpy()), index=new.index, columns=list(TRAITS))


def summarise(args, name, traits, n_persons):
    """Write the measures of all folds together, and how the two kinds of pairs differ, once all folds are there."""
    done, draws = read_results(args.out), {}
    for row in ROWS:
        table = of_persons(done, name, row, args.seed)
        if len(table) == n_persons:
            draws[row] = drawn(args, table, traits)
    if {"participant", "segment"} <= set(draws):
        draws["difference"] = {m: draws["participant"][m] - draws["segment"][m] for m in draws["segment"]}
    for row, measures in draws.items():
        if (name, row, str(args.seed), "all", OF_A_PERSON[0]) not in done:
            known = {m: each for m, each in measures.items() if not np.isnan(each[0])}
            lines = [[m, each[0], *np.nanquantile(each[1:], [0.025, 0.975])] for m, each in known.items()]
            write_results(args.out, [[name, row, args.seed, "all", *line] for line in lines])


def of_persons(done, name, row, seed):
    """What the CSV knows of each participant of a row, a column for each measure."""
    known = [(*key[4].split(" of "), v) for key, (v, *_) in done.items() if key[:3] == (name, row, str(seed))]
    table = pd.DataFrame([k for k in known if len(k) == 3], columns=["measure", "person", "value"])
    return table.pivot(index="person", columns="measure", values="value")


def drawn(args, table, traits, n_draws=1000):
    """Each measure over all participants, and after that over draws of them."""
    rows = np.random.default_rng(args.seed).integers(len(table), size=(n_draws, len(table)))
    rows = np.concatenate([[np.arange(len(table))], rows])
    measures = {m: table[m].to_numpy()[rows].mean(1) for m in OF_A_PERSON}
    for trait, title in TRAITS.items() if traits is not None else ():
        told, truth = table[trait].to_numpy()[rows], traits.loc[table.index, trait].to_numpy()[rows]
        measures[title] = np.abs(told - truth).mean(1) if title.endswith("mae") else auc(told, truth)
    return measures


def print_pairs(args, name):
    """Each measure on held-out participants, ± deviation over folds, [95 % of draws], as Markdown."""
    done = {k[1:2] + k[3:]: v for k, v in read_results(args.out).items() if (k[0], k[2]) == (name, str(args.seed))}
    known = {key[2] for key in done}
    measures = [m for m in (*OF_A_PERSON, *OF_A_FOLD, *TRAITS.values()) if m in known]
    chance = np.mean([v[0] for key, v in done.items() if key[2] == "chance"])
    titles = [f"top_1 (chance {chance:.3f})" if m == "top_1" else m for m in measures]
    print(f"\n| {name} | {' | '.join(titles)} |\n|---|{'---|' * len(titles)}")
    for row, title in (ROWS | {"difference": "participant less window"}).items():
        cells = [cell(done, row, measure) for measure in measures]
        if any(cells):
            print(f"| {title} | {' | '.join(cells)} |")


def cell(done, row, measure):
    of_folds = [v[0] for key, v in done.items() if key[::2] == (row, measure) and key[1] != "all"]
    if (row, "all", measure) not in done:
        told = f"{np.mean(of_folds):.3f}" if of_folds else ""
    else:
        told = "{:.3f} [{:.3f}, {:.3f}]".format(*done[row, "all", measure])
    return told + (f" ± {np.std(of_folds):.3f}" if len(of_folds) > 1 else "")


# --- B: losses and effective ranks of three forms


def fill_ranks(args, name, rule, windows):
    """Train each form while a fifth of its participants is watched, and write losses and rank down."""
    train, test = folds(args, rule, windows)[0]
    for row, (how, _) in RANKS.items():
        if (name, row, str(args.seed), "0", "effective_rank") not in read_results(args.out):
            encoder = pretrained(args, name, rule, row, windows, train, validation_fraction=0.2, **how)
            lines = [[f"{loss} {epoch['epoch']}", epoch[loss]] for loss in LOSSES for epoch in encoder.history_]
            Z = encoder.transform(windows.X[test])
            lines += [["centred_rank", effective_rank(Z, center=True)], ["effective_rank", effective_rank(Z)]]
            write_results(args.out, [[name, row, args.seed, 0, *line] for line in lines])


def curve(done, name, row, seed, loss):
    """A loss by epoch."""
    told = {key[4]: v for key, (v, *_) in done.items() if key[:3] == (name, row, str(seed))}
    return [v for v in (told.get(f"{loss} {epoch}") for epoch in range(1, len(told))) if v is not None]


def print_ranks(args, name):
    """Losses and ranks beside the paper's, as Markdown. With KoLeo a loss has one term more: compare within a row."""
    done, sensor = read_results(args.out), SETS[name].sensor
    ranked = ("effective_rank", "centred_rank")
    titles = [*LOSSES, *(f"{m} of {args.size[0]}" for m in ranked), f"paper, {sensor.upper()}, of 256"]
    print(f"\n| {name} | {' | '.join(titles)} |\n|---|{'---|' * len(titles)}")
    for row, (_, ranks) in RANKS.items():
        losses = [curve(done, name, row, args.seed, loss) for loss in LOSSES]
        cells = [f"{loss[0]:.2f} to {loss[-1]:.2f}" for loss in losses]
        cells += [f"{done[name, row, str(args.seed), '0', m][0]:.2f}" for m in ranked] + [f"{ranks[sensor]:.2f}"]
        print(f"| {row} | {' | '.join(cells)} |")


def draw_curves(args, names):
    """Losses by epoch as a picture beside the CSV, where matplotlib is there."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    done = read_results(args.out)
    figure = Figure(figsize=(5 * len(names), 3.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        for colour, row in enumerate(RANKS):
            for loss, line in zip(LOSSES, ("-", "--")):
                y = curve(done, name, row, args.seed, loss)
                axes.plot(range(1, len(y) + 1), y, line, color=f"C{colour}", label=f"{row}, {loss}")
        axes.set(xlabel="epoch", ylabel="loss", title=name)
        axes.legend(fontsize=7)
    figure.savefig(args.out.with_suffix(".png"), dpi=120)


# --- the CSV


HEADER = ["set", "row", "seed", "fold", "measure", "value", "low", "high"]


def write_results(path, lines):
    """Add lines to the CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    lines = [[f"{cell:.6f}" if isinstance(cell, float) else cell for cell in line] for line in lines]
    with path.open("a", newline="") as file:
        csv.writer(file).writerows([HEADER] * new + [(line + ["", ""])[: len(HEADER)] for line in lines])


def read_results(path):
    """Value, low and high by set, row, seed, fold and measure."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        lines = [[line[key] for key in HEADER] for line in csv.DictReader(file)]
    return {tuple(line[:5]): tuple(float(cell or "nan") for cell in line[5:]) for line in lines}


if __name__ == "__main__":
    main()
