"""Write the weights that come with the package, each with its card, from what the studies have trained.

    python examples/heart_from_wrist.py simulated --rows teacher-masked from-masked
    python examples/participant_pairs.py --set ppg-simulated ecg-simulated --only participant --out evidence/pairs.csv
    python examples/bundle_weights.py ppg-contrastive-synthetic ecg-contrastive-synthetic --data FOLDER
    python examples/bundle_weights.py accel-distilled-synthetic accel-distilled-open --data FOLDER
    python examples/bundle_weights.py relcon-synthetic relcon-open --data FOLDER --motion FOLDER --show FOLDER

`FOLDER` holds stress_predict_e4 and mitdb_ecg, one .npz a participant. The first two lines train (half an hour of one
core), the others measure and write. ``accel-distilled-open`` is trained here, from where the simulated student ended,
and kept in ``--work`` epoch by epoch, so that the same line run again goes on (a quarter of an hour).

Later, ``--again`` measures weights that are bundled and writes their cards; it trains nothing.

What a card says was measured here, with the weights as they are stored, in bfloat16: on people whom neither the net nor
the ridge regression on its embeddings has seen, beside what does without any training. Intervals are over people.
"""

import argparse
import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import heart_from_wrist as wrist
import numpy as np
import pandas as pd
import participant_pairs as pairs
import pretrain_relcon as motion
import torch
from real_sets import ACTIVITIES
from show import FOREST, averaged
from sklearn.preprocessing import StandardScaler

from wearembed import DistilledAccelEncoder, HandmadeFeatures, evaluation, from_pretrained, hub
from wearembed.datasets import make_ecg, make_ppg_accel
from wearembed.hub.card import card

SEED = 0
OURS, MEAN, HAND, UNTRAINED = (
    "these weights",
    "mean of the training people",
    "hand-made features",
    "same net, untrained",
)
HELD_OUT, WITHOUT = "this recipe without the people tested", "this recipe without the set tested"
MEASURES = {  # of `participant_pairs`
    "top_1": "windows that find their person among {n}, share (chance {chance:.3f})",
    "same_person_auc": "same person against another, AUC",
    "age_mae": "age, years, mean absolute error",
    "sex_auc": "sex, AUC",
}
STRESS_PREDICT = {
    "name": "stress_predict_e4",
    "title": "Stress-Predict Dataset, Empatica E4, 25 people",
    "source": "https://github.com/italha-d/Stress-Predict-Dataset, doi:10.3390/s22218135",
    "authors": "Iqbal, Simpkin, Roshan, Glynn, Killilea, Walsh, Molloy, Ganly, Ryman, Coen, Elahi, Wijns, Shahzad 2022",
    "license": "MIT",
}
SIMULATED_WRIST = (
    "420 simulated people, 20 still minutes of each, 100 of them held out; how strongly a heartbeat shakes "
)
SIMULATED_WRIST += "the simulated wrist is twice our estimate of a real one (--pulse 2)"


class Made(NamedTuple):
    """An encoder, and what its card says besides what it knows itself."""

    encoder: object
    windows: np.ndarray  # of training, for the drift reference
    data: list
    commands: list  # that lead to these weights, in order
    about: str
    results: list
    hours: float
    attribution: tuple = ()


def main():
    """Make, write and verify each of the names."""
    args = arguments()
    for name in args.names:
        if args.again:
            rewrite(args, name)
        else:
            write(args, name, MAKERS[name](args))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("names", nargs="+", choices=MAKERS, metavar="NAME", help=", ".join(MAKERS))
    add("--again", action="store_true", help="train nothing: measure the bundled weights anew, and write their cards")
    add("--data", type=Path, required=True, help="folder with a folder for each real set")
    add(
        "--wrist",
        type=Path,
        default=Path("evidence/simulated"),
        help="work of heart_from_wrist simulated (%(default)s)",
    )
    add("--motion", type=Path, default=Path("evidence/motion"), help="work of pretrain_relcon (%(default)s)")
    add("--show", type=Path, default=Path("evidence/show"), help="out of show.py, for results of motion (%(default)s)")
    add("--pairs", type=Path, default=Path("evidence/pairs"), help="work of participant_pairs (%(default)s)")
    add("--work", type=Path, default=Path("evidence/bundled"), help="where what is trained here is kept (%(default)s)")
    add("--out", type=Path, default=hub.BUNDLED, help="where each gets a folder (%(default)s)")
    return parser.parse_args()


def write(args, name, made):
    """The four files, as they would go to the hub: no path of this machine in them."""
    commands = [*made.commands, f"python examples/bundle_weights.py {name} --data FOLDER"]
    upload = made.encoder.push_to_hub(
        f"wearembed/{name}",
        dry_run=True,
        data=made.data,
        license="BSD-3-Clause",
        synthetic=not made.attribution,
        description=f"{made.about} Recipe: {'; '.join(f'`{command}`' for command in commands)}.",
        attribution=list(made.attribution),
        results=made.results,
        spent={"hours": round(made.hours, 2), "device": "one thread of an x86 CPU that others shared"},
        windows=made.windows,
        dtype="bfloat16",
    )
    folder = hub.save(args.out / name, upload.files)
    from_pretrained(folder).verify()
    print(f"{folder}: {sum(upload.sizes.values()) / 1e6:.2f} MB, verified", flush=True)


def rewrite(args, name):
    """The card with results of today, beside the same weights; rows that need nets of the study stay as they were.

    So does the description: read it beside what is printed to have changed. Of motion, results are those of `show.py`.
    """
    folder, encoder = hub.BUNDLED / name, from_pretrained(hub.BUNDLED / name)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    config = json.loads(files["config.json"])
    before = {key_of(row): row for row in config["training"]["results"]}
    measured = MEASURED[name](args, encoder)
    if not measured:
        raise FileNotFoundError(f"No table in {args.show}. Run show.py first, and name its folder with --show.")
    now = before | {key_of(row): row for row in measured}
    for key, row in now.items():
        if row != before.get(key):
            print(name, *key, before.get(key, {}).get("value"), "->", row["value"], flush=True)
    questions = list(dict.fromkeys(key[:2] for key in now))
    config["training"]["results"] = sorted(now.values(), key=lambda row: questions.index(key_of(row)[:2]))
    files["config.json"] = (json.dumps(config, indent=1) + "\n").encode()
    files["README.md"] = card(config, f"wearembed/{name}").encode()
    from_pretrained(hub.save(args.out / name, files)).verify()


def key_of(row):
    return row["dataset"], row["metric"], row["model"]


def stored(args, encoder, name):
    """The encoder as whoever loads it will have it: with weights of bfloat16."""
    encoder.save_pretrained(args.work / name, dtype="bfloat16")
    loaded = from_pretrained(args.work / name)
    loaded.training_.pop("data", None)  # said anew, by the simulator's name
    return loaded


def hours(*folders):
    """What training took by the checkpoints that it went on from."""
    histories = [torch.load(folder / "checkpoint.pt", weights_only=True)["history"] for folder in folders]
    return sum(epoch["dur"] for history in histories for epoch in json.loads(history)) / 3600


# --- a wrist that was taught the heart


TAUGHT = ["python examples/heart_from_wrist.py simulated --rows teacher-masked from-masked"]
AS_PREPARED = (
    "Before the net, acceleration is kept between 0.5 and 20 Hz, `signals.bandpass(accel, sfreq, 0.5, 20)`, or to 0.49 "
    "of its rate where that is less."
)


def accel_distilled_synthetic(args) -> Made:
    """The student of PPG-MAE, as the study of simulated wrists has trained it."""
    encoder = stored(args, from_pretrained(taught(args, "from-masked")), "accel-distilled-synthetic")
    results = of_wrists(args, encoder)
    return Made(
        encoder,
        simulated_wrists().accel[simulated_wrists().folds[0][0]],
        ["wearembed.datasets.make_ppg_accel"],
        TAUGHT,
        f"Acceleration of a wrist at rest, taught by a masked PPG encoder: {SIMULATED_WRIST}. At the strength of a "
        f"real pulse no student left the start in the steps that two cores afford. {verdict(results)} {AS_PREPARED}",
        results,
        hours(taught(args, "teacher-masked-training"), taught(args, "from-masked-training")),
    )


def of_wrists(args, encoder):
    """Rows on simulated and on real people, beside what they have to beat."""
    simulated, e4 = simulated_wrists(), stress_predict(args)
    rows = errors(SIMULATED, simulated, baselines("accel-heart", simulated.accel, encoder))
    return rows + errors(E4, e4, baselines("accel-heart", e4.accel, encoder))


def accel_distilled_open(args) -> Made:
    """The same student, trained on by real minutes and as many simulated ones; honest about people held out."""
    simulated, e4 = simulated_wrists(), stress_predict(args)
    everybody = np.ones(len(e4.groups), bool)
    encoder = open_student(args, simulated, e4, everybody, "everybody")
    held_out = [open_student(args, simulated, e4, train, f"fold-{i}") for i, (train, _) in enumerate(e4.folds)]
    before, teacher = (from_pretrained(taught(args, name)) for name in ("from-masked", "teacher-masked"))
    models = {HELD_OUT: [fold.transform(e4.accel) for fold in held_out]} | baselines("accel-heart", e4.accel, encoder)
    del models[OURS]  # which have seen everybody
    models |= {"the weights that training began from": before.transform(e4.accel)}
    models |= {"the teacher, which sees the PPG of these minutes": teacher.transform(e4.ppg)}
    real = errors(E4, e4, models)
    return Made(
        encoder,
        e4.accel,
        ["wearembed.datasets.make_ppg_accel"],
        TAUGHT,
        f"Acceleration of a wrist, taught by a masked PPG encoder: begun from accel-distilled-synthetic "
        f"({SIMULATED_WRIST}), trained on for three epochs by all minutes of 25 people who wore an Empatica E4 and as "
        f"many simulated ones. The results on these people are of nets that were trained in the same way without the "
        f"people tested, a third at a time, since the weights here have seen all of them. {verdict(real)} "
        f"{AS_PREPARED}",
        real + errors(SIMULATED, simulated, baselines("accel-heart", simulated.accel, encoder)),
        hours(
            taught(args, "teacher-masked-training"),
            taught(args, "from-masked-training"),
            args.work / "open-everybody-training",
        ),
        (STRESS_PREDICT,),
    )


SIMULATED, E4 = "make_ppg_accel(pulse=2, motion=0)", STRESS_PREDICT["name"]


@cache
def simulated_wrists():
    """Those of the study, whose last hundred people no net has seen."""
    return wrist.simulated(SimpleNamespace(participants=420, windows=20, pulse=2.0, seed=SEED))


def stress_predict(args):
    return wrist.stress_predict(SimpleNamespace(data=args.data / "stress_predict_e4", folds=3, seed=SEED))


def taught(args, row):
    return args.wrist / f"fold-0-seed-{SEED}" / row


def open_student(args, simulated, e4, train, title):
    """Trained on by the minutes of `train` and as many simulated ones; there at once where it ended before."""
    folder = args.work / f"open-{title}"
    if not (folder / "config.json").exists():
        real = np.flatnonzero(train)
        rng = np.random.default_rng(SEED)
        more = np.sort(rng.permutation(np.flatnonzero(simulated.folds[0][0]))[: len(real)])
        accel, ppg, groups = (
            np.concatenate([getattr(e4, part)[real], getattr(simulated, part)[more]])
            for part in ("accel", "ppg", "groups")
        )
        encoder = DistilledAccelEncoder(
            taught(args, "teacher-masked"),
            weights=taught(args, "from-masked"),
            temperature=0.2,
            max_epochs=3,
            batch_size=64,
            lr=1e-3,
            precision="auto",
            checkpoint_dir=args.work / f"open-{title}-training",
            random_state=SEED,
            verbose=1,
        ).fit(accel, paired=ppg, groups=groups)
        stored(args, encoder, folder.name)
    return from_pretrained(folder)


def errors(dataset, windows, models):
    """Rows of a card: how far ridge regression on embeddings is off, for people who were held out."""
    rows, tested = [], np.any([test for _, test in windows.folds], 0)
    for target, y in zip(windows.targets, windows.y.T):
        for model, Z in models.items():
            said = np.zeros_like(y, dtype=float)
            for (train, test), own in zip(windows.folds, Z if isinstance(Z, list) else [Z] * len(windows.folds)):
                said[test] = wrist.probe(own, y, train).predict(own[test])
            score = evaluation.bootstrap_participants(
                y[tested], said[tested], windows.groups[tested], task="regression", scoring="mae", random_state=SEED
            ).loc["mae"]
            metric = f"{wrist.TARGETS[target]}, mean absolute error"
            rows.append(row(dataset, metric, model, score["pooled"], score["low"], score["high"]))
    return rows


def verdict(rows):
    """What the first row on real people is worth beside the mean, in a sentence."""
    rows = [row for row in rows if row["dataset"] == E4]
    own, mean = rows[0], next(row for row in rows if row["model"] == MEAN)
    worth = "better than" if own["value"] < mean["value"] else "no better than"
    worth += "" if own["high"] < mean["low"] or own["value"] >= mean["value"] else ", though within the interval,"
    return f"It tells the heart rate of real people ({own['dataset']}, as their device had it of PPG) {worth} the mean."


def row(dataset, metric, model, value, low, high):
    told = {"dataset": dataset, "metric": metric, "model": model}
    return told | {key: round(float(end), 4) for key, end in [("value", value), ("low", low), ("high", high)]}


# --- pairs of one person


PAIRED = "python examples/participant_pairs.py --set {name} --only participant --out evidence/pairs.csv"


def ppg_contrastive_synthetic(args) -> Made:
    """The net of participant pairs, as the study of pairs has trained it."""
    return of_pairs(args, "ppg")


def ecg_contrastive_synthetic(args) -> Made:
    """The same of an ECG."""
    return of_pairs(args, "ecg")


def of_pairs(args, sensor):
    how, name = choices(args), f"{sensor}-simulated"
    folder = args.pairs / name / f"participant-fold-0-seed-{SEED}"
    encoder = stored(args, from_pretrained(folder / "model"), f"{sensor}-contrastive-synthetic")
    windows = pairs.simulated(how, name, pairs.SETS[name])
    train, _ = pairs.folds(how, pairs.SETS[name], windows)[0]
    about = (
        f"{sensor.upper()}, trained by pairs of windows of one person: 180 simulated people, ten windows of each, 60 "
        f"of them held out. Before the net, `signals.prepare_{sensor}(x, sfreq)`. Real recordings are for testing "
        f"alone: the net has seen none, and the scaler or ridge regression on its embeddings others' only."
    )
    return Made(
        encoder,
        windows.X[train],
        [f"wearembed.datasets.{PAIRS[sensor][0].__name__}"],
        [PAIRED.format(name=name)],
        about,
        paired_results(args, sensor, encoder),
        hours(folder / "training"),
    )


PAIRS = {"ppg": (make_ppg_accel, "e4"), "ecg": (make_ecg, "mitdb")}  # what simulates, and a real set of `pairs`


def choices(args):
    return SimpleNamespace(seed=SEED, data=args.data, size=[36, 4])


def paired_results(args, sensor, encoder):
    """Rows on simulated and on real people: whom a window is of, and the heart rate where it is known."""
    (simulator, real), name, how = PAIRS[sensor], f"{sensor}-simulated", choices(args)
    rule, of_real = pairs.SETS[name], pairs.SETS[real]
    windows, recorded = pairs.simulated(how, name, rule), pairs.recorded(how, real, of_real)
    folds = pairs.folds(how, rule, windows)
    results = persons(how, simulator.__name__, rule, windows, folds, encoder)
    results += rates(sensor, simulator, rule, windows, folds, encoder)
    results += persons(how, of_real.source[0], of_real, recorded, pairs.folds(how, of_real, recorded), encoder)
    if sensor == "ppg":
        e4 = stress_predict(args)
        results += errors(E4, e4, baselines("ppg", e4.ppg, encoder))
    return results


def rates(sensor, simulator, rule, windows, folds, encoder):
    """Rows for the heart rate of simulated people."""
    n = {"n_participants": rule.participants, "n_windows": rule.windows, "random_state": SEED}
    truth = simulator(**n) if sensor == "ecg" else simulator(n_ppg_channels=1, motion=0.2, **n)
    masks = [tuple(np.isin(np.arange(len(windows.X)), rows) for rows in fold) for fold in folds]
    asked = SimpleNamespace(y=truth.heart_rate[:, None], targets=["heart_rate"], groups=windows.groups, folds=masks)
    return errors(simulator.__name__, asked, baselines(sensor, windows.X, encoder))


def baselines(sensor, X, encoder):
    """Embeddings of the net and of what it has to beat; one column that says nothing leaves the mean."""
    return {
        OURS: encoder.transform(X),
        MEAN: np.zeros((len(X), 1)),
        HAND: HandmadeFeatures(sensor).transform(X),
        UNTRAINED: encoder.untrained(random_state=SEED, windows=X).transform(X),
    }


def persons(how, dataset, rule, windows, folds, encoder):
    """Rows for whom a window is of, and for traits where they are known."""
    models = {
        OURS: encoder.transform(windows.X),
        HAND: pairs.embed(how, "", rule, "features", 0, windows, None),
        UNTRAINED: encoder.untrained(random_state=SEED, windows=windows.X).transform(windows.X),
    }
    found = {model: people(how, windows, folds, Z) for model, Z in models.items()}
    n = np.mean([len(np.unique(windows.groups[test])) for _, test in folds])
    titles = {key: title.format(n=f"{n:.0f}", chance=1 / n) for key, title in MEASURES.items()}
    return [
        row(dataset, title, model, draws[key][0], *np.nanquantile(draws[key][1:], [0.025, 0.975]))
        for key, title in titles.items()
        for model, draws in found.items()
        if key in draws
    ]


def people(how, windows, folds, Z):
    """Each measure over all who were held out, and over draws of them."""
    parts = []
    for train, test in folds:
        scaled = StandardScaler().fit(Z[train]).transform(Z[test])
        part = pairs.reidentified(scaled, windows.groups[test])
        parts.append(part if windows.traits is None else part.join(pairs.probed(Z, windows, train, test)))
    return pairs.drawn(how, pd.concat(parts), windows.traits)


# --- motion


SHOWN = {"macro_f1": "activities, macro F1"}
MOTION = (
    "Motion of a worn accelerometer, by relative contrast: a net for each of four views of a window, ranked by a "
    "distance of two of them (docs/decisions 12), which is stored along. Ranks were measured with softmax in the "
    "distance's attention; the one stored has sparsemax, with which a window is much more often nearest to itself. "
)


def relcon_synthetic(args) -> Made:
    """What `pretrain_relcon.py` has trained on simulation."""
    seen = SimpleNamespace(kind="synthetic", participants=None, windows=60, seed=SEED, leave_out="nothing")
    about = f"{MOTION}No recording of a person was seen. The simulator's ranges and the views of the net were chosen "
    about += "while looking at the three sets of the results."
    return relcon(args, "relcon-synthetic", motion.simulated(seen)[0], about)


def relcon_open(args) -> Made:
    """The same, trained on with recordings; honest by twins that were trained without the set that is tested."""
    seen = SimpleNamespace(kind="open", participants=None, windows=60, seed=SEED, leave_out="nothing", data=args.data)
    X = np.concatenate([motion.simulated(seen)[0], *(motion.real(seen, name)[0] for name in motion.SOURCES)])
    about = (
        f"{MOTION}Begun from relcon-synthetic, trained on for three epochs by recordings of 115 people among as many "
    )
    about += "simulated windows. The results are of nets that were trained in the same way without the set tested."
    made = relcon(args, "relcon-open", X, about)
    sources = tuple({"name": name, **source} for name, source in motion.SOURCES.items())
    return made._replace(
        attribution=sources,
        commands=[*motion_commands("synthetic"), *motion_commands("open")],
        hours=made.hours + hours(args.motion / "relcon-synthetic-training"),
    )


def relcon(args, name, X, about):
    encoder = stored(args, with_sparsemax(from_pretrained(args.motion / name)), name)
    some = np.random.default_rng(SEED).permutation(len(X))[:2000]
    return Made(
        encoder,
        X[some],
        ["wearembed.datasets.make_motion"],
        motion_commands("synthetic"),
        about,
        shown(args, name),
        hours(args.motion / f"{name}-training", args.motion / "relcon-synthetic-training" / "distance"),
    )


def with_sparsemax(encoder):
    """Whose distance measures as it was trained."""
    distance = encoder.distance_.set_params(inference_attention="sparsemax")
    distance.architecture_["inference_attention"] = distance.net_.inference_attention = "sparsemax"
    return encoder


def motion_commands(kind):
    lines = {
        "synthetic": "synthetic --out evidence/motion/relcon-synthetic",
        "open": "open --data FOLDER --from evidence/motion/relcon-synthetic --out evidence/motion/relcon-open",
    }
    return [f"python examples/pretrain_relcon.py {lines[kind]}"]


def shown(args, name):
    """Rows of the card from the tables that `show.py` wrote, where it has run; both encoders are of one net."""
    names = {f"wearembed/{name}": OURS if name == "relcon-synthetic" else WITHOUT}
    names |= {f"wearembed/{net}, untrained": UNTRAINED for net in ("relcon-synthetic", "relcon-open")}
    names[FOREST] = FOREST
    rows = []
    for dataset in ACTIVITIES:
        file = args.show / f"{dataset}.csv"
        table = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["encoder", "score"])
        table = averaged(table) if len(table) else table
        for of, model in names.items():
            for _, found in table[(table["encoder"] == of) & table["score"].isin(SHOWN)].iterrows():
                told = (found[key] for key in ("pooled", "low", "high"))
                rows.append(row(dataset, SHOWN[found["score"]], model, *told))
    return rows


MAKERS = {  # a function for each name that comes with the package
    "relcon-synthetic": relcon_synthetic,
    "relcon-open": relcon_open,
    "ppg-contrastive-synthetic": ppg_contrastive_synthetic,
    "ecg-contrastive-synthetic": ecg_contrastive_synthetic,
    "accel-distilled-synthetic": accel_distilled_synthetic,
    "accel-distilled-open": accel_distilled_open,
}

MEASURED = {  # rows of a card for which nothing is trained
    "relcon-synthetic": lambda args, _: shown(args, "relcon-synthetic"),
    "relcon-open": lambda args, _: shown(args, "relcon-open"),
    "ppg-contrastive-synthetic": lambda args, encoder: paired_results(args, "ppg", encoder),
    "ecg-contrastive-synthetic": lambda args, encoder: paired_results(args, "ecg", encoder),
    "accel-distilled-synthetic": of_wrists,
    "accel-distilled-open": lambda args, encoder: [
        row
        for row in of_wrists(args, encoder)
        if (row["dataset"], row["model"]) != (E4, OURS)  # it has seen them all
    ],
}


if __name__ == "__main__":
    main()
