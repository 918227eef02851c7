"""How an encoder shows itself in a notebook: scikit-learn's diagram, and what a user of windows has to know."""

import copy
import html
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from sklearn.base import BaseEstimator

from .. import hub

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # scikit-learn before 1.7
    from sklearn.utils._estimator_html_repr import _VisualBlock

SYNTHETIC = "⚠ SYNTHETIC: pretrained on simulated data only"
DIAGRAM = ("sklearn.utils._repr_html", "sklearn.utils._estimator_html_repr")
UNTRAINED = "⚠ UNTRAINED: random weights"
LOUD = "background:#b00020;color:#fff;font-weight:bold;padding:.4em .7em;margin:.4em .5em;border-radius:.3em"
CELL = "text-align:left;padding:.15em .6em;border:1px solid rgba(106,105,104,.232)"


class Shown(BaseEstimator):
    """What scikit-learn's diagram asks of an estimator. To be shown loads nothing, and calls nobody."""

    def _sk_visual_block_(self):
        return _VisualBlock(
            "single", self, names=type(self).__name__, name_details=str(self), name_caption=caption(facts(self))
        )

    def _get_params_html(self, *args, **kwargs):
        params = super()._get_params_html(*args, **kwargs)
        below = params._html_repr
        params._html_repr = lambda: table(facts(self)) + below()
        return params

    def _get_fitted_attr_html(self, *args, **kwargs):
        """Of attributes that are there: to ask for a property may load a net."""
        there = {name: value for name, value in vars(self).items() if name.endswith("_") and not name.startswith("_")}
        twin = type(type(self).__name__, (), {"__doc__": type(self).__doc__, **there})()
        return BaseEstimator._get_fitted_attr_html(twin, *args, **kwargs)


def for_the_diagram() -> bool:
    """Whether scikit-learn's diagram is behind the call of the method that asks."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(DIAGRAM):
            return True
        frame = frame.f_back
    return False


def facts(estimator) -> dict[str, str]:
    """By name, what is known of an estimator without loading anything."""
    known, where = as_far_as_known(estimator)
    told = {}
    training = getattr(known, "training_", {})
    if training.get("synthetic"):
        told["warning"] = SYNTHETIC
    elif training.get("untrained"):
        told["warning"] = UNTRAINED
    if hasattr(known, "contract_"):
        told |= contract_facts(known.contract_, estimator)
    else:
        told["windows"] = f"any, at {number(own(estimator, 'sfreq'))} Hz in {own(estimator, 'units')}"
    if hasattr(estimator, "weights"):
        told |= {"weights": where} | net_facts(known)
    return told


def as_far_as_known(estimator) -> tuple[Any, str]:
    """The estimator, or a copy that knows what ``config.json`` says, if that is on this machine; and its weights."""
    weights = getattr(estimator, "weights", None)
    revision = f" at {estimator.revision}" if getattr(estimator, "revision", None) else ""
    named = f"{weights}{revision}"
    if "net_" in vars(estimator):
        return estimator, trained(estimator) if weights is None or estimator.max_epochs else f"{named}, loaded"
    if weights is None:
        return estimator, "none yet: fit trains them"
    if estimator.max_epochs:
        return estimator, f"{named}, to be trained on by fit"
    config = hub.known(weights, revision=estimator.revision)
    if config is None:
        return estimator, f"{named}, not loaded yet"
    twin = copy.copy(estimator)
    try:
        twin._shape(config, Path(str(weights)))
    except Exception:  # of whatever is wrong, loading tells; a diagram is no place for it
        return estimator, f"{named}, not loaded yet, and damaged"
    return twin, f"{named}, not loaded yet"


def trained(estimator) -> str:
    """Where weights are from that no place is named for."""
    training = getattr(estimator, "training_", {})
    if training.get("untrained"):
        return "random, as a net begins"
    people = training.get("n_participants")
    whose = f" of {counted(people, 'participant')}" if people else ""
    began = f", begun from {training['began_from']}" if "began_from" in training else ""
    long = counted(training.get("epochs") or 0, "epoch")
    return f"trained here on {counted(training.get('n_windows', 0), 'window')}{whose}, {long}{began}"


def contract_facts(contract, estimator) -> dict[str, str]:
    """What windows have to be."""
    told = {
        "windows": f"{contract.n_channels} × {contract.n_times}: {counted(contract.n_channels, 'channel')} of "
        f"{contract.n_times} samples",
        "rate": f"{contract.sfreq:g} Hz, {contract.seconds:.4g} s a window",
        "units": str(contract.units),
        "normalisation": "each channel of a window to mean 0 and deviation 1, by the encoder"
        if contract.standardized
        else "none: windows are taken as they are",
    }
    sfreq, units = own(estimator, "sfreq"), own(estimator, "units")
    if (sfreq, units) != (contract.sfreq, contract.units):
        told["X is said to be"] = f"at {number(sfreq)} Hz in {units}, and is converted"
    return told


def own(estimator, name: str):
    """`sfreq` or `units`, by default those that an estimator has where it was told none."""
    value = getattr(estimator, name, None)
    value = getattr(estimator, f"_{name}", None) if value is None and not hasattr(estimator, "weights") else value
    return "the encoder's" if value is None else value


def net_facts(estimator) -> dict[str, str]:
    net = vars(estimator).get("net_")
    if net is None:
        return {"parameters": "counted once there is a net"}
    told = {"parameters": f"{sum(p.numel() for p in net.parameters()):,}"}
    return told | ({"embedding": f"{net.dim} numbers a window"} if hasattr(net, "dim") else {})


def number(value) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def caption(told: dict[str, str]) -> str:
    """The line below the name; scikit-learn escapes it."""
    shown = [told.get(name) for name in ("warning", "windows", "rate", "units", "weights")]
    shown[1] = told["windows"].split(":")[0]
    return " · ".join(line for line in shown if line)


def table(told: dict[str, str]) -> str:
    """HTML of the facts, whatever characters they hold."""
    cells = '<tr><th style="{0}">{1}</th><td style="{0}">{2}</td></tr>'
    safe = {name: html.escape(str(value)) for name, value in told.items()}
    warning = safe.pop("warning", None)
    loud = f'<div class="wearembed-warning" role="note" style="{LOUD}">{warning}</div>' if warning else ""
    rows = "".join(cells.format(CELL, name, value) for name, value in safe.items())
    return f'{loud}<table class="wearembed-facts" style="margin:.5em;color:#000;background:#fff">{rows}</table>'
