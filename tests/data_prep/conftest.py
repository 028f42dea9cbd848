import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys) -> Callable[..., tuple[int, str]]:
    """Run a command line of data_prep in this process: its exit code and all it printed."""

    def run(script: str, *arguments: object) -> tuple[int, str]:
        spec = importlib.util.spec_from_file_location(script, ROOT / "data_prep" / f"{script}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        workers = [] if script == "make_labels" else ["--workers", "1"]
        try:
            module.main([*map(str, arguments), *workers])
            code = 0
        except SystemExit as exit_:
            code = exit_.code
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run
