"""Pretrain the motion encoders that come with the package: ``relcon-synthetic`` and ``relcon-open``.

    python examples/pretrain_relcon.py synthetic --out FOLDER
    python examples/pretrain_relcon.py open --data DATA --from FOLDER --out OTHER [--without SET]

The first learns from simulated motion alone. The second goes on from its weights, with recordings under open licences
among the simulated ones: `DATA` holds a folder for each of hmp_wrist_adl, spsw_watch, wisdm_phone and
stress_predict_e4, as `real_sets.py` says. ``--without`` leaves one out, so that it can be tested on. Kill it at any
moment and run the same line again: it goes on from the last whole epoch. Several processes share each batch where
torchrun starts them: ``torchrun --standalone --nproc_per_node 2 examples/pretrain_relcon.py ...``. The weights depend
on the seed, the versions in .ci/constraints.txt and, in the last digits, on the processor and the number of processes.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from real_sets import SECONDS, SFREQ, files_of, recordings_of
from skorch.callbacks import LRScheduler

from wearembed import RelConDistance, RelConEncoder, cut
from wearembed.datasets import make_motion
from wearembed.training import is_first_process

VIEWS = ("as worn", "shape", "upright", "upright shape")
UCI = "https://archive.ics.uci.edu/dataset"
SOURCES = {
    "hmp_wrist_adl": {"source": f"{UCI}/283, Bruno et al.", "license": "CC-BY-4.0"},
    "spsw_watch": {"source": "https://github.com/GeoTecINIT/sp-sw-har-dataset", "license": "CC-BY-4.0"},
    "wisdm_phone": {"source": f"{UCI}/507, Weiss 2019, WISDM", "license": "CC-BY-4.0"},
    "stress_predict_e4": {"source": "https://github.com/italha-d/Stress-Predict-Dataset", "license": "MIT"},
}
EPOCHS, PEOPLE = {"synthetic": 12, "open": 3}, {"synthetic": 200, "open": 100}
SIMULATED = {  # what is left out of the simulator, to see what it brings
    "nothing": {},
    "devices": {"device": False},
    "pockets": {"placements": ["wrist left", "wrist right"]},
    "hands": {"activities": ["rest", "walking", "running", "stairs"]},
    "steps": {"activities": ["rest", "fidgeting"]},
}


def main():
    """Train, unless the weights are there, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=EPOCHS)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    parser.add_argument("--data", type=Path, help="folder of the real sets, for open")
    parser.add_argument("--from", dest="start", help="weights that open begins from")
    parser.add_argument("--without", choices=SOURCES, help="a set to leave out of open")
    parser.add_argument("--participants", type=int, help=f"simulated ({PEOPLE})")
    parser.add_argument("--windows", type=int, default=60, help="of each participant, at most (%(default)s)")
    parser.add_argument("--leave-out", choices=SIMULATED, default="nothing", help="of the simulator (%(default)s)")
    parser.add_argument("--epochs", type=int, help=f"({EPOCHS})")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--device", default="auto", help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="(%(default)s)")
    args = parser.parse_args()
    if args.kind == "open" and not (args.data and args.start):
        parser.error("open needs --data and --from")
    torch.set_num_threads(args.threads)

    X, groups, session = simulated(args)
    names = [name for name in SOURCES if name != args.without] if args.kind == "open" else []
    for name in names:
        X, groups, session = (np.concatenate(pair) for pair in zip((X, groups, session), real(args, name)))
    if is_first_process():
        print(f"{len(X)} windows of {len(set(groups))} participants", flush=True)
    encoder = new(args) if args.kind == "synthetic" else RelConEncoder(weights=args.start, **run(args, lr=2e-4))
    encoder.fit(X, groups=groups, session=session)
    encoder.save_pretrained(
        args.out,
        data=["wearembed.datasets.make_motion"],
        license="BSD-3-Clause" if args.kind == "synthetic" else "CC-BY-4.0",
        synthetic=args.kind == "synthetic",
        attribution=[{"name": name, **SOURCES[name]} for name in names],
        description="python " + " ".join(sys.argv),
        windows=X[np.random.default_rng(args.seed).permutation(len(X))[:2000]],
    )
    if is_first_process():
        print(f"wrote {args.out}")


def new(args):
    """A net for each view, ranked by a distance that sees what a pocket cannot turn; its head keeps the rest."""
    distance = RelConDistance(
        dim=32,
        stride=2,
        center=True,
        views=("as worn", "upright"),
        inference_attention="softmax",
        max_epochs=5,
        device=args.device,
        verbose=1,
    )
    net = {"width": 32, "blocks": (1, 1, 1), "pool": ("mean", "deviation"), "views": VIEWS}
    return RelConEncoder(**net, distance=distance, **run(args, lr=5e-4))


def run(args, lr):
    """What both kinds of training share."""
    epochs = args.epochs or EPOCHS[args.kind]
    return {
        "sampler": "participants",
        "mates": 5,
        "batch_size": 48,
        "projection": 128,
        "precision": "bfloat16",
        "lr": lr,
        "max_epochs": epochs,
        "callbacks": [LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=epochs)],
        "checkpoint_dir": args.out.with_name(args.out.name + "-training"),
        "random_state": args.seed,
        "device": args.device,
        "verbose": 1,
    }


# --- windows: (n, 3, 256) in g at 100 Hz, whose, and of which unbroken stretch


def simulated(args):
    motion = make_motion(
        args.participants or PEOPLE[args.kind], args.windows, random_state=args.seed, **SIMULATED[args.leave_out]
    )
    return motion.data, motion.groups, motion.session


def real(args, name):
    """Windows of a set, drawn so that no participant has many more than another."""
    rng, parts = np.random.default_rng(args.seed), []
    for file in files_of(args.data / name):
        of, worn = f"{name}-{file.stem}", [recording for recording, _ in recordings_of(file)]
        cuts = [cut(r, SECONDS, SFREQ)[0] for r in worn if r.signal.shape[1] / r.sfreq >= SECONDS]
        session = np.repeat([f"{of}-{n}" for n in range(len(cuts))], [len(X) for X in cuts])
        X = np.concatenate(cuts)
        some = np.sort(rng.permutation(len(X))[: args.windows])
        parts.append((X[some], np.full(len(some), of), session[some]))
    return tuple(np.concatenate(column) for column in zip(*parts))


if __name__ == "__main__":
    main()
