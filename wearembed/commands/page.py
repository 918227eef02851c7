"""A page about a run of ``embed``: one file that needs nothing else, no network and no script."""

import platform
import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files as resources
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from .. import __version__, disk
from .drawing import COLOURS, DAY, LATER, OTHERS, along, points, scale, strip, ticks
from .info import data_said, result_said
from .outcome import count, duration, share
from .parts import groups

MOST_POINTS, MOST_STRIPS = 2000, 400
LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "torch", "scikit-digital-health")


def write(out: Path, args, encoder, done: list[dict], failed: dict[str, str], files: Sequence[Path]):
    """Write the page of a run.

    Parameters
    ----------
    out : Path
    args : of the call
    encoder : fitted encoder
    done : list of dict
        What is known of each recording that was embedded.
    failed : dict of str to str
        Errors by path.
    files : sequence of Path
        The part of each recording.
    """
    training = encoder.training_
    sections = [
        synthetic(training),
        summary(args, encoder, done, failed),
        failures(failed),
        timelines(done, args.nonwear),
        embedding_map(files, done),
        quality(done, args.nonwear),
        weights(args, encoder),
        about(args),
    ]
    body = "\n".join(section for section in sections if section)
    disk.write(out, PAGE.format(style=style(), body=body, title=escape(str(args.out))).encode())


PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Embeddings: {title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<header><p class="kind">wearembed, report of an embedding run</p><h1>{title}</h1></header>
{body}
</main>
</body>
</html>
"""


def style() -> str:
    return (resources("wearembed.commands") / "page.css").read_text()


# --------------------------------------------------------------------------------- what stands first


def synthetic(training: dict) -> str:
    if training.get("untrained"):
        return banner("These weights were never trained.", "The embeddings are those of a random net: a baseline.")
    if training.get("synthetic"):
        return banner(
            "Pretrained on synthetic data only.",
            "No recording of a person was seen in training. Measure these embeddings beside hand-made features before "
            "you rely on them.",
        )
    return ""


def banner(loud: str, rest: str) -> str:
    return f'<p class="banner" role="note"><strong>{escape(loud)}</strong> {escape(rest)}</p>'


def summary(args, encoder, done: list[dict], failed: dict) -> str:
    word = "windows" if args.pool in (None, "participant") else f"{args.pool}s"
    n_rows = sum(one["n_rows"] for one in done)
    coverage = sum(one["coverage"] * one["n_rows"] for one in done) / n_rows if n_rows else float("nan")
    tiles = [
        ("recordings", f"{len(done):,}", f"of {count(len({one['participant'] for one in done}), 'participant')}"),
        ("recorded", duration(sum(one["seconds"] * one["recorded"] for one in done)), "gaps not counted"),
        (word, f"{n_rows:,}", f"embedded, {sum(one['n_left_out'] for one in done):,} left out for gaps"),
        ("coverage", share(coverage), f"of what was embedded, at least {args.min_coverage:.0%} asked"),
        ("numbers", f"{encoder.net_.dim:,}", "in an embedding"),
        ("failed", f"{len(failed):,}", "recordings" if len(failed) != 1 else "recording"),
    ]
    drawn = [
        f'<div class="tile{" bad" if name == "failed" and failed else ""}"><dt>{escape(name)}</dt>'
        f"<dd><b>{escape(value)}</b><span>{escape(more)}</span></dd></div>"
        for name, value, more in tiles
    ]
    return f'<dl class="tiles">{"".join(drawn)}</dl>'


def failures(failed: dict[str, str]) -> str:
    if not failed:
        return ""
    rows = "".join(f"<li><code>{escape(path)}</code> {escape(error)}</li>" for path, error in failed.items())
    return section("Not embedded", "The same line tries them again.", f'<ul class="failed">{rows}</ul>')


# --------------------------------------------------------------------------------- timelines


def timelines(done: list[dict], nonwear: bool) -> str:
    if not done:
        return ""
    longest = max(one["seconds"] for one in done) or 1.0
    marks, unit = ticks(longest)
    axis = "".join(f'<span style="left:{at:.2f}%">{text}</span>' for at, text in marks)
    shown = done[:MOST_STRIPS]
    rows = "".join(timeline(one, longest) for one in shown)
    more = f"<p>{len(done) - len(shown):,} more stand in the table below.</p>" if len(done) > len(shown) else ""
    keys = [("worn", "recorded"), ("part", "recorded in part"), ("gap", "gap")]
    keys[1:1] = [("off", "not worn")] if nonwear else []
    legend = "".join(f'<span><i class="{state}"></i>{escape(text)}</span>' for state, text in keys)
    hint = "" if nonwear else " Non-wear was not looked for; --nonwear does."
    return section(
        "Coverage",
        f"Each recording from its start, in {unit}.{hint}",
        f'<div class="legend">{legend}</div><div class="lines"><div class="line axis"><span></span>'
        f'<div class="room">{axis}</div></div>{rows}</div>{more}',
    )


def timeline(one: dict, longest: float) -> str:
    worn = f", {share(one['worn'])} worn" if one["worn"] is not None else ""
    label = f"{one['name']}: {duration(one['seconds'])}, {share(one['recorded'])} recorded{worn}"
    line = one["timeline"]
    drawn = strip(line["recorded"], line["worn"], max(0.5, 100 * one["seconds"] / longest), label)
    name = f"{escape(one['name'])}<small>{escape(one['participant'])}</small>"
    return f'<div class="line"><span class="name">{name}</span><div class="room">{drawn}</div></div>'


# --------------------------------------------------------------------------------- the map


def embedding_map(files: Sequence[Path], done: list[dict]) -> str:
    Z, owner, start = sample(files)
    if len(Z) < 3 or not Z.std(0).any():
        return ""
    scaled = StandardScaler().fit_transform(Z)
    model = PCA(2, random_state=0).fit(scaled)
    xy = model.transform(scaled)
    names = [f"direction {n + 1}, {part:.0%} of the variance" for n, part in enumerate(model.explained_variance_ratio_)]
    by_recording, legend = recording_colours(owner, [one["name"] for one in done])
    by_time, bar = time_colours(owner, start, done)
    what = "all of them" if len(Z) < MOST_POINTS else "evenly spaced among all"
    return section(
        "Map of the embeddings",
        f"The two directions in which {len(Z):,} embeddings ({what}) differ most, each dimension scaled alike. Colours "
        "that lie apart show what the embeddings tell apart, people and devices included.",
        f'<div class="maps"><figure><figcaption>by recording</figcaption>'
        f"{points(xy, by_recording, names, 'Embeddings, coloured by recording')}{legend}</figure>"
        f"<figure><figcaption>{bar[0]}</figcaption>{points(xy, by_time, names, f'Embeddings, coloured {bar[0]}')}"
        f"{bar[1]}</figure></div>",
    )


def sample(files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings evenly spaced among all rows, the number of each one's file, and its start."""
    n_rows = sum(pq.read_metadata(file).num_rows for file in files)
    wanted = np.unique(np.linspace(0, max(0, n_rows - 1), min(MOST_POINTS, n_rows)).astype(int))
    Z, owner, start, seen = [np.zeros((0, 0))], [], [], 0
    for n, file in enumerate(files):
        for rows in groups([file]):
            own = wanted[(wanted >= seen) & (wanted < seen + len(rows))] - seen
            seen += len(rows)
            table = rows.take(own).to_pandas().dropna(subset=["e0"])
            if len(table):
                Z.append(table.filter(regex=r"^e\d+$").to_numpy(np.float64))
                owner += [n] * len(table)
                start += [stamp.tz_localize(None) for stamp in table["start"]]
    return np.concatenate(Z[1:] or Z), np.array(owner, int), pd.DatetimeIndex(start).to_numpy()


def recording_colours(owner: np.ndarray, names: Sequence[str]) -> tuple[list[str], str]:
    """A colour for each of the recordings with the most rows; the others are grey."""
    most = [n for n, _ in Counter(owner.tolist()).most_common(len(COLOURS))]
    colour = {n: COLOURS[place] for place, n in enumerate(sorted(most))}
    keys = [(colour[n], names[n]) for n in sorted(most)]
    others = len(set(owner.tolist())) - len(most)
    keys += [(OTHERS, count(others, "other"))] if others else []
    legend = "".join(f'<span><i style="background:{c}"></i>{escape(name)}</span>' for c, name in keys)
    return [colour.get(n, OTHERS) for n in owner.tolist()], f'<div class="legend">{legend}</div>'


def time_colours(owner: np.ndarray, start: np.ndarray, done: list[dict]) -> tuple[list[str], tuple[str, str]]:
    """By the local time of day; where recordings do not know it, or are short, by the time since their start."""
    when = pd.DatetimeIndex(start)
    if all(one["dated"] for one in done) and when.max() - when.min() > pd.Timedelta(hours=6):
        hours = np.asarray((when - when.normalize()) / pd.Timedelta(days=1))
        return along(hours, DAY), ("by time of day", scale(DAY, ["0 h", "6 h", "12 h", "18 h", "24 h"]))
    began = pd.DatetimeIndex([pd.Timestamp(one["start"]).tz_localize(None) for one in done])[owner]
    since = np.asarray((when - began) / pd.Timedelta(seconds=1))
    most = max(float(since.max()), 1.0)
    return along(since / most, LATER), ("by time since the start", scale(LATER, ["0", duration(most)]))


# --------------------------------------------------------------------------------- tables


def quality(done: list[dict], nonwear: bool) -> str:
    if not done:
        return ""
    head = ["recording", "participant", "start", "length", "Hz", "rows", "left out", "coverage", "recorded", "gaps"]
    head += (["worn"] if nonwear else []) + ["clipped", "notes"]
    rows = [[escape(text) for text in quality_row(one, nonwear)] for one in done]
    return section("Quality of each recording", CLIPPING, table(head, rows, {0, 1, 2, len(head) - 1}))


CLIPPING = (
    "Coverage is that of what was embedded; recorded is the share of the whole time. Clipped: the share of samples at "
    "the outermost value of an axis, beyond 1.9 g."
)


def quality_row(one: dict, nonwear: bool) -> list[str]:
    notes = [*one["warnings"], *([f"about {one['n_lost']:,} samples lost"] if one["n_lost"] else [])]
    notes += ["kept from before"] if one["kept"] else []
    clipped = "–" if one["clipped"] is None else "none" if not one["clipped"] else f"{one['clipped']:.2%}"
    return [
        one["name"],
        one["participant"],
        one["start"][:16] if one["dated"] else "not known",
        duration(one["seconds"]),
        f"{one['sfreq']:.4g}",
        f"{one['n_rows']:,}",
        f"{one['n_left_out']:,}",
        share(one["coverage"]),
        share(one["recorded"]),
        f"{one['n_gaps']:,}",
        *([share(one["worn"])] if nonwear else []),
        clipped,
        "; ".join(notes),
    ]


def weights(args, encoder) -> str:
    training, contract = encoder.training_, encoder.contract_
    rows = [
        ("weights", str(args.weights)),
        ("encoder", type(encoder).__name__),
        ("pretrained on", data_said(bool(training.get("synthetic")), training)),
        ("licence", training.get("license") or "none is said"),
        (
            "takes",
            f"windows of {contract.n_channels} channels × {contract.n_times} samples at {contract.sfreq:g} Hz "
            f"({contract.seconds:g} s), in {contract.units}",
        ),
        (
            "gives",
            f"{encoder.net_.dim:,} numbers, from {sum(p.numel() for p in encoder.net_.parameters()):,} parameters",
        ),
        ("card", training.get("description") or "no sentence is stored"),
        *(("result", result_said(row)) for row in training.get("results", [])),
    ]
    return section("Weights", "What their card says.", pairs(rows))


def about(args) -> str:
    rows = [
        ("command", f"wearembed {shlex.join(args.call)}"),
        ("written", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]
    rows += [("wearembed", __version__), ("Python", f"{platform.python_version()}, {platform.platform()}")]
    rows += [(name, installed(name)) for name in LIBRARIES if installed(name)]
    limits = "Research on wearable recordings. Not a medical device, and no diagnosis."
    return section("How it was made", limits, pairs(rows))


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def section(title: str, lead: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(lead)}</p>{body}</section>"


def pairs(rows: Sequence[tuple[str, str]]) -> str:
    drawn = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<dl class="pairs">{drawn}</dl>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: set[int]) -> str:
    """A table of escaped cells; columns of numbers are set to the right."""
    kind = ["" if n in words else ' class="number"' for n in range(len(head))]
    top = "".join(f'<th scope="col"{k}>{escape(name)}</th>' for k, name in zip(kind, head))
    body = "".join("<tr>" + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kind, row)) + "</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
