"""Arrays of every type, layout and size: the embedding of the plain numbers, or an error that says what was wanted."""

import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from harm import tell
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from pulled import Pulled

from wearembed import (
    AccelMaskedEncoder,
    Encoder,
    PPGMaskedEncoder,
    Recording,
    WindowStore,
    cut,
    datasets,
    nets,
    signals,
)

SMALL = {"max_epochs": 1, "batch_size": 16, "device": "cpu", "random_state": 0}
MOTION = datasets.make_motion(n_participants=2, n_windows=4, random_state=0)
X = MOTION.data[..., ::4].copy()  # (8, 3, 64)
NET = partial(nets.ResNet1d, width=4, blocks=(1,), kernels=(3,))
ENCODERS = {  # plain, in g; standardised; of any unit
    "plain": Encoder(NET, Pulled, **SMALL).fit(X),
    "standardised": PPGMaskedEncoder((8, 1, 16), units="a.u.", sfreq=25, **SMALL).fit(X),
    "patches": AccelMaskedEncoder((8, 1, 16), sfreq=25, **SMALL).fit(X),
}
REFUSED = (ValueError, TypeError)

DTYPES = [
    *("?", "i1", "u1", "<i2", ">i2", "i4", "u4", ">i8", "u8", "f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g"),
    *("O", "c8", "c16", "U12", "S12", "M8[ns]", "m8[s]", "V8"),
]
LAYOUTS = {
    "plain": lambda x: x,
    "Fortran": np.asfortranarray,
    "backwards": lambda x: x[::-1, :, ::-1].copy()[::-1, :, ::-1],
    "every other": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "channels last": lambda x: x.transpose(0, 2, 1).copy().transpose(0, 2, 1),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "read-only": lambda x: locked(x.copy()),
    "unaligned": lambda x: unaligned(x),
    "a subclass": lambda x: x.view(Marked),
    "masked": np.ma.masked_array,
    "partly masked": lambda x: np.ma.masked_array(x, mask=np.arange(x.size).reshape(x.shape) == 70),
    "on disk": "on disk",
    "lists": lambda x: x.tolist(),
    "lists of arrays": list,
    "torch": lambda x: torch.from_numpy(np.ascontiguousarray(x)),
    "torch with gradients": lambda x: torch.from_numpy(np.ascontiguousarray(x)).requires_grad_(),
    "torch, negated lazily": lambda x: (
        torch.complex(*(torch.from_numpy(np.ascontiguousarray(-np.float32(x))),) * 2).conj().imag
    ),
    "torch, half": lambda x: torch.from_numpy(np.ascontiguousarray(x)).bfloat16(),
    "torch, sparse": lambda x: torch.from_numpy(np.ascontiguousarray(x)).to_sparse(),
    "torch, nowhere": lambda x: torch.from_numpy(np.ascontiguousarray(x)).to("meta"),
    "a frame": lambda x: pd.DataFrame(x[:, 0]),
    "one window": lambda x: x[0, 0],
    "a scalar": lambda x: x[0, 0, 0],
    "ragged": lambda x: [window[:, : 10 + n] for n, window in enumerate(x)],
}
PLAIN = sorted(set(LAYOUTS) - {"partly masked", "broadcast"})


class Marked(np.ndarray):
    """An array of a class of its own."""


def locked(x):
    x.setflags(write=False)
    return x


def unaligned(x):
    if x.dtype.hasobject:
        return x  # numpy keeps these where it wants
    raw = np.zeros(x.nbytes + 1, np.uint8)
    out = raw[1:].view(x.dtype).reshape(x.shape)
    out[...] = x
    return out


def mapped(x, folder):
    file = folder / "x.npy"
    np.save(file, x)
    return np.load(file, mmap_mode="r")


def plain(x):
    """The numbers of an array as finite float32, or None where they cannot be."""
    if torch.is_tensor(x):
        if x.is_sparse or x.is_meta or x.is_complex():
            return None
        x = x.detach().float().numpy(force=True)
    if np.ma.is_masked(x):
        return None
    try:
        kind = np.asarray(x).dtype.kind
        if kind not in ("biufOU" if isinstance(x, list) else "biufO"):  # scikit-learn reads lists of text as numbers
            return None
        with np.errstate(all="ignore"):
            numbers = np.array(x, dtype=np.float32, order="C")
    except (ValueError, TypeError):  # ragged, or no numbers
        return None
    return numbers if np.isfinite(numbers).all() else None


def held_to_account(what, ask, given, expected):
    """Ask for something: it is `expected()`, or there is an error that names what was wanted, and `given` is whole."""
    before = given.copy() if isinstance(given, np.ndarray) else None
    numbers = plain(given)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            got = ask(given)
    except REFUSED as error:
        assert len(str(error)) > 20 and re.search(r"[A-Za-z]{3}", str(error)), f"no sentence: {error!r}"
        tell(what, "refused with a sentence")
        return
    assert numbers is not None, f"accepted {type(given).__name__} of no finite numbers"
    assert_array_equal(got, expected(numbers))
    assert np.isfinite(got).all(), "not finite, and not said"
    if before is not None:
        assert_array_equal(np.asarray(given), np.asarray(before))
    tell(what, "as of the plain numbers")


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("which", ENCODERS)
def test_windows_of_any_type_are_their_numbers_or_refused(which, kind):
    encoder = ENCODERS[which]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of imaginary parts that are let go, and the like: ours are not among them
        given = np.rint(X).astype(float).astype(kind) if kind[-2:] != "V8" else np.zeros(X.shape, kind)
    held_to_account("arrays of a dtype", encoder.transform, given, encoder.transform)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("which", ENCODERS)
def test_windows_of_any_layout_are_their_numbers_or_refused(which, layout, tmp_path):
    encoder = ENCODERS[which]
    given = mapped(X, tmp_path) if layout == "on disk" else LAYOUTS[layout](X)
    held_to_account("arrays of a layout", encoder.transform, given, encoder.transform)


EXTREME = [0.0, -0.0, 1.0, 1e-45, 1e-38, 6e4, 1e15, 1e30, 3.4e38, -3.4e38, 1e39, np.nan, np.inf, -np.inf]
numbers = st.one_of(st.floats(width=32), st.floats(-2, 2, width=32), st.sampled_from(EXTREME))
shapes = st.one_of(
    st.just((2, 3, 64)), st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from([0, 1, 2, 63, 64, 65]))
)


@pytest.mark.parametrize("which", ENCODERS)
@given(shape=shapes, data=st.data())
@example(shape=(2, 3, 64), data=None)
def test_windows_of_any_size_and_numbers_are_embedded_or_refused(which, shape, data):
    if data is None:
        given = np.tile(np.float32([3e38, -3e38]), (2, 3, 32))
    else:
        kind = data.draw(st.sampled_from(["f4", "f8", ">f4", "f2"]))
        elements = numbers if kind in ("f4", "f8", ">f4") else st.floats(width=16)
        few = hnp.arrays(np.float64, st.just(shape), elements=elements, fill=st.sampled_from([0.0, 1.0, 1e-40, 1e20]))
        with np.errstate(over="ignore"):
            given = data.draw(few).astype(kind)
    encoder = ENCODERS[which]
    held_to_account("arrays of any size and numbers", encoder.transform, given, partial(alone, encoder))


def alone(encoder, X):
    """Each window by itself, in memory of its own."""
    return np.concatenate([encoder.transform(window[None].copy()) for window in X])


@given(layout=st.sampled_from(PLAIN), kind=st.sampled_from(["i4", "f2", ">f4", "f8", "O", "c8", "U12"]))
def test_what_fit_makes_of_windows_goes_by_their_numbers(layout, kind, tmp_path_factory):
    if layout == "torch, half" or (layout == "on disk" and kind == "O"):
        return  # other numbers; and numpy maps no objects
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        some = (X * 8).round().astype(float).astype(kind)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy and torch on what is made here
            given = mapped(some, tmp_path_factory.mktemp("x")) if layout == "on disk" else LAYOUTS[layout](some)
    except (TypeError, ValueError, RuntimeError):
        return  # torch has no such type
    encoder = Encoder(NET, Pulled, **{**SMALL, "units": "g"})

    def fitted(x):
        return np.concatenate([w.detach().numpy().ravel() for w in encoder.fit(x).net_.parameters()])

    held_to_account("fit on arrays", fitted, given, fitted)


OF_NUMPY = [name for name in LAYOUTS if not name.startswith("torch") and name not in ("ragged", "partly masked")]


@pytest.mark.parametrize("layout", OF_NUMPY)
@pytest.mark.parametrize("kind", ["?", ">i2", "u8", "f2", ">f8", "O", "c8", "U12", "M8[ns]"])
def test_a_recording_is_its_numbers_whatever_array_it_comes_as(layout, kind, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        some = np.rint(X).astype(float).astype(kind)
    if layout == "on disk" and kind == "O":
        pytest.skip("numpy maps no objects")
    given = mapped(some, tmp_path) if layout == "on disk" else LAYOUTS[layout](some)
    given = given if layout in ("one window", "a scalar", "a frame") else given[0]

    def windows(x):
        return cut(Recording(x, sfreq=25, participant="P", units="a.u."), 0.64, 25, min_coverage=1)[0]

    held_to_account("recordings of arrays", windows, given, windows)


def test_what_is_masked_in_a_recording_is_missing():
    x = np.ma.masked_array(X[0], mask=X[0] > 1.1)
    recording = Recording(x, sfreq=25, participant="P", units="g")
    assert_array_equal(np.isnan(recording.signal), X[0] > 1.1)


@pytest.mark.parametrize("kind", DTYPES)
def test_a_store_holds_the_numbers_that_it_was_given_or_refuses_them(kind, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = np.rint(X).astype(float).astype(kind) if kind != "V8" else np.zeros(X.shape, kind)
    store = WindowStore.create(tmp_path / "s", n_channels=3, n_times=64, sfreq=25, units="a.u.")

    def stored(x):
        store.append(x, participant="P")
        return store[:]

    held_to_account("stores of arrays", stored, given, lambda x: x)
    assert store.verify() is store and len(store) in (0, len(X))


@pytest.mark.parametrize("name", ["standardize", "resample", "bandpass", "to_g"])
@given(data=st.data())
def test_signals_of_any_numbers_stay_finite_or_are_refused(name, data):
    change = {
        "standardize": signals.standardize,
        "resample": lambda x: signals.resample(x, 25, 20),
        "bandpass": lambda x: signals.bandpass(x, 25, 0.5, 8),
        "to_g": lambda x: signals.to_g(x, "mg"),
    }[name]
    kind = data.draw(st.sampled_from(["f4", "f8"]))
    room = 2.0**122  # for what rings between samples, below the largest float32
    wild = st.one_of(st.floats(-room, room, width=32), st.sampled_from([1e-45, 1e-38, 1e36, np.nan, np.inf]))
    given = data.draw(hnp.arrays(kind, (2, 64), elements=wild, fill=st.sampled_from([0.0, 1.0])))
    before = given.copy()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            got = change(given)
    except REFUSED as error:
        tell("signals of any numbers", "refused with a sentence")
        assert len(str(error)) > 20
        return
    assert_array_equal(given, before)
    assert not np.isfinite(given).all() or np.isfinite(got).all()
    tell("signals of any numbers", "finite")
