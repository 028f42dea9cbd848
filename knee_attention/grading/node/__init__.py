"""A DICOM node beside an archive: it receives films and sends reports."""
