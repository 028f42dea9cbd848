"""Which knee image has which grade."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from knee_attention.errors import ImageError, InputError
from knee_attention.films.reading import is_image_file, read_image
from knee_attention.films.tables import read_table


def read_knee(source: Path) -> list[dict]:
    """Check a knee image and take id and side from its name, `<id>_R.png` or `<id>L.png`.

    Returns:
        One row: id, side, height, width, and the hash of the pixels.

    Raises:
        ImageError: the file cannot be read, or its name does not end in R or L.
    """
    if not is_image_file(source):
        raise ImageError(source, f"no image file ({source.suffix or 'no suffix'})")
    name = re.fullmatch(r"(.+?)[_-]?([RL])", source.stem)
    if name is None:
        raise ImageError(source, "the name does not end in _R or _L")
    image = read_image(source)
    row = {"id": name[1], "side": name[2], "pixels": pixel_hash(image)}
    return [{**row, "height": image.shape[0], "width": image.shape[1]}]


def pixel_hash(image) -> str:
    """A hash of an image's shape and pixels."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def subjects_of_films(table: Path) -> dict[str, str]:
    """The subject of each film's id, from a table with these two columns, if there is one.

    Raises:
        InputError: the table has no column of ids.
    """
    if not table.exists():
        return {}
    rows = read_table(table)
    if "ID" not in rows[0]:
        raise InputError(f"{table}: expected a column id, of films. Received: {', '.join(rows[0])}")
    return {row["ID"]: row["SUBJECT"] for row in rows if row.get("SUBJECT")}


def pair(
    knees: Sequence[dict], labels: Sequence[dict], subjects: Mapping[str, str]
) -> tuple[list[dict], list[tuple[str, str]], list[tuple[str, str]]]:
    """Give every knee its label.

    A film's label is the one with its id. A film without such a label takes its subject's, if the
    labels know one visit of that subject, the knees hold one such film, and no barcode says that
    label and film are two different ones.

    Args:
        knees: rows with id, side, source.
        labels: rows of `grades.LABEL_COLUMNS`.
        subjects: the subject of each film's id, where known.

    Returns:
        The knees with a label (id, side, source, subject, cohort, visit, kl, ...), and
        (source, reason) of the knees left over, and of the labels left over.
    """
    by_id = {(label["id"], label["side"]): label for label in labels}
    ids_of = defaultdict(set)
    for label in labels:
        ids_of[label["subject"]].add(label["id"])
    labelled_ids = {label["id"] for label in labels}
    label_id = {}
    films_of = defaultdict(set)
    for knee in knees:
        film = knee["id"]
        if film in labelled_ids:
            label_id[film] = film
        else:
            films_of[subjects.get(film) or film].add(film)
    reasons = {}
    for subject, films in films_of.items():
        for film in films:
            known = ids_of.get(subject, set())
            if len(known) == 1 and len(films) == 1 and _may_be(film, subject, *known):
                label_id[film] = next(iter(known))
            elif known:
                reasons[film] = "labels of its subject, but none for this film"

    times = Counter((knee["id"], knee["side"]) for knee in knees)
    pairs, left_over = [], []
    for knee in knees:
        key = label_id.get(knee["id"]), knee["side"]
        if times[knee["id"], knee["side"]] > 1:
            left_over.append((knee["source"], "another file has the same id and side"))
        elif key in by_id:
            pairs.append({**by_id[key], **knee})
        else:
            left_over.append((knee["source"], reasons.get(knee["id"], "a knee without a label")))
    used = {(label_id[knee["id"]], knee["side"]) for knee in pairs}
    missing = [(f"{film} {side}", "a label without a knee") for film, side in by_id.keys() - used]
    return pairs, left_over, sorted(missing)


def _may_be(film: str, subject: str, label_id: str) -> bool:
    """A label known by OAI's barcode is no label of a film known by another."""
    return film == subject or not re.fullmatch(r".*_\d{12}", label_id)
