"""The hardware and software of a run."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import keras

from knee_attention import __version__, device

PACKAGES = ("keras", "tensorflow", "jax", "numpy", "opencv-python",
            "scikit-learn", "h5py", "pandas", "matplotlib")


def environment(precision: str, history: list[dict], seconds: float, devices: int = 1) -> dict:
    """The content of `environment.json`: versions, commit, device, precision, command, times.

    Args:
        precision: the Keras dtype policy of the model.
        history: one dict per epoch, with its `seconds`.
        seconds: wall time of the whole run.
        devices: number of devices that shared the batches.
    """
    versions = {"python": sys.version.split()[0], "knee_attention": __version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "commit": _commit(),
        "backend": keras.backend.backend(),
        "device": device.describe_device(),
        "devices": devices,
        "precision": precision,
        "command": sys.argv,
        "training_seconds": round(sum(row["seconds"] for row in history), 1),
        "wall_seconds": round(seconds, 1),
    }


def _commit() -> str | None:
    """The git commit of the checkout; None without a checkout or without git."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()
