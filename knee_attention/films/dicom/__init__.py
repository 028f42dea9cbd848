"""Reading a radiograph from a DICOM file."""
