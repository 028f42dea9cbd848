"""DICOM files for tests, written with pydicom."""

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


def lookup_table(entries: np.ndarray, bits: int) -> Dataset:
    """An item of a VOI LUT sequence that starts at 0."""
    item = Dataset()
    item.LUTDescriptor = [len(entries), 0, bits]
    item.LUTData = entries.tolist()
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item
