"""A film's knees and their attention as DICOM images: a Secondary Capture, a Parametric Map."""

import cv2
import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sc import SCImage
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from knee_attention.films.dicom.geometry import spacing_of, stored_array, stored_box, upright_size
from knee_attention.grading.dicom import codes as ours
from knee_attention.grading.dicom.algorithm import Algorithm
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.grading.grader import RESEARCH_ONLY
from knee_attention.grading.rows import film_picture

MAP_SERIES = 9903

DIRECTIONS = {"L": (1, 0, 0), "R": (-1, 0, 0), "H": (0, 0, 1), "F": (0, 0, -1), "P": (0, 1, 0),
              "A": (0, -1, 0)}  # fmt: skip
"""The patient's directions as PatientOrientation names them, in space (PS3.3 C.7.6.2.1.1)."""


def parametric_map(
    source: Dataset, knees: list[GradedKnee], algorithm: Algorithm
) -> ParametricMap:
    """A Parametric Map of the film's size and place in space, with one frame per branch.

    The standard requires a place in space, but a radiograph usually has none. Then the map gets a
    frame of reference of its own, and only its reference links it to the film.

    Each knee's mask lies where the knee is on the film, in the film's stored orientation; outside
    of the knees the map is 0. The stored values are the attention, 0 to 1, as float32, because
    OHIF ignores the mapping to real world values.

    Args:
        source: the film's data set from `source_of`.
        knees: the film's graded knees, with masks that cover exactly their boxes, see
            `Grader.check_masks_fit_boxes`.
        algorithm: the model that graded them.
    """
    branches = list(knees[0].branch_masks)
    pixels = np.zeros((source.Rows, source.Columns, len(branches)), np.float32)
    for knee in knees:
        for channel, branch in enumerate(branches):
            _draw(pixels[..., channel], knee, branch, source)
    mappings = [
        [RealWorldValueMapping(
            lut_label=branch[:16], lut_explanation=f"Attention of branch {branch}"[:64],
            unit=codes.UCUM.NoUnits, value_range=(0.0, 1.0), slope=1, intercept=0,
            quantity_definition=ours.ATTENTION,
        )]
        for branch in branches
    ]  # fmt: skip
    film = source if "FrameOfReferenceUID" in source else _placed(source, algorithm)
    made = ParametricMap(
        source_images=[film],
        pixel_array=pixels[np.newaxis],
        series_instance_uid=algorithm.uid("map series", source),
        series_number=MAP_SERIES,
        sop_instance_uid=algorithm.uid("map", source),
        instance_number=1,
        **algorithm.equipment,
        device_serial_number=algorithm.digest[:12],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=mappings,
        voi_lut_transformations=[VOILUTTransformation(0.5, 1, voi_lut_function="LINEAR_EXACT")],
        content_label="ATTENTION",
        content_description="Attention over the knees, research use only",
        series_description="Attention over the knees, research use only",
    )
    made.Laterality = _laterality(knees)
    _index_by_branch(made)
    return made


def _placed(source: Dataset, algorithm: Algorithm) -> Dataset:
    """The film with a place in a frame of reference of its own: its corner is the origin."""
    film = Dataset()
    film.update(source)
    film.FrameOfReferenceUID = algorithm.uid("map frame of reference", source)
    film.PixelSpacing, film.SliceThickness = list(spacing_of(source) or (1, 1)), 1
    film.ImagePositionPatient = [0, 0, 0]
    film.ImageOrientationPatient = _directions(source)
    return film


def _directions(source: Dataset) -> list[int]:
    """The directions of the rows and columns of a film without a place.

    OHIF places such a film in the x-y plane and overlays only maps in that plane. So the usual
    film, upright with the patient's left on the right, gets this plane, although its columns run
    from head to feet. A film stored otherwise keeps its true directions; else a viewer could
    exchange left and right.
    """
    stated = [str(part)[:1] for part in source.get("PatientOrientation") or ()]
    known = len(stated) == 2 and all(part in DIRECTIONS for part in stated)
    if not known or stated == ["L", "F"]:
        return [1, 0, 0, 0, 1, 0]
    along_row, along_column = stated
    return [*DIRECTIONS[along_row], *DIRECTIONS[along_column]]


def _index_by_branch(made: ParametricMap) -> None:
    """Make the branch the dimension of the frames, which all have the same place."""
    [index] = made.DimensionIndexSequence
    index.DimensionIndexPointer = tag_for_keyword("LUTLabel")
    index.FunctionalGroupPointer = tag_for_keyword("RealWorldValueMappingSequence")
    index.DimensionDescriptionLabel = "Branch"
    for number, frame in enumerate(made.PerFrameFunctionalGroupsSequence, start=1):
        frame.FrameContentSequence[0].DimensionIndexValues = [number]


def _draw(frame: np.ndarray, knee: GradedKnee, branch: str, source: Dataset) -> None:
    """Draw a mask into its place on a frame in the film's stored orientation."""
    width, height = upright_size(source)
    left, top, right, bottom = knee.frame.pixels
    corners = left, top, width - right, height - bottom
    if knee.place:
        left, top, width, height = knee.place.box
        corners = left, top, left + width, top + height
    left, top, right, bottom = (round(value) for value in stored_box(corners, source))
    mask = stored_array(knee.as_on_film(knee.branch_masks[branch]), source)
    shown = cv2.resize(mask.astype(np.float32), (right - left, bottom - top))
    inside = shown[max(-top, 0) :, max(-left, 0) :]
    part = frame[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    inside = inside[: part.shape[0], : part.shape[1]]
    part[:] = np.clip(inside, 0, 1)


PICTURE_SERIES = 9902
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
        series_number=PICTURE_SERIES,
        sop_instance_uid=algorithm.uid("picture", source),
        instance_number=1,
        **algorithm.equipment,
        series_description="Kellgren-Lawrence grades, pictures, research use only",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    image.copy_patient_and_study_information(source)
    # highdicom requires an orientation, but a picture of several panels has none.
    image.PatientOrientation = None
    image.Laterality = _laterality(knees)
    # The picture adds no patient data, but shows what is burnt into the film, such as a name.
    image.BurnedInAnnotation = "NO" if source.get("BurnedInAnnotation") == "NO" else "YES"
    image.DerivationDescription = f"Attention over the knees, {algorithm.version}. {RESEARCH_ONLY}"
    film = Dataset()
    film.ReferencedSOPClassUID = source.SOPClassUID
    film.ReferencedSOPInstanceUID = source.SOPInstanceUID
    image.SourceImageSequence = [film]
    return image


def _laterality(knees: list[GradedKnee]) -> str | None:
    """The side of the only knee of a film; None if both knees are there."""
    sides = {knee.side for knee in knees}
    return sides.pop() if len(sides) == 1 else None


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
