"""Samples as they come: each embedding is the one that the whole recording gives afterwards."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from wearembed import RawWindows, Recording, RecordingEncoder, RelConEncoder, StreamEmbedder, datasets

MOTION = datasets.make_motion(n_participants=1, n_windows=20, random_state=0)
SIGNAL = np.hstack(MOTION.data)
RAW = RawWindows(16).fit(MOTION.data)


def offline(encoder, x, step=None, sfreq=100, units="g"):
    one = Recording(x, sfreq=sfreq, participant="P", units=units)
    return RecordingEncoder(encoder, step).transform(one)


def pieces(x, seed=0):
    """In pieces of one sample to a few hundred."""
    rng, start = np.random.default_rng(seed), 0
    while start < x.shape[1]:
        n = int(rng.choice([1, 7, 100, 300]))
        yield x[:, start : start + n]
        start += n


def all_of(stream, x):
    parts = [stream.push(piece) for piece in pieces(x)]
    return np.concatenate([*parts, stream.flush()])


def with_gaps():
    x = SIGNAL.copy()
    for gap in (slice(0, 30), slice(500, 530), slice(1000, 2600), slice(3300, 3330), slice(4960, 5120)):
        x[:, gap] = np.nan
    return x


@pytest.mark.parametrize("step", [None, 0.5, 1.28, 5.0, 0.333])
@pytest.mark.parametrize("x", [SIGNAL, with_gaps()], ids=["whole", "gaps"])
def test_it_equals_the_recording_encoder(step, x):
    assert_allclose(all_of(StreamEmbedder(RAW, step), x), offline(RAW, x, step).to_numpy(), atol=2e-6)


@pytest.mark.parametrize("sfreq", [50, 31.25, 128])
def test_other_rates_and_units_equal_it_too(sfreq):
    x = SIGNAL * 9.80665
    stream = StreamEmbedder(RAW, 1.0, sfreq=sfreq, units="m/s^2")
    assert_allclose(all_of(stream, x), offline(RAW, x, 1.0, sfreq, "m/s^2").to_numpy(), atol=2e-5)
    assert 0 < stream.delay < 5


def test_a_foundation_model_gives_the_same_to_the_bit():
    encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
    assert_array_equal(all_of(StreamEmbedder(encoder, 2.0), SIGNAL), offline(encoder, SIGNAL, 2.0).to_numpy())


def test_an_embedding_comes_with_the_last_sample_of_its_window():
    stream = StreamEmbedder(RAW, 1.0)
    assert stream.delay == 0
    came = [n + 1 for n in range(600) if len(stream.push(SIGNAL[:, n]))]
    assert came == [256, 356, 456, 556]


def test_it_says_when_and_how_covered_each_window_is():
    stream, x = StreamEmbedder(RAW, 1.28), with_gaps()
    starts, coverage = [], []
    for piece in pieces(x):
        stream.push(piece)
        starts += stream.starts
        coverage += stream.coverage
    stream.flush()
    index = offline(RAW, x, 1.28).index
    assert_allclose(coverage + stream.coverage, index.get_level_values("coverage"))
    seconds = (index.get_level_values("start") - index.get_level_values("start")[0]).total_seconds()
    assert_allclose(starts + stream.starts, seconds)


def test_a_window_that_ends_in_a_gap_waits_for_the_gap_to_end():
    x = SIGNAL[:, :300].copy()
    x[:, 240:270] = np.nan
    stream = StreamEmbedder(RAW)
    assert not len(stream.push(x[:, :260])) and not len(stream.push(x[:, 260:270]))
    assert len(stream.push(x[:, 270:271])) == 1


def test_memory_does_not_grow_with_what_has_come():
    stream, kept = StreamEmbedder(RAW, 1.0), []
    for _ in range(10):
        stream.push(SIGNAL)
        kept.append(stream._kept.shape[1])
    assert max(kept) < 1000
    stream.push(np.full((3, 20_000), np.nan))
    stream.push(SIGNAL)
    assert stream._kept.shape[1] < 1000


def test_reset_begins_anew():
    stream = StreamEmbedder(RAW, 1.0)
    first = stream.push(SIGNAL)
    assert_array_equal(stream.reset().push(SIGNAL), first)


@pytest.mark.parametrize("bad", [np.zeros((2, 5)), np.full((3, 1), np.inf), np.zeros((1, 3, 5))], ids=str)
def test_samples_of_another_shape_are_refused(bad):
    with pytest.raises(ValueError, match=r"shape \(3, n\)"):
        StreamEmbedder(RAW).push(bad)


@pytest.mark.parametrize("params", [{"step": 0}, {"sfreq": -1}, {"min_coverage": 2}])
def test_parameters_are_checked(params):
    with pytest.raises(ValueError, match="to be positive and finite|between 0 and 1"):
        StreamEmbedder(RAW, **params)
