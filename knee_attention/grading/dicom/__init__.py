"""The grades of a film as DICOM objects of the film's study."""
