"""Embeddings of samples as they come."""

import copy

import numpy as np

from ..signals import check_share, positive
from .encoder import embed, refuse_no_encoder
from .grid import block_at
from .recording import Recording
from .windows import reach


class StreamEmbedder:
    """Embeddings of a signal that is still being recorded, equal to those of `RecordingEncoder` afterwards.

    Parameters
    ----------
    encoder : fitted encoder
    step : float, default=None
        Seconds from one window's start to the next one's. None: windows follow one another.
    sfreq : float, default=None
        Rate of the samples in hertz. None: that of the encoder, at which an embedding comes with the last sample of its
        window. At other rates it comes as much later as the filter looks ahead, see `delay`.
    units : str, default=None
        Of the samples. None: those of the encoder.
    min_coverage : float, default=0.8
        Windows with a smaller share of samples that are there are NaN.

    Attributes
    ----------
    delay : float
        Seconds between a window's end and its embedding, the time to compute it left out. Where a window ends in a gap
        that is to be bridged, it waits for the next sample besides.
    starts : list of float
        Seconds from the first sample, of the windows of the last call.
    coverage : list of float
        Of those windows.

    Examples
    --------
    >>> from wearembed import RelConEncoder, StreamEmbedder
    >>> from wearembed.datasets import make_motion
    >>> walk = make_motion(n_participants=1, n_windows=3, random_state=0)
    >>> stream = StreamEmbedder(RelConEncoder.from_pretrained("wearembed/relcon-synthetic"), step=1.28)
    >>> [len(stream.push(window)) for window in walk.data]
    [1, 2, 2]
    """

    def __init__(self, encoder, step=None, *, sfreq=None, units=None, min_coverage=0.8):
        refuse_no_encoder(encoder)
        encoder.get_feature_names_out()  # loads it, or says that it is not fitted
        contract = encoder.contract_
        self.seconds, self._to = contract.seconds, contract.sfreq
        self.step = self.seconds if step is None else positive(step, "step", "s")
        self.sfreq = self._to if sfreq is None else positive(sfreq, "sfreq", "Hz")
        self.units = contract.units if units is None else units
        self.min_coverage = check_share(min_coverage, "min_coverage")
        self.encoder = copy.copy(encoder).set_params(sfreq=self._to, units=self.units)
        self.n_channels, self.n_times = contract.n_channels, contract.n_times
        stepped = self.step * self.sfreq
        on_samples = self.sfreq == self._to and abs(stepped - round(stepped)) < 1e-6
        self._ahead = 0 if on_samples else reach(self._to / self.sfreq)
        self.delay = self._ahead / self.sfreq
        self.starts: list[float] = []
        self.coverage: list[float] = []
        self.reset()

    def reset(self):
        """Begin anew, as if no sample had come."""
        self._kept = np.zeros((self.n_channels, 0), np.float32)
        self._first = 0  # number of the first sample that is kept
        self._next = 0  # number of the next window
        return self

    def push(self, samples):
        """Take samples, and give the embeddings of the windows that are complete now.

        Parameters
        ----------
        samples : array of shape (n_channels, n) or (n_channels,)
            The next ones, any number; NaN where one is missing.

        Returns
        -------
        array of shape (n_windows, dim), float32
            NaN in rows of windows that are not covered.
        """
        samples = np.asarray(samples, np.float32)
        samples = samples[:, None] if samples.ndim == 1 else samples
        if samples.ndim != 2 or len(samples) != self.n_channels or np.isinf(samples).any():
            raise ValueError(
                f"Expected finite samples of shape ({self.n_channels}, n), NaN where one is missing; got shape "
                f"{samples.shape}."
            )
        self._kept = np.concatenate([self._kept, samples], axis=1)
        return self._give(ended=False)

    def flush(self):
        """Give the embeddings that were waiting for samples to come; the signal has ended.

        Returns
        -------
        array of shape (n_windows, dim), float32
        """
        return self._give(ended=True)

    def _give(self, ended: bool) -> np.ndarray:
        n_seen, rows = self._first + self._kept.shape[1], []
        self.starts, self.coverage = [], []
        while True:
            start = self._next * self.step
            needed = (start + self.seconds) * self.sfreq - 0.5  # half a sample of grace, as in `cut`
            if n_seen < needed + (0 if ended else self._ahead) or not n_seen:
                break
            row = self._row(start, n_seen, ended)
            if row is None:
                break
            rows.append(row)
            self._next += 1
        self._forget()
        return np.concatenate(rows) if rows else np.zeros((0, len(self.encoder.get_feature_names_out())), np.float32)

    def _row(self, start: float, n_seen: int, ended: bool) -> np.ndarray | None:
        """The embedding of one window; None where it ends in a gap that has not ended."""
        recording = Seen(self._kept, self.sfreq, self._first)
        block = block_at(recording, np.array([start]), self.seconds, self._to, self.n_times, self.min_coverage)
        open_end = np.isnan(self._kept[:, -1]).any() and self._in_gap(start)
        if block.keep[0] and open_end and not ended:
            return None
        self.starts.append(start)
        self.coverage.append(float(block.coverage[0]))
        if block.keep[0]:
            return embed(self.encoder, block.windows)
        return np.full((1, len(self.encoder.get_feature_names_out())), np.nan, np.float32)

    def _in_gap(self, start: float) -> bool:
        """Whether nothing has come since before the end of the window."""
        last = round((start + self.seconds) * self.sfreq) - 1 - self._first
        return bool(np.isnan(self._kept[:, last:]).any(axis=0).all())

    def _forget(self):
        """Drop samples that no window to come looks at; the last that is there is kept, as gaps are bridged from it."""
        old = int(self._next * self.step * self.sfreq) - self._ahead - 128 - self._first
        if old <= 0:
            return
        old = min(old, self._kept.shape[1] - 1)
        there = np.flatnonzero(~np.isnan(self._kept[:, : old + 1]).any(axis=0))
        old = int(there[-1]) if len(there) else old
        self._kept, self._first = self._kept[:, old:].copy(), self._first + old


class Seen(Recording):
    """The part of a recording that is kept, with the clock of all of it."""

    def __init__(self, signal: np.ndarray, sfreq: float, first: int):
        self.signal, self.sfreq = signal, sfreq
        self.times = (first + np.arange(signal.shape[1])) / sfreq
