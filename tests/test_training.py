"""Anchors and mates, and training that is stopped and taken up again."""

import itertools
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from wearembed import AccelMaskedEncoder, RelConDistance, RelConEncoder, SimCLREncoder, datasets
from wearembed.training import Anchors, Recipe, find_device, seeded, shuffle

SMALL = {"max_epochs": 4, "batch_size": 8, "device": "cpu", "random_state": 0}
DISTANCE = RelConDistance(dim=8, kernel=5, bottleneck=2, max_epochs=2, device="cpu")
MOTION = datasets.make_motion(n_participants=3, n_windows=8, random_state=0)
X, groups = MOTION.data, MOTION.groups


def small(**parameters):
    return RelConEncoder(4, (1,), (3,), **{"distance": DISTANCE, "mates": 3, **SMALL, **parameters})


def weights(encoder):
    return np.concatenate([p.detach().numpy().ravel() for p in encoder.net_.state_dict().values()])


# ---------------------------------------------------------------------------------- anchors


@pytest.fixture(params=["kept", "computed"])
def order(request, monkeypatch):
    """How the order of an epoch is known: of some rows it is kept, of very many it is computed."""
    if request.param == "computed":
        monkeypatch.setattr(shuffle, "LARGE", 1)


in_either_order = pytest.mark.usefixtures("order")


def epoch(anchors, batch_size=8, seed=(0,)):
    return list(anchors.batches(batch_size, seed))


def drawn_slowly(who, when, n_mates, sampler, batch_size, seed):
    """An epoch of `mates` or `spread` from the numbers that numpy draws, by looking at all rows each time."""
    rng, pair = np.random.default_rng(seed), list(zip(who, when))
    rows = rng.permutation([row for row in range(len(who)) if who.count(who[row]) > 1])
    if sampler == "spread":
        turns = [sum(who[other] == who[row] for other in rows[:place]) for place, row in enumerate(rows)]
        rows = rows[np.argsort(turns, kind="stable")]
    for anchors in np.array_split(rows, -(-len(rows) // batch_size)):
        mates = []
        for anchor in anchors:
            pool = [row for row in range(len(who)) if pair[row] == pair[anchor] and row != anchor]
            pool = pool or [row for row in range(len(who)) if who[row] == who[anchor] and row != anchor]
            if len(pool) >= n_mates:
                chosen = rng.choice(len(pool), n_mates, replace=False)
            else:
                chosen = np.resize(rng.permutation(len(pool)), n_mates)
            mates.append([pool[place] for place in chosen])
        yield anchors, np.array(mates)


@pytest.mark.parametrize("sampler", ["mates", "spread"])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_an_epoch_is_what_a_look_at_all_rows_draws(sampler, together, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 90))
    who, when = rng.integers(0, 6, n), rng.integers(0, 5, n)
    if together:
        who, when = np.sort(who), np.sort(when)
    n_mates = int(rng.integers(1, 8))
    anchors = Anchors(np.zeros((n, 1, 4)), who, when, n_mates, sampler)
    expected = list(drawn_slowly(who.tolist(), when.tolist(), n_mates, sampler, 8, (seed, 1)))
    batches = epoch(anchors, seed=(seed, 1))
    assert len(batches) == len(expected)
    for (rows, mates), (slow_rows, slow_mates) in zip(batches, expected):
        assert_array_equal(rows, slow_rows)
        assert_array_equal(mates, slow_mates)


@in_either_order
def test_mates_are_other_windows_of_the_same_participant_without_repetition():
    who = np.repeat(["a", "b", "c"], [30, 25, 22])
    anchors = Anchors(np.zeros((77, 1, 4)), who, n_mates=20)
    seen = []
    for rows, mates in epoch(anchors):
        seen += rows.tolist()
        for anchor, some in zip(rows, mates):
            assert anchor not in some and len(set(some)) == 20
            assert set(who[some]) == {who[anchor]}
    assert sorted(seen) == list(range(77))


@in_either_order
def test_mates_are_drawn_uniformly():
    anchors = Anchors(np.zeros((6, 1, 4)), np.zeros(6), n_mates=2)
    drawn = np.concatenate([m[r == 2].ravel() for e in range(600) for r, m in epoch(anchors, seed=(e,))])
    counts = np.bincount(drawn, minlength=6)
    assert counts[2] == 0 and (np.abs(np.delete(counts, 2) - 240) < 60).all()


@in_either_order
def test_mates_share_the_session_of_their_anchor():
    who, when = np.repeat(["a", "b"], 12), np.tile(np.repeat(["h1", "h2"], 6), 2)
    for rows, mates in epoch(Anchors(np.zeros((24, 1, 4)), who, when, n_mates=5)):
        assert (who[mates] == who[rows][:, None]).all() and (when[mates] == when[rows][:, None]).all()


@in_either_order
def test_too_few_mates_are_repeated_each_at_least_once():
    for rows, mates in epoch(Anchors(np.zeros((4, 1, 4)), np.zeros(4), n_mates=7)):
        for anchor, some in zip(rows, mates):
            assert set(some) == set(range(4)) - {anchor} and len(some) == 7


@in_either_order
def test_a_window_alone_in_its_session_draws_from_its_participant():
    when = np.array(["h1", "h1", "h1", "h2"])
    rows, mates = next(iter(epoch(Anchors(np.zeros((4, 1, 4)), np.zeros(4), when, n_mates=3))))
    assert set(mates[rows == 3].ravel()) == {0, 1, 2}
    assert 3 not in mates[rows != 3]


@in_either_order
def test_a_window_alone_in_its_participant_is_no_anchor():
    anchors = Anchors(np.zeros((5, 1, 4)), ["a", "a", "b", "c", "c"], n_mates=2)
    assert sorted(np.concatenate([rows for rows, _ in epoch(anchors)])) == [0, 1, 3, 4] and anchors.n_left_out == 1


@in_either_order
@pytest.mark.parametrize("sampler", ["mates", "participants", "spread"])
def test_batches_are_drawn_anew_each_epoch_and_the_same_from_the_same_seed(sampler):
    anchors = Anchors(np.zeros((40, 1, 4)), np.repeat([0, 1], 20), n_mates=4, sampler=sampler)
    one, again, other = (epoch(anchors, seed=s) for s in [(0, 1), (0, 1), (0, 2)])
    assert_array_equal(one[0][0], again[0][0])
    assert not np.array_equal(one[0][0], other[0][0])


@in_either_order
def test_blocks_of_participants_make_each_window_an_anchor_once_among_its_mates():
    who = np.repeat(["a", "b", "c"], [30, 25, 3])
    anchors = Anchors(np.zeros((58, 1, 4)), who, n_mates=4, sampler="participants")
    batches = epoch(anchors, batch_size=20)
    assert sorted(np.concatenate([rows for rows, _ in batches])) == list(range(58))
    assert all(mates is None for _, mates in batches)
    for rows, _ in batches:
        assert min(np.bincount(np.unique(who[rows], return_inverse=True)[1])) > 1
        assert len(rows) <= 20


@in_either_order
def test_a_window_alone_in_its_session_joins_a_block_of_its_participant():
    who, when = np.array(list("aaaabbbb")), np.array([0, 0, 0, 1, 0, 0, 0, 0])
    anchors = Anchors(np.zeros((8, 1, 4)), who, when, n_mates=3, sampler="participants")
    for seed in range(5):
        blocks = list(anchors._blocks(2, np.random.default_rng(seed)))
        assert sorted(np.concatenate(blocks)) == list(range(8))
        assert all({"a", "b"} >= set(who[b]) and (who[b] == who[row]).sum() > 1 for b in blocks for row in b)


@in_either_order
def test_batches_are_even_so_that_none_is_left_with_a_single_anchor():
    assert [len(rows) for rows, _ in epoch(Anchors(np.zeros((17, 1, 4)), n_mates=0), batch_size=16)] == [9, 8]


def test_a_batch_holds_the_rows_that_it_names():
    X = np.arange(24.0).reshape(6, 2, 2)
    anchors = Anchors(X, ["a", "a", "b", "b", "b", "b"], n_mates=2)
    rows = np.array([2, 5]), np.array([[3, 4], [2, 3]])
    batch, _ = anchors[rows]
    assert_array_equal(batch["x"], X[[2, 5]])
    assert_array_equal(batch["mates"], X[[[3, 4], [2, 3]]])
    assert_array_equal(batch["group"], [1, 1])


@in_either_order
def test_spread_batches_meet_each_participant_once_before_any_comes_back():
    who = np.repeat(np.arange(10), 7)
    anchors = Anchors(np.zeros((70, 1, 4)), who, n_mates=1, sampler="spread")
    batches = epoch(anchors, batch_size=10)
    assert sorted(np.concatenate([rows for rows, _ in batches])) == list(range(70))
    for rows, mates in batches:
        assert len(set(who[rows])) == 10
        assert (who[mates[:, 0]] == who[rows]).all() and (mates[:, 0] != rows).all()
    again, other = epoch(anchors, batch_size=10), epoch(anchors, batch_size=10, seed=(1,))
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(batches, again))
    assert not all(np.array_equal(a, b) for (a, _), (b, _) in zip(batches, other))


@in_either_order
def test_spread_batches_hold_windows_of_unequal_participants_too():
    who = np.repeat([0, 1, 2], [1, 2, 9])
    seen = [r for rows, _ in epoch(Anchors(np.zeros((12, 1, 4)), who, sampler="spread"), 4) for r in rows]
    assert sorted(seen) == list(range(12)) and set(who[seen[:3]]) == {0, 1, 2}


@in_either_order
@pytest.mark.parametrize("sampler", ["mates", "participants", "spread"])
def test_an_epoch_has_each_anchor_once_whatever_the_sizes_of_participants_and_sessions(sampler):
    rng = np.random.default_rng(0)
    for n in range(2, 60):
        who, when = rng.integers(0, 7, n), rng.integers(0, 4, n)
        anchors = Anchors(np.zeros((n, 1, 4)), who, when, 3, sampler)
        rows = [rows for rows, _ in epoch(anchors, seed=(n,))] if len(anchors) else [np.zeros(0, int)]
        assert sorted(np.concatenate(rows)) == [row for row in range(n) if (who == who[row]).sum() > 1]
        assert anchors.n_left_out == n - len(anchors)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 99, 100, 128, 129, 150, 1000, 4097])
def test_a_computed_order_has_each_number_once(n):
    places, keys = np.arange(n), np.random.default_rng(n).integers(2**64, size=4, dtype=np.uint64)
    orders = [shuffle.shuffled(places, n, key) for key in keys]
    for one in orders:
        assert_array_equal(np.sort(one), places)
    if n > 10:
        assert not any(np.array_equal(one, other) for one, other in itertools.combinations(orders, 2))
    several = shuffle.shuffled(places[:, None], n, keys)  # each place of its own order
    assert_array_equal(several, np.stack(orders, axis=1))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 9, 12, 40, shuffle.FEW + 1])
def test_pairs_of_places_of_computed_orders_are_as_likely_as_one_another(n):
    """Of keys that follow one another too, as pools have them."""
    keys = np.arange(100_000, dtype=np.uint64)[:, None] + np.uint64(2**64 - 5)
    for one, other in ((0, 1), (0, n - 1), (n // 2, n - 1)):
        if one != other:
            first, second = shuffle.shuffled([one, other], n, keys).T
            counts = np.bincount(first * n + second, minlength=n * n).reshape(n, n)
            assert (np.diag(counts) == 0).all()
            assert stats.chisquare(counts[~np.eye(n, dtype=bool)]).pvalue > 1e-4


@pytest.mark.parametrize("n", [4, 5, 6])
def test_computed_orders_are_as_likely_as_one_another(n):
    keys = np.random.default_rng(0).integers(2**64, size=(100_000, 1), dtype=np.uint64)
    _, counts = np.unique(shuffle.shuffled(np.arange(n), n, keys), axis=0, return_counts=True)
    assert len(counts) == math.factorial(n) and stats.chisquare(counts).pvalue > 1e-3


def test_neighbours_of_a_computed_order_go_their_own_ways():
    keys = np.random.default_rng(0).integers(2**64, size=(12_000, 1), dtype=np.uint64)
    large = shuffle.shuffled(np.arange(5), 1_000_003, keys)
    assert stats.kstest(large.ravel() / 1_000_003, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(large.T) - np.eye(5)).max() < 0.05


def test_columns_come_along_with_their_windows():
    anchors = Anchors(np.arange(6.0).reshape(6, 1, 1), paired=np.arange(6) * 10, y=np.arange(6) * 100)
    batch, _ = anchors[np.array([4, 1]), None]
    assert batch["x"].ravel().tolist() == [4, 1]
    assert batch["paired"].tolist() == [40, 10] and batch["y"].tolist() == [400, 100]


def test_a_recipe_warms_up_and_falls_along_half_a_cosine():
    rates = [Recipe(warmup=0.1, cosine=True).rate(step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1, rel=0.01) and max(rates[:9]) < rates[9] > rates[10] > rates[11]
    assert rates[50] == pytest.approx(0.505) and rates[100] == pytest.approx(0.01)
    assert Recipe().rate(0, 100) == Recipe().rate(99, 100) == 1


def test_a_recipe_reaches_the_optimiser_and_gives_way_to_a_schedule_of_the_users():
    rates = []

    class Watch(Callback):
        def on_batch_end(self, net, training=True, **kwargs):
            group = net.optimizer_.param_groups[0]
            rates.append((type(net.optimizer_).__name__, group["lr"], group["weight_decay"], group["betas"]))

    encoder = AccelMaskedEncoder((16, 1, 32), max_epochs=3, batch_size=8, device="cpu", random_state=0, lr=1.0e-3)
    clone(encoder).set_params(callbacks=[Watch()]).fit(X)
    own, rates = rates, []
    assert {(name, decay, betas) for name, _, decay, betas in own} == {("AdamW", 0.05, (0.9, 0.95))}
    lrs = [lr for _, lr, _, _ in own]
    assert lrs[0] > lrs[4] > lrs[8] and lrs[0] <= 1e-3
    flat = LRScheduler(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda epoch: 1.0)
    clone(encoder).set_params(callbacks=[Watch(), flat]).fit(X)
    assert {lr for _, lr, _, _ in rates} == {1e-3}


def test_who_does_not_say_whose_windows_they_are_is_told_so():
    with pytest.warns(UserWarning, match="all 24 count as one person's. Pass groups=") as told:
        small().fit(X, groups)  # as y, where a classifier has it
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small().fit(X, groups=groups)
        SimCLREncoder(width=4, blocks=(1,), kernels=(3,), max_epochs=1).fit(X)  # learns from each window alone


def test_only_windows_without_mates_is_an_error_and_some_a_warning():
    with pytest.raises(ValueError, match=r"no participant has two.*each with a group of its own"):
        small().fit(X, groups=np.arange(len(X)))
    lonely = np.where(np.arange(len(X)) == 5, "hermit", groups)
    with pytest.warns(UserWarning, match="1 of 24 windows are the only ones of their participant"):
        small(max_epochs=1).fit(X, groups=lonely)


# ---------------------------------------------------------------------------------- the learner


def test_the_loss_is_written_down_and_falls():
    history = small(max_epochs=15, lr=3e-3).fit(X, groups=groups).history_
    assert [h["epoch"] for h in history] == list(range(1, 16))
    assert history[-1]["train_loss"] < 0.9 * history[0]["train_loss"]


@pytest.mark.parametrize("sampler", ["mates", "participants"])
def test_sessions_change_what_is_learnt(sampler):
    plain = small(sampler=sampler, max_epochs=1).fit(X, groups=groups)
    hours = small(sampler=sampler, max_epochs=1).fit(X, groups=groups, session=np.arange(len(X)) // 4)
    assert not np.array_equal(weights(plain), weights(hours))


def test_workers_change_nothing():
    alone, helped = (small(max_epochs=2, num_workers=n).fit(X, groups=groups) for n in (0, 1))
    assert_array_equal(weights(alone), weights(helped))


def test_half_precision_learns_nearly_the_same():
    plain, half = (small(precision=p, max_epochs=2).fit(X, groups=groups) for p in ("float32", "bfloat16"))
    assert abs(plain.history_[-1]["train_loss"] - half.history_[-1]["train_loss"]) < 0.1
    a, b = plain.transform(X), half.transform(X)
    assert a.dtype == b.dtype == np.float32
    assert ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() > 0.99


def test_early_stopping_watches_participants_held_out():
    class Worse(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("valid_loss", float(len(net.history)))

    stopping = EarlyStopping(patience=2, sink=lambda text: None)
    encoder = small(max_epochs=9, validation_fraction=0.34, callbacks=[Worse(), stopping])
    assert len(encoder.fit(X, groups=groups).history_) == 3
    assert stopping.misses_ == 0, "the callback that was passed was used, and not a copy"
    own = small(max_epochs=2, validation_fraction=0.34).fit(X, groups=groups)
    assert all(np.isfinite(h["valid_loss"]) for h in own.history_)


def test_validation_sees_the_same_batches_each_time_and_nobody_that_is_trained_on():
    seen = {True: [], False: []}

    class Watch(Callback):
        def on_batch_begin(self, net, batch, training, **kwargs):
            seen[training].append(batch[0]["mates"].numpy().copy())

    small(max_epochs=2, validation_fraction=0.34, callbacks=[Watch()]).fit(X, groups=groups)
    assert_array_equal(*seen[False])
    assert not np.array_equal(seen[True][0], seen[True][2])
    of = [{window.tobytes() for batch in seen[t] for window in batch.reshape(-1, 3, 256)} for t in (True, False)]
    assert not of[0] & of[1]


def test_the_distance_does_not_see_who_is_held_out():
    held = RelConDistance(dim=8, kernel=5, bottleneck=2, max_epochs=1, device="cpu")
    encoder = small(distance=held, max_epochs=1, validation_fraction=0.34).fit(X, groups=groups)
    assert encoder.distance_.training_["n_windows"] == 16 and encoder.distance_.training_["n_participants"] == 2


def test_a_fraction_above_nothing_holds_out_somebody():
    history = small(max_epochs=1, validation_fraction=0.01).fit(X, groups=groups).history_
    assert "valid_loss" in history[0]
    with pytest.raises(ValueError, match="monitors valid_loss, and nothing is held out"):
        small(callbacks=[EarlyStopping()]).fit(X, groups=groups)


def test_a_distance_learns_in_half_precision_too():
    full = clone(DISTANCE).set_params(random_state=0)
    half = clone(full).set_params(precision="bfloat16")
    losses = [d.fit(X).history_[-1]["train_loss"] for d in (half, full)]
    assert abs(losses[0] / losses[1] - 1) < 0.05


def test_threads_do_not_disturb_one_another():
    from joblib import Parallel, delayed

    alone = weights(small(max_epochs=1).fit(X, groups=groups))
    jobs = [delayed(lambda: weights(small(max_epochs=1).fit(X, groups=groups)))() for _ in range(3)]
    for together in Parallel(n_jobs=3, backend="threading")(jobs):
        assert_array_equal(together, alone)


def test_a_schedule_changes_the_rate():
    rates = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    halving = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    encoder = small(callbacks=[halving, Watch()]).fit(X, groups=groups)
    np.testing.assert_allclose(rates, encoder.lr * 0.5 ** np.arange(1, 5))


def test_a_loss_that_is_no_number_stops_training_and_says_why():
    encoder = small(lr=1e30)
    with pytest.raises(ValueError, match=r"loss became (nan|inf) in epoch \d.*Lower lr \(now 1e\+30\)"):
        encoder.fit(X, groups=groups)
    with pytest.raises(NotFittedError):
        encoder.transform(X)


def test_no_epochs_is_an_untrained_net_at_once():
    with pytest.warns(UserWarning, match="max_epochs=0 and no weights"):
        encoder = small(max_epochs=0, distance=None).fit(X, groups=groups)
    assert encoder.history_ == [] and encoder.transform(X).shape == (24, 4)


def test_seeds_hold_inside_and_leave_outside_alone(generators_untouched):
    with seeded(3):
        first = torch.rand(2)
    with seeded(3):
        assert torch.equal(first, torch.rand(2))


def test_devices_that_are_not_there_are_named():
    assert find_device("auto") in ("cpu", "cuda")
    with pytest.raises(ValueError, match="device='tpu' is not to be had.*\"cpu\""):
        find_device("tpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_nearly_what_the_cpu_gives():
    cpu, gpu = (small(device=d).fit(X, groups=groups).transform(X) for d in ("cpu", "cuda"))
    np.testing.assert_allclose(cpu, gpu, rtol=0.05, atol=0.05)


# ---------------------------------------------------------------------------------- stopped and taken up again


class Stop(Callback):
    """A person's Ctrl-C in the middle of the epoch that `at` names."""

    at = None

    def on_batch_end(self, net, training, **kwargs):
        if len(net.history) == Stop.at and len(net.history[-1]["batches"]) == 2:
            raise KeyboardInterrupt


CALLBACKS = {
    "none": [],
    "a schedule": [LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=4)],
    "a schedule by batch": [
        LRScheduler(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.01, total_steps=12, step_every="batch")
    ],
    "early stopping": [EarlyStopping(monitor="train_loss", patience=2, load_best=True, sink=lambda text: None)],
}


@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("callbacks", CALLBACKS.values(), ids=CALLBACKS)
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tmp_path, callbacks, at, monkeypatch):
    whole = small(callbacks=callbacks).fit(X, groups=groups)
    callbacks = [*callbacks, Stop()]
    monkeypatch.setattr(Stop, "at", at)
    stopped = small(callbacks=callbacks, checkpoint_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X, groups=groups)
    with pytest.raises(NotFittedError):
        stopped.transform(X)
    monkeypatch.setattr(Stop, "at", None)
    again = small(callbacks=callbacks, checkpoint_dir=tmp_path).fit(X, groups=groups)
    assert_array_equal(weights(again), weights(whole))
    assert [h["train_loss"] for h in again.history_] == [h["train_loss"] for h in whole.history_]
    finished = small(callbacks=callbacks, checkpoint_dir=tmp_path).fit(X, groups=groups)
    assert_array_equal(weights(finished), weights(whole))


OFTEN = pytest.param(tuple(np.random.default_rng(0).uniform(0.02, 1.2, 30)), marks=pytest.mark.slow, id="30 times")


@pytest.mark.parametrize("moments", [pytest.param((0.05, 0.5, 0.9), id="3 times"), OFTEN])
def test_a_run_killed_at_any_moment_is_taken_up_in_a_new_process(tmp_path, moments):
    """SIGKILL at moments in seconds after the data are there; then the same line to its end."""
    script = tmp_path / "pretrain.py"
    script.write_text(
        textwrap.dedent("""
        import sys, numpy as np, torch
        torch.set_num_threads(1)
        from wearembed import RelConDistance, RelConEncoder, datasets
        motion = datasets.make_motion(n_participants=3, n_windows=8, random_state=0)
        encoder = RelConEncoder(4, (1,), (3,), distance=RelConDistance(dim=8, kernel=5, bottleneck=2, max_epochs=6),
                                mates=3, max_epochs=12, batch_size=8, device="cpu", checkpoint_dir=sys.argv[1])
        print("ready", flush=True)
        encoder.fit(motion.data, groups=motion.groups)
        np.save(sys.argv[2], encoder.transform(motion.data))
        """)
    )
    run = [sys.executable, str(script), "state", "Z.npy"]
    for wait in moments:
        process = subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.PIPE)
        process.stdout.readline()
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    subprocess.run(run, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    seed = json.loads((tmp_path / "state" / "run.json").read_text())["seed"]
    assert not [f for f in (tmp_path / "state").iterdir() if f.name.startswith(".")]
    distance = RelConDistance(dim=8, kernel=5, bottleneck=2, max_epochs=6)
    generator = FixedSeed(seed)
    whole = RelConEncoder(4, (1,), (3,), distance=distance, mates=3, max_epochs=12, batch_size=8, device="cpu")
    whole.set_params(random_state=generator).fit(X, groups=groups)
    assert_array_equal(np.load(tmp_path / "Z.npy"), whole.transform(X))


class FixedSeed(np.random.RandomState):
    """Draws the seed that a run without one has drawn and kept."""

    def __init__(self, seed):
        super().__init__(0)
        self.seed_ = seed

    def randint(self, *args, **kwargs):
        return self.seed_


def test_other_data_or_parameters_are_not_taken_up(tmp_path):
    small(checkpoint_dir=tmp_path, max_epochs=1).fit(X, groups=groups)
    with pytest.raises(ValueError, match="other data or parameters.*another checkpoint_dir"):
        small(checkpoint_dir=tmp_path, max_epochs=1).fit(X + 0.5, groups=groups)
    with pytest.raises(ValueError, match="other data or parameters"):
        small(checkpoint_dir=tmp_path, max_epochs=1, temperature=0.2).fit(X, groups=groups)
    with pytest.raises(ValueError, match="other data or parameters"):
        small(checkpoint_dir=tmp_path, max_epochs=1, callbacks=CALLBACKS["a schedule"]).fit(X, groups=groups)
    longer = small(checkpoint_dir=tmp_path, max_epochs=2).fit(X, groups=groups)
    assert len(longer.history_) == 2


def test_another_fitted_distance_is_not_taken_up_and_none_is_changed(tmp_path):
    one, two = (clone(DISTANCE).set_params(random_state=seed).fit(X) for seed in (0, 1))
    before = two.pairwise(X[:4])
    small(distance=one, checkpoint_dir=tmp_path, max_epochs=1).fit(X, groups=groups)
    with pytest.raises(ValueError, match="other data or parameters"):
        small(distance=two, checkpoint_dir=tmp_path, max_epochs=2).fit(X, groups=groups)
    assert_array_equal(two.pairwise(X[:4]), before)
    assert all(p.requires_grad for p in one.net_.parameters())


def test_damaged_state_is_an_error_that_names_the_file(tmp_path):
    small(checkpoint_dir=tmp_path, max_epochs=1).fit(X, groups=groups)
    state = tmp_path / "checkpoint.pt"
    state.write_bytes(state.read_bytes()[:500])
    with warnings.catch_warnings(), pytest.raises(ValueError, match=r"checkpoint\.pt is damaged.*Delete it"):
        small(checkpoint_dir=tmp_path, max_epochs=1).fit(X, groups=groups)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        small(checkpoint_dir=tmp_path, max_epochs=1).fit(X, groups=groups)
