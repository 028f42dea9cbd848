"""Make a training set of knees and labels: train|validation|test/<grade>/<id>_R.png.

    python data_prep/make_dataset.py KNEES labels.csv DATASET --h5 dataset.h5
    python data_prep/make_dataset.py --verify DATASET

All knees of a subject are in one split, and every split has the same share of every grade. 30% of
the knees are for testing; of the others 10% are for validation and 90% for training. Subjects are
taken from the labels or from KNEES/knees.csv.
DATASET also gets manifest.csv, grades.png, and excluded.csv with a reason for each knee and each
label that is not used. --verify checks a finished set, a folder or an HDF5 file.
"""

import argparse
import os
from pathlib import Path

from knee_attention.commands.arguments import as_path, positive_number, seed_number
from knee_attention.errors import InputError
from knee_attention.limits import TEST_SHARE, VALIDATION_SHARE
from knee_attention.runs.folder_lock import locked
from knee_attention.startup import command_line


def main(arguments: list[str] | None = None) -> None:
    """Run the command with these arguments; by default those of the command line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    with command_line("make_dataset.py"):
        if options.verify:
            _verify(options.verify, options.workers)
        elif options.dataset:
            with locked(options.dataset, clean=False):
                _make(options)
        else:
            parser.error("give KNEES LABELS DATASET, or --verify PATH")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("knees", type=as_path, nargs="?", help="folder that split_knees.py wrote")
    parser.add_argument("labels", type=as_path, nargs="?", help="table that make_labels.py wrote")
    parser.add_argument("dataset", type=as_path, nargs="?", help="output folder")
    parser.add_argument("--h5", type=as_path, metavar="FILE", help="also write one HDF5 file")
    parser.add_argument(
        "--test", type=float, help=f"share of the test set (default: {TEST_SHARE})"
    )
    parser.add_argument(
        "--validation", type=float, default=VALIDATION_SHARE,
        help=f"share of the remaining knees for validation (default: {VALIDATION_SHARE})",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=seed_number, default=0, help="seed of the split (default: 0)"
    )
    parser.add_argument(
        "--by-knee", action="store_true",
        help="split knees instead of subjects, as the paper's text suggests",
    )  # fmt: skip
    parser.add_argument(
        "--folds", type=positive_number, default=1, metavar="K",
        help="make K sets for cross-validation",
    )  # fmt: skip
    parser.add_argument("--copy", action="store_true", help="copy files instead of linking them")
    parser.add_argument("--verify", type=as_path, metavar="PATH",
                        help="check a finished set; the exit code is 1 if it has faults")
    parser.add_argument(
        "--workers", type=positive_number, default=os.cpu_count(), help="number of processes"
    )
    return parser


def _make(options: argparse.Namespace) -> None:
    if options.test is not None and options.folds > 1:
        raise InputError("--test cannot be combined with --folds: each fold is a test set once")
    options.test = TEST_SHARE if options.test is None else options.test
    if not (0 < options.test < 1 and 0 < options.validation < 1):
        raise InputError("--test and --validation must be between 0 and 1")
    if options.h5 and options.h5.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(f"{options.h5}: the name of an HDF5 file must end in .h5 or .hdf5")

    from knee_attention.data_prep.grade_tables import read_table, readings_of
    from knee_attention.data_prep.grades import choose_grades
    from knee_attention.data_prep.hdf5_sets import write_hdf5
    from knee_attention.data_prep.journal import JOURNAL, Journal
    from knee_attention.data_prep.pairing import read_knee
    from knee_attention.data_prep.training_sets import is_manifest, split_rows, write_knees
    from knee_attention.data_prep.workers import process_files, visible_files
    from knee_attention.datasets.layout import MANIFEST
    from knee_attention.evidence.figures.curves import grade_distribution
    from knee_attention.files import keep_inputs
    from knee_attention.films.cutting import CUTTING, write_cutting

    places = _places(options)
    written = [folder / name for folder, _ in places for name in (MANIFEST, "grades.png")]
    written += [options.dataset / "excluded.csv", *(h5 for _, h5 in places if h5)]
    keep_inputs([options.labels], written)
    grades = choose_grades(readings_of(read_table(options.labels)))
    own_files = {"knees.csv", "excluded.csv", CUTTING}
    files = visible_files(options.knees, options.dataset, is_manifest)
    cutting = _cutting_of(options.knees, files)
    sources = [path for path in files if path.name not in own_files]
    choices = {name: getattr(options, name) for name in ("test", "validation", "seed", "by_knee")}
    choices["folds"] = options.folds
    journal = Journal(options.dataset / JOURNAL, choices)

    summary = process_files(sources, read_knee, journal, options.workers, "knees")
    if summary.to_retry and any((folder / MANIFEST).exists() for folder, _ in places):
        raise InputError(f"{min(summary.to_retry)}: cannot be read now ({len(summary.to_retry)} "
                         "knees). Without them the split would change; run the command again")
    try:
        knees = _labelled_knees(options, files, summary, grades)
        sets = split_rows(knees, **choices)
    except InputError:
        if not any((folder / MANIFEST).exists() for folder, _ in places):
            journal.path.unlink()  # no set was made, so other options can be tried
        raise
    for (folder, h5), rows in zip(places, sets, strict=True):
        placed, removed = write_knees(folder, rows, options.knees, options.copy)
        write_cutting(folder, cutting)
        counts = _show_counts(rows, str(folder))
        cleared = f", {removed} from an earlier run removed" if removed else ""
        print(f"{placed} knees added, {len(rows) - placed} existed already{cleared}")
        grade_distribution(counts, folder / "grades.png")
        if h5:
            new = write_hdf5(h5, rows, folder, cutting)
            print(f"{h5}:", "written" if new else "existed already")


def _cutting_of(knees: Path, files: list[Path]):
    """The `Cutting` that the folders of knees record; None without a record.

    A folder without a record has that of the folder around it.
    """
    from knee_attention.films.cutting import CUTTING, Cutting
    from knee_attention.films.image_files import is_image_file
    from knee_attention.films.legs import side_of

    recorded = {path.parent: Cutting.read(path.parent) for path in files if path.name == CUTTING}
    ways = len(set(recorded.values()))
    if ways > 1:
        raise InputError(f"{knees} holds knees that were cut in {ways} ways (see each {CUTTING}); "
                         "make a set of each")
    for path in files if recorded else ():
        if is_image_file(path) and side_of(path) and recorded.keys().isdisjoint(path.parents):
            raise InputError(f"{path.parent} holds knees and no {CUTTING}, unlike "
                             f"{next(iter(recorded))}; make a set of each, or copy {CUTTING} there "
                             "if the knees were cut in the same way")
    return next(iter(recorded.values()), None)


def _labelled_knees(options: argparse.Namespace, files: list[Path], summary, grades) -> list[dict]:
    """The knees with a label. Print the summary, and write excluded.csv."""
    from knee_attention.data_prep.grade_tables import write_excluded
    from knee_attention.data_prep.pairing import pair, subjects_of_films

    subjects = subjects_of_films(path for path in files if path.name == "knees.csv")
    knees, unpaired, unused = pair(summary.rows, grades.labels, subjects)
    summary.written, summary.earlier = len(knees), 0  # existing knees are reported later
    summary.excluded += unpaired
    print(summary)
    unused += grades.excluded
    print(f"labels    {len(knees) + len(unused):>7}, of which {len(unused)} are not used")
    write_excluded(options.dataset / "excluded.csv", summary.excluded + unused)
    if not knees:
        raise InputError(f"no knee of {options.knees} has a label in {options.labels}")
    films = {row["id"] for row in knees}
    unknown = {row["id"] for row in knees if not row["subject"]}
    if unknown:
        print(f"WARNING: {len(unknown)} of {len(films)} films have no subject; each of them counts "
              "as one person. Add a column subject to the labels if a person has several films")
    return [{**row, "subject": row["subject"] or row["id"]} for row in knees]


def _places(options: argparse.Namespace) -> list[tuple[Path, Path | None]]:
    """The folder and the HDF5 file of the set, or of every fold."""
    if options.folds == 1:
        return [(options.dataset, options.h5)]
    names = [f"fold{number}" for number in range(1, options.folds + 1)]
    if options.h5 is None:
        return [(options.dataset / name, None) for name in names]
    stem = options.h5.stem
    return [(options.dataset / name, options.h5.with_stem(f"{stem}-{name}")) for name in names]


def _show_counts(rows: list[dict], title: str) -> dict[str, list[int]]:
    """Print the number of knees and subjects per split and grade; return the knees."""
    from knee_attention.datasets.layout import SPLITS

    counts = {}
    print(f"\n{title}\n{'':<11}" + "".join(f"{f'KL {kl}':>7}" for kl in range(5)), end="")
    print(f"{'knees':>8}{'subjects':>10}")
    for split in SPLITS:
        here = [row for row in rows if row["split"] == split]
        counts[split] = [sum(int(row["kl"]) == kl for row in here) for kl in range(5)]
        subjects = len({row["subject"] for row in here})
        print(f"{split:<11}" + "".join(f"{count:>7}" for count in counts[split]), end="")
        print(f"{len(here):>8}{subjects:>10}")
    return counts


def _verify(path: Path, workers: int) -> None:
    from knee_attention.data_prep.verification import verify

    if not path.exists():
        raise InputError(f"{path} does not exist")
    folders = sorted(path.glob("fold*")) if path.is_dir() else []
    failed = False
    for folder in folders or [path]:
        rows, faults = verify(folder, workers)
        _show_counts(rows, str(folder))
        print("\n".join(faults) if faults else "no faults")
        failed = failed or bool(faults)
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
