"""A killed and restarted run leaves no incomplete file and repeats no finished work."""

import signal
import subprocess
import sys
import time

import cv2
from conftest import ROOT
from films_on_disk import write_films

from knee_attention.films.image_files import read_image


def test_split_knees_is_killed_and_goes_on(tmp_path):
    films, out = tmp_path / "films", tmp_path / "knees"
    write_films(films, 4)
    large = cv2.resize(read_image(films / "S000.png"), (3000, 2400))
    for index in range(12):
        cv2.imwrite(str(films / f"large{index:02d}.png"), large)
    command = [sys.executable, ROOT / "data_prep" / "split_knees.py", films, out, "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(list(out.glob("large*.png"))) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    time.sleep(0.5)  # the workers need time to notice
    finished = {path: path.stat().st_mtime_ns for path in out.glob("[!.]*.png")}
    assert 6 <= len(finished) < 32
    assert all(read_image(path).shape == (320, 224) for path in finished)
    journal = (out / ".journal.jsonl").read_text()

    subprocess.run(command, check=True, capture_output=True)
    assert len(list(out.glob("[!.]*.png"))) == 32
    assert not [path for path in out.glob(".*") if path.name != ".journal.jsonl"]
    kept = [path for path in finished if path.name in journal]
    assert kept and all(path.stat().st_mtime_ns == finished[path] for path in kept)


def test_help_is_instant():
    for script in sorted((ROOT / "data_prep").glob("*.py")):
        command = [sys.executable, "-X", "importtime", script, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
        assert not loaded & {"keras", "tensorflow", "cv2", "pandas", "numpy", "pydicom"}
