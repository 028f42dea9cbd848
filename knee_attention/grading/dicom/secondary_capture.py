"""The picture of a film's knees and their attention as a Secondary Capture Image."""

import cv2
import numpy as np
from highdicom.sc import SCImage
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from knee_attention.films.inputs import PRODUCT
from knee_attention.grading.dicom.algorithm import Algorithm
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.grading.grader import RESEARCH_ONLY
from knee_attention.grading.rows import film_picture

SERIES_NUMBER = 9902
FOOTER = 36
"""Height of the notice at the bottom in pixels."""


def secondary_capture(source: Dataset, knees: list[GradedKnee], algorithm: Algorithm) -> SCImage:
    """The picture of `film_picture` above a research notice, 8-bit RGB, in the film's study.

    Args:
        source: the film's data set from `source_of`.
        knees: the film's graded knees.
        algorithm: the model that graded them.
    """
    picture = _with_footer(film_picture(knees, algorithm.synthetic))
    image = SCImage.from_ref_dataset(
        source,
        cv2.cvtColor(picture, cv2.COLOR_BGR2RGB),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        series_instance_uid=algorithm.uid("picture series", source),
        series_number=SERIES_NUMBER,
        sop_instance_uid=algorithm.uid("picture", source),
        instance_number=1,
        manufacturer=PRODUCT,
        manufacturer_model_name=PRODUCT,
        software_versions=algorithm.version,
        series_description="Kellgren-Lawrence grades, pictures, research use only",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    image.copy_patient_and_study_information(source)
    # highdicom requires an orientation, but a picture of several panels has none.
    image.PatientOrientation = None
    sides = {knee.side for knee in knees}
    image.Laterality = sides.pop() if len(sides) == 1 else None
    # The picture adds no patient data, but shows what is burnt into the film, such as a name.
    image.BurnedInAnnotation = "NO" if source.get("BurnedInAnnotation") == "NO" else "YES"
    image.DerivationDescription = f"Attention over the knees, {algorithm.version}. {RESEARCH_ONLY}"
    film = Dataset()
    film.ReferencedSOPClassUID = source.SOPClassUID
    film.ReferencedSOPInstanceUID = source.SOPInstanceUID
    image.SourceImageSequence = [film]
    return image


def _with_footer(picture: np.ndarray) -> np.ndarray:
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, 1
    width = picture.shape[1]
    (length, _), _ = cv2.getTextSize(RESEARCH_ONLY, font, 1, thickness)
    scale = min(0.7, 0.95 * width / length)
    picture = cv2.copyMakeBorder(picture, 0, FOOTER, 0, 0, cv2.BORDER_CONSTANT)
    place = (8, picture.shape[0] - 12)
    white = (255, 255, 255)
    cv2.putText(picture, RESEARCH_ONLY, place, font, scale, white, thickness, cv2.LINE_AA)
    return picture
