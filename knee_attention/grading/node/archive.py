"""The archive that reports are sent to, tried again for as long as it is away."""

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
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from pynetdicom.association import Association

from knee_attention.errors import InputError
from knee_attention.grading.node.spool import Spool

LONGEST_PAUSE = 60
"""Seconds between attempts to reach an archive that is away; the first pauses are shorter."""

TIMEOUT = 30
"""Seconds that the archive may take to answer."""

DUPLICATE = 0x0111
OUT_OF_RESOURCES = range(0xA700, 0xA800)
WARNINGS = range(0xB000, 0xC000)
"""Statuses of C-STORE (PS3.4 table B.2-1, PS3.7 C.5); after a warning the object is stored."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """Where reports go.

    Attributes:
        title: the archive's AE title.
        host: its name or address.
        port: its port.
    """

    title: str
    host: str
    port: int

    def __str__(self):
        return f"{self.title}@{self.host}:{self.port}"


class Away(Exception):
    """The archive cannot take anything now; the message says why."""


class Postponed(Away):
    """The archive cannot take this object now, and perhaps others; the message says why."""


class Sender:
    """Sends what waits to an archive.

    Args:
        archive: where to.
        title: the AE title to call with.
        reports: what waits.
        refused: a folder for what the archive will never take; put back among the reports, it is
            sent again.
    """

    def __init__(self, archive: Archive, title: str, reports: Spool, refused: Path):
        self.archive, self.reports, self.refused = archive, reports, refused
        self._failures: Counter[str] = Counter()
        self._taken = 0
        self._entity = AE(ae_title=title)
        self._entity.acse_timeout = self._entity.dimse_timeout = TIMEOUT
        self._entity.network_timeout = self._entity.connection_timeout = TIMEOUT
        for kind in (Comprehensive3DSRStorage, SecondaryCaptureImageStorage):
            self._entity.add_requested_context(
                kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
            )

    def send_until(self, ended: threading.Event, came: threading.Event) -> None:
        """Send, until `ended`; `came` says that something waits. What the archive cannot take now
        waits for it, behind what was not tried yet, and the log says so once."""
        pause, said = 0, set()
        while True:
            came.clear()
            if ended.is_set():  # not before, or an end that comes between is not noticed
                return
            before = self._taken
            try:
                self._send_waiting()
            except (Away, InputError, OSError) as reason:
                if str(reason) not in said:
                    log.warning("archive %s: %s; %d objects wait for it", self.archive, reason,
                                len(self.reports.waiting()))
                said.add(str(reason))
                pause = min(2 * pause or 1, LONGEST_PAUSE) if self._taken == before else 1
                # A further object may be one that the archive takes.
                (came if isinstance(reason, Postponed) else ended).wait(pause)
                continue
            if said:
                log.info("archive %s: takes objects again, all that waited are sent", self.archive)
            pause, said = 0, set()
            came.wait()

    def _send_waiting(self) -> None:
        waiting = sorted(self.reports.waiting(), key=lambda path: self._failures[path.name])
        if not waiting:
            return
        try:
            association = self._entity.associate(
                self.archive.host, self.archive.port, ae_title=self.archive.title
            )
        except (OSError, UnicodeError) as error:  # nobody knows its name, for the moment
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
                    log.error("archive %s: will not take %s, %s; kept in %s", self.archive,
                              path.stem, refusal, self.refused)
                else:
                    self.reports.remove(path)
                del self._failures[path.name]
                self._taken += 1
        finally:
            association.release()

    def _store(self, association: Association, path: Path) -> str | None:
        """Send one object; why the archive will never take it, or None when it has it."""
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
            raise Postponed("no memory to send an object") from None
        except Exception as error:  # a file that is damaged must not keep the others back
            return f"a damaged file ({type(error).__name__})"
        if not answer:
            raise Postponed(f"it broke off the connection at {path.stem}")
        if answer.Status in OUT_OF_RESOURCES:
            raise Postponed("it is out of resources")
        if answer.Status in (0, DUPLICATE) or answer.Status in WARNINGS:
            return None
        return f"status {answer.Status:#06x}"
