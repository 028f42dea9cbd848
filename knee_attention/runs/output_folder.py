"""Whether a run can use an output folder: its input is elsewhere, and no other run is there."""

from collections.abc import Iterable
from pathlib import Path

from knee_attention.errors import InputError
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run_folder import RunFolder


def refuse_overlap(
    folder: Path, data: Iterable[str | None], overwrite: bool, models: Iterable[str | None] = ()
) -> None:
    """Refuse a folder that would mix a run's input with its output.

    Args:
        folder: the run's folder.
        data: folders and files of the data; None for phantoms.
        overwrite: whether the run's folder will be cleared.
        models: files or folders of initial weights and teachers; None for none.

    Raises:
        InputError: the folder is inside the data, or `overwrite` would delete the input.
    """
    place, data = folder.resolve(), list(filter(None, data))
    for path in data:
        if place.is_relative_to(Path(path).resolve()):
            raise InputError(f"{folder}: is inside the data, {path}; choose another --output")
    for path in filter(None, (*data, *models)):
        there = overwrite and Path(path).exists()
        if there and Path(path).resolve().is_relative_to(place):
            raise InputError(f"{folder}: --overwrite would delete the input {path}; choose another "
                             "--output")


def refuse_collision(folder: Path, experiment: Experiment) -> None:
    """Refuse a folder with another experiment, and suggest a free one.

    Raises:
        InputError: see `RunFolder.refuse_other` and `can_continue`.
    """
    run = RunFolder(folder)
    if run.exists and not can_continue(run, experiment):
        number = 2
        while (free := folder.with_name(f"{folder.name}-{number}")).exists():
            number += 1
        run.refuse_other(experiment, f"give --output {free}, or --overwrite")


def can_continue(run: RunFolder, experiment: Experiment) -> bool:
    """Whether a folder contains the experiment with fewer epochs and can be continued.

    Raises:
        InputError: it cannot: its learning rate depends on the number of epochs, stability
            training follows the last one, it stopped early, or its state is not saved.
    """
    if not run.exists or set(different := run.different_from(experiment)) != {"epochs"}:
        return False
    before, epochs = different["epochs"]
    if before > epochs:
        return False
    if experiment.schedule == "cosine":
        raise InputError(f"{run.folder}: its learning rate falls to zero over {before} epochs "
                         f"(--schedule cosine), so {epochs} epochs are another training; choose "
                         "another --output, or --overwrite")
    if experiment.stability:
        raise InputError(f"{run.folder}: its stability training follows epoch {before}, so "
                         f"{epochs} epochs are another training; choose another --output, or "
                         "--overwrite")
    if run.finished and before and not run.checkpoint.exists():
        trained = run.read_results().get("epochs")
        if trained != before:
            raise InputError(f"{run.folder}: the training stopped after {trained} of {before} "
                             "epochs, because the validation loss did not improve; more --epochs "
                             "change nothing")
        raise InputError(f"{run.folder}: finished after {before} epochs without a saved state "
                         "(sweeps keep none); choose another --output, or --overwrite")
    return True
