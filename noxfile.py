"""What a contributor runs: ``nox`` for the usual, ``nox -s NAME`` for one, ``nox -l`` for the list."""

import os
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "docs"]

CONSTRAINTS = ("-c", ".ci/constraints.txt")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def install(session: nox.Session, *what: str) -> None:
    """Install the tested versions; with ``--no-venv`` the environment at hand is taken as it is."""
    if session.venv_backend == "none":
        return
    wheels = os.environ.get("UV_FIND_LINKS", os.environ.get("PIP_FIND_LINKS"))  # uv does not read pip's settings
    session.install(*CONSTRAINTS, *what, env={"UV_FIND_LINKS": wheels} if wheels else None)


@nox.session
def lint(session):
    """Layout and rules; ``nox -s lint -- --fix`` mends what it can."""
    install(session, "ruff")
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")


@nox.session
def types(session):
    """Types of the package."""
    install(session, "-e", ".[dev]")
    session.run("mypy", *session.posargs)


@nox.session
def tests(session):
    """All that is not slow, doctests of the package included."""
    install(session, "-e", ".[test]")
    session.run("pytest", "-n", "2", *session.posargs, env=ONE_THREAD)


@nox.session
def slow(session):
    """What takes longer than a coffee."""
    install(session, "-e", ".[test]")
    session.run("pytest", "-m", "slow", *session.posargs, env=ONE_THREAD)


@nox.session
def campaign(session):
    """Harm of every kind, thousands of times, and its figures in docs/reliability.md."""
    install(session, "-e", ".[test]")
    told = {"WEAREMBED_CAMPAIGN": str(Path("docs/reliability.json").absolute()), "WEAREMBED_KILLS": "50"}
    many = ("-m", "", "--hypothesis-profile=campaign", "-o", "faulthandler_timeout=900")
    for file in sorted(Path("tests").glob("test_fuzz_*.py")):
        session.run("pytest", str(file), *many, *session.posargs, env={**ONE_THREAD, **told})
    session.run("python", "tests/harm.py", "docs/reliability.json", "docs/reliability.md")


@nox.session
def docs(session):
    """The pages, into docs/_build; a warning is an error. ``-- -D plot_gallery=0`` leaves the examples unrun."""
    install(session, "-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html", *session.posargs)


@nox.session
def bench(session):
    """Seconds and memory, files tests/benchmarks/bench_*.py."""
    install(session, "-e", ".[test]")
    only = ("-o", "python_files=bench_*.py", "-m", "", "--benchmark-only", "-s")
    session.run("pytest", "tests/benchmarks", *only, *session.posargs)


@nox.session
def demo(session):
    """The README's first command: file to embeddings on the bundled weights."""
    install(session, "-e", ".")
    session.run("python", "-m", "wearembed", "demo", *session.posargs)


@nox.session
def evidence(session):
    """A study by its name: ``nox -s evidence -- show --data FOLDER --out OTHER``, ``-- heart_from_wrist simulated``."""
    install(session, "-e", ".[plots]")
    name, *rest = session.posargs or ["heart_from_wrist", "simulated"]
    session.run("python", f"examples/{name}.py", *rest, env=ONE_THREAD)
