"""An encoder trained on a store, in one line that may be killed and run again."""

import ast
import contextlib
import shlex
import sys
from pathlib import Path
from typing import Any

from ..stores import WindowStore
from .outcome import Outcome, count, duration

HOW_SHOWN = ("--quiet", "--json", "--debug")  # of a call, what says nothing of what it makes


def run(args) -> Outcome:
    """Train, and save what came of it; of several processes the first one speaks."""
    store = WindowStore(args.store)
    if not len(store):
        raise ValueError(f"{store.path} has no windows. Cut recordings into it: wearembed store RECORDING... -o STORE.")
    other = {"paired": paired(args, store)} if args.paired else {}
    from ..distributed import is_first_process  # what is wrong is told before torch is loaded, which takes seconds
    from ..hub.folder import refuse_foreign

    first = is_first_process()
    out = args.out.expanduser().resolve()
    refuse_foreign(out)  # before hours of training
    checkpoints = checkpoints_of(out)
    encoder, before = made(args, store, checkpoints), stamps(checkpoints)
    if not (args.quiet or args.json) and first:
        encoder.set_params(verbose=1)
        told = f"{args.encoder} on {count(len(store), 'window')} of {args.store}, {count(encoder.max_epochs, 'epoch')}"
        print(f"training {told}; the first line comes with the first epoch", file=sys.stderr)
    with contextlib.redirect_stdout(sys.stderr):
        encoder.fit(store, **other)
    if not first:
        return Outcome({"command": "pretrain", "out": out})
    complete = bool(before) and stamps(checkpoints) == before
    written = not (complete and is_saved(encoder, args, out))
    if written:
        save(encoder, args, store, out)
    return outcome(args, encoder, store, {"complete_before": complete, "written": written})


def save(encoder, args, store: WindowStore, out: Path):
    call = shlex.join(word for word in args.call if word not in HOW_SHOWN)
    encoder.save_pretrained(
        out,
        data=args.data,
        license=args.license,
        synthetic=args.synthetic,
        description=args.description or f"Trained by `wearembed {call}`.",
        windows=store if hasattr(encoder, "transform") else None,
    )


def stamps(checkpoints: Path) -> dict[Path, int]:
    """When each checkpoint of training was written; the end of each epoch writes one anew."""
    return {file: file.stat().st_mtime_ns for file in checkpoints.rglob("*.pt")}


def is_saved(encoder, args, out: Path) -> bool:
    """Whether a folder holds these weights already, with all that this call says of them."""
    from .. import encoders

    try:
        saved = encoders.from_pretrained(out, device="cpu")
    except (OSError, ValueError):  # nothing is there, or it is damaged
        return False
    said = {"license": args.license, "synthetic": args.synthetic, "description": args.description}
    same = all(saved.training_.get(name) == value for name, value in said.items() if value is not None)
    same = same and set(args.data or ()) <= set(saved.training_.get("data", ()))
    ours, theirs = encoder.net_.state_dict(), saved.net_.state_dict()
    return same and ours.keys() == theirs.keys() and all(bool((ours[key].cpu() == theirs[key]).all()) for key in ours)


def checkpoints_of(out: Path) -> Path:
    """Where the state of training is kept, beside the weights."""
    return out.with_name(f"{out.name}-training")


def made(args, store: WindowStore, checkpoints: Path):
    """The encoder that was asked for, told of the store's windows."""
    from .. import encoders

    cls = getattr(encoders, args.encoder)
    encoder = cls(sfreq=store.sfreq, units=store.units, device=args.device, random_state=args.seed)
    encoder.set_params(checkpoint_dir=checkpoints)
    for name, text in args.set:
        set_one(encoder, name, value_of(text))
    return encoder


def set_one(encoder, name: str, value: Any):
    """Set a parameter, of the encoder or of the distance that it has by default."""
    from .. import encoders
    from ..encoders.pretrained import refuse_unknown

    known = encoder.get_params(deep=False)
    if name.startswith("distance__") and "distance" in known and known["distance"] is None:
        encoder.set_params(distance=encoders.RelConDistance())
    try:
        refuse_unknown(encoder, {name: value})
        encoder.set_params(**{name: value})
    except ValueError as error:
        raise ValueError(f"--set: {error}") from error


def value_of(text: str) -> Any:
    """A Python value where it reads as one, else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def paired(args, store: WindowStore) -> WindowStore:
    other = WindowStore(args.paired)
    if args.encoder != "DistilledAccelEncoder" or len(other) != len(store):
        raise ValueError(
            f"--paired is for DistilledAccelEncoder, with a row for each of the store's {len(store)} windows; got "
            f"{args.encoder} and {len(other)} windows."
        )
    return other


def outcome(args, encoder, store: WindowStore, what: dict[str, bool]) -> Outcome:
    """What there is now; `what` of it this call has done."""
    last = encoder.history_[-1] if encoder.history_ else {}
    seconds = sum(epoch.get("dur", 0.0) for epoch in encoder.history_)
    out = args.out.expanduser().resolve()
    told = {
        "command": "pretrain",
        "encoder": args.encoder,
        "store": store.path,
        "out": out,
        "checkpoints": checkpoints_of(out),
        **what,
        "n_windows": len(store),
        "n_participants": encoder.training_.get("n_participants"),
        "n_parameters": sum(p.numel() for p in encoder.net_.parameters()),
        "epochs": len(encoder.history_),
        "final_loss": last.get("train_loss"),
        "seconds": seconds,
        "history": encoder.history_,
    }
    people = f" of {count(told['n_participants'], 'participant')}" if told["n_participants"] else ""
    loss = f", loss {last['train_loss']:.4g} at the end" if last else ""
    trained = f"{args.encoder}, {count(told['epochs'], 'epoch')} in {duration(seconds)}{loss}"
    lines: list = [
        ("store", f"{args.store}: {count(len(store), 'window')}{people}"),
        ("complete", f"before this call: {trained}") if what["complete_before"] else ("trained", trained),
        ("checkpoints", f"{checkpoints_of(args.out)}: delete it once there will be no more epochs"),
        ("wrote" if what["written"] else "unchanged", f"{args.out}: {told['n_parameters']:,} parameters"),
    ]
    return Outcome(told, lines)
