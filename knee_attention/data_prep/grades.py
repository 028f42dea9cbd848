"""Choosing one Kellgren-Lawrence grade for every knee from all its readings."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from knee_attention.data_prep.grade_tables import PROJECTS, Reading

LABEL_COLUMNS = ["id", "subject", "cohort", "visit", "side", "kl", "project", "visits"]
"""Columns of a table of labels. `subject` is blank if no table names it. `project` is OAI's reading
project (READPRJ), blank for other cohorts. `visits` are all visits of the subject with a reading,
graded or not."""

SPECIAL_CODES = {
    "": "blank",
    ".": "missing",
    "A": "special code A",
    "M": "special code M",
    "P": "special code P (prosthesis)",
    "T": "special code T (technical)",
}
"""The meaning of entries that are not grades. Further codes of MOST are reported as written."""


@dataclass
class Grades:
    """The grades chosen from a table of readings.

    Attributes:
        labels: one row of `LABEL_COLUMNS` per graded knee.
        excluded: (reading, reason) for every reading that is not used.
        disagreements: number of knees with different grades by the reading projects.
    """

    labels: list[dict] = field(default_factory=list)
    excluded: list[tuple[str, str]] = field(default_factory=list)
    disagreements: int = 0


def _grade(text: str) -> int | None:
    match = re.fullmatch(r"([0-4])(\.0*)?(\s*:.*)?", text)
    return int(match[1]) if match else None


def choose_grades(readings: Iterable[Reading], visit: str | None = None) -> Grades:
    """Choose one grade for every knee: that of the first of `PROJECTS` that graded it.

    Args:
        readings: in any order; a knee may have several.
        visit: use only readings of this visit, also for the column `visits`; None uses all.

    Returns:
        The labels, sorted by id and side, and the readings that are not used.
    """
    grades, knees = Grades(), {}
    others = [reading for reading in readings if visit and reading.visit != visit]
    grades.excluded += [(_name(reading), f"another visit than {visit}") for reading in others]
    readings = [reading for reading in readings if not visit or reading.visit == visit]
    visits_of_film, visits_of_subject = defaultdict(set), defaultdict(set)
    for reading in readings:
        visits_of_film[reading.id].add(reading.visit)
        if reading.grade:
            visits = {reading.visit, *reading.visits.split(";")} - {""}
            visits_of_subject[reading.subject or reading.id] |= visits
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
        return f"reading project {reading.project}, which is not one of {', '.join(PROJECTS)}"
    if _grade(reading.grade) is not None:
        return None
    code = reading.grade.upper()
    if re.fullmatch(r"\.[A-Z]", code):  # SAS writes special missing values with a point
        code = code[1:]
    return f"no grade: {SPECIAL_CODES.get(code) or reading.grade}"


def _choose(candidates: list[Reading], grades: Grades) -> None:
    def preference(reading: Reading) -> tuple:
        project = PROJECTS.index(reading.project) if reading.project else 0
        return project, _descending(reading.version), _grade(reading.grade)

    first, *others = sorted(candidates, key=preference)
    kl = _grade(first.grade)
    rivals = [other for other in others if preference(other)[:2] == preference(first)[:2]]
    if any(_grade(other.grade) != kl for other in others):
        grades.disagreements += 1
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
    words = (reading.line + ":", reading.id, reading.side, reading.visit)
    project = f"project {reading.project}" if reading.project else ""
    return " ".join(filter(None, (*words, project)))
