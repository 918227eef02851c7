"""Whole recordings to embeddings, in memory that does not grow with their length."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from ..signals import check_share, positive
from .grid import Block, blocks
from .nonwear import worn_stretches
from .reading import read_recording
from .recording import Recording

POOLS = (None, "minute", "hour", "day", "participant")
WINDOW = ["participant", "recording", "start", "coverage"]


class RecordingEncoder(TransformerMixin, BaseEstimator):
    """Embeddings of whole recordings, window by window or as means over minutes, hours, days or participants.

    Recordings are read one by one and cut a few minutes at a time, so that memory does not grow with their length.
    Windows lie where `cut` lays them. Gaps, and time in which the device was not worn, have NaN and a coverage.

    Parameters
    ----------
    encoder : fitted encoder
        Or any other fitted transformer with a ``contract_``. Rate and units are converted to what it takes.
    step : float, default=None
        Seconds from one window's start to the next one's. None: windows follow one another.
    pool : {None, "minute", "hour", "day", "participant"}, default=None
        What a row is of: a window, or the mean over windows that start in a minute, hour or day of the recording's own
        clock, or over all of a participant.
    min_coverage : float, default=0.8
        Windows with a smaller share of samples that are there, and worn, are NaN.
    nonwear : bool, default=False
        Look for time in which an accelerometer was not worn: an hour in which two axes stand still, by
        scikit-digital-health (extra ``devices``).

    Notes
    -----
    A recording's time zone is kept. Hours and minutes are those of its local clock; when clocks go back, the hour that
    comes twice has two rows, and a day has 23, 24 or 25 hours.

    Examples
    --------
    >>> import numpy as np
    >>> from wearembed import Recording, RecordingEncoder, RelConEncoder
    >>> from wearembed.datasets import make_motion
    >>> walk = make_motion(n_participants=1, n_windows=50, random_state=0)
    >>> recording = Recording(np.hstack(walk.data), sfreq=100, participant="P01", units="g", start="2026-03-01 08:00")
    >>> encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
    >>> minutes = RecordingEncoder(encoder, pool="minute").transform([recording])
    >>> minutes.shape[0], minutes.index.names[2], str(minutes.index[1][2])
    (3, 'start', '2026-03-01 08:01:00')
    """

    def __init__(self, encoder, step=None, pool=None, *, min_coverage=0.8, nonwear=False):
        self.encoder = encoder
        self.step = step
        self.pool = pool
        self.min_coverage = min_coverage
        self.nonwear = nonwear

    def fit(self, recordings, y=None) -> Self:
        """Check the parameters; nothing is learnt.

        Parameters
        ----------
        recordings, y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        return self

    def transform(self, recordings) -> pd.DataFrame:
        """Embed recordings.

        Parameters
        ----------
        recordings : Recording or path, or iterable of them
            Each entry may itself be a list, of a participant's recordings. Paths are read by `read_recording`.

        Returns
        -------
        pandas.DataFrame
            Float32 columns, the embedding. The index says participant, recording, start (time stamp) and coverage of
            each row, or participant and coverage for ``pool="participant"``; ``reset_index()`` makes them columns.
        """
        self._check_parameters()
        if self.pool == "participant":
            return self._participants(recordings)
        parts = list(self.parts(recordings))
        if not parts:
            raise ValueError("Expected at least one recording, got none. Look whether the files were found.")
        return parts[0] if len(parts) == 1 else pd.concat(parts)

    def parts(self, recordings) -> Iterator[pd.DataFrame]:
        """Give what `transform` gives recording by recording, so that each can be written before the next is read.

        Parameters
        ----------
        recordings : Recording or path, or iterable of them

        Yields
        ------
        pandas.DataFrame
        """
        self._check_parameters()
        if self.pool == "participant":
            raise ValueError('A participant may have many recordings: use transform for pool="participant".')
        for recording in each(recordings):
            yield self._windows(recording) if self.pool is None else self._means(recording)

    def pieces(self, recordings) -> Iterator[pd.DataFrame]:
        """Give a row a window, some minutes of windows at a time: not even those of one recording are held together.

        Parameters
        ----------
        recordings : Recording or path, or iterable of them

        Yields
        ------
        pandas.DataFrame
            As of `transform`.
        """
        self._check_parameters()
        if self.pool is not None:
            raise ValueError(f"pieces are of windows, and pool={self.pool!r} asks for means. Use parts or transform.")
        for recording in each(recordings):
            for block, Z in self._embedded(recording):
                yield self._frame([filled(block, Z)], recording, stamps(recording, block.starts), block.coverage)

    def _windows(self, recording: Recording) -> pd.DataFrame:
        parts, index = [], []
        for block, Z in self._embedded(recording):
            parts.append(filled(block, Z))
            index.append(np.column_stack([block.starts, block.coverage]))
        seconds, coverage = np.concatenate(index or [np.zeros((0, 2))]).T
        return self._frame(parts, recording, stamps(recording, seconds), coverage)

    def _means(self, recording: Recording) -> pd.DataFrame:
        """Means by the minutes, hours or days in which windows start."""
        sums: dict[pd.Timestamp, list] = {}  # of embeddings, their number, coverage, windows
        for block, Z in self._embedded(recording):
            begin = floored(stamps(recording, block.starts), self.pool)
            code, names = pd.factorize(begin)
            own = code[block.keep]
            for n, name in enumerate(names):
                total = sums.setdefault(name, [0.0, 0, 0.0, 0])
                total[0] = total[0] + Z[own == n].sum(0, dtype=np.float64)
                total[1] += int((own == n).sum())
                total[2] += float(block.coverage[code == n].sum())
                total[3] += int((code == n).sum())
        end = recording.start + pd.to_timedelta(recording.duration, unit="s")
        rows = [mean(total[0], total[1], self._dim) for total in sums.values()]
        coverage = [
            total[2] / total[3] * recorded(begin, self.pool, recording.start, end) for begin, total in sums.items()
        ]
        return self._frame(rows, recording, pd.DatetimeIndex(list(sums)), np.array(coverage))

    def _participants(self, recordings) -> pd.DataFrame:
        sums: dict[str, list] = {}
        for recording in each(recordings):
            total = sums.setdefault(recording.participant, [np.zeros(self._dim), 0, 0.0, 0])
            for block, Z in self._embedded(recording):
                total[0] += Z.sum(0, dtype=np.float64)
                total[1] += len(Z)
                total[2] += float(block.coverage.sum())
                total[3] += len(block.starts)
        if not sums:
            raise ValueError("Expected at least one recording, got none. Look whether the files were found.")
        rows = np.concatenate([mean(total[0], total[1], self._dim) for total in sums.values()])
        coverage = [total[2] / max(1, total[3]) for total in sums.values()]
        index = pd.MultiIndex.from_arrays([list(sums), coverage], names=["participant", "coverage"])
        return pd.DataFrame(rows, index=index, columns=self.get_feature_names_out())

    def _embedded(self, recording: Recording) -> Iterator[tuple[Block, np.ndarray]]:
        """Blocks of windows, and the embeddings of those that are covered."""
        contract = self._contract
        encoder = copy.copy(self.encoder).set_params(sfreq=contract.sfreq, units=recording.units)
        worn = worn_stretches(recording) if self.nonwear else None
        step = contract.seconds if self.step is None else float(self.step)
        for block in blocks(recording, contract.seconds, contract.sfreq, step, self.min_coverage, worn):
            some = len(block.windows)
            yield block, embed(encoder, block.windows) if some else np.zeros((0, self._dim), np.float32)

    def _frame(self, parts: list[np.ndarray], recording: Recording, start, coverage) -> pd.DataFrame:
        names = self.get_feature_names_out()
        Z = np.concatenate(parts) if parts else np.zeros((0, len(names)), np.float32)
        n = len(Z)
        index = pd.MultiIndex.from_arrays(
            [[recording.participant] * n, [recording.name] * n, start, coverage], names=WINDOW
        )
        return pd.DataFrame(Z, index=index, columns=names)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns, the encoder's.

        Parameters
        ----------
        input_features : ignored
            Here because scikit-learn asks for it.

        Returns
        -------
        array of str
        """
        return np.asarray(self.encoder.get_feature_names_out(), dtype=object)

    @property
    def _dim(self) -> int:
        return len(self.get_feature_names_out())

    @property
    def _contract(self) -> Any:
        refuse_no_encoder(self.encoder)
        self.encoder.get_feature_names_out()  # loads one that is named by its weights, or says that it is not fitted
        return self.encoder.contract_

    def _check_parameters(self):
        if self.pool not in POOLS:
            raise ValueError(f"pool is one of {', '.join(map(repr, POOLS))}; got {self.pool!r}.")
        if self.step is not None:
            positive(self.step, "step", "s")
        check_share(self.min_coverage, "min_coverage")
        if not hasattr(self._contract, "seconds"):
            raise TypeError(f"encoder is a fitted encoder with a contract_; got {type(self.encoder).__name__}.")

    def __sklearn_is_fitted__(self):
        return True


def refuse_no_encoder(encoder):
    """An error that says how weights become an encoder, where a name or something else was given."""
    if not hasattr(encoder, "get_feature_names_out"):
        raise TypeError(
            f"encoder is a fitted encoder with a contract_; got {encoder!r:.80}. Weights are loaded by "
            f"wearembed.from_pretrained(name)."
        )


def each(recordings) -> Iterator[Recording]:
    """Recordings one by one, read where they are paths."""
    for one in flat(recordings):
        yield one if isinstance(one, Recording) else read_recording(one)


def flat(recordings) -> Iterator[Recording | Path]:
    """Recordings and paths one by one, those of lists inside too."""
    if isinstance(recordings, (Recording, str, Path)):
        recordings = [recordings]
    for one in recordings:
        if isinstance(one, (list, tuple)):
            yield from flat(one)
        elif isinstance(one, (str, Path)):
            yield Path(one)
        elif isinstance(one, Recording):
            yield one
        else:
            raise TypeError(f"Expected recordings or paths of files, got {type(one).__name__}.")


def embed(encoder, windows: np.ndarray) -> np.ndarray:
    return np.asarray(encoder.transform(windows), np.float32)


def filled(block: Block, Z: np.ndarray) -> np.ndarray:
    """A row for each window of a block, NaN where it is not covered."""
    whole = np.full((len(block.starts), Z.shape[1]), np.nan, np.float32)
    whole[block.keep] = Z
    return whole


def stamps(recording: Recording, seconds: np.ndarray) -> pd.DatetimeIndex:
    return recording.start + pd.to_timedelta(seconds, unit="s")


def mean(total, n: int, dim: int) -> np.ndarray:
    """One row; NaN of nothing."""
    return (total / n if n else np.full(dim, np.nan)).astype(np.float32)[None]


def floored(start: pd.DatetimeIndex, pool: str) -> pd.DatetimeIndex:
    """The beginning of the minute, hour or day of the local clock."""
    if pool == "day":
        return start.normalize()
    # By what the clock shows, not by its name: the hour that comes twice stays two hours.
    over = pd.to_timedelta(start.second, unit="s") + pd.to_timedelta(start.microsecond, unit="us")
    over += pd.to_timedelta(start.nanosecond, unit="ns")
    return start - over - (pd.to_timedelta(start.minute, unit="m") if pool == "hour" else pd.Timedelta(0))


def recorded(begin: pd.Timestamp, pool: str, first: pd.Timestamp, last: pd.Timestamp) -> float:
    """How much of a minute, hour or day lies between two times."""
    length = {"minute": pd.Timedelta(minutes=1), "hour": pd.Timedelta(hours=1)}
    end = (begin + pd.DateOffset(days=1)).normalize() if pool == "day" else begin + length[pool]
    return max(0.0, (min(end, last) - max(begin, first)) / (end - begin))
