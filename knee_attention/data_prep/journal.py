"""What became of every source, kept line by line, so that a killed run goes on where it was."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from knee_attention.errors import InputError

JOURNAL = ".journal.jsonl"
"""What a journal's file is called."""


class Journal:
    """The outcome of every source, a line each, so that a killed run goes on where it was.

    Args:
        path: the journal's file; it lies in the folder the outputs go to.
        options: what all outputs depend on besides the sources.
        tags: what the output of a source depends on besides, by source.

    Raises:
        InputError: the folder was begun with other options, or cannot be written.
    """

    def __init__(self, path: Path, options: dict, tags: Mapping[str, str] | None = None):
        self.path = path
        self._tags = tags or {}
        self._outcomes: dict[str, dict] = {}
        self._seen: dict[str, list] = {}
        self._makers: dict[str, str] = {}
        options = json.loads(json.dumps(options))
        try:
            lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
            begun = self._read(lines)
            if begun not in (None, options):
                both = options.keys() | begun.keys()
                changed = sorted(key for key in both if begun.get(key) != options.get(key))
                raise InputError(
                    f"{path.parent} was begun with another {' and '.join(changed)}; "
                    "repeat the options, or choose another folder"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path.parent} cannot be written: {error.strerror}") from None
        if lines and lines[-1]:  # the last run was killed in the middle of a line
            self._file.write("\n")
        if begun is None:
            self._append({"options": options})

    def _read(self, lines: list[str]) -> dict | None:
        options = None
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if "options" in entry:
                options = entry["options"]
            else:
                self._keep(entry)
        return options

    def _keep(self, entry: dict) -> None:
        self._outcomes[entry["source"]] = entry
        for row in entry["rows"]:
            if "file" in row:
                self._makers[row["file"]] = entry["source"]

    def _append(self, entry: dict) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def finished(self, source: Path) -> dict | None:
        """The outcome of a source that has not changed and whose outputs are still there, its own:
        another source of the same name may have written over them."""
        name = os.path.abspath(source)
        stamp = self._seen[name] = self._stamp(source)
        outcome = self._outcomes.get(name)
        # A journal of an earlier version has the beginning of a stamp.
        if outcome is None or outcome["stamp"] != stamp[: len(outcome["stamp"]) or None]:
            return None
        outputs = [row["file"] for row in outcome["rows"] if "file" in row]
        there = all(
            self._makers[output] == outcome["source"] and (self.path.parent / output).exists()
            for output in outputs
        )
        return outcome if there else None

    def add(self, source: Path, outcome: dict) -> None:
        """Keep the outcome of a source as `finished` saw it: it may have changed since then."""
        name = os.path.abspath(source)
        entry = {"source": name, "stamp": self._seen.get(name) or self._stamp(source), **outcome}
        self._append(entry)
        self._keep(entry)

    def remove_stale(self, root: Path, rows: Iterable[dict]) -> tuple[int, int]:
        """Remove outputs whose source is gone from below `root`, or is there and excluded now.

        Args:
            root: the folder that was worked through.
            rows: one per output that is up to date.

        Returns:
            How many outputs were removed, and how many of sources elsewhere were left alone.
        """
        current, root = {row["file"] for row in rows}, os.path.abspath(root)
        removed = elsewhere = 0
        for output, source in self._makers.items():
            path = self.path.parent / output
            if output in current or not path.exists():
                continue
            if Path(source).is_relative_to(root):
                path.unlink()
                removed += 1
            else:
                elsewhere += 1
        return removed, elsewhere

    def close(self) -> None:
        """Close the journal's file; nothing can be added afterwards."""
        self._file.close()

    def _stamp(self, source: Path) -> list:
        """What changes with a source: films of one camera may have one size, and copying, moving
        and unpacking keep the time of modification. A rename changes the inode that is found under
        a name, and writing over a file its time of change.
        """
        try:
            status = source.stat()
        except OSError:
            return []
        return [
            status.st_size, status.st_mtime_ns, self._tags.get(str(source), ""),
            status.st_ctime_ns, status.st_ino,
        ]  # fmt: skip
