"""Recognise the persons of a model's training set by their names, without naming them.

A model file holds digests of the persons in place of names, so that a calibration can refuse the
films that the model was trained on.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence

BYTES = 4
"""Length of a digest. With 3,000 persons in the model file, a calibration on 100 films of others
mistakes one of them for a training person in 7 of 100,000 cases."""

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


def places_of_known(digests: str, subjects: Sequence[str]) -> list[int]:
    """The positions of the subjects that are among the digested persons.

    Args:
        digests: the result of `person_digests`.
        subjects: the person of each film, as the data set names persons.
    """
    known = _persons(digests)
    return [place for place, subject in enumerate(subjects) if _digest(subject) in known]


def number_of_persons(digests: str) -> int:
    """The number of persons in the result of `person_digests`."""
    return len(_persons(digests))


def _persons(digests: str) -> set[bytes]:
    content = base64.b64decode(digests)
    return {content[start : start + BYTES] for start in range(0, len(content), BYTES)}


def _digest(subject: str) -> bytes:
    return hashlib.sha256(subject.encode("utf-8", "surrogateescape")).digest()[:BYTES]
