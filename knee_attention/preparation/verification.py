"""Is a training set what it says it is?"""

from collections import defaultdict
from functools import partial
from pathlib import Path

from knee_attention.datasets.hdf5 import FORMAT
from knee_attention.datasets.layout import SPLIT_OF_FOLDER
from knee_attention.errors import ImageError, InputError
from knee_attention.files import open_hdf5
from knee_attention.films.image_files import read_image
from knee_attention.films.names import subject_of
from knee_attention.preparation.pairing import pixel_hash
from knee_attention.preparation.tables import read_table
from knee_attention.preparation.training_sets import placed_files
from knee_attention.preparation.workers import in_parallel


def verify(path: Path, workers: int = 1) -> tuple[list[dict], list[str]]:
    """Check a finished training set: its counts, its subjects, its images.

    Args:
        path: a folder with train, validation (or val) and test, or an HDF5 file.
        workers: processes that read images.

    Returns:
        One row per knee (file, subject, kl, split, pixels), and a sentence for every fault.

    Raises:
        InputError: no training set.
    """
    if path.is_dir():
        rows, faults = _read_folder(path, workers)
    else:
        rows, faults = _read_hdf5(path), []
    if not rows:
        raise InputError(f"{path} is no training set: no images in train, validation or test")
    splits_of, files_of = defaultdict(set), defaultdict(list)
    for row in rows:
        splits_of[row["subject"]].add(row["split"])
        files_of[row["pixels"]].append(row["file"])
    for subject, splits in sorted(splits_of.items()):
        if len(splits) > 1:
            faults.append(f"subject {subject} is in {' and '.join(sorted(splits))}")
    for files in sorted(files_of.values()):
        if len(files) > 1:
            faults.append(f"the same image {len(files)} times: {', '.join(files[:4])}")
    return rows, faults


def _read_folder(folder: Path, workers: int) -> tuple[list[dict], list[str]]:
    files = placed_files(folder)
    manifest, faults = {}, []
    if (folder / "manifest.csv").exists():
        manifest = {row["FILE"]: row for row in read_table(folder / "manifest.csv")}
        there = {path.as_posix() for path in files}
        missing = sorted(manifest.keys() - there)
        faults += [f"{name} is in manifest.csv and missing" for name in missing]
        faults += [f"{name} is not in manifest.csv" for name in sorted(there - manifest.keys())]
    rows = []
    hashes = dict(in_parallel(partial(_hash_or_reason, folder), files, workers))
    for path in files:
        name, (pixels, reason) = path.as_posix(), hashes[path]
        if reason:
            faults.append(f"{name}: {reason}")
            continue
        split, kl = SPLIT_OF_FOLDER[path.parts[0]], path.parts[1]
        listed = manifest.get(name, {"SUBJECT": subject_of(name), "SPLIT": split, "KL": kl})
        if (listed["SPLIT"], listed["KL"]) != (split, kl):
            faults.append(f"{name} is {listed['SPLIT']}, grade {listed['KL']} in manifest.csv")
        row = {"file": name, "subject": listed["SUBJECT"], "kl": kl, "split": split}
        rows.append({**row, "pixels": pixels})
    return rows, faults


def _hash_or_reason(folder: Path, file: Path) -> tuple[str, str]:
    try:
        return pixel_hash(read_image(folder / file)), ""
    except ImageError as error:
        return "", error.reason


def _read_hdf5(path: Path) -> list[dict]:
    try:
        with open_hdf5(path) as file:
            if file.attrs.get("format") != FORMAT:
                raise InputError(f"{path} is no training set: its format is not {FORMAT!r}")
            texts = {name: file[name].asstr()[:] for name in ("ids", "sides", "subjects", "splits")}
            return [
                {
                    "file": f"{texts['ids'][index]}_{texts['sides'][index]}",
                    "subject": texts["subjects"][index],
                    "kl": str(grade),
                    "split": texts["splits"][index],
                    "pixels": pixel_hash(file["images"][index]),
                }
                for index, grade in enumerate(file["grades"][:])
            ]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from None
