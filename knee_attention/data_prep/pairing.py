"""Matching knee images to labels."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from knee_attention.data_prep.grade_tables import read_table
from knee_attention.errors import ImageError, InputError
from knee_attention.films.image_files import read_image, refuse_other_file
from knee_attention.films.legs import id_and_side


def read_knee(source: Path) -> list[dict]:
    """Check a knee image and read id and side from its name (module `legs`).

    Returns:
        One row: id, side, pixels (their hash), height, width.

    Raises:
        ImageError: the file cannot be read, or its name does not end in a side.
    """
    refuse_other_file(source)
    film, side = id_and_side(source)
    if side is None:
        raise ImageError(source, "the name does not end in _R or _L")
    image = read_image(source)
    height, width = image.shape
    return [{"id": film, "side": side, "pixels": pixel_hash(image), "height": height,
             "width": width}]  # fmt: skip


def pixel_hash(image) -> str:
    """The SHA-256 of an image's shape and pixels."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def subjects_of_films(tables: Iterable[Path]) -> dict[str, str]:
    """The subject of each film by its id, from tables with the columns id and subject.

    Raises:
        InputError: a table has no column id, or one film has two subjects.
    """
    subjects = {}
    for table in tables:
        rows = read_table(table)
        if "ID" not in rows[0]:
            raise InputError(
                f"{table}: expected a column id with the films' ids. "
                f"Received: {', '.join(rows[0])}"
            )
        for row in rows:
            film, subject = row["ID"], row.get("SUBJECT")
            if subject and subjects.setdefault(film, subject) != subject:
                raise InputError(f"{table}: film {film} has subject {subject}, but subject "
                                 f"{subjects[film]} in another row; correct one of them")
    return subjects


def pair(
    knees: Sequence[dict], labels: Sequence[dict], subjects: Mapping[str, str]
) -> tuple[list[dict], list[tuple[str, str]], list[tuple[str, str]]]:
    """Give every knee its label.

    A film gets the label with its id. Otherwise it gets its subject's label if all of this holds:

    - The subject's labels are of one film and one visit.
    - The subject has no other film without a label.
    - The label's own film is not among the knees.
    - OAI barcodes do not show that the two films differ.

    Args:
        knees: rows with id, side, source.
        labels: rows of `grades.LABEL_COLUMNS`.
        subjects: the subject of each film by its id, where known.

    Returns:
        The knees with a label (id, side, source, subject, cohort, visit, kl, ...; the subject is
        blank if neither table names it); (source, reason) for each knee without a label; and
        (label, reason) for each label without a knee.

    Raises:
        InputError: the tables name different subjects for one film.
    """
    persons = _persons(labels, subjects)
    by_id = {(label["id"], label["side"]): label for label in labels}
    ids_of, visits_of = defaultdict(set), defaultdict(set)
    for label in labels:
        subject = persons.get(label["id"]) or label["id"]
        ids_of[subject].add(label["id"])
        visits_of[subject] |= {label.get("visit", ""), *label.get("visits", "").split(";")} - {""}
    labelled_ids = {label["id"] for label in labels}
    label_id = {}
    films_of = defaultdict(set)
    for knee in knees:
        film = knee["id"]
        if film in labelled_ids:
            label_id[film] = film
        else:
            films_of[persons.get(film) or film].add(film)
    reasons = {}
    for subject, films in films_of.items():
        for film in films:
            known = ids_of.get(subject, set())
            single = len(known) == len(films) == 1 and len(visits_of[subject]) < 2
            if single and not known & label_id.keys() and _can_match(film, subject, *known):
                label_id[film] = next(iter(known))
            elif known:
                reasons[film] = "its subject has labels, but this film has none"

    times = Counter((knee["id"], knee["side"]) for knee in knees)
    pairs, left_over = [], []
    for knee in knees:
        key = label_id.get(knee["id"]), knee["side"]
        if times[knee["id"], knee["side"]] > 1:
            left_over.append((knee["source"], "another file has the same id and side"))
        elif key in by_id:
            subject = persons.get(key[0]) or persons.get(knee["id"], "")
            pairs.append({**by_id[key], **knee, "subject": subject})
        else:
            left_over.append((knee["source"], reasons.get(knee["id"], "the knee has no label")))
    used = {(label_id[knee["id"]], knee["side"]) for knee in pairs}
    missing = [(f"{film} {side}", "the label has no knee") for film, side in by_id.keys() - used]
    return pairs, left_over, sorted(missing)


def _persons(labels: Sequence[dict], subjects: Mapping[str, str]) -> dict[str, str]:
    """The subject of each film by its id, from both tables.

    A label whose subject equals its id does not contradict the films' table: plain tables without
    subjects may be written that way.
    """
    persons = dict(subjects)
    for label in labels:
        film, subject = label["id"], label["subject"]
        known = persons.setdefault(film, subject)
        if known in ("", film):
            persons[film] = subject or known
        elif subject not in ("", film, known):
            raise InputError(
                f"film {film} has subject {subject} in the labels, but subject {known} in another "
                "row or in knees.csv; correct one of them, else a person may be in several splits"
            )
    return persons


def _can_match(film: str, subject: str, label_id: str) -> bool:
    """Whether a label can belong to a film: not if OAI barcodes tell them apart."""
    return film == subject or not re.fullmatch(r".*_\d{12}", label_id)
