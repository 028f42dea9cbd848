"""Decoding of DICOM pixel data with one fixed decoder per codec; truncated data are refused.

pydicom tries every installed decoder until one accepts the data. Here `DECODERS` fixes the decoder,
so that pixels and errors do not depend on what is installed. pylibjpeg fills gaps in JPEG data of
more than 8 bits, so these are checked separately.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from knee_attention.errors import ImageError, UnreadableError, how_to_install
from knee_attention.films.compression import packbits_size
from knee_attention.films.jpeg import check_whole, decode
from knee_attention.films.jpeg_segments import frame_header

if TYPE_CHECKING:
    from pydicom import Dataset

RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
HIGH_THROUGHPUT = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")

END_OF_IMAGE = b"\xff\xd9"
"""The last marker of JPEG-LS data. These bytes occur nowhere else in them (ISO 14495-1 A.1)."""

STRICT = "simplejpeg"
"""The name of this module's pydicom plug-in."""

DECODERS = {
    RLE: "pydicom",
    JPEG_BASELINE: STRICT,
    JPEG_EXTENDED: "pylibjpeg",
    **dict.fromkeys(JPEG_LOSSLESS, "pylibjpeg"),
    **dict.fromkeys(JPEG_LS, "pyjpegls"),
    **dict.fromkeys((*JPEG_2000, *HIGH_THROUGHPUT), "pylibjpeg"),
}
"""pydicom's name of the decoder for each transfer syntax. pylibjpeg uses OpenJPEG and pyjpegls uses
CharLS; both refuse truncated data."""

DECODER_DEPENDENCIES = dict.fromkeys((JPEG_BASELINE, JPEG_EXTENDED), ("simplejpeg",))
"""pydicom requires this name in a plug-in."""


def decoded(dataset: "Dataset") -> np.ndarray:
    """The stored values of a DICOM image, as in `Dataset.pixel_array`.

    Raises:
        DamagedJpeg: the JPEG data are damaged or truncated.
        ValueError: the run-length encoded or JPEG-LS data are damaged or truncated.
        Exception: whatever else pydicom or one of its decoders raises.
    """
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder
    from pydicom.pixels.decoders.base import Decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in DECODERS:
        return dataset.pixel_array
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    header = frame_header(frame) if syntax == JPEG_EXTENDED else None
    if syntax == JPEG_BASELINE or (header and header.precision == 8):
        decoder = Decoder(syntax)
        decoder.add_plugin(STRICT, (__name__, "_decode_jpeg_frame"))
        return decoder.as_array(dataset, decoding_plugin=STRICT)[0]
    decoder, plugin = get_decoder(syntax), DECODERS[syntax]
    # CharLS takes seconds to refuse data without this marker.
    if syntax in JPEG_LS and plugin in decoder.available_plugins and END_OF_IMAGE not in frame:
        raise ValueError("the JPEG-LS data have no end marker")
    pixels, _ = decoder.as_array(dataset, decoding_plugin=plugin)
    if syntax in (JPEG_EXTENDED, *JPEG_LOSSLESS):
        check_whole(frame)
    elif syntax == RLE:
        _check_run_lengths(frame, pixels[..., 0].size if pixels.ndim == 3 else pixels.size)
    return pixels


def is_available(uid: str) -> bool:
    """Whether the plug-in decodes a transfer syntax; pydicom requires this function."""
    return uid in DECODER_DEPENDENCIES


def _decode_jpeg_frame(source: bytes, runner) -> bytes:
    """The decoder function of the pydicom plug-in."""
    return decode(source).tobytes()


def _check_run_lengths(frame: bytes, pixels: int) -> None:
    """Refuse run-length segments with more bytes than pixels; one byte of padding is allowed.

    pydicom itself refuses segments that are too short (PS3.5 G.5).
    """
    (count,) = struct.unpack_from("<I", frame)
    starts = [*struct.unpack_from(f"<{count}I", frame, 4), len(frame)]
    for start, end in zip(starts, starts[1:], strict=False):
        if packbits_size(frame[start:end]) not in (pixels, pixels + pixels % 2):
            raise ValueError("a run-length encoded segment has another size than the image")


UNNAMED = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
"""Names of transfer syntaxes in PS3.6 A.1 that pydicom lacks."""


def check_transfer_syntax(path: Path, dataset: "Dataset") -> None:
    """Refuse a file whose pixels none of this package's optional dependencies can decode.

    Args:
        path: the file, as the user named it.
        dataset: the file's elements.

    Raises:
        UnreadableError: its transfer syntax is missing or unsupported; the message names it.
    """
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if not syntax:
        raise UnreadableError(path, "its header names no transfer syntax; export the film again")
    try:
        get_decoder(syntax)
    except NotImplementedError:
        name, written = UNNAMED.get(syntax, syntax.name), ascii(str(syntax))[1:-1]
        label = written if name == syntax else f"{name} ({written})"
        advice = "export the film uncompressed or in JPEG 2000"
        raise UnreadableError(path, f"unsupported transfer syntax {label}; {advice}") from None


def undecodable(path: Path, dataset: "Dataset", error: Exception) -> ImageError:
    """The error for pixels that pydicom did not decode: a missing decoder, or a damaged file.

    Args:
        path: the file, as the user named it.
        dataset: the file's elements.
        error: what pydicom raised.
    """
    from pydicom.uid import JPEG2000TransferSyntaxes

    if "missing dependencies" not in str(error):
        return UnreadableError(path, "a damaged or truncated DICOM file")
    syntax = dataset.file_meta.TransferSyntaxUID
    extra = "dicom" if syntax in JPEG2000TransferSyntaxes else "dicom-jpeg"
    reason = f"{syntax.name} needs a decoder: {how_to_install(extra)}"
    return ImageError(path, reason, temporary=True)
