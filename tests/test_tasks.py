"""scikit-learn's own callbacks see the epochs of an encoder as tasks."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline

from wearembed import (
    DistilledAccelEncoder,
    FineTunedClassifier,
    RawWindows,
    RelConDistance,
    RelConEncoder,
    SimCLREncoder,
)
from wearembed.datasets import make_motion

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
RUN = {"batch_size": 8, "device": "cpu", "random_state": 0}
MOTION = make_motion(n_participants=2, n_windows=8, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups


def small(**parameters):
    return SimCLREncoder(4, (1,), (3,), **{**RUN, "max_epochs": 3, **parameters})


class Diary:
    """Writes down what it is told; stops training after an epoch, if it is to."""

    def __init__(self, stop_after=None, fail_in=None):
        self.told, self.embeddings, self.stop_after, self.fail_in = [], [], stop_after, fail_in

    def setup(self, estimator, context):
        self.told.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(f"{context.estimator_name} {context.task_name} begins")
        if context.task_name == "epoch" and context.task_id == self.fail_in:
            raise RuntimeError("the diary is full")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.told.append(f"{context.estimator_name} {context.task_name} ends")
        if fitted_estimator is not None and hasattr(fitted_estimator, "transform"):
            self.embeddings.append(fitted_estimator.transform(X))
        return context.task_name == "epoch" and self.stop_after == context.task_id + 1

    def teardown(self, estimator, context):
        self.told.append("teardown")


class Propagated(Diary):
    max_propagation_depth = None


def test_each_epoch_is_a_task_with_a_fitted_estimator_of_its_own():
    diary = Diary()
    encoder = small().set_callbacks(diary).fit(X, groups=groups)
    epochs = ["SimCLREncoder epoch begins", "SimCLREncoder epoch ends"]
    fit = ["SimCLREncoder fit begins", *3 * epochs, "SimCLREncoder fit ends"]
    assert diary.told == ["setup", *fit, "teardown"]
    first, _, last, whole = diary.embeddings
    assert not np.allclose(first, last)
    assert_array_equal(last, encoder.transform(X))
    assert_array_equal(whole, encoder.transform(X))
    assert_array_equal(first, small(max_epochs=1).fit(X, groups=groups).transform(X))


def test_being_watched_changes_nothing():
    watched = small().set_callbacks(Diary()).fit(X, groups=groups)
    assert_array_equal(watched.transform(X), small().fit(X, groups=groups).transform(X))
    assert not {"_tasks", "_callback_fit_ctx"} & vars(watched).keys()


def test_a_callback_stops_training():
    encoder = small().set_callbacks(Diary(stop_after=2)).fit(X, groups=groups)
    assert len(encoder.history_) == 2
    assert_array_equal(encoder.transform(X), small(max_epochs=2).fit(X, groups=groups).transform(X))


def test_a_callback_that_fails_is_torn_down_and_nothing_is_fitted():
    diary = Diary(fail_in=1)
    encoder = small().set_callbacks(diary)
    with pytest.raises(RuntimeError, match="the diary is full"):
        encoder.fit(X, groups=groups)
    assert diary.told[-1] == "teardown"
    with pytest.raises(NotFittedError):
        encoder.transform(X)


def test_parts_that_are_fitted_first_are_tasks_too():
    diary = Propagated()
    distance = RelConDistance(dim=8, kernel=5, bottleneck=2, max_epochs=1, **RUN)
    encoder = RelConEncoder(4, (1,), (3,), distance=distance, mates=3, max_epochs=1, **RUN)
    encoder.set_callbacks(diary).fit(X, groups=groups)
    begun = [told for told in diary.told if told.endswith("begins")]
    parts = ["RelConDistance fit begins", "RelConDistance epoch begins"]
    assert begun == ["RelConEncoder fit begins", *parts, "RelConEncoder epoch begins"]
    diary = Propagated()
    student = DistilledAccelEncoder(small(max_epochs=1), (16, 1, 32), max_epochs=1, **RUN)
    student.set_callbacks(diary).fit(X, groups=groups)
    assert "SimCLREncoder epoch ends" in diary.told and diary.told[-1] == "teardown"


def test_frozen_weights_are_a_task_without_epochs(tmp_path):
    small().fit(X, groups=groups).save_pretrained(tmp_path / "weights")
    diary = Diary()
    SimCLREncoder.from_pretrained(tmp_path / "weights", device="cpu").set_callbacks(diary).fit(X)
    assert diary.told == ["setup", "SimCLREncoder fit begins", "SimCLREncoder fit ends", "teardown"]


def test_a_pipeline_and_a_search_pass_them_on():
    diary = Propagated()
    pipeline = Pipeline([("emb", small()), ("clf", LogisticRegression(max_iter=500))]).set_callbacks(diary)
    pipeline.fit(X, y)
    assert diary.told.count("SimCLREncoder epoch ends") == 3
    diary.told.clear()
    pipeline = Pipeline([("emb", small(max_epochs=1)), ("clf", LogisticRegression(max_iter=500))])
    search = GridSearchCV(pipeline, {"emb__lr": [1e-3, 1e-4]}, cv=GroupKFold(2)).set_callbacks(diary)
    search.fit(X, y, groups=groups)
    assert diary.told.count("SimCLREncoder epoch ends") == 2 * 2 + 1


def test_baselines_are_a_task_and_no_pipeline_warns_of_them():
    diary = Propagated()
    pipeline = Pipeline([("emb", RawWindows()), ("clf", LogisticRegression(max_iter=500))])
    pipeline.set_callbacks(diary).fit(X, y)  # a warning is an error here
    assert "RawWindows fit ends" in diary.told


def test_a_clone_keeps_them():
    diary = Diary()
    clone(small(max_epochs=1).set_callbacks(diary)).fit(X, groups=groups)
    assert "SimCLREncoder epoch ends" in diary.told


def test_scores_are_monitored_epoch_by_epoch():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = FineTunedClassifier(small(), tune="scratch", max_epochs=4, **RUN).set_callbacks(monitor).fit(X, y)
    rows = monitor.get_logs(select="most_recent").data
    scores = [row["accuracy"] for row in rows if row["task_name"] == "epoch"]
    assert len(scores) == 4 and scores[-1] == model.score(X, y)


def test_the_bar_of_scikit_learn_is_drawn(capsys):
    pytest.importorskip("rich", reason="scikit-learn's bar needs rich")
    small().set_callbacks(callback.ProgressBar()).fit(X, groups=groups)
    shown = capsys.readouterr().out
    assert "SimCLREncoder - fit" in shown and "100%" in shown


def test_older_scikit_learn_has_no_callbacks_and_needs_none():
    script = """
import sys, sklearn.pipeline, sklearn.linear_model, sklearn.model_selection  # which need it themselves
sys.modules["sklearn.callback"] = None  # as if it were not there
from wearembed import SimCLREncoder
from wearembed.datasets import make_motion
motion = make_motion(n_participants=2, n_windows=8, random_state=0)
encoder = SimCLREncoder(4, (1,), (3,), max_epochs=1, batch_size=8, device="cpu", random_state=0)
assert not hasattr(encoder, "set_callbacks")
assert encoder.fit(motion.data, groups=motion.groups).transform(motion.data).shape == (16, 4)
"""
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
