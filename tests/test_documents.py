"""The documents: short enough, with commands, options, files and links that exist."""

import io
import re
import runpy
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest

from knee_attention import __version__
from knee_attention.evidence.paper import PAPER_TABLE_1

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "REPRODUCTION.md", "data_prep/README.md", "experiments/README.md",
                 "knee_attention/grading/README.md", "knee_attention/films/localiser.md",
                 "knee_attention/pretrained/kneekl-vgg16-multiloss.md")
}  # fmt: skip
README = DOCUMENTS["README.md"]
TEXT = "\n".join(DOCUMENTS.values()).replace("\\\n", "")
COMMANDS = set(re.findall(r"python ((?:experiments|data_prep)/\w+\.py)((?: [^\n`]+)?)", TEXT))
SUBCOMMANDS = set(re.findall(r"^(?:    )?knee-attention ([\w-]+)(.*)$", TEXT, re.MULTILINE))


@cache
def help_of(script, *subcommand):
    """The help of a script or of a subcommand, shown in this process."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as shown:
        patch.setattr(sys, "argv", [str(script), *subcommand, "--help"])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
    assert not ended.value.code
    return shown.getvalue()


@pytest.mark.parametrize(
    ("name", "largest"), [("README.md", 7_000), ("REPRODUCTION.md", 16_000)]
)
def test_a_document_is_short(name, largest):
    text = DOCUMENTS[name]
    assert len(text.encode()) <= largest
    assert max(map(len, text.splitlines())) <= 120


def test_the_two_commands_stand_there():
    assert "pip install -e . && python experiments/run_vgg16_multiloss.py\n" in README
    assert 'pip install -e ".[test]" && pytest\n' in README


@pytest.mark.parametrize("script", sorted({script for script, _ in COMMANDS}))
def test_every_script_has_the_options_that_are_named(script):
    for _, arguments in (found for found in COMMANDS if found[0] == script):
        for option in re.findall(r"--[\w-]+", arguments):
            assert option in help_of(ROOT / script), option


def test_no_two_examples_train_into_one_folder():
    written = {}
    for script, arguments in COMMANDS:
        name = Path(script).stem.removeprefix("run_")
        if name.startswith(("vgg16", "resnet50", "antony")):
            output = re.search(r"--output (\S+)", arguments)
            folder = output[1] if output else f"runs/{name}"
            assert written.setdefault(folder, arguments.split()) == arguments.split(), folder


@pytest.mark.parametrize("name", sorted({name for name, _ in SUBCOMMANDS}))
def test_every_subcommand_has_the_options_that_are_named(name):
    for _, arguments in (found for found in SUBCOMMANDS if found[0] == name):
        for option in re.findall(r"--[\w-]+", arguments):
            assert option in help_of(ROOT / "knee_attention" / "__main__.py", name), option


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_and_headings(name):
    targets = re.findall(r"\]\(([^)]+)\)|^\[[^\]]+\]: (\S+)$", DOCUMENTS[name], re.MULTILINE)
    for target in filter(None, (inline or reference for inline, reference in targets)):
        file, _, heading = target.partition("#")
        linked = (ROOT / name).parent / file if file else ROOT / name
        assert linked.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in headings}
            assert heading in anchors, target


def test_the_paper_s_table_is_the_package_s():
    for row in PAPER_TABLE_1.values():
        for cell in row.values():
            for accuracy in cell.values():
                assert f"({accuracy:.1f})" in README


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation
    assert "Assessing Knee OA Severity with CNN attention-based" in citation
