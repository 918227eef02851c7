"""Recordings into a store of windows, for `pretrain` and `evaluate`; the same line again does the rest."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..recordings import Recording, cut_into, read_recording
from ..recordings.nonwear import wear_detection
from ..stores import WindowStore
from ..stores.files import ABOUT, read_about
from .arguments import in_options, said_of_recordings
from .outcome import Outcome, count, duration
from .sources import Source, find

WINDOW = (2.56, 100.0)  # seconds and hertz of RelCon (paper)


def run(args) -> Outcome:
    """Cut each recording, and say what is in the store then, and what is not."""
    sources = find(args.recordings, args.out, args.participant, args.by_folder, args.only)
    if args.nonwear:
        wear_detection()  # an extra that is missing is told of before anything is read
    read = Reader({source.path: source for source in sources}, said_of_recordings(args))
    store = opened(args, [source.path for source in sources], read)
    table = cut_into(
        store,
        [source.path for source in sources],
        args.step,
        min_coverage=args.min_coverage,
        nonwear=args.nonwear,
        read=read,
        verbose=not args.quiet,
    )
    table["error"] = [in_options(error, args) for error in table["error"]]
    failed = table[table["error"] != ""]
    for one in failed.itertuples():
        print(f"not stored: {one.recording}: {one.error}", file=sys.stderr)
    return outcome(args, store, table, failed)


class Reader:
    """Reads recordings as the call says; one that was looked at is not read again to be cut."""

    def __init__(self, sources: dict[Path, Source], said: dict):
        self.sources, self.said = sources, said
        self.seen: dict[Path, Recording] = {}

    def __call__(self, path: Path) -> Recording:
        return self.seen.pop(path) if path in self.seen else self.read(path)

    def look(self, path: Path) -> Recording:
        self.seen[path] = self.read(path)
        return self.seen[path]

    def read(self, path: Path) -> Recording:
        return read_recording(path, participant=self.sources[path].participant, **self.said)


def opened(args, paths: Sequence[Path], read: Reader) -> WindowStore:
    """The store at a place; a new one takes channels and units from the first recording that can be read."""
    if (args.out / ABOUT).is_file():
        store = WindowStore(args.out)
        n_times = store.n_times if args.seconds is None else n_times_of(args.seconds, store.sfreq)
        if n_times != store.n_times or args.rate not in (None, store.sfreq):
            raise ValueError(
                f"{args.out} has windows of {store.n_times} samples at --rate {store.sfreq:g}, not of "
                f"{n_times_of(args.seconds or WINDOW[0], args.rate or store.sfreq)} at {args.rate or store.sfreq:g}. "
                f"Name another store."
            )
        if args.int16 and read_about(args.out)["dtype"] != "int16":
            raise ValueError(f"{args.out} is kept in float32, which --int16 does not change. Name another store.")
        return store
    errors = []
    for path in paths:
        try:
            first = read.look(path)
            break
        except ImportError:
            raise
        except Exception as error:  # of files of others and their decoders; the next one may be whole
            errors.append(f"{path}: {' '.join(str(error).split())}")
    else:
        raise ValueError(f"no recording can be read, so there is no store: {errors[0]}")
    seconds, rate = (default if asked is None else asked for asked, default in zip((args.seconds, args.rate), WINDOW))
    told = {"n_channels": len(first.signal), "n_times": n_times_of(seconds, rate), "sfreq": rate}
    return WindowStore.create(args.out, **told, units=first.units, dtype="int16" if args.int16 else "float32")


def n_times_of(seconds: float, rate: float) -> int:
    return max(1, round(seconds * rate))


def outcome(args, store: WindowStore, table: pd.DataFrame, failed: pd.DataFrame) -> Outcome:
    stored, seconds = table[table["error"] == ""], store.n_times / store.sfreq
    told = {
        "command": "store",
        "out": args.out,
        "n_windows": len(store),
        "n_participants": len(pd.unique(store.groups)) if len(store) else 0,
        "n_channels": store.n_channels,
        "n_times": store.n_times,
        "sfreq": store.sfreq,
        "units": store.units,
        "recordings": stored.drop(columns="error").to_dict("records"),
        "failed": failed[["recording", "error"]].to_dict("records"),
        "code": int(len(failed) > 0),
    }
    empty = int((stored["n_windows"] == 0).sum())
    cut, left_out = int(stored["n_windows"].sum()), int(stored["n_left_out"].sum())
    lines: list = [
        (
            "recordings",
            f"{len(stored)} in the store, {len(failed)} failed{f', {empty} without a window' if empty else ''}",
        ),
        (
            "windows",
            f"{cut:,} of {seconds:g} s, {left_out:,} left out for gaps{' and non-wear' if args.nonwear else ''}",
        ),
        (
            "store",
            f"{args.out}: {count(len(store), 'window')} of {count(told['n_participants'], 'participant')}, "
            f"{duration(len(store) * seconds)} in all",
        ),
    ]
    return Outcome(told, lines, told["code"])
