"""How far something is: a bar where a person watches, a line now and then where a file does."""

import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Self

LINES = 10  # of a log, from nothing to all


class Progress:
    """How far something is, told on the standard error.

    In a terminal and in a notebook that is a bar. Elsewhere, in a log, nothing is ever written over: there are lines,
    each whole and at once.

    Parameters
    ----------
    name : str
        Of what goes on.
    total : int
        Steps that there are.
    unit : str
        Of a step, such as ``"window"``.
    shown : bool, default=True
        False: silent.
    """

    def __init__(self, name: str, total: int, unit: str, shown: bool = True):
        self.name, self.total, self.unit, self.shown = name, total, unit, bool(shown)
        self.done = 0
        self.bar: Any = None

    def __enter__(self) -> Self:
        if self.shown and is_watched():
            self.bar = bar()(total=self.total, desc=self.name, unit=self.unit)
        return self

    def __exit__(self, *error) -> None:
        if self.bar is not None:
            self.bar.close()

    def reach(self, done: int) -> None:
        """So many steps are done, since the beginning."""
        if self.bar is not None and done > self.done:
            self.bar.update(done - self.done)
        self.done = max(done, self.done)

    def say(self, text: str) -> None:
        """One line."""
        if self.bar is not None:
            self.bar.write(f"{self.name}: {text}", file=sys.stderr)
        elif self.shown:
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)


def counted(batches: Iterable[tuple[slice, Any]], name: str, total: int, shown) -> Iterator[tuple[slice, Any]]:
    """`batches`, rows and what they hold, while it is told how many of `total` windows are done."""
    with Progress(name, total, "window", shown) as progress:
        for rows, batch in batches:
            yield rows, batch
            before, now = progress.done * LINES // total, rows.stop * LINES // total
            progress.reach(rows.stop)
            if now > before and progress.bar is None:
                progress.say(f"{rows.stop:,} of {total:,} windows")


def is_watched() -> bool:
    """Whether somebody sees the standard error as it comes: a terminal, or a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    in_notebook = shell is not None and "IPKernelApp" in shell.config
    return in_notebook or (sys.stderr is not None and sys.stderr.isatty())


def bar() -> Any:
    """The bar of tqdm that fits: one of HTML in a notebook that can show it, else one of characters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a notebook without ipywidgets gets the plain one
        from tqdm.auto import tqdm

        return tqdm
