"""Values and numbers of rows in runs, beside the arrays that they stand for."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from wearembed import runs
from wearembed.runs import Rows, Runs

VALUES = st.lists(st.tuples(st.integers(-1, 3), st.integers(1, 40)), max_size=12).map(
    lambda told: np.repeat(np.array([v for v, _ in told], np.int32), [n for _, n in told])
)


@pytest.fixture(autouse=True, scope="module")
def small_pieces():
    was, runs.AT_ONCE = runs.AT_ONCE, 7
    yield
    runs.AT_ONCE = was


@given(values=VALUES, draw=st.randoms(use_true_random=False))
def test_runs_read_as_the_array_does(values, draw):
    told = Runs.of(values)
    assert_array_equal(np.asarray(told), values)
    assert np.asarray(told).dtype == values.dtype and len(told) == len(values)
    rows = np.array([draw.randrange(len(values)) for _ in range(20)] if len(values) else [], dtype=int)
    assert_array_equal(told[rows], values[rows])
    assert_array_equal(np.asarray(told.through(Rows.of(rows))), values[rows])
    assert_array_equal(np.asarray(Runs.joined([told, Runs.of(values[::-1]), told])), [*values, *values[::-1], *values])
    assert_array_equal(np.asarray(~Runs.of(values > 0)), values <= 0)
    assert_array_equal(np.asarray(pickle.loads(pickle.dumps(told))), values)


@given(values=VALUES)
def test_the_order_of_runs_is_a_stable_sort(values):
    order, place = Runs.of(values).order()
    expected = np.argsort(values, kind="stable")
    assert_array_equal(np.asarray(order), expected)
    assert_array_equal(np.asarray(place), np.argsort(expected))
    rows = np.arange(len(values))
    assert_array_equal(order[place[rows]], rows)


@given(mask=VALUES, draw=st.randoms(use_true_random=False))
def test_rows_read_as_the_array_does(mask, draw):
    mask = mask > 0
    true = np.flatnonzero(mask)
    told = Rows.where(Runs.of(mask))
    for rows, expected in ((told, true), (Rows.of(true), true), (Rows.of(true[::-1]), true[::-1])):
        assert len(rows) == len(expected)
        assert_array_equal(np.asarray(rows), expected)
        assert all(len(some) <= runs.AT_ONCE for some in rows.pieces())
        assert_array_equal(np.concatenate([np.zeros(0, int), *rows.pieces()]), expected)
        if len(expected):
            places = np.array([draw.randrange(len(expected)) for _ in range(9)])
            assert_array_equal(rows[places], expected[places])
            assert_array_equal(np.asarray(rows.through(Rows.of(places))), expected[places])


def test_rows_may_be_more_than_the_store_that_they_are_of_has():
    """Chosen again and again, as by a bootstrap: how far a place is from its row needs 8 bytes then."""
    again = Rows.from_pieces((np.zeros(1, np.int64) for _ in range(3)), 2**31)
    assert again.shift.values.dtype == np.int64
    assert Rows.of(np.zeros(3, int)).shift.values.dtype == np.int32


def test_rows_between_are_a_range():
    assert_array_equal(np.asarray(Rows.between(3, 9)), np.arange(3, 9))
    assert len(Rows.between(4, 4)) == len(Rows.between(5, 4)) == 0


def test_words_have_runs_too():
    words = np.repeat(["P1", "P20", "P3"], [30, 40, 1])
    assert_array_equal(np.asarray(Runs.of(words)), words)
    assert Runs.of(words).values.tolist() == ["P1", "P20", "P3"]


def test_what_lies_together_takes_memory_by_its_runs_and_anything_else_as_an_array_does():
    def size(told):
        return len(pickle.dumps(told))

    together = np.repeat(np.arange(10, dtype=np.int32), 10_000)
    assert size(Runs.of(together)) < 1000 and size(Rows.of(np.flatnonzero(together % 2))) < 1000
    apart = np.random.default_rng(0).permutation(together)
    assert size(Runs.of(apart)) < 1.01 * apart.nbytes and size(Rows.of(np.argsort(apart))) < 1.01 * apart.nbytes
