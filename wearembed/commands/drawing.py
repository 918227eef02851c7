"""Pictures as SVG that stands in a page: timelines of recordings, and a map of embeddings."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

import numpy as np

# Okabe and Ito without black: told apart by all kinds of eyes, on white and on black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#B8A600")
OTHERS = "#8a8f98"
DAY = ("#2b2d6e", "#3f7fbf", "#f0c03c", "#d9603b", "#2b2d6e")  # midnight, six, noon, six, midnight
LATER = ("#3b2a78", "#2f6f9f", "#2fa58a", "#b8c93b")  # from the start on


def strip(recorded: Sequence[float], worn: Sequence[float] | None, width: float, label: str) -> str:
    """One recording from its start to its end, `width` per cent as wide as the room that there is."""
    states = [state(r, w) for r, w in zip(recorded, worn or [1.0] * len(recorded))]
    drawn = "".join(f'<rect class="{name}" x="{x}" width="{n}" height="1"/>' for name, x, n in runs(states))
    return (
        f'<svg class="strip" style="width:{width:.2f}%" viewBox="0 0 {len(states)} 1" preserveAspectRatio="none" '
        f'role="img" aria-label="{escape(label)}"><title>{escape(label)}</title>{drawn}</svg>'
    )


def state(recorded: float, worn: float) -> str:
    if recorded < 0.05:
        return "gap"
    if worn < 0.5:
        return "off"
    return "worn" if recorded >= 0.95 else "part"


def runs(states: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Stretches of one state: its name, where it begins, how long it is."""
    x = 0
    for name, same in groupby(states):
        n = len(list(same))
        yield name, x, n
        x += n


def ticks(seconds: float) -> tuple[list[tuple[float, str]], str]:
    """Marks of an axis from 0 to `seconds`, as per cent of it and text, and the unit of the text."""
    unit, length = next(
        (u, n)
        for u, n in (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
        if seconds >= 2 * n or n == 1
    )
    whole = seconds / length
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e9) if whole / s <= 7)
    return [(100 * n * step / whole, f"{n * step:g}") for n in range(int(whole / step + 1e-9) + 1)], unit


def points(xy: np.ndarray, colours: Sequence[str], names: Sequence[str], label: str) -> str:
    """A map of points ``(n, 2)``, each in its colour; `names` are those of the axes."""
    low, high = xy.min(0), xy.max(0)
    at = np.array([36, 16]) + np.array([348, 368]) * (xy - low) / np.where(high > low, high - low, 1)
    dots = "".join(
        f'<circle cx="{x:.0f}" cy="{400 - y:.0f}" r="3" fill="{colour}"/>' for (x, y), colour in zip(at, colours)
    )
    return (
        f'<svg class="map" viewBox="0 0 400 424" role="img" aria-label="{escape(label)}"><title>{escape(label)}</title>'
        f'<rect class="frame" x="0.5" y="0.5" width="399" height="399" rx="6"/><g class="dots">{dots}</g>'
        f'<text x="200" y="418" text-anchor="middle">{escape(names[0])}</text>'
        f'<text x="-200" y="14" text-anchor="middle" transform="rotate(-90)">{escape(names[1])}</text></svg>'
    )


def along(shares: np.ndarray, stops: Sequence[str]) -> list[str]:
    """A colour for each share from 0 to 1 of a scale."""
    rgb = np.array([[int(stop[n : n + 2], 16) for n in (1, 3, 5)] for stop in stops], float)
    where = np.linspace(0, 1, len(stops))
    mixed = np.stack([np.interp(shares, where, channel) for channel in rgb.T], 1).round().astype(int)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in mixed]


def scale(stops: Sequence[str], marks: Sequence[str]) -> str:
    """The legend of `along`."""
    shown = "".join(f"<span>{escape(mark)}</span>" for mark in marks)
    return (
        f'<div class="scale"><div class="bar" style="background:linear-gradient(90deg,{",".join(stops)})"></div>'
        f'<div class="marks">{shown}</div></div>'
    )
