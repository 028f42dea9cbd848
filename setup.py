"""Packaging; the dependencies are those of requirements.txt."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

DICOM = ["pydicom>=3.0", "pylibjpeg>=2.0", "pylibjpeg-libjpeg>=2.3", "pylibjpeg-openjpeg>=2.4"]
DICOM_OUT = [*DICOM, "highdicom>=0.28", "pynetdicom>=3.0"]
ONNX = ["onnx>=1.17", "onnxruntime>=1.20"]

setup(
    name="knee_attention",
    version="0.1.0",
    description="Kellgren-Lawrence grades from knee radiographs with trainable attention branches",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["knee_attention", "knee_attention.*"]),
    package_data={"knee_attention.evidence.report": ["page.css"]},
    install_requires=(HERE / "requirements.txt").read_text(encoding="utf-8").split(),
    entry_points={"console_scripts": ["knee-attention = knee_attention.commands.cli:main"]},
    extras_require={
        "test": [
            "pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.6", "hypothesis>=6.100",
            "ruff>=0.9", "tf_keras>=2.18", *DICOM_OUT, *ONNX,
        ],
        "dicom": DICOM,
        "dicom-out": DICOM_OUT,
        "onnx": ONNX,
        "jax": ["jax>=0.4.35"],
        "gpu": ["tensorflow[and-cuda]>=2.18"],
        "bench": ["tf_keras>=2.18", "psutil>=5.9"],
    },
)
