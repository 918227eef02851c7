"""What a notebook shows of an encoder, and that to be shown loads nothing."""

import re
from html.parser import HTMLParser

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import wearembed
from wearembed import (
    FineTunedClassifier,
    HandmadeFeatures,
    RecordingEncoder,
    RelConEncoder,
    SimCLREncoder,
    TorchEncoder,
    from_pretrained,
)
from wearembed.datasets import make_motion
from wearembed.encoders.pretrained import Pretrained

MOTION = make_motion(n_participants=2, n_windows=8, random_state=0)
BUNDLED = "wearembed/relcon-synthetic"


def small(**parameters):
    return SimCLREncoder(
        4, (1,), (3,), **{"max_epochs": 1, "batch_size": 8, "device": "cpu", "random_state": 0} | parameters
    )


class Text(HTMLParser):
    """What a browser shows, and which tags made it."""

    def __init__(self, page):
        super().__init__()
        self.pieces, self.tags, self.hidden = [], [], 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.hidden += tag in ("style", "script")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("style", "script")

    def handle_data(self, data):
        self.pieces += [] if self.hidden else [data]

    def __str__(self):
        return re.sub(r"\s+", " ", " ".join(self.pieces))


def shown(estimator):
    return str(Text(estimator._repr_mimebundle_()["text/html"]))


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("something was loaded only to be shown")

    monkeypatch.setattr(Pretrained, "_load", refuse)
    monkeypatch.setattr(Pretrained, "_take", refuse)
    monkeypatch.setattr(wearembed.hub, "load", refuse)


def test_an_unfitted_encoder_says_what_it_waits_for():
    told = shown(small(units="m/s^2"))
    assert "any, at 100 Hz in m/s^2" in told and "none yet: fit trains them" in told
    assert "SYNTHETIC" not in told and "UNTRAINED" not in told


def test_a_fitted_encoder_shows_its_contract_weights_and_parameters():
    encoder = small().fit(MOTION.data, groups=MOTION.groups)
    told = shown(encoder)
    n_parameters = sum(p.numel() for p in encoder.net_.parameters())
    for fact in (
        "3 channels of 256 samples",
        "100 Hz, 2.56 s a window",
        "none: windows are taken as they are",
        "trained here on 16 windows of 2 participants, 1 epoch",
        f"parameters {n_parameters:,}",
        "4 numbers a window",
    ):
        assert fact in told, fact
    assert "is converted" not in told
    assert "at 50 Hz in m/s^2, and is converted" in shown(encoder.set_params(sfreq=50, units="m/s^2"))


def test_the_synthetic_flag_is_loud_in_the_caption_and_in_a_banner():
    page = from_pretrained(BUNDLED)._repr_mimebundle_()["text/html"]
    assert str(Text(page)).count("SYNTHETIC: pretrained on simulated data only") == 2
    assert re.search(r'class="wearembed-warning"[^>]*background:#b00020', page)
    assert "standardise" not in str(Text(page)) and f"{BUNDLED}, loaded" in str(Text(page))


def test_an_untrained_net_is_loud_too():
    assert "UNTRAINED: random weights" in shown(small().untrained(0, n_channels=3, n_times=256))


def test_a_net_that_standardises_says_so():
    assert "to mean 0 and deviation 1, by the encoder" in shown(from_pretrained("wearembed/ppg-contrastive-synthetic"))


def test_named_weights_are_described_by_their_configuration_and_stay_where_they_are(nothing_is_loaded):
    encoder = RelConEncoder(weights=BUNDLED, max_epochs=0)
    before = set(vars(encoder))
    told = shown(encoder)
    assert f"{BUNDLED}, not loaded yet" in told and "SYNTHETIC" in told and "3 channels of 256 samples" in told
    assert set(vars(encoder)) == before, "to be shown leaves no trace"


def test_what_is_described_without_loading_is_what_is_loaded():
    there = shown(from_pretrained(BUNDLED))
    here = shown(RelConEncoder(weights=BUNDLED, max_epochs=0))
    for fact in (r"parameters ([\d,]+)", r"embedding (\d+ numbers)", r"rate ([^w]+)"):
        assert re.search(fact, here)[1] == re.search(fact, there)[1]


@pytest.mark.parametrize("where", ["alone", "last", "first", "recording", "fine-tuned"])
def test_weights_that_are_not_on_this_machine_are_not_asked_for(where, nothing_is_loaded):
    """Sockets to elsewhere are an error in these tests."""
    encoder = RelConEncoder(weights="somebody/elses", revision="v1", max_epochs=0)
    estimator = {
        "alone": encoder,
        "last": Pipeline([("emb", encoder)]),
        "first": Pipeline([("emb", encoder), ("clf", LogisticRegression())]),
        "recording": RecordingEncoder(encoder),
        "fine-tuned": FineTunedClassifier(weights="somebody/elses", revision="v1", max_epochs=0),
    }[where]
    told = shown(estimator)
    assert "somebody/elses at v1, not loaded yet" in told
    assert "counted once there is a net" in told


def test_damaged_weights_are_shown_as_what_they_are(tmp_path):
    small().fit(MOTION.data).save_pretrained(tmp_path / "weights")
    config = tmp_path / "weights" / "config.json"
    config.write_text(config.read_text().replace('"n_times": 256', '"n_times": "many"'))
    assert "damaged" in shown(SimCLREncoder(weights=str(tmp_path / "weights"), max_epochs=0))


def test_names_of_columns_are_still_given_to_who_asks():
    assert len(RelConEncoder(weights=BUNDLED, max_epochs=0).get_feature_names_out()) == 1024


def test_inside_a_pipeline_each_fact_is_there():
    pipeline = Pipeline([("emb", from_pretrained(BUNDLED)), ("scale", StandardScaler()), ("clf", LogisticRegression())])
    for estimator in (pipeline, pipeline.fit(MOTION.data, MOTION.target)):
        told = shown(estimator)
        assert told.count("SYNTHETIC") == 2 and "3 channels of 256 samples" in told and "StandardScaler" in told


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;b&gt;'"])
def test_what_a_user_typed_is_text_and_nothing_else(evil):
    plain = Text(HandmadeFeatures()._repr_mimebundle_()["text/html"]).tags.count("script")
    named = SimCLREncoder(weights=evil, max_epochs=0, units=evil)
    for estimator in (named, Pipeline([("emb", named)])):
        page = Text(estimator._repr_mimebundle_()["text/html"])
        assert page.tags.count("script") == plain and "img" not in page.tags
        assert evil in "".join(page.pieces)


def test_features_by_hand_and_modules_of_others_show_their_contract():
    told = shown(HandmadeFeatures().fit(MOTION.data))
    assert "3 channels of 256 samples" in told and "weights" not in told.split("Parameters")[0]
    calls = []
    assert "TorchEncoder" in shown(TorchEncoder(lambda: calls.append("loaded")))
    assert not calls, "a loader was called only to show what it loads"


def test_in_a_terminal_nothing_has_changed():
    assert repr(small()).startswith("SimCLREncoder(")
    assert "#" not in repr(small()) and "\n\n" not in repr(small())
    assert repr(from_pretrained(BUNDLED)).endswith("# pretrained on synthetic data")
