"""The persons of a data set by its manifest, and their digests in a model file.

A model file holds digests of its training persons, not their names. A calibration refuses films of
these persons.
"""

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from knee_attention.datasets.layout import FOLDERS, MANIFEST, read_manifest
from knee_attention.films.legs import id_and_side, subject_of
from knee_attention.limits import DIGEST_BYTES

FIRST_NAME = {name: names[0] for names in FOLDERS.values() for name in names}
"""For each accepted folder name of a split, the name that is used for writing."""


class Manifest:
    """The rows of a data set's manifest, found by a file's path or else by its name.

    Args:
        rows: the result of `read_manifest`; empty without a manifest.
    """

    def __init__(self, rows: Mapping[str, dict[str, str]]):
        self._by_place, self._by_knee = {}, defaultdict(list)
        for name, row in rows.items():
            self._by_place[_place(name)] = row
            self._by_knee[id_and_side(name)].append(row)

    @classmethod
    def read(cls, root: Path) -> "Manifest":
        """Read the manifest of a data set.

        Raises:
            InputError: as for `read_manifest`.
        """
        return cls(read_manifest(root))

    def row_of(self, name: str) -> dict[str, str] | None:
        """The row for a file's path; the split's folder may have any accepted name."""
        return self._by_place.get(_place(name))

    def subject_of(self, name: str) -> str:
        """The person of a knee.

        It is taken from the row for the file's path, else from the rows of the same id and side if
        they agree, else from the file's name.

        Args:
            name: the file's path relative to the data set.
        """
        row = self.row_of(name)
        rows = [row] if row else self._by_knee.get(id_and_side(name), [])
        subjects = {row.get("subject") for row in rows} - {"", None}
        return subjects.pop() if len(subjects) == 1 else subject_of(name)

    def unlisted(self, names: Iterable[str]) -> list[str]:
        """The files whose path has no row; empty without a manifest."""
        return [name for name in names if self._by_place and self.row_of(name) is None]

    def remark(self, names: Iterable[str]) -> str:
        """A message about files whose path has no row; blank if there are none."""
        names = list(names)
        unlisted = self.unlisted(names)
        if not unlisted:
            return ""
        by_name = sum(id_and_side(name) in self._by_knee for name in unlisted)
        return (f"{len(unlisted)} of {len(names)} images have no row in {MANIFEST} (the first: "
                f"{unlisted[0]}); {by_name} are matched to a row with the same id and side, the "
                f"other {len(unlisted) - by_name} belong to the person whose id is in their name")

    def missing(self, names: Iterable[str]) -> list[str]:
        """The paths that have a row but are not among these files."""
        there = {_place(name) for name in names}
        return sorted("/".join(place) for place in self._by_place.keys() - there)


def _place(name: str) -> tuple[str, ...]:
    """The parts of a file's path, with the split's folder in the form used for writing."""
    folder, *rest = name.split("/")
    return FIRST_NAME.get(folder, folder), *rest


MOST_PERSONS = 8000
"""A model file holds up to so many persons; an attribute of an HDF5 file has at most 64 kB."""


def person_digests(subjects: Iterable[str]) -> str:
    """Digests of persons as one text in base64, sorted; each person counts once.

    The text is empty for more than `MOST_PERSONS`.
    """
    subjects = set(subjects)
    if len(subjects) > MOST_PERSONS:
        return ""
    return base64.b64encode(b"".join(sorted(map(_digest, subjects)))).decode("ascii")


def known_positions(digests: str, subjects: Sequence[str]) -> list[int]:
    """The positions of the subjects that are among the digested persons.

    Args:
        digests: the result of `person_digests`.
        subjects: the person of each film, as the data set names persons.
    """
    known = _persons(digests)
    return [place for place, subject in enumerate(subjects) if _digest(subject) in known]


def remark_on_persons(description: Mapping, name: str, subjects: Sequence[str]) -> str:
    """A remark if knees are of persons that a model was trained on; blank if none are known to be.

    Args:
        description: of the model file; it may hold digests of the training persons.
        name: the model's name or file.
        subjects: the person of each knee.
    """
    seen = known_positions(description.get("training_persons") or "", subjects)
    if not seen:
        return ""
    return (f"remark: {name} was trained on the persons of {len(seen)} of these {len(subjects)} "
            "knees")  # fmt: skip


def number_of_persons(digests: str) -> int:
    """The number of persons in the result of `person_digests`."""
    return len(_persons(digests))


def _persons(digests: str) -> set[bytes]:
    content = base64.b64decode(digests)
    starts = range(0, len(content), DIGEST_BYTES)
    return {content[start : start + DIGEST_BYTES] for start in starts}


def _digest(subject: str) -> bytes:
    return hashlib.sha256(subject.encode("utf-8", "surrogateescape")).digest()[:DIGEST_BYTES]
