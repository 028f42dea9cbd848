"""Names of the files that `grade` writes, and refusals to overwrite others."""

from collections.abc import Iterable
from pathlib import Path

from knee_attention.errors import InputError


def output_files(files: list[Path], folder: Path, suffix: str) -> list[Path]:
    """An output file for every file, of the same name; a number tells equal names apart."""
    from knee_attention.films.file_kinds import DICOM_SUFFIXES
    from knee_attention.films.image_files import IMAGE_SUFFIXES

    taken = {}
    for file in files:
        # The name of a DICOM file is often its UID, whose last number is not a suffix.
        is_suffix = file.suffix.lower() in IMAGE_SUFFIXES | DICOM_SUFFIXES
        stem = file.stem if is_suffix else file.name
        name, times = stem, 1
        while name in taken:
            times += 1
            name = f"{stem}-{times}"
        taken[name] = folder / f"{name}{suffix}"
    return list(taken.values())


def refuse_other_images(pictures: Iterable[Path], option: str) -> None:
    """Refuse to overwrite images that are not pictures of an earlier grading, such as films."""
    from knee_attention.films.image_files import is_picture

    for path in pictures:
        if path.exists() and not is_picture(path):
            raise InputError(f"{path}: exists and is not a picture of an earlier grading; choose "
                             f"another {option}")


def report_files(
    files: list[Path], folder: Path, with_map: bool = False
) -> list[tuple[Path, ...]]:
    """The files of each film's DICOM objects.

    Raises:
        InputError: no image is a DICOM file.
    """
    from knee_attention.films.inputs import REPORT_SUFFIXES, is_dicom

    if all(file.is_file() and not is_dicom(file) for file in files):
        raise InputError(f"{files[0]}: not a DICOM file, so it names no patient and study for a "
                         "report; leave out --dicom, or give DICOM files")
    suffixes = REPORT_SUFFIXES if with_map else REPORT_SUFFIXES[:2]
    return list(zip(*(output_files(files, folder, suffix) for suffix in suffixes),
                    strict=True))
