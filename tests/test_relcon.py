"""RelCon learns: on simulated motion, asked of participants that it has not seen."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import wearembed
from wearembed import RelConDistance, RelConEncoder
from wearembed.datasets import make_motion

SHORT = {"seconds": 1.28, "sfreq": 50.0}
SEEN = make_motion(12, 24, **SHORT, random_state=0)
UNSEEN = make_motion(4, 20, **SHORT, random_state=1)


@pytest.fixture(scope="module")
def distance():
    own = RelConDistance(16, 9, 1, 4, center=True, max_epochs=5, sfreq=50.0, random_state=0, device="cpu")
    return own.fit(SEEN.data)


def agreement(encoder, distance):
    """Rank correlation of similarity with nearness, over all candidates of each unseen window."""
    Z = encoder.transform(UNSEEN.data)
    Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    near, far = Z @ Z.T, distance.pairwise(UNSEEN.data)
    return np.mean([spearmanr(np.delete(near[n], n), -np.delete(far[n], n))[0] for n in range(len(Z))])


@pytest.mark.parametrize("sampler", ["mates", "participants"])
def test_embeddings_rank_windows_of_unseen_people_as_the_distance_does(distance, sampler):
    shape = {"width": 8, "blocks": (1, 1), "kernels": (3, 4), "distance": distance, "sfreq": 50.0, "device": "cpu"}
    with pytest.warns(UserWarning, match="untrained"):
        untrained = RelConEncoder(**shape, max_epochs=0, random_state=0).fit(SEEN.data)
    trained = RelConEncoder(**shape, max_epochs=6, batch_size=32, mates=7, lr=3e-3, sampler=sampler, random_state=0)
    trained.fit(SEEN.data, groups=SEEN.groups, session=SEEN.session)
    assert agreement(trained, distance) > agreement(untrained, distance) + 0.15


def test_a_window_is_near_itself_by_the_bundled_distance_which_is_not_symmetric():
    motion = make_motion(6, 5, random_state=5)
    far = wearembed.from_pretrained("wearembed/relcon-synthetic", device="cpu").distance_.pairwise(motion.data)
    assert (far.diagonal() < np.quantile(far, 0.25, axis=1)).mean() > 0.9
    assert (far.argmin(axis=1) == np.arange(30)).mean() > 0.5
    assert not np.allclose(far, far.T, rtol=0.1) and (far >= 0).all()


def test_pairs_are_anchors_by_candidates(distance):
    far = distance.pairwise(UNSEEN.data[:3], UNSEEN.data[3:8])
    assert far.shape == (3, 5) and far.dtype == np.float32
    np.testing.assert_allclose(far, distance.pairwise(UNSEEN.data[:8])[:3, 3:], rtol=1e-4)
    with pytest.raises(ValueError, match="trained on windows of 3 channels x 64 samples"):
        distance.pairwise(UNSEEN.data[..., :32])


@pytest.mark.parametrize(("n", "n_times"), [(4000, 64), (32, 1000)], ids=["many windows", "long windows"])
def test_pairs_take_bounded_memory(n, n_times):
    """In a process of its own, whose peak is its own; the scores of all long pairs at once would take a gigabyte."""
    script = f"""if True:
        import resource, torch
        from wearembed.nets import CrossAttention
        torch.set_num_threads(1)
        net = CrossAttention(dim=8, kernel=5, bottleneck=2).eval()
        net.distances(torch.randn(2, 3, 64), torch.randn(2, 3, 64))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        net.distances(torch.randn(8, 3, {n_times}), torch.randn({n}, 3, {n_times}))
        net.distances_to_own(torch.randn(4, 3, {n_times}), torch.randn(4, {n} // 4, 3, {n_times}))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200_000  # KiB


def test_without_a_distance_one_is_fitted_and_kept():
    few = {"max_epochs": 1, "device": "cpu", "sfreq": 50.0}
    encoder = RelConEncoder(4, (1,), (3,), mates=3, random_state=0, **few).fit(SEEN.data[:24])
    assert isinstance(encoder.distance_, RelConDistance) and encoder.distance is None
    assert len(encoder.distance_.history_) == 10  # the official code's epochs


def test_a_distance_of_other_windows_is_refused(distance):
    with pytest.raises(ValueError, match="distance was fitted on 3 channels at 50 Hz"):
        RelConEncoder(4, (1,), (3,), distance=distance, max_epochs=1, device="cpu").fit(SEEN.data)
    with pytest.raises(TypeError, match="got list"):
        RelConEncoder(4, (1,), (3,), distance=[1], max_epochs=1, device="cpu").fit(SEEN.data)


def few_labels(encoder, motion, n_each=6):
    """Macro F1 on the second half of the participants, from a few labelled windows of the first."""
    seen = motion.groups < np.unique(motion.groups)[len(np.unique(motion.groups)) // 2]
    some = np.concatenate([np.flatnonzero(seen & (motion.target == a))[:n_each] for a in np.unique(motion.target)])
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    probe.fit(encoder.transform(motion.data[some]), motion.target[some])
    return f1_score(motion.target[~seen], probe.predict(encoder.transform(motion.data[~seen])), average="macro")


def test_the_bundled_encoder_knows_activities_that_an_untrained_one_does_not():
    motion = make_motion(40, 15, random_state=123)
    bundled = wearembed.from_pretrained("wearembed/relcon-synthetic", device="cpu")
    shape = {"width": bundled.width, "blocks": bundled.blocks, "kernels": bundled.kernels, "device": "cpu"}
    scores = []
    for seed in range(2):
        with pytest.warns(UserWarning, match="untrained"):
            untrained = RelConEncoder(**shape, max_epochs=0, random_state=seed).fit(motion.data[:20])
        scores.append(few_labels(untrained, motion))
    assert bundled.training_["epochs"] > 0 and few_labels(bundled, motion) > max(scores) + 0.05
