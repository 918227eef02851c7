"""Pictures: what is drawn is what was measured, on the axes that were given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.preprocessing import FunctionTransformer

from wearembed.evaluation import label_efficiency, retrieval
from wearembed.plots import ComparisonDisplay, EmbeddingDisplay, LabelEfficiencyDisplay, RetrievalDisplay

RNG = np.random.default_rng(0)
GROUPS, Y = np.repeat(np.arange(9), 10), RNG.integers(2, size=90)
Z = RNG.normal(size=(90, 4)) + Y[:, None]
ASKED = {"participants": (1, 4), "windows": (0.1, 1.0), "repeats": 2, "cv": 3, "n_bootstraps": 20, "random_state": 0}


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def few():
    return label_efficiency(None, Z, Y, GROUPS, **ASKED)


def drawn(display):
    """No text of a figure is cut off by its edge."""
    figure = display.figure_
    figure.canvas.draw()
    axes = np.atleast_1d(display.ax_)
    inside = figure.bbox.padded(1)
    boxes = [ax.get_tightbbox() for ax in axes]  # of labels and legends too
    for box in boxes:
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
    return axes[0]


def heights(container):
    """Middle and ends of the intervals of an error bar."""
    line, caps, _ = container
    return [np.asarray(part.get_ydata(), dtype=float) for part in (line, *caps)]


@pytest.mark.parametrize("by", ["participants", "windows"])
def test_few_labels_are_drawn_with_their_intervals(few, by):
    display = LabelEfficiencyDisplay.from_result(few, score="auc", by=by)
    rows = few[(few["score"] == "auc") & (few["by"] == by)]
    for shown, column in zip(heights(display.lines_[0]), ("mean", "low", "high")):
        assert_allclose(shown, rows[column])
    ax = drawn(display)
    names = {"participants": ["1", "4"], "windows": ["10 %", "100 %"]}
    assert [label.get_text() for label in ax.get_xticklabels()] == names[by]
    assert ax.get_legend() is None


def test_encoders_of_few_labels_are_named_and_beside_each_other(few):
    _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    display = LabelEfficiencyDisplay.from_result({"mine": few, "hers": few}, ax=ax, linewidth=3)
    assert display.ax_ is ax and display.figure_ is ax.figure and display.score == "macro_f1"
    assert [text.get_text() for text in drawn(display).get_legend().get_texts()] == ["mine", "hers"]
    assert display.lines_[0][0].get_linewidth() == 3
    assert (display.lines_[0][0].get_xdata() < display.lines_[1][0].get_xdata()).all()
    assert display.lines_[0][0].get_color() != display.lines_[1][0].get_color()
    with pytest.raises(ValueError, match="rows of mae by participants of mine"):
        LabelEfficiencyDisplay.from_result({"mine": few}, score="mae")


def test_few_labels_can_be_asked_for_on_the_way(few):
    display = LabelEfficiencyDisplay.from_estimator(None, Z, Y, GROUPS, **ASKED)
    pd.testing.assert_frame_equal(display.tables[""], few)


def test_retrieval_is_drawn_beside_chance():
    result = retrieval(Z + RNG.normal(size=Z.shape), Z, k=(1, 5, 20), random_state=0)
    display = RetrievalDisplay.from_result({"noisy": result, "again": result})
    assert_allclose(heights(display.lines_[0])[0], [result[f"top_{k}"] for k in (1, 5, 20)])
    assert_allclose(display.chance_.get_ydata(), np.array([1, 5, 20]) / 90)
    names = [text.get_text() for text in drawn(display).get_legend().get_texts()]
    assert names[0].startswith("noisy, mean rank") and names[-1] == "chance, mean rank 45.5"
    other = retrieval(Z[:50], Z[:50], k=(1, 5, 20), random_state=0)
    with pytest.raises(ValueError, match="galleries of 50, 90"):
        RetrievalDisplay.from_result({"one": result, "other": other})
    small = RetrievalDisplay.from_embeddings(Z[:8], Z[:8], groups=GROUPS[[0, 0, 0, 0, 30, 30, 30, 30]], random_state=0)
    assert small.lines_[0][0].get_xdata().tolist() == [1, 2, 5]


def test_a_map_has_a_colour_and_a_legend_for_each_name():
    names = np.array(["rest", "walking"])[Y]
    display = EmbeddingDisplay.from_embeddings(Z, names, name="activity")
    assert [len(points.get_offsets()) for points in display.points_] == [(Y == 0).sum(), (Y == 1).sum()]
    legend = drawn(display).get_legend()
    assert legend.get_title().get_text() == "activity"
    assert [text.get_text() for text in legend.get_texts()] == ["rest", "walking"]
    standard = (Z - Z.mean(0)) / Z.std(0)
    first = np.linalg.eigvalsh(np.cov(standard.T))[-1]
    assert_allclose(display.points[:, 0].var(ddof=1), first)


def test_many_people_have_looks_of_their_own():
    looks = np.repeat(np.arange(45), 2).astype(str)
    display = EmbeddingDisplay.from_embeddings(Z, looks)
    drawn(display)
    seen = {(tuple(p.get_facecolor()[0]), p.get_paths()[0].vertices.tobytes()) for p in display.points_}
    assert len(seen) == 45
    with pytest.raises(ValueError, match="at most 49 names, got 90"):
        EmbeddingDisplay.from_embeddings(Z, np.arange(90).astype(str))


def test_numbers_have_a_scale_and_nothing_known_has_one_colour():
    numbers = EmbeddingDisplay.from_estimator(FunctionTransformer(), Z, Z[:, 0], name="bpm", s=5)
    assert_allclose(numbers.points_[0].get_array(), Z[:, 0])
    assert numbers.figure_.axes[1].get_ylabel() == "bpm"
    plain = EmbeddingDisplay.from_embeddings(Z, max_windows=30)
    assert len(plain.points_[0].get_offsets()) == 30 and drawn(plain).get_legend() is None


def test_neighbours_stay_neighbours_by_tsne():
    far = np.concatenate([Z[:45] * 0.01, Z[45:] * 0.01 + 50])
    points = EmbeddingDisplay.from_embeddings(far, method="tsne").points
    middle = points.reshape(2, 45, 2).mean(1)
    reach = np.linalg.norm(points.reshape(2, 45, 2) - middle[:, None], axis=2).max()
    assert np.linalg.norm(middle[0] - middle[1]) > reach
    with pytest.raises(ValueError, match="pca or tsne"):
        EmbeddingDisplay.from_embeddings(Z, method="umap")
    with pytest.raises(ValueError, match="3 windows or more"):
        EmbeddingDisplay.from_embeddings(Z[:2])
    with pytest.raises(ValueError, match="a label for each of 90"):
        EmbeddingDisplay.from_embeddings(Z, Y[:5])


def comparison():
    rows = []
    for dataset, score, better, sign in [("walks", "macro_f1", "higher", 1), ("pulse", "mae", "lower", 10)]:
        for encoder, kind, value in [("mine", "encoder", 0.8), ("forest", "baseline", 0.7), ("blind", "baseline", 0.2)]:
            told = {"dataset": dataset, "encoder": encoder, "kind": kind, "score": score, "better": better}
            rows.append(told | {"pooled": sign * value, "low": sign * value - 0.1, "high": sign * value + 0.2})
    return pd.DataFrame(rows)


def test_a_comparison_has_a_panel_for_each_set_and_a_line_at_the_best_baseline():
    display = ComparisonDisplay.from_result(comparison())
    drawn(display)
    assert [ax.get_title() for ax in display.ax_] == ["walks", "pulse"]
    assert [ax.get_xlabel().split("\n")[0] for ax in display.ax_] == [
        "macro F1, higher is better",
        "mean absolute error, lower is better",
    ]
    assert [label.get_text() for label in display.ax_[0].get_yticklabels()] == ["mine", "forest", "blind"]
    best = [next(line for line in ax.lines if line.get_linestyle() == ":").get_xdata()[0] for ax in display.ax_]
    assert_allclose(best, [0.7, 2.0])


def test_a_comparison_goes_into_given_axes():
    _, axes = plt.subplots(1, 2)
    assert list(ComparisonDisplay.from_result(comparison(), ax=axes).ax_) == list(axes)
    table = comparison()
    walks = table[table["dataset"] == "walks"]
    assert ComparisonDisplay.from_result(walks, ax=axes[0]).ax_ is axes[0]
    with pytest.raises(ValueError, match="Expected 2 axes"):
        ComparisonDisplay.from_result(table, ax=axes[0])
    with pytest.raises(ValueError, match="among mae, which pulse has"):
        ComparisonDisplay.from_result(table, score="macro_f1")
    missing = walks.assign(pooled=np.nan)
    assert len(ComparisonDisplay.from_result(missing).ax_.get_yticklabels()) == 3
