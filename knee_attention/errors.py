"""What the user gave cannot be used: one exception, and one way to say so on the command line."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """A file, folder or option that cannot be used; the message is one clear sentence."""


class ImageError(InputError):
    """One image that cannot be read or prepared; the work goes on without it.

    Args:
        path: the file, as the user would name it.
        reason: what is wrong with it, without the file's name.
    """

    def __init__(self, path, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason


@contextmanager
def command_line(program: str) -> Iterator[None]:
    """Turn an `InputError`, or what the system refuses, into one sentence and exit code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be no text
    try:
        yield
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"{program}: {place}{error.strerror or error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
