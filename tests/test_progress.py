"""How far training and embedding are, as terminals, notebooks and logs are told."""

import io
import re
import sys
from contextlib import redirect_stderr
from types import SimpleNamespace

import numpy as np

from wearembed import RelConDistance, RelConEncoder, SimCLREncoder, WindowStore
from wearembed.datasets import make_motion
from wearembed.progress import Progress, is_watched

RUN = {"batch_size": 8, "device": "cpu", "random_state": 0}
MOTION = make_motion(n_participants=2, n_windows=8, random_state=0)
X, groups = MOTION.data, MOTION.groups


class Terminal(io.StringIO):
    def isatty(self):
        return True


def small(**parameters):
    return SimCLREncoder(4, (1,), (3,), **RUN, **parameters)


def test_nothing_is_told_unless_it_is_asked_for(capsys):
    small(max_epochs=2).fit(X, groups=groups).transform(X)
    assert capsys.readouterr() == ("", "")


def test_a_log_has_a_whole_line_an_epoch_and_nothing_is_written_over(capsys):
    small(max_epochs=3, validation_fraction=0.5, verbose=1).fit(X, groups=groups)
    out, err = capsys.readouterr()
    assert out == "" and "\r" not in err and "\x1b" not in err
    lines = err.splitlines()
    pattern = r"SimCLREncoder: epoch {} of 3, train_loss [\d.]+, valid_loss [\d.]+, [\d.e-]+ s"
    assert len(lines) == 3 and all(re.fullmatch(pattern.format(n + 1), line) for n, line in enumerate(lines))


def test_a_log_tells_the_distance_from_the_encoder(capsys):
    distance = RelConDistance(dim=8, kernel=5, bottleneck=2, max_epochs=1, verbose=1, **RUN)
    RelConEncoder(4, (1,), (3,), distance=distance, mates=3, max_epochs=1, verbose=1, **RUN).fit(X, groups=groups)
    names = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert names == ["RelConDistance", "RelConEncoder"]


def test_a_log_of_training_that_is_taken_up_goes_on_counting(capsys, tmp_path):
    small(max_epochs=1, checkpoint_dir=tmp_path, verbose=1).fit(X, groups=groups)
    small(max_epochs=2, checkpoint_dir=tmp_path, verbose=1).fit(X, groups=groups)
    first, second = capsys.readouterr().err.splitlines()
    assert "epoch 1 of 1" in first and "epoch 2 of 2" in second


def test_a_terminal_has_a_bar_and_a_line_an_epoch():
    with redirect_stderr(Terminal()) as terminal:
        small(max_epochs=2, verbose=1).fit(X, groups=groups)
    shown = terminal.getvalue()
    assert "\r" in shown and "100%" in shown
    assert len(re.findall(r"SimCLREncoder: epoch \d of 2, train_loss", shown)) == 2


def test_a_bar_ends_where_training_does_however_many_batches_a_sampler_makes():
    distance = RelConDistance(dim=8, kernel=5, bottleneck=2, max_epochs=1, **RUN)
    encoder = RelConEncoder(4, (1,), (3,), distance=distance, mates=1, sampler="participants", max_epochs=2, **RUN)
    with redirect_stderr(Terminal()) as terminal:
        encoder.set_params(verbose=1, batch_size=3).fit(X, groups=groups)
    assert "100%" in terminal.getvalue().rsplit("\r", 1)[-1]


def test_transform_of_many_windows_tells_each_tenth(capsys, tmp_path):
    encoder = small(max_epochs=1).fit(X[..., :64], groups=groups).set_params(verbose=1)
    store = WindowStore.create(tmp_path / "store", n_channels=3, n_times=64, sfreq=100, units="g")
    store.append(np.tile(X[..., :64], (125, 1, 1)), participant="P01")
    encoder.transform(store)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10 and lines[-1] == "SimCLREncoder.transform: 2,000 of 2,000 windows"
    encoder.transform(X[..., :64])
    assert capsys.readouterr().err == "", "a few windows are not worth a word"


def test_transform_of_many_windows_has_a_bar_in_a_terminal():
    encoder = small(max_epochs=1).fit(X[..., :64], groups=groups).set_params(verbose=1)
    with redirect_stderr(Terminal()) as terminal:
        encoder.transform(np.tile(X[..., :64], (125, 1, 1)))
    assert "2000/2000" in terminal.getvalue() and "windows" not in terminal.getvalue()


def test_a_notebook_is_watched_and_a_file_is_not(monkeypatch):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    with redirect_stderr(io.StringIO()):
        assert not is_watched()
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
        assert is_watched()
        shell.config.clear()  # IPython in a terminal, whose output goes into a file
        assert not is_watched()


def test_a_process_without_standard_error_is_not_harmed():
    with redirect_stderr(None), Progress("nobody", 2, "step") as progress:
        progress.reach(1)
        progress.say("halfway")
