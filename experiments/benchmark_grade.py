"""Speed and memory of grading: the first knee, a folder of knees, many files; and of splitting.

    pip install -e ".[bench,onnx]"
    python experiments/benchmark_grade.py

The model is VGG-16 att0 + att1 multi-loss at 320x224 with new weights, saved as .h5 and .onnx. The
memory over many files is measured with Antony et al.'s smaller classification network.
"""

import argparse
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
from knee_attention.films.legs import split_knees
from knee_attention.films.radiograph import prepare_knee
from knee_attention.phantoms.film import phantom_film
from knee_attention.startup import start_keras

SIZE = (320, 224)
BATCH = 32
STARTS = 3
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
        for index in range(min(6, films)):
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
        "memory_mb": [float(np.mean(part)) for part in np.array_split(memory, 5) if len(part)],
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
    files = sorted(map(str, source.iterdir()))[:6]
    start = time.perf_counter()
    for index in range(films):
        cv2.imread(files[index % len(files)], cv2.IMREAD_UNCHANGED)
        for knee in knees:
            cv2.imencode(".png", knee)
    return (time.perf_counter() - start) / films


def _large_film(seed: int) -> np.ndarray:
    """A phantom film of the size of a detector, `(2048, 2494)` uint16, with noise."""
    image = phantom_film((seed % 5, 2 * seed % 5), seed).image
    film = cv2.resize(image, (2494, 2048), interpolation=cv2.INTER_CUBIC).astype(np.float32) * 200
    film += np.random.default_rng(seed).normal(0, 120, film.shape).astype(np.float32)
    return np.clip(film, 0, 65535).astype(np.uint16)


def main() -> None:
    """Measure the first grade, the rate over many knees and the memory, and print each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--knees", type=int, default=500, metavar="N",
                        help="knees for the comparison with model.predict (default: 500)")
    parser.add_argument("--files", type=int, default=5000, metavar="N",
                        help="files for the memory measurement (default: 5000)")
    options = parser.parse_args()
    start_keras()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = _saved(folder / "vgg16.h5", "vgg16", ("att0", "att1"), "multi_loss")
        _saved(folder / "small.h5", "antony_clsf", ("att1",), "single")
        knees = _knees_on_disk(folder / "knees", max(options.knees, options.files))
        keras_only = _seconds([sys.executable, "-c", "import keras"])
        for suffix in (".onnx", ".h5"):
            command = _grade(folder / f"vgg16{suffix}", knees[0])
            print(f"grading one knee with {suffix}: {_seconds(command):.2f} s "
                  f"(import keras alone: {keras_only:.2f} s)", flush=True)
        ours, alone = _rates(model, folder / "vgg16.h5", knees[: options.knees])
        print(f"{options.knees} knees from files: {ours:.1f} per second; model.predict on arrays: "
              f"{alone:.1f} per second; ratio {ours / alone:.2f}", flush=True)
        (folder / "many").mkdir()
        for number in range(options.files):
            (folder / "many" / f"{number:05d}.png").hardlink_to(knees[number])
        for suffix in (".onnx", ".h5"):
            began = time.perf_counter()
            process = psutil.Popen(_grade(folder / f"small{suffix}", folder / "many"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            memory = memory_while_running(process)
            fifths = [np.mean(part) for part in np.array_split(memory, 5) if len(part)]
            print(f"{options.files} files, {suffix}: {time.perf_counter() - began:.0f} s, mean "
                  "memory in each fifth of the run: "
                  f"{', '.join(f'{mean:.0f} MB' for mean in fifths)}", flush=True)


def _saved(path: Path, backbone: str, branches: tuple[str, ...], fusion: str):
    """A new model, saved as .h5 and .onnx."""
    from knee_attention.networks.files.model_files import read_description, save_model
    from knee_attention.networks.files.onnx_export import export_onnx
    from knee_attention.networks.model import build_model

    model = build_model(backbone, branches, fusion, SIZE)
    save_model(model, path, {"name": path.stem})
    export_onnx(model, path.with_suffix(".onnx"), read_description(path))
    return model


def _knees_on_disk(folder: Path, count: int) -> list[Path]:
    """PNG files of prepared phantom knees; all are hard links to twenty files."""
    folder.mkdir()
    paths = [folder / f"{number:05d}.png" for number in range(count)]
    halves = [half for seed in range(10)
              for half in split_knees(phantom_film((0, 4), seed).image).values()]
    for path, half in zip(paths, halves, strict=False):
        cv2.imwrite(str(path), prepare_knee(half, SIZE))
    for number in range(len(halves), count):
        paths[number].hardlink_to(paths[number % len(halves)])
    return paths


def _grade(model: Path, image: Path) -> list[str]:
    return [sys.executable, "-m", "knee_attention", "grade", str(image), "--model", str(model)]


def _seconds(command: list[str]) -> float:
    """Wall time of a command in seconds, the best of several starts."""
    times = []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    return min(times)


def _rates(model, path: Path, knees: list[Path]) -> tuple[float, float]:
    """Knees per second: from files by the grader, and from arrays by model.predict."""
    from knee_attention import device, load_grader

    grader = load_grader(path)
    model.jit_compile = device.choose_jit_compile()
    arrays = np.stack([cv2.imread(str(knee), cv2.IMREAD_GRAYSCALE) for knee in knees])[..., None]
    arrays = arrays.astype(np.float32)
    list(grader.grade_all(knees[:BATCH]))
    model.predict(arrays[:BATCH], verbose=0, batch_size=BATCH)
    began = time.perf_counter()
    list(grader.grade_all(knees, batch_size=BATCH))
    ours = len(knees) / (time.perf_counter() - began)
    began = time.perf_counter()
    model.predict(arrays, verbose=0, batch_size=BATCH)
    return ours, len(knees) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
