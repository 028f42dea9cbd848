"""The identity of the model and its settings in a report, and the UIDs derived from it."""

import uuid
from dataclasses import dataclass

from pydicom import Dataset

from knee_attention import __version__
from knee_attention.films.inputs import PRODUCT
from knee_attention.grading.grader import Grader

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "knee_attention/grading/dicom")


@dataclass(frozen=True)
class Algorithm:
    """A model, its settings and the version of this package.

    With the film, they determine the content of a report. The file name matters only for a single
    knee whose header names no side.

    Attributes:
        model: the model's name.
        digest: SHA-256 of the model file.
        settings: how films are read, such as `"polarity auto"`.
        synthetic: whether the model was trained on phantoms.
    """

    model: str
    digest: str
    settings: tuple[str, ...]
    synthetic: bool = False

    @classmethod
    def of(cls, grader: Grader, view: str = "auto") -> "Algorithm":
        """The identity of a grader.

        Args:
            grader: from `load_grader`.
            view: the view that `grader.grade` gets.
        """
        path, crop = grader.network.path, grader.preparation.known_crop
        cut_out = (f"crop {crop}",) if grader.preparation.shows_joints else ()
        sets = (f"coverage {grader.coverage}",) if grader.coverage else ()
        return cls(
            model=grader.description.get("name") or path.name,
            digest=grader.network.digest,
            settings=(
                f"polarity {grader.polarity}",
                f"view {view}",
                *cut_out,
                f"decide {grader.decide}",
                *sets,
            ),
            synthetic=bool(grader.description.get("synthetic")),
        )

    @property
    def version(self) -> str:
        """The version of this package and the first digits of the model's digest."""
        return f"{__version__}, model {self.digest[:12]}"

    @property
    def equipment(self) -> dict[str, str]:
        """The fields that name this software in each of its DICOM objects (PS3.3 C.7.5.1)."""
        return {
            "manufacturer": PRODUCT,
            "manufacturer_model_name": PRODUCT,
            "software_versions": self.version,
        }

    def uid(self, kind: str, source: Dataset | None = None) -> str:
        """The UID of an object of this algorithm, such as its report of a film.

        It is a UUID of version 5 under the root 2.25 (PS3.5 B.2), derived from the film's
        SOPInstanceUID, the package version, the model file, the settings and `kind`. A film that is
        graded again gets the same UIDs, so an archive keeps one report per model and film.

        Args:
            kind: the object, such as `"report"`.
            source: the film's data set; None for the device itself.
        """
        film = source.SOPInstanceUID if source else ""
        parts = [__version__, self.digest, *self.settings, film, kind]
        return f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(parts)).int}"
