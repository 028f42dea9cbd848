"""DICOM files for tests, and JPEG data of kinds that the installed libraries do not encode."""

import struct
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

DIGITAL_X_RAY = "1.2.840.10008.5.1.4.1.1.1.1"


def write_dicom(
    path: Path,
    pixels: np.ndarray | None,
    bits: int = 12,
    photometric: str = "MONOCHROME2",
    compression: str | None = None,
    **elements: object,
) -> Path:
    """Write an image as a DICOM file; `elements` adds elements by keyword; None removes one."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DIGITAL_X_RAY
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    values = {
        "Modality": "DX",
        "PatientID": "9000001",
        "StudyDate": "20040101",
        "SeriesDescription": "Bilateral PA Fixed Flexion Knee",
        **elements,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    if pixels is not None:
        signed = np.issubdtype(pixels.dtype, np.signedinteger)
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = photometric
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
        dataset.PixelRepresentation = int(signed)
        dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
        dataset["PixelData"].VR = "OW"
        if compression:
            dataset.compress(compression)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def view_code(value: str, meaning: str = "a view", scheme: str = "SCT") -> Dataset:
    """An item of a view code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


END_OF_IMAGE = b"\xff\xd9"
"""The end marker of JPEG, JPEG-LS and JPEG 2000."""


def segment(marker: int, content: bytes) -> bytes:
    """A segment of JPEG data."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg_12_bit(coded: bytes) -> bytes:
    """12-bit JPEG data from 8-bit grey data: quantisation steps are 16 times as large (B.2.4.1)."""
    table = coded.index(b"\xff\xdb")
    steps = 16 * np.frombuffer(coded[table + 5 : table + 69], np.uint8).astype(int)
    before, header = coded[:table], coded.index(b"\xff\xc0")
    tables = segment(0xDB, b"\x10" + steps.astype(">u2").tobytes())
    return before + tables + b"\xff\xc1\0\x0b\x0c" + coded[header + 5 :]


def jpeg_lossless(image: np.ndarray, bits: int, predictor: int, rows_together: int = 0) -> bytes:
    """Lossless JPEG data (ISO 10918-1 H.1), with a 5-bit code for every category.

    Args:
        image: `(height, width)`.
        bits: bits per pixel.
        predictor: 1 to 7 (table H.1).
        rows_together: rows between two restart markers; 0 for no markers.
    """
    height, width = image.shape
    values = image.astype(int)
    scan, rows_together = b"", rows_together or height
    for count, first in enumerate(range(0, height, rows_together)):
        part = values[first : first + rows_together]
        left, above = np.roll(part, 1, axis=1), np.roll(part, 1, axis=0)
        corner = np.roll(above, 1, axis=1)
        predicted = (left, above, corner, left + above - corner, left + (above - corner) // 2,
                     above + (left - corner) // 2, (left + above) // 2)[predictor - 1]  # fmt: skip
        predicted[0], predicted[1:, 0] = left[0], above[1:, 0]
        predicted[0, 0] = 1 << (bits - 1)
        digits = "".join(map(_code, ((part - predicted + 32767) % 65536 - 32767).ravel()))
        digits += "1" * (-len(digits) % 8)
        coded = int(digits, 2).to_bytes(len(digits) // 8, "big").replace(b"\xff", b"\xff\0")
        scan += (bytes([0xFF, 0xD0 + (count - 1) % 8]) if count else b"") + coded
    return (
        b"\xff\xd8" + segment(0xC3, struct.pack(">BHH", bits, height, width) + b"\1\1\x11\0")
        + segment(0xC4, b"\0" + bytes([0, 0, 0, 0, 17] + 11 * [0]) + bytes(range(17)))
        + segment(0xDD, struct.pack(">H", rows_together * width if rows_together < height else 0))
        + segment(0xDA, b"\1\1\0" + bytes([predictor, 0, 0])) + scan + END_OF_IMAGE
    )  # fmt: skip


def _code(difference: int) -> str:
    """The bits of a difference: its category's code, then its value (ISO 10918-1 F.1.2.1.1)."""
    category = abs(int(difference)).bit_length()
    low = int(difference) if difference > 0 else int(difference) + (1 << category) - 1
    return f"{category:05b}" + (f"{low:0{category}b}" if 0 < category < 16 else "")
