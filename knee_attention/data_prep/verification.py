"""Checking a finished training set against its manifest and for duplicates."""

from collections import defaultdict
from pathlib import Path

from knee_attention.data_prep.pairing import pixel_hash
from knee_attention.data_prep.workers import in_parallel
from knee_attention.datasets.hdf5 import read_contents, stored_knee
from knee_attention.datasets.layout import (
    SPLITS,
    GradedFile,
    required_files,
    split_folder,
    unread_images,
)
from knee_attention.datasets.persons import Manifest
from knee_attention.errors import ImageError, InputError
from knee_attention.files import open_hdf5
from knee_attention.films.image_files import read_image


def verify(path: Path, workers: int = 1) -> tuple[list[dict], list[str]]:
    """Check the manifest, the subjects and the images of a finished training set.

    Args:
        path: a folder with train, validation (or val) and test, or an HDF5 file.
        workers: number of processes that read images.

    Returns:
        One row per knee (file, subject, kl, split, pixels), and a sentence for every fault. Faults
        include everything that training would refuse.

    Raises:
        InputError: the path is not a training set.
    """
    if path.is_dir():
        rows, faults = _read_folder(path, workers)
    else:
        rows, faults = _read_hdf5(path), []
    if not rows:
        reason = faults[0] if faults else "it holds no knees"
        raise InputError(f"{path} is not a training set: {reason}")
    splits_of, files_of = defaultdict(set), defaultdict(list)
    for row in rows:
        splits_of[row["subject"]].add(row["split"])
        files_of[row["pixels"]].append(row["file"])
    for subject, splits in sorted(splits_of.items()):
        if len(splits) > 1:
            faults.append(f"subject {subject} is in {' and '.join(sorted(splits))}")
    for files in sorted(files_of.values()):
        if len(files) > 1:
            faults.append(f"{len(files)} files hold the same image: {', '.join(files[:4])}")
    return rows, faults


def _read_folder(folder: Path, workers: int) -> tuple[list[dict], list[str]]:
    files, faults = _files(folder)
    manifest = Manifest.read(folder)
    names = [file.name for file in files]
    missing = [name for name in manifest.missing(names) if not (folder / name).exists()]
    faults += [f"{name} is in manifest.csv, but the file is missing" for name in missing]
    faults += [f"{name} is not in manifest.csv" for name in sorted(manifest.unlisted(names))]
    rows = []
    hashes = dict(in_parallel(_hash_or_reason, [file.path for file in files], workers))
    for file in files:
        pixels, reason = hashes[file.path]
        if reason:
            faults.append(f"{file.name}: {reason}")
            continue
        place = {"split": file.split, "kl": str(file.grade)}
        listed = {**place, **(manifest.row_of(file.name) or {})}
        if any(listed[column] != value for column, value in place.items()):
            faults.append(f"{file.name} has split {listed['split']} and grade {listed['kl']} in "
                          "manifest.csv")
        subject = manifest.subject_of(file.name)
        rows.append({"file": file.name, "subject": subject, **place, "pixels": pixels})
    return rows, faults


def _files(folder: Path) -> tuple[list[GradedFile], list[str]]:
    """The images that training reads, and faults for files that it refuses."""
    files, faults = [], []
    for split in SPLITS:
        try:
            if split != "test" or split_folder(folder, split):
                files += required_files(folder, split)
                faults += [
                    f"{Path(error.path).relative_to(folder)}: {error.reason}"
                    for error in unread_images(folder, split)
                ]
        except InputError as error:
            faults.append(str(error))
    return files, faults


def _hash_or_reason(path: Path) -> tuple[str, str]:
    try:
        return pixel_hash(read_image(path)), ""
    except ImageError as error:
        return "", error.reason


def _read_hdf5(path: Path) -> list[dict]:
    contents = read_contents(path)
    columns = zip(contents.names, contents.subjects, contents.grades, contents.splits, strict=True)
    with open_hdf5(path) as file:
        return [
            {
                "file": name,
                "subject": subject,
                "kl": str(grade),
                "split": split,
                "pixels": pixel_hash(stored_knee(file["images"], row)),
            }
            for row, (name, subject, grade, split) in enumerate(columns)
        ]
