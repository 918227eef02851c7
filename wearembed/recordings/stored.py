"""Recordings into a store, in memory that does not grow with their length or number."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..signals import canonical_units, check_share, convert_units, positive
from ..stores import WindowStore
from .encoder import flat, floored
from .grid import Block, blocks
from .nonwear import worn_stretches
from .reading import read_recording
from .recording import Recording

SESSIONS = (None, "minute", "hour", "day")
TABLE = ["recording", "participant", "n_windows", "n_left_out", "error"]
A_LOOK = 2**16  # samples, spread over a recording, by which it is known again


def cut_into(
    store,
    recordings,
    step=None,
    *,
    min_coverage=0.8,
    session="hour",
    nonwear=False,
    read=read_recording,
    verbose=0,
):
    """Cut recordings into windows of a store, in memory that does not grow with their length or number.

    Windows are those of `cut`. Those of a recording come to be in the store all at once, or not at all; a recording
    that is in the store is skipped, a file without being read. So the same call goes on where another was killed. A
    recording that cannot be read or cut is told of, and the others are done.

    Parameters
    ----------
    store : WindowStore
        Says what windows are: channels, samples, rate and units. Accelerations in other units are converted.
    recordings : Recording or path, or iterable of them
        One by one; entries may be lists.
    step : float, default=None
        Seconds from one window's start to the next one's. None: windows follow one another.
    min_coverage : float, default=0.8
        Windows with a smaller share of samples that are there, and worn, are left out.
    session : {"hour", "minute", "day", None}, default="hour"
        What becomes the windows' session: the recording and the hour of its local clock (the paper's, from which
        RelCon's mates are drawn). The hour that comes twice is two.
    nonwear : bool, default=False
        Leave out time in which an accelerometer was not worn, see `RecordingEncoder`.
    read : callable, default=read_recording
        From a path to a `Recording`; ``lambda path: read_recording(path, participant=path.parent.name)``, for one. If
        it has an attribute ``said``, a dict for JSON of how it reads, a file that is in the store as it was read in
        another way is told of as an error.
    verbose : int, default=0
        Above 0: show progress.

    Returns
    -------
    pandas.DataFrame
        A row a recording: recording (its name, or path), participant, n_windows in the store, n_left_out below
        `min_coverage`, and error, which is empty for those that are in the store.

    Raises
    ------
    ValueError
        The store's recordings were cut in another way so far.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from wearembed import Recording, WindowStore, cut_into
    >>> recording = Recording(np.zeros((3, 6000)), sfreq=50, participant="P01", units="g", start="2026-03-01 08:59:30")
    >>> store = WindowStore.create(tempfile.mkdtemp(), n_channels=3, n_times=256, sfreq=100, units="g")
    >>> cut_into(store, [recording, "nowhere.cwa"])[["recording", "n_windows", "error"]]
         recording  n_windows                                         error
    0          P01         46
    1  nowhere.cwa          0  Expected a recording at nowhere.cwa, found ...
    >>> store.session[[0, -1]].tolist()
    ['P01 2026-03-01T08', 'P01 2026-03-01T09']
    """
    if session not in SESSIONS:
        raise ValueError(f"session is one of {', '.join(map(repr, SESSIONS))}; got {session!r}.")
    seconds = store.n_times / store.sfreq
    step = seconds if step is None else positive(step, "step", "s")
    how = {
        "step": step,
        "min_coverage": check_share(min_coverage, "min_coverage"),
        "session": session,
        "nonwear": bool(nonwear),
    }
    known = Known(store, how)
    total = len(recordings) if hasattr(recordings, "__len__") else None
    shown = tqdm(flat(recordings), "recordings", total, disable=not verbose, unit="")
    return pd.DataFrame([row(store, one, how, read, known) for one in shown], columns=TABLE)


def row(store: WindowStore, one: Recording | Path, how: dict, read: Callable, known: "Known") -> dict:
    """What became of a recording; its windows are in the store, or there is an error."""
    file = {} if isinstance(one, Recording) else {**file_of(one), **said_by(read)}
    note = known.file(file)
    if note is not None:
        try:
            refuse_read_otherwise(note, file)
        except ValueError as error:
            return {"recording": note["recording"], "participant": note["participant"], **failed(error)}
    else:
        try:
            recording = one if isinstance(one, Recording) else read(one)
        except ImportError:
            raise  # an extra is missing, so each would fail
        except Exception as error:  # of files of others and their decoders, whatever it is
            return {"recording": str(one), "participant": "", **failed(error)}
        try:
            note = put(store, recording, how, file, known)
        except ValueError as error:
            return {"recording": recording.name, "participant": recording.participant, **failed(error)}
    return {**{name: note[name] for name in TABLE[:-1]}, "error": ""}


def failed(error: Exception) -> dict:
    return {"n_windows": 0, "n_left_out": 0, "error": " ".join(str(error).split()) or type(error).__name__}


def put(store: WindowStore, recording: Recording, how: dict, file: dict, known: "Known") -> dict:
    """The note of a recording whose windows are in the store, from now on at least."""
    told = identity(recording)
    if told in known.identities:
        return known.identities[told]
    known.refuse_a_changed(file)
    note = {"recording": recording.name, "participant": recording.participant, **file, "identity": told, "how": how}
    store.extend(windows_of(store, recording, how, note), note)  # the numbers come into the note on the way
    known.add(note)
    return note


def windows_of(store, recording: Recording, how: dict, note: dict) -> Iterator[tuple[np.ndarray, dict]]:
    """Blocks of windows and their index; counted in the note."""
    worn = worn_stretches(recording) if how["nonwear"] else None
    note |= {"n_windows": 0, "n_left_out": 0}
    seconds = store.n_times / store.sfreq
    for block in blocks(recording, seconds, store.sfreq, how["step"], how["min_coverage"], worn):
        note["n_windows"] += len(block.windows)
        note["n_left_out"] += len(block.keep) - len(block.windows)
        if len(block.windows):
            yield in_units(block.windows, recording.units, store.units), described(recording, block, how["session"])


def described(recording: Recording, block: Block, session: str | None) -> dict:
    start = recording.start + pd.to_timedelta(block.starts[block.keep], unit="s")
    told: dict = {"participant": recording.participant, "recording": recording.name}
    if session is not None:
        written = {"day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H%z", "minute": "%Y-%m-%dT%H:%M%z"}[session]
        told["session"] = recording.name + " " + floored(start, session).strftime(written)
    return {**told, "start": start, "coverage": block.coverage[block.keep]}


def in_units(windows: np.ndarray, units: str, wanted: str) -> np.ndarray:
    same = canonical_units(units) == canonical_units(wanted)
    return windows if same else convert_units(windows, units, wanted)


# ---- what is in the store already


def file_of(path: Path) -> dict:
    """Where a file or folder is and how large; it is known again by both."""
    path = Path(path)
    try:
        inside = [path] if path.is_file() else [file for file in sorted(path.iterdir()) if file.is_file()]
        return {"path": str(path.resolve()), "bytes": sum(file.stat().st_size for file in inside)}
    except OSError:
        return {}  # reading it says what is wrong


def said_by(read: Callable) -> dict:
    """How recordings are read, where the reader says it."""
    return {"said": read.said} if hasattr(read, "said") else {}


def refuse_read_otherwise(note: dict, file: dict):
    """An error where the windows of a file are those of another way to read it."""
    was, now = note.get("said", file.get("said", {})), file.get("said", {})
    told = [
        f"{name}={was.get(name)!r}, not {now.get(name)!r}" for name in {**was, **now} if was.get(name) != now.get(name)
    ]
    if told:
        raise ValueError(
            f"{file['path']} is in the store as it was read with {', '.join(told)}. Read it in the same way, or into "
            f"another store."
        )


def identity(recording: Recording) -> str:
    """Tells one recording from another by its owner, clock and some of its samples."""
    rows = np.linspace(0, recording.signal.shape[1] - 1, min(A_LOOK, recording.signal.shape[1])).astype(int)
    told = (recording.participant, recording.name, str(recording.start), recording.sfreq, recording.signal.shape)
    digest = hashlib.sha256(repr(told).encode())
    digest.update(np.ascontiguousarray(recording.signal[:, rows]).data)
    return digest.hexdigest()


class Known:
    """Recordings that are in a store, all cut in one way."""

    def __init__(self, store: WindowStore, how: dict):
        self.files: dict[str, dict] = {}
        self.identities: dict[str, dict] = {}
        for note in store.notes:
            if "how" in note:
                self.refuse_another_way(store, note["how"], how)
                self.add(note)

    def add(self, note: dict):
        self.identities[note["identity"]] = note
        if "path" in note:
            self.files[note["path"]] = note

    def file(self, file: dict) -> dict | None:
        """The note of a file that is in the store as it is now."""
        note = self.files.get(file.get("path", ""))
        return note if note and note["bytes"] == file["bytes"] else None

    def refuse_a_changed(self, file: dict):
        if file.get("path") in self.files:
            raise ValueError(
                f"{file['path']} has changed since its windows came to be in the store, so some would be there twice. "
                f"Make a store without them, or give the new file another name if it is another recording."
            )

    @staticmethod
    def refuse_another_way(store: WindowStore, was: dict, how: dict):
        if was != how:
            told = [f"{name}={value!r}, not {how[name]!r}" for name, value in was.items() if value != how[name]]
            raise ValueError(
                f"Recordings of {store.path} were cut with {', '.join(told)}. Cut these in the same way, or into a "
                f"store of their own."
            )
