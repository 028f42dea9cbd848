"""An account of every file: found, written, and excluded by reason."""

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
    """What became of every source: those written and those excluded are those found.

    Attributes:
        found: how many sources there were.
        rows: one per file written.
        written: sources that were used.
        earlier: how many of those an earlier run had finished.
        excluded: (source, reason) of every other source.
        removed: outputs of an earlier run whose source is gone or excluded now.
        elsewhere: outputs of an earlier run on another folder, left alone and in the table still.
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
        # A score of each film's own would make a line of each film.
        reasons = Counter(reason.partition(" (score ")[0] for _, reason in self.excluded)
        lines += [f"  {count:>7}  {reason}" for reason, count in reasons.most_common()]
        if self.removed:
            lines.append(f"removed   {self.removed:>7} whose source is gone or excluded now")
        if self.elsewhere:
            lines.append(f"elsewhere {self.elsewhere:>7} of another folder, left as they are")
        return "\n".join(lines)


def visible_files(
    folder: Path, output: Path, is_record: Callable[[Path], bool] = lambda file: False
) -> list[Path]:
    """Every file below a folder, sorted, without hidden ones, without what the work writes, and
    without what such a work wrote earlier to a folder in it.

    Args:
        folder: where to look.
        output: the folder the work writes to; it may lie in `folder`.
        is_record: whether a file is what such a work, and no other, leaves in the folder that it
            writes to.

    Raises:
        InputError: no such folder, or it holds no file, or it is the output itself.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    if folder.resolve() == output.resolve():
        raise InputError(f"{folder} cannot be both what is read and where it is written")
    files = files_below(folder, output)
    written = {file.parent for file in files if is_record(file)} - {folder}
    files = [file for file in files if not written & set(file.parents)]
    if not files:
        raise InputError(f"{folder} holds no files")
    return files


def refuse_other_images(output: Path) -> None:
    """Keep a folder's own images from being written over.

    Raises:
        InputError: the folder holds images, and no run that is to be continued.
    """
    begun = (output / JOURNAL).exists() or not output.is_dir()
    other = None if begun else next(filter(is_image_file, output.iterdir()), None)
    if other:
        raise InputError(f"{output}: holds images, {other.name} among them, and no earlier run; "
                         "choose another folder")
