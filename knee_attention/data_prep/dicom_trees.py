"""Finding, naming and converting the films in a tree of DICOM files.

OAI's tree has a contents.csv that names its series; MOST's has folders for visits. Module
`film_subjects` describes both. Any other tree works too.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from knee_attention.data_prep.film_subjects import oai_barcode
from knee_attention.data_prep.grade_tables import film_id, read_table
from knee_attention.errors import ImageError, InputError
from knee_attention.films.dicom.header import Header, read_header
from knee_attention.films.dicom.pixels import read_film
from knee_attention.films.image_files import check_regular, write_image
from knee_attention.films.pixel_aspect import recorded_aspect
from knee_attention.films.radiograph import to_uint8

IMAGE_COLUMNS = [
    "id", "file", "subject", "date", "barcode", "row_spacing_mm", "column_spacing_mm",
    "height", "width", "bits", "pixel_aspect", "source",
]  # fmt: skip
"""Columns of images.csv. Spacing is that of the PNG; it is blank if the DICOM file has none.
pixel_aspect is height over width of the DICOM file's pixels; it is blank for square pixels. The
PNG's pixels are always square."""

SERIES = r"bilateral.*(?<![a-z])pa(?![a-z]).*fixed.*flexion.*knee"
BODY_PART = r"knee"
VIEW = r"(?<![a-z])pa(?![a-z])"


@dataclass(frozen=True)
class Filter:
    """Selects the films of a series, without lateral and axial views.

    Args:
        series: a regular expression for SeriesDescription, which may match anywhere and ignores
            case. By default the series must be OAI's bilateral PA fixed flexion view; without a
            series, the body part must be the knee or blank, and the view PA or blank.

    Raises:
        InputError: `series` is not a regular expression.
    """

    series: str | None = None

    def __post_init__(self):
        try:
            re.compile(self.series or "")
        except re.error as error:
            raise InputError(f"--series {self.series!r}: {error}") from None

    def objection_to_series(self, series: str) -> str | None:
        """The reason to exclude a series; None to keep it.

        Args:
            series: SeriesDescription; blank if neither the file nor contents.csv names one.
        """
        pattern = SERIES if self.series is None else self.series
        matters = series or self.series is not None
        if matters and not re.search(pattern, series, re.IGNORECASE):
            return f"another series: {series or 'none given'}"
        return None

    def objection(self, header: Header) -> str | None:
        """The reason to exclude a film; None to keep it."""
        objection = self.objection_to_series(header.series)
        if objection:
            return objection
        if header.other_view:
            return f"another view: {header.other_view}"
        if header.series or self.series is not None:
            return None
        for name, pattern, value in (
            ("body part", BODY_PART, header.body_part), ("view", VIEW, header.view),
        ):  # fmt: skip
            if value and not re.search(pattern, value, re.IGNORECASE):
                return f"another {name}: {value}"
        return None


def read_contents_table(
    files: Iterable[Path],
) -> tuple[dict[tuple[str, ...], dict], list[tuple[str, str]]]:
    """Read every contents.csv of a tree.

    Args:
        files: all files of the tree.

    Returns:
        A dict from the last three parts of a series' folder to its row (columns PARTICIPANTID,
        STUDYDATE, BARCODE, SERIESDESCRIPTION); and (source, reason) for each unreadable table.
    """
    contents, unreadable = {}, []
    for path in files:
        if path.name.lower() == "contents.csv":
            try:
                check_regular(path)
                rows = read_table(path)
            except InputError as error:
                unreadable.append((str(path), str(error).removeprefix(str(path)).lstrip(": ")))
                continue
            for row in rows:
                contents[tuple(Path(row.get("FOLDER", "")).parts[-3:])] = row
    return contents, unreadable


@dataclass(frozen=True)
class Surveyor:
    """Reads the header of a file in the tree and applies the filter.

    Args:
        contents: the first result of `read_contents_table`.
        wanted: the filter.
    """

    contents: dict[tuple[str, ...], dict]
    wanted: Filter

    def listing(self, source: Path) -> dict:
        """The row of contents.csv for a file; empty without one."""
        return self.contents.get(source.parent.parts[-3:], {})

    def __call__(self, source: Path) -> list[dict]:
        """Describe a film.

        Returns:
            One row: patient and listed, as `with_subjects` needs them, date, barcode, uid, bytes,
            row_spacing_mm, column_spacing_mm, pixel_aspect.

        Raises:
            ImageError: the file is not a film, or the filter excludes it.
        """
        listed = self.listing(source)
        series = listed.get("SERIESDESCRIPTION", "")
        # Excluded series are not opened: OAI has a thousand MR slices per film.
        objection = self.wanted.objection_to_series(series) if series else None
        if objection:
            raise ImageError(source, objection)
        header = read_header(source)
        header = replace(header, series=series or header.series)
        objection = self.wanted.objection(header)
        if objection:
            raise ImageError(source, objection)
        rows, columns = header.spacing or ("", "")
        if header.spacing and header.pixel_aspect != 1:
            rows = columns = min(header.spacing)
        return [
            {
                "patient": header.subject,
                "listed": listed.get("PARTICIPANTID", ""),
                "date": re.sub(r"\D", "", listed.get("STUDYDATE", "")) or header.date,
                "barcode": listed.get("BARCODE") or oai_barcode(source) or header.accession,
                "row_spacing_mm": rows,
                "column_spacing_mm": columns,
                "pixel_aspect": recorded_aspect(header.pixel_aspect),
                "uid": header.uid,
                "bytes": source.stat().st_size,
            }
        ]


def name_films(films: Sequence[dict]) -> tuple[list[dict], list[tuple[str, str]]]:
    """Give every film an id: its subject plus the MOST visit, else the barcode, else the date.

    Films with the same id are numbered in the order of their UIDs, so that copying files does not
    change ids. A number is skipped if another film already has the resulting id. If several files
    have the same UID, they are copies of one image, and the longest is used.

    Args:
        films: rows of `Surveyor` with their subjects.

    Returns:
        The rows with id, and (source, reason) for each skipped film.
    """
    films_of_name, left_out, seen = defaultdict(list), [], set()
    for film in sorted(films, key=lambda film: (film["uid"], -film["bytes"], film["source"])):
        if film["uid"] and film["uid"] in seen:
            left_out.append((film["source"], "a copy of another file's image"))
            continue
        seen.add(film["uid"])
        if not film["subject"]:
            left_out.append((film["source"], "no subject: PatientID is blank"))
            continue
        known = (film.get(name) for name in ("visit", "barcode", "date"))
        words = film_id(film["subject"], next(filter(None, known), "film"))
        name = re.sub(r"[^\w.-]+", "-", words)
        films_of_name[name].append(film)
    named, taken = [], set(films_of_name)
    for name, (first, *others) in films_of_name.items():
        named.append({**first, "id": name})
        numbered = (f"{name}-{number}" for number in count(2))
        for film in others:
            free = next(other for other in numbered if other not in taken)
            taken.add(free)
            named.append({**film, "id": free})
    return sorted(named, key=lambda film: film["source"]), left_out


@dataclass(frozen=True)
class Converter:
    """Converts a film to PNG.

    Args:
        folder: the folder for the PNGs.
        ids: the id of each source.
        bits: 16 keeps the values, 8 stretches the film's own range over 0 to 255.
    """

    folder: Path
    ids: dict[str, str]
    bits: int = 16

    def __call__(self, source: Path) -> list[dict]:
        """Convert one film.

        Returns:
            One row: id, file, bits, height, width.

        Raises:
            ImageError: the pixels cannot be read.
            InputError: the PNG cannot be written.
        """
        film = read_film(source)
        if self.bits == 8:
            try:
                film = to_uint8(film)
            except ValueError as error:
                raise ImageError(source, str(error)) from None
        name = f"{self.ids[str(source)]}.png"
        write_image(self.folder / name, film)
        height, width = film.shape
        row = {"id": self.ids[str(source)], "file": name, "bits": self.bits}
        return [{**row, "height": height, "width": width}]
