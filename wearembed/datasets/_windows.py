"""Recordings with a label for each sample, and windows of them with a label each."""

from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ..recordings import Recording, cut
from ..recordings.clocks import even_clock
from ..recordings.recording import EPOCH, fields
from ..recordings.stamps import in_order
from ..signals import to_g


def labelled(path, seconds, values, units, codes, names, *, participant, name, start=EPOCH):
    """A recording in g out of rows with time stamps, and the label of each of its samples.

    Rows are put in order of time, and those with the stamp of another are left out. A row with NaN stays, and counts as
    missing.

    Parameters
    ----------
    path : path
        For messages.
    seconds : array of shape (n_rows,)
    values : array of shape (3, n_rows)
    units : str
    codes : array of shape (n_rows,)
        Places in `names`, -1 where there is no label.
    names : sequence of str
    participant, name : str
    start : pandas.Timestamp
        When `seconds` is zero.

    Returns
    -------
    recording : Recording
    labels : pandas.Categorical
    """
    order = in_order(seconds, values, path)
    times, sfreq = even_clock(seconds[order])
    signal = to_g(np.asarray(values, np.float32)[:, order], units)
    made = Recording(participant=participant, name=name, **fields(signal, sfreq, "g", start, times))
    return made, pd.Categorical.from_codes(np.asarray(codes)[order], categories=pd.Index(list(names)))


def codes_of(values, known):
    """Places of label values in the order of those that are known; -1 for all others."""
    values = pd.Series(values).astype("category").cat
    return np.r_[pd.Index(list(known)).get_indexer(values.categories), -1][values.codes]  # the last is for missing ones


def runs(seconds, *marks, gap=10.0):
    """Slices of rows that belong together: no step back in time, no pause of `gap` seconds, no other mark."""
    steps = np.diff(seconds)
    begins = (steps < -1.0) | (steps > gap) | ~np.isfinite(steps)
    for mark in marks:
        begins |= mark[1:] != mark[:-1]
    edges = np.r_[0, np.flatnonzero(begins) + 1, len(seconds)]
    return [slice(*pair) for pair in pairwise(edges)]


def windows_of(pairs, source, about, *, seconds, sfreq, step, purity, return_X_y):
    """Windows of recordings whose samples have labels, as a Bunch.

    Parameters
    ----------
    pairs : iterable of (Recording, pandas.Categorical)
    source : Source
    about : str
        Description of the set.
    seconds, sfreq : float
    step : float or None
    purity : float
        Share of a window's samples that have to carry its label.
    return_X_y : bool

    Returns
    -------
    Bunch, or (data, target)
    """
    check_share(purity)
    data, rows, n_left_out, n_mixed, units, names = [], [], 0, 0, "g", ()
    for recording, labels in pairs:
        X, index = cut(recording, seconds, sfreq, step)
        first, end = spans(recording, index, seconds)
        code, share = majority(labels.codes, first, end, len(labels.categories))
        keep = (code >= 0) & (share >= purity)
        data.append(X[keep])
        rows.append(index[keep].assign(label=labels.categories.to_numpy()[code[keep]]))
        n_left_out += index.attrs["n_left_out"]
        n_mixed += int((~keep).sum())
        units, names = recording.units, recording.channel_names
    table = joined(rows, source)
    return as_bunch(
        np.concatenate(data),
        table,
        source,
        about,
        return_X_y,
        target=table["label"].to_numpy(str),
        target_names=sorted(set(table["label"])),
        sfreq=float(sfreq),
        units=units,
        channel_names=list(names),
        n_left_out=n_left_out,
        n_mixed=n_mixed,
    )


def check_share(purity):
    if not 0 < purity <= 1:
        raise ValueError(f"Expected purity above 0 and at most 1, got {purity!r}. It is a share of a window's samples.")


def joined(rows, source):
    if not rows:
        raise ValueError(f"Expected recordings of {source.title}, found none. Look at participants= and at the folder.")
    return pd.concat([part for part in rows if len(part)] or rows[:1], ignore_index=True)


def as_bunch(data, table, source, about, return_X_y, *, target, **more):
    """The Bunch that all fetchers give."""
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        groups=table["participant"].to_numpy(str),
        session=table["recording"].to_numpy(str),
        start=table["start"].to_numpy("datetime64[ns]"),
        **more,
        DESCR=f"{source.title}\n\n{about}\n\nLicence: {source.license}\nSource: {source.page}\n",
        license=source.license,
        url=source.url,
    )


def spans(recording, index, seconds):
    """First sample and end of each window."""
    begin = ((index["start"] - recording.start) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
    hair = 0.05 / recording.sfreq
    if recording.times is None:
        first, end = (np.ceil((t - hair) * recording.sfreq).astype(int) for t in (begin, begin + seconds))
        return first, np.minimum(end, recording.signal.shape[1])
    return tuple(np.searchsorted(recording.times, t - hair) for t in (begin, begin + seconds))


def majority(codes, first, end, n_labels):
    """The commonest label of each stretch, -1 where it is none, and the share of its samples that carry it."""
    codes = np.asarray(codes)
    length = np.maximum(end - first, 1)
    shares = np.empty((n_labels + 1, len(first)))
    for label in range(-1, n_labels):
        before = np.r_[0, np.cumsum(codes == label)]
        shares[label + 1] = (before[end] - before[first]) / length
    best = shares.argmax(axis=0)
    return best - 1, shares[best, np.arange(len(first))]


def is_asked_for(participant, participants):
    return participants is None or participant in {str(name) for name in participants}


def check_choice(value, name, choices):
    if value not in choices:
        raise ValueError(f"Expected {name} to be one of {', '.join(map(repr, choices))}, got {value!r}.")
