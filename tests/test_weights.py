"""All weights that come with the package: whole, small, told of, and worth what their cards say."""

import json
import re
import runpy
import socket
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import wearembed
from wearembed import datasets, hub, signals

ROOT = Path(__file__).parent.parent
NAMES = hub.bundled()
HEART = {  # data sets of the cards, as the cards name them: simulator, sensor
    "make_ppg_accel(pulse=2, motion=0)": (partial(datasets.make_ppg_accel, pulse=2.0, motion=0.0), "accel"),
    "make_ppg_accel": (datasets.make_ppg_accel, "ppg"),
    "make_ecg": (datasets.make_ecg, "data"),
}


def folder_of(name):
    return hub.BUNDLED / name.removeprefix("wearembed/")


def config_of(name):
    return json.loads((folder_of(name) / "config.json").read_text())


def card_of(name):
    return (folder_of(name) / "README.md").read_text()


def results_of(name):
    return config_of(name)["training"].get("results", [])


@cache
def loaded(name):
    return wearembed.from_pretrained(name, device="cpu")


@cache
def people(dataset, n, seed):
    """Windows of simulated people as the studies prepare them, their heart rate and names."""
    simulate, sensor = HEART[dataset]
    told = {"n_ppg_channels": 1} if "ppg" in dataset else {}
    made = simulate(n, 5, random_state=seed, **told)
    if sensor == "accel":
        X = signals.bandpass(made.accel, made.sfreq, 0.5, 20)
    else:
        X = (signals.prepare_ppg if sensor == "ppg" else signals.prepare_ecg)(made[sensor], made.sfreq)
    return X.astype(np.float32), made.heart_rate


def told(name, dataset, model):
    """The card's row for the heart rate of simulated people."""
    rows = [r for r in results_of(name) if r["dataset"] == dataset and r["metric"].startswith("heart rate")]
    return next((row for row in rows if row.get("model") == model), None)


def claims():
    """Names and simulated sets whose card says that heart rate is told better than by the mean."""
    for name in NAMES:
        for dataset in HEART:
            ours, mean = (told(name, dataset, model) for model in ("these weights", "mean of the training people"))
            if ours and mean and ours["high"] < mean["low"]:
                yield name, dataset


# ---------------------------------------------------------------------------------- whole and small


def test_the_names_that_are_promised_are_there():
    kinds = ("accel-distilled-synthetic", "ppg-contrastive-synthetic", "ecg-contrastive-synthetic", "relcon-synthetic")
    assert {f"wearembed/{kind}" for kind in (*kinds, "accel-distilled-open")} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_weights_load_by_name_without_a_network_and_are_what_was_saved(name, monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("a call went out")

    for call in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, call, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.chdir(tmp_path)  # no folder of that name lies about
    assert wearembed.from_pretrained(name, device="cpu", cache_dir=tmp_path).verify()


def test_weights_are_small_enough_to_ship():
    sizes = {name: sum(file.stat().st_size for file in folder_of(name).iterdir()) for name in NAMES}
    assert max(sizes.values()) < 4e6 and sum(sizes.values()) < 16e6, sizes


@pytest.mark.parametrize("name", NAMES)
def test_weights_embed_simulated_windows_of_their_sensor(name):
    encoder = loaded(name)
    contract = encoder.contract_
    how = {"n_participants": 2, "n_windows": 3, "seconds": contract.n_times / contract.sfreq, "sfreq": contract.sfreq}
    modality = encoder._modality()
    if modality == "accelerometry":
        X = datasets.make_motion(**how, random_state=3).data
    elif modality == "ppg":
        X = datasets.make_ppg_accel(n_ppg_channels=1, random_state=3, **how).ppg
    else:
        X = datasets.make_ecg(**how, random_state=3).data
    Z = encoder.transform(X)
    assert Z.shape == (6, len(encoder.get_feature_names_out())) and np.isfinite(Z).all()
    assert np.linalg.matrix_rank(Z - Z.mean(0), tol=1e-3 * np.abs(Z).max()) > 1  # windows differ, in more than one way


# ---------------------------------------------------------------------------------- told of


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_synthetic_in_its_first_line_exactly_where_it_is(name):
    first = card_of(name).split("---\n")[2].strip().splitlines()[0].lower()
    synthetic = config_of(name)["training"].get("synthetic", False)
    assert ("synthetic" in first) == synthetic == ("synthetic" in repr(loaded(name)).splitlines()[-1].split("#")[-1])
    assert synthetic == name.endswith("-synthetic")


@pytest.mark.parametrize("name", NAMES)
def test_a_card_names_licence_data_and_whose_they_are(name):
    training = config_of(name)["training"]
    assert training["license"] and training["data"]
    if not training.get("synthetic"):
        assert training["attribution"]
        assert all(source["name"] in training["data"] and source["license"] for source in training["attribution"])
        assert all(source["source"] in card_of(name) for source in training["attribution"])


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_that_made_weights_are_of_this_repository(name):
    scripts = re.findall(r"python (examples/\w+\.py)", config_of(name)["training"]["description"])
    assert scripts and all((ROOT / script).exists() for script in scripts)


@pytest.mark.parametrize("name", NAMES)
def test_results_stand_on_the_card_with_their_intervals(name):
    rows = results_of(name)
    assert rows, f"the card of {name} has no results"
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    assert any(row["low"] < row["high"] for row in rows)
    card = card_of(name)
    assert all(f"{row['value']:.4g} ({row['low']:.4g} to {row['high']:.4g})" in card for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_on_a_card_leads_to_somebody_s_machine(name):
    text = card_of(name) + (folder_of(name) / "config.json").read_text()
    assert not re.search(r"(/tmp|/home|/root|/work|/Users)/", text)


@pytest.fixture(scope="module")
def page():
    return runpy.run_path(str(ROOT / "docs/conf.py"))["page_of_models"]()


def test_the_page_of_models_is_of_the_cards_that_are_there(page):
    assert (ROOT / "docs/models.md").read_text() == page, "build the pages, or run docs/conf.py's page_of_models"


def test_the_page_of_models_says_of_each_what_its_card_says(page):
    lines = [line for line in page.splitlines() if line.startswith("|")]
    for name in NAMES:
        (line,) = [line for line in lines if f"`{name}`" in line]
        assert ("| yes |" in line) == name.endswith("-synthetic")
        if results_of(name):
            first = results_of(name)[0]
            assert f"{first['value']:.4g} ({first['low']:.4g} to {first['high']:.4g})" in line
        assert f"## {name}" in page


# ---------------------------------------------------------------------------------- worth what the cards say


def test_cards_claim_the_heart_rate_of_simulated_people():
    claimed = {name for name, _ in claims()}
    assert "wearembed/accel-distilled-synthetic" in claimed, "of which the test below is about"


@pytest.mark.parametrize(("name", "dataset"), list(claims()))
def test_embeddings_tell_the_heart_rate_of_people_whom_nobody_has_seen(name, dataset):
    (X, y), (X_new, y_new) = people(dataset, 60, 101), people(dataset, 30, 102)
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13))).fit(loaded(name).transform(X), y)
    error = np.abs(ridge.predict(loaded(name).transform(X_new)) - y_new).mean()
    by_mean = np.abs(y.mean() - y_new).mean()
    ours, mean = (told(name, dataset, model)["value"] for model in ("these weights", "mean of the training people"))
    assert 1 - error / by_mean > (1 - ours / mean) / 2  # half of the gain that is claimed, with fewer windows
