"""The functions behind the scripts in data_prep/: from DICOM folders to a training set."""
