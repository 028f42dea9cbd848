"""Identifiers of films whose parts begin with zeros, which no library writes and archives hold.

PS3.5 9.1 forbids such parts, and they are common. A report has to name its film as the archive
does.
"""

import re
import uuid

from pydicom import Dataset, config
from pydicom.uid import UID

IDENTIFIER = re.compile(r"\d+(\.\d+)*")
"""A UID as archives take it."""

LONGEST = 64
"""Characters of a UID (PS3.5 9.1)."""


def is_identifier(text: str) -> bool:
    """Whether a text is a UID, perhaps one of parts that begin with zeros."""
    return len(text) <= LONGEST and IDENTIFIER.fullmatch(text) is not None


def valid_stand_in(identifier: str) -> UID:
    """A valid UID in place of one that may be invalid, the same each time; of a valid one itself.

    Args:
        identifier: as `is_identifier` takes it.
    """
    own = UID(identifier, config.IGNORE)
    if own.is_valid:
        return own
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, identifier).int}")


def restore(dataset: Dataset, stand_ins: dict[str, str]) -> None:
    """Put identifiers back where their stand-ins are, at any depth.

    Args:
        dataset: what was made with the stand-ins; it is changed.
        stand_ins: the identifiers by what stands in for them.
    """
    if not stand_ins:
        return
    for element in dataset.iterall():
        if element.VR == "UI" and element.value in stand_ins:
            element.validation_mode = config.IGNORE
            element.value = stand_ins[element.value]
