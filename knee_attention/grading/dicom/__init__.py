"""What a model says of a film, as DICOM objects of the film's own study."""
