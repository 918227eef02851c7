"""Weights to the Hugging Face hub."""

from .. import hub
from ..encoders import from_pretrained
from .outcome import Outcome


def run(args) -> Outcome:
    """Send a folder of weights as one commit, or show what would be sent."""
    if args.dry_run:
        hub.Upload(args.repository, {})  # a bad name is an error before anything is loaded
    pushed = from_pretrained(args.folder, device="cpu").push_to_hub(
        args.repository,
        data=args.data,
        license=args.license,
        synthetic=args.synthetic,
        description=args.description,
        private=args.private or None,
        revision=args.branch,
        commit_message=args.message,
        create_pr=args.propose,
        dry_run=args.dry_run,
    )
    told = {"command": "push", "repository": args.repository, "dry_run": args.dry_run}
    if isinstance(pushed, hub.Upload):
        return Outcome({**told, "url": None, "sizes": pushed.sizes, "card": pushed.card}, [repr(pushed)])
    return Outcome({**told, "url": pushed}, [("sent", pushed)])
