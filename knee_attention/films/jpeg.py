"""Decoding of JPEG data (ISO 10918-1) that refuses truncated and damaged data.

Most decoders fill missing parts with grey and skip what they cannot decode. libjpeg-turbo warns of
both, and simplejpeg raises its warnings as errors. Missing scans are detected here, because
libjpeg-turbo decodes an image without its last scans as a coarse one.
"""

import cv2
import numpy as np

from knee_attention.films.image_headers import DAMAGED
from knee_attention.films.jpeg_segments import FRAMES, SCAN, jpeg_segments

PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
"""Markers of frames whose coefficients are spread over several scans (ISO 10918-1 table B.1)."""

SEQUENTIAL = frozenset({0xC0, 0xC1})
"""Markers of Huffman-coded frames whose scans hold all coefficients (ISO 10918-1 table B.1)."""

EXIF = 0xE1
"""The marker of a segment that may hold Exif data."""

ORDERS = {"Gray": "GRAY", "YCbCr": "BGR", "RGB": "BGR", "CMYK": "CMYK", "YCCK": "CMYK"}
"""The channels to decode to, by the colour space of the data, both in simplejpeg's names."""

COEFFICIENTS, NOT_SENT = 64, 16
"""The number of coefficients in a block, and a number that stands for "not sent": it is above every
bit position that a scan can state."""


class DamagedJpeg(ValueError):
    """The JPEG data are truncated or damaged."""


def decode(content: bytes) -> np.ndarray:
    """Decode complete 8-bit JPEG data to the pixels that OpenCV gives.

    Args:
        content: a JPEG file, or a frame of a DICOM file; bytes behind its end do not matter.

    Returns:
        `(height, width)`, or `(height, width, 3)` with blue first, uint8; the Exif orientation is
        applied.

    Raises:
        DamagedJpeg: something is missing or cannot be decoded.
    """
    image, tidy = _checked(content)
    # OpenCV converts CMYK and applies the Exif orientation.
    if image.shape[2] == 4 or _has_exif(tidy):
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_ANYCOLOR)
        if image is None:
            raise DamagedJpeg("OpenCV cannot decode the JPEG data")
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image


def check_whole(content: bytes) -> None:
    """Check that JPEG data are complete, for any precision, lossy (DCT) or lossless.

    Entropy-coded data have the same form for all precisions (ISO 10918-1 F.1.2 and H.1.2.2). They
    are decoded as 8-bit data, and the pixels are discarded.

    Args:
        content: a JPEG file, or a frame of a DICOM file.

    Raises:
        DamagedJpeg: something is missing or cannot be decoded.
    """
    place = next((start for marker, start, _ in jpeg_segments(content) if marker in FRAMES), None)
    if place is None:
        raise DamagedJpeg("the JPEG data have no frame")
    _checked(content[: place + 2] + b"\x08" + content[place + 3 :])


def _checked(content) -> tuple[np.ndarray, bytes]:
    """The image `(height, width, channels)` uint8, and the data without stray bytes."""
    import simplejpeg

    try:
        tidy = _tidied(content)
        if _lacks_scans(tidy):
            raise DamagedJpeg("scans of the JPEG data are missing")
        space = simplejpeg.decode_jpeg_header(tidy)[2]
        return simplejpeg.decode_jpeg(tidy, ORDERS[space]), tidy
    except (ValueError, LookupError, *DAMAGED) as error:
        raise DamagedJpeg(str(error)) from None


def _tidied(content) -> bytes:
    """The data without two faults that most decoders ignore and strict ones refuse.

    Bytes between segments before the first scan are removed. The spectral selection of a sequential
    scan, which some phones write wrongly, is set to all coefficients (ISO 10918-1 B.2.3).
    """
    parts, sequential = [b"\xff\xd8"], False
    for marker, start, end in jpeg_segments(content):
        segment = content[start - 2 : end]
        if marker in FRAMES:
            sequential = marker in SEQUENTIAL
        if marker == SCAN:
            segment = segment[:-3] + b"\0\x3f\0" if sequential else segment
            return b"".join([*parts, segment, content[end:]])
        parts.append(segment)
    raise DamagedJpeg("the JPEG data have no scan")


def _lacks_scans(content: bytes) -> bool:
    """Whether a coefficient is missing or lacks low bits (ISO 10918-1 G.1.1.1.2)."""
    lowest, progressive = {}, False
    for marker, start, _ in jpeg_segments(content):
        if marker in FRAMES:
            progressive = marker in PROGRESSIVE
            components = content[start + 8 : start + 8 + 3 * content[start + 7] : 3]
            lowest = {component: [NOT_SENT] * COEFFICIENTS for component in components}
        elif marker == SCAN:
            band = start + 3 + 2 * content[start + 2]
            first, last, bits = content[band], content[band + 1], content[band + 2] & 15
            if not progressive:
                first, last, bits = 0, COEFFICIENTS - 1, 0
            for component in content[start + 3 : band : 2]:
                lowest[component][first : last + 1] = [bits] * (last + 1 - first)
    return not lowest or any(map(any, lowest.values()))


def _has_exif(tidy: bytes) -> bool:
    return any(
        marker == EXIF and tidy[start + 2 : start + 6] == b"Exif"
        for marker, start, _ in jpeg_segments(tidy)
    )
