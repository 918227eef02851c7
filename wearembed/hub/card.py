"""The card of a checkpoint: what it was trained on, what goes in, what comes out, how good, and what it is not for."""

import json
import re
from typing import Any

from .files import shortened

# The names that the hub knows, among those that weights and open recordings tend to have; others are "other" to it.
LICENSES = {
    *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "cc", "cc0-1.0", "cc-by-2.0"),
    *("cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
    *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "odc-by", "odbl"),
    *("pddl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "isc", "zlib"),
    *("unlicense", "openrail", "afl-3.0", "artistic-2.0", "bsl-1.0", "ecl-2.0", "eupl-1.1", "eupl-1.2", "ms-pl"),
    *("cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "etalab-2.0", "unknown", "other"),
}
APART = ("data", "license", "synthetic", "description", "attribution", "results", "spent")  # told in their own places


def card(config: dict[str, Any], name: str = "") -> str:
    """The card of a checkpoint in Markdown, with the header that the hub reads.

    Parameters
    ----------
    config : dict
        What ``config.json`` says.
    name : str, default=""
        Of the repository, where it goes to one.
    """
    training = config["training"]
    parts = [
        first_line(training),
        f"# {config['estimator_class']}",
        said(training.get("description")),
        contract(config),
        loading(name),
        f"## Training\n\n{recipe(training)}",
        results(training.get("results", [])),
        attribution(training.get("attribution", [])),
        f"## Parameters\n\n{table(('parameter', 'value'), told_params(config).items())}",
        LIMITS,
    ]
    head = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in header(config).items())
    return f"---\n{head}\n---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def header(config: dict[str, Any]) -> dict[str, Any]:
    """What the hub reads of a card, as YAML."""
    training = config["training"]
    return {
        "library_name": "wearembed",
        **license_names(training.get("license")),
        "tags": tags(config),
        "datasets": [said(name) for name in training.get("data", [])],
    }


def license_names(license: str | None) -> dict[str, str]:
    """The licence by the hub's name for it, or as one that the hub has no name for."""
    name = said(license or "unknown").lower()
    return (
        {"license": name}
        if name in LICENSES
        else {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", name)}
    )


def tags(config: dict[str, Any]) -> list[str]:
    kind = ["fine-tuned"] if "answers" in config else ["feature-extraction", "foundation-model"]
    modality = [config["modality"]] if config.get("modality") else []
    synthetic = ["synthetic-data"] if config["training"].get("synthetic") else []
    return ["wearembed", *modality, *kind, "time-series", *synthetic]


def first_line(training: dict[str, Any]) -> str:
    if training.get("synthetic"):
        return "**Pretrained on synthetic data only:** no recording of a person was seen."
    return "Pretrained weights."


def contract(config: dict[str, Any]) -> str:
    told = config["contract"]
    seconds = told["n_times"] / told["sfreq"]
    scaled = " Each window and channel is brought to mean zero and deviation one." if told.get("standardized") else ""
    return (
        "## Input and output\n\n"
        f"What goes in: windows of {told['n_channels']} channels × {told['n_times']} samples at {told['sfreq']:g} Hz\n"
        f"({seconds:g} s), in {said(told['units'])}; other rates and units are converted when `sfreq` and `units` say "
        f"what they are.{scaled}\n\nWhat comes out: {config['output']}."
    )


def loading(name: str) -> str:
    source = f'"{name}"' if name else "SOURCE"
    where = "" if name else ", where SOURCE is this folder or the name of its repository"
    return (
        "## How to load\n\n"
        f"`encoder = wearembed.from_pretrained({source})`{where}. `encoder.verify()` compares hashes and replays the\n"
        "stored reference. Nothing in these files is code, and none of their names is imported."
    )


def recipe(training: dict[str, Any]) -> str:
    """Data, licence, cost and the numbers of the run, the seed among them."""
    told = {"data": training.get("data"), "license": training.get("license"), "synthetic": training.get("synthetic")}
    drawn = ("seed",) if "random_state" in training else ()  # by it, and of no use to whoever would do it again
    told |= {key: value for key, value in training.items() if key not in (*APART, *drawn)}
    told |= {f"spent: {key}": value for key, value in training.get("spent", {}).items()}
    return table(("", ""), [(key, value) for key, value in told.items() if value not in (None, "", [])])


def results(told: list[dict[str, Any]]) -> str:
    """A row for each result, its interval behind it."""
    if not told:
        return "## Results\n\nNone are stored with these weights."
    ends = ("value", "low", "high")
    others = list(dict.fromkeys(key for row in told for key in row if key not in ends))
    lines = [
        [row.get(key) for key in others] + [f"{row['value']:.4g} ({row['low']:.4g} to {row['high']:.4g})"]
        for row in told
    ]
    return f"## Results\n\nIn brackets: the interval.\n\n{table((*others, 'value (low to high)'), lines)}"


def attribution(told: list[dict[str, Any]]) -> str:
    if not told:
        return ""
    columns = list(dict.fromkeys(key for row in told for key in row))
    lines = [[row.get(key) for key in columns] for row in told]
    return f"## Attribution\n\nThe weights were trained on data of others:\n\n{table(columns, lines)}"


def told_params(config: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the estimator and, by ``distance__``, of the distance that it was trained with."""
    of_distance = (config.get("distance") or {}).get("params", {})
    told = {**config["params"], **{f"distance__{key}": value for key, value in of_distance.items()}}
    return {key: "None" if value is None else value for key, value in told.items()}


def table(columns, lines) -> str:
    drawn = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(cell(value) for value in line)} |" for line in drawn)


def cell(value) -> str:
    """A value in a table of Markdown: on one line, and without the stroke that ends a cell."""
    if isinstance(value, list):
        return ", ".join(cell(part) for part in value)
    text = f"{value:.4g}" if isinstance(value, float) else said(value)
    return text.replace("|", "\\|")


def said(value) -> str:
    """Words of a user as one printable line."""
    return "" if value is None else shortened(" ".join(str(value).split()), 10_000)


LIMITS = """\
## Intended use and limits

Research on wearable recordings: features for probes, retrieval and exploration. Not a medical device, and not evaluated
for any decision about a person. Measure it on held-out participants of your own data, beside hand-made features and an
untrained net. Windows of other placements, devices or people than those of training may be embedded badly, without a
word of warning."""
