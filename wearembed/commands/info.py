"""What weights, a store, a recording or embeddings are, said before anything is done with them."""

import json
import re
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..embedding.manifest import ABOUT as BY_STORE
from ..recordings import read_recording
from ..stores import WindowStore
from ..stores.files import ABOUT
from .arguments import in_options, said_of_recordings
from .outcome import Outcome, count, duration, share, wrapped
from .parts import FAILURES, RUN
from .quality import facts
from .sources import is_e4

FEW = 12  # names that are told one by one


def run(args) -> Outcome:
    """Look what is there, and say it."""
    if args.what is None:
        if args.verify:
            raise ValueError("--verify looks at one thing: name it, such as wearembed/relcon-synthetic.")
        refuse_said(args)
        return of_bundled()
    path = Path(args.what).expanduser()
    if path.is_file() and path.suffix != ".parquet" or (path.is_dir() and is_e4(path)):
        if args.verify:
            raise ValueError(f"--verify compares with checksums, which a recording such as {path} has not.")
        return of_recording(path, args)
    refuse_said(args)
    if (path / ABOUT).is_file():
        return of_store(WindowStore(path), args)
    if (path.suffix == ".parquet" and path.is_file()) or any((path / name).is_file() for name in (RUN, BY_STORE)):
        return of_embeddings(path, args)
    if path.is_dir() and not (path / "config.json").is_file():
        raise ValueError(
            f"{path} is a folder of something else: expected weights (config.json), a store ({ABOUT}), embeddings "
            f"({RUN} or {BY_STORE}) or an Empatica E4 export. Name a file in it."
        )
    return of_weights(args)


def refuse_said(args):
    """An error where something is said of a recording, and there is none."""
    said = ", ".join("--" + name.replace("_", "-") for name in said_of_recordings(args))
    if said and args.what is None:
        raise ValueError(f"A recording is named with {said}, which says something of it: wearembed info P01.csv ...")
    if said:
        raise ValueError(f"There is no recording at {args.what}, of which alone {said} could say something.")


# --------------------------------------------------------------------------------- weights


def of_bundled() -> Outcome:
    """A line each of the weights that come with the package."""
    from .. import hub  # with it comes torch, which takes seconds, and which nothing else here needs

    rows = []
    for name in hub.bundled():
        config = hub.read_config(hub.folder_of(name))
        contract, training = config["contract"], config["training"]
        rows.append(
            {
                "weights": name,
                "estimator": config["estimator_class"],
                "synthetic": bool(training.get("synthetic")),
                "contract": {**contract, "seconds": contract["n_times"] / contract["sfreq"]},
                "output": config["output"],
                "license": training.get("license"),
            }
        )
    width = max((len(row["weights"]) for row in rows), default=0)
    lines: list = [f"{row['weights']:<{width}}  {bundled_said(row)}" for row in rows]
    return Outcome({"command": "info", "kind": "bundled", "bundled": rows}, lines)


def bundled_said(row: dict) -> str:
    contract = row["contract"]
    takes = f"{count(contract['n_channels'], 'channel')}, {contract['seconds']:g} s at {contract['sfreq']:g} Hz, "
    seen = "synthetic data only" if row["synthetic"] else "recordings too"
    return f"{takes}{contract['units']}; {row['output']}; {seen}"


def of_weights(args) -> Outcome:
    from .. import hub
    from ..encoders import from_pretrained

    config = hub.load(args.what).config
    estimator = from_pretrained(args.what, device="cpu")
    training, contract = config["training"], config["contract"]
    n_parameters = sum(p.numel() for p in estimator.net_.parameters())
    told = {
        "command": "info",
        "kind": "weights",
        "weights": args.what,
        "estimator": config["estimator_class"],
        "synthetic": bool(training.get("synthetic")),
        "contract": {**contract, "seconds": contract["n_times"] / contract["sfreq"]},
        "output": config["output"],
        "n_parameters": n_parameters,
        "training": training,
        "wearembed_version": config.get("wearembed_version"),
        "sha256": config["model_sha256"],
        "verified": estimator.verify() if args.verify else None,
    }
    return Outcome(told, weights_lines(told))


def weights_lines(told: dict) -> list:
    contract, training = told["contract"], told["training"]
    standardized = ", each window and channel standardised inside" if contract["standardized"] else ""
    lines: list = [
        ("weights", f"{told['weights']}: {told['estimator']}"),
        ("pretrained", data_said(told["synthetic"], training)),
        (
            "takes",
            f"windows of {contract['n_channels']} channels x {contract['n_times']} samples at {contract['sfreq']:g} Hz "
            f"({contract['seconds']:g} s), in {contract['units']}{standardized}",
        ),
        ("gives", f"{told['output']}, from {told['n_parameters']:,} parameters"),
        ("licence", training.get("license") or "none is said"),
    ]
    if training.get("description"):
        lines.append(wrapped("card", training["description"]))
    lines += [("result", result_said(row)) for row in training.get("results", [])]
    lines.append(("sha256", told["sha256"]))
    if told["verified"]:
        lines.append(("verified", "hashes agree, and this machine computes the stored reference"))
    return lines


def data_said(synthetic: bool, training: dict) -> str:
    if training.get("untrained"):
        return "NOT TRAINED: random weights"
    data = ", ".join(training.get("data", [])) or "data that nobody named"
    if training.get("n_windows"):
        people = f" of {count(training['n_participants'], 'participant')}" if training.get("n_participants") else ""
        data += f" ({count(training['n_windows'], 'window')}{people})"
    return f"SYNTHETIC DATA ONLY: {data}" if synthetic else data


def result_said(row: dict) -> str:
    others = [str(value) for key, value in row.items() if key not in ("value", "low", "high")]
    return f"{', '.join(others)}: {row['value']:.4g} ({row['low']:.4g} to {row['high']:.4g})"


# --------------------------------------------------------------------------------- stores


def of_store(store: WindowStore, args) -> Outcome:
    index = store.index
    people = index["participant"].value_counts(sort=False) if len(index) else pd.Series(dtype=int)
    labels = [name for name in index if name not in ("participant", "session", "recording", "start", "stop")]
    told = {
        "command": "info",
        "kind": "store",
        "path": store.path,
        "given": args.what,
        "n_windows": len(store),
        "n_channels": store.n_channels,
        "n_times": store.n_times,
        "sfreq": store.sfreq,
        "units": store.units,
        "seconds": len(store) * store.n_times / store.sfreq,
        "bytes": sum(file.stat().st_size for file in store.path.iterdir() if file.is_file()),
        "participants": {str(name): int(n) for name, n in people.items()},
        "columns": {name: column_of(index[name]) for name in labels if index[name].notna().any()},
        "verified": store.verify() is store if args.verify else None,
    }
    return Outcome(told, store_lines(told))


def column_of(column: pd.Series) -> dict:
    """Numbers by their range; words, and whole numbers of few kinds, by how many there are of each."""
    kinds = column.dropna().value_counts()
    missing = int(column.isna().sum())
    if pd.api.types.is_float_dtype(column) or len(kinds) > 4 * FEW:
        numeric = pd.api.types.is_numeric_dtype(column)
        ends = {"low": column.min(), "high": column.max()} if numeric else {}
        return {"n_kinds": len(kinds), "missing": missing, **ends}
    return {"n_kinds": len(kinds), "missing": missing, "counts": {str(kind): int(n) for kind, n in kinds.items()}}


def store_lines(told: dict) -> list:
    people = told["participants"]
    least, most = min(people.values(), default=0), max(people.values(), default=0)
    each = f", {least if least == most else f'{least} to {most}'} windows each" if people else ""
    seconds = told["n_times"] / told["sfreq"]
    lines = [
        ("store", f"{told['given']}"),
        (
            "windows",
            f"{told['n_windows']:,} of {told['n_channels']} channels x {told['n_times']} samples at "
            f"{told['sfreq']:g} Hz ({seconds:g} s), in {told['units']}",
        ),
        ("in all", f"{duration(told['seconds'])}, {told['bytes'] / 1e6:.1f} MB on disk"),
        ("participants", f"{len(people)}{each}"),
    ]
    lines += [("column", f"{name}: {column_said(column)}") for name, column in told["columns"].items()]
    if told["verified"]:
        lines.append(("verified", "every file is as it was written"))
    return lines


def column_said(column: dict) -> str:
    missing = f", {column['missing']} missing" if column["missing"] else ""
    if "counts" in column:
        few = [f"{kind} {n}" for kind, n in list(column["counts"].items())[:FEW]]
        return ", ".join(few) + (", ..." if column["n_kinds"] > FEW else "") + missing
    if "low" in column:
        return f"{column['low']:.4g} to {column['high']:.4g}{missing}"
    return f"{column['n_kinds']} different ones{missing}"


# --------------------------------------------------------------------------------- embeddings


def of_embeddings(path: Path, args) -> Outcome:
    """What is known of a table of embeddings, or of a folder of them; numbers are read to verify them alone."""
    about, files = {}, [path]
    if path.is_dir():
        about = manifest(path)
        files = sorted(file for file in path.rglob("*.parquet") if not file.name.startswith((".", "_")))
    columns, n_rows, people = [], 0, set()
    for file in files:
        try:
            with pq.ParquetFile(file, page_checksum_verification=args.verify) as table:
                columns, n_rows = table.schema_arrow.names, n_rows + table.metadata.num_rows
                if "participant" in columns:
                    people |= set(table.read(columns=["participant"])["participant"].unique().to_pylist())
                for _ in table.iter_batches(2**12) if args.verify else ():
                    pass
        except (OSError, ValueError, pa.ArrowException) as error:
            raise ValueError(f"{file} is no Parquet table, or is damaged. Delete it, and make it again.") from error
    numbers = about.get("columns") or numbered(columns)
    if files and not numbers:
        raise ValueError(f"{path} is a table of something else: it has no columns e0, e1, ... as embed writes them.")
    told = {
        "command": "info",
        "kind": "embeddings",
        "path": path,
        "n_rows": n_rows,
        "dim": len(numbers),
        "n_parts": len(files) if path.is_dir() else None,
        "n_parts_missing": max(0, len(about["parts"]) - len(files)) if "parts" in about else None,
        "failures": path / FAILURES if (path / FAILURES).is_file() else None,
        "participants": sorted(map(str, people)),
        "columns": [name for name in columns if name not in set(numbers)],
        "about": {key: value for key, value in about.items() if key not in ("parts", "columns")},
        "verified": True if args.verify else None,
    }
    return Outcome(told, embeddings_lines(told))


def manifest(folder: Path) -> dict:
    """What a folder of embeddings says it is of."""
    file = next(folder / name for name in (RUN, BY_STORE) if (folder / name).is_file())
    try:
        return dict(json.loads(file.read_bytes()))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged or empty: a run was killed there. The same line again mends it."
        ) from error


def numbered(columns: list[str]) -> list[str]:
    """The last columns, whose names are one word and 0, 1, 2, ..."""
    first = next((n for n, name in enumerate(columns) if re.fullmatch(r"[a-z]+0", name)), len(columns))
    word = columns[first][:-1] if first < len(columns) else ""
    return columns[first:] if columns[first:] == [f"{word}{n}" for n in range(len(columns) - first)] else []


def embeddings_lines(told: dict) -> list:
    parts = f" in {count(told['n_parts'], 'part')}" if told["n_parts"] is not None else ""
    missing = f", {count(told['n_parts_missing'], 'part')} still missing" if told["n_parts_missing"] else ""
    lines = [
        ("embeddings", f"{told['path']}: {told['n_rows']:,} rows of {told['dim']} numbers{parts}{missing}"),
        ("participants", f"{len(told['participants'])}"),
        ("columns", ", ".join(told["columns"])),
    ]
    if "weights" in told["about"]:
        lines.append(("weights", named(told["about"]["weights"])))
    known = {"encoder_repr": "encoder", "store": "store"}
    lines += [(word, str(told["about"][key])) for key, word in known.items() if key in told["about"]]
    if told["failures"]:
        lines.append(("failed", f"see {told['failures']}"))
    if told["verified"]:
        lines.append(("verified", "every page of every file is as it was written"))
    return lines


def named(sha256: str) -> str:
    """The bundled weights with this hash, or the hash."""
    from .. import hub

    names = (name for name in hub.bundled() if hub.read_config(hub.folder_of(name))["model_sha256"] == sha256)
    return next(names, f"sha256 {sha256}")


# --------------------------------------------------------------------------------- recordings


def of_recording(path: Path, args) -> Outcome:
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        recording = read_recording(path, **said_of_recordings(args))
    about = facts(recording, [in_options(" ".join(str(warning.message).split()), args) for warning in noted])
    about = {key: value for key, value in about.items() if key not in ("timeline", "worn", "dated")}
    told = {"command": "info", "kind": "recording", "path": path, **about}
    return Outcome(told, recording_lines(told))


def recording_lines(told: dict) -> list:
    channels = f"{len(told['channels'])} channels ({', '.join(told['channels'])})"
    gaps = f"{count(told['n_gaps'], 'gap')}, {share(told['recorded'])} of the time is recorded"
    lines = [
        ("recording", f"{told['path']}"),
        ("participant", told["participant"]),
        ("starts", told["start"]),
        ("lasts", f"{duration(told['seconds'])}, {told['n_samples']:,} samples at {told['sfreq']:.6g} Hz"),
        ("holds", f"{channels} in {told['units']}"),
        ("gaps", gaps + (f", about {told['n_lost']:,} samples lost" if told["n_lost"] else "")),
    ]
    if told["clipped"]:
        lines.append(("clipped", f"{told['clipped']:.2%} of the samples are at the end of the range"))
    return [*lines, *(("warning", one) for one in told["warnings"])]
