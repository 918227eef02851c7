"""Sphinx: myst for pages, numpydoc for docstrings, nothing fetched."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import wearembed

project = "wearembed"
author = "The wearembed contributors"
copyright = f"2026, {author}"
version = release = wearembed.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
nitpicky = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "wearembed"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {"**": []}
