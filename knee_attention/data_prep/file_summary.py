"""Summary of a step: how many files were found, written, and excluded for which reason."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from knee_attention.data_prep.journal import JOURNAL
from knee_attention.errors import InputError
from knee_attention.files import files_below
from knee_attention.films.image_files import is_image_file


@dataclass
class Account:
    """The summary of a step; every source found is either written or excluded.

    Attributes:
        found: number of sources.
        rows: one row per file written.
        written: number of sources that were used.
        earlier: number of those that an earlier run finished.
        excluded: (source, reason) for every other source.
        removed: number of outputs of an earlier run that were removed, because their source is
            missing or excluded now.
        elsewhere: number of outputs of an earlier run on another folder; they are kept, also in the
            table.
    """

    found: int
    rows: list[dict] = field(default_factory=list)
    written: int = 0
    earlier: int = 0
    excluded: list[tuple[str, str]] = field(default_factory=list)
    removed: int = 0
    elsewhere: int = 0

    def __str__(self) -> str:
        earlier = f" ({self.earlier} of them by an earlier run)" if self.earlier else ""
        lines = [f"found     {self.found:>7}", f"written   {self.written:>7}{earlier}"]
        lines.append(f"excluded  {len(self.excluded):>7}")
        # Scores differ for each film and would give each its own line.
        reasons = Counter(reason.partition(" (score ")[0] for _, reason in self.excluded)
        lines += [f"  {count:>7}  {reason}" for reason, count in reasons.most_common()]
        if self.removed:
            lines.append(f"removed   {self.removed:>7} whose source is missing or excluded now")
        if self.elsewhere:
            lines.append(f"elsewhere {self.elsewhere:>7} from another folder, kept")
        return "\n".join(lines)


def visible_files(
    folder: Path, output: Path, is_record: Callable[[Path], bool] = lambda file: False
) -> list[Path]:
    """List every file below a folder, sorted, without hidden files and outputs of this step.

    Args:
        folder: the folder to read.
        output: the folder that the step writes to; it may lie in `folder`.
        is_record: whether a file marks its folder as the output of an earlier run of this step.

    Raises:
        InputError: the folder is missing, holds no file, or is the output itself.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    if folder.resolve() == output.resolve():
        raise InputError(f"{folder} is both input and output; choose another folder for the output")
    files = files_below(folder, output)
    written = {file.parent for file in files if is_record(file)} - {folder}
    files = [file for file in files if not written & set(file.parents)]
    if not files:
        raise InputError(f"{folder} holds no files")
    return files


def refuse_other_images(output: Path) -> None:
    """Refuse an output folder with images that no earlier run wrote, so that none is overwritten.

    Raises:
        InputError: the folder holds images and no journal of an earlier run.
    """
    begun = (output / JOURNAL).exists() or not output.is_dir()
    other = None if begun else next(filter(is_image_file, output.iterdir()), None)
    if other:
        raise InputError(f"{output}: it holds images that no earlier run wrote, such as "
                         f"{other.name}; choose another folder")
