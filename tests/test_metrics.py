"""Metrics: each against its definition written in loops, and against what is known without computing."""

import tracemalloc
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import special_ortho_group
from sklearn.metrics import roc_auc_score

from wearembed.metrics import (
    dispersion_ratio,
    effective_rank,
    embeddings,
    matches,
    partial_auc,
    procrustes_align,
    retrieval,
    retrieval_within,
)
from wearembed.metrics.checks import generator
from wearembed.metrics.matches import _bootstrap


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- effective rank


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("shape", [(40, 6), (5, 12)])
def test_effective_rank_is_its_definition(rng, shape, center):
    Z = rng.normal(size=shape) @ np.diag(rng.random(shape[1])) + 1
    used = Z - Z.mean(0) if center else Z
    squares = np.linalg.eigvalsh(used.T @ used)
    singular = [np.sqrt(s) for s in squares if s > 1e-9]
    shares = [s / sum(singular) for s in singular]
    assert_allclose(effective_rank(Z, center), np.exp(-sum(p * np.log(p) for p in shares)))


def test_noise_alike_in_all_directions_has_full_rank_and_a_line_has_one(rng):
    Z = rng.normal(size=(20_000, 32))
    assert 31.9 < effective_rank(Z) <= 32
    assert_allclose(effective_rank(rng.normal(size=(50, 1)) * rng.normal(size=8)), 1)
    assert_allclose(effective_rank(np.full((50, 8), 3.0)), 1)


def test_a_common_offset_counts_unless_centred(rng):
    Z = rng.normal(size=(5000, 16)) + 100
    assert effective_rank(Z) < 5 and effective_rank(Z, center=True) > 15.9


def test_effective_rank_knows_no_scale_and_takes_half_floats(rng):
    Z = rng.normal(size=(60, 8)).astype(np.float16)
    assert_allclose(effective_rank(Z), effective_rank(Z.astype(float) * 1e-30))


# --- dispersion


def dispersion_by_the_book(Z, groups):
    within, between = {}, []
    for i in range(len(Z)):
        for j in range(i):
            far = np.linalg.norm(np.subtract(Z[i], Z[j]))
            if groups[i] == groups[j]:
                within.setdefault(groups[i], []).append(far)
            else:
                between.append(far)
    return np.mean([np.mean(fars) for fars in within.values()]) / np.mean(between)


@pytest.mark.parametrize("block", [1, 100, 2**22])
def test_dispersion_ratio_is_its_definition(rng, block, monkeypatch):
    monkeypatch.setattr(embeddings, "_BLOCK", block)  # from a row at a time to everything at once
    groups = rng.choice(["ann", "bob", "cem", "dia", "eve"], 60, p=[0.5, 0.2, 0.2, 0.09, 0.01])
    groups[7] = "once"
    Z = rng.normal(size=(60, 4)) + rng.normal(size=4) * 50
    assert_allclose(dispersion_ratio(Z, groups), dispersion_by_the_book(Z, groups))


def test_dispersion_goes_from_identity_alone_to_none(rng):
    groups = np.repeat(np.arange(20), 30)
    people, windows = rng.normal(size=(20, 16))[groups], rng.normal(size=(600, 16))
    assert dispersion_ratio(people, groups) < 1e-12
    assert 0.05 < dispersion_ratio(people + 0.1 * windows, groups) < 0.2
    assert_allclose(dispersion_ratio(windows, groups), 1, atol=0.02)


def test_beyond_max_windows_a_seeded_draw_stands_for_all(rng, generators_untouched):
    groups = np.repeat(np.arange(10), 100)
    Z = rng.normal(size=(10, 8))[groups] + rng.normal(size=(1000, 8))
    drawn = [dispersion_ratio(Z, groups, max_windows=300, random_state=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert_allclose(drawn, dispersion_ratio(Z, groups), rtol=0.03)
    unseeded = {dispersion_ratio(Z, groups, max_windows=300, random_state=None) for _ in range(3)}
    assert len(unseeded) > 1
    assert dispersion_ratio(Z, groups, max_windows=1000, random_state=5) == dispersion_ratio(Z, groups)


# --- retrieval


def ranks_by_the_book(queries, gallery, row, shown):
    """The ranks that the match of `row` may get among the rows `shown`, all as likely; in whole numbers, exactly."""

    def similar(other):  # cosine, signed and squared, times what is equal for all others
        a, b = ([Fraction(float(v)) for v in z] for z in (queries[row], gallery[other]))
        dot = sum(x * y for x, y in zip(a, b))
        return dot * abs(dot) / sum(y * y for y in b)

    match, others = similar(row), [similar(other) for other in shown if other != row]
    above = sum(s > match for s in others)
    return [above + 1 + n for n in range(1 + sum(s == match for s in others))]


def scores_by_the_book(queries, gallery, bootstraps, ks):
    """Over ``[(rows of the gallery, how often each asks)]``."""
    found = {name: [] for name in [*(f"top_{k}" for k in ks), "mean_rank", "median_rank"]}
    for rows, times in bootstraps:
        ranks, hits = [], {k: [] for k in ks}
        for row, n in zip(rows, times):
            possible = ranks_by_the_book(queries, gallery, row, rows) if n else []
            for _ in range(n):
                ranks.append(np.mean(possible))
                for k in ks:
                    hits[k].append(np.mean([rank <= k for rank in possible]))
        for k in ks:
            found[f"top_{k}"].append(np.mean(hits[k]))
        found["mean_rank"].append(np.mean(ranks))
        found["median_rank"].append(np.median(ranks))
    return found


def some_pairs(kind, rng, n=30):
    if kind == "numbers":
        queries = rng.normal(size=(n, 5)).astype(np.float32)
        return queries, (queries + rng.normal(size=(n, 5))).astype(np.float32)
    if kind == "ties":  # few directions, some at several lengths
        return rng.integers(1, 4, size=(n, 2)), rng.integers(1, 4, size=(n, 2)) * rng.integers(1, 3, size=(n, 1))
    queries = rng.normal(size=(n // 3, 5)).repeat(3, axis=0)  # every window three times
    return queries, queries + rng.normal(size=(n // 3, 5)).repeat(3, axis=0)


@pytest.mark.parametrize("gallery_size", [9, 500])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("kind", ["numbers", "ties", "duplicates"])
def test_retrieval_is_its_definition_in_both_directions(kind, grouped, gallery_size, rng):
    a, b = some_pairs(kind, rng)
    groups = np.array(list("abcd"))[rng.integers(0, 4, 30)] if grouped else None
    codes = np.array([list(dict.fromkeys(groups)).index(g) for g in groups]) if grouped else None
    size = min(gallery_size, 30)
    draws = generator(3)
    bootstraps = [_bootstrap(30, size, codes, draws) for _ in range(4)]
    for queries, gallery in [(a, b), (b, a)]:
        ours = retrieval(
            queries, gallery, groups=groups, k=(1, 3), n_bootstraps=4, gallery_size=gallery_size, random_state=3
        )
        for name, values in scores_by_the_book(queries, gallery, bootstraps, (1, 3)).items():
            assert_allclose(ours[name], np.mean(values), err_msg=name)
            assert_allclose(ours[f"{name}_sd"], np.std(values, ddof=1), atol=1e-12, err_msg=name)
        assert ours["gallery_size"] == size
        assert_allclose([ours["chance_top_1"], ours["chance_top_3"]], [1 / size, 3 / size])
        assert ours["chance_mean_rank"] == ours["chance_median_rank"] == (size + 1) / 2


@pytest.mark.parametrize("kind", ["numbers", "ties", "duplicates"])
def test_blocks_change_nothing(kind, rng, monkeypatch):
    a, b = some_pairs(kind, rng, n=90)
    whole = retrieval(a, b, random_state=0)
    for block in (1, 90 * 7):
        monkeypatch.setattr(matches, "_BLOCK", block)
        assert retrieval(a, b, random_state=0) == whole


@pytest.mark.parametrize("size", [1, 40, 99, 100])
@pytest.mark.parametrize("n_people", [None, 2, 12])
def test_a_gallery_holds_different_windows_and_all_who_ask(size, n_people, rng):
    codes = None if n_people is None else np.arange(100) % n_people
    seen = np.zeros(100)
    for _ in range(200):
        rows, times = _bootstrap(100, size, codes, rng)
        assert len(set(rows)) == len(rows) == size and times.sum() > 0
        if codes is None:
            assert times.sum() == size
        seen[rows] += 1
    assert seen.sum() == 200 * size
    assert_allclose(seen, 2 * size, atol=5 * np.sqrt(2 * size) + 1)  # each window as often as any


def test_equal_embeddings_find_themselves(rng):
    Z = rng.normal(size=(200, 8))
    scores = retrieval(Z, 3 * Z, random_state=0)
    assert scores["top_1"] == scores["mean_rank"] == scores["median_rank"] == 1
    assert scores["top_1_sd"] == scores["mean_rank_sd"] == 0
    opposite = retrieval(Z, -Z, random_state=0)
    assert opposite["top_10"] == 0 and opposite["mean_rank"] == 200


def test_unrelated_embeddings_score_chance(rng):
    queries, gallery = rng.normal(size=(2, 1500, 8))
    for size in (100, 1500):
        scores = retrieval(queries, gallery, gallery_size=size, random_state=0)
        assert_allclose(scores["mean_rank"], (size + 1) / 2, atol=4 * size / np.sqrt(12 * 1500))
        assert_allclose(scores["top_10"], 10 / size, atol=4 * np.sqrt(10 / size / 1500))


@pytest.mark.parametrize("value", [1.0, 0.1, -1 / 3])
def test_constant_embeddings_score_chance_exactly(value, rng):
    constant = value * np.linspace(0.1, 1, 7) * rng.integers(1, 9, size=(333, 1))  # one direction, many lengths
    groups = np.arange(333) % 3
    for scores in [
        retrieval(constant, constant, random_state=0),
        retrieval(rng.normal(size=(333, 7)), constant, gallery_size=50, groups=groups, random_state=0),
        retrieval_within(rng.normal(size=(333, 7)), constant, groups),
    ]:
        for name in ("top_1", "top_5", "top_10", "mean_rank", "median_rank"):
            assert_allclose(scores[name], scores[f"chance_{name}"], rtol=1e-12)


def test_fewer_windows_than_k_are_all_found(rng):
    scores = retrieval(*rng.normal(size=(2, 6, 3)), k=10, random_state=0)
    assert scores["top_10"] == scores["chance_top_10"] == 1
    assert list(scores)[:3] == ["top_10", "top_10_sd", "chance_top_10"] and "top_1" not in scores


def full_ranks(queries, gallery):
    similar = queries @ gallery.T / np.linalg.norm(gallery, axis=1)
    return 1 + (similar > np.diag(similar)[:, None]).sum(1)


def test_deviation_is_that_of_as_many_new_windows(rng):
    queries = rng.normal(size=(2000, 6))
    gallery = queries + rng.normal(size=(2000, 6))
    ranks = full_ranks(queries, gallery)
    whole = retrieval(queries, gallery, n_bootstraps=400, random_state=0)
    assert_allclose(whole["mean_rank_sd"], ranks.std() / np.sqrt(2000), rtol=0.15)
    assert_allclose(whole["mean_rank"], ranks.mean(), rtol=0.01)
    part = retrieval(queries, gallery, n_bootstraps=400, gallery_size=100, random_state=0)
    assert_allclose(part["mean_rank"], 1 + (ranks.mean() - 1) * 99 / 1999, rtol=0.03)  # rivals shrink in proportion
    top_1 = part["top_1"]
    assert_allclose(part["top_1_sd"], np.sqrt(top_1 * (1 - top_1) / 100), rtol=0.25)


def test_resampled_people_deviate_more_than_resampled_windows(rng):
    groups = np.repeat(np.arange(10), 60)
    queries = rng.normal(size=(600, 6))
    gallery = queries + rng.normal(size=(600, 6)) * np.linspace(0, 3, 10)[groups][:, None]  # easy and hard people
    windows = retrieval(queries, gallery, random_state=0)
    people = retrieval(queries, gallery, groups=groups, random_state=0)
    assert people["top_1_sd"] > 3 * windows["top_1_sd"]
    assert_allclose(people["top_1"], windows["top_1"], atol=4 * people["top_1_sd"] / 10)


def test_seeds_and_generators(rng, generators_untouched):
    a, b = rng.normal(size=(2, 100, 4))
    groups = np.arange(100) % 7
    for score in (retrieval, lambda *args, **kw: retrieval_within(*args, groups, **kw)):
        assert score(a, b, random_state=1) == score(a, b, random_state=1)
        assert score(a, b, random_state=1) != score(a, b, random_state=2)
        assert score(a, b) != score(a, b)
        assert score(a, b, random_state=np.random.RandomState(1)) == score(a, b, random_state=1)


def test_inputs_stay_as_they_were(rng):
    a, b = rng.normal(size=(2, 40, 4))
    kept = a.copy(), b.copy()
    groups = np.arange(40) % 4
    retrieval(a, b), retrieval_within(a, b, groups), effective_rank(a), effective_rank(a, center=True)
    dispersion_ratio(a, groups), procrustes_align(a, b, a)
    assert np.array_equal(a, kept[0]) and np.array_equal(b, kept[1])


def test_memory_stays_far_below_all_similarities(rng):
    a, b = rng.normal(size=(2, 6000, 4))
    tracemalloc.start()
    retrieval(a, b, n_bootstraps=10)
    dispersion_ratio(a, np.arange(6000) % 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6000**2 * 8 / 2


# --- retrieval within participants


@pytest.mark.parametrize("kind", ["numbers", "ties", "duplicates"])
def test_retrieval_within_is_its_definition_in_both_directions(kind, rng):
    a, b = some_pairs(kind, rng)
    groups = np.array(["ann", "bob", "cem"])[rng.integers(0, 3, 30)]
    groups[4] = "once"
    people = [np.flatnonzero(groups == name) for name in ("ann", "bob", "cem")]
    for queries, gallery in [(a, b), (b, a)]:
        ours = retrieval_within(queries, gallery, groups, k=(1, 3))
        each = scores_by_the_book(queries, gallery, [(rows, [1] * len(rows)) for rows in people], (1, 3))
        for name, values in each.items():
            assert_allclose(ours[name], np.mean(values), err_msg=name)
        sizes = np.array([len(rows) for rows in people])
        assert_allclose(ours["gallery_size"], sizes.mean())
        assert_allclose(ours["chance_top_3"], np.mean(3 / sizes))
        assert_allclose(ours["chance_mean_rank"], np.mean((sizes + 1) / 2))


def test_identity_alone_is_chance_within_and_far_above_it_without(rng):
    groups = np.repeat(np.arange(20), 25)
    people = rng.normal(size=(20, 32))[groups]
    queries, gallery = (people + 0.01 * rng.normal(size=(500, 32)) for _ in range(2))
    within, among_all = retrieval_within(queries, gallery, groups), retrieval(queries, gallery, groups=groups)
    assert_allclose(within["mean_rank"], 13, atol=4 * 25 / np.sqrt(12 * 500))
    assert_allclose(among_all["mean_rank"], 13, atol=2)
    assert among_all["chance_mean_rank"] == 250.5


def test_deviation_within_is_that_of_as_many_new_people(rng):
    groups = np.repeat(np.arange(50), 10)
    queries = rng.normal(size=(500, 4))
    gallery = queries + rng.normal(size=(500, 4)) * np.linspace(0, 3, 50)[groups][:, None]
    each = [np.mean(full_ranks(queries[groups == g], gallery[groups == g])) for g in range(50)]
    scores = retrieval_within(queries, gallery, groups, n_bootstraps=1000, random_state=0)
    assert_allclose(scores["mean_rank"], np.mean(each))
    assert_allclose(scores["mean_rank_sd"], np.std(each) / np.sqrt(50), rtol=0.1)


# --- Procrustes


def test_procrustes_undoes_a_turn_a_shift_and_a_scale(rng):
    turn = special_ortho_group.rvs(6, random_state=0)
    turn[:, 0] *= -1  # a mirror too
    A = rng.normal(size=(50, 6)) * np.arange(1, 7) + 3
    B = 2.5 * A @ turn - 7
    assert_allclose(procrustes_align(A[:20], B[:20], A[20:]), B[20:])


def test_procrustes_between_unlike_dimensions(rng):
    A = rng.normal(size=(50, 3))
    turn = special_ortho_group.rvs(5, random_state=0)
    B = np.pad(A, ((0, 0), (0, 2))) @ turn + 1
    assert_allclose(procrustes_align(A[:20], B[:20], A[20:]), B[20:])
    assert_allclose(procrustes_align(B[:20], A[:20], B[20:]), A[20:])


def test_procrustes_keeps_distances_and_no_other_turn_is_nearer(rng):
    A, B = rng.normal(size=(2, 40, 3))
    aligned = procrustes_align(A, B, A)
    centred = A - A.mean(0)
    ratio = np.linalg.norm(B - B.mean(0)) / np.linalg.norm(centred)
    assert_allclose(np.linalg.norm(aligned - aligned[0], axis=1), ratio * np.linalg.norm(A - A[0], axis=1))
    for seed in range(200):
        other = ratio * centred @ special_ortho_group.rvs(3, random_state=seed) * rng.choice([-1, 1]) + B.mean(0)
        assert np.linalg.norm(aligned - B) <= np.linalg.norm(other - B)


def test_aligned_embeddings_are_found(rng):
    A = rng.normal(size=(400, 8))
    B = A @ special_ortho_group.rvs(8, random_state=0) + 0.1 * rng.normal(size=(400, 8))
    before, after = (
        retrieval(Z, B[200:], random_state=0) for Z in (A[200:], procrustes_align(A[:200], B[:200], A[200:]))
    )
    assert before["top_1"] < 0.1 and after["top_1"] > 0.95


# --- partial AUC


def partial_auc_by_the_book(y_true, y_score, max_fpr):
    """The mean, over false alarms up to `max_fpr`, of the share found; on the line between two thresholds."""
    corners = [(0.0, 0.0)]
    for threshold in sorted(set(y_score), reverse=True):
        raised = [score >= threshold for score in y_score]
        false = sum(r and not y for r, y in zip(raised, y_true)) / sum(not y for y in y_true)
        corners.append((false, sum(r and y for r, y in zip(raised, y_true)) / sum(y_true)))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(corners):
        end = min(x1, max_fpr)
        if end > x0:
            area += (end - x0) * (y0 + (y0 + (y1 - y0) * (end - x0) / (x1 - x0))) / 2
    return area / max_fpr


@pytest.mark.parametrize("max_fpr", [0.01, 0.1, 0.25, 1.0])
@pytest.mark.parametrize("ties", [False, True])
def test_partial_auc_is_its_definition(rng, max_fpr, ties):
    y_true = rng.integers(0, 2, 80)
    y_score = y_true + rng.normal(size=80)
    y_score = y_score.round() if ties else y_score
    ours = partial_auc(y_true, y_score, max_fpr)
    assert_allclose(ours, partial_auc_by_the_book(y_true.tolist(), y_score.tolist(), max_fpr))
    if max_fpr == 1:
        assert_allclose(ours, roc_auc_score(y_true, y_score))


def test_partial_auc_is_one_at_best_and_half_of_max_fpr_by_chance(rng):
    y_true = np.arange(100) % 2
    assert_allclose(partial_auc(y_true, y_true), 1)
    assert_allclose(partial_auc(y_true, -y_true), 0, atol=1e-12)
    assert_allclose(partial_auc(y_true, np.zeros(100)), 0.05)


def test_partial_auc_takes_names_of_classes(rng):
    y_true, y_score = rng.integers(0, 2, 50), rng.normal(size=50)
    named = np.array(["no", "yes"])[y_true]
    assert partial_auc(named, y_score) == partial_auc(y_true, y_score) == partial_auc(2 * y_true - 1, y_score)


# --- what is refused

GOOD = np.random.default_rng(0).normal(size=(6, 3))
WHO = ["a", "a", "b", "b", "c", "c"]
NAN = np.where(np.arange(18).reshape(6, 3) == 4, np.nan, GOOD)
ZERO = GOOD * (np.arange(6) != 2)[:, None]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effective_rank(GOOD[0]), r"shape \(n_windows, dim\).*got shape \(3,\)"),
        (lambda: effective_rank(GOOD[:1]), r"at least 2 windows, got shape \(1, 3\)"),
        (lambda: effective_rank(NAN), "1 of 6 rows of Z with NaN"),
        (lambda: effective_rank(0 * GOOD), "not all zero, got 6"),
        (lambda: effective_rank(np.full((6, 3), 0.1), center=True), "not all equal, got 6"),
        (lambda: dispersion_ratio(GOOD, ["a"] * 6), "at least 2 participants, got those of a alone: evaluate more"),
        (lambda: dispersion_ratio(GOOD, list("abcdef")), "a participant with at least 2 windows"),
        (lambda: dispersion_ratio(GOOD, WHO[:5]), r"each of 6 windows, got shape \(5,\)"),
        (lambda: dispersion_ratio(GOOD, ["a", None, "b", "b", "c", "c"]), "for every window, got 1 without"),
        (lambda: dispersion_ratio(0 * GOOD, WHO), "mean distance of 0"),
        (lambda: dispersion_ratio(GOOD, WHO, max_windows=1), "max_windows to be a whole number of at least 2, got 1"),
        (lambda: retrieval(GOOD, GOOD[:5]), r"of one shape, got \(6, 3\) and \(5, 3\)"),
        (lambda: retrieval(GOOD, GOOD[:, :2]), "procrustes_align"),
        (lambda: retrieval(GOOD[:1], GOOD[:1]), "at least 2 windows"),
        (lambda: retrieval(GOOD, NAN), "1 of 6 rows of gallery with NaN"),
        (lambda: retrieval(ZERO, GOOD), "1 of 6 rows of queries that are all zero"),
        (lambda: retrieval(GOOD, GOOD, groups=[1] * 6), "those of 1 alone: leave groups out"),
        (lambda: retrieval(GOOD, GOOD, k=0), "k to be a whole number of at least 1, got 0"),
        (lambda: retrieval(GOOD, GOOD, n_bootstraps=1), "n_bootstraps to be a whole number of at least 2"),
        (lambda: retrieval(GOOD, GOOD, gallery_size=0.5), "gallery_size to be a whole number"),
        (lambda: retrieval_within(GOOD, GOOD, ["a"] * 6), "call retrieval without groups"),
        (lambda: retrieval_within(GOOD, GOOD, list("aabcde")), "2 windows or more, got 1 of 5"),
        (lambda: procrustes_align(GOOD, GOOD[:5], GOOD), r"as many rows.*\(6, 3\), \(5, 3\) and \(6, 3\)"),
        (lambda: procrustes_align(GOOD, GOOD, GOOD[:, :2]), "as many columns"),
        (lambda: procrustes_align(GOOD, np.full((6, 3), 0.1), GOOD), "B_train, got 6 times the same"),
        (lambda: partial_auc([1, 1, 1], [0.1, 0.2, 0.3]), "two classes, got 1: "),
        (lambda: partial_auc([0, 1, 2], [0.1, 0.2, 0.3]), "two classes, got 3: "),
        (lambda: partial_auc([0.0, 1.0, np.nan], [0.1, 0.2, 0.3]), "two classes, got 3: .*nan"),
        (lambda: partial_auc([0, 1, 1], [0.1, 0.2, np.nan]), "NaN"),
        (lambda: partial_auc([0, 1, 1], [0.1, 0.2]), "inconsistent numbers of samples"),
        (lambda: partial_auc([0, 1], [0.1, 0.2], max_fpr=10), "max_fpr"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_a_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_words_are_no_embeddings():
    with pytest.raises(TypeError, match="Expected Z to hold real numbers, got dtype"):
        effective_rank([["a", "b"], ["c", "d"]])
