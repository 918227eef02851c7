"""SimCLR against RelCon's net and input, and the same net by labels alone."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from wearembed import FineTunedClassifier, RelConEncoder, SimCLREncoder, datasets, from_pretrained
from wearembed.augment import Augment, rotate

RUN = {"batch_size": 16, "device": "cpu", "random_state": 0}
MOTION = datasets.make_motion(n_participants=4, n_windows=12, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups
SMALL = SimCLREncoder(4, (1, 1), (3, 4), max_epochs=8, lr=3e-3, **RUN)


class Counted:
    """Changes that count how many windows met them."""

    def __init__(self):
        self.changes, self.met = Augment([(rotate, 1.0)]), 0

    def __call__(self, x):
        self.met += len(x)
        return self.changes(x)


def test_views_of_a_window_are_told_from_others_better_and_better():
    losses = [epoch["train_loss"] for epoch in clone(SMALL).fit(X).history_]
    assert abs(losses[0] - np.log(31)) < 0.5  # 16 windows a batch, two views each: 31 others, all as likely
    assert losses[-1] < 0.9 * losses[0]


def test_the_net_and_the_input_are_relcons():
    ours, theirs = (kind().untrained(0, n_channels=3, n_times=256) for kind in (SimCLREncoder, RelConEncoder))
    assert_array_equal(ours.transform(X[:4]), theirs.transform(X[:4]))
    assert ours.contract_ == theirs.contract_


def test_participants_play_no_part():
    encoder = clone(SMALL).set_params(max_epochs=1)
    assert_array_equal(encoder.fit(X, groups=groups).transform(X), clone(encoder).fit(X).transform(X))
    assert len(clone(encoder).fit(X, groups=np.arange(48)).history_) == 1  # each on their own, and no complaint


def test_changes_may_be_ones_own_and_both_views_meet_them(tmp_path):
    own = Counted()
    encoder = SimCLREncoder(4, (1,), (3,), augment=own, max_epochs=1, **RUN).fit(X)
    assert own.met == 2 * len(X)
    encoder.save_pretrained(tmp_path / "weights")
    back = from_pretrained(tmp_path / "weights", device="cpu")
    assert isinstance(back, SimCLREncoder) and back.augment is None
    assert_array_equal(back.transform(X), encoder.transform(X))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"temperature": 0}, "temperature of SimCLREncoder is a finite number above 0; got 0"),
        ({"augment": "rotate"}, "augment of SimCLREncoder is None, or changes of a batch.*got 'rotate'"),
        ({"blocks": (0,)}, "blocks of SimCLREncoder has a whole number above 0 for each stage"),
        ({"width": 0}, "width of SimCLREncoder is a whole number from 1 on"),
    ],
    ids=str,
)
def test_bad_parameters_are_named(how, message):
    with pytest.raises(ValueError, match=message):
        clone(SMALL).set_params(**how).fit(X)


def test_by_labels_alone_an_untrained_encoder_only_names_the_net():
    how = {"tune": "scratch", "max_epochs": 2, **RUN}
    blank = clone(SMALL).untrained(7, n_channels=3, n_times=256)
    alone = FineTunedClassifier(blank, **how).fit(X, y, groups=groups)
    assert_array_equal(alone.predict_proba(X), FineTunedClassifier(clone(SMALL), **how).fit(X, y).predict_proba(X))
    begun = FineTunedClassifier(blank, **{**how, "tune": "full"}).fit(X, y)
    assert not np.allclose(begun.predict_proba(X), alone.predict_proba(X))
    assert "untrained" in repr(blank) and "untrained" not in repr(begun.encoder_)
