"""Pretrain the encoder that comes with the package, ``wearembed/relcon-synthetic``, on simulated motion.

    python examples/pretrain_relcon_synthetic.py --out FOLDER

Kill it at any moment and run the same line again: it goes on from the last whole epoch. On two cores it takes about an
hour. The weights depend on the seed, the versions in .ci/constraints.txt and, in the last digits, on the processor.
"""

import argparse
from pathlib import Path

import torch
from skorch.callbacks import LRScheduler

from wearembed import RelConDistance, RelConEncoder
from wearembed.datasets import make_motion

DESCRIPTION = "python examples/pretrain_relcon_synthetic.py --out FOLDER"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    parser.add_argument("--participants", type=int, default=100)
    parser.add_argument("--windows", type=int, default=60, help="windows of each participant")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    motion = make_motion(n_participants=args.participants, n_windows=args.windows, random_state=args.seed)
    schedule = LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=args.epochs)
    encoder = RelConEncoder(
        width=32,
        blocks=(2, 2, 2),
        distance=RelConDistance(center=True, max_epochs=5, device=args.device, verbose=1),
        sampler="participants",
        mates=7,
        max_epochs=args.epochs,
        lr=5e-4,
        callbacks=[schedule],
        checkpoint_dir=args.out.with_name(args.out.name + "-training"),
        random_state=args.seed,
        device=args.device,
        verbose=1,
    )
    encoder.fit(motion.data, groups=motion.groups, session=motion.session)
    encoder.save_pretrained(
        args.out,
        data=["wearembed.datasets.make_motion"],
        license="BSD-3-Clause",
        synthetic=True,
        description=DESCRIPTION,
    )
    print(f"wrote {args.out}: {len(motion.data)} simulated windows of {args.participants} participants")


if __name__ == "__main__":
    main()
