"""Signals: what a rate, a unit or a filter may change, and what it may not."""

import numpy as np
import pytest

from wearembed import signals

RATES = [(103.7, 100), (125, 100), (100, 30), (30, 100), (64, 100), (360, 128)]


def sine(hertz, sfreq, seconds=12):
    return np.sin(2 * np.pi * hertz * np.arange(0, seconds, 1 / sfreq) + 0.3)


def inner(x, share=0.15):
    """All but the ends, where a filter has to guess what came before."""
    cut = int(len(x) * share)
    return x[cut:-cut]


@pytest.mark.parametrize(("sfreq", "new_sfreq"), RATES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_sine_in_the_band_of_both_rates_keeps_amplitude_and_phase(sfreq, new_sfreq, share):
    hertz = share * min(sfreq, new_sfreq) / 2
    got = signals.resample(sine(hertz, sfreq), sfreq, new_sfreq)
    wanted = np.sin(2 * np.pi * hertz * np.arange(len(got)) / new_sfreq + 0.3)
    assert np.abs(inner(got - wanted)).max() < 0.01


@pytest.mark.parametrize(("sfreq", "new_sfreq"), [(103.7, 100), (125, 100), (100, 30), (360, 128)])
def test_a_sine_that_the_new_rate_cannot_hold_vanishes(sfreq, new_sfreq):
    got = signals.resample(sine(1.02 * new_sfreq / 2, sfreq), sfreq, new_sfreq)
    assert np.abs(inner(got)).max() < 1e-3


@pytest.mark.parametrize(("sfreq", "new_sfreq"), RATES)
@pytest.mark.parametrize("n_times", [1, 2, 7, 500])
def test_gravity_survives_resampling_up_to_the_edges(sfreq, new_sfreq, n_times):
    got = signals.resample(np.full((2, 3, n_times), 9.81, dtype=np.float32), sfreq, new_sfreq)
    assert got.shape == (2, 3, max(1, round(n_times * new_sfreq / sfreq)))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, 9.81, rtol=1e-6)


def test_a_ramp_stays_a_ramp_up_to_the_edges():
    got = signals.resample(np.arange(200.0), 100, 40)
    np.testing.assert_allclose(got, np.arange(80) * 2.5, atol=1e-6)


def test_the_same_rate_returns_the_same_samples():
    x = np.random.default_rng(0).normal(size=(2, 3, 50)).astype(np.float32)
    np.testing.assert_array_equal(signals.resample(x, 50, 50), x)


def test_many_windows_are_resampled_as_each_would_be(monkeypatch):
    x = np.random.default_rng(0).normal(size=(7, 3, 64))
    together = signals.resample(x, 64, 100)
    monkeypatch.setattr(signals.waves, "_BLOCK", 100)
    np.testing.assert_allclose(signals.resample(x, 64, 100), together, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bad", [0, -50, np.nan, np.inf])
def test_a_rate_that_is_no_rate_is_refused_by_name(bad):
    with pytest.raises(ValueError, match=r"Expected new_sfreq to be positive and finite, in Hz"):
        signals.resample(np.zeros(10), 50, bad)


@pytest.mark.parametrize("bad", ["50", None, True, [50]])
def test_a_rate_that_is_no_number_is_refused_by_name(bad):
    with pytest.raises(TypeError, match=r"Expected sfreq to be one number in Hz"):
        signals.resample(np.zeros(10), bad, 50)


def test_missing_samples_are_counted_not_spread():
    x = np.zeros((2, 10))
    x[1, 3] = np.nan
    for change in (signals.standardize, lambda x: signals.resample(x, 50, 100)):
        with pytest.raises(ValueError, match="got 1 NaN or infinite of 20"):
            change(x)


def test_strings_and_empty_arrays_are_refused():
    with pytest.raises(TypeError, match="real numbers"):
        signals.standardize(np.array(["a", "b"]))
    with pytest.raises(ValueError, match=r"shape \(3, 0\)"):
        signals.standardize(np.zeros((3, 0)))


@pytest.mark.parametrize("spelling", ["m/s^2", "m/s²", "m/s2"])
def test_standard_gravity_is_one_g_in_every_spelling(spelling):
    np.testing.assert_allclose(signals.to_g([9.80665], spelling), [1.0])


def test_units_convert_there_and_back():
    x = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    back = signals.convert_units(signals.convert_units(x, "g", "m/s²"), "m/s^2", "g")
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, x, rtol=1e-6)
    np.testing.assert_allclose(signals.to_g([1000.0], "mg"), [1.0])


def test_an_unknown_unit_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"one of 'g', 'mg', 'm/s\^2', got 'furlong'"):
        signals.to_g([1.0], "furlong")
    with pytest.raises(TypeError, match="as a string"):
        signals.to_g([1.0], 9.81)


def worn(gravity, n_windows=20):
    """Windows of a wrist that moves about gravity."""
    rng = np.random.default_rng(0)
    down = rng.normal(size=(n_windows, 3, 1))
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    return gravity * (down + 0.1 * rng.normal(size=(n_windows, 3, 256)))


@pytest.mark.parametrize(
    ("gravity", "declared", "found"),
    [(9.81, "g", "m/s^2"), (1.0, "m/s^2", "g"), (1000.0, "g", "mg"), (1000.0, "m/s²", "mg"), (1.0, "mg", "g")],
)
def test_gravity_gives_away_units_that_are_declared_wrongly(gravity, declared, found):
    with pytest.raises(ValueError) as error:
        signals.check_units(worn(gravity), declared)
    message = str(error.value)
    assert f"Declare units={found!r}" in message
    assert repr(signals.canonical_units(declared)) in message
    assert f"{gravity:.4g}"[:1] in message


@pytest.mark.parametrize(("gravity", "units"), [(1.0, "g"), (9.81, "m/s^2"), (1000.0, "mg"), (9.81, "a.u.")])
def test_units_that_are_declared_rightly_pass(gravity, units):
    signals.check_units(worn(gravity), units)


@pytest.mark.parametrize("scale", [0.3, 0.6, 1.0, 5.0, 6.0, 600.0])
@pytest.mark.parametrize("units", ["g", "m/s^2", "mg"])
def test_data_without_gravity_pass_whatever_their_size(scale, units):
    signals.check_units(scale * np.random.default_rng(0).normal(size=(50, 3, 100)), units)


def test_only_three_axes_are_checked_for_gravity():
    signals.check_units(np.full((4, 1, 100), 9.81), "g")
    signals.check_units(np.full((4, 100), 9.81), "g")


def test_standardized_windows_have_mean_zero_and_deviation_one():
    x = 1 + 0.01 * np.random.default_rng(0).normal(size=(5, 3, 200)).astype(np.float32)
    z = signals.standardize(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=-1), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 9.81, 0.1, 1e30, -1e-30])
def test_a_constant_channel_becomes_zeros(value):
    x = np.full((2, 3, 777), value, dtype=np.float32)
    x[0, 0] = np.arange(777)
    z = signals.standardize(x)
    assert (z[1] == 0).all()
    assert np.isfinite(z).all()


def test_the_band_stays_in_place_and_the_rest_goes():
    pulse, drift, hum = sine(1.2, 64, 60), sine(0.05, 64, 60), sine(25, 64, 60)
    clean = signals.bandpass(np.stack([pulse + drift + hum] * 2), 64, 0.4, 8)
    assert clean.shape == (2, len(pulse))
    assert np.abs(inner(clean[0] - pulse)).max() < 0.02


@pytest.mark.parametrize(("low", "high"), [(8, 0.4), (0.4, 32), (0.4, 40), (2, 2)])
def test_band_edges_outside_the_rate_are_refused(low, high):
    with pytest.raises(ValueError, match=r"0 < low < high < sfreq / 2 = 32 Hz"):
        signals.bandpass(np.zeros(640), 64, low, high)


def test_a_window_too_short_to_filter_says_how_long_it_should_be():
    with pytest.raises(ValueError, match=r"at least (\d+) samples") as error:
        signals.bandpass(np.zeros(10), 64, 0.4, 8)
    enough = int(str(error.value).split("at least ")[1].split()[0])
    assert signals.bandpass(np.zeros(enough, np.float32), 64, 0.4, 8).dtype == np.float32


def test_stillness_is_the_share_of_still_stretches():
    rng = np.random.default_rng(0)
    x = 0.003 * rng.normal(size=(3, 3, 6000)) + np.array([0, 0.6, 0.8])[:, None]
    x[1, 0, :3000] += 0.2 * sine(1, 100, 30)
    x[2, 2] += 0.2 * sine(1, 100, 60)
    np.testing.assert_allclose(signals.stillness(x, 100), [1.0, 0.5, 0.0])


def test_one_moving_axis_is_movement_and_short_windows_are_one_stretch():
    x = np.zeros((2, 3, 256))
    x[1, 1] = 0.05 * sine(2, 100, 2.56)
    np.testing.assert_array_equal(signals.stillness(x, 100), [1.0, 0.0])


def test_stillness_asks_for_three_axes():
    with pytest.raises(ValueError, match=r"three axes, shape \(\.\.\., 3, n_times\), got shape \(5, 100\)"):
        signals.stillness(np.zeros((5, 100)), 100)


def test_positions_between_samples_follow_a_smooth_signal():
    x = sine(3, 50)
    at = np.array([100.25, 100.5, 317.9])
    np.testing.assert_allclose(signals.sample_at(x, at), np.sin(2 * np.pi * 3 * at / 50 + 0.3), atol=1e-3)
