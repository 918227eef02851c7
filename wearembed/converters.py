"""Windows from and to other libraries: MNE, aeon, tslearn, sktime and frames of pandas."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6}  # what one of each is in MNE's unit
ROW = ("window", "participant", "time")
IRREGULAR = (
    "Windows have one step of time from sample to sample. Where a clock drifts or samples are missing, make a "
    "wearembed.Recording(signal, sfreq, participant, units, times=seconds) of each participant's samples, or read the "
    "file with wearembed.read_recording, and cut windows with wearembed.cut(recordings, seconds, sfreq), which bridges."
)


def from_mne(epochs, channels=None, *, units=None):
    """Windows of MNE's Epochs.

    Parameters
    ----------
    epochs : mne.Epochs
    channels : str or list of str, default=None
        Names or types, as MNE's ``pick`` takes them. None: all but stimulus channels, which have to be of one type.
    units : str, default=None
        That the values are to be in: ``"V"``, ``"mV"`` or ``"uV"`` for channels that MNE has in volts, None is volts;
        for others, such as ``misc``, what they are in, which MNE does not say: ``"g"``.

    Returns
    -------
    Bunch
        ``data`` float32 of shape (n_windows, n_channels, n_times), ``sfreq``, ``units``, ``channel_names``, ``index``,
        MNE's metadata; ``groups``, its column ``participant``, or None; ``target``, names of events.

    Raises
    ------
    ValueError
        The channels are of several types, or MNE does not say their units.
    """
    picked = epochs.copy().load_data()
    picked = picked.pick(channels) if channels is not None else picked.drop_channels(stimuli(picked))
    kinds = sorted(set(picked.get_channel_types()))
    if len(kinds) != 1:
        raise ValueError(
            f"Windows have channels of one sensor; these are of types {', '.join(kinds)}. Name some by channels=, such "
            f"as channels={kinds[0]!r}."
        )
    in_volts = all(int(channel["unit"]) == 107 for channel in picked.info["chs"])  # FIFF_UNIT_V
    scale = scale_of(units, kinds[0]) if in_volts else 1.0
    if not in_volts and units is None:
        raise ValueError(f"MNE does not say the units of channels of type {kinds[0]}. Say them: units='g' or the like.")
    names = {code: name for name, code in picked.event_id.items()}
    index = picked.metadata
    return Bunch(
        data=(picked.get_data() / scale).astype(np.float32),
        target=np.array([names[code] for code in picked.events[:, 2]]),
        groups=None if index is None or "participant" not in index else index["participant"].to_numpy(),
        sfreq=float(picked.info["sfreq"]),
        units=units or "V",
        channel_names=list(picked.ch_names),
        index=index,
    )


def to_mne(X, sfreq, *, units, groups=None, target=None, channel_names=None):
    """MNE's Epochs of windows, each an event of its own.

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, n_times)
    sfreq : float
        Hertz.
    units : str
        ``"V"``, ``"mV"`` and ``"uV"`` become channels of type ``ecg``, in volts as MNE wants them. Others become
        ``misc``, with the values that they have.
    groups : array of shape (n_windows,), default=None
        Becomes the column ``participant`` of the metadata.
    target : array of shape (n_windows,), default=None
        Its values become names of events.
    channel_names : list of str, default=None

    Returns
    -------
    mne.EpochsArray
        Of float64, from which `from_mne` gives `X` back to the bit.
    """
    mne = library()
    X = windows(X)
    kind, scale = ("ecg", VOLTS[units]) if units in VOLTS else ("misc", 1.0)
    info = mne.create_info(names_of(X, channel_names), float(sfreq), kind, verbose="error")
    labels = np.array(["window"] * len(X) if target is None else [str(label) for label in target])
    names, codes = np.unique(labels, return_inverse=True)
    starts = np.arange(len(X)) * X.shape[2]
    return mne.EpochsArray(
        X.astype(np.float64) * scale,
        info,
        events=np.column_stack([starts, np.zeros(len(X)), codes + 1]).astype(int),
        event_id={str(name): n + 1 for n, name in enumerate(names)},
        metadata=None if groups is None else pd.DataFrame({"participant": np.asarray(groups)}),
        verbose="error",
    )


def from_aeon(X):
    """Windows of aeon's collections, which have the same layout; a list of cases of one shape becomes an array.

    Parameters
    ----------
    X : array of shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints), or list of arrays
        Of a list each has shape (n_channels, n_timepoints).

    Returns
    -------
    array of shape (n_windows, n_channels, n_times)

    Examples
    --------
    >>> from_aeon([np.zeros((3, 100)), np.ones((3, 100))]).shape
    (2, 3, 100)
    """
    if isinstance(X, (list, tuple)):
        cases = [np.atleast_2d(case) for case in X]
        shapes = sorted({case.shape for case in cases})
        if len(shapes) > 1:
            raise ValueError(
                f"Windows are of one shape; the cases are of {len(shapes)}, from {shapes[0]} to {shapes[-1]}. Cut them "
                f"to windows of equal length first, for instance with wearembed.cut."
            )
        X = np.stack(cases) if cases else np.empty((0, 0, 0))
    return windows(X)


def to_aeon(X):
    """Windows as aeon takes them: (n_cases, n_channels, n_timepoints).

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)

    Returns
    -------
    array of shape (n_cases, n_channels, n_timepoints)
    """
    return windows(X)


def from_tslearn(X):
    """Windows of tslearn's data sets, whose channels come last.

    Parameters
    ----------
    X : array of shape (n_ts, sz, d) or (n_ts, sz)
        What `tslearn` pads with NaN since it is of unequal length is refused.

    Returns
    -------
    array of shape (n_windows, n_channels, n_times)

    Examples
    --------
    >>> from_tslearn(np.zeros((10, 100, 3))).shape
    (10, 3, 100)
    """
    X = np.asarray(X)
    X = X[..., None] if X.ndim == 2 else X
    found = windows(X.transpose(0, 2, 1) if X.ndim == 3 else X)
    filled = (~np.isnan(found).all(1)).sum(1)
    if len(found) and filled.min() < found.shape[2]:
        raise ValueError(
            f"Windows are of one length; these series have {filled.min()} to {filled.max()} samples, filled up with "
            f"NaN. Cut them to windows of equal length first, for instance with wearembed.cut."
        )
    return np.ascontiguousarray(found)


def to_tslearn(X):
    """Windows as tslearn takes them: (n_ts, sz, d), channels last.

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)

    Returns
    -------
    array of shape (n_ts, sz, d)
    """
    return np.ascontiguousarray(windows(X).transpose(0, 2, 1))


def from_sktime(X):
    """Windows of sktime's frames and arrays.

    Parameters
    ----------
    X : DataFrame with an index of (instance, time) and a column a channel; DataFrame of Series; or array
        sktime's ``pd-multiindex``, ``nested_univ`` and ``numpy3D``.

    Returns
    -------
    array of shape (n_windows, n_channels, n_times)
    """
    if not isinstance(X, pd.DataFrame):
        return from_aeon(X)
    if isinstance(X.index, pd.MultiIndex):
        cases = [case.to_numpy().T for _, case in X.groupby(level=0, sort=False)]
    else:
        cases = [np.stack([np.asarray(cell) for cell in row]) for row in nested(X)]
    return from_aeon(cases)


def to_sktime(X, *, channel_names=None):
    """Windows as sktime's ``pd-multiindex``: a row for each sample of each window, a column a channel.

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)
    channel_names : list of str, default=None

    Returns
    -------
    DataFrame
    """
    X = windows(X)
    index = pd.MultiIndex.from_product([range(len(X)), range(X.shape[2])], names=["instance", "time"])
    return pd.DataFrame(X.transpose(0, 2, 1).reshape(-1, X.shape[1]), index, names_of(X, channel_names))


def from_pandas(frame, *, n_times=None, channels=None):
    """Windows of a frame with a row for each sample, or for each sample of each channel.

    Parameters
    ----------
    frame : DataFrame
        Has ``time``, in seconds or as time stamps, and ``channel`` and ``value``, or a column for each channel. With a
        column ``window`` each is one window; without, `n_times` samples of a ``participant`` are, one after the other.
    n_times : int, default=None
        Samples of a window, where the frame does not name windows. Those left at the end of a participant are dropped.
    channels : list of str, default=None
        Which, and in which order. None: all, in the order in which they come.

    Returns
    -------
    Bunch
        ``data`` of shape (n_windows, n_channels, n_times), ``groups`` or None, ``sfreq``, ``channel_names``, and
        ``index``, a row a window: window, participant, start.

    Raises
    ------
    ValueError
        A column is missing, time is not regular, windows differ in length, or values are missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"participant": "P01", "time": np.arange(100) / 50, "x": 0.0, "y": 0.0, "z": 1.0})
    >>> from_pandas(frame, n_times=50).data.shape
    (2, 3, 50)
    """
    wide = unstacked(with_windows(frame, n_times, channels))
    names = [name for name in wide.columns if name not in ROW] if channels is None else list(channels)
    missing = [name for name in names if name not in wide.columns]
    if missing or not names:
        there = ", ".join(map(str, wide.columns))
        raise ValueError(f"The frame has no channels {', '.join(missing) or 'at all'}; it has {there}.")
    wide = wide.sort_values(["window", "time"], kind="stable")
    order = wide["window"].drop_duplicates()
    counts = wide.groupby("window", sort=False).size()
    if counts.nunique() > 1:
        raise ValueError(f"Windows are of one length; these have {counts.min()} to {counts.max()} samples. {IRREGULAR}")
    shape = (len(order), int(counts.iloc[0]))
    values = wide[names].to_numpy()
    if pd.isna(values).any():
        raise ValueError(f"{int(pd.isna(values).any(1).sum())} samples lack the value of a channel. {IRREGULAR}")
    refuse_shared(wide)
    starts = wide.groupby("window", sort=False).first()
    groups = starts["participant"].to_numpy() if "participant" in wide else None
    return Bunch(
        data=np.ascontiguousarray(values.reshape(*shape, len(names)).transpose(0, 2, 1)),
        groups=groups,
        sfreq=rate(wide["time"].to_numpy().reshape(shape)),
        channel_names=names,
        index=starts.reset_index().rename(columns={"time": "start"})[
            ["window", *(["participant"] if groups is not None else []), "start"]
        ],
    )


def to_pandas(X, sfreq, *, groups=None, channel_names=None, layout="long"):
    """A frame with a row for each sample of each channel, or for each sample.

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)
    sfreq : float
        Hertz; ``time`` is in seconds from the beginning of each window.
    groups : array of shape (n_windows,), default=None
        Becomes the column ``participant``.
    channel_names : list of str, default=None
    layout : {"long", "wide"}, default="long"
        ``"long"``: columns ``channel`` and ``value``. ``"wide"``: a column for each channel.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> to_pandas(np.zeros((2, 3, 4)), 100, groups=["P01", "P02"], layout="wide").columns.tolist()
    ['window', 'participant', 'time', 'x', 'y', 'z']
    """
    if layout not in ("long", "wide"):
        raise ValueError(f'layout is "long" or "wide"; got {layout!r}.')
    X, per_window = windows(X), np.shape(X)[-1]
    names = names_of(X, channel_names)
    frame = pd.DataFrame({"window": np.repeat(np.arange(len(X)), per_window)})
    if groups is not None:
        frame["participant"] = np.repeat(np.asarray(groups), per_window)
    frame["time"] = np.tile(np.arange(per_window) / sfreq, len(X))
    rows = list(frame.columns)
    for name, channel in zip(names, X.transpose(1, 0, 2)):
        frame[name] = channel.ravel()
    return frame if layout == "wide" else frame.melt(rows, names, "channel", "value")


# --- parts


def windows(X) -> np.ndarray:
    """`X` with three dimensions; two are windows of one channel."""
    X = np.asarray(X)
    X = X[:, None] if X.ndim == 2 else X
    if X.ndim != 3 or X.dtype.kind not in "fiu":
        raise ValueError(
            f"Windows are numbers of shape (n_windows, n_channels, n_times), or (n_windows, n_times) of one channel; "
            f"got {X.ndim} dimensions of {X.dtype}."
        )
    return X


def names_of(X: np.ndarray, names) -> list[str]:
    default = "xyz" if X.shape[1] == 3 else map(str, range(X.shape[1]))
    names = [str(name) for name in (default if names is None else names)]
    if len(names) != X.shape[1]:
        raise ValueError(f"Expected a name for each of {X.shape[1]} channels, got {names}.")
    return names


def library() -> Any:
    """MNE, where it is installed."""
    try:
        import mne
    except ImportError as error:
        raise ImportError("Epochs need MNE. pip install mne.") from error
    return mne


def stimuli(epochs) -> list[str]:
    return [name for name, kind in zip(epochs.ch_names, epochs.get_channel_types()) if kind == "stim"]


def scale_of(units: str | None, kind: str) -> float:
    if units is not None and units not in VOLTS:
        raise ValueError(f"MNE has channels of type {kind} in volts; units is one of V, mV, uV, and got {units!r}.")
    return VOLTS[units or "V"]


def nested(frame: pd.DataFrame) -> list[list]:
    """Rows of cells, each a series."""
    rows = frame.to_numpy().tolist()
    if not rows or not all(np.ndim(cell) == 1 for row in rows for cell in row):
        raise ValueError(
            "Expected sktime's pd-multiindex, with an index of (instance, time), or nested_univ, with a Series in each "
            "cell. A frame with columns of time and values is for from_pandas."
        )
    return rows


def with_windows(frame, n_times, channels) -> pd.DataFrame:
    """The frame with a column ``window``, made by counting samples of a participant where it has none."""
    if "time" not in frame:
        raise ValueError(f"The frame has no column time; it has {', '.join(map(str, frame.columns))}. Rename one.")
    if "window" in frame:
        return frame
    if n_times is None:
        raise ValueError("The frame has no column window. Say how many samples a window has: n_times=256 or the like.")
    wide = unstacked(frame if "participant" in frame else frame.assign(participant=0))
    wide = wide.sort_values(["participant", "time"], kind="stable")
    for who, times in wide.groupby("participant", sort=False)["time"]:
        rate(times.to_numpy()[None], f"participant {who}")
    nth = wide.groupby("participant", sort=False).cumcount()
    whole = wide.groupby("participant", sort=False)["time"].transform("size") // n_times * n_times
    wide, nth = wide[nth < whole], nth[nth < whole]
    number = pd.Series(list(zip(wide["participant"], nth // n_times)), index=wide.index)
    if wide.empty:
        raise ValueError(f"No participant has the {n_times} samples of a window.")
    wide = wide.assign(window=pd.factorize(number)[0])
    return wide if "participant" in frame else wide.drop(columns="participant")


def unstacked(frame: pd.DataFrame) -> pd.DataFrame:
    """A column for each channel, whatever layout it came in."""
    if not {"channel", "value"} <= set(frame.columns):
        return frame
    rows = [name for name in ROW if name in frame]
    if frame.duplicated([*rows, "channel"]).any():
        n = int(frame.duplicated([*rows, "channel"]).sum())
        raise ValueError(f"{n} rows say the same channel at the same time again. Leave them out, or name windows.")
    order = frame["channel"].drop_duplicates()
    table = frame.pivot(index=rows, columns="channel", values="value")[list(order)]
    return table.reset_index().rename_axis(columns=None)


def refuse_shared(wide: pd.DataFrame):
    """An error where a window is of more than one participant."""
    if "participant" not in wide:
        return
    people = wide.groupby("window", sort=False)["participant"].nunique()
    if people.max() > 1:
        raise ValueError(
            f"Window {people.idxmax()} is of {people.max()} participants. Number windows over all of them: groupby("
            f"['participant', 'window']).ngroup()."
        )


def rate(times: np.ndarray, whose: str = "a window") -> float:
    """Samples a second of windows' times (n_windows, n_times); an error unless all steps are equal."""
    if times.dtype.kind in "mM":
        times = (times - times[:, :1]) / np.timedelta64(1, "s")
    steps = np.diff(times.astype(np.float64), axis=1)
    if not steps.size:
        raise ValueError(f"The rate is not known of one sample. {IRREGULAR}")
    step = float(np.median(steps))
    if not step > 0 or np.abs(steps - step).max() > 0.01 * step:
        raise ValueError(
            f"Time is not regular in {whose}: steps from {steps.min():.6g} to {steps.max():.6g} s. {IRREGULAR}"
        )
    length = times.shape[1] - 1
    measured = length / float(np.median(times[:, -1] - times[:, 0]))
    return round(measured, 6)
