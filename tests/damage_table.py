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

HEAD = f"""# Formats that are read, and what happens to damaged files

Written by `python tests/damage_table.py` and held by `test_damaged_films.py`. Damage lies in the
coded data; a DICOM file around them is whole, unless it is uncompressed or deflated. The end put
behind is the codec's own, and of PNG and WebP the sizes and checksums are put right. A flipped bit
and 60 changed bytes are tried in 8 and 2 places in the middle.

- refused: every such file is an error that names it.
- some refused: other data are a valid image of the codec, which cannot be told from the film.
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
