"""Where a checkpoint comes from: a folder, the package, or the Hugging Face hub."""

import difflib
import re
from collections.abc import Callable
from pathlib import Path

from .files import FILES, aside
from .folder import Checkpoint, read_config, read_folder

BUNDLED = Path(__file__).parent.parent / "weights"  # checkpoints that come with the package, by what follows OURS
OURS = "wearembed/"  # never asked of the hub: a slip of the pen may not load what a stranger put there


def load(source, *, revision=None, token=None, cache_dir=None, local_files_only=False) -> Checkpoint:
    """Read a checkpoint and check all of it.

    Parameters
    ----------
    source : str or path
        A folder; a name that comes with the package (``wearembed/relcon-synthetic``); or a repository of the Hugging
        Face hub, ``user/name``. Nothing is fetched for the first two, nor for anything under ``wearembed/``.
    revision, token, cache_dir, local_files_only
        As in huggingface_hub.

    Raises
    ------
    FileNotFoundError
        Nothing is there.
    ValueError
        Something is there that is no checkpoint of this package, or is damaged.
    """
    where = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
    folder = find(source, **where)
    for _ in range(20):
        before = which(folder)
        try:
            return read_folder(folder)
        except (ValueError, FileNotFoundError):
            folder = find(source, **where)
            if which(folder) == before:
                raise
    return read_folder(folder)  # somebody saves there again and again


def which(folder: Path) -> tuple | None:
    """Tells a folder from another that has taken its place; None while none has."""
    try:
        told = folder.stat()
    except OSError:
        return None
    return folder, told.st_ino, told.st_mtime_ns


def find(source, *, revision=None, token=None, cache_dir=None, local_files_only=False) -> Path:
    """The folder that holds a checkpoint; fetched into the cache of the hub where it is not on this machine."""
    name, folder = str(source), Path(source).expanduser()
    if folder.exists() or aside(folder).exists() or folder.exists():  # again: a save may have ended in between
        # Aside is where the old one is while a save is between its two last steps, or was killed there.
        return aside(folder) if aside(folder).exists() and not folder.exists() else folder
    if name in bundled():
        return folder_of(name)
    if isinstance(source, Path) or not is_hub_name(name) or is_ours(name):
        raise FileNotFoundError(
            f"No checkpoint at {name!r}.{meant(name)} Expected a folder that save_pretrained wrote, a bundled name "
            f"({', '.join(bundled()) or 'none in this build'}), or a hub repository like 'user/name'."
        )
    if revision is not None and not is_revision(revision):
        raise ValueError(f"revision is a commit, a tag or a branch of {name}; got {revision!r}.")
    return fetch(name, local_files_only, revision=revision, token=token, cache_dir=cache_dir)


def known(source, *, revision=None) -> dict | None:
    """``config.json`` of a checkpoint, read without a call; None where this machine has none that can be read."""
    try:
        return read_config(find(source, revision=revision, local_files_only=True))
    except (OSError, ValueError):
        return None


def fetch(name: str, local_files_only: bool, **where) -> Path:
    """A repository of the hub in its cache; it calls out only if it is not there yet."""
    from huggingface_hub import hf_hub_download, snapshot_download

    try:
        cached = Path(snapshot_download(name, allow_patterns=list(FILES), local_files_only=True, **where))
        if all((cached / file).exists() for file in FILES):
            return cached
    except (OSError, ValueError):
        pass  # not cached, or not all of it: ask, unless that is forbidden
    where["local_files_only"] = local_files_only
    config = Path(had(hf_hub_download, name, filename="config.json", **where))
    read_config(config.parent)  # before anybody's gigabytes are fetched
    where["revision"] = config.parent.name  # the rest is of the same commit
    return Path(had(snapshot_download, name, allow_patterns=list(FILES), **where))


def had(download: Callable, name: str, **asked):
    try:
        return download(name, **asked)
    except Exception as error:  # whatever the client of the day raises: httpx's errors, requests' errors, its own
        what = asked.get("filename", "the rest of it")
        raise FileNotFoundError(not_had(name, f"{what}: {type(error).__name__}")) from error


def not_had(name: str, what: str) -> str:
    return (
        f"{name!r} is not a folder here, not bundled, not in the cache of the hub, and could not be had from the hub "
        f"({what}).{meant(name)} Three ways out: (1) let it be fetched once, with a connection, without "
        f"local_files_only and HF_HUB_OFFLINE, and with token= where the repository is private; check name and "
        f"revision; (2) copy a folder that save_pretrained wrote, or the cache of a machine that has it, and name it "
        f"(cache_dir= for a cache); (3) use a bundled name: {', '.join(bundled()) or 'none in this build'}."
    )


def meant(name: str) -> str:
    """A bundled name that reads like this one, as a question."""
    near = difflib.get_close_matches(
        name.rpartition("/")[2].lower(), [one.removeprefix(OURS) for one in bundled()], 1, 0.8
    )
    return f" Did you mean {OURS + near[0]!r}?" if near else ""


def is_ours(name: str) -> bool:
    """Whether it is, or is meant to be, a name of the package."""
    owner = name.partition("/")[0].lower()
    near = bool(meant(name)) and difflib.SequenceMatcher(None, owner, OURS[:-1]).ratio() > 0.8
    return owner == OURS[:-1] or near


def is_hub_name(name: str) -> bool:
    """Whether it reads as ``user/name``: then it may be asked for, else it is a path that is not there."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, flags=re.ASCII) is not None and ".." not in name


def is_revision(revision) -> bool:
    """Whether it may name a commit, a tag or a branch, and leads nowhere else when it is part of a path."""
    return re.fullmatch(r"\w[\w./+-]*", str(revision), flags=re.ASCII) is not None and ".." not in str(revision)


def folder_of(name: str) -> Path:
    """Of a checkpoint that comes with the package."""
    return BUNDLED / name.removeprefix(OURS)


def bundled() -> list[str]:
    """Names of the checkpoints that come with the package."""
    return sorted(f"{OURS}{folder.name}" for folder in BUNDLED.glob("*") if folder.is_dir())
