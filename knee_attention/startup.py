"""How a command begins, and how it fails: what the user reads is what concerns them.

What is done here to the process (descriptors, signals, loggers, warning filters) only commands do.
"""

import io
import logging
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from knee_attention.errors import InputError

LEFT_OUT = frozenset({"tensorflow", "keras", "sklearn", "h5py", "pandas", "matplotlib"})
"""Packages that the README's light install does without; any other that is missing is a fault."""


def start_keras() -> None:
    """Import Keras and look for GPUs; native chatter (oneDNN, missing CUDA) is held back.

    For commands alone: it swaps file descriptor 2 for a moment, holds Ctrl-C back meanwhile and
    quiets two loggers, which is no library's business.

    Raises:
        InputError: the variable KERAS_BACKEND names what is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    asked = os.environ.get("KERAS_BACKEND")
    try:
        with _interrupts_held_back(), _native_stderr_held_back():
            from knee_attention import device

            device.gpus()
    except (ImportError, ValueError) as error:
        if not asked:
            raise
        raise InputError(f"KERAS_BACKEND is {asked!r}, which cannot be used ({error}); install it, "
                         "or name tensorflow or jax") from None
    # TensorFlow warns of several models' graphs in one process; ours are each traced once. Keras
    # calls .h5 a legacy format at every save, by the logger absl; here it is asked for.
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)


def start_for(model: str | os.PathLike) -> None:
    """Import what a model file needs to grade: nothing for `.onnx`, else Keras.

    Raises:
        InputError: as `start_keras` does.
    """
    if Path(model).suffix.lower() != ".onnx":
        start_keras()


class Terminated(KeyboardInterrupt):
    """SIGTERM, which a command takes as it takes Ctrl-C: it ends its workers and tidies up."""


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM wait for the end of the block: among what Keras imports there is code
    that swallows any exception, and the work would go on as if nobody had asked it to end.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if threading.current_thread() is not threading.main_thread() or None in before.values():
        yield
        return
    asked = []
    for number in before:
        signal.signal(number, lambda number, _: asked.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if asked:
            signal.raise_signal(asked[0])


@contextmanager
def _termination_raised() -> Iterator[None]:
    """Have SIGTERM raise `Terminated` in the block, once: a second one would break off the end."""
    unhandled = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if threading.current_thread() is not threading.main_thread() or not unhandled:
        yield
        return

    def end(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _native_stderr_held_back() -> Iterator[None]:
    """Catch what is written to file descriptor 2; show it only if the block fails."""
    sys.stderr.flush()
    held = _file_without_a_name()
    if held is None:
        yield
        return
    with held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _file_without_a_name() -> BinaryIO | None:
    """A file to write to and read from: in memory where the system can, else in the folder for
    temporary files; None where there is none that can be written.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return None


def ignore_dicom_warnings() -> None:
    """Have Python pass over what pydicom and highdicom warn of: real archives break the standard
    in harmless ways, and what is not harmless is an error.

    For commands and their worker processes alone, because the filters are the whole process's.
    """
    ours = r"knee_attention\.(films|grading)\.dicom"
    warnings.filterwarnings("ignore", module=rf"(pydicom|highdicom|{ours})\b")


@contextmanager
def command_line(program: str) -> Iterator[None]:
    """Turn an `InputError`, what the system refuses, or the lack of a package of `LEFT_OUT` into
    one sentence and exit code 2; Ctrl-C and SIGTERM into a word and 130 or 143.
    """
    ignore_dicom_warnings()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be no text
    try:
        with _termination_raised():
            yield
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in LEFT_OUT:
            raise
        print(f"{program}: {package} is not installed, which the light install leaves out: pip "
              "install knee_attention", file=sys.stderr)  # fmt: skip
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"{program}: {place}{error.strerror or error}", file=sys.stderr)
        raise SystemExit(2) from None
    except Terminated:
        print(f"{program}: terminated", file=sys.stderr)
        raise SystemExit(143) from None
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
