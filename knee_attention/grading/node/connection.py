"""How much a sender may have a node hold in memory, and for how long it may keep a connection."""

import logging
import socket
import time
from collections import deque

from pynetdicom import evt
from pynetdicom.transport import AssociationSocket

from knee_attention.films.dicom.header import MOST_BYTES

MOST_PDU = 2**20
"""Bytes of a protocol data unit. Senders are told 16 kB for those that hold films (PS3.8 D.1); one
that asks for an association with every context and transfer syntax has less than 0.3 MB."""

PDU_SECONDS = 30
"""A protocol data unit that has not arrived by then ends its connection."""

log = logging.getLogger(__name__)


def bound_connection(event: evt.Event) -> None:
    """Bound what a new connection may send; a handler of `EVT_CONN_OPEN`."""
    bounds = _Bounds(event.assoc.dul.socket, event.address[0])
    event.assoc.dul.socket.recv = bounds.receive
    event.assoc.bind(evt.EVT_DIMSE_RECV, bounds.message_came)
    event.assoc.bind(evt.EVT_DIMSE_SENT, bounds.message_answered)


class _Bounds:
    """The limits of one connection.

    pynetdicom reads as many bytes as a header announces, before it knows who sends them, and waits
    for them without end; it also holds every message until it is answered.
    """

    def __init__(self, connection: AssociationSocket, peer: str):
        self._connection, self._peer = connection, peer
        # Each is written by one thread alone: the first two by the one that reads.
        self._read = self._read_before_message = self._answered = 0
        self._unanswered: deque[int] = deque()

    def receive(self, length: int) -> bytearray:
        """Read a number of bytes, fewer where the sender ends the connection.

        Raises:
            OSError: they are more than may be sent, or do not arrive in time; pynetdicom then ends
                the connection.
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
        log.error("sender %s: its connection is ended, %s", self._peer, reason)
        return OSError(reason)

    def message_came(self, event: evt.Event) -> None:
        """Remember how large a message is that is held until it is answered."""
        self._unanswered.append(self._read - self._read_before_message)
        self._read_before_message = self._read

    def message_answered(self, event: evt.Event) -> None:
        """Count a message as held no longer."""
        if self._unanswered:
            self._answered += self._unanswered.popleft()
