"""Which recordings are meant: files as named, and what is found in folders."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..recordings.empatica import E4_NAMES, looks_like_e4

KNOWN = (".csv", ".tsv", ".cwa", ".bin")  # each may be gzipped


class Source(NamedTuple):
    """A recording that is meant."""

    path: Path  # a file, or the folder of an Empatica E4
    name: str  # where it lies in the folder that was named; of a file that was named itself, its own name
    participant: str | None  # None: as the file says


def find(named: Sequence[Path], out: Path, participant=None, by_folder=False, only=None) -> list[Source]:
    """The recordings of a call, each once.

    Parameters
    ----------
    named : sequence of Path
        Files and folders.
    out : Path
        What is written is not read.
    participant : str, optional
        Of all the recordings.
    by_folder : bool, default=False
        The folder that a recording lies in is its participant.
    only : str, optional
        Pattern of the files that are taken from folders.
    """
    if participant is not None and by_folder:
        raise ValueError("--participant and --by-folder both say whose the recordings are. Leave one out.")
    found = [one for path in named for one in within(path, out, only)]
    paths = [path.resolve() for path, _ in found]
    twice = [path for path, n in Counter(paths).items() if n > 1]
    if twice:
        raise ValueError(f"a recording is named twice: {twice[0]}. Name each once.")
    people = [participant] * len(found) if participant is not None else participants(paths, by_folder)
    return [Source(path, name, person) for (path, _), name, person in zip(found, names(found), people)]


def within(path: Path, out: Path, only: str | None) -> Iterator[tuple[Path, str]]:
    """Recordings at a path, with their names; one that is not there is named all the same, and will fail alone."""
    if not path.is_dir() or is_e4(path):
        yield path, path.resolve().name
        return
    found = list(walked(path, out.resolve(), only))
    if not found:
        kinds = f"a file like {only}" if only else f"{', '.join(KNOWN)} (each may be gzipped) or Empatica E4 folders"
        raise ValueError(f"no recordings in {path}: looked for {kinds}, in its folders too. Name the files themselves.")
    for one in found:
        yield one, one.relative_to(path).as_posix()


def walked(folder: Path, out: Path, only: str | None) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and Path(here, name).resolve() != out)
        if Path(here) != folder and is_e4(Path(here)):
            if only is None or fnmatch(Path(here).name, only):
                yield Path(here)
            folders.clear()
            continue
        for name in sorted(files):
            kind = fnmatch(name, only) if only else name.lower().removesuffix(".gz").endswith(KNOWN)
            if kind and not name.startswith(".") and Path(here, name).resolve() != out:
                yield Path(here, name)


def is_e4(folder: Path) -> bool:
    """Whether a folder is an export of an Empatica E4, and not of recordings that are called as its files are."""
    for name in E4_NAMES:
        file = folder / name
        if file.is_file():
            with open(file, "rb") as f:
                return looks_like_e4(f.read(256))
    return (folder / "ACC.csv.gz").is_file()


def names(found: Sequence[tuple[Path, str]]) -> list[str]:
    """A name for each recording; one that two share is made longer by the folders that tell them apart."""
    taken = Counter(name for _, name in found)
    return [
        name if taken[name] == 1 else "/".join(parts)
        for (_, name), parts in zip(found, apart([path.resolve() for path, _ in found]))
    ]


def participants(paths: Sequence[Path], by_folder: bool) -> list[str | None]:
    """Whose the recordings are, where the file's name alone would make one person of two: PERSON/wrist.cwa."""
    if by_folder:
        return [path.parent.name for path in paths]
    own = [path.with_name(stem(path)) for path in paths]
    taken = Counter(path.name for path in own)
    shared = [path for path in own if taken[path.name] > 1]
    longer = {path: "/".join(parts) for path, parts in zip(shared, apart(shared))}
    return [longer.get(path) for path in own]


def apart(paths: Sequence[Path]) -> list[tuple[str, ...]]:
    """The last parts of each path, as many as tell all of them apart, two at least."""
    depth = 2
    while len({path.parts[-depth:] for path in paths}) < len(set(paths)) and depth < 99:
        depth += 1
    return [path.parts[-depth:] for path in paths]


def stem(path: Path) -> str:
    """A file's name without its ending, as `read_recording` takes it; a folder's whole name."""
    return path.name if path.is_dir() else re.sub(r"\.gz$", "", path.name).rsplit(".", 1)[0]


def part_of(name: str) -> PurePosixPath:
    """The file of a recording's part in a folder of them; readers of Parquet pass over names that begin with _ or ."""
    parts = [f"-{part}" if part[0] in "_." else part for part in PurePosixPath(name).parts if part not in ("/", "..")]
    return PurePosixPath(*parts[:-1], f"{parts[-1]}.parquet")
