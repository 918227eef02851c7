"""The hub, end to end: the real client against a hub on this machine."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard
from loopback_hub import OWNER, READER, LoopbackHub, Repository
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import wearembed
from wearembed import FineTunedClassifier, RelConDistance, RelConEncoder, datasets

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning:httpx2", "ignore:Use 'content=:DeprecationWarning"
)

MOTION = datasets.make_motion(n_participants=2, n_windows=8, random_state=0)
X, y = MOTION.data, MOTION.target
SMALL = {"max_epochs": 1, "batch_size": 8, "device": "cpu", "random_state": 0}
TOLD = {"data": ["make_motion"], "license": "BSD-3-Clause", "synthetic": True}
FILES = ["README.md", "config.json", "model.safetensors", "reference.safetensors"]


@pytest.fixture(scope="module")
def trained():
    distance = RelConDistance(dim=8, kernel=5, bottleneck=2, **SMALL)
    return RelConEncoder(4, (1, 1), (3, 4), distance=distance, mates=3, temperature=0.3, **SMALL).fit(X)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The client reads where the hub is when it is imported, so here it is told anew; it has no token of its own."""
    with LoopbackHub().open() as server:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


@pytest.fixture
def pushed(server, trained):
    trained.push_to_hub("user/motion", token=OWNER, **TOLD)
    return server.repositories["user/motion"]


@pytest.fixture
def no_sockets(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a call went out")

    return lambda: [monkeypatch.setattr(socket.socket, name, refuse) for name in ("connect", "connect_ex", "sendto")]


# ---------------------------------------------------------------------------------- push and pull


def test_what_is_pushed_is_what_is_pulled(pushed, trained):
    loaded = RelConEncoder.from_pretrained("user/motion", device="cpu")
    assert_array_equal(loaded.transform(X), trained.transform(X))
    assert_array_equal(clone(loaded).transform(X), trained.transform(X))
    assert loaded.verify() and loaded.weights == "user/motion" and loaded.training_["license"] == "BSD-3-Clause"
    assert type(wearembed.from_pretrained("user/motion")) is RelConEncoder


def test_a_push_is_one_commit_of_four_files_and_says_where_it_is(server, trained):
    url = trained.push_to_hub("user/motion", token=OWNER, commit_message="First weights", **TOLD)
    repository = server.repositories["user/motion"]
    (commit,) = repository.commits
    assert url == f"{server.url}/user/motion/commit/{commit}" and repository.messages == ["First weights"]
    assert sorted(repository.commits[commit]) == FILES and not repository.private
    assert sum("/commit/" in path for _, path in server.asked) == 1


def test_a_dry_run_shows_to_the_byte_what_would_go_and_calls_nobody(server, trained, no_sockets):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, lambda *args: pytest.fail("a call went out"))
        upload = trained.push_to_hub("user/motion", dry_run=True, private=True, **TOLD)
    assert not server.asked and not server.repositories
    assert sorted(upload.files) == FILES and upload.sizes["config.json"] == len(upload.files["config.json"])
    shown = str(upload)
    assert "Nothing was sent" in shown and "user/motion, branch main, private" in shown
    assert all(f"{size:,}  {name}" in shown for name, size in upload.sizes.items())
    assert upload.card in shown and 'from_pretrained("user/motion")' in upload.card
    trained.push_to_hub("user/motion", token=OWNER, private=True, **TOLD)
    (sent,) = server.repositories["user/motion"].commits.values()
    assert sent == upload.files and server.repositories["user/motion"].private


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, r"license, data\. Pass license="),
        ({"license": "MIT"}, r": data\. Pass data="),
        ({"data": ["mine"]}, r": license\. Pass license="),
        ({"data": "", "license": "MIT"}, "data"),
    ],
    ids=["neither", "no data", "no licence", "an empty name"],
)
def test_nothing_is_published_without_licence_and_data(server, trained, told, message):
    for dry_run in (True, False):
        with pytest.raises(ValueError, match=f"push_to_hub publishes.*{message}"):
            trained.push_to_hub("user/motion", token=OWNER, dry_run=dry_run, **told)
    assert not server.asked


def test_names_that_are_none_and_unfitted_encoders_are_refused_before_any_call(server, trained):
    for name in ("motion", "user/motion/more", "../motion", "user/..", "/tmp/x", "", None):
        with pytest.raises(ValueError, match="repo_id is a repository of the hub, like 'user/name'"):
            trained.push_to_hub(name, **TOLD)
    with pytest.raises(ValueError, match="revision is a branch"):
        trained.push_to_hub("user/motion", revision="../../main", **TOLD)
    with pytest.raises(NotFittedError):
        RelConEncoder().push_to_hub("user/motion", **TOLD)
    assert not server.asked


def test_what_was_said_once_need_not_be_said_again(pushed, server):
    loaded = RelConEncoder.from_pretrained("user/motion", device="cpu")
    loaded.push_to_hub("user/copy", token=OWNER)
    first, second = (server.repositories[name].commits.popitem()[1] for name in ("user/motion", "user/copy"))
    assert first["model.safetensors"] == second["model.safetensors"]
    assert json.loads(first["config.json"]) == json.loads(second["config.json"])


def test_weights_trained_on_need_a_licence_anew_and_keep_the_names_of_their_data(pushed):
    on = RelConEncoder.from_pretrained("user/motion", device="cpu").set_params(max_epochs=1, batch_size=8).fit(X)
    with pytest.raises(ValueError, match="license"):
        on.push_to_hub("user/on", dry_run=True)
    upload = on.push_to_hub("user/on", license="mit", data=["mine"], dry_run=True)
    assert json.loads(upload.files["config.json"])["training"]["data"] == ["make_motion", "mine"]


def test_no_path_of_this_machine_is_published(trained, tmp_path):
    trained.save_pretrained(tmp_path / "secret-study" / "weights", **TOLD)
    loaded = RelConEncoder.from_pretrained(tmp_path / "secret-study" / "weights", device="cpu")
    on = loaded.set_params(max_epochs=1, batch_size=8).fit(X)
    upload = on.push_to_hub("user/on", license="mit", dry_run=True)
    assert not any(b"secret-study" in data for data in upload.files.values())
    assert json.loads(upload.files["config.json"])["training"]["began_from"] == "weights"


def test_every_trained_estimator_goes_there_and_back(server, trained):
    trained.distance_.push_to_hub("user/distance", token=OWNER, **TOLD)
    distance = RelConDistance.from_pretrained("user/distance", device="cpu")
    assert_array_equal(distance.pairwise(X[:3]), trained.distance_.pairwise(X[:3]))
    tuned = FineTunedClassifier(trained, **SMALL).fit(X, y)
    tuned.push_to_hub("user/tuned", token=OWNER, **TOLD)
    loaded = FineTunedClassifier.from_pretrained("user/tuned", device="cpu")
    assert_array_equal(loaded.predict_proba(X), tuned.predict_proba(X))
    assert "fine-tuned" in server.cards[-1]["tags"] and "feature-extraction" in server.cards[0]["tags"]


# ---------------------------------------------------------------------------------- revisions, tokens


def test_a_pinned_revision_stays_what_it_was(pushed, trained, server, tmp_path):
    first = pushed.branches["main"]
    other = clone(trained).set_params(random_state=1).fit(X)
    other.push_to_hub("user/motion", token=OWNER, **TOLD)
    pinned = RelConEncoder.from_pretrained("user/motion", revision=first, device="cpu")
    assert_array_equal(pinned.transform(X), trained.transform(X))
    assert pinned.revision == first and clone(pinned).verify()
    newest = RelConEncoder.from_pretrained("user/motion", device="cpu", cache_dir=tmp_path / "another")
    assert_array_equal(newest.transform(X), other.transform(X))


def test_a_branch_is_made_where_it_is_missing_and_pulled_by_name(pushed, trained):
    other = clone(trained).set_params(random_state=1).fit(X)
    other.push_to_hub("user/motion", token=OWNER, revision="wide", **TOLD)
    assert sorted(pushed.branches) == ["main", "wide"] and pushed.branches["main"] != pushed.branches["wide"]
    loaded = RelConEncoder.from_pretrained("user/motion", revision="wide", device="cpu")
    assert_array_equal(loaded.transform(X), other.transform(X))


def test_a_proposal_leaves_the_main_branch_alone(pushed, trained, server):
    before = pushed.branches["main"]
    url = trained.push_to_hub("user/motion", token=OWNER, create_pr=True, **{**TOLD, "description": "Better."})
    assert url == f"{server.url}/user/motion/discussions/1" and pushed.branches["main"] == before


def test_a_revision_that_is_not_there_or_no_revision(pushed):
    with pytest.raises(FileNotFoundError, match="RevisionNotFoundError.*check name and revision"):
        RelConEncoder.from_pretrained("user/motion", revision="v9")
    for revision in ("../../../etc", "/etc/passwd", "", "main/../x"):
        with pytest.raises(ValueError, match="revision is a commit, a tag or a branch"):
            RelConEncoder.from_pretrained("user/motion", revision=revision)


def test_a_private_repository_opens_with_a_token_alone(server, trained, tmp_path):
    trained.push_to_hub("user/secret", token=OWNER, private=True, **TOLD)
    for token in (None, False, "hf_wrong"):
        with pytest.raises(FileNotFoundError, match="RepositoryNotFoundError.*token= where the repository is private"):
            RelConEncoder.from_pretrained("user/secret", token=token)
    loaded = RelConEncoder.from_pretrained("user/secret", token=READER, device="cpu")
    assert_array_equal(loaded.transform(X), trained.transform(X))
    assert READER not in repr(loaded.__dict__) and clone(loaded).verify()  # from the cache, so without the token


def test_who_may_not_write_is_told_so(pushed, trained):
    for token in (READER, None):
        with pytest.raises(ConnectionError, match=r"did not take user/motion.*token= that may write") as error:
            trained.push_to_hub("user/motion", token=token, **TOLD)
        assert READER not in str(error.value)
    assert len(pushed.commits) == 1


# ---------------------------------------------------------------------------------- with and without a connection


def test_what_is_cached_is_read_without_any_call(pushed, trained, server, no_sockets):
    RelConEncoder.from_pretrained("user/motion")
    before = len(server.asked)
    no_sockets()
    loaded = RelConEncoder.from_pretrained("user/motion", device="cpu")
    assert_array_equal(clone(loaded).transform(X), trained.transform(X))
    assert loaded.verify() and len(server.asked) == before
    assert RelConEncoder.from_pretrained("user/motion", local_files_only=True).verify()


@pytest.mark.parametrize("how", ["forbidden", "offline mode", "no connection", "no name"])
def test_a_cold_cache_without_a_connection_names_three_ways_out(server, monkeypatch, how):
    if how == "offline mode":
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    if how == "no connection":
        server.server.server_close()
    message = (
        r"(?s)Three ways out: \(1\) let it be fetched once.*\(2\) copy a folder.*\(3\) use a bundled name: wearembed/"
    )
    with pytest.raises(FileNotFoundError, match=message):
        RelConEncoder.from_pretrained("user/motion", local_files_only=how == "forbidden")
    if how in ("forbidden", "offline mode"):
        assert not server.asked


def test_a_download_that_breaks_off_leaves_no_broken_cache(pushed, trained, server, tmp_path):
    server.cut_after = 2000  # of the first file that has as much
    with pytest.raises(FileNotFoundError, match="Three ways out"):
        RelConEncoder.from_pretrained("user/motion")
    assert server.down
    server.down, server.cut_after = False, None
    with pytest.raises(FileNotFoundError, match="Three ways out"):
        RelConEncoder.from_pretrained("user/motion", local_files_only=True)
    loaded = RelConEncoder.from_pretrained("user/motion", device="cpu")
    assert_array_equal(loaded.transform(X), trained.transform(X))
    assert loaded.verify()


def test_what_is_no_checkpoint_of_ours_is_not_downloaded(server):
    repository = server.repositories["user/other"] = Repository()
    repository.commit({"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x" * 10_000})
    with pytest.raises(ValueError, match="no checkpoint of wearembed"):
        wearembed.from_pretrained("user/other")
    assert not any("model.safetensors" in path for _, path in server.asked)


@pytest.mark.parametrize("missing", FILES)
def test_a_file_that_is_missing_there_is_named(pushed, missing):
    del pushed.commits[pushed.branches["main"]][missing]
    if missing == "README.md":
        assert RelConEncoder.from_pretrained("user/motion").verify()
    else:
        with pytest.raises(FileNotFoundError, match=missing.replace(".", r"\.")):
            RelConEncoder.from_pretrained("user/motion")


def test_a_file_that_was_changed_there_is_noticed(pushed):
    files = pushed.commits[pushed.branches["main"]]
    data = files["model.safetensors"]
    files["model.safetensors"] = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(ValueError, match="model.safetensors is not what was saved: its SHA-256 differs"):
        RelConEncoder.from_pretrained("user/motion")


@pytest.mark.parametrize("number", [0, 3, 99, "1", None])
def test_other_formats_are_refused_before_the_weights_are_fetched(pushed, server, number):
    files = pushed.commits[pushed.branches["main"]]
    files["config.json"] = json.dumps({**json.loads(files["config.json"]), "format": number}).encode()
    before = len(server.asked)
    with pytest.raises(ValueError, match=f"format {number}; this version of wearembed reads 1 and 2"):
        RelConEncoder.from_pretrained("user/motion")
    assert not any("model.safetensors" in path for _, path in server.asked[before:])


def test_files_of_other_names_are_left_where_they_are(pushed, tmp_path):
    evil = {"../../../evil.txt": b"x", "code.py": b"x", "model.pkl": b"x", "sub/model.safetensors": b"x"}
    pushed.commits[pushed.branches["main"]].update(evil)
    folder = Path(tmp_path / "cache")
    RelConEncoder.from_pretrained("user/motion")
    fetched = {path.name for path in folder.rglob("*") if path.is_symlink()}
    assert fetched == set(FILES) and not list(tmp_path.rglob("*evil*"))


# ---------------------------------------------------------------------------------- as users run it


def test_one_process_pushes_and_another_pulls(server, trained, tmp_path):
    """Where the hub is, by the environment, as users name a mirror."""
    trained.save_pretrained(tmp_path / "weights", **TOLD)
    env = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    lines = (
        "import wearembed, hashlib",
        "from wearembed.datasets import make_motion",
        "X = make_motion(n_participants=2, n_windows=8, random_state=0).data",
        f"wearembed.from_pretrained({str(tmp_path / 'weights')!r}).push_to_hub('user/motion', token={OWNER!r})",
        "encoder = wearembed.from_pretrained('user/motion', device='cpu')",
        "print(hashlib.sha256(encoder.transform(X).tobytes()).hexdigest())",
    )
    run = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[-1] == hashlib.sha256(trained.transform(X).tobytes()).hexdigest()


# ---------------------------------------------------------------------------------- the card


def test_the_card_is_one_that_the_hub_reads(server, pushed):
    card = ModelCard.load("user/motion")
    card.validate()
    assert card.data.library_name == "wearembed" and card.data.license == "bsd-3-clause"
    assert card.data.datasets == ["make_motion"]
    tags = {"wearembed", "accelerometry", "feature-extraction", "time-series", "foundation-model", "synthetic-data"}
    assert set(card.data.tags) == tags
    assert card.text.strip().startswith("**Pretrained on synthetic data only:**")
    headings = [line for line in card.text.splitlines() if line.startswith("## ")]
    assert "## Training" in headings and "## Results" in headings and "## Intended use and limits" in headings
    assert "| random_state |" in card.text and "| spent: hours |" in card.text


RESULTS = [
    {
        "dataset": "mine",
        "metric": "macro-F1",
        "value": 0.71234,
        "low": 0.65,
        "high": 0.77,
        "baseline": "untrained 0.52",
    },
    {
        "dataset": "yours",
        "metric": "mean error",
        "value": np.float64(4.5),
        "low": np.float32(4),
        "high": 5,
        "unit": "bpm",
    },
]
SOURCES = [
    {"name": "Open | walks", "source": "https://example.org/walks\n(paper)", "license": "CC-BY-4.0", "people": 20},
    {"name": "make_motion", "source": "simulated", "license": "BSD-3-Clause"},
]


@pytest.mark.parametrize("as_table", [list, pd.DataFrame], ids=["dicts", "DataFrame"])
def test_results_and_sources_stand_in_the_card_and_the_configuration(trained, as_table):
    told = {"results": as_table(RESULTS), "attribution": as_table(SOURCES), "license": "odc-by"}
    upload = trained.push_to_hub("user/motion", spent={"hours": 2.5, "device": "GPU"}, dry_run=True, **told)
    assert "| mine | macro-F1 | untrained 0.52 |  | 0.7123 (0.65 to 0.77) |" in upload.card
    assert "| yours | mean error |  | bpm | 4.5 (4 to 5) |" in upload.card
    assert "| Open \\| walks | https://example.org/walks (paper) | CC-BY-4.0 | 20 |" in upload.card
    assert "| spent: hours | 2.5 |" in upload.card
    training = json.loads(upload.files["config.json"])["training"]
    assert training["data"] == ["Open | walks", "make_motion"] and training["results"][1]["unit"] == "bpm"
    assert training["results"][0] == RESULTS[0] and len(training["attribution"]) == 2


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([{"dataset": "mine", "metric": "F1", "value": 0.7}], "lacks low, high"),
        ([{"dataset": "mine", "metric": "F1", "value": 0.7, "low": 0.8, "high": 0.6}], "low and high of an interval"),
        ([{"dataset": "mine", "metric": "F1", "value": "good", "low": 0.8, "high": 0.9}], "has a number as value"),
        ([{"dataset": "mine", "metric": "F1", "value": 0.7, "low": float("nan"), "high": 0.9}], "number|lacks"),
        ("0.7", "a DataFrame or a list of dicts"),
        ([0.7], "a DataFrame or a list of dicts"),
    ],
    ids=["no interval", "ends swapped", "a word", "nan", "text", "numbers"],
)
def test_a_result_without_an_interval_is_refused(trained, results, message):
    with pytest.raises(ValueError, match=message):
        trained.push_to_hub("user/motion", results=results, dry_run=True, **TOLD)


def test_awkward_words_do_not_break_the_card(trained):
    words = 'a "quoted": thing\n---\nlicense: none\n\x07 | \u2028 # ünïcode 🏃 {x} [y] `z`'
    told = {"data": [words], "license": "My Own: Licence", "description": words, "synthetic": False}
    card = trained.push_to_hub("user/motion", dry_run=True, **told).card
    read = ModelCard(card)
    assert read.data.license == "other" and read.data.to_dict()["license_name"] == "my-own-licence"
    assert len(read.data.datasets) == 1 and "ünïcode 🏃" in read.data.datasets[0]
    assert "Pretrained weights." in read.text and "synthetic" not in read.text.splitlines()[1].lower()


def test_results_of_weights_do_not_outlive_them(trained, tmp_path):
    trained.save_pretrained(tmp_path / "a", results=RESULTS, **TOLD)
    loaded = RelConEncoder.from_pretrained(tmp_path / "a", device="cpu")
    assert len(loaded.training_["results"]) == 2
    loaded.set_params(max_epochs=1, batch_size=8).fit(X).save_pretrained(tmp_path / "b")
    assert "0.7123" not in (tmp_path / "b" / "README.md").read_text()


def test_where_embeddings_lay_is_stored_as_mean_and_deviation(trained, tmp_path):
    trained.save_pretrained(tmp_path / "a", windows=X, **TOLD)
    loaded = RelConEncoder.from_pretrained(tmp_path / "a", device="cpu")
    Z, stored = trained.transform(X), loaded.drift_reference()
    np.testing.assert_allclose(stored["mean"], Z.mean(0), rtol=1e-5)
    np.testing.assert_allclose(stored["deviation"], Z.std(0), rtol=1e-5)
    loaded.save_pretrained(tmp_path / "b")
    assert_array_equal(RelConEncoder.from_pretrained(tmp_path / "b").drift_reference()["mean"], stored["mean"])
    with pytest.raises(ValueError, match=r"An estimator without weights stores no mean.*windows=X"):
        trained.drift_reference()
    with pytest.raises(ValueError, match="RelConDistance gives none"):
        trained.distance_.save_pretrained(tmp_path / "c", windows=X)
