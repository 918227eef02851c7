"""Recordings to embeddings: a table, or a part for each recording that a later run can go on from."""

import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from ..recordings import Recording, RecordingEncoder, read_recording
from ..recordings.nonwear import wear_detection
from . import page
from .arguments import READING, in_options, said_of_recordings
from .outcome import Outcome, count, one_line, share
from .parts import FAILURES, TABLES, CannotWrite, Parts, identity, join, means, n_rows, scratch_folder
from .quality import facts
from .sources import Source, find

ROW = {None: "window", "minute": "minute", "hour": "hour", "day": "day", "participant": "participant"}


def run(args) -> Outcome:
    """Embed each recording, and say what was done, with what, and what was not."""
    check(args)
    sources = meant(args)
    encoder, settings = opened(args)
    is_table = args.out.suffix in TABLES
    with where(args.out, settings, is_table) as parts:
        done, failed = embedded(args, sources, encoder, parts)
        files = [Path(one["part"]) for one in done]
        if is_table and files:
            (means if args.pool == "participant" else join)(files, args.out)
        if not is_table:
            parts.failures(failed)
        if args.report is not None:
            page.write(args.report, args, encoder, done, failed, files)
        n_written = n_rows([args.out] if is_table else files) if files else 0
    return outcome(args, encoder, done, failed, n_written)


def check(args):
    """What can be wrong with a call is found before anything is read."""
    out, report = args.out, args.report
    if out.suffix not in TABLES and out.suffix and not out.is_dir():
        raise ValueError(f"-o names a folder, or a table to write, ending in {' or '.join(TABLES)}; got {out}.")
    if out.suffix in TABLES and not out.absolute().parent.is_dir():
        raise ValueError(f"-o: the folder {out.absolute().parent} does not exist. Make it first.")
    if out.is_dir() == (out.suffix in TABLES) and out.exists():
        raise ValueError(f"-o {out} is a {'folder' if out.is_dir() else 'file'} already. Name another.")
    if args.pool == "participant" and out.suffix not in TABLES:
        raise ValueError(f"--pool participant makes one table of all: name it, like {out}.parquet.")
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--report names a page to write, ending in .html; got {report}.")
    if report is not None and not report.absolute().parent.is_dir():
        raise ValueError(f"--report: the folder {report.absolute().parent} does not exist. Make it first.")


def meant(args) -> list[Source]:
    """The recordings, one of which is there at least; what nobody could read is found before anything is."""
    sources = find(args.recordings, args.out, args.participant, args.by_folder, args.only)
    if args.out.resolve() in {source.path.resolve() for source in sources}:
        raise ValueError(f"-o {args.out} is one of the recordings, which it would replace. Name another file.")
    if not any(source.path.exists() for source in sources):
        names = ", ".join(str(source.path) for source in sources[:5])
        raise ValueError(f"Expected recordings, found nothing at {names}. Check their names.")
    if args.nonwear:
        wear_detection()  # an extra that is missing is told of once, and not for each recording
    return sources


def opened(args) -> tuple[Any, dict[str, Any]]:
    """The encoder, and the settings that change the rows of a recording."""
    from .. import hub  # what is wrong with a call is told before torch is loaded, which takes seconds
    from ..encoders import Encoder

    names = ("step", "pool", "min_coverage", "nonwear", "keep_gaps", *READING)
    weights = hub.load(args.weights).config["model_sha256"]
    encoder = Encoder.from_pretrained(args.weights, device=args.device)
    return encoder, {"weights": weights, **{name: getattr(args, name) for name in names}}


@contextmanager
def where(out: Path, settings: dict[str, Any], is_table: bool) -> Iterator[Parts]:
    """The folder of parts, which for a table is there for as long as it takes."""
    place = scratch_folder(out) if is_table else nullcontext(out)
    with place as folder, Parts(folder, settings, one_table=is_table).open() as parts:
        yield parts


def embedded(args, sources: list[Source], encoder, parts: Parts) -> tuple[list[dict], dict[str, str]]:
    """What is known of each recording that has a part now, and the errors of those that have none."""
    done: list[dict] = []
    failed: dict[str, str] = {}
    model = RecordingEncoder(
        encoder, args.step, windowwise(args.pool), min_coverage=args.min_coverage, nonwear=args.nonwear
    )
    slow = not sys.stderr.isatty()  # a log shall not fill with bars
    with (
        tqdm(sources, unit="file", disable=args.quiet, mininterval=30 if slow else 0.1, dynamic_ncols=True) as bar,
        listening() as pressed,
    ):
        for source in bar:
            bar.set_postfix_str(source.name, refresh=not slow)
            try:
                before = parts.finished(source)
                about = before or one_recording(args, source, model, parts, bar)
                done.append(
                    {
                        "path": str(source.path),
                        "name": source.name,
                        **about,
                        "part": parts.file(source),
                        "kept": before is not None,
                    }
                )
            except CannotWrite:
                raise
            except Exception as error:  # a damaged file may raise anything, and the others are done all the same
                if pressed:
                    raise KeyboardInterrupt from error
                if args.debug:
                    traceback.print_exc()
                failed[str(source.path)] = in_options(one_line(error), args)
    return done, failed


@contextmanager
def listening() -> Iterator[list[int]]:
    """Presses of Ctrl-C: pandas, for one, takes them for errors of the file that it reads."""
    pressed: list[int] = []
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield pressed  # in somebody's program, whose handler it is
        return

    def press(number, frame):
        pressed.append(number)
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGINT, press)
    except ValueError:  # not in the main thread, which alone hears of it
        yield pressed
        return
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def windowwise(pool: str | None) -> str | None:
    """How a single recording is pooled: a participant's recordings come together at the end."""
    return None if pool == "participant" else pool


def one_recording(args, source: Source, model: RecordingEncoder, parts: Parts, bar) -> dict[str, Any]:
    """Read, embed and write one recording."""
    read = identity(source) if source.path.exists() else {}  # before it is read: it may change meanwhile
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        recording = read_recording(source.path, participant=source.participant, **said_of_recordings(args))
    said = [in_options(" ".join(str(warning.message).split()), args) for warning in told]
    for one in said:
        tqdm.write(f"warning: {source.name}: {one}", file=sys.stderr)
    about = facts(recording, said, args.nonwear)
    about |= {"n_rows": 0, "n_left_out": 0, "coverage": 0.0, "source": read}
    frames = rows(args, source, recording, model, about, bar)
    parts.write(source, frames, about)
    return about


def rows(args, source: Source, recording: Recording, model, about: dict, bar) -> Iterator[pd.DataFrame]:
    """Rows of one recording, some at a time; what is left out is counted in `about`, and so is what is not."""
    pieces = model.pieces([recording]) if model.pool is None else model.parts([recording])
    for piece in pieces:
        table = piece.set_axis([f"e{n}" for n in range(piece.shape[1])], axis=1).reset_index()
        there = table["e0"].notna()
        about["n_left_out"] += int((~there).sum())
        about["n_rows"] += int(there.sum())
        about["coverage"] += float(table.loc[there, "coverage"].sum())
        if len(table):
            passed = (table["start"].iloc[-1] - recording.start).total_seconds() / recording.duration
            bar.set_postfix_str(f"{source.name}, {min(passed, 1):.0%}", refresh=sys.stderr.isatty())
        table["start"] = table["start"].dt.as_unit("ns")
        kept = table if args.keep_gaps or args.pool == "participant" else table[there]
        if len(kept):
            yield kept
    if not about["n_rows"]:
        contract = model.encoder.contract_
        raise ValueError(
            f"no {ROW[model.pool]}{f' of {contract.seconds:g} s' if model.pool is None else ''} is covered to "
            f"{args.min_coverage:.0%} in {recording.duration:.1f} s of recording ({about['n_left_out']} left out)."
        )
    about["coverage"] /= about["n_rows"]


# --------------------------------------------------------------------------------- what came of it


def outcome(args, encoder, done: list[dict], failed: dict[str, str], n_written: int) -> Outcome:
    for path, error in failed.items():
        print(f"not embedded: {path}: {error}", file=sys.stderr)
    told = {
        "command": "embed",
        "weights": args.weights,
        "synthetic": bool(encoder.training_.get("synthetic")),
        "out": args.out if done else None,
        "report": args.report,
        "n_rows": n_written,
        "dim": encoder.net_.dim,
        "n_kept": sum(one["kept"] for one in done),
        "n_left_out": sum(one["n_left_out"] for one in done),
        "recordings": [{key: value for key, value in one.items() if key not in HIDDEN} for one in done],
        "failed": [{"recording": path, "error": error} for path, error in failed.items()],
        "code": 1 if failed else 0,
    }
    return Outcome(told, lines(args, encoder, done, failed, told), told["code"])


HIDDEN = ("timeline", "source", "part", "kept", "dated")  # of what is known of a recording, in JSON


def lines(args, encoder, done, failed, told) -> list:
    kept = f", {told['n_kept']} of them before" if told["n_kept"] else ""
    synthetic = "synthetic data only" if told["synthetic"] else "see its card"
    head = [
        ("weights", f"{args.weights} (pretrained on: {synthetic})"),
        ("recordings", f"{len(done)} embedded, {len(failed)} failed{kept}"),
    ]
    if args.report is not None:
        head.append(("report", str(args.report)))
    if failed and args.out.is_dir():
        head.append(("failed", f"see {args.out / FAILURES}"))
    if not done:
        return [*head, ("wrote", "nothing")]
    n_windows = sum(one["n_rows"] for one in done)
    coverage = sum(one["coverage"] * one["n_rows"] for one in done) / max(1, n_windows)
    pool = windowwise(args.pool)
    length = f" of {encoder.contract_.seconds:g} s" if pool is None else ""
    why = "left out for gaps and non-wear" if args.nonwear else "left out for gaps"
    rest = f"{told['n_left_out']} {'more without numbers' if args.keep_gaps else why}"
    head.append((f"{ROW[pool]}s", f"{n_windows}{length}, mean coverage {share(coverage)}, {rest}"))
    parts = f" in {count(len(done), 'part')}" if args.out.is_dir() else ""
    return [*head, ("wrote", f"{args.out}: {told['n_rows']} rows{parts}, {told['dim']} numbers each")]
