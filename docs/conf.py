"""Sphinx: myst for pages, numpydoc for docstrings, examples run into a gallery, formulas as MathML; nothing is fetched.

``-D plot_gallery=0`` shows the examples without running them.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import wearembed
from wearembed import hub
from wearembed.hub.card import table

project = "wearembed"
author = "The wearembed contributors"
copyright = f"2026, {author}"
version = release = wearembed.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
nitpicky = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("wearembed",),
    "reference_url": {"wearembed": None},
    "backreferences_dir": None,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "abort_on_example_error": True,
}

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "wearembed"
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_center": [],  # all pages are listed at the left, in order
    "show_nav_level": 0,
}
html_sidebars = {"**": ["globaltoc.html"]}
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False


def setup(app):
    """Write the page of models before pages are looked for; formulas are MathML, which browsers draw themselves."""
    app.connect("builder-inited", lambda app: keep(Path(app.srcdir) / "models.md", page_of_models()))
    app.add_html_math_renderer("mathml", (visit_formula, None), (visit_equation, None))


# --- formulas


def visit_formula(page, node):
    page.body.append(mathml(node.astext()))
    skip()


def visit_equation(page, node):
    page.body.append(f'<div class="equation">{mathml(node.astext(), as_block=True)}</div>')
    skip()


def mathml(formula, as_block=False):
    from docutils.utils.math.latex2mathml import (
        tex2mathml,  # here, since the tests read this file without the extra docs
    )

    return tex2mathml(formula, as_block=as_block)


def skip():
    from docutils.nodes import SkipNode

    raise SkipNode


# --- models.md, which is written anew by each build


def keep(file, text):
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


MODELS = """\
# Models

Weights that come with the package. Each loads by its name, without a network, and checks itself:

```pycon
>>> import wearembed
>>> encoder = wearembed.from_pretrained("wearembed/ppg-contrastive-synthetic")
>>> encoder.verify()
True
```

Encoders of the heart take signals that were filtered first, as their cards say:

```pycon
>>> from wearembed.datasets import make_ppg_accel
>>> from wearembed.signals import prepare_ppg
>>> wrist = make_ppg_accel(n_participants=2, n_windows=3, n_ppg_channels=1, random_state=0)
>>> encoder.transform(prepare_ppg(wrist.ppg, wrist.sfreq)).shape
(6, 36)
```

This page is made from their cards by `docs/conf.py`. The commands behind the numbers stand with each. In brackets are
95 % intervals over people. The headline is the first result of the card: read it beside the baselines below."""


def page_of_models() -> str:
    """A row and a section for each of the bundled weights."""
    configs = {name: json.loads((hub.folder_of(name) / "config.json").read_text()) for name in hub.bundled()}
    columns = ("name", "sensor", "what goes in", "size", "synthetic", "headline result", "licence")
    rows = [(f"[`{name}`](#{anchor(name)})", *told(name, config)) for name, config in configs.items()]
    sections = [section(name, config) for name, config in configs.items()]
    return "\n\n".join([MODELS, table(columns, rows), *sections]) + "\n"


def anchor(name):
    return name.replace("/", "")


def told(name, config):
    contract, training = config["contract"], config["training"]
    sensor = "accelerometer" if contract["n_channels"] == 3 else config["modality"].upper()
    goes_in = f"{contract['n_channels']} × {contract['n_times']} samples at {contract['sfreq']:g} Hz"
    goes_in += f" ({contract['n_times'] / contract['sfreq']:g} s), {contract['units']}"
    size = sum(file.stat().st_size for file in hub.folder_of(name).iterdir()) / 1e6
    synthetic = "yes" if training.get("synthetic") else "no"
    return sensor, goes_in, f"{size:.2f} MB", synthetic, headline(training), training["license"]


def headline(training):
    """The first result, and what it is of."""
    if not training.get("results"):
        return "none stored"
    first = training["results"][0]
    whose = first.get("model", "these weights")
    return f"{first['metric']}, {first['dataset']}: {number(first)}{'' if whose == 'these weights' else ', ' + whose}"


def number(row):
    return f"{row['value']:.4g} ({row['low']:.4g} to {row['high']:.4g})"


def section(name, config):
    """What the card says of one: how it was made, results, whose data they were."""
    training = config["training"]
    results, sources = training.get("results", []), training.get("attribution", [])
    shown = ("dataset", "metric", "model")
    parts = [f"## {name}", training.get("description"), f"`{config['estimator_class']}`: {config['output']}."]
    if results:
        parts.append(table((*shown, "value"), [[*(row.get(key, "") for key in shown), number(row)] for row in results]))
    if sources:
        parts.append(table(("data", "source", "licence"), [[s["name"], s["source"], s["license"]] for s in sources]))
    return "\n\n".join(part for part in parts if part)
