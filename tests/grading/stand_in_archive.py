"""A DICOM archive for tests."""

from pydicom.uid import (
    Comprehensive3DSRStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt
from study_films import free_port

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
