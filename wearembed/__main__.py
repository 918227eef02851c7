"""The command line: ``python -m wearembed embed FILES... -o OUT.parquet``."""

import argparse
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from . import Encoder, __version__, datasets, hub
from .recordings import cut, read_recording

DEFAULT = "wearembed/relcon-synthetic"
TABLES = (".parquet", ".csv")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 if all went well, 1 if anything did not, 2 if the call could not be read."""
    args = parser().parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError, ImportError, TypeError) as error:
        if args.debug:
            raise
        print(f"wearembed: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="wearembed", description="Embeddings of wearable recordings.")
    top.add_argument("--version", action="version", version=f"wearembed {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    one = commands.add_parser("embed", help="embed recordings, window by window", description=embed.__doc__)
    one.add_argument(
        "files", nargs="+", metavar="FILE", help="CSV, Axivity .cwa, GENEActiv .bin, or an Empatica E4 folder"
    )
    one.add_argument("-o", "--out", type=Path, required=True, help="table to write: .parquet or .csv")
    one.add_argument(
        "--step", type=float, help="seconds from one window's start to the next one's; default: no overlap"
    )
    one.add_argument(
        "--min-coverage", type=float, default=0.8, help="least share of a window that samples cover (%(default)s)"
    )
    one.add_argument("--sfreq", type=float, help="samples per second of CSV files without time stamps")
    one.add_argument("--units", help="g, m/s^2 or mg: what CSV files are in; default: found from gravity")
    one.add_argument("--participant", help="participant of all the files; default: each file is its own")
    shared(one)
    one.set_defaults(run=embed)

    two = commands.add_parser("demo", help="simulate a recording and embed it", description=demo.__doc__)
    two.add_argument("--folder", type=Path, default=Path("wearembed-demo"), help="where to write (%(default)s)")
    shared(two)
    two.set_defaults(run=demo)
    return top


def shared(command: argparse.ArgumentParser):
    command.add_argument("--weights", default=DEFAULT, help="folder, bundled name or hub repository (%(default)s)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (%(default)s)")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.add_argument("--debug", action="store_true", help="show tracebacks")


def embed(args: argparse.Namespace) -> int:
    """Write one row a window: participant, recording, start, coverage, and the embedding as columns e0, e1, ...

    A file that cannot be read is named at the end, the others are done all the same, and the exit code is 1.
    """
    if args.out.suffix not in TABLES:
        raise ValueError(f"-o names a table to write, ending in {' or '.join(TABLES)}; got {args.out}.")
    if not args.out.absolute().parent.is_dir():
        raise ValueError(f"-o: the folder {args.out.absolute().parent} does not exist. Make it first.")
    if args.out.resolve() in {Path(file).resolve() for file in args.files}:
        raise ValueError(f"-o {args.out} is one of the recordings, which it would replace. Name another file.")
    participants = participants_of(args)
    encoder = Encoder.from_pretrained(args.weights, device=args.device)
    tables, failed, left_out = [], {}, 0
    bar = tqdm(args.files, unit="file", disable=args.quiet)
    for file in bar:
        bar.set_postfix_str(Path(file).name)
        try:
            table = embed_file(file, participants.get(file), encoder, args)
        except (ValueError, OSError, ImportError, TypeError) as error:
            if args.debug:
                traceback.print_exc()
            failed[file] = error
            continue
        left_out += table.attrs["n_left_out"]
        tables.append(table)
    if tables:
        write(pd.concat(tables, ignore_index=True), args.out)
    report(args, encoder, tables, failed, left_out)
    return 1 if failed else 0


def participants_of(args: argparse.Namespace) -> dict[str, str]:
    """Who each file is of, where the file's name alone would make one person of two: PERSON/wrist.cwa."""
    stems = Counter(Path(file).stem for file in args.files)
    if args.participant is not None:
        return dict.fromkeys(args.files, args.participant)
    if len({Path(file).resolve() for file in args.files}) < len(args.files):
        raise ValueError("a recording is named twice. Name each once.")
    paths = {file: Path(file).resolve().with_suffix("") for file in args.files if stems[Path(file).stem] > 1}
    depth = 2
    while len({path.parts[-depth:] for path in paths.values()}) < len(paths) and depth < 99:
        depth += 1
    return {file: "/".join(path.parts[-depth:]) for file, path in paths.items()}


def embed_file(file: str, participant: str | None, encoder, args: argparse.Namespace) -> pd.DataFrame:
    """Windows of one file with their embeddings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        recording = read_recording(file, participant=participant, sfreq=args.sfreq, units=args.units)
    for warning in told:
        tqdm.write(f"warning: {warning.message}", file=sys.stderr)
    contract = encoder.contract_
    X, index = cut(recording, contract.seconds, contract.sfreq, step=args.step, min_coverage=args.min_coverage)
    if not len(X):
        raise ValueError(
            f"no window of {contract.seconds:g} s is covered to {args.min_coverage:.0%} in "
            f"{recording.duration:.1f} s of recording ({index.attrs['n_left_out']} left out)."
        )
    encoder.set_params(sfreq=contract.sfreq, units=recording.units)
    Z = pd.DataFrame(encoder.transform(X), columns=[f"e{n}" for n in range(encoder.net_.dim)], index=index.index)
    table = pd.concat([index, Z], axis=1)
    table.attrs = {"n_left_out": index.attrs["n_left_out"]}
    return table


def write(table: pd.DataFrame, out: Path):
    """The whole table or, if anything goes wrong, what was there before."""
    table.attrs = {}
    hub.write(out, table.to_parquet(index=False) if out.suffix == ".parquet" else table.to_csv(index=False).encode())


def report(args: argparse.Namespace, encoder, tables: list, failed: dict, left_out: int):
    """What was done, with what, and what was not."""
    for file, error in failed.items():
        print(f"not embedded: {file}: {error}", file=sys.stderr)
    n_windows = sum(map(len, tables))
    synthetic = "synthetic data only" if encoder.training_.get("synthetic") else "see its card"
    print(f"weights      {args.weights} (pretrained on: {synthetic})")
    print(f"recordings   {len(tables)} embedded, {len(failed)} failed")
    if tables:
        seconds = encoder.contract_.seconds
        coverage = np.concatenate([table["coverage"] for table in tables]).mean()
        print(f"windows      {n_windows} of {seconds:g} s, mean coverage {coverage:.1%}, {left_out} left out for gaps")
        print(f"wrote        {args.out}: {n_windows} rows, {encoder.net_.dim} numbers each")
    else:
        print("wrote        nothing")


def demo(args: argparse.Namespace) -> int:
    """Simulate ten minutes of a wrist, write them as CSV, embed them, and say where everything is."""
    args.folder.mkdir(parents=True, exist_ok=True)
    motion = datasets.make_motion(n_participants=1, n_windows=234, placements=("wrist left",), random_state=0)
    signal = np.concatenate(list(motion.data), axis=1)  # (3, n_times)
    file = args.folder / "recording.csv"
    seconds = np.arange(signal.shape[1]) / motion.sfreq
    times = pd.Timestamp("2026-01-05 09:00") + pd.to_timedelta(seconds, unit="s")
    pd.DataFrame({"time": times, **dict(zip("xyz", signal.round(4)))}).to_csv(file, index=False)
    print(
        f"simulated    {file}: {seconds[-1] / 60:.1f} minutes of a left wrist at {motion.sfreq:g} Hz in {motion.units}"
    )
    out = args.folder / "embeddings.parquet"
    return main(
        ["embed", str(file), "-o", str(out), "--weights", args.weights, "--device", args.device]
        + ["--quiet"] * args.quiet
        + ["--debug"] * args.debug
    )


if __name__ == "__main__":
    sys.exit(main())
