"""Packaging; the dependencies are those of requirements.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
PACKAGE = (HERE / "knee_attention" / "__init__.py").read_text(encoding="utf-8")
VERSION = re.search(r'^__version__ = "(.+)"$', PACKAGE, re.MULTILINE)[1]

DICOM = ["pydicom>=3.0", "pylibjpeg>=2.0", "pylibjpeg-openjpeg>=2.4"]
DICOM_JPEG = [*DICOM, "pyjpegls>=1.5", "pylibjpeg-libjpeg>=2.3"]  # the last is under the GPLv3
DICOM_OUT = [*DICOM, "highdicom>=0.28", "pynetdicom>=3.0"]
ONNX = ["onnx>=1.17", "onnxruntime>=1.20"]
SWEEP = ["optuna>=5", "psycopg[binary]>=3.2"]
TENSORBOARD = ["tensorboard>=2.18"]
SERVE = ["starlette>=0.40", "uvicorn>=0.30"]


class SourceDistribution(sdist):
    """A source distribution that holds what a clone holds.

    By itself setuptools takes the package, the README and a part of the tests.
    """

    def make_distribution(self) -> None:
        documents = ("REPRODUCTION.md", "CITATION.cff")
        for file in ("requirements.txt", *documents, ".pytest.ini", ".ruff.toml"):
            self.filelist.include(file)
        for folder in ("data_prep", "experiments", "tests"):
            self.filelist.graft(folder)
        self.filelist.global_exclude("*.py[co]")
        super().make_distribution()


setup(
    name="knee_attention",
    version=VERSION,
    description="Kellgren-Lawrence grades from knee radiographs with trainable attention branches",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["knee_attention", "knee_attention.*"]),
    package_data={
        "knee_attention": ["py.typed", "pretrained/*"],
        "knee_attention.evidence.report": ["page.css"],
        "knee_attention.films": ["localiser.onnx", "localiser.md"],
        "knee_attention.grading": ["README.md"],
        "knee_attention.grading.web": ["page/*"],
    },
    install_requires=(HERE / "requirements.txt").read_text(encoding="utf-8").split(),
    entry_points={"console_scripts": ["knee-attention = knee_attention.commands.cli:main"]},
    extras_require={
        "test": [
            "pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.6", "hypothesis>=6.100",
            "ruff>=0.9", "mypy>=1.15", "selenium>=4.20", "tf_keras>=2.18", "tf-keras-vis>=0.8.7",
            *DICOM_JPEG, *DICOM_OUT, *ONNX, *SERVE, *SWEEP, *TENSORBOARD,
        ],
        "dicom": DICOM,
        "dicom-jpeg": DICOM_JPEG,
        "dicom-out": DICOM_OUT,
        "onnx": ONNX,
        "serve": SERVE,
        "sweep": SWEEP,
        "tensorboard": TENSORBOARD,
        "jax": [
            "jax[cuda12]>=0.4.35; platform_system == 'Linux'",
            "jax>=0.4.35; platform_system != 'Linux'",
        ],
        "gpu": ["tensorflow[and-cuda]>=2.18"],
        "bench": ["tf_keras>=2.18", "psutil>=5.9"],
    },
    cmdclass={"sdist": SourceDistribution},
)
