"""The laws that encoders keep, asked of any transformer of windows: ours, and those of others."""

import copy
import inspect
import pickle
import random
import re
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from .datasets import make_motion
from .stores import WindowStore


def check_encoder(encoder, *, data=None, tolerance=0.0, expected_failures=None, generate_only=False):
    """Ask of an encoder whatever wearembed's own encoders have to keep.

    It need not be one of this package: a transformer of scikit-learn's kind with windows as input is enough. What only
    some have, such as ``groups`` in ``fit`` or ``save_pretrained``, is asked of those that have it. scikit-learn's own
    checks are another matter: ``sklearn.utils.estimator_checks.check_estimator(encoder)``.

    Parameters
    ----------
    encoder : estimator
        Left alone; clones of it are fitted, some twenty times, so let it be small.
    data : Bunch, default=None
        ``data`` of shape (n_windows, n_channels, n_times), ``target`` and ``groups``, of three participants or more,
        finite. None: 24 windows of `datasets.make_motion`, in g at 100 Hz.
    tolerance : float, default=0.0
        By how much embeddings that should be equal may differ, as a share of the largest number in them. 0 is to the
        bit, which ours are on a CPU.
    expected_failures : dict of str to str, default=None
        Names of checks that fail, and why they may. One of them that does not fail is an error too.
    generate_only : bool, default=False
        Give pairs ``(encoder, check)`` in place of checking; ``check(encoder)`` then does it.

    Returns
    -------
    None, or iterator of pairs

    Raises
    ------
    AssertionError
        Laws are broken; the message names each, and how.

    Examples
    --------
    >>> from wearembed import RawWindows
    >>> from wearembed.testing import check_encoder
    >>> check_encoder(RawWindows(n_times=16))
    >>> names = [check.name for _, check in check_encoder(RawWindows(), generate_only=True)]
    >>> names[:3]
    ['check_rows', 'check_order', 'check_company']
    """
    case = Case(encoder, data, tolerance)
    checks = [Check(law, case) for law in LAWS]
    expected = checked_names(expected_failures or {})
    if generate_only:
        return iter([(encoder, check) for check in checks])
    broken = [said for check in checks if (said := verdict(check, encoder, expected))]
    if broken:
        raise AssertionError("\n".join(broken))


def parametrize_encoders(encoders, *, data=None, tolerance=0.0, expected_failures=None):
    """Decorate a test of pytest, which then runs once for each encoder and each check.

    Parameters
    ----------
    encoders : list of estimators, or dict of str to estimator
        A dictionary names them in the report.
    data, tolerance
        As in `check_encoder`.
    expected_failures : dict, or callable from an encoder to one, default=None
        As in `check_encoder`.

    Returns
    -------
    decorator
        Of a function of ``encoder`` and ``check``, whose body is ``check(encoder)``.
    """
    import pytest

    if not isinstance(encoders, Mapping):
        encoders = {f"{type(encoder).__name__}-{n}": encoder for n, encoder in enumerate(encoders)}
    params = []
    for name, encoder in encoders.items():
        given = expected_failures(encoder) if callable(expected_failures) else expected_failures
        expected = checked_names(given or {})
        for _, check in check_encoder(encoder, data=data, tolerance=tolerance, generate_only=True):
            marks = [pytest.mark.xfail(reason=expected[check.name], strict=True)] if check.name in expected else []
            params.append(pytest.param(encoder, check, id=f"{name}-{check.name}", marks=marks))
    return pytest.mark.parametrize(("encoder", "check"), params)


class Check:
    """One law, to be asked of the encoder that it was made for."""

    def __init__(self, law: Callable, case: "Case"):
        self.law, self.case, self.name = law, case, law.__name__

    def __call__(self, encoder) -> None:
        """An AssertionError that says the law, if it is broken."""
        told = (inspect.getdoc(self.law) or "").rstrip(".")
        try:
            self.law(self.case)
        except Exception as error:
            what = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            raise AssertionError(f"{type(encoder).__name__} breaks a law. {told}. {self.name}: {what}") from error

    def __repr__(self) -> str:
        return self.name


class Case:
    """An encoder, and windows to ask it about."""

    def __init__(self, encoder, data, tolerance: float):
        data = make_motion(n_participants=3, n_windows=8, random_state=0) if data is None else data
        self.encoder, self.tolerance = encoder, tolerance
        self.X, self.y, self.groups = (np.asarray(data[name]) for name in ("data", "target", "groups"))

    def new(self) -> Any:
        """An encoder that has seen nothing, and draws the same each time."""
        own = clone(self.encoder)
        seeded = "random_state" in own.get_params(deep=False) and own.random_state is None
        return own.set_params(random_state=0) if seeded else own

    def fit(self, X=None, y=None, groups=None) -> Any:
        return self.give(self.new(), self.X if X is None else X, y, self.groups if X is None else groups)

    def give(self, own, X, y=None, groups=None) -> Any:
        takes = "groups" in inspect.signature(own.fit).parameters
        return own.fit(X, y, groups=groups) if takes and groups is not None else own.fit(X, y)

    @cached_property
    def fitted(self) -> Any:
        """Fitted once; for laws that only look."""
        return self.fit()

    @cached_property
    def Z(self) -> np.ndarray:
        return np.array(self.fitted.transform(self.X))

    def same(self, got, wanted, when: str) -> None:
        got, wanted = np.asarray(got), np.asarray(wanted)
        assert got.shape == wanted.shape, f"the shape is {got.shape} {when}, and was {wanted.shape}"
        off = np.abs(got.astype(float) - wanted).max(initial=0) / (np.abs(wanted).max(initial=0) or 1)
        assert off <= self.tolerance, f"embeddings differ by {off:.2g} of the largest number {when}"


# --- the laws; each says itself


def check_rows(case: Case) -> None:
    """A window becomes a row of finite float32 numbers."""
    assert isinstance(case.Z, np.ndarray) and case.Z.ndim == 2, f"transform gave shape {np.shape(case.Z)}"
    assert len(case.Z) == len(case.X), f"{len(case.X)} windows gave {len(case.Z)} rows"
    assert case.Z.dtype == np.float32, f"rows are {case.Z.dtype}"
    assert np.isfinite(case.Z).all(), "some numbers are not finite"
    assert len(np.unique(case.Z, axis=0)) > 1, "all windows have one embedding"


def check_order(case: Case) -> None:
    """The order of windows does not matter."""
    order = np.random.default_rng(0).permutation(len(case.X))
    case.same(case.fitted.transform(case.X[order]), case.Z[order], "in another order")


def check_company(case: Case) -> None:
    """A window's embedding depends on that window only."""
    case.same(case.fitted.transform(case.X[:1]), case.Z[:1], "for a window alone")
    crowd = case.fitted.transform(np.concatenate([case.X] * 4))
    case.same(crowd[-3:], case.Z[-3:], "for windows in a larger company")


def check_storage(case: Case) -> None:
    """The same numbers give the same embedding, however they are stored."""
    stored = {
        "as float64": case.X.astype(np.float64),
        "in Fortran's order": np.asfortranarray(case.X),
        "as a view with steps": case.X.repeat(2, axis=2)[..., ::2],
        "as a torch tensor": torch.from_numpy(case.X.copy()),
        "as a torch tensor with gradients": torch.from_numpy(case.X.copy()).requires_grad_(),
        "as lists": case.X.tolist(),
    }
    for how, X in stored.items():
        case.same(case.fitted.transform(X), case.Z, how)


def check_input_is_left_alone(case: Case) -> None:
    """Windows are read, and never written to."""
    X = case.X.copy()
    case.give(case.new(), X, None, case.groups).transform(X)
    assert np.array_equal(X, case.X), "fit or transform changed the windows"
    X.setflags(write=False)
    case.give(case.new(), X, None, case.groups).transform(X)


def check_parameters_are_left_alone(case: Case) -> None:
    """What is set in __init__ stays as it was set."""
    own = case.new()
    before = repr(own.get_params())
    case.give(own, case.X, None, case.groups).transform(case.X)
    assert repr(own.get_params()) == before, "fit or transform changed parameters"


def check_generators_are_left_alone(case: Case) -> None:
    """Global generators of random numbers stay where they were."""
    before = np.random.get_state(), torch.get_rng_state(), random.getstate()  # noqa: NPY002
    case.fit().transform(case.X)
    assert str(np.random.get_state()) == str(before[0]), "numpy's was moved"  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1]), "torch's was moved"
    assert random.getstate() == before[2], "Python's was moved"


def check_repeats(case: Case) -> None:
    """Equal data and an equal seed give equal embeddings."""
    case.same(case.fitted.transform(case.X), case.Z, "when transform is called again")
    case.same(case.fit().transform(case.X), case.Z, "when fit is called on the same windows with the same seed")


def check_clone(case: Case) -> None:
    """A clone of a fitted encoder begins anew, and becomes the same."""
    fresh = clone(case.fit())
    if get_tags(fresh).requires_fit and not known(fresh):
        try:
            fresh.transform(case.X)
        except NotFittedError:
            pass
        else:
            raise AssertionError(
                "a clone transforms without fit; wanted a NotFittedError, or the tag requires_fit=False"
            )
    case.same(case.give(fresh, case.X, None, case.groups).transform(case.X), case.Z, "of a clone that is fitted again")


def check_pickle(case: Case) -> None:
    """A pickle and a copy keep the embedding."""
    case.same(pickle.loads(pickle.dumps(case.fitted)).transform(case.X), case.Z, "after a pickle")
    case.same(copy.deepcopy(case.fitted).transform(case.X), case.Z, "of a copy")


def check_names(case: Case) -> None:
    """Columns have names, and the output can be a frame."""
    names = list(case.fitted.get_feature_names_out())
    assert len(set(names)) == case.Z.shape[1], f"{case.Z.shape[1]} columns have {len(set(names))} different names"
    frame = case.fit().set_output(transform="pandas").transform(case.X)
    assert isinstance(frame, pd.DataFrame) and list(frame.columns) == names, "the frame has other columns"
    case.same(frame.to_numpy(), case.Z, "as a frame")


def check_labels(case: Case) -> None:
    """Labels are never looked at."""
    case.same(case.fit(y=case.y).transform(case.X), case.Z, "with labels")


def check_groups(case: Case) -> None:
    """The participants may be named by any kind of column."""
    if "groups" not in inspect.signature(case.encoder.fit).parameters:
        return
    for form in (list, pd.Series, pd.Categorical, lambda g: pd.Series(g, index=range(5, 5 + len(g)))):
        own = case.give(case.new(), case.X, None, form(case.groups))
        case.same(own.transform(case.X), case.Z, f"with groups as a {type(form(case.groups)).__name__}")


def check_one_channel(case: Case) -> None:
    """Two dimensions are windows of one channel."""
    flat, deep = case.fit(case.X[:, 0]), case.fit(case.X[:, :1])
    wanted = deep.transform(case.X[:, :1])
    case.same(flat.transform(case.X[:, 0]), wanted, "of one channel in two dimensions")
    case.same(flat.transform(case.X[:, :1]), wanted, "of one channel in three dimensions after a fit in two")
    case.same(deep.transform(case.X[:, 0]), wanted, "of one channel in two dimensions after a fit in three")


def check_bad_windows(case: Case) -> None:
    """Windows that are none are refused by a ValueError, in fit and in transform."""
    wrong = {
        "NaN": put(case.X, np.nan),
        "infinity": put(case.X, np.inf),
        "four dimensions": case.X[None],
        "no windows": case.X[:0],
        "complex numbers": case.X + 1j,
    }
    for what, X in wrong.items():
        refused(f"fit of {what}", case.new().fit, X)
        refused(f"transform of {what}", case.fitted.transform, X)


def check_other_windows(case: Case) -> None:
    """Windows of other channels or another length than in fit are refused by a ValueError."""
    if not get_tags(case.fitted).requires_fit and not hasattr(case.fitted, "contract_"):
        return
    refused("fewer samples", case.fitted.transform, case.X[..., :-56] if case.X.shape[2] > 56 else case.X[..., :-1])
    if case.X.shape[1] > 1:
        refused("a channel less", case.fitted.transform, case.X[:, 1:])
        refused("channels and samples in each other's place", case.fitted.transform, case.X.transpose(0, 2, 1))


def check_pipeline(case: Case) -> None:
    """It works in a pipeline that is cross-validated by participant."""
    pipeline = make_pipeline(case.new(), LogisticRegression(max_iter=2000))
    folds = GroupKFold(min(3, len(np.unique(case.groups))))
    scores = cross_val_score(pipeline, case.X, case.y, groups=case.groups, cv=folds, error_score="raise")
    assert np.isfinite(scores).all(), f"scores are {scores}"


def check_store(case: Case) -> None:
    """Windows on disk give what an array of them gives."""
    contract = getattr(case.fitted, "contract_", None)
    sfreq, units = (
        getattr(case.fitted, name, None) or getattr(contract, name, None) or default
        for name, default in {"sfreq": 100.0, "units": "g"}.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        n_channels, n_times = case.X.shape[1:]
        store = WindowStore.create(folder, n_channels=n_channels, n_times=n_times, sfreq=sfreq, units=units)
        store.append(case.X, participant=case.groups.astype(str))
        case.same(case.fitted.transform(store), case.Z, "from a store")
        case.same(case.fit(store).transform(case.X), case.Z, "after a fit to a store")


def check_saving(case: Case) -> None:
    """What is saved and loaded gives the same, untrained further, and verifies itself."""
    if not hasattr(case.encoder, "save_pretrained"):
        return
    params = case.encoder.get_params(deep=False)
    parts = {name: value for name, value in params.items() if callable(value) or hasattr(value, "fit")}
    parts |= {"device": params["device"]} if "device" in params else {}
    with tempfile.TemporaryDirectory() as folder:
        case.fitted.save_pretrained(f"{folder}/weights")
        loaded = type(case.encoder).from_pretrained(f"{folder}/weights", **parts)
        case.same(loaded.transform(case.X), case.Z, "after it was saved and loaded")
        case.same(clone(loaded).fit(case.X).transform(case.X), case.Z, "of a clone of what was loaded, after fit")
        assert loaded.verify(), "verify is not true"


def check_documentation(case: Case) -> None:
    """Each parameter is documented, and each documented one exists."""
    found = re.search(
        r"Parameters\n\s*-+\n(.*?)(?:\n\n\s*\w+\n\s*-+\n|\Z)", inspect.getdoc(type(case.encoder)) or "", re.S
    )
    assert found, "the docstring has no section Parameters"
    text = re.sub(r",\s*\\?\n", ", ", found[1])
    named = {n for names in re.findall(r"^(\w[\w, ]*?)(?: :.*)?$", text, re.M) for n in names.split(", ")}
    own = set(case.encoder.get_params(deep=False))
    assert named == own, f"not documented: {sorted(own - named)}; documented, and not there: {sorted(named - own)}"


LAWS = (
    check_rows,
    check_order,
    check_company,
    check_storage,
    check_input_is_left_alone,
    check_parameters_are_left_alone,
    check_generators_are_left_alone,
    check_repeats,
    check_clone,
    check_pickle,
    check_names,
    check_labels,
    check_groups,
    check_one_channel,
    check_bad_windows,
    check_other_windows,
    check_pipeline,
    check_store,
    check_saving,
    check_documentation,
)


def checked_names(expected: Mapping[str, str]) -> Mapping[str, str]:
    unknown = sorted(set(expected) - {law.__name__ for law in LAWS})
    if unknown:
        raise ValueError(f"expected_failures names checks that there are not: {', '.join(unknown)}.")
    return expected


def verdict(check: Check, encoder, expected: Mapping[str, str]) -> str:
    """What is wrong, if anything is."""
    try:
        check(encoder)
    except AssertionError as error:
        return "" if check.name in expected else str(error)
    return (
        f"{check.name} was expected to fail ({expected[check.name]}), and does not." if check.name in expected else ""
    )


def known(encoder) -> bool:
    """Whether it is complete without ``fit``, such as one whose weights are named."""
    return bool(getattr(encoder, "__sklearn_is_fitted__", lambda: False)())


def put(X: np.ndarray, value: float) -> np.ndarray:
    X = X.copy()
    X[2, -1, 7] = value
    return X


def refused(what: str, call: Callable, X) -> None:
    try:
        call(X)
    except ValueError:
        return
    raise AssertionError(f"{what} was let through; wanted a ValueError that says what is wrong")
