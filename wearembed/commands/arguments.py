"""What may be said on the command line. Nothing large is imported here, so that help comes at once."""

import argparse
import csv
import re
import textwrap
from pathlib import Path

DEFAULT = "wearembed/relcon-synthetic"
ENCODERS = (
    *("RelConEncoder", "RelConDistance", "PPGContrastiveEncoder", "ECGContrastiveEncoder", "AccelContrastiveEncoder"),
    *("PPGMaskedEncoder", "AccelMaskedEncoder", "SimCLREncoder", "DistilledAccelEncoder"),
)
POOLS = ("minute", "hour", "day", "participant")
CODES = """\
Exit codes: 0, all went well; 1, something did not, and standard error says what; 2, the call could not be read; 130, \
stopped by Ctrl-C. What is printed goes to standard output; progress, warnings and errors go to standard error."""


def parser(version: str) -> argparse.ArgumentParser:
    """The whole command line; what it reads has ``command``, the name of the file in this folder that does the work."""
    top = argparse.ArgumentParser(
        prog="wearembed",
        description="Turn recordings of wearable devices into embeddings, train encoders and measure them.",
        epilog=f"{CODES}\n\nExample:\n\n  wearembed embed study/ -o embeddings/ --report report.html",
        formatter_class=Help,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"wearembed {version}")
    commands = top.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for declare in (embed, store, pretrain, evaluate, info, push, demo):
        declare(commands)
    return top


class Help(argparse.HelpFormatter):
    """Paragraphs that are wrapped, and examples, which are indented, that are not."""

    def __init__(self, prog, **layout):
        super().__init__(prog, max_help_position=27, **layout)

    def _fill_text(self, text, width, indent):
        parts = text.strip("\n").split("\n\n")
        return "\n\n".join(part if part.startswith("  ") else textwrap.fill(part, width) for part in parts)


def command(commands, name: str, call: str, summary: str, description: str, *examples: str) -> argparse.ArgumentParser:
    head = "Example" if len(examples) == 1 else "Examples"
    shown = "\n".join(f"  wearembed {example}" for example in examples)
    epilog = f"{head}:\n\n{shown}"
    usage = f"wearembed {name} {call} [options]".replace("  ", " ")
    told = {"usage": usage, "description": description, "epilog": epilog}
    return commands.add_parser(name, help=summary, formatter_class=Help, allow_abbrev=False, **told)


def shared(one: argparse.ArgumentParser):
    """What every command takes."""
    group = one.add_argument_group("of every command")
    group.add_argument("--json", action="store_true", help="print one JSON document instead of lines for people")
    group.add_argument("--quiet", action="store_true", help="show no progress")
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")
    one.set_defaults(spelling=spelling(one))


def weights(one: argparse.ArgumentParser):
    one.add_argument(
        "--weights", metavar="SOURCE", default=DEFAULT, help="folder, bundled name or hub repository (%(default)s)"
    )
    device(one)


def recordings(one: argparse.ArgumentParser):
    one.add_argument(
        "recordings",
        nargs="+",
        type=Path,
        metavar="RECORDING",
        help="CSV, Axivity .cwa, GENEActiv .bin, each may be gzipped; an Empatica E4 folder; or a folder with any of "
        "these in it",
    )


def windows(one: argparse.ArgumentParser, title: str):
    group = one.add_argument_group(title)
    group.add_argument("--step", type=seconds, metavar="S", help="seconds from window to window; default: no overlap")
    group.add_argument(
        "--min-coverage",
        type=share,
        default=0.8,
        metavar="SHARE",
        help="least share of a window that samples cover (%(default)s)",
    )
    group.add_argument("--nonwear", action="store_true", help="look for time in which the device was not worn")
    return group


def of_files(one: argparse.ArgumentParser):
    files = tables(one)
    files.add_argument("--participant", metavar="NAME", help="whose all the recordings are; default: each its own")
    files.add_argument(
        "--by-folder", action="store_true", help="the folder that a recording lies in is its participant"
    )
    files.add_argument("--only", metavar="PATTERN", help='which files of folders to take, such as "*.cwa"')


READING = ("sfreq", "units", "columns", "time", "time_unit", "sensor")  # of `read_recording`


def tables(one: argparse.ArgumentParser):
    """What is said to `read_recording`, by every command that reads recordings."""
    files = one.add_argument_group("what recordings do not say themselves")
    files.add_argument(
        "--columns",
        type=columns,
        metavar="A,B,C",
        help="channels of tables, by name, or by place, counted from 0, where no column is called so; a name with a "
        'comma in it stands in double quotes, and then all of them in single ones: \'"acc, x","acc, y"\'',
    )
    clock = files.add_mutually_exclusive_group()
    clock.add_argument("--time", type=column, metavar="COLUMN", help="time stamps of tables, by name or by place")
    clock.add_argument(
        "--no-time", dest="time", action="store_const", const=False, help="take no column of tables for time stamps"
    )
    files.add_argument("--time-unit", choices=("s", "ms", "us", "ns"), help="of time stamps that are numbers")
    files.add_argument("--sfreq", type=seconds, metavar="HZ", help="rate of tables without time stamps")
    files.add_argument("--units", help="g, m/s^2 or mg: what tables are in; default: found from gravity")
    files.add_argument(
        "--sensor",
        metavar="NAME",
        help="accelerometer by default; or gyroscope, bvp, eda, temperature, a column of tables",
    )
    return files


def said_of_recordings(args) -> dict:
    """What of this was said, for `read_recording`."""
    return {name: getattr(args, name) for name in READING if getattr(args, name) is not None}


def device(one: argparse.ArgumentParser):
    one.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (%(default)s)")


# --------------------------------------------------------------------------------- a function each command


def embed(commands):
    one = command(
        commands,
        "embed",
        "RECORDING... -o OUT",
        "turn recordings into a table of embeddings",
        "Embed recordings, window by window. A row says participant, recording, start, coverage, and the embedding as "
        "columns e0, e1, ... Windows with gaps are left out and counted. A recording that cannot be read is named at "
        "the end, the others are done all the same, and the exit code is 1.\n\n"
        "Where OUT is a folder, each recording becomes a Parquet file there. Those that are finished stay: the same "
        "line again does the rest, after a crash or with new recordings, and tries those in _failures.csv again.",
        "embed P01.cwa P02.cwa -o embeddings.parquet",
        "embed study/ -o embeddings/ --pool minute --nonwear --report report.html",
    )
    recordings(one)
    one.add_argument(
        "-o", "--out", type=Path, required=True, help="table to write, .parquet or .csv; or a folder of parts"
    )
    one.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write a page about the run: coverage, non-wear, a map, quality",
    )
    weights(one)
    rows = windows(one, "what a row is of")
    rows.add_argument("--pool", choices=POOLS, help="means over this instead of windows")
    rows.add_argument("--keep-gaps", action="store_true", help="keep rows of gaps, which then have no numbers")
    of_files(one)
    shared(one)


def store(commands):
    one = command(
        commands,
        "store",
        "RECORDING... -o STORE",
        "cut recordings into a store of windows",
        "Cut recordings into windows and write them as a store, in memory that does not grow with their length: what "
        "pretrain and evaluate take. A recording's windows are in the store all at once or not at all; the same line "
        "again leaves those that are there and does the rest. Labels come later: evaluate --labels.",
        "store study/ -o cohort",
        "store study/ -o minutes --seconds 60 --rate 64 --by-folder --nonwear",
    )
    recordings(one)
    one.add_argument("-o", "--out", type=Path, required=True, metavar="STORE", help="folder, new or an earlier store")
    cut = windows(one, "what a window is")
    cut.add_argument("--seconds", type=seconds, metavar="S", help="length of a window; default: 2.56, RelCon's")
    cut.add_argument("--rate", type=seconds, metavar="HZ", help="samples a second of the windows; default: 100")
    cut.add_argument("--int16", action="store_true", help="half the room, each window in 65,535 steps")
    of_files(one)
    shared(one)


def pretrain(commands):
    one = command(
        commands,
        "pretrain",
        "STORE -o FOLDER",
        "train an encoder on a store of windows",
        "Train an encoder on the windows of a store, without labels, and save it as a folder of weights. The state "
        "after each epoch is kept beside it, in a folder called FOLDER-training: run the same line again after a crash "
        "and it goes on. The card of the weights takes what --data, --license and --description say.",
        "pretrain cohort -o my-encoder --encoder RelConEncoder --set max_epochs=10 --set mates=10 --license mit",
    )
    one.add_argument("store", type=Path, metavar="STORE", help="folder of a WindowStore")
    one.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="folder of weights to write")
    one.add_argument(
        "--encoder", choices=ENCODERS, default="RelConEncoder", metavar="NAME", help=f"one of {', '.join(ENCODERS)}"
    )
    one.add_argument(
        "--set",
        action="append",
        type=setting,
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the encoder, or distance__NAME of its distance; may be repeated",
    )
    one.add_argument("--paired", type=Path, metavar="STORE", help="of DistilledAccelEncoder: the teacher's windows")
    one.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is drawn (%(default)s)")
    device(one)
    card(one)
    shared(one)


def evaluate(commands):
    one = command(
        commands,
        "evaluate",
        "WEIGHTS... STORE --target COLUMN",
        "measure encoders on labelled windows, beside baselines",
        "Probe frozen embeddings with a linear model, tested on participants who were not trained on. Beside the "
        "weights stand the same net untrained, hand-made features, and the answer that looks at nothing. In brackets: "
        "the 95 % interval over participants.\n\n"
        "Labels are a column of the store, or of a table whose rows say whose they are, in a column participant or "
        "recording (or both). With columns start and stop they are of stretches of time, and a window takes the one "
        "that covers at least half of it. Windows without a label are left out and counted.",
        "evaluate wearembed/relcon-synthetic cohort --target activity -o scores.csv",
        "evaluate my-encoder cohort --labels diary.csv --target activity",
    )
    one.add_argument("weights", nargs="+", metavar="WEIGHTS", help="folders, bundled names or hub repositories")
    one.add_argument("store", type=Path, metavar="STORE", help="folder of a WindowStore")
    one.add_argument(
        "--target", required=True, metavar="COLUMN", help="column to be told, of the store's index or of --labels"
    )
    one.add_argument(
        "--labels", type=Path, metavar="TABLE.csv", help="labels by participant or recording, or of stretches of time"
    )
    one.add_argument("-o", "--out", type=Path, help="table to write, .csv or .json: every score of every row")
    one.add_argument("--task", choices=("auto", "classification", "regression"), default="auto", help="(%(default)s)")
    one.add_argument("--folds", type=int, default=5, metavar="N", help="folds of participants (%(default)s)")
    one.add_argument("--probe", choices=("linear", "mlp"), default="linear", help="(%(default)s)")
    one.add_argument("--seed", type=int, default=0, metavar="N", help="of folds, draws and nets (%(default)s)")
    device(one)
    shared(one)


def info(commands):
    one = command(
        commands,
        "info",
        "[WHAT]",
        "say what weights, a store, a recording or embeddings are",
        "Say what is there: of weights what goes in and comes out, what they were trained on and what their card says; "
        "of a store its windows, participants and labels; of a recording its rate, length and gaps; of embeddings "
        "whose they are. Without WHAT: the weights that come with the package.",
        "info",
        "info wearembed/relcon-synthetic",
        "info cohort --verify",
        "info P01.csv --columns acc_1,acc_2,acc_3 --time clock",
    )
    one.add_argument(
        "what",
        metavar="WHAT",
        nargs="?",
        help="weights (folder, bundled name or hub repository), a store, a recording, or what embed wrote",
    )
    one.add_argument("--verify", action="store_true", help="read all of it and compare it with its checksums")
    tables(one)
    shared(one)


def push(commands):
    one = command(
        commands,
        "push",
        "FOLDER REPO",
        "publish weights on the Hugging Face hub",
        "Publish a folder of weights as one commit of four files. Licence and data have to be known, from the folder "
        "or from here. The token is that of HF_TOKEN, or of hf auth login. --dry-run sends nothing and shows it all.",
        "push my-encoder user/motion --license cc-by-4.0 --data my-study --dry-run",
    )
    one.add_argument("folder", metavar="FOLDER", help="folder of weights, or a bundled name")
    one.add_argument("repository", metavar="REPO", help="user/name")
    one.add_argument("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    one.add_argument("--private", action="store_true", help="make a new repository private")
    one.add_argument("--branch", help="to commit to; default: the main one")
    one.add_argument("--message", help="of the commit")
    one.add_argument("--propose", action="store_true", help="propose the commit instead of making it")
    card(one)
    shared(one)


def demo(commands):
    one = command(
        commands,
        "demo",
        "",
        "simulate a recording and embed it",
        "Simulate ten minutes of a wrist, write them as CSV, embed them, and say where everything is.",
        "demo --report demo.html",
    )
    one.add_argument("--folder", type=Path, default=Path("wearembed-demo"), help="where to write (%(default)s)")
    one.add_argument("--report", type=Path, metavar="FILE.html", help="write a page about the run")
    weights(one)
    shared(one)


def card(one: argparse.ArgumentParser):
    group = one.add_argument_group("of the card")
    group.add_argument("--data", action="append", metavar="NAME", help="a data set of training; may be repeated")
    group.add_argument("--license", metavar="SPDX", help="of the weights, such as cc-by-4.0")
    group.add_argument("--synthetic", action="store_true", default=None, help="all of the data were simulated")
    group.add_argument("--description", metavar="SENTENCE", help="for the card")


# --------------------------------------------------------------------------------- values


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None


def seconds(text: str) -> float:
    value = number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def columns(text: str) -> list[str]:
    """Names or places with commas between them; a name that has commas itself stands in double quotes."""
    return [column(name) for name in next(csv.reader([text], skipinitialspace=True)) or [text]]


def column(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"expected the name of a column, got {text!r}")
    return text.strip()


def share(text: str) -> float:
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, got {text!r}")
    return value


def setting(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not re.fullmatch(r"[A-Za-z]\w*", name):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


# --------------------------------------------------------------------------------- names, in errors


def spelling(one: argparse.ArgumentParser) -> dict[str, str]:
    """The options of a command by how Python would write them: ``time_unit=`` is ``--time-unit``."""
    told = {}
    for action in one._actions:
        if action.option_strings:
            value = "" if action.nargs != 0 else repr(action.const)
            told[f"{action.dest}={value}"] = action.option_strings[-1]
    return told


LIBRARY = {  # what the library says to Python, and what it is in the shell
    "by RecordingEncoder(pool='participant')": "by wearembed embed --pool participant",
    "Name another checkpoint_dir, or delete that one": "Name another folder with -o, or delete that one",
    "Is y the participant itself? How well embeddings know people again is told by evaluation.embedding_report.": (
        "Is the target the participant itself?"
    ),
    "y holds ": "the target holds ",
    "y names one class": "the target names one class",
}
CODE = r"(?<![\w.])[\w.]+\((?:[^()]|\([^()]*\))*\)"  # a call, which is for Python
A_PATH = r"[^\s'\"]*(?:[/\\]|\.[A-Za-z])"


def in_options(text: str, args) -> str:
    """An error that speaks of parameters of Python as one that speaks of the options that this command has.

    Words of the call itself stay as they are.
    """
    for code, words in LIBRARY.items():
        text = text.replace(code, words)
    names = "|".join(re.escape(name) for name in sorted(args.spelling, key=len, reverse=True))
    own = "".join(rf"(?<!\S){re.escape(word)}(?!\w)|" for word in getattr(args, "call", ()) if "=" in word)
    pattern = rf"{own}{CODE}|(?<![\w./\\='\"-])(?P<name>{names})(?!{A_PATH})(?P<value>(?=[\w'\"\[{{-]))?"

    def said(found: re.Match) -> str:
        if found["name"] is None:
            return found[0]
        return args.spelling[found["name"]] + (" " if found["value"] is not None else "")

    return re.sub(pattern, said, text)
