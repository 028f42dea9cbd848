"""A film's grades as a structured report: TID 1500 of PS3.16, one measurement group per knee."""

import numpy as np
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from knee_attention.films.dicom.geometry import stored_box
from knee_attention.films.inputs import PRODUCT
from knee_attention.films.network_input import Place
from knee_attention.grading.dicom import codes as ours
from knee_attention.grading.dicom.algorithm import Algorithm
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.grading.grader import RESEARCH_ONLY
from knee_attention.grading.rows import SIDES

SERIES_NUMBER = 9901
LATERALITY = {"R": codes.SCT.Right, "L": codes.SCT.Left, None: None}


def structured_report(
    source: Dataset, knees: list[GradedKnee], algorithm: Algorithm
) -> Comprehensive3DSR:
    """A Comprehensive 3D SR in the film's study.

    Each knee is a measurement group: TID 1410 if the place of its joint is known, else TID 1501. It
    holds the finding site, the grade, remarks, the grade's prediction set, the mean grade and the
    probability of osteoarthritis by the chosen output, and the probabilities of the grades by every
    output, with three decimals. The grade and the remarks come first, although the templates list
    evaluations after measurements, because viewers show the content in its order. No finding is
    coded, because the report makes no diagnosis.

    Args:
        source: the film's data set from `source_of`.
        knees: the film's graded knees.
        algorithm: the model that graded them.
    """
    groups = [_grade_first(_knee_group(source, knee, algorithm)) for knee in knees]
    device = DeviceObserverIdentifyingAttributes(
        uid=algorithm.uid("device"),
        name=PRODUCT,
        manufacturer_name=PRODUCT,
        model_name=algorithm.model,
        serial_number=algorithm.digest[:12],
    )
    content = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(codes.DCM.Device, device)
        ),
        procedure_reported=codes.SCT.PlainRadiography,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    return Comprehensive3DSR(
        evidence=[source],
        content=content,
        series_instance_uid=algorithm.uid("report series", source),
        series_number=SERIES_NUMBER,
        sop_instance_uid=algorithm.uid("report", source),
        instance_number=1,
        **algorithm.equipment,
        series_description="Kellgren-Lawrence grades, research use only",
        is_complete=True,
        coding_schemes=[
            CodingSchemeIdentificationItem(
                ours.SCHEME, name="Kellgren-Lawrence grades", responsible_organization=PRODUCT
            )
        ],
    )


def _knee_group(
    source: Dataset, knee: GradedKnee, algorithm: Algorithm
) -> MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations:
    side = SIDES[knee.side]
    film = (source.SOPClassUID, source.SOPInstanceUID)
    content = {
        "tracking_identifier": TrackingIdentifier(algorithm.uid(side, source), side),
        "finding_sites": [FindingSite(codes.SCT.KneeJoint, LATERALITY[knee.side])],
        "algorithm_id": AlgorithmIdentification(
            name=f"{PRODUCT}: {algorithm.model}, graded by output {knee.chosen}",
            version=algorithm.version,
            parameters=[*algorithm.settings, RESEARCH_ONLY],
            manufacturer=PRODUCT,
        ),
        "measurements": _measurements(knee),
        "qualitative_evaluations": _evaluations(knee, algorithm),
    }
    if knee.place is None:
        images = [SourceImageForMeasurementGroup(*film)]
        return MeasurementsAndQualitativeEvaluations(**content, source_images=images)
    left, top, right, bottom = stored_box(_corners(knee.place), source)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    region = ImageRegion("POLYLINE", np.array(corners), SourceImageForRegion(*film))
    return PlanarROIMeasurementsAndQualitativeEvaluations(**content, referenced_region=region)


def _corners(place: Place) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of the crop that lies on the upright film."""
    left, top, width, height = place.box
    down, across = place.size
    return max(left, 0), max(top, 0), min(left + width, across), min(top + height, down)


def _grade_first(group):
    """The same group, with its evaluations before its measurements."""
    [container] = group
    container.ContentSequence = sorted(
        container.ContentSequence, key=lambda item: item.ValueType == "NUM"
    )
    return group


def _measurements(knee: GradedKnee) -> list[Measurement]:
    outputs = {ours.output(name): values for name, values in knee.branches.items()}
    probabilities = [
        _measurement(name, value, method)
        for method, values in {**outputs, ours.ENSEMBLE: knee.ensemble}.items()
        for name, value in zip(ours.PROBABILITIES, values, strict=True)
    ]
    chosen = ours.output(knee.chosen)
    names = (ours.LOWEST, ours.HIGHEST, ours.COVERAGE)
    known = zip(names, (*knee.grade_set, knee.coverage), strict=True) if knee.grade_set else ()
    return [
        *(_measurement(name, value, chosen) for name, value in known),
        _measurement(ours.MEAN_GRADE, knee.expected_grade, chosen),
        _measurement(ours.OSTEOARTHRITIS, knee.oa_probability, chosen),
        *probabilities,
    ]


def _measurement(name: Code, value: float, output: Code) -> Measurement:
    return Measurement(name, round(float(value), 3), codes.UCUM.NoUnits, method=output)


def _evaluations(knee: GradedKnee, algorithm: Algorithm) -> list[QualitativeEvaluation]:
    pairs = [(ours.GRADE, ours.GRADES[knee.grade]), ours.RESEARCH_USE]
    if algorithm.synthetic:
        pairs.append(ours.PHANTOMS)
    if knee.inverted:
        pairs.append(ours.NEGATIVE)
    if knee.pixel_aspect != 1:
        pairs.append(ours.NOT_SQUARE)
    if knee.unlike:
        pairs.append(ours.UNLIKE)
    if knee.look_again:
        pairs.append(ours.LOOK_AGAIN)
    return [QualitativeEvaluation(*pair) for pair in pairs]
