"""Ways to harm files, disks and processes, and a tally of what came of it, for the tests called ``test_fuzz_*``."""

import builtins
import errno
import json
import os
import signal
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

TALLY: Counter = Counter()  # (what was harmed, what came of it): how often
CAMPAIGN = os.environ.get("WEAREMBED_CAMPAIGN")  # a file of JSON that the tally of a large campaign is added to
KILLS = int(os.environ.get("WEAREMBED_KILLS", 3))  # of each kind


def tell(what, outcome, times=1):
    TALLY[what, outcome] += times


def keep_tally():
    """Add the tally to the file of the campaign, if there is one."""
    if CAMPAIGN is None or not TALLY:
        return
    file = Path(CAMPAIGN)
    kept = json.loads(file.read_text()) if file.exists() else {}
    for (what, outcome), times in TALLY.items():
        kept.setdefault(what, {})
        kept[what][outcome] = kept[what].get(outcome, 0) + times
    file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def table(kept):
    """The tally of a campaign as a table, a line for each outcome."""
    lines = ["| Harm | What came of it | Times |", "|---|---|--:|"]
    for what in sorted(kept):
        lines += [f"| {what} | {outcome} | {times:,} |" for outcome, times in sorted(kept[what].items())]
    return "\n".join(lines) + "\n"


MARKS = ("<!-- figures of the campaign -->\n", "<!-- end -->\n")


def shown(page):
    """What stands between the marks of a page."""
    return page.split(MARKS[0])[1].split(MARKS[1])[0]


def show(tally, page):
    """Put the table of a campaign between the marks of a page."""
    text = page.read_text()
    told = table(json.loads(tally.read_text()))
    page.write_text(text.replace(MARKS[0] + shown(text) + MARKS[1], MARKS[0] + told + MARKS[1]))


# --- harm to bytes


@st.composite
def harms(draw, first=0, kinds=("flip", "cut", "empty", "remove", "double")):
    """A way to harm bytes beyond the `first`: a function of bytes, which says what it is."""
    kind = draw(st.sampled_from(kinds))
    where = draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4 if kind == "flip" else 1))
    length = draw(st.sampled_from([1, 8, 64, 512, 4096]))
    bit = draw(st.integers(0, 7))
    return Harm(kind, where, length, bit, first)


class Harm:
    """Flip bits, cut the end off, put zeros, take a piece out, or put a piece in twice."""

    def __init__(self, kind, where, length, bit, first):
        self.kind, self.where, self.length, self.bit, self.first = kind, where, length, bit, first

    def __call__(self, data):
        data = bytearray(data)
        for share in self.where:
            n = self.first + int(share * (len(data) - self.first))
            end = n + self.length
            if self.kind == "flip":
                data[n] ^= 1 << self.bit
            elif self.kind == "cut":
                del data[n:]
            elif self.kind == "empty":
                data[n:end] = bytes(len(data[n:end]))
            elif self.kind == "remove":
                del data[n:end]
            else:
                data[n:n] = data[n:end]
        return bytes(data)

    def __repr__(self):
        return f"Harm({self.kind!r}, {self.where}, {self.length}, {self.bit}, {self.first})"


# --- harm to disks


@contextmanager
def no_room_at(n, error=errno.ENOSPC):
    """Let the nth call by which files change in here fail, as on a full disk; yields the number of calls so far."""
    done = [0]

    def counted(call):
        def guard(*args, **kwargs):
            done[0] += 1
            if done[0] == n:
                raise OSError(error, os.strerror(error))
            return call(*args, **kwargs)

        return guard

    with changing(counted):
        yield done


@contextmanager
def changing(around):
    """Wrap every call by which our code changes files."""
    kept = {name: getattr(os, name) for name in ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")}
    plain = builtins.open

    def opened(file, mode="r", *args, **kwargs):
        f = plain(file, mode, *args, **kwargs)
        return Written(f, around) if set(mode) & set("wxa") and "b" in mode else f

    for name, call in kept.items():
        setattr(os, name, around(call))
    builtins.open = opened
    try:
        yield
    finally:
        builtins.open = plain
        for name, call in kept.items():
            setattr(os, name, call)


class Written:
    """A file whose writes are wrapped."""

    def __init__(self, file, around):
        self._file, self.write = file, around(file.write)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *told):
        return self._file.__exit__(*told)


# --- harm to processes


def forked(work):
    """Begin work in a child of this process, which stops hard when it is done: 0, or 1 for an error."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def ended(child):
    """The exit code of a child; a signal is negative."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_after(seconds, work):
    """SIGKILL to work after some seconds; 0 if it was done before."""
    child = forked(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return ended(child)


def killed_at(n, work):
    """SIGKILL to work before the nth call by which it changes files; 0 if it makes fewer."""
    done = [0]

    def counted(call):
        def guard(*args, **kwargs):
            done[0] += 1
            if done[0] == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return guard

    def guarded():
        with changing(counted):
            work()

    return ended(forked(guarded))


def seconds_of(work):
    """How long work takes in a child."""
    began = time.monotonic()
    assert ended(forked(work)) == 0
    return time.monotonic() - began


def as_nobody(work):
    """Do work as a user without rights, in a child; what it raised, as text, or None."""
    reading, writing = os.pipe()

    def nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            work()
        except Exception as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())

    child = forked(nobody)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    assert ended(child) == 0
    return said or None


def hidden(folder):
    """Names of files that begin with a dot, at any depth: what is left of scratch."""
    return sorted(path.name for path in Path(folder).rglob(".*"))


if __name__ == "__main__":
    show(Path(sys.argv[1]), Path(sys.argv[2]))
