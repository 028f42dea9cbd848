"""The documents: short, with commands and links that exist, and numbers of the published runs."""

import io
import re
import runpy
import shutil
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from knee_attention import __version__
from knee_attention.commands.scripts import findings
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.paper import BACKBONE_TITLES, PAPER_TABLE_1, VARIANT_TITLES
from knee_attention.evidence.tables import weight_search
from knee_attention.runs.finished.card_answers import answer_checklists
from knee_attention.runs.finished.published_runs import read_runs

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


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation
    assert "Assessing Knee OA Severity with CNN attention-based" in citation


PUBLISHED = ROOT / "experiments" / "results" / "kneekl224"
SEARCH = PUBLISHED.with_name("kneekl224-weight-search")
NOTES = PUBLISHED / "notes.md"
STUDY = ("TABLES", "EXTRA", "ENSEMBLES", "COMPARED", "PICTURES", "ABOUT")
SHIPPED_RUN = "vgg16_multiloss-224_flips"
CARD_NAME = "knee_attention/pretrained/kneekl-vgg16-multiloss.md"
CARD = ROOT / CARD_NAME
of_published_runs = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="not in this distribution")


@pytest.fixture(scope="module")
def text():
    return DOCUMENTS["REPRODUCTION.md"]


@pytest.fixture(scope="module")
def page():
    return (PUBLISHED / "README.md").read_text(encoding="utf-8")


@of_published_runs
@pytest.mark.parametrize("folder", [PUBLISHED, SEARCH], ids=lambda folder: folder.name)
def test_each_set_s_readme_is_written_by_findings(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / folder.name)
    (copy / "README.md").unlink()
    study = runpy.run_path(str(ROOT / "experiments" / "findings.py"))
    arguments = [study[name] for name in STUDY]
    findings.main(*arguments, ["--from", str(copy), "--readme"])
    assert (copy / "README.md").read_bytes() == (folder / "README.md").read_bytes()


@of_published_runs
def test_the_card_s_checklists_follow_from_the_published_runs(tmp_path):
    script = runpy.run_path(str(ROOT / "experiments" / "make_pretrained.py"))
    for suffix in (".h5", ".onnx"):
        (tmp_path / f"{CARD.stem}{suffix}").symlink_to(CARD.with_suffix(suffix))
    text = DOCUMENTS[CARD_NAME]
    (tmp_path / CARD.name).write_text(text.partition("\n## Reporting")[0], encoding="utf-8")
    made = answer_checklists(
        tmp_path, CARD.stem, PUBLISHED, SHIPPED_RUN, script["ANSWERS"].read_text(encoding="utf-8")
    )
    assert made == (tmp_path / CARD.name).read_text(encoding="utf-8") == text


@of_published_runs
@pytest.mark.parametrize(("checklist", "parts"), [
    ("CLAIM 2024", dict.fromkeys(range(1, 45), "")),
    ("TRIPOD+AI", dict.fromkeys(range(1, 28), "") | {
        3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc",
        23: "ab", 27: "abc",
    }),
])  # fmt: skip
def test_each_item_of_a_checklist_has_one_answer(checklist, parts):
    rows = rows_of(DOCUMENTS[CARD_NAME], checklist)[2:]
    items = [f"{item}{part}" for item, letters in parts.items() for part in letters or [""]]
    assert [row[0] for row in rows] == items and all(answer for _, _, answer in rows)


@of_published_runs
@pytest.mark.parametrize(("document", "titles"), [
    (NOTES, ("accuracy", "balanced", "quadratic kappa")),
    (ROOT / "REPRODUCTION.md", ("accuracy", "balanced", "quadratic kappa")),
    (ROOT / "README.md", ("accuracy", "quadratic kappa")),
], ids=lambda value: getattr(value, "name", ""))  # fmt: skip
def test_the_official_test_s_figures_follow_from_its_counts(document, titles):
    notes = NOTES.read_text(encoding="utf-8").partition("**Official test split.**")[2]
    rows = re.findall(r"^  \| true \d \| (.+) \|$", notes, re.MULTILINE)
    counts = np.array([row.split(" | ") for row in rows], int)
    grades, predicted = (np.repeat(places.ravel(), counts.ravel())
                         for places in np.indices(counts.shape))
    found = grade_metrics(grades, np.eye(5)[predicted])
    words = " ".join(document.read_text(encoding="utf-8").split())
    assert f"{counts.sum():,} knees" in words
    names = {"balanced": "balanced_accuracy", "quadratic kappa": "kappa_quadratic"}
    for title in titles:
        assert f"{title} {found[names.get(title, title)]:.3f}".replace(" 0.", " .") in words


def rows_of(text, start):
    """The cells of the first table behind a heading that begins with `start`."""
    table = re.search(r"(?:^\|.*\n)+", text[text.index(f"\n## {start}") :], re.MULTILINE)[0]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]


@of_published_runs
@pytest.mark.parametrize("number", [1, 2])
def test_each_table_has_columns_of_the_table_of_the_set(page, text, number):
    shown, published = (rows_of(source, f"Table {number}") for source in (text, page))
    columns = [published[0].index(name) for name in shown[0]]
    short = {"Antony joint classification and regression": "Antony joint"}
    assert shown == [
        [short.get(row[column], row[column]) for column in columns] for row in published
    ]


@of_published_runs
@pytest.mark.parametrize("document", ["README.md", "REPRODUCTION.md"])
def test_each_number_with_an_interval_follows_from_the_published_runs(page, document):
    words = " ".join(DOCUMENTS[document].split())
    numbers = re.findall(r"[-+]?\d+\.\d+ \[[-+]?\d+\.\d+, [-+]?\d+\.\d+\]", words)
    known = page + DOCUMENTS[CARD_NAME]
    rounded = {f"{float(a):.2f} [{float(b):.2f}, {float(c):.2f}]" for a, b, c in
               re.findall(r"(\d\.\d+) \[(\d\.\d+), (\d\.\d+)\]", known)}  # fmt: skip
    assert numbers and not [one for one in numbers if one not in known and one not in rounded]


@of_published_runs
def test_the_films_of_other_hospitals_are_those_of_the_set(page, text):
    published = pd.read_csv(PUBLISHED / "other_hospitals.csv", dtype=str, keep_default_na=False)
    assert rows_of(page, "Other hospitals")[2:] == published.to_numpy().tolist()
    start = text[text.index("**Other hospitals.**") :]
    shown = rows_of("\n## Table\n" + start, "Table")
    known = published.set_index("films")[shown[0][1:]]
    assert [row[1:] for row in shown[2:]] == [known.loc[row[0]].tolist() for row in shown[2:]]
    before, after = (known_accuracy(published, films) for films in ("no local film", "50 local"))
    assert f"raise accuracy from {before} to {after}" in " ".join(start.split())


def known_accuracy(published, films):
    """The accuracy of the one row whose name contains this text."""
    [accuracy] = published[published["films"].str.contains(films)]["accuracy"]
    return accuracy


@of_published_runs
def test_the_validation_knees_beside_other_hospitals_are_those_of_the_shipped_run():
    published = pd.read_csv(PUBLISHED / "other_hospitals.csv").iloc[0]
    runs = pd.read_csv(PUBLISHED / "metrics.csv")
    [shipped] = runs[(runs["run"] == SHIPPED_RUN) & (runs["output"] == "att1")
                     ].to_dict("records")  # fmt: skip
    for column, metric in (("accuracy", "accuracy"), ("quadratic kappa", "kappa_quadratic"),
                           ("OA AUC", "oa_auc")):  # fmt: skip
        assert f"{shipped[metric]:.3f}" == f"{published[column]:.3f}"


@of_published_runs
def test_the_attention_scores_of_the_findings_are_those_of_the_set(page, text):
    rows = {row[0]: row[1:] for row in rows_of(page, "Attention on the joint space")}
    words = " ".join(text.split())
    for run, branch in (("vgg16_multiloss", "att0"), ("vgg16_multiloss-224", "att0"),
                        ("vgg16_multiloss", "att1"), ("vgg16_multiloss-224", "att1"),
                        ("vgg16_early_fusion", "att0")):  # fmt: skip
        assert rows[f"{run}, seed 0: {branch}"][0] in words
    own, mean = rows["vgg16_multiloss, seed 0: att0"][:2]
    assert f"({mean} in place of {own})" in words


@of_published_runs
@pytest.mark.parametrize("kind", ["local", "shared"])
def test_how_often_masks_find_displaced_joints_follows_from_the_audits(text, kind):
    audits = pd.read_csv(PUBLISHED / "audits.csv")
    of_kind = audits["run"].str.startswith(f"antony_extended_multiloss-displaced_{kind}")
    own = audits[of_kind & (audits["mask"] == "own mask") & (audits["measure"] == "highest")]
    for branch in ("att1", "att2"):
        *others, last = (f"{share:.3f}" for share in own[own["branch"] == branch]["value"])
        assert f"{', '.join(others)} and {last}" in " ".join(text.split())
    of_att1 = own[own["branch"] == "att1"]["value"]
    readme = " ".join(README.split())
    assert f"{100 * of_att1.min():.0f} to {100 * of_att1.max():.0f}%" in readme


@of_published_runs
def test_the_search_table_and_its_numbers_follow_from_the_published_runs(text):
    table = weight_search.weight_table(read_runs(SEARCH).values())
    spread = re.search(r"deviation is (0\.\d+) over seeds and (0\.\d+) over cells",
                       weight_search.sentence(table, "att2_loss"))  # fmt: skip
    words = " ".join(text.split())
    assert f"att2's loss varies by {spread[2]}, over seeds of one pair by {spread[1]}" in words


@of_published_runs
@pytest.mark.parametrize(("variant", "place", "title"), [
    ("att0", 0, "att0"), ("att1", 0, "att1"), ("att2", 0, "att2"),
    ("early_fusion", 0, "early fusion"), ("multiloss", 0, "multi-loss, first branch"),
    ("multiloss", 1, "multi-loss, second branch"),
])  # fmt: skip
def test_each_row_of_the_readme_s_table_follows_from_the_published_runs(
    page, variant, place, title
):
    """A cell is our accuracy and, in brackets, the paper's."""
    ours = {(row[0], row[1]): row[2].partition(" ")[0] for row in rows_of(page, "Table 1")}
    cells = []
    for backbone, variants in PAPER_TABLE_1.items():
        output, paper = list(variants[variant].items())[place]
        branch = f"{VARIANT_TITLES[variant]} {output}" if variant in VARIANT_TITLES else output
        own = ours.get((BACKBONE_TITLES[backbone], branch))
        cells.append(f"{own} ({paper:.1f})" if own else f"({paper:.1f})")
    assert f"| {' | '.join([title, *cells])} |" in README.splitlines()


@of_published_runs
def test_the_readme_s_numbers_are_those_of_the_card():
    readme = " ".join(README.split())
    card = DOCUMENTS[CARD_NAME]
    [accuracy] = re.findall(r"\| att\d \(grades\) \| (0\.\d+) \[", card)
    recalls = dict(re.findall(r"\| (\d) \| \d+ \| (0\.\d+) \|", card))
    assert f"{100 * float(accuracy):.0f}% of the grades right" in readme
    assert f"{100 * float(recalls['4']):.0f}% of grade 4" in readme
    assert f"{100 * float(recalls['1']):.0f}% of grade 1" in readme
