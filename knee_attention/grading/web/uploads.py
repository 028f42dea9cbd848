"""Uploads of films, with limits on the size of each and of all together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message
from email.parser import HeaderParser
from io import BytesIO

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MOST_HELD = 256_000_000
"""Limit on the bytes of all films in memory, or the limit of one film if that is larger."""

BODY_SECONDS, SILENT_SECONDS = 120, 20
"""Seconds within which a film must arrive, and the longest pause during its upload."""

RETRY_SECONDS = 5
"""Seconds after which a client should try again if the memory is full."""

FORM = "multipart/form-data"

MOST_PARTS = 16
"""Limit on the parts of a form, each of which is parsed."""

FILMS = ("", "application/octet-stream", "application/dicom", "application/x-www-form-urlencoded")
"""Content types of a body that is a film, besides `image/*`. The last is what `curl --data-binary`
sends by default."""


class Uploads:
    """Receives films and counts their bytes in memory.

    Args:
        most_bytes: larger films are refused during the upload.
    """

    def __init__(self, most_bytes: int):
        self.most_bytes = most_bytes
        self._held = 0

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which counts as held in memory until the block ends.

        Raises:
            HTTPException: the body is no film and no form, is too large, or does not arrive in
                time; or the memory for films is full.
        """
        _refuse_other_kinds(request)
        declared = request.headers.get("content-length", "")
        self._refuse_large(int(declared) if declared.isdecimal() else 0)
        content = BytesIO()
        try:
            try:
                with anyio.fail_after(BODY_SECONDS):
                    await self._receive(request, content)
            except TimeoutError:
                raise HTTPException(
                    408, f"the upload took more than {BODY_SECONDS} seconds, or paused for more "
                    f"than {SILENT_SECONDS}"
                ) from None
            except ClientDisconnect:
                raise HTTPException(400, "the upload ended before the film was complete") from None
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
        """Refuse a film of `size` bytes, of which `further` (default: all) are not held yet."""
        if size > self.most_bytes:
            raise HTTPException(413, f"the film is larger than {self.most_bytes / 1e6:g} MB")
        if self._held + (size if further is None else further) > max(MOST_HELD, self.most_bytes):
            raise HTTPException(
                503, "the server's memory for films is full; try again later",
                {"retry-after": str(RETRY_SECONDS)},
            )  # fmt: skip


def film_of(request: Request, content: bytes) -> tuple[str | None, bytes]:
    """The name and the bytes of the film in a body: the body itself, or the file in its form.

    Args:
        request: the request, whose kind `received` has checked.
        content: the whole body.

    Returns:
        The file's name in the form, None without a form; and the film.

    Raises:
        HTTPException: 400, the form is broken (RFC 7578), holds no file or several, or a file name
            that cannot be decoded.
    """
    if _kind(request) != FORM:
        return None, content
    try:
        boundary = _header(f"content-type: {request.headers['content-type']}").get_boundary()
    except (LookupError, UnicodeError):  # an encoded boundary, boundary*=
        boundary = None
    if not boundary:
        raise HTTPException(400, "the form names no boundary")
    found = []
    dashes = b"\r\n--" + boundary.encode("latin-1", "replace")
    parts = (b"\r\n" + content).split(dashes, MOST_PARTS + 2)[1:]
    if len(parts) > MOST_PARTS + 1:  # the last one is the end
        raise HTTPException(400, f"expected a form of at most {MOST_PARTS} parts")
    if not parts or not parts[-1].startswith(b"--"):
        raise HTTPException(400, "the form ends before its last boundary")
    for part in parts:
        head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        try:
            name = _header(head.decode("utf-8", "replace")).get_filename()
        except UnicodeError:  # an encoded name, filename*=
            raise HTTPException(400, "the form's file name cannot be read") from None
        if name is not None:
            found.append((name, body))
    if len(found) != 1:
        raise HTTPException(400, f"expected a form with one file. Received: {len(found)} files")
    return found[0]


def _header(text: str) -> Message:
    return HeaderParser().parsestr(text)


def _kind(request: Request) -> str:
    """The content type without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _refuse_other_kinds(request: Request) -> None:
    """Refuse a compressed body, and a content type that is neither a film nor a form.

    Raises:
        HTTPException: 415 (RFC 9110 15.5.16); the message says what to send.
    """
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding not in ("", "identity"):
        raise HTTPException(
            415, f"the Content-Encoding {coding[:40]} is not supported; send the file unchanged",
            {"accept-encoding": "identity"},
        )  # fmt: skip
    kind = _kind(request)
    if not (kind in (*FILMS, FORM) or kind.startswith("image/")):
        raise HTTPException(
            415, f"the Content-Type {kind[:40]} is not supported; send the file itself as the "
            "body, as curl --data-binary @film.dcm does, or in a form, as curl -F film=@film.dcm"
        )  # fmt: skip
