"""Refusal of transfer syntaxes that cannot be decoded, and the error for undecodable pixels."""

from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import ImageError, UnreadableError, how_to_install

if TYPE_CHECKING:
    from pydicom import Dataset

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
    return ImageError(path, reason, passing=True)
