"""What an editor knows of a user's script: mypy reads it as any other package's types are read."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """\
from typing import assert_type

import numpy as np
import pandas as pd

from wearembed import (
    DistilledAccelEncoder,
    FineTunedClassifier,
    HandmadeFeatures,
    Recording,
    RecordingEncoder,
    RelConDistance,
    RelConEncoder,
    WindowStore,
    cut,
)
from wearembed.datasets import make_ecg, make_motion, make_ppg_accel

motion = make_motion(n_participants=2)
assert_type(motion.data, np.ndarray)
assert_type(motion.sfreq, float)
assert_type(motion.channel_names, list[str])
assert_type(make_ecg().heart_rate, np.ndarray)
assert_type(make_ppg_accel().ppg, np.ndarray)

encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
assert_type(encoder, RelConEncoder)
assert_type(encoder.transform(motion.data), np.ndarray)
assert_type(encoder.fit(motion.data, groups=motion.groups), RelConEncoder)
assert_type(encoder.untrained(random_state=0), RelConEncoder)
assert_type(encoder.save_pretrained("folder"), RelConEncoder)
assert_type(encoder.verify(), bool)
assert_type(encoder.contract_.seconds, float)
assert_type(encoder.history_, list[dict])
assert_type(encoder.get_feature_names_out(), np.ndarray)
assert_type(RelConDistance().fit(motion.data).pairwise(motion.data), np.ndarray)
assert_type(DistilledAccelEncoder().fit(motion.data, paired=motion.data), DistilledAccelEncoder)
assert_type(FineTunedClassifier(encoder).fit(motion.data, motion.target), FineTunedClassifier)
assert_type(FineTunedClassifier(encoder).predict_proba(motion.data), np.ndarray)
assert_type(HandmadeFeatures().fit(motion.data).transform(motion.data), np.ndarray)

recording = Recording(np.zeros((3, 1000)), sfreq=100, participant="P01", units="g")
assert_type(recording.duration, float)
assert_type(RecordingEncoder(encoder).transform([recording]), pd.DataFrame)
X, index = cut([recording], seconds=2.56, sfreq=100)
assert_type(WindowStore("folder").shape, tuple[int, int, int])
"""
# A misspelt method is not found: scikit-learn has no types, so mypy lets its classes have any attribute.
WRONG = """
motion.sfreq.upper()
encoder.verify() + "yes"
"""


@pytest.mark.slow
def test_a_users_script_has_types(tmp_path):
    """A minute, most of which mypy spends on torch."""
    pytest.importorskip("mypy", reason="mypy is in the extra dev")
    (tmp_path / "right.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text(SCRIPT + WRONG)
    right, wrong = (checked(tmp_path, name) for name in ("right.py", "wrong.py"))
    assert right.returncode == 0, right.stdout + right.stderr
    n_lines = len(SCRIPT.splitlines())
    found = [line for line in wrong.stdout.splitlines() if ": error:" in line]
    assert [int(line.split(":")[1]) for line in found] == [n_lines + 2, n_lines + 3], wrong.stdout


def checked(folder, name):
    """What mypy says; the package's own errors are not looked for."""
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent"]
    command += ["--config-file=", f"--cache-dir={folder}/cache", name]
    told = {"MYPYPATH": str(Path(__file__).parent.parent), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True)
