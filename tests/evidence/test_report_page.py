"""The report page: its content, and that it is self-contained."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from knee_attention.evidence.finished_run import ReportedRun, split_results, worst_mistakes
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.report.page import POLICY, report_page
from knee_attention.evidence.report.sections import FIGURES

COUNT = 60
GRADES = np.arange(COUNT) % 5
WEBP = cv2.imencode(".webp", np.full((4, 6), 90, np.uint8))[1].tobytes()
UNIFORM = {"energy_inside_uniform": 0.1, "pointing_game_uniform": 0.1}


def sure_of(grades, confidence=0.9):
    """Probabilities of a model that predicts these grades."""
    others = (1 - confidence) / 4
    return np.where(np.eye(5)[grades] == 1, confidence, others)


def made_run(label="vgg16_att0", said=None, prefix="test/", **settings):
    """A run on real knees that predicts the grades `said`, by default the true ones."""
    said = {"att0": GRADES} if said is None else said
    experiment = {
        "name": label, "backbone": "vgg16", "branches": ["att0"], "fusion": "single",
        "data": "/data/knees", "image_size": [320, 224], "limit": None, "seed": 0,
    } | settings  # fmt: skip
    predictions = Predictions(
        [f"{prefix}{number}.png" for number in range(COUNT)],
        [f"person{number // 2}" for number in range(COUNT)],
        GRADES,
        {output: sure_of(grades) for output, grades in said.items()},
    )
    results = {
        "name": label, "backbone": "vgg16", "synthetic": experiment["data"] is None,
        "variant": "multiloss" if experiment["fusion"] == "multi_loss" else "att0",
        "split": "test", "knees": COUNT, "subjects": COUNT // 2, "parameters": 7718114,
        "epochs": 3, "chosen": next(iter(said)), "test": split_results(predictions),
    }  # fmt: skip
    return ReportedRun(experiment, results, {}, predictions, None, label, Path("runs") / label,
                       dict.fromkeys(FIGURES, WEBP))  # fmt: skip


def with_results(run, **results):
    return dataclasses.replace(run, results=run.results | results)


class Page(HTMLParser):
    """A parsed page: its tags, its addresses, its text and its tables."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.words, self.rows = [], [], [], []
        self.open = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.open.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset")]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += f"{data} "

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def page_of(*runs):
    return Page(report_page(list(runs)))


def test_nothing_in_the_page_leads_outside_or_runs():
    html = report_page([made_run(), made_run("vgg16_att1", {"att1": (GRADES + 1) % 5})])
    page = Page(html)
    assert page.addresses.count("data:,") == 1
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not {"script", "iframe", "object", "form", "base"} & set(page.tags)
    assert "url(" not in html and "@import" not in html
    assert "http-equiv=\"Content-Security-Policy\"" in html
    assert POLICY == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert page.tags.count("img") == 2 * len(FIGURES)


def test_names_are_text_whatever_is_in_them():
    name = "<script>alert(1)</script> & \"'<img src=http://a.example>"
    run = made_run(name, data=f"/data/{name}", weights=name)
    run = dataclasses.replace(run, environment={"device": name, "command": [name]})
    run = dataclasses.replace(
        run,
        predictions=dataclasses.replace(run.predictions, files=[name] * COUNT),
        mistakes=worst_mistakes(made_run(said={"att0": (GRADES + 1) % 5}).predictions, "att0", 2),
        unshown=name,
    )
    page = page_of(run, made_run(f"{name} again", seed=name))
    assert "script" not in page.tags
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert page.text.count("<script>alert(1)</script> & \"'") > 10


def test_the_results_stand_beside_the_paper_s():
    run = made_run("vgg16_multiloss", {"att0": GRADES, "att1": np.zeros(COUNT, int)},
                   branches=["att0", "att1"], fusion="multi_loss", loss_weights=[1.0, 0.8])
    rows = [row for row in page_of(run).rows if row[0] == "vgg16_multiloss " and len(row) == 11]
    chosen, other, together = rows
    assert "att0 chosen" in chosen[1] and "chosen" not in other[1] + together[1]
    assert chosen[3] == "1.000 1.000 to 1.000 " and chosen[4] == "0.643 "
    low, high = run.results["test"]["att1"]["intervals"]["accuracy"]
    assert other[3] == f"0.200 {low:.3f} to {high:.3f} " and other[4] == "0.632 "
    assert together[1] == "ensemble " and together[4] == "– "
    error = run.results["test"]["att0"]["expected_calibration_error"]
    assert chosen[-1] == f"{error:.3f} "  # no interval


def test_a_difference_is_said_in_words():
    right, wrong = made_run("right"), made_run("wrong", {"att0": (GRADES + 1) % 5})
    page = page_of(right, wrong, made_run("also right"))
    assert ("right (att0) and wrong (att0), 60 common knees of 30 persons: accuracy differs by "
            "+1.000, 95% interval +1.000 to +1.000. The interval excludes zero for accuracy") in (
        page.text
    )
    assert "also right (att0), 60 common knees of 30 persons: accuracy differs by +0.000" in (
        page.text
    )
    assert "No interval excludes zero: these knees show no difference." in page.text
    assert "Differences" not in page_of(right).text


def test_a_copied_run_is_called_a_copy():
    said = "Both contain the same training: one is a copy of the other."
    run = made_run("run")
    assert said in page_of(run, made_run("copy")).text
    other_seed = dataclasses.replace(run, label="again", experiment=run.experiment | {"seed": 1})
    assert said not in page_of(run, other_seed).text
    assert said not in page_of(run, made_run("other", {"att0": (GRADES + 1) % 5})).text


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({}, {"prefix": "validation/"}, "no knee in common"),
        ({}, {"data": None}, "only one of them graded synthetic phantoms"),
        ({"data": None}, {"data": None, "seed": 7}, "drawn from the seeds 0 and 7"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence_of_a_whole_page(first, second, reason):
    """Phantoms of different seeds have the same file names but are different knees."""
    page = page_of(made_run("one", **first), made_run("other", **second))
    sentences = [words for words in page.words if "cannot be compared" in words]
    assert len(sentences) == 1 and reason in sentences[0]
    assert "Research use only" in page.text and "minus other" not in page.text


def test_phantoms_of_sets_of_different_sizes_are_not_compared():
    few = made_run("few", data=None)
    few = dataclasses.replace(few, predictions=few.predictions.take(np.arange(40)))
    assert "sets of 60 and 40 phantoms" in page_of(made_run("all", data=None), few).text


def test_an_undefined_number_is_called_so():
    run = made_run()
    run.results["test"]["att0"]["oa_auc"] = None
    run.results["test"]["att0"]["per_grade"][4]["recall"] = None
    page = page_of(run)
    assert page.words.count("undefined") == 2 and "None" not in page.text


def test_synthetic_is_said_where_it_is_so():
    assert "ynthetic" not in page_of(made_run(), made_run("two")).text
    assert "Synthetic phantoms : these knees" in page_of(made_run(data=None)).text
    mixed = page_of(made_run("real"), made_run("drawn", data=None))
    assert "Synthetic phantoms (drawn) :" in mixed.text


def test_a_branch_is_compared_with_the_same_trained_alone():
    def scores(times, share):
        return {"inside": 0.6, "outside": 0.3, "inside_over_outside": times,
                "energy_inside": share, "pointing_game": 0.5, **UNIFORM}  # fmt: skip

    alone = with_results(made_run("vgg16_att0", data=None), localisation={"att0": scores(1.5, 0.2)})
    both = with_results(
        made_run("vgg16_multiloss", data=None, branches=["att0", "att1"], fusion="multi_loss"),
        localisation={"att0": scores(2.25, 0.34), "att1": scores(3.0, 0.4)},
    )
    page = page_of(both, alone, made_run("real"))
    compared = [words for words in page.words if words.startswith("att0 of vgg16:")]
    assert compared == [
        "att0 of vgg16: trained with att1 by multi-loss (vgg16_multiloss), its attention is 2.25 "
        "times as high on the joint as off it; trained alone (vgg16_att0), 1.50 times. 34.0% and "
        "20.0% of it lie on the joint (uniform 10.0%). The paper's figure 3 shows this comparison "
        "in pictures."
    ]
    assert ["vgg16_multiloss ", "att1 ", "0.600 ", "0.300 ", "3.00 uniform 1.00 ",
            "40.0% uniform 10.0% ", "50.0% uniform 10.0% "] in page.rows  # fmt: skip
    assert "real: not measured, because the position of the joint is unknown." in page.text
    without_masks = made_run("plain", data=None)
    without_masks.experiment["attention"] = "none"
    assert "not measured" not in page_of(without_masks).text
    elsewhere = with_results(alone, backbone="resnet50")
    assert "The paper's figure 3" not in page_of(both, elsewhere).text


def test_the_worst_mistakes_are_those_furthest_from_the_true_grade():
    grades = np.array([0, 1, 2, 3])
    probabilities = np.array([
        [0.1, 0.6, 0.1, 0.1, 0.1],
        [0.9, 0.04, 0.02, 0.02, 0.02],
        [0.3, 0.1, 0.4, 0.1, 0.1],  # the most probable grade is the true one
        [0.05, 0.8, 0.05, 0.05, 0.05],
    ])  # fmt: skip
    predictions = Predictions(list("abcd"), list("abcd"), grades, {"att0": probabilities})
    worst = worst_mistakes(predictions, "att0", 8)
    assert [mistake.file for mistake in worst] == ["d", "b", "a"]
    assert [mistake.predicted for mistake in worst] == [1, 0, 1]
    assert worst[1].loss == pytest.approx(-np.log(0.04))
    assert [mistake.file for mistake in worst_mistakes(predictions, "att0", 2)] == ["d", "b"]


def test_mistakes_are_shown_as_pictures_or_listed_with_the_reason():
    run = made_run(said={"att0": np.where(np.arange(COUNT) < 2, 4, GRADES)})
    first, second = worst_mistakes(run.predictions, "att0", 8)
    run = dataclasses.replace(
        run, mistakes=(dataclasses.replace(first, picture=WEBP), second), branches=("att0",),
        unshown="/data/knees: no such folder or file",
    )  # fmt: skip
    page = page_of(run)
    assert "2 of 60 knees are graded wrong" in page.text
    assert "KL 0, graded 4 P(4) 0.90, P(0) 0.02, loss 3.69 test/0.png" in page.text
    assert "Without a picture: /data/knees: no such folder or file." in page.text
    assert ["test/1.png ", "1 ", "4 ", "0.900 ", "0.025 ", "3.69 "] in page.rows
    assert "0 of 60 knees are graded wrong." in page_of(made_run()).text


def test_a_missing_figure_is_said():
    run = made_run()
    del run.figures["reliability"]
    page = page_of(run)
    assert "Reliability diagram: figures/reliability.png is missing or damaged." in page.text
    assert page.tags.count("img") == len(FIGURES) - 1


def test_settings_that_differ_and_the_command_to_repeat():
    one, other = made_run("one"), made_run("other", seed=3, image_size=[96, 64])
    one = dataclasses.replace(
        one,
        environment={"device": "a CPU", "versions": {"keras": "3.15"}, "training_seconds": 90,
                     "command": ["run_vgg16_att0.py", "--output", "my runs/one"]},
    )  # fmt: skip
    page = page_of(one, other)
    assert ["seed ", "0 ", "3 "] in page.rows
    assert ["image size ", "320, 224 ", "96, 64 "] in page.rows
    assert not [row for row in page.rows if row[0] == "fusion "]
    assert re.search(r"Equal in all runs: .*fusion single", page.text)
    assert ["device ", "a CPU "] in page.rows and ["training ", "1.5 min "] in page.rows
    assert "python run_vgg16_att0.py --output 'my runs/one'" in page.text
    assert "Command of other Unknown: the run has no environment.json." in page.text
    assert "do not differ in any setting" in page_of(one, made_run("two")).text
