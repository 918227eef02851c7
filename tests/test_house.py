"""The house: its floors, its bans, its names, its README and what it packs."""

import ast
import graphlib
import importlib
import inspect
import re
import socket
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "wearembed"
FILES = sorted(HOUSE.rglob("*.py"))
VERSION = "wearembed.__version__"

FLOORS = {
    5: {"__init__", "__main__"},
    4: {"commands", "testing"},
    3: {"encoders", "datasets", "plots"},
    2: {"objectives", "training", "embedding", "evaluation", "recordings"},
    1: {"nets", "augment", "hub", "memory", "progress", "converters", "stores", "metrics", "signals"},
    0: {"disk", "distributed", "runs"},
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

ONLY_IN = {  # a library, and the rooms that may import it
    "dask": {"embedding"},
    "distributed": {"embedding"},
    "skorch": {"training"},
    "huggingface_hub": {"hub"},
    "matplotlib": {"plots"},
    "mne": {"converters"},
    "neurokit2": {"signals"},
    "numba": {"encoders"},
    "onnx": {"encoders"},
    "onnxscript": {"encoders"},
    "openvino": {"encoders"},
    "pooch": {"datasets"},
    "skdh": {"recordings"},
    "sktime": {"encoders"},
    "tensorstore": {"stores"},
    "torch": {
        "__main__",
        "encoders",
        "objectives",
        "training",
        "embedding",
        "nets",
        "augment",
        "hub",
        "distributed",
        "testing",
    },
    "sklearn": set(FLOOR) - {"objectives", "nets", "augment"},
    "numpy": set(FLOOR) - {"objectives"},
    "pandas": set(FLOOR) - {"objectives", "nets", "augment"},
}
# Extras: whoever did not ask for them must still be able to import the package.
OPTIONAL = {
    "dask",
    "distributed",
    "skdh",
    "matplotlib",
    "mne",
    "neurokit2",
    "numba",
    "onnx",
    "onnxscript",
    "openvino",
    "pooch",
    "sktime",
    "tensorstore",
}
NO_SUCH_FILE = {"utils", "util", "helpers", "helper", "common", "misc", "types", "constants", "exceptions", "config"}


# --- reading the imports


def room_of(module):
    """``wearembed.nets.resnet`` is in room ``nets``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def exists(module):
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def imports_of(path):
    """What a file imports, functions included: ``[(module, line, at the top)]``, relative names made whole."""
    here = module_of(path)
    package = here if path.name == "__init__.py" else here.rpartition(".")[0]
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            parts = [f"{base}.{alias.name}" for alias in node.names]
            ours = base.startswith("wearembed")
            names = [part if ours and (exists(part) or part == VERSION) else base for part in parts]
        else:
            continue
        found += [(name, node.lineno, id(node) not in inside) for name in names]
    return found


def own_imports(path):
    """Of the package itself; its version is a word that every floor may say."""
    return [(name, line) for name, line, _ in imports_of(path) if name.split(".")[0] == "wearembed" and name != VERSION]


def labelled(paths):
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


# --- floors, bans, names


def test_contributors_are_told_of_every_room():
    rows = re.findall(r"^\| (\d) \| (.+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)
    told = {int(floor): set(re.findall(r"`(\w+)/?`", rooms)) for floor, rooms in rows}
    assert told == FLOORS, "CONTRIBUTING.md lists other rooms than FLOORS"


@pytest.mark.parametrize("path", labelled(FILES))
def test_a_file_imports_from_floors_below_its_own(path):
    room = room_of(f"{module_of(path)}.__init__" if path == HOUSE / "__init__.py" else module_of(path))
    assert room in FLOOR, f"{path.name}: room {room!r} is on no floor; a new room is a decision, see CONTRIBUTING.md"
    for name, line in own_imports(path):
        other = room_of(name)
        assert other in FLOOR, f"{path}:{line} imports {name}, and room {other!r} is on no floor"
        beside = other == room or (room, other) == ("__main__", "__init__")  # the two share a folder
        assert beside or FLOOR[other] < FLOOR[room], (
            f"{path}:{line}: {room} is on floor {FLOOR[room]} and imports {name}, which is on floor {FLOOR[other]}; "
            f"a file imports from floors below its own and from its own folder"
        )


@pytest.mark.parametrize("path", labelled(FILES))
def test_libraries_stay_in_their_rooms(path):
    room = room_of(f"{module_of(path)}.__init__" if path == HOUSE / "__init__.py" else module_of(path))
    for name, line, at_the_top in imports_of(path):
        library = name.split(".")[0]
        assert room in ONLY_IN.get(library, {room}), (
            f"{path}:{line}: {room} imports {library}, which is for {sorted(ONLY_IN[library])}"
        )
        extra = library in OPTIONAL and at_the_top
        assert not extra, f"{path}:{line}: {library} is an extra: import it where it is used"


def test_no_circle_of_imports():
    graph = {module_of(path): {name for name, _ in own_imports(path)} - {module_of(path)} for path in FILES}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail("a circle of imports: " + " -> ".join(error.args[1]))


def test_no_drawer_for_odds_and_ends():
    names = {path.stem for path in FILES} | {path.name for path in HOUSE.rglob("*") if path.is_dir()}
    assert not names & (NO_SUCH_FILE | {"models", "transforms"})


def test_no_room_stands_empty():
    for path in FILES:
        assert ast.parse(path.read_text()).body, f"{path} is empty: a file comes with what fills it"


# --- what is public is documented


def named(dotted):
    """The object of a dotted name, whose first part is the package."""
    parts = dotted.split(".")
    while not exists(".".join(parts)):
        parts.pop()
    thing = importlib.import_module(".".join(parts))
    for part in dotted.split(".")[len(parts) :]:
        thing = getattr(thing, part)
    return thing


def on_the_page():
    """What docs/api.md shows is what is public."""
    return re.findall(r"^\.\. auto(?:class|function):: (\S+)", (ROOT / "docs/api.md").read_text(), flags=re.M)


def exported():
    """What the package and its rooms say by ``__all__``."""
    for path in FILES:
        if "__all__" in path.read_text():
            module = importlib.import_module(module_of(path))
            yield from (getattr(module, name) for name in module.__all__)


def test_every_name_of_the_package_can_be_had():
    said = ast.parse((HOUSE / "__init__.pyi").read_text())
    listed = next(node.value for node in said.body if isinstance(node, ast.Assign))
    package = importlib.import_module("wearembed")
    assert set(ast.literal_eval(listed)) == set(package.__all__) <= set(dir(package))
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_what_is_exported_is_on_the_page():
    shown = [named(name) for name in on_the_page()]
    missing = {thing.__qualname__ for thing in exported() if callable(thing) and thing not in shown}
    assert not missing, f"docs/api.md does not show {sorted(missing)}"


def documented_parameters(docstring):
    """The names under ``Parameters`` of a numpydoc docstring, in order."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    starts = [i + 2 for i, (a, b) in enumerate(pairwise(lines)) if a == "Parameters" and set(b) == {"-"}]
    if not starts:
        return None
    names = []
    for line, following in pairwise([*lines[starts[0] :], "", ""]):
        if following and set(following) == {"-"}:  # the next heading
            break
        if line and not line[0].isspace():
            names += [name.strip(" *`") for name in re.split(r"\s+:|:\s", line)[0].split(",")]
    return names


@pytest.mark.parametrize("name", on_the_page())
def test_every_public_name_is_documented(name):
    thing = named(name)
    assert inspect.getdoc(thing), "no docstring"
    first = inspect.getdoc(thing).splitlines()[0]
    assert first.endswith((".", "?", "!", "::")), f"the first line is one whole sentence, got {first!r}"
    documented = documented_parameters(thing.__doc__)
    estimator = inspect.isclass(thing) and issubclass(thing, BaseEstimator)
    parameters = [name for name in inspect.signature(thing).parameters if name != "self"]
    if estimator and parameters and parameters != ["args", "kwargs"]:
        assert documented is not None, "an estimator documents its parameters"
    if documented is not None:
        assert documented == parameters, "documented parameters and signature differ"


# --- the README, continuous integration, the package


def readme_blocks():
    return re.findall(r"^```[^\n]*\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.M | re.S)


def test_readme_has_two_commands_of_one_line_each():
    blocks = readme_blocks()
    assert len(blocks) == 2
    for block in blocks:
        assert len(block.strip().splitlines()) == 1
        assert "-c .ci/constraints.txt" in block
    run, test = blocks
    assert run.strip().endswith("python -m wearembed demo")
    assert test.strip().endswith("python -m pytest -n 2")


def test_readme_names_pages_that_exist():
    for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / link).exists(), f"README.md links to {link}"


def test_ci_runs_the_second_command_as_written():
    script = (ROOT / ".ci/run").read_text()
    assert script.rstrip().endswith("as_written 2"), "what the README says is what runs last"
    assert readme_blocks()[1].strip() not in script, "read from the README, never written again"


def test_constraints_pin_what_the_project_asks_for():
    lines = [line for line in (ROOT / ".ci/constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[\w.]+", line) for line in lines), "NAME==VERSION, no local build"
    pinned = {normal(line.split("==")[0]) for line in lines}
    assert "torch==2.13.0" in lines
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = sum(project["optional-dependencies"].values(), project["dependencies"])
    assert {normal(re.match(r"[\w-]+", a)[0]) for a in asked} - {"wearembed"} <= pinned
    assert not any("==" in a for a in asked), "the project says ranges; versions stand in the constraints"


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_version_is_said_once():
    import wearembed

    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), flags=re.M)[1]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)[1]
    assert wearembed.__version__ == cited == newest


def test_bundled_weights_are_whole():
    folders = [path.parent for path in (HOUSE / "weights").rglob("config.json")]
    assert "relcon-synthetic" in {folder.name for folder in folders}
    for folder in folders:
        names = {path.name for path in folder.iterdir()}
        assert {"config.json", "model.safetensors", "reference.safetensors", "README.md"} <= names
        assert sum(path.stat().st_size for path in folder.iterdir()) < 2e6


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_weights_and_types_are_packed(kind):
    builder = importlib.import_module(f"hatchling.builders.{kind}")
    builder = getattr(builder, {"wheel": "WheelBuilder", "sdist": "SdistBuilder"}[kind])(str(ROOT))
    packed = {Path(file.path).relative_to(ROOT).as_posix() for file in builder.recurse_included_files()}
    wanted = [p.relative_to(ROOT).as_posix() for p in HOUSE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert set(wanted) <= packed
    assert "wearembed/py.typed" in packed


# --- the tests' own guard


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org", "8.8.8.8"])
def test_the_suite_is_offline(host):
    with pytest.raises(RuntimeError, match="the tests are offline"):
        socket.create_connection((host, 80), timeout=1)


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=5):
        pass
