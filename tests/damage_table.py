"""What happens to a damaged film of every codec, as a table of films/damaged_films.md.

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

HEAD = f"""# Supported formats, and the handling of damaged files

`python tests/damage_table.py` writes this table, and `test_damaged_films.py` checks it. The damage
is in the compressed data. The rest of a DICOM file is intact, unless it is uncompressed or
deflated. The end that is appended is the codec's end marker; sizes and checksums of PNG and WebP
are corrected. A bit is flipped at 8 places in the middle, 60 bytes are changed at 2 places.

- refused: every such file causes an error that names it.
- some refused: the others are valid data of the codec, so the damage cannot be detected.
- read: the codec has neither checksum nor redundancy, so all such files are read.

| format | decoder | whole | {" | ".join(KINDS)} |
|---|---|---|{"---|" * len(KINDS)}
"""


def outcome(contents: list[bytes]) -> str:
    """What happens to files: refused, read, or some refused; a dash if there are none."""
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
    """The table's text."""
    rows = []
    for codec in codecs():
        files = defaultdict(list)
        for kind, content in codec.damaged():
            files[kind].append(content)
        found = [outcome([codec.film(codec.coded)]), *(outcome(files[kind]) for kind in KINDS)]
        rows.append(f"| {codec.name} | {codec.decoder} | {' | '.join(found)} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    logging.disable()  # pydicom's of every damaged frame
    TABLE.write_text(table(), encoding="utf-8")
