"""Start and failure of commands: quiet imports, signals, and errors as one sentence.

These functions change process state (file descriptors, signals, loggers, warning filters). Only
commands call them.
"""

import io
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from knee_attention.errors import InputError, how_to_install

LEFT_OUT = frozenset({"tensorflow", "keras", "sklearn", "h5py", "pandas", "matplotlib"})
"""Packages that the README's light install leaves out."""

BACKENDS = ("tensorflow", "jax")
"""The backends of Keras on which the package is tested."""

LONGEST_WAIT = 2.0
"""Seconds after Ctrl-C or SIGTERM until a command that can be resumed ends within a native call."""


def start_keras() -> None:
    """Import Keras and look for GPUs, without the native log lines (oneDNN, missing CUDA).

    For commands only: it replaces file descriptor 2 and delays Ctrl-C during the import, and it
    quiets two loggers.

    Raises:
        InputError: the variable KERAS_BACKEND names none of the `BACKENDS`, or one that is not
            installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    asked = os.environ.get("KERAS_BACKEND")
    if asked and asked not in BACKENDS:
        raise InputError(f"KERAS_BACKEND is {asked!r}; set {' or '.join(BACKENDS)}")
    try:
        with _interrupts_held_back(), _native_stderr_held_back():
            from knee_attention import device

            device.gpus()
    except (ImportError, ValueError) as error:
        if not asked or getattr(error, "name", None) == "keras":
            raise
        raise InputError(f"KERAS_BACKEND is {asked!r}, which cannot be used ({error}); install it, "
                         f"or set {' or '.join(BACKENDS)}") from None
    # TensorFlow warns about retracing when a process uses several models; each is traced once here.
    # Keras warns through absl, at every save, that .h5 is a legacy format; we use it on purpose.
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)


def start_for(model: str | os.PathLike) -> None:
    """Import Keras if the model file needs it: all do except `.onnx`.

    Raises:
        InputError: see `start_keras`.
    """
    if Path(model).suffix.lower() != ".onnx":
        start_keras()


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. A command handles it like Ctrl-C: it ends its workers and tidies up."""


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the block ends.

    Some packages that Keras imports catch every exception, so the command would not end.
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
    """Raise `Terminated` in the block at the first SIGTERM; later ones do not interrupt the end."""
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
def _native_calls_ended(program: str) -> Iterator[None]:
    """End the process soon after Ctrl-C or SIGTERM, even within a native call.

    Python handles a signal when a native call returns. A training step of a large network may take
    a minute. Only for commands that survive a kill.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = threading.Event()

    def handle(number, frame):
        handled.set()
        before[number](number, frame)

    def watch(arrived: socket.socket) -> None:
        while number := arrived.recv(1):
            if number[0] in before and not handled.wait(LONGEST_WAIT):
                words = "interrupted" if number[0] == signal.SIGINT else "terminated"
                os.write(2, f"{program}: {words}{_how_to_resume()}\n".encode())
                os._exit(128 + number[0])

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, handle)
    arrived, sent = socket.socketpair()
    sent.setblocking(False)
    others = signal.set_wakeup_fd(sent.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, args=[arrived], daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(others)
        sent.close()
        watcher.join()
        arrived.close()
        for number, handler in before.items():
            if signal.getsignal(number) is handle:
                signal.signal(number, handler)


@contextmanager
def _native_stderr_held_back() -> Iterator[None]:
    """Hold back all output on file descriptor 2; show it if the block fails."""
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
    """An anonymous file: in memory if the system can, else in the folder for temporary files.

    None if that folder cannot be written.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return None


def ignore_dicom_warnings() -> None:
    """Ignore the warnings of pydicom and highdicom, which real archives cause in harmless ways.

    For commands and their worker processes only: the filters hold for the whole process.
    """
    ours = r"knee_attention\.(films|grading)\.dicom"
    warnings.filterwarnings("ignore", module=rf"(pydicom|highdicom|{ours})\b")


def _how_to_resume() -> str:
    without = " without --overwrite" if "--overwrite" in sys.argv else ""
    return f"; run the same command{without} to resume"


@contextmanager
def command_line(program: str, resumable: bool = False) -> Iterator[None]:
    """Turn errors in the block into one sentence and an exit code.

    Args:
        program: the command's name in the sentence.
        resumable: whether the same command resumes after a kill. It then ends within seconds of
            Ctrl-C.

    `InputError`, `OSError` and a missing package of `LEFT_OUT` give 2, Ctrl-C gives 130, SIGTERM
    143, and a closed pipe 141 without a sentence. Other errors pass.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # exceptions report its errors
    ignore_dicom_warnings()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may not be valid text
    advice = _how_to_resume() if resumable else ""
    try:
        with (_termination_raised(),
              _native_calls_ended(program) if resumable else nullcontext()):
            yield
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in LEFT_OUT:
            raise
        print(f"{program}: {package} is not installed (the light install leaves it out): "
              + how_to_install(), file=sys.stderr)  # fmt: skip
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"{program}: {place}{error.strerror or error}", file=sys.stderr)
        raise SystemExit(2) from None
    except Terminated:
        print(f"{program}: terminated{advice}", file=sys.stderr)
        raise SystemExit(143) from None
    except KeyboardInterrupt:
        print(f"{program}: interrupted{advice}", file=sys.stderr)
        raise SystemExit(130) from None
