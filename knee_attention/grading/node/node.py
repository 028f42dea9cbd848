"""A DICOM node that grades the films it receives: C-STORE in, C-STORE out, C-ECHO."""

import logging
import re
import threading
from pathlib import Path

from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    XRayRadiofluoroscopicImageStorage,
)
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

from knee_attention.errors import ImageError, InputError, UnreadableError
from knee_attention.films.dicom.header import Header, read_header
from knee_attention.films.inputs import PRODUCT, FileInMemory
from knee_attention.grading.dicom.algorithm import Algorithm
from knee_attention.grading.dicom.reports import file_content, reports_of
from knee_attention.grading.dicom.source import is_identifier
from knee_attention.grading.grader import Grader
from knee_attention.grading.node.archive import Archive, Sender
from knee_attention.grading.node.connection import limit_connection
from knee_attention.grading.node.spool import QUEUES, REFUSED, Spool, refuse_other_folder

RADIOGRAPHS = {
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    XRayRadiofluoroscopicImageStorage,
}
"""Storage classes of single-frame radiographs. A scanned film is a Secondary Capture."""

KNEE = r"knee|knie|genou|rodilla|ginocchio|joelho"
FRONTAL = r"(?<![a-z])(ap|pa)(?![a-z])"
LATERAL = r"(?<![a-z])lat"
AXIAL = r"skyline|sunrise|merchant|patell|axial"

ASSOCIATIONS = 10
"""How many senders are served at once; further ones are rejected and can try again."""

ASSOCIATION_SECONDS = 10
"""Seconds within which a connection must request an association; else it ends."""

PAUSE = 10
"""Seconds until the next attempt after a full disk or a full queue of reports."""

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
"""Statuses of C-STORE (PS3.4 table B.2-1)."""

log = logging.getLogger(__name__)


def transfer_syntaxes() -> list[str]:
    """Every transfer syntax that can be decoded here."""

    def readable(syntax: str) -> bool:
        try:
            return get_decoder(syntax).is_available
        except NotImplementedError:
            return False

    return [syntax for syntax in ALL_TRANSFER_SYNTAXES if readable(syntax)]


def objection(header: Header) -> str | None:
    """Why a radiograph is not graded; None if it is a frontal film of knees.

    The body part or the series description must name a knee. Images that the node made itself are
    not graded.
    """
    if header.equipment == PRODUCT:
        return "made by this software"
    if not re.search(KNEE, f"{header.body_part} {header.series}", re.IGNORECASE):
        return f"no knee: {header.body_part or header.series or 'the header names no body part'}"
    if header.view and not re.search(FRONTAL, header.view, re.IGNORECASE):
        return f"another view: {header.view}"
    if header.other_view:
        return f"another view: {header.other_view}"
    # A series may be named after two views, such as "Knee AP/LAT".
    others = AXIAL if header.view else f"{LATERAL}|{AXIAL}"
    if re.search(others, header.series, re.IGNORECASE):
        return f"another view: {header.series}"
    return None


class Node:
    """Receives films, grades them one by one, and sends a report and a picture of each.

    A film is on disk before its sender gets the answer. It is removed once its report is on disk,
    and the report once the archive has it. So a node can be killed at any time: the next one in the
    same folder continues. A report that is made twice has the same UIDs.

    Args:
        grader: from `load_grader`.
        algorithm: the identity of `grader`.
        archive: the archive that takes the reports.
        folder: the folder of the queue. It holds patient data, so only the user may read it.
        title: the node's AE title.
        limit: how many films may wait.
        with_map: also send Parametric Maps.

    Raises:
        InputError: the folder cannot be created, or holds other files.
    """

    def __init__(
        self, grader: Grader, algorithm: Algorithm, archive: Archive, folder: Path,
        title: str = "KNEEATT", limit: int = 1000, with_map: bool = False,
    ):  # fmt: skip
        self.grader, self.algorithm, self.title = grader, algorithm, title
        self.with_map = with_map
        refuse_other_folder(folder)
        self.refused = folder / REFUSED
        self.films, self.reports = (
            Spool(folder / name, limit * share) for name, share in QUEUES.items()
        )
        folder.chmod(0o700)
        self._film_came, self._report_came = threading.Event(), threading.Event()
        self._ended = threading.Event()
        sender = Sender(archive, title, self.reports, self.refused)
        self._threads = [
            threading.Thread(target=self._grade_until_ended),
            threading.Thread(target=sender.send_until, args=(self._ended, self._report_came)),
        ]

    def start(self, host: str, port: int) -> None:
        """Listen, and process the films and reports that wait.

        Raises:
            InputError: the port cannot be opened.
        """
        entity = AE(ae_title=self.title)
        entity.maximum_associations = ASSOCIATIONS
        entity.acse_timeout = ASSOCIATION_SECONDS
        entity.add_supported_context(Verification)
        syntaxes = transfer_syntaxes()
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, syntaxes)
        handlers = [(evt.EVT_C_STORE, self._receive), (evt.EVT_CONN_OPEN, limit_connection)]
        try:
            self._server = entity.start_server((host, port), block=False, evt_handlers=handlers)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"port {port} of {host} cannot be opened: {reason}") from None
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop listening, and end after the current film."""
        self._server.shutdown()
        self._ended.set()
        self._film_came.set()
        self._report_came.set()
        for thread in self._threads:
            thread.join()

    def _receive(self, event: evt.Event) -> int:
        kind, uid = event.request.AffectedSOPClassUID, UID(event.request.AffectedSOPInstanceUID)
        if kind not in RADIOGRAPHS:
            log.info("%s: skipped, not a radiograph: %s", uid, kind.name)
            return SUCCESS
        if not is_identifier(uid):  # it becomes a file name
            log.error("film %r: refused, its SOPInstanceUID is not a UID", str(uid))
            return CANNOT_UNDERSTAND
        if self.films.is_full():
            log.error("film %s: refused, %d films wait already", uid, self.films.limit)
            return OUT_OF_RESOURCES
        try:
            self.films.put(uid, event.encoded_dataset())
        except InputError as error:
            log.error("film %s: refused, %s", uid, error)
            return OUT_OF_RESOURCES
        self._film_came.set()
        return SUCCESS

    def _grade_until_ended(self) -> None:
        while True:
            self._film_came.clear()
            # `stop` sets `_ended` before `_film_came`: this check after `clear` misses no end.
            if self._ended.is_set():
                return
            name = "queue"
            try:
                waiting = self.films.waiting()
                if not waiting:
                    self._film_came.wait()
                    continue
                if self.reports.is_full():  # the archive is unreachable for long
                    self._ended.wait(PAUSE)
                    continue
                name = f"film {waiting[0].stem}"
                log.info("%s: %s", name, self._report(waiting[0]))
                self.films.remove(waiting[0])
            except (InputError, OSError) as error:
                log.error("%s: waits, %s", name, error)
                self._ended.wait(PAUSE)

    def _report(self, path: Path) -> str:
        """Grade a film and queue its report; the result in words, for the log.

        A film that shows no knee to grade is dropped. A film that cannot be read, or fails for
        another cause, such as a missing decoder or too little memory, moves to the refused ones.
        """
        try:
            film = FileInMemory(path.name, self.films.read(path))
            reason = objection(read_header(path, film.content))
            if reason:
                return f"skipped, {reason}"
            knees = self.grader.grade(film)
            reports = reports_of(film, knees, self.algorithm, with_map=self.with_map)
        except ImageError as error:
            result = f"not graded, {error.reason}"
            kept = error.temporary or isinstance(error, UnreadableError)
            return self._keep(path, result) if kept else result
        except Exception as error:  # a film that crashes a library must not end the node
            return self._keep(path, f"not graded, {type(error).__name__}")
        for report in reports:
            self.reports.put(report.SOPInstanceUID, file_content(report))
        self._report_came.set()
        return ", ".join(f"{knee.side or 'knee'} KL {knee.grade}" for knee in knees)

    def _keep(self, path: Path, result: str) -> str:
        self.films.move(path, self.refused)
        return f"{result}; kept in {self.refused.name}"
