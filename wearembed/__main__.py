"""The command line, ``wearembed`` or ``python -m wearembed``: it reads the call, and says what came of it."""

import json
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from functools import partial
from importlib import import_module

from . import __version__
from .commands.arguments import in_options, parser
from .commands.outcome import EXPECTED, Outcome, one_line

STOPPED = "stopped. Nothing is half-written; the same line again goes on from what is finished, or begins anew."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        0 if all went well, 1 if anything did not, 2 if the call could not be read (as ``SystemExit``), 130 if it was
        stopped by Ctrl-C.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parser(__version__).parse_args(given)
    except SystemExit as stop:
        if stop.code and "--json" in given:
            say(json.dumps({"error": "the call could not be read", "code": 2}))
        say("", end="")  # flushes help into a pipe that may be closed
        raise
    args.call = given
    with warnings.catch_warnings():
        warnings.showwarning = partial(warn, args)
        outcome = attempted(args)
    if args.json or outcome.lines:
        say(outcome.json() if args.json else outcome.text())
    return outcome.code


def attempted(args) -> Outcome:
    """What the command did, or that it did not; ``--debug`` shows where."""
    try:
        return import_module(f".commands.{args.command}", __package__).run(args)
    except KeyboardInterrupt:
        return refused(args, STOPPED, 130)
    except Exception as error:
        if args.debug:
            traceback.print_exc()
        return refused(args, in_options(told(error), args), 1)


def told(error: Exception) -> str:
    """An error as a sentence; one that nobody foresaw says so."""
    if isinstance(error, EXPECTED) and str(error):
        return one_line(error)
    return f"{one_line(error)}. This was not foreseen: --debug shows where it happened. Please report it."


def refused(args, message: str, code: int) -> Outcome:
    print(f"wearembed: {message}", file=sys.stderr)
    return Outcome({"command": args.command, "error": message, "code": code}, code=code)


def warn(args, message, category, filename, lineno, file=None, line=None):
    """A warning in a line, without the code that it comes from."""
    print(f"warning: {in_options(' '.join(str(message).split()), args)}", file=sys.stderr)


def say(text: str, end: str = "\n"):
    """Print, and mind not if nobody reads on, as in ``wearembed info X | head -1``."""
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
