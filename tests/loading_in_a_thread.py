"""Load a grader in a thread while other threads write to standard error; used by `test_interrupt`.

It prints as JSON the process state before and after, and every standard error stream that a
watching thread saw meanwhile.
"""

import json
import logging
import os
import signal
import sys
import threading
import warnings

from knee_attention import load_grader

LINES = "line {} of another thread\n"


def state() -> dict:
    """Process state that a library must not change."""
    loggers = [logging.root, *map(logging.getLogger, ("absl", "tensorflow", "other"))]
    return {
        "descriptors": [os.fstat(number).st_ino for number in (0, 1, 2)],
        "handlers": len(logging.root.handlers),
        "levels": [logger.level for logger in loggers],
        "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "filters": [str(entry) for entry in warnings.filters],
    }


def policy() -> str:
    import keras

    return keras.config.dtype_policy().name


def main(model: str) -> None:
    """Load twice: the first load imports Keras, which adds warning filters of its own."""
    done, written, seen = threading.Event(), 0, set()

    def write():
        nonlocal written
        while not done.wait(0.001):
            os.write(2, LINES.format(written).encode())
            written += 1

    def watch():
        while not done.wait(0.0005):
            seen.add(os.fstat(2).st_ino)

    states = [state()]
    others = [threading.Thread(target=work) for work in (write, watch)]
    for thread in others:
        thread.start()
    for _ in range(2):
        loading = threading.Thread(target=load_grader, args=(model,))
        loading.start()
        loading.join()
        states.append({**state(), "policy": policy()})
    done.set()
    for thread in others:
        thread.join()
    print(json.dumps({"states": states, "seen": sorted(seen), "written": written}))


if __name__ == "__main__":
    main(sys.argv[1])
