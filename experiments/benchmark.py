"""Speed of training and inference on this machine, against the original Keras 2 model.

    pip install -e ".[bench]"
    python experiments/benchmark.py

Each model runs in its own process, in turn, for several rounds. The fastest step counts, because
other load on the machine only makes a step slower. Inference is measured on whole batches and on
single knees. `keras2` is VGG-16 att0 + att1 multi-loss as the original code builds it, with the
layers of tf_keras; it is skipped if tf_keras is not installed. Percentages are relative to the rate
of 3x3 convolutions on the same machine in the same run and precision.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from knee_attention.startup import command_line

NETWORKS = Path(__file__).with_name("benchmark_networks.py")
MODELS = {
    "auto": "ours, --precision auto",
    "float32": "ours, float32",
    "keras2": "literal Keras 2 model",
}
QUANTITIES = {
    "training": "training",
    "inference": "inference",
    "one_knee": "inference knee by knee",
    "first_step": "time to first step",
}
SHOWN = {
    "precision": "precision {}",
    "first_step": "time to first step {:.1f} s",
    "training": "training {:.2f} images/s",
    "memory": "peak memory {:.2f} GB",
    "inference": "inference {:.2f} images/s",
    "one_knee": "inference knee by knee {:.2f} images/s",
    "convolution": "3x3 convolution {:.0f} GFLOP/s",
    "gflop": "a forward pass of an image {:.1f} GFLOP",
}
TRAINING_PASSES = 3
"""A training step costs a forward pass, and a backward pass of twice its size."""


def main() -> None:
    """Measure every model in its own process and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-size", type=int, nargs=2, default=(320, 224), metavar=("H", "W"))
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="(default: 16)")
    parser.add_argument("--steps", type=int, default=3, metavar="N",
                        help="timed steps per round (default: 3)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="(default: 2)")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS),
                        help="networks to measure; none to measure only the splitting of films")
    parser.add_argument("--films", type=int, default=1000, metavar="N",
                        help="films to split; 0 skips splitting (default: 1000)")
    parser.add_argument("--workers", type=int, default=2, metavar="N",
                        help="processes that split films (default: 2)")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with command_line("benchmark.py"):
        measure_networks(options)
        if options.films:
            measure_splitting(options)


def measure_networks(options: argparse.Namespace) -> None:
    """Print each measurement, and a table of the best at the end or after Ctrl-C."""
    best = {}
    try:
        for number in range(options.rounds):
            for model in options.models:
                print(f"round {number + 1} of {options.rounds}: {MODELS[model]}", flush=True)
                measured = in_own_process(model, options)
                if measured:
                    best[model] = better(best.get(model), measured)
    finally:
        if best:
            print(table(best, options), flush=True)


def measure_splitting(options: argparse.Namespace) -> None:
    """Print the speed of split_knees.py and its memory."""
    from benchmark_grade import splitting_speed

    speed = splitting_speed(options.films, options.workers)
    print(f"split_knees.py, {options.films} films of 2494x2048, 16 bits, {options.workers} "
          f"workers: {speed['film_ms']:.0f} ms per film; OpenCV alone needs "
          f"{speed['opencv_ms']:.0f} ms on one core to decode a film and encode its knees: "
          f"split_knees.py is {speed['speed_up']:.2f} times as fast")
    print("mean memory of its processes in each fifth of the run: "
          + ", ".join(f"{memory:.0f} MB" for memory in speed["memory_mb"]))


def in_own_process(model: str, options: argparse.Namespace) -> dict | None:
    """The measurements of one model; None, and a printed reason, if it fails."""
    command = [sys.executable, NETWORKS, model, "--image-size", *map(str, options.image_size),
               "--batch-size", str(options.batch_size), "--steps", str(options.steps)]
    measured = {}
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            for line in process.stdout:
                name, value = json.loads(line)
                measured[name] = value
                print(f"  {SHOWN[name].format(value)}", flush=True)
        errors.seek(0)
        reason = errors.read().strip().splitlines()[-1:]
    if process.returncode:
        print(f"  not measured further: {(reason or [f'exit code {process.returncode}'])[0]}")
        return None
    return measured


def better(before: dict | None, now: dict) -> dict:
    """The better value of each quantity in two rounds."""
    if before is None:
        return now
    lower_is_better = ("first_step", "memory")
    return now | {
        key: (min if key in lower_is_better else max)(value, now[key])
        for key, value in before.items()
        if isinstance(value, float)
    }


def table(best: dict[str, dict], options: argparse.Namespace) -> str:
    """The measurements as text, with ratios to the Keras 2 model."""
    size = "x".join(map(str, options.image_size))
    lines = [
        f"VGG-16 att0 + att1 multi-loss, {size}, batch {options.batch_size}, best of "
        f"{options.rounds} rounds",
        f"{'':24}{'precision':>15}{'training':>10}{'inference':>10}{'one knee':>10}{'1st step':>10}"
        f"{'memory':>9}",
        f"{'':24}{'':>15}" + 3 * f"{'images/s':>10}" + f"{'s':>10}{'GB':>9}",
    ]
    for model, row in best.items():
        lines.append(f"{MODELS[model]:24}{row['precision']:>15}{row['training']:10.2f}"
                     f"{row['inference']:10.2f}{row['one_knee']:10.2f}{row['first_step']:10.1f}"
                     f"{row['memory']:9.2f}")
    for model, row in best.items():
        if "convolution" in row:
            training = TRAINING_PASSES * row["gflop"] * row["training"] / row["convolution"]
            inference = row["gflop"] * row["inference"] / row["convolution"]
            lines.append(f"{MODELS[model]}: 3x3 convolution {row['convolution']:.0f} GFLOP/s; "
                         f"training reaches {training:.0%} of it, inference {inference:.0%}")
    if "keras2" in best:
        for model in (model for model in best if model != "keras2"):
            ratios = [f"{title} {best[model][key] / best['keras2'][key]:.2f}"
                      for key, title in QUANTITIES.items()]
            lines.append(f"{MODELS[model]} / Keras 2: {', '.join(ratios)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
