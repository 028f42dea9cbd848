from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stand_ins import load_script

from knee_attention.films.image_files import write_image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys) -> Callable[..., tuple[int, str]]:
    """A function that runs a script of data_prep in this process and returns its exit code and
    output."""

    def run(script: str, *arguments: object) -> tuple[int, str]:
        module = load_script(ROOT / "data_prep" / f"{script}.py")
        workers = [] if script == "make_labels" else ["--workers", "1"]
        try:
            module.main([*map(str, arguments), *workers])
            code = 0
        except SystemExit as exit_:
            code = exit_.code
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Thirty small films of 15 subjects and their labels; no two knees have the same pixels."""
    folder = tmp_path_factory.mktemp("prepared")
    lines, rng = ["id,subject,side,kl"], np.random.default_rng(0)
    for index in range(30):
        for side in "RL":
            knee = rng.integers(0, 256, (40, 28)).astype(np.uint8)
            write_image(folder / "knees" / f"S{index:03d}_{side}.png", knee)
            lines.append(f"S{index:03d},P{index // 2:02d},{side},{index % 5}")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder
