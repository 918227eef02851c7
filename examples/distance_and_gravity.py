"""Whether RelCon's distance sees motion or the direction of gravity: nearest neighbours of another participant.

    python examples/distance_and_gravity.py

A window's activity is guessed from its five nearest windows of other participants, by the distance as the official code
has it and by one that takes each window's mean off first (``center=True``). Simulated motion, participants apart, mean
and spread over seeds; macro F1 beside the squared difference of the samples and the most frequent label.
"""

import argparse

import numpy as np
import torch
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

from wearembed import RelConDistance
from wearembed.datasets import make_motion


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = {}
    for seed in range(args.seeds):
        for name, score in scores(seed, args.epochs).items():
            rows.setdefault(name, []).append(score)
    print("| five nearest windows of other participants by | macro F1 |\n|---|---|")
    for name, of_seeds in rows.items():
        print(f"| {name} | {np.mean(of_seeds):.3f} ± {np.std(of_seeds):.3f} |")


def scores(seed, epochs):
    """Macro F1 of each way for one draw of people and of the net's first weights."""
    people = make_motion(n_participants=40, n_windows=15, random_state=seed)
    train, known, asked = (np.isin(people.groups, some) for some in np.split(np.unique(people.groups), [20, 30]))
    x, labels = people.data, people.target
    names, counts = np.unique(labels[known], return_counts=True)
    found = {"the most frequent label": np.full(asked.sum(), names[counts.argmax()])}
    plain = np.square(x[asked][:, None] - x[known][None]).sum((2, 3))
    found["squared difference of samples"] = vote(plain, labels[known])
    for center in (False, True):
        distance = RelConDistance(center=center, max_epochs=epochs, random_state=seed).fit(x[train])
        name = "the distance, means taken off (center=True)" if center else "the distance, windows as they are"
        found[name] = vote(distance.pairwise(x[asked], x[known]), labels[known])
    return {name: f1_score(labels[asked], guess, average="macro") for name, guess in found.items()}


def vote(far, labels):
    """The most frequent label of the five nearest."""
    neighbours = KNeighborsClassifier(5, metric="precomputed").fit(np.zeros((len(labels), len(labels))), labels)
    return neighbours.predict(far)


if __name__ == "__main__":
    main()
