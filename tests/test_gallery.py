"""The gallery: scripts short enough to read, which run from end to end without a screen and draw what they show."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

GALLERY = Path(__file__).parent.parent / "examples" / "gallery"
SCRIPTS = sorted(GALLERY.glob("*.py"))
# Runs a script as the gallery does, then keeps its pictures.
RUN = """
import runpy, sys
import matplotlib.pyplot as plt
runpy.run_path(sys.argv[1], run_name="__main__")
for number in plt.get_fignums():
    plt.figure(number).savefig(f"{number}.png")
"""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_is_short_and_begins_with_its_title(script):
    text = script.read_text()
    assert len(text.splitlines()) < 80
    assert script.name.startswith("plot_")  # what sphinx-gallery runs
    title, line, empty, *story = ast.get_docstring(ast.parse(text)).splitlines()
    assert line == "=" * len(title) and not empty and story
    assert "simulated" in " ".join(story).lower()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_imports_what_there_is(script):
    found = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)]
    for node in found:
        room = importlib.import_module(node.module)
        assert all(hasattr(room, name.name) for name in node.names), ast.unparse(node)


def test_there_are_examples():
    assert len(SCRIPTS) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_runs_and_draws(script, tmp_path):
    environment = os.environ | {"MPLBACKEND": "Agg"}
    subprocess.run([sys.executable, "-c", RUN, str(script)], cwd=tmp_path, env=environment, check=True)
    pictures = sorted(tmp_path.glob("*.png"))
    assert pictures and all(picture.stat().st_size > 5000 for picture in pictures)
