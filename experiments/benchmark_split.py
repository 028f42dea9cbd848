"""Speed of split_knees.py, relative to OpenCV alone on one core."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import psutil

from knee_attention.data_prep.film_to_knees import Cutter
from knee_attention.films.image_files import read_image
from knee_attention.phantoms.film import phantom_film

SPLIT_KNEES = Path(__file__).parents[1] / "data_prep" / "split_knees.py"


def splitting_speed(films: int, workers: int) -> dict[str, float]:
    """Time data_prep/split_knees.py on 16-bit films of 2494x2048 pixels.

    Args:
        films: number of films; they are copies of six.
        workers: processes of split_knees.py.

    Returns:
        opencv_ms: time to decode a film and encode two knees with OpenCV on one core, in ms.
        film_ms: wall time per film of split_knees.py with `workers`, with its start, in ms.
        speed_up: `opencv_ms / film_ms`; the target is 0.8 x workers.
        memory_mb: memory of all processes in MB, the mean of each fifth of the run.
    """
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        source, knees = Path(folder, "films"), Path(folder, "knees")
        source.mkdir()
        for index in range(6):
            cv2.imwrite(str(source / f"{index:04d}.png"), _large_film(index))
        for index in range(6, films):
            (source / f"{index:04d}.png").hardlink_to(source / f"{index % 6:04d}.png")
        rows = Cutter(knees)(source / "0000.png")
        prepared = [read_image(knees / row["file"]) for row in rows]

        before = _opencv_alone(source, prepared)
        command = [sys.executable, SPLIT_KNEES, source, Path(folder, "out")]
        start = time.perf_counter()
        process = psutil.Popen([*command, "--workers", str(workers)], stderr=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
        memory = memory_while_running(process)
        film = (time.perf_counter() - start) / films
        opencv = (before + _opencv_alone(source, prepared)) / 2
    return {
        "opencv_ms": 1000 * opencv,
        "film_ms": 1000 * film,
        "speed_up": opencv / film,
        "memory_mb": [float(np.mean(part)) for part in np.array_split(memory, 5)],
    }


def memory_while_running(process: psutil.Popen) -> list[float]:
    """Private memory of a process and its children in MB, read every half second."""
    memory = []
    while process.poll() is None:
        try:
            family = [process, *process.children(recursive=True)]
            memory.append(sum(each.memory_full_info().uss for each in family) / 1e6)
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.5)
    return memory


def _opencv_alone(source: Path, knees: list[np.ndarray], films: int = 60) -> float:
    """Seconds to decode a film and encode two knees with OpenCV on one core."""
    start = time.perf_counter()
    for index in range(films):
        cv2.imread(str(source / f"{index % 6:04d}.png"), cv2.IMREAD_UNCHANGED)
        for knee in knees:
            cv2.imencode(".png", knee)
    return (time.perf_counter() - start) / films


def _large_film(seed: int) -> np.ndarray:
    """A phantom film of the size of a detector, `(2048, 2494)` uint16, with noise."""
    image = phantom_film((seed % 5, 2 * seed % 5), seed).image
    film = cv2.resize(image, (2494, 2048), interpolation=cv2.INTER_CUBIC).astype(np.float32) * 200
    film += np.random.default_rng(seed).normal(0, 120, film.shape).astype(np.float32)
    return np.clip(film, 0, 65535).astype(np.uint16)
