"""A radiograph out of a DICOM file."""
