"""Several DICOM elements can state a lateral or axial view; each of them is read."""

import numpy as np
import pytest

pytest.importorskip("pydicom")
from dicom_files import view_code, write_dicom  # noqa: E402
from pydicom import Dataset  # noqa: E402

from knee_attention.data_prep.dicom_trees import Filter  # noqa: E402
from knee_attention.films.dicom.header import read_header  # noqa: E402

PIXELS = np.zeros((20, 30), np.uint16)

LATERAL = [
    *({"PatientOrientation": way} for way in (["A", "F"], ["P", "F"], ["A", "H"], ["F", "A"],
                                              ["AL", "F"], ["PR", "FA"], ["L", "P"], "A")),
    *({"ViewPosition": position} for position in ("LL", "RL", "LLD", "RLO", "LAT", "LATERAL")),
    *({"ViewCodeSequence": [view_code(value)]} for value in (
        "399067008", "399173006", "399198007", "399260004", "399352003", "399368009", "399110001",
    )),
    {"ViewCodeSequence": [view_code("R-10236", "", "SRT")]},
    {"ViewCodeSequence": [view_code("7", "medio-lateral", "99HOSPITAL")]},
    {"ViewCodeSequence": [view_code("7", "Patella skyline", "99HOSPITAL")]},
]  # fmt: skip

FRONTAL = [
    {},
    *({"PatientOrientation": way} for way in (["L", "F"], ["R", "F"], ["F", "L"], ["LA", "FP"], "",
                                              "R", "AP", "PA")),
    *({"ViewPosition": position} for position in ("AP", "PA", "")),
    *({"ViewCodeSequence": [view_code(value)]} for value in ("399348003", "272479007",
                                                            "399033003")),
    {"ViewCodeSequence": [view_code("7", "Bilateral PA", "99HOSPITAL")]},
    {"ViewCodeSequence": []},
    {"ViewCodeSequence": [Dataset()]},
]  # fmt: skip


@pytest.mark.parametrize("elements", LATERAL)
@pytest.mark.parametrize("series", [None, "Bilateral PA Fixed Flexion Knee"])
def test_what_is_no_view_from_the_front_is_left_out(tmp_path, elements, series):
    header = read_header(write_dicom(tmp_path / "001", PIXELS, SeriesDescription=series,
                                     BodyPartExamined="KNEE", **elements))  # fmt: skip
    assert header.other_view
    assert Filter().objection(header).startswith("another view: ")
    # An explicit view pattern keeps the film.
    assert Filter(view="").objection(header) is None


@pytest.mark.parametrize("elements", FRONTAL)
def test_a_view_from_the_front_is_taken(tmp_path, elements):
    header = read_header(write_dicom(tmp_path / "001", PIXELS, **elements))
    assert header.other_view == "" and Filter().objection(header) is None


@pytest.mark.parametrize("elements", LATERAL)
def test_the_node_leaves_out_the_same(tmp_path, elements):
    pytest.importorskip("pynetdicom")
    pytest.importorskip("highdicom")
    from knee_attention.grading.node.node import objection

    reason = objection(read_header(write_dicom(tmp_path / "001", PIXELS, **elements)))
    assert reason.startswith("another view: ")
