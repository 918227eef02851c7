"""A recording from nothing, embedded: that all is in place shows in a minute."""

import numpy as np
import pandas as pd

from ..datasets import make_motion
from . import embed
from .arguments import parser
from .outcome import Outcome


def run(args) -> Outcome:
    """Simulate ten minutes of a wrist, write them as CSV, embed them, and say where everything is."""
    args.folder.mkdir(parents=True, exist_ok=True)
    motion = make_motion(n_participants=1, n_windows=234, placements=("wrist left",), random_state=0)
    signal = np.concatenate(list(motion.data), axis=1)  # (3, n_times)
    file = args.folder / "recording.csv"
    seconds = np.arange(signal.shape[1]) / motion.sfreq
    times = pd.Timestamp("2026-01-05 09:00") + pd.to_timedelta(seconds, unit="s")
    pd.DataFrame({"time": times, **dict(zip("xyz", signal.round(4)))}).to_csv(file, index=False)
    said = f"{file}: {seconds[-1] / 60:.1f} minutes of a left wrist at {motion.sfreq:g} Hz in {motion.units}"
    done = embed.run(as_embed(args, file))
    return Outcome(
        {**done.document, "command": "demo", "simulated": file}, [("simulated", said), *done.lines], done.code
    )


def as_embed(args, file):
    """The same call as one of ``embed``."""
    call = ["embed", str(file), "-o", str(args.folder / "embeddings.parquet")]
    call += ["--weights", args.weights, "--device", args.device]
    call += ["--report", str(args.report)] if args.report else []
    call += [f"--{name}" for name in ("quiet", "debug", "json") if getattr(args, name)]
    own = parser("").parse_args(call)
    own.call = args.call
    return own
