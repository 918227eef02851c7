"""Public sets on disk: found where somebody put them, or fetched once, checked and unpacked."""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import struct
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Source:
    """Where a set comes from, and how its unpacked folder is known.

    Parameters
    ----------
    name : str
        Its folder in the data home.
    title : str
    url : str
        Of the archive.
    archive : str
        The name that the archive is kept under.
    holds : str
        A pattern of files in the unpacked folder; the folder above the first match is the set.
    license, page : str
        The terms, and where they and a description stand.
    aliases : tuple of str
        Other names that the archive or the unpacked folder goes by.
    inner : str
        Expression for archives within the archive that are unpacked too.
    wanted : str
        Expression for the members worth unpacking.
    sha256 : str, optional
        Of the archive, where its publisher says it.
    """

    name: str
    title: str
    url: str
    archive: str
    holds: str
    license: str
    page: str
    aliases: tuple[str, ...] = ()
    inner: str = "(?!)"
    wanted: str = ""
    sha256: str | None = None


def obtain(source, data_home, download_if_missing):
    """The unpacked folder of a set: as it lies in the data home, from an archive there, or fetched."""
    home = home_of(data_home)
    folder = unpacked(source, home)
    if folder is not None:
        return folder
    archive = packed(source, home)
    if archive is None:
        if not download_if_missing:
            raise FileNotFoundError(
                f"Expected {source.title} in {home / source.name}, found neither its files ({source.holds}) nor "
                f"{source.archive}. Allow download_if_missing=True, or put there what {source.url} gives."
            )
        archive = download(source, home / source.name)
    check(archive, source)
    unpack(archive, home / source.name / "unpacked", source)
    folder = unpacked(source, home)
    if folder is None:
        raise ValueError(
            f"Expected {source.holds} in {archive}, found no such file. It is not the archive of {source.title}, or "
            f"its layout has changed: compare with {source.page}, and remove {home / source.name / 'unpacked'}."
        )
    return folder


def home_of(data_home):
    """The folder of all sets."""
    home = data_home or os.environ.get("WEAREMBED_DATA")
    return Path(home or _pooch().os_cache("wearembed")).expanduser()


def unpacked(source, home):
    """The folder that holds the set, or None."""
    depth = len(PurePosixPath(source.holds).parts)
    for place in (home / source.name, *(home / alias for alias in source.aliases)):
        if place.is_dir():
            first = next((path for path in place.rglob(source.holds) if not _PASSING.intersection(path.parts)), None)
            if first is not None:
                return first.parents[depth - 1]
    return None


def packed(source, home):
    """The archive of the set where somebody put it, or None."""
    names = (source.archive, *(alias + ".zip" for alias in source.aliases))
    places = (place / name for place in (home / source.name, home) for name in names)
    return next((place for place in places if place.is_file()), None)


def download(source, folder):
    """Fetch the archive into a folder, whole or not at all."""
    pooch = _pooch()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{source.title}: {source.license} See {source.page}")
    known = source.sha256 or recorded(folder / source.archive)
    try:
        path = pooch.retrieve(
            source.url, known, source.archive, folder, progressbar=sys.stderr is not None and sys.stderr.isatty()
        )
    except ValueError as error:  # pooch's word for another hash; it has removed what it fetched
        raise ValueError(
            f"{source.url} gave another file than expected for {source.title}: {error}. Nothing was kept. "
            f"Fetch it again; if its publisher changed it, {_forget(folder / source.archive)}."
        ) from error
    except OSError as error:  # no network, no such page, a connection that broke
        raise OSError(
            f"Could not fetch {source.title} from {source.url}: {error}. "
            f"Try again, or fetch it by other means and put it at {folder / source.archive}."
        ) from error
    return Path(path)


def check(archive, source):
    """Compare an archive with the hash that is known; the first time, write it down beside the file."""
    known = source.sha256 or recorded(archive)
    with open(archive, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if known is None:
        _record(archive).write_text(f"{found}  {archive.name}\n")
    elif found != known:
        raise ValueError(
            f"Expected {archive} with SHA-256 {known}, got {found}. "
            f"Remove it and fetch it again; if its publisher changed it, {_forget(archive)}."
        )


def recorded(archive):
    """The hash written beside an archive when it was first seen, or None."""
    record = _record(archive)
    return record.read_text().split()[0] if record.exists() else None


def _record(archive):
    return archive.with_name(archive.name + ".sha256")


def _forget(archive):
    return f"remove {_record(archive)} to accept the new one"


def unpack(archive, folder, source):
    """Unpack an archive, and those within it, into a folder that appears when all is done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    passing = folder.parent / ".unpacking"  # whoever looks for the set does not look in there
    passing.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=passing))
    try:
        _extract(archive, part, source)
        for inner in [path for path in part.rglob("*.zip") if re.search(source.inner, path.name)]:
            _extract(inner, inner.parent, source)
            inner.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except _DAMAGED as error:
        raise ValueError(
            f"{archive} is damaged and cannot be unpacked ({error}). "
            f"Remove it and its .sha256, and fetch it again from {source.url}."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process unpacks too
            passing.rmdir()


_PASSING = {"__MACOSX", ".unpacking"}
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError)


def _extract(archive, folder, source):
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            _check_member(member, archive)
        members = [m for m in file.infolist() if _is_wanted(m.filename, source)]
        needed, free = sum(m.file_size for m in members), shutil.disk_usage(folder).free
        if needed > free:
            raise OSError(f"{archive} unpacks to {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB left.")
        file.extractall(folder, members)


def _is_wanted(name, source):
    inner = re.search(source.inner, name)
    return "__MACOSX/" not in name and bool(inner or re.search(source.wanted, name))


def _check_member(member, archive):
    """Refuse what would land outside of the folder."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    drive = ":" in (path.parts[0] if path.parts else "")
    if path.is_absolute() or drive or ".." in path.parts or stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(
            f"{archive} wants to write {member.filename!r}, which is outside of its own folder or a link. "
            f"Nothing was unpacked; do not trust this file."
        )


def _pooch():
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            "Fetching public sets needs pooch, which comes with pip install 'wearembed[data]'. Without it, put the "
            "files into a folder and name that with data_home= or the variable WEAREMBED_DATA."
        ) from error
    return pooch
