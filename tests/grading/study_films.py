"""Helpers for tests of reports and of the node: DICOM films, a trivial network, an archive."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from dicom_files import write_dicom
from processes import free_port
from pydicom import dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from pynetdicom import AE, evt

from knee_attention.films.network_input import Place
from knee_attention.grading.dicom.algorithm import Algorithm
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.grading.grader import Grader
from knee_attention.phantoms.film import phantom_film

PATIENT = {
    "PatientName": "Doe^Jane",
    "PatientBirthDate": "19500102",
    "PatientSex": "F",
    "StudyID": "7",
    "StudyTime": "101112",
    "AccessionNumber": "A-1",
}

ALGORITHM = Algorithm("bright knee", "0" * 64, ("polarity auto", "view auto"))


def study_film(path: Path, seed: int = 0, **elements) -> Path:
    """A phantom of both knees as a DICOM film; `elements` adds elements; None removes one."""
    image = phantom_film((seed % 5, (seed + 2) % 5), seed=seed, height=256).image
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    return write_dicom(path, image.astype(np.uint16) * 16, **{**PATIENT, **uids, **elements})


def sop(film: Path) -> str:
    """The film's SOPInstanceUID."""
    return dcmread(film).SOPInstanceUID


class BrightKnee:
    """A trivial network whose probabilities follow from the pixels."""

    description = {"outputs": ["att0", "att1"], "chosen": "att1", "image_size": [96, 96],
                   "prediction_sets": {"thresholds": [0.8] * 99}}  # fmt: skip

    def __call__(self, images):
        grey = images.mean(axis=(1, 2, 3))
        scores = np.stack([np.cos(grey * grade) for grade in range(1, 6)], axis=1)
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        mask = np.broadcast_to(np.linspace(0, 1, 36).reshape(6, 6), (len(images), 6, 6))
        return {"att0": shares, "att1": shares[:, ::-1], "att0_mask": mask, "att1_mask": mask}


def bright_knee_grader() -> Grader:
    """A grader with that network."""
    return Grader(BrightKnee())


def knees_at(film: Path, boxes: dict[str, tuple[int, int, int, int]]) -> list[GradedKnee]:
    """The graded knees of a film; a side with a box (left, top, width, height) is cut out there."""
    shown = np.zeros((256, 256), np.uint8)
    return [
        replace(knee, place=Place(boxes[knee.side], shown, 1, shown.shape, True))
        if knee.side in boxes else knee
        for knee in bright_knee_grader().grade(film)
    ]


def send(port: int, *films: Path) -> list[int | None]:
    """Send films to a node in one association; returns each status, None without an answer."""
    datasets = [dcmread(film) for film in films]
    entity = AE(ae_title="SENDER")
    kinds = {(data.SOPClassUID, data.file_meta.TransferSyntaxUID) for data in datasets}
    for kind, syntax in kinds:
        entity.add_requested_context(kind, syntax)
    association = entity.associate("127.0.0.1", port)
    if not association.is_established:
        return [None] * len(films)
    answers = []
    for dataset in datasets:
        try:
            answers.append(association.send_c_store(dataset).get("Status"))
        except RuntimeError:
            answers.append(None)
    association.release()
    return answers


def waiting(folder: Path, *names: str) -> int:
    """The number of files in these parts of a node's queue."""
    return sum(len(list((folder / "queue" / name).glob("*"))) for name in names)


def until(holds, seconds=60):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


KINDS = (Comprehensive3DSRStorage, SecondaryCaptureImageStorage, ParametricMapStorage)


class StandIn:
    """An archive that stores all objects and answers with given statuses.

    Attributes:
        breaks_off_at: a SOPInstanceUID at which it closes the connection, as after a crash.
    """

    def __init__(self, status=0, kinds=KINDS):
        self.received, self.status, self.port = [], status, free_port()
        self.breaks_off_at = None
        self._entity = AE(ae_title="ARCHIVE")
        for kind in kinds:
            self._entity.add_supported_context(kind)

    def start(self):
        handlers = [(evt.EVT_C_STORE, self._receive)]
        self._server = self._entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers
        )

    def stop(self):
        self._server.shutdown()

    def _receive(self, event):
        if event.request.AffectedSOPInstanceUID == self.breaks_off_at:
            event.assoc.abort()
        elif self.status == 0:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.received.append(dataset)
        return self.status

    def films(self):
        """SOPInstanceUIDs of the films to which the received objects refer."""
        return sorted(
            (one.SourceImageSequence[0] if one.Modality == "OT" else
             one.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
             .ReferencedSOPSequence[0]).ReferencedSOPInstanceUID
            for one in self.received
        )  # fmt: skip
