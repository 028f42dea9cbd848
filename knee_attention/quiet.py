"""Start TensorFlow without its greetings, so that what the user reads is what concerns them."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from knee_attention.errors import InputError


def start_keras() -> None:
    """Import Keras and look for GPUs; native chatter (oneDNN, missing CUDA) is held back.

    Raises:
        InputError: the variable KERAS_BACKEND names what is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    asked = os.environ.get("KERAS_BACKEND")
    try:
        with _native_stderr_held_back():
            from knee_attention import device

            device.gpus()
    except (ImportError, ValueError) as error:
        if not asked:
            raise
        raise InputError(f"KERAS_BACKEND is {asked!r}, which cannot be used ({error}); install it, "
                         "or name tensorflow or jax") from None
    # It warns of several models' graphs in one process; ours are each traced once.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextmanager
def _native_stderr_held_back() -> Iterator[None]:
    """Catch what is written to file descriptor 2; show it only if the block fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
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
