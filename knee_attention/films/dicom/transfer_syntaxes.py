"""Which transfer syntaxes of DICOM are read here, and what is said of the others."""

from pathlib import Path
from typing import TYPE_CHECKING

from knee_attention.errors import ImageError, UnreadableError

if TYPE_CHECKING:
    from pydicom import Dataset

UNNAMED = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
"""Transfer syntaxes of PS3.6 A.1 that pydicom does not name."""


def check_transfer_syntax(path: Path, dataset: "Dataset") -> None:
    """Refuse a file whose pixels no package of the extras decodes.

    Args:
        path: the file, as the user would name it.
        dataset: what it holds.

    Raises:
        UnreadableError: it is of such a transfer syntax, which the message names.
    """
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if not syntax:
        raise UnreadableError(path, "its header names no transfer syntax; export the film again")
    try:
        get_decoder(syntax)
    except NotImplementedError:
        name, written = UNNAMED.get(syntax, syntax.name), ascii(str(syntax))[1:-1]
        said = written if name == syntax else f"{name} ({written})"
        reason = f"unsupported transfer syntax {said}; export the film uncompressed or in JPEG 2000"
        raise UnreadableError(path, reason) from None


def undecodable(path: Path, dataset: "Dataset", error: Exception) -> ImageError:
    """What pydicom's words come to: a decoder that is not installed, or damage."""
    from pydicom.uid import JPEG2000TransferSyntaxes

    if "missing dependencies" not in str(error):
        return UnreadableError(path, "a damaged or truncated DICOM file")
    syntax = dataset.file_meta.TransferSyntaxUID
    extra = "dicom" if syntax in JPEG2000TransferSyntaxes else "dicom-jpeg"
    reason = f'{syntax.name} needs a decoder: pip install "knee_attention[{extra}]"'
    return ImageError(path, reason, passing=True)
