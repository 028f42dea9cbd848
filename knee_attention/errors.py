"""Exceptions for input that cannot be used: files, folders, options and single images."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """A file, folder or option cannot be used; the message is one sentence for the user."""


class ImageError(InputError):
    """One image cannot be read or prepared; the caller skips it and continues.

    Args:
        path: the file, as the user would name it.
        reason: what is wrong, without the file's name.
        temporary: whether the cause may go away: a missing decoder, a disk that does not answer.
    """

    def __init__(self, path, reason: str, temporary: bool = False):
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason
        self.temporary = temporary


class UnreadableError(ImageError):
    """The file of an image is damaged, or its format cannot be read here.

    Any other `ImageError` is about what the image shows.
    """


def first_line(error: BaseException) -> str:
    """The first line of an exception's text that is not blank; without one, its class's name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def how_to_install(extra: str = "") -> str:
    """The command that installs the package from its clone, for messages.

    Args:
        extra: an extra, such as `dicom`; blank for the package without extras.
    """
    what = f'".[{extra}]"' if extra else "."
    return f"pip install -e {what} in the clone"


@contextmanager
def missing_raises(refusal: InputError, *packages: str) -> Iterator[None]:
    """Raise `refusal` if the block imports one of `packages` and it is not installed.

    Any other missing package is a fault of the installation; its `ModuleNotFoundError` passes.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in packages:
            raise
        raise refusal from None
