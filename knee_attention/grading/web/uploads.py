"""The films that clients send: each of a bounded size, and all together too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MOST_BYTES = 64_000_000
"""Of a film that is received, unless another limit is asked for; the largest films have 50 MB."""

MOST_HELD = 256_000_000
"""Of all films that are received or graded at once, or one film where that may be larger."""

BODY_SECONDS, SILENT_SECONDS = 120, 20
"""A film that has not arrived by then is given up; so is one of which nothing came for so long."""

RETRY_SECONDS = 5
"""After which a client may try again that found no room."""

WRAPPED = ("multipart/", "application/json", "application/dicom+json")
"""Content types of bodies that hold a file inside something else."""


class Uploads:
    """Receives films, and knows how much of them is held.

    Args:
        most_bytes: larger films are refused while they arrive.
    """

    def __init__(self, most_bytes: int = MOST_BYTES):
        self.most_bytes = most_bytes
        self._held = 0

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which counts as held until the block ends.

        Raises:
            HTTPException: it is no plain file, too large, did not arrive, or there is no room.
        """
        _refuse_wrapped(request)
        declared = request.headers.get("content-length", "")
        self._refuse_large(int(declared) if declared.isdecimal() else 0)
        content = BytesIO()
        try:
            try:
                with anyio.fail_after(BODY_SECONDS):
                    await self._receive(request, content)
            except TimeoutError:
                raise HTTPException(408, f"the film did not arrive in {BODY_SECONDS} seconds, or "
                                    f"nothing of it for {SILENT_SECONDS}") from None
            except ClientDisconnect:
                raise HTTPException(400, "the film did not arrive whole") from None
            yield content.getvalue()
        finally:
            self._held -= content.tell()

    async def _receive(self, request: Request, content: BytesIO) -> None:
        stream = request.stream()
        while True:
            with anyio.fail_after(SILENT_SECONDS):
                part = await anext(stream, None)
            if part is None:
                return
            self._refuse_large(content.tell() + len(part), len(part))
            content.write(part)
            self._held += len(part)

    def _refuse_large(self, size: int, further: int | None = None) -> None:
        """Refuse a film of a size; `further` bytes of it are not held yet, by default all."""
        if size > self.most_bytes:
            raise HTTPException(
                413, f"larger than {self.most_bytes / 1e6:g} MB, the most that is taken"
            )
        if self._held + (size if further is None else further) > max(MOST_HELD, self.most_bytes):
            raise HTTPException(
                503, "other films fill the memory that is set aside for them; send it again later",
                {"retry-after": str(RETRY_SECONDS)},
            )  # fmt: skip


def _refuse_wrapped(request: Request) -> None:
    """Refuse a file that is packed or lies inside a form.

    Raises:
        HTTPException: 415 (RFC 9110 15.5.16), with what to send.
    """
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding not in ("", "identity"):
        raise HTTPException(
            415, f"a film in the Content-Encoding {coding[:40]} is not taken; send the file as it "
            "is", {"accept-encoding": "identity"},
        )  # fmt: skip
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(WRAPPED):
        raise HTTPException(
            415, f"a film inside {kind[:40]} is not taken; send the file itself as the body, as "
            "curl --data-binary @film.dcm does"
        )  # fmt: skip
