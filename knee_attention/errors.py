"""What the user gave cannot be used: one exception, and one for a single image."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """A file, folder or option that cannot be used; the message is one clear sentence."""


class ImageError(InputError):
    """One image that cannot be read or prepared; the work goes on without it.

    Args:
        path: the file, as the user would name it.
        reason: what is wrong with it, without the file's name.
        passing: whether the reason may pass with the file as it is: a decoder that is not
            installed, a disk that does not answer.
    """

    def __init__(self, path, reason: str, passing: bool = False):
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason
        self.passing = passing


class UnreadableError(ImageError):
    """An image whose file is damaged, or in a form that cannot be read here: nobody knows what it
    shows, where any other `ImageError` is about what it shows."""


@contextmanager
def missing_raises(refusal: InputError, *packages: str) -> Iterator[None]:
    """Raise `refusal` if the block imports one of these packages and it is not installed.

    A lack of any other package is a fault of the installation, which this sentence would hide.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in packages:
            raise
        raise refusal from None
