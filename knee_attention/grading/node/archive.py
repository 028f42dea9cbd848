"""Sending reports to the archive, with retries while it is unreachable."""

import logging
import threading
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from pynetdicom.association import Association

from knee_attention.errors import InputError
from knee_attention.grading.node.spool import Spool

LONGEST_PAUSE = 60
"""The longest pause in seconds between attempts to reach the archive; the first are shorter."""

TIMEOUT = 30
"""Seconds that the archive may take to answer."""

DUPLICATE = 0x0111
OUT_OF_RESOURCES = range(0xA700, 0xA800)
WARNINGS = range(0xB000, 0xC000)
"""Statuses of C-STORE (PS3.4 table B.2-1, PS3.7 C.5). After a warning the object is stored."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """The address of the archive.

    Attributes:
        title: its AE title.
        host: its host name or address.
        port: its port.
    """

    title: str
    host: str
    port: int

    def __str__(self):
        return f"{self.title}@{self.host}:{self.port}"


class Away(Exception):
    """The archive cannot take any object now; the message is the reason."""


class Postponed(Away):
    """The archive cannot take this object now, but perhaps others; the message is the reason."""


class Sender:
    """Sends the waiting reports to an archive.

    Args:
        archive: the archive.
        title: the node's AE title.
        reports: the queue of waiting reports.
        refused: the folder for reports that the archive refuses for good. A report that a user
            moves back into the queue is sent again.
    """

    def __init__(self, archive: Archive, title: str, reports: Spool, refused: Path):
        self.archive, self.reports, self.refused = archive, reports, refused
        self._failures: Counter[str] = Counter()
        self._taken = 0
        self._entity = AE(ae_title=title)
        self._entity.acse_timeout = self._entity.dimse_timeout = TIMEOUT
        self._entity.network_timeout = self._entity.connection_timeout = TIMEOUT
        for kind in (Comprehensive3DSRStorage, SecondaryCaptureImageStorage, ParametricMapStorage):
            self._entity.add_requested_context(
                kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
            )

    def send_until(self, ended: threading.Event, came: threading.Event) -> None:
        """Send reports until `ended` is set; `came` is set when a report arrives.

        A report that the archive cannot take now is tried again after the others. Each reason is
        logged once.
        """
        pause, logged = 0, set()
        while True:
            came.clear()
            # `Node.stop` sets `ended` before `came`, so this check after `clear` misses no end.
            if ended.is_set():
                return
            before = self._taken
            try:
                self._send_waiting()
            except (Away, InputError, OSError) as reason:
                if str(reason) not in logged:
                    log.warning("archive %s: %s; %d objects wait", self.archive, reason,
                                len(self.reports.waiting()))
                logged.add(str(reason))
                pause = min(2 * pause or 1, LONGEST_PAUSE) if self._taken == before else 1
                # After `Postponed` the archive may take the next object that arrives.
                (came if isinstance(reason, Postponed) else ended).wait(pause)
                continue
            if logged:
                log.info("archive %s: takes objects again, all waiting ones are sent", self.archive)
            pause, logged = 0, set()
            came.wait()

    def _send_waiting(self) -> None:
        waiting = sorted(self.reports.waiting(), key=lambda path: self._failures[path.name])
        if not waiting:
            return
        try:
            association = self._entity.associate(
                self.archive.host, self.archive.port, ae_title=self.archive.title
            )
        except (OSError, UnicodeError) as error:  # the host name cannot be resolved now
            raise Away(getattr(error, "strerror", None) or error) from None
        if not association.is_established:
            rejected = association.is_rejected
            raise Away("it refuses the connection" if rejected else "it does not answer")
        try:
            for path in waiting:
                try:
                    refusal = self._store(association, path)
                except Postponed:
                    self._failures[path.name] += 1
                    raise
                if refusal:
                    self.reports.move(path, self.refused)
                    log.error("archive %s: refuses %s, %s; kept in %s", self.archive,
                              path.stem, refusal, self.refused)
                else:
                    self.reports.remove(path)
                del self._failures[path.name]
                self._taken += 1
        finally:
            association.release()

    def _store(self, association: Association, path: Path) -> str | None:
        """Send one object; None if the archive has it, else why the archive refuses it for good."""
        kinds = [context.abstract_syntax for context in association.accepted_contexts]
        try:
            content = self.reports.read(path)
        except OSError as error:
            raise Postponed(f"{path} cannot be read, {error.strerror}") from None
        try:
            dataset = dcmread(BytesIO(content))
            if dataset.SOPClassUID not in kinds:
                return f"it takes no {dataset.SOPClassUID.name}"
            answer = association.send_c_store(dataset)
        except RuntimeError:
            answer = None  # the association has ended
        except MemoryError:
            raise Postponed("not enough memory to send an object") from None
        except Exception as error:  # a damaged file must not block the others
            return f"a damaged file ({type(error).__name__})"
        if not answer:
            raise Postponed(f"it closed the connection during {path.stem}")
        if answer.Status in OUT_OF_RESOURCES:
            raise Postponed("it is out of resources")
        if answer.Status in (0, DUPLICATE) or answer.Status in WARNINGS:
            return None
        return f"status {answer.Status:#06x}"
