"""What graded a film, as a report names it, and the identifiers that follow from it."""

import uuid
from dataclasses import dataclass

from pydicom import Dataset

from knee_attention import __version__
from knee_attention.grading.grader import Grader

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "knee_attention/grading/dicom")


@dataclass(frozen=True)
class Algorithm:
    """A model and how it was asked: what the content of a report depends on besides the film and,
    of a single knee whose header names no side, the name of its file.

    Attributes:
        model: the model's name.
        digest: SHA-256 of the model's file.
        settings: how films are read, such as `"polarity auto"`.
        synthetic: whether the model learnt from phantoms.
        release: the version of this package.
    """

    model: str
    digest: str
    settings: tuple[str, ...]
    synthetic: bool = False
    release: str = __version__

    @classmethod
    def of(cls, grader: Grader, view: str = "auto") -> "Algorithm":
        """What a grader is.

        Args:
            grader: as `load_grader` gave it.
            view: as the grader is asked.

        Raises:
            InputError: the model's file was replaced before its digest was known.
        """
        path, crop = grader.network.path, grader.preparation.known_crop
        cut_out = (f"crop {crop}",) if grader.preparation.shows_joints else ()
        return cls(
            model=grader.description.get("name") or path.name,
            digest=grader.network.file.digest(),
            settings=(f"polarity {grader.polarity}", f"view {view}", *cut_out),
            synthetic=bool(grader.description.get("synthetic")),
        )

    @property
    def version(self) -> str:
        """The release of this package, and the first digits of the model's digest."""
        return f"{self.release}, model {self.digest[:12]}"

    def uid(self, kind: str, source: Dataset | None = None) -> str:
        """The identifier of something that this algorithm makes of a film, or of itself.

        It is a UUID of version 5 under the root 2.25 (PS3.5 B.2) that follows from the film's
        SOPInstanceUID, the package's release, the model's file, the settings and `kind`. So a film
        graded again has the same report, of which an archive keeps one, and another model's stands
        beside it.
        """
        film = source.SOPInstanceUID if source else ""
        parts = [self.release, self.digest, *self.settings, film, kind]
        return f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(parts)).int}"
