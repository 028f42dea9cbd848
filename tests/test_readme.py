"""The README's commands, options and links exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from knee_attention.evidence.paper import PAPER_TABLE_1

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"python ((?:experiments|data_prep)/\w+\.py)((?: .+)?)", README)))
SUBCOMMANDS = sorted(set(re.findall(r"^knee-attention ([\w-]+)(.*)$", README, re.MULTILINE)))


def test_the_two_commands_stand_there():
    assert "pip install -e . && python experiments/run_vgg16_multiloss.py\n" in README
    assert 'pip install -e ".[test]" && pytest\n' in README


@pytest.mark.parametrize("script", sorted({script for script, _ in COMMANDS}))
def test_every_command_knows_its_options(script):
    command = [sys.executable, ROOT / script, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for _, arguments in (found for found in COMMANDS if found[0] == script):
        for option in re.findall(r"--[\w-]+", arguments):
            assert option in shown


@pytest.mark.parametrize("name", sorted({name for name, _ in SUBCOMMANDS}))
def test_every_subcommand_knows_its_options(name):
    command = [sys.executable, "-m", "knee_attention", name, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for _, arguments in (found for found in SUBCOMMANDS if found[0] == name):
        for option in re.findall(r"--[\w-]+", arguments):
            assert option in shown


def test_links_and_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_paper_s_table_is_the_package_s():
    for row in PAPER_TABLE_1.values():
        for cell in row.values():
            for accuracy in cell.values():
                assert f"({accuracy:.1f})" in README
