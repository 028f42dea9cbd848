"""A run knows its data by content: it continues on the images it began on, and on no others."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from knee_attention.datasets.fingerprint import (
    ImageRecord,
    dataset_records,
    difference,
    read_records,
)
from knee_attention.errors import InputError
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run_folder import RunFolder

Reader = Callable[..., tuple[ImageRecord, ...]]
"""Takes and gives what `dataset_records` does."""


def records_of(experiment: Experiment, read: Reader = dataset_records) -> tuple[ImageRecord, ...]:
    """What the experiment's data hold now; nothing for phantoms, which its options describe.

    Args:
        experiment: names the data.
        read: a cached `dataset_records`, where many experiments have the same data.

    Raises:
        InputError: the data cannot be used.
    """
    if experiment.data is None:
        return ()
    drawn = experiment.limit is not None  # else the seed chooses no knee
    return read(experiment.data, experiment.limit, experiment.seed if drawn else 0)


def refuse_other_data(
    run: RunFolder, experiment: Experiment, read: Reader = dataset_records
) -> None:
    """Keep a run from being continued, or shown, on other data than it began on.

    A run of an earlier version has no record of its data and passes. So does a run whose data are
    not there: what needs them will say so. Arguments are those of `records_of`.

    Raises:
        InputError: the data are others, or cannot be used.
    """
    if experiment.data and Path(experiment.data).exists() and run.data_file.exists():
        refuse_other_records(run, records_of(experiment, read), experiment.data)


def refuse_other_records(
    run: RunFolder, records: Iterable[ImageRecord], data: str | os.PathLike
) -> None:
    """The same where the images of `data` are known already, as `file_records` gives them.

    Raises:
        InputError: the run's folder records other images.
    """
    if run.data_file.exists():
        different = difference(read_records(run.data_file), records)
        if different:
            raise InputError(f"{run.folder}: began on other data than {data} holds now: "
                             f"{different}; choose another --output, or --overwrite")


def remark_on_data(
    run: RunFolder, data: str | os.PathLike, split: str, limit: int | None, seed: int
) -> str:
    """How the knees that a run is measured on differ from those of its own split, and how many of
    them it was trained on; blank where there is nothing to say, or the run has no record.

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
        remarks.append(f"{data} differs from the {split} split that {run.folder} began on: "
                       f"{different}")
    if split != "train":
        trained = {record.digest for record in recorded if record.split == "train"} - {""}
        seen = sum(record.digest in trained for record in now)
        if seen:
            remarks.append(f"{run.folder} was trained on {seen} of these {len(now)} knees")
    return "\n".join(f"remark: {remark}" for remark in remarks)
