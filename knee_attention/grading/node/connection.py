"""Limits on the memory and the time that a sender may take of the node."""

import logging
import socket
import time
from collections import deque

from pynetdicom import evt
from pynetdicom.transport import AssociationSocket

from knee_attention.films.dicom.header import MOST_BYTES

MOST_PDU = 2**20
"""The most bytes of a protocol data unit. The node announces 16 kB for film data (PS3.8 D.1); a
request for an association with every context and transfer syntax has less than 0.3 MB."""

PDU_SECONDS = 30
"""Seconds within which a protocol data unit must arrive; else the connection ends."""

log = logging.getLogger(__name__)


def limit_connection(event: evt.Event) -> None:
    """Limit what a new connection may send; a handler of `EVT_CONN_OPEN`."""
    limits = _Limits(event.assoc.dul.socket, event.address[0])
    event.assoc.dul.socket.recv = limits.receive
    event.assoc.bind(evt.EVT_DIMSE_RECV, limits.message_came)
    event.assoc.bind(evt.EVT_DIMSE_SENT, limits.message_answered)


class _Limits:
    """The limits of one connection.

    pynetdicom itself reads as many bytes as a header announces, from any sender, and waits for them
    without a time limit. It also keeps every message in memory until it is answered.
    """

    def __init__(self, connection: AssociationSocket, peer: str):
        self._connection, self._peer = connection, peer
        # Each counter has one writing thread; the reading thread writes the first two.
        self._read = self._read_before_message = self._answered = 0
        self._unanswered: deque[int] = deque()

    def receive(self, length: int) -> bytearray:
        """Read `length` bytes, or fewer if the sender ends the connection.

        Raises:
            OSError: a limit is exceeded; pynetdicom then ends the connection.
        """
        self._read += length
        if length > MOST_PDU:
            raise self._refusal(f"it announced a unit of {length} bytes")
        if self._read - self._answered > MOST_BYTES:
            raise self._refusal(f"it sent more than {MOST_BYTES} bytes before it was answered")
        received, end = bytearray(), time.monotonic() + PDU_SECONDS
        reader: socket.socket = self._connection.socket
        try:
            while len(received) < length:
                reader.settimeout(max(end - time.monotonic(), 0.001))
                part = reader.recv(length - len(received))
                if not part:
                    break
                received += part
        except TimeoutError:
            raise self._refusal(f"a unit did not arrive in {PDU_SECONDS} seconds") from None
        reader.settimeout(None)
        return received

    def _refusal(self, reason: str) -> OSError:
        log.error("sender %s: connection ended, %s", self._peer, reason)
        return OSError(reason)

    def message_came(self, event: evt.Event) -> None:
        """Record the size of a message that waits for its answer."""
        self._unanswered.append(self._read - self._read_before_message)
        self._read_before_message = self._read

    def message_answered(self, event: evt.Event) -> None:
        """Count a message as answered."""
        if self._unanswered:
            self._answered += self._unanswered.popleft()
