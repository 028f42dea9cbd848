"""Recognising lateral and axial views by the elements of a DICOM header."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

LATERAL_POSITION = re.compile(r"(ll|rl)[do]?|ml|lm|lat.*", re.IGNORECASE)
"""Values of ViewPosition (PS3.3 C.8.1.1, C.8.11.5) for a lateral view: LL, RL, decubitus, oblique,
and common variants."""

OTHER_VIEW_CODES = frozenset({
    # lateral, left, right, medial-lateral, lateral-medial, sagittal, and oblique ones
    "399067008", "399173006", "399118008", "399198007", "399297009", "399260004", "399352003",
    "30730003", "260427002", "399368009", "399099002", "260421001", "260424009",
    "R-102CD", "R-10236", "R-10232", "R-10224", "R-10228", "G-A145", "R-40783", "R-10226",
    "R-10230",
    # axial, tangential, cranio-caudal and caudo-cranial
    "399061009", "399110001", "399162004", "399196006",
    "R-10241", "R-102C2", "R-10242", "R-10244",
})  # fmt: skip
"""SNOMED codes of lateral and axial views in CID 4010 (PS3.16), as SCT and as SRT. Frontal,
antero-posterior and postero-anterior views, and obliques of these, are not in the list."""

OTHER_VIEW = re.compile(
    r"\blat|mediolat|tangential|\baxial|skyline|sunrise|merchant|sagittal", re.IGNORECASE
)
"""Words in CodeMeaning, for codes of any scheme."""

FRONT_OR_BACK = re.compile(r"[AP][LRHF]{0,2}")
"""A value of PatientOrientation that points mainly to the front or the back. The first letter is
the main direction (PS3.3 C.7.6.1.1.1)."""


def other_view(dataset: "Dataset") -> str:
    """The element that states a lateral or axial view instead of a frontal one.

    Args:
        dataset: the film's file.

    Returns:
        A lateral ViewPosition; else the meaning of a lateral or axial ViewCodeSequence; else a
        PatientOrientation that contains front or back (PS3.3 C.7.6.1.1.1). Blank if no element
        states such a view.
    """
    position = str(dataset.get("ViewPosition") or "").strip()
    if LATERAL_POSITION.fullmatch(position):
        return position
    codes = dataset.get("ViewCodeSequence") or ()
    for item in (item for item in codes if hasattr(item, "get")):
        code, meaning = (str(item.get(name) or "") for name in ("CodeValue", "CodeMeaning"))
        if code in OTHER_VIEW_CODES or OTHER_VIEW.search(meaning):
            return f"ViewCodeSequence {meaning or code}"
    orientation = dataset.get("PatientOrientation") or ""
    if isinstance(orientation, str):
        orientation = [orientation]
    if any(FRONT_OR_BACK.fullmatch(str(direction)) for direction in orientation):
        return "PatientOrientation " + "\\".join(map(str, orientation))
    return ""
