"""An account of every file: found, written, and excluded by reason."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from knee_attention.errors import InputError


@dataclass
class Account:
    """What became of every source.

    Attributes:
        rows: one per file written.
        written: sources that were used.
        earlier: how many of those an earlier run had finished.
        excluded: (source, reason) of every other source.
    """

    rows: list[dict] = field(default_factory=list)
    written: int = 0
    earlier: int = 0
    excluded: list[tuple[str, str]] = field(default_factory=list)

    @property
    def found(self) -> int:
        return self.written + len(self.excluded)

    def __str__(self) -> str:
        earlier = f" ({self.earlier} of them by an earlier run)" if self.earlier else ""
        lines = [f"found     {self.found:>7}", f"written   {self.written:>7}{earlier}"]
        lines.append(f"excluded  {len(self.excluded):>7}")
        reasons = Counter(reason for _, reason in self.excluded)
        lines += [f"  {count:>7}  {reason}" for reason, count in reasons.most_common()]
        return "\n".join(lines)


def visible_files(folder: Path) -> list[Path]:
    """Every file below a folder, sorted, without hidden ones.

    Raises:
        InputError: no such folder, or it holds no file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(place, name) for name in names if not name.startswith(".")]
    if not files:
        raise InputError(f"{folder} holds no files")
    return sorted(files)
