"""The journal of a step, from which a killed run resumes."""

import json
import os
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from knee_attention.errors import InputError

JOURNAL = ".journal.jsonl"
"""The name of a journal's file."""

SAME_ID_ELSEWHERE = "a film of another folder has the same id"
"""The reason to exclude a film whose output was `made_elsewhere`."""


class Journal:
    """A file with one line for the outcome of every source, so that a killed run can be resumed.

    Args:
        path: the journal's file, in the output folder.
        options: the options that all outputs depend on.
        tags: for each source a text that its output also depends on.

    Raises:
        InputError: the output folder was made with other options, or cannot be written.
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
            earlier = self._read(lines)
            if earlier not in (None, options):
                both = options.keys() | earlier.keys()
                changed = sorted(key for key in both if earlier.get(key) != options.get(key))
                raise InputError(
                    f"{path.parent} was made with other options ({', '.join(changed)}); "
                    "use the same options, or choose another folder"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path.parent} cannot be written: {error.strerror}") from None
        if lines and lines[-1]:  # the last run was killed in the middle of a line
            self._file.write("\n")
        if earlier is None:
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
        """The recorded outcome of a source; None if it must be processed.

        The source must be unchanged. Its outputs must exist, and another source of the same name
        must not have overwritten them.
        """
        name = os.path.abspath(source)
        stamp = self._seen[name] = self._stamp(source)
        outcome = self._outcomes.get(name)
        # Journals of an earlier version hold only the first parts of a stamp.
        if outcome is None or outcome["stamp"] != stamp[: len(outcome["stamp"]) or None]:
            return None
        outputs = [row["file"] for row in outcome["rows"] if "file" in row]
        there = all(
            self._makers[output] == outcome["source"] and (self.path.parent / output).exists()
            for output in outputs
        )
        return outcome if there else None

    def add(self, source: Path, outcome: dict) -> None:
        """Record the outcome of a source, with its stamp from `finished`.

        A source that changes while it is processed is therefore processed again in the next run.
        """
        name = os.path.abspath(source)
        entry = {"source": name, "stamp": self._seen.get(name) or self._stamp(source), **outcome}
        self._append(entry)
        self._keep(entry)

    def made_elsewhere(self, output: str, root: Path) -> bool:
        """Whether an existing output was made from an existing source that is not below `root`."""
        source = self._makers.get(output, "")
        if not (os.path.exists(source) and (self.path.parent / output).exists()):
            return False
        # The source and the root may be given through different links.
        names = (source, os.path.abspath(root)), (os.path.realpath(source), os.path.realpath(root))
        return not any(Path(name).is_relative_to(folder) for name, folder in names)

    def remove_stale(
        self, root: Path, rows: Iterable[dict], kept: Container[str] = ()
    ) -> tuple[int, int]:
        """Remove outputs whose source below `root` is missing or excluded now.

        Args:
            root: the input folder.
            rows: one row per current output.
            kept: absolute paths of sources whose outputs are kept.

        Returns:
            The number of removed outputs, and the number of outputs kept because their source is
            not below `root`.
        """
        current, root = {row["file"] for row in rows}, os.path.abspath(root)
        removed = elsewhere = 0
        for output, source in self._makers.items():
            path = self.path.parent / output
            if output in current or source in kept or not path.exists():
                continue
            if Path(source).is_relative_to(root):
                path.unlink()
                removed += 1
            else:
                elsewhere += 1
        return removed, elsewhere

    def close(self) -> None:
        """Close the journal's file; `add` fails afterwards."""
        self._file.close()

    def _stamp(self, source: Path) -> list:
        """Values of which at least one changes when a source does.

        Size and modification time are not enough: films of one device may have the same size, and
        copying, moving and unpacking keep the modification time. Renaming gives another inode;
        overwriting changes ctime.
        """
        try:
            status = source.stat()
        except OSError:
            return []
        return [
            status.st_size, status.st_mtime_ns, self._tags.get(str(source), ""),
            status.st_ctime_ns, status.st_ino,
        ]  # fmt: skip
