"""The subject of a film, from its header, its folders and contents.csv.

OAI's folders are `<visit>/0.C.2/<subject>/<yyyymmdd>/<series>/001`. The series folders of X-rays
have 8 digits and begin with 0. MOST's are `<MOSTID>_<letters>/V<visit>/<number>/PA<angle>/<number>`
(github.com/Oulu-IMEDS/OAProgression, MOST_names.csv). A MOSTID looks like M0943 or MB00001.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

MOST_ID = r"M[A-Z]?\d{4,}"
MOST_FOLDER = re.compile(rf"({MOST_ID})_([A-Z]+)")


@dataclass(frozen=True)
class MostFolder:
    """The folders of a MOST film.

    Attributes:
        subject: the MOSTID.
        visit: `V0` to `V9`.
        person: the name of the person's folder, `<MOSTID>_<letters>`.
        numbers: the names of the folders below the visit's, with numbers of the examination.
    """

    subject: str
    visit: str
    person: str
    numbers: tuple[str, ...]

    def matches(self, patient: str) -> bool:
        """Whether a PatientID fits this person: it is blank, the MOSTID, the letters, both, or a
        number of the examination."""
        letters = self.person.removeprefix(f"{self.subject}_")
        return patient.upper() in ("", self.subject, letters, self.person, *self.numbers)


def most_folder(source: Path) -> MostFolder | None:
    """The MOST folders of a film; None if its folders are not named like MOST's."""
    folders = source.parts[:-1]
    for place, (person, visit) in enumerate(pairwise(folders)):
        known = MOST_FOLDER.fullmatch(person)
        if known and re.fullmatch(r"V\d", visit):
            return MostFolder(known[1], visit, person, folders[place + 2 :])
    return None


def oai_barcode(source: Path) -> str:
    """The barcode from the series' folder; blank if the folder is not named like OAI's."""
    series = source.parent.name
    return "0166" + series if re.fullmatch(r"0\d{7}", series) else ""


def oai_subject(source: Path) -> str:
    """The subject from the folders; blank if they are not named like OAI's."""
    parts = source.parts[-4:-1]
    oai = len(parts) == 3 and re.fullmatch(r"9\d{6}", parts[0]) and re.fullmatch(r"\d{8}", parts[1])
    return parts[0] if oai else ""


def with_subjects(films: Iterable[dict]) -> tuple[list[dict], list[dict]]:
    """Give every film its subject, and MOST films their visit.

    A MOST film gets its folder's MOSTID, because MOST's grades are listed by MOSTID and a header
    may hold a pseudonym. PatientID decides instead if it is another MOSTID, or if the films of one
    MOSTID have several PatientIDs. Otherwise two persons would share one person's grades.

    Other films get the subject in contents.csv, which names each series; else PatientID, which
    copying does not change; else the subject of OAI's folder.

    Args:
        films: rows with `source`, `patient` (PatientID) and `listed` (PARTICIPANTID of
            contents.csv). Rows of an earlier version have `subject` instead.

    Returns:
        The rows with `subject` and `visit`, and those of them whose PatientID differs from the
        person of the folder or of contents.csv.
    """
    films = [{"patient": film.get("subject", ""), "listed": "", **film} for film in films]
    folders = {film["source"]: most_folder(Path(film["source"])) for film in films}
    persons, claims = defaultdict(set), defaultdict(set)
    for film in films:
        folder, patient = folders[film["source"]], film["patient"]
        if folder:
            persons[folder.subject].add(folder.person)
            if patient:
                claims[folder.subject].add(folder.person if folder.matches(patient) else patient)
    settled, disagreeing = [], []
    for film in films:
        folder, patient = folders[film["source"]], film["patient"]
        if folder:
            most_id = folder.subject
            subject = _subject_of_most(patient, folder, persons[most_id], claims[most_id])
            agree = folder.matches(patient) and subject == folder.subject
        else:
            named = film["listed"] or oai_subject(Path(film["source"]))
            subject = film["listed"] or patient or named
            agree = patient in ("", named) or not named
        row = {**film, "subject": subject, "visit": folder.visit if folder else ""}
        settled.append(row)
        if not agree:
            disagreeing.append(row)
    return settled, disagreeing


def _subject_of_most(patient: str, folder: MostFolder, persons: set[str], claims: set[str]) -> str:
    """The subject of a MOST film.

    Args:
        patient: its PatientID.
        folder: its folders.
        persons: the names of all persons' folders with its MOSTID.
        claims: the persons that the PatientIDs of the films in these folders name.
    """
    if folder.matches(patient):
        alone = len(persons) == 1 or patient.upper() == folder.subject
        return folder.subject if alone else folder.person
    other = re.fullmatch(rf"({MOST_ID})(_[A-Z]+)?", patient)
    if other:
        return other[1]
    return folder.subject if len(persons) == len(claims) == 1 else patient
