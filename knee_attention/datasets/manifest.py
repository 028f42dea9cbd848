"""Whom each knee of a data set belongs to by its manifest, also where a file was moved since."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from knee_attention.datasets.layout import FOLDERS, MANIFEST, read_manifest
from knee_attention.films.names import id_and_side, subject_of

FIRST_NAME = {name: names[0] for names in FOLDERS.values() for name in names}
"""By each name that the folder of a split may have, the one that is written."""


class Manifest:
    """The rows of a data set's manifest, found by the place of a file or else by its name.

    Args:
        rows: as `read_manifest` gives them; none where there is no manifest.
    """

    def __init__(self, rows: Mapping[str, dict[str, str]]):
        self._by_place, self._by_knee = {}, defaultdict(list)
        for name, row in rows.items():
            self._by_place[_place(name)] = row
            self._by_knee[id_and_side(name)].append(row)

    @classmethod
    def read(cls, root: Path) -> "Manifest":
        """The manifest of a data set.

        Raises:
            InputError: `read_manifest` refuses it.
        """
        return cls(read_manifest(root))

    def row_of(self, name: str) -> dict[str, str] | None:
        """The row of a file in its place, whichever of its names the split's folder has."""
        return self._by_place.get(_place(name))

    def subject_of(self, name: str) -> str:
        """The person of a knee: by the row of its place, else by the rows of its id and side if
        they agree, else by its name alone.

        Args:
            name: the file, relative to the data set.
        """
        row = self.row_of(name)
        rows = [row] if row else self._by_knee.get(id_and_side(name), [])
        subjects = {row.get("subject") for row in rows} - {"", None}
        return subjects.pop() if len(subjects) == 1 else subject_of(name)

    def unlisted(self, names: Iterable[str]) -> list[str]:
        """The files without a row in their place; none where there is no manifest."""
        return [name for name in names if self._by_place and self.row_of(name) is None]

    def remark(self, names: Iterable[str]) -> str:
        """How many files have no row, and how their persons are told; blank if all have one."""
        names = list(names)
        unlisted = self.unlisted(names)
        if not unlisted:
            return ""
        by_name = sum(id_and_side(name) in self._by_knee for name in unlisted)
        return (f"{len(unlisted)} of {len(names)} images have no row in {MANIFEST} (the first: "
                f"{unlisted[0]}); {by_name} are matched with a row of their name, the other "
                f"{len(unlisted) - by_name} belong to the person that their name says")

    def missing(self, names: Iterable[str]) -> list[str]:
        """The places that have a row and are none of these files'."""
        there = {_place(name) for name in names}
        return sorted("/".join(place) for place in self._by_place.keys() - there)


def _place(name: str) -> tuple[str, ...]:
    """A file's name in parts, the split's folder by the name that is written."""
    folder, *rest = name.split("/")
    return FIRST_NAME.get(folder, folder), *rest
