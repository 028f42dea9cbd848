"""A DICOM node beside an archive: films come in, reports go out."""
