"""Compare the images of a data set with the images that a run has recorded."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from knee_attention.datasets.fingerprint import (
    ImageRecord,
    dataset_records,
    difference,
    file_records,
    read_records,
)
from knee_attention.errors import InputError
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run_folder import RunFolder

Reader = Callable[..., tuple[ImageRecord, ...]]
"""A function with the signature of `dataset_records`."""


def records_of(experiment: Experiment, read: Reader = dataset_records) -> tuple[ImageRecord, ...]:
    """Records of the images in an experiment's data; empty for phantoms.

    Args:
        experiment: the experiment.
        read: `dataset_records`, or a cached version for many experiments on the same data.

    Raises:
        InputError: the data cannot be used.
    """
    if experiment.data is None:
        return ()
    return read(experiment.data, experiment.limit, experiment.data_seed)


def refuse_other_data(
    run: RunFolder, experiment: Experiment, read: Reader = dataset_records
) -> None:
    """Refuse to resume or show a run whose data have changed since it started.

    Runs without a record of their data (of earlier versions) and runs whose data are missing are
    accepted. The arguments `experiment` and `read` are those of `records_of`.

    Raises:
        InputError: the data have changed, or cannot be used.
    """
    if experiment.data and Path(experiment.data).exists() and run.data_file.exists():
        refuse_other_records(run, records_of(experiment, read), experiment.data)


def refuse_other_records(
    run: RunFolder, records: Iterable[ImageRecord], data: str | os.PathLike
) -> None:
    """Refuse a run whose recorded images differ from `records`.

    Args:
        run: the run's folder.
        records: current records of the images, as `file_records` returns them.
        data: the data, for the message.

    Raises:
        InputError: the images differ.
    """
    if run.data_file.exists():
        different = difference(read_records(run.data_file), records)
        if different:
            raise InputError(f"{run.folder}: {data} has changed since this run started: "
                             f"{different}; choose another --output, or --overwrite")


def trained_on(folder: Path, films: Iterable[Path]) -> list[Path]:
    """Those films that a run was trained on, by the digests of their bytes.

    Args:
        folder: the folder of the model file. If it records no data, the list is empty.
        films: image files.
    """
    run = RunFolder(folder)
    if not (run.exists and run.data_file.exists()):
        return []
    trained = {record.digest for record in read_records(run.data_file) if record.split == "train"}
    films = list(films)
    records = file_records(("", "", "", film) for film in films)
    return [film for film, record in zip(films, records, strict=True)
            if record.digest and record.digest in trained]


def remark_on_data(
    run: RunFolder, data: str | os.PathLike, split: str, limit: int | None, seed: int
) -> str:
    """Remarks on the knees on which a run's model is evaluated.

    One remark says how they differ from the run's own split, another how many of them are training
    knees of the run. The text is empty without remarks, or if the run has no record of its data.

    Args:
        run: the run's folder.
        data: the data of the evaluation.
        split: its split.
        limit: maximum number of knees; None for all.
        seed: seed of the choice of a limit.

    Raises:
        InputError: the data cannot be used.
    """
    if not run.data_file.exists():
        return ""
    recorded = read_records(run.data_file)
    now = dataset_records(data, limit, seed, (split,))
    names = {record.file for record in now}
    own = [
        record for record in recorded
        if record.split == split and (limit is None or record.file in names)
    ]  # fmt: skip
    different = difference(own, now)
    remarks = []
    if different:
        remarks.append(f"{data} differs from the {split} split of {run.folder}: {different}")
    if split != "train":
        trained = {record.digest for record in recorded if record.split == "train"} - {""}
        seen = sum(record.digest in trained for record in now)
        if seen:
            remarks.append(f"{run.folder} was trained on {seen} of these {len(now)} knees")
    return "\n".join(f"remark: {remark}" for remark in remarks)
