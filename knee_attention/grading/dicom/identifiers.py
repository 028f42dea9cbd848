"""UIDs of films whose components have leading zeros.

PS3.5 9.1 forbids leading zeros, but archives hold many such UIDs, and the libraries refuse to write
them. A report must name its film by exactly the UID that the archive has.
"""

import re
import uuid

from pydicom import Dataset, config
from pydicom.uid import UID

IDENTIFIER = re.compile(r"[0-9]+(\.[0-9]+)*")
"""A UID with or without leading zeros."""

LONGEST = 64
"""The most characters of a UID (PS3.5 9.1)."""


def is_identifier(text: str) -> bool:
    """Whether a text is a UID, with or without leading zeros."""
    return len(text) <= LONGEST and IDENTIFIER.fullmatch(text) is not None


def valid_stand_in(identifier: str) -> UID:
    """The UID itself if it is valid, else a valid UID derived from it.

    Args:
        identifier: a text for which `is_identifier` holds.
    """
    own = UID(identifier, config.IGNORE)
    if own.is_valid:
        return own
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, identifier).int}")


def restore(dataset: Dataset, stand_ins: dict[str, str]) -> None:
    """Replace stand-ins by the original UIDs, in place and at any depth.

    Args:
        dataset: the data set to change.
        stand_ins: `{stand-in: original UID}`.
    """
    if not stand_ins:
        return
    for element in dataset.iterall():
        if element.VR == "UI" and element.value in stand_ins:
            element.validation_mode = config.IGNORE
            element.value = stand_ins[element.value]
