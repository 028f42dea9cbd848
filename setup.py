"""Packaging; the dependencies are those of requirements.txt."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

DICOM = ["pydicom>=3.0", "pylibjpeg>=2.0", "pylibjpeg-libjpeg>=2.3", "pylibjpeg-openjpeg>=2.4"]
ONNX = ["onnx>=1.17", "onnxruntime>=1.20"]
SERVE = ["starlette>=0.40", "uvicorn>=0.30"]

setup(
    name="knee_attention",
    version="0.1.0",
    description="Kellgren-Lawrence grades from knee radiographs with trainable attention branches",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["knee_attention", "knee_attention.*"]),
    package_data={
        "knee_attention.evidence.report": ["page.css"],
        "knee_attention.grading.web": ["page/*"],
    },
    install_requires=(HERE / "requirements.txt").read_text(encoding="utf-8").split(),
    entry_points={"console_scripts": ["knee-attention = knee_attention.commands.cli:main"]},
    extras_require={
        "test": [
            "pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.6", "hypothesis>=6.100",
            "ruff>=0.9", "selenium>=4.20", "tf_keras>=2.18", *DICOM, *ONNX, *SERVE,
        ],
        "dicom": DICOM,
        "onnx": ONNX,
        "serve": SERVE,
        "jax": ["jax>=0.4.35"],
        "gpu": ["tensorflow[and-cuda]>=2.18"],
        "bench": ["tf_keras>=2.18", "psutil>=5.9"],
    },
)
