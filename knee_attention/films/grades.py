"""Kellgren-Lawrence grades from the tables of OAI, of MOST, or a plain CSV file."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from knee_attention.errors import InputError

LABEL_COLUMNS = ["id", "subject", "cohort", "visit", "side", "kl", "project", "visits"]
"""Columns of a table of labels. `subject` is blank where no table knows it, `project` is OAI's
reading project (READPRJ), else blank, and `visits` are all of the subject's that were read, graded
or not."""

PROJECTS = ("15", "37", "42")
"""OAI's reading projects in order of preference: a knee has one grade, the first of these."""

SPECIAL_CODES = {
    "": "blank",
    ".": "missing",
    "A": "special code A",
    "M": "special code M",
    "P": "special code P (prosthesis)",
    "T": "special code T (technical)",
}
"""What stands where a grade should be. MOST's further codes are reported as they are written."""


@dataclass(frozen=True)
class Reading:
    """One reading of one knee, as a table has it; `grade` as it is written there."""

    place: str
    id: str
    subject: str
    cohort: str
    visit: str
    side: str
    grade: str
    project: str = ""
    version: str = ""
    visits: str = ""


@dataclass
class Grades:
    """What a table of readings comes to.

    Attributes:
        labels: one row of `LABEL_COLUMNS` per graded knee.
        excluded: (reading, reason) of every other reading.
        disagreements: knees to which the projects gave different grades.
    """

    labels: list[dict] = field(default_factory=list)
    excluded: list[tuple[str, str]] = field(default_factory=list)
    disagreements: int = 0


def readings_of(table: list[dict]) -> list[Reading]:
    """Recognise a table by its columns and list its readings.

    OAI has one row per reading (ID, SIDE, READPRJ, V..XRKL), MOST one per subject (MOSTID, V.XRKL
    for the right knee and V.XLKL for the left), a plain table one per knee (id, side, kl and
    perhaps subject, cohort, visit).

    Args:
        table: as `read_table` gives it.

    Raises:
        InputError: none of the three.
    """
    columns = set(table[0])
    if "MOSTID" in columns:
        return _most_readings(table)
    if {"ID", "SIDE", "READPRJ"} <= columns:
        return _oai_readings(table)
    if {"ID", "SIDE", "KL"} <= columns:
        return _plain_readings(table)
    raise InputError(
        "expected the columns ID, SIDE, READPRJ, V00XRKL (OAI), MOSTID, V0XRKL, V0XLKL (MOST) "
        f"or id, side, kl. Received: {', '.join(list(table[0])[:8])}"
    )


def _oai_readings(table: list[dict]) -> list[Reading]:
    name = re.compile(r"(V\d\d)XRKL")
    visits = [match for match in map(name.fullmatch, table[0]) if match]
    if not visits:
        raise InputError("the OAI table has no column of grades like V00XRKL")
    readings = []
    for line, row in enumerate(table, start=2):
        for match in visits:
            visit, subject = match[1], row["ID"]
            barcode = row.get(f"{visit}BARCDBU", "")
            film = film_id(subject, barcode) if barcode.isdigit() else f"{subject}_{visit}"
            readings.append(
                Reading(
                    place=f"line {line}",
                    id=subject and film,
                    subject=subject,
                    cohort="OAI",
                    visit=visit,
                    side=_side(row["SIDE"]),
                    grade=row[match[0]],
                    project=_number(row["READPRJ"]) or "blank",
                    version=row.get("VERSION", ""),
                )
            )
    return readings


def _most_readings(table: list[dict]) -> list[Reading]:
    name = re.compile(r"(V\d)X([RL])KL")
    grades = [match for match in map(name.fullmatch, table[0]) if match]
    if not grades:
        raise InputError("the MOST table has no columns of grades like V0XRKL and V0XLKL")
    return [
        Reading(
            place=f"line {line}",
            id=row["MOSTID"] and f"{row['MOSTID']}_{match[1]}",
            subject=row["MOSTID"],
            cohort="MOST",
            visit=match[1],
            side=match[2],
            grade=row[match[0]],
        )
        for line, row in enumerate(table, start=2)
        for match in grades
    ]


def _plain_readings(table: list[dict]) -> list[Reading]:
    return [
        Reading(
            place=f"line {line}",
            id=row["ID"],
            subject=row.get("SUBJECT", ""),
            cohort=row.get("COHORT", ""),
            visit=row.get("VISIT", ""),
            side=_side(row["SIDE"]),
            grade=row["KL"],
            project=row.get("PROJECT", "") if row.get("PROJECT") in PROJECTS else "",
            visits=row.get("VISITS", ""),
        )
        for line, row in enumerate(table, start=2)
    ]


def film_id(subject: str, film: str) -> str:
    """The id of a film: its subject and what tells it from the subject's other films.

    Args:
        subject: the subject's id.
        film: OAI's barcode, 12 digits (a leading zero may be lost), or any other word.
    """
    return f"{subject}_{film.zfill(12) if film.isdigit() and len(film) == 11 else film}"


def _number(text: str) -> str:
    return re.sub(r"\.0*$", "", text.split(":")[0].strip())


def _side(text: str) -> str:
    """`R`, `L` or blank from `1`, `1: Right`, `2: Left`, `right`, `R` and the like."""
    code = _number(text).upper()
    return {"1": "R", "2": "L", "RIGHT": "R", "LEFT": "L", "R": "R", "L": "L"}.get(code, "")


def _grade(text: str) -> int | None:
    match = re.fullmatch(r"([0-4])(\.0*)?(\s*:.*)?", text)
    return int(match[1]) if match else None


def choose_grades(readings: Iterable[Reading]) -> Grades:
    """Choose one grade for every knee: the first of `PROJECTS` that graded it.

    Args:
        readings: in any order; a knee may have several.

    Returns:
        The labels, sorted by id and side, and every reading that is not among them.
    """
    readings = list(readings)
    visits_of_film, visits_of_subject = defaultdict(set), defaultdict(set)
    for reading in readings:
        visits_of_film[reading.id].add(reading.visit)
        if reading.grade:
            visits = {reading.visit, *reading.visits.split(";")} - {""}
            visits_of_subject[reading.subject or reading.id] |= visits
    grades, knees = Grades(), {}
    for reading in readings:
        reason = _unusable(reading)
        if not reason and len(visits_of_film[reading.id]) > 1:
            reason = "one id for several visits"
        if reason:
            grades.excluded.append((_name(reading), reason))
        else:
            knees.setdefault((reading.id, reading.side), []).append(reading)
    for _, candidates in sorted(knees.items()):
        _choose(candidates, grades)
    for label in grades.labels:
        label["visits"] = ";".join(sorted(visits_of_subject[label["subject"] or label["id"]]))
    return grades


def _unusable(reading: Reading) -> str | None:
    if not reading.id:
        return "no id"
    if not reading.side:
        return "no side"
    if reading.project and reading.project not in PROJECTS:
        return f"reading project {reading.project}, not {', '.join(PROJECTS)}"
    if _grade(reading.grade) is not None:
        return None
    code = reading.grade.upper()
    if re.fullmatch(r"\.[A-Z]", code):  # SAS writes its special missing codes with a point
        code = code[1:]
    return f"no grade: {SPECIAL_CODES.get(code) or reading.grade}"


def _choose(candidates: list[Reading], grades: Grades) -> None:
    def preference(reading: Reading) -> tuple:
        project = PROJECTS.index(reading.project) if reading.project else 0
        return project, _descending(reading.version), _grade(reading.grade), reading.place

    first, *others = sorted(candidates, key=preference)
    kl = _grade(first.grade)
    rivals = [other for other in others if preference(other)[:2] == preference(first)[:2]]
    grades.disagreements += any(_grade(other.grade) != kl for other in others)
    if any(_grade(rival.grade) != kl for rival in rivals):
        reason = "two different grades for one knee"
        grades.excluded += [(_name(reading), reason) for reading in candidates]
        return
    grades.labels.append(
        {
            "id": first.id,
            "subject": first.subject,
            "cohort": first.cohort,
            "visit": first.visit,
            "side": first.side,
            "kl": kl,
            "project": first.project,
        }
    )
    for other in others:
        agreement = "the same grade" if _grade(other.grade) == kl else "another grade"
        grades.excluded.append((_name(other), f"a further reading, {agreement}"))


def _descending(version: str) -> float:
    try:
        return -float(version)
    except ValueError:
        return 0.0


def _name(reading: Reading) -> str:
    words = (reading.place + ":", reading.id, reading.side, reading.visit)
    project = f"project {reading.project}" if reading.project else ""
    return " ".join(filter(None, (*words, project)))
