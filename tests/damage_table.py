"""A table of how damaged films of every codec are read, in films/damaged_films.md.

    python tests/damage_table.py

writes the table again.
"""

import logging
from collections import defaultdict
from pathlib import Path

from coded_films import CUTS, END_BEHIND, codecs

from knee_attention.errors import ImageError
from knee_attention.films.inputs import FileInMemory, open_image

TABLE = Path(__file__).parent / "films" / "damaged_films.md"
KINDS = (*CUTS, END_BEHIND, "bit flipped", "60 bytes changed")

HEAD = f"""# Supported formats and damaged files

`python tests/damage_table.py` writes this table, and `test_damaged_films.py` checks it. The encoded
data are damaged. A DICOM file around them is intact, unless it is uncompressed or deflated. The end
mark is that of the codec; sizes and checksums of PNG and WebP files are corrected. One bit is
flipped in 8 files, and 60 bytes are changed in 2 files, in the middle of the data.

- refused: every such file gives an error that names the file.
- some refused: some damaged data are a valid image of the codec, so the damage cannot be detected.
- read: the codec has neither checksums nor redundancy, so all such files are read.

| format | decoder | whole | {" | ".join(KINDS)} |
|---|---|---|{"---|" * len(KINDS)}
"""


def outcome(contents: list[bytes]) -> str:
    """`refused`, `read` or `some refused` for a list of files; `-` for an empty list."""
    refused = 0
    for content in contents:
        try:
            open_image(FileInMemory("film", content))
        except ImageError:
            refused += 1
    if not contents:
        return "-"
    return {0: "read", len(contents): "refused"}.get(refused, "some refused")


def table() -> str:
    """The text of the Markdown table."""
    rows = []
    for codec in codecs():
        files = defaultdict(list)
        for kind, content in codec.damaged():
            files[kind].append(content)
        found = [outcome([codec.film(codec.coded)]), *(outcome(files[kind]) for kind in KINDS)]
        rows.append(f"| {codec.name} | {codec.decoder} | {' | '.join(found)} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    logging.disable()  # pydicom logs every damaged frame
    TABLE.write_text(table(), encoding="utf-8")
