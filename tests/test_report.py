"""The page about a run of embed: one file, well-formed, that asks for nothing else; opened in Chromium if there is."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from wearembed import SimCLREncoder, datasets
from wearembed.__main__ import main
from wearembed.commands.drawing import along, runs, state, ticks
from wearembed.commands.quality import BINS, facts
from wearembed.recordings import Recording

VOID = {"meta", "rect", "circle", "br", "link"}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NASTY = "<script>alert(1)</script> & co"
HOUR = 3600


def hours(n, seed=0, sfreq=20, start="2026-03-01 08:00", off=(), **kwargs):
    """A recording of so many hours; `off` are hours in which it lies on a table."""
    motion = datasets.make_motion(n_participants=1, n_windows=60, random_state=seed)
    signal = np.tile(np.concatenate(list(motion.data), axis=1)[:, ::5], (1, 400))[:, : int(n * HOUR * sfreq)]
    t = np.arange(signal.shape[1]) / sfreq
    for begin, end in off:
        signal[:, (t >= begin * HOUR) & (t < end * HOUR)] = [[0.0], [0.0], [1.0]]
    return Recording(signal, sfreq, "P01", "g", start=start, **kwargs)


def write_csv(file, recording, rows=slice(None)):
    t = pd.to_timedelta(np.arange(recording.signal.shape[1]) / recording.sfreq, unit="s")
    table = pd.DataFrame(dict(zip("xyz", recording.signal.round(4))))
    table.insert(0, "time", recording.start + t)
    table.iloc[rows].to_csv(file, index=False)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a run with a gap, a failure, and names that are markup."""
    folder = tmp_path_factory.mktemp("run")
    motion = datasets.make_motion(2, 6, random_state=0)
    encoder = SimCLREncoder(width=4, blocks=(1, 1), kernels=(3, 3), max_epochs=1, device="cpu", random_state=0)
    encoder.fit(motion.data).save_pretrained(folder / "weights", synthetic=True, description="By <b>hand</b>.")
    recording = hours(0.25)
    write_csv(folder / "first.csv", recording, np.r_[0:4000, 12000:18000])
    write_csv(folder / "second & last.csv", hours(0.1, seed=1))
    (folder / "broken.csv").write_text("<i>no recording</i>\n")
    files = [str(folder / name) for name in ("first.csv", "second & last.csv", "broken.csv")]
    call = ["embed", *files, "-o", str(folder / "out.parquet"), "--weights", str(folder / "weights"), "--quiet"]
    assert main([*call, "--participant", NASTY, "--report", str(folder / "page.html")]) == 1
    return folder / "page.html"


class Reader(HTMLParser):
    """Elements that are open, those that were closed wrongly, attributes, and the text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.wrong, self.seen, self.text = [], [], [], ""

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data


@pytest.fixture
def read(page):
    reader = Reader()
    reader.feed(page.read_text())
    reader.close()
    return reader


def test_the_page_is_well_formed_and_asks_for_nothing_else(page, read):
    assert not read.open and not read.wrong
    assert not {tag for tag, _ in read.seen} & {"script", "link", "img", "iframe", "object", "embed", "a", "form"}
    named = {name for _, attributes in read.seen for name in attributes}
    assert not named & {"src", "href", "srcset", "action", "data", "xlink:href"}
    assert not {name for name in named if name.startswith("on")}
    assert not re.search(r"url\(|@import|https?:|//\w", page.read_text())


def test_names_and_errors_are_text_and_never_markup(page, read):
    assert "<script" not in page.read_text() and "<b>hand" not in page.read_text()
    for words in (NASTY, "second & last.csv", "broken.csv", "By <b>hand</b>."):
        assert words in read.text


def test_the_page_says_what_was_done_with_what(page, read):
    table = pd.read_parquet(page.with_name("out.parquet"))
    assert f"{len(table):,}" in read.text
    for words in ("Pretrained on synthetic data only.", "Not embedded", "Coverage", "Map of the embeddings"):
        assert words in read.text
    for words in ("Quality of each recording", "wearembed embed", "SimCLREncoder", "numpy", "torch"):
        assert words in read.text
    strips = [attributes for tag, attributes in read.seen if attributes.get("class") == "strip"]
    assert len(strips) == 2
    gap = [float(a["width"]) for tag, a in read.seen if tag == "rect" and a.get("class") == "gap"]
    assert sum(gap) == pytest.approx(BINS * 8 / 18, abs=1.5), "8,000 of 18,000 samples are missing from one"
    dots = [attributes for tag, attributes in read.seen if tag == "circle"]
    assert len(dots) == 2 * len(table), "each embedding in both maps"


def test_a_part_that_was_kept_is_on_the_page_as_it_was(tmp_path, page):
    folder = page.parent
    call = ["embed", str(folder / "first.csv"), "-o", str(tmp_path / "out"), "--weights", str(folder / "weights")]
    pages = [tmp_path / "one.html", tmp_path / "two.html"]
    for file in pages:
        assert main([*call, "--quiet", "--report", str(file)]) == 0
    first, second = (file.read_text() for file in pages)
    drawn = [re.findall(r"<svg.*?</svg>", text, flags=re.S) for text in (first, second)]
    assert drawn[0] and drawn[0] == drawn[1] and "kept from before" in second and "kept from before" not in first


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1200, 420])
def test_a_browser_shows_the_page_without_a_word_of_complaint(page, tmp_path, width):
    """Drawn without a network; the picture is not blank, and nothing is wider than the window."""
    probe = "<script>document.title='wide '+document.documentElement.scrollWidth</script></body>"
    copy = tmp_path / "page.html"  # with a script of the test's own, which the page's policy would forbid
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    copy.write_text(text.replace("</body>", probe))
    picture = tmp_path / "page.png"
    run = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    run += ["--hide-scrollbars", f"--window-size={width},1400", "--enable-logging=stderr"]
    done = subprocess.run([*run, f"--screenshot={picture}", page.as_uri()], capture_output=True, text=True)
    assert picture.exists(), done.stderr
    assert "CONSOLE" not in done.stderr
    pixels = pytest.importorskip("matplotlib.image").imread(picture)
    assert (
        pixels.shape[:2] == (1400, width) and len(np.unique(pixels[::7, ::7].reshape(-1, pixels.shape[2]), axis=0)) > 30
    )
    done = subprocess.run([*run, "--dump-dom", copy.as_uri()], capture_output=True, text=True)
    assert int(re.search(r"wide (\d+)", done.stdout)[1]) <= max(width, 500), "500 is the least that a window has"


# --------------------------------------------------------------------------------- what stands on it


def test_facts_of_a_recording_are_those_that_were_put_in():
    recording = hours(14, off=[(6, 9)])
    signal = recording.signal.copy()
    signal[:, int(13.3 * HOUR) * 20 : int(13.5 * HOUR) * 20] = np.nan
    signal[0] = signal[0].clip(-2, 2)
    signal[0, :500] = 2.0
    about = facts(Recording(signal, 20, "P01", "g", start=recording.start), ["a word"], nonwear=True)
    assert about["recorded"] == pytest.approx(13.8 / 14, abs=0.0005) and about["n_gaps"] == 1
    assert about["seconds"] == 14 * HOUR and about["dated"] and about["warnings"] == ["a word"]
    assert about["clipped"] == pytest.approx((np.abs(signal[0]) == 2).sum() / signal.shape[1])
    recorded, worn = (np.array(about["timeline"][name]) for name in ("recorded", "worn"))
    at = (np.arange(BINS) + 0.5) / BINS * 14  # hours
    assert recorded[at < 13].min() == 1 and (recorded[(at > 13.35) & (at < 13.45)] == 0).all()
    assert (
        worn[at < 5.7].min() == 1 and worn[(at > 7) & (at < 8.7)].max() == 0 and worn[(at > 9.5) & (at < 13)].min() == 1
    )
    assert not facts(hours(0.1, start=0), [])["dated"]


def test_a_peak_is_no_clipping_and_other_signals_have_none():
    x = np.random.default_rng(0).normal(0, 2, (3, 1000))
    assert facts(Recording(x, 20, "P", "g"), [])["clipped"] == 0
    assert facts(Recording(np.full((3, 1000), 0.5), 20, "P", "g"), [])["clipped"] == 0, (
        "at rest, and far from any range"
    )
    assert facts(Recording(x, 20, "P", "a.u."), [])["clipped"] is None


def test_gaps_of_a_clock_of_its_own_are_counted():
    times = np.concatenate([np.arange(0, 100, 0.1), np.arange(150, 200, 0.1), np.arange(230, 250, 0.1)])
    about = facts(Recording(np.ones((3, len(times))), 10, "P", "g", times=times), [])
    assert about["n_gaps"] == 2 and about["recorded"] == pytest.approx(170 / 250, abs=0.005)


def test_pieces_of_a_picture():
    assert list(runs(["a", "a", "b"])) == [("a", 0, 2), ("b", 2, 1)]
    assert [state(*pair) for pair in ((0, 1), (1, 0), (0.5, 1), (1, 1))] == ["gap", "off", "part", "worn"]
    marks, unit = ticks(26 * HOUR)
    assert unit == "hours" and [text for _, text in marks] == ["0", "5", "10", "15", "20", "25"]
    assert marks[1][0] == pytest.approx(100 * 5 / 26)
    assert along(np.array([0, 0.5, 1]), ("#000000", "#ff0000")) == ["#000000", "#800000", "#ff0000"]
