"""The report about runs: its pictures, refused inputs, and the page in a browser."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from small_trainings import ONE

from knee_attention.commands.cli import main
from knee_attention.datasets.dataset import load_dataset
from knee_attention.evidence.figures.pictures import HEIGHT, SCALE
from knee_attention.films.preparation import Preparation
from knee_attention.runs.measure import measure
from knee_attention.runs.run import run

pytestmark = pytest.mark.usefixtures("eager", "blank_figures")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
OF_THE_BROWSER = "not an origin"
"""The initiator, in the browser's net log, of requests that no page made."""


@pytest.fixture(scope="module")
def runs(phantom_runs):
    """Runs on the same phantoms: two branches, each of them alone."""
    return phantom_runs


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    """The report about the three runs."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    report(runs / "two", runs / "att1", runs / "att2", "-o", path)
    return path


def report(*arguments):
    main(["report", *map(str, arguments)])


def pictures(path):
    """The decoded images of a page."""
    found = re.findall(r'src="data:image/webp;base64,([^"]+)"', path.read_text(encoding="utf-8"))
    return [
        cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        for data in found
    ]


def wrong_knees(folder):
    """The number of knees that a run's chosen output grades incorrectly."""
    table = pd.read_csv(folder / "predictions.csv")
    return int((table["prediction"] != table["grade"]).sum())


def opened(page, folder):
    """Open a page in headless Chromium.

    Returns:
        The content of the loaded page, the lines of its console, and the addresses that it
        requested outside its own file. The browser's own requests (updates, accounts) have no
        page as their initiator. No request gets an answer, because no name resolves.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium or Chrome here")
    log = folder / "requests.json"
    ended = subprocess.run(
        [browser, "--headless=new", *QUIET, f"--user-data-dir={folder / 'profile'}",
         "--host-resolver-rules=MAP * ~NOTFOUND", f"--log-net-log={log}",
         "--enable-logging=stderr", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, encoding="utf-8", timeout=60, check=True,
    )  # fmt: skip
    console = [line for line in ended.stderr.splitlines() if ":CONSOLE" in line]
    log = json.loads(log.read_text(encoding="utf-8"))
    begun = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    requests = [event["params"] for event in log["events"]
                if event["type"] == begun and "url" in event.get("params", {})]
    asked = [request["url"] for request in requests if request["initiator"] != OF_THE_BROWSER]
    return ended.stdout, console, asked


def test_in_a_browser_the_page_is_whole_and_asks_for_nothing(page, tmp_path):
    shown, console, requests = opened(page, tmp_path)
    assert console == [] and requests == []
    for part in ("<h1>", "antony_clsf_multiloss", "Synthetic phantoms", "PMLR 102", "</footer>"):
        assert part in shown


def test_a_page_that_asks_or_complains_would_be_caught(tmp_path):
    page = tmp_path / "leaky.html"
    page.write_text(
        '<!doctype html><title>leaky</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="http://outside.example/style.css">'
        '<img src="https://outside.example/knee.png"><script>console.error("a complaint")</script>'
    )
    _, console, requests = opened(page, tmp_path)
    assert any("a complaint" in line for line in console)
    assert sorted(requests) == [
        "http://outside.example/style.css", "https://outside.example/knee.png"
    ]  # fmt: skip


def test_what_leads_outside_is_stopped_by_the_page_s_own_policy(page, tmp_path):
    """The browser blocks a request of the page and reports it."""
    html = page.read_text(encoding="utf-8")
    leaky = tmp_path / "leaky.html"
    leaky.write_text(html.replace("<main>", '<main><img src="https://outside.example/knee.png">'))
    _, console, requests = opened(leaky, tmp_path)
    assert requests == [] and any("outside.example" in line for line in console)


def test_three_runs_are_one_small_file(page):
    assert page.stat().st_size < 5e6
    html = page.read_text(encoding="utf-8")
    for part in ("antony_clsf_multiloss", "antony_clsf_att1", "10 common knees of 5 persons",
                 "att1 of antony_clsf: trained with att2 by multi-loss", "paper&#x27;s figure 3",
                 "not a medical device"):  # fmt: skip
        assert part in html, part
    assert "missing or damaged" not in html and "Without a picture" not in html


def test_every_figure_and_every_mistake_is_a_picture(page, runs):
    names = ("two", "att1", "att2")
    images = pictures(page)
    assert len(images) == 3 * 4 + sum(min(8, wrong_knees(runs / name)) for name in names)
    knees = [image for image in images if len(image) == HEIGHT + SCALE]
    assert len(knees) == len(images) - 3 * 4
    for panels in knees:
        film, *under_masks = np.hsplit(panels[:HEIGHT], panels.shape[1] // HEIGHT)
        assert np.ptp(film.astype(int), axis=2).mean() < 3  # grey
        assert all(np.ptp(under.astype(int), axis=2).mean() > 10 for under in under_masks)
    assert {panels.shape[1] // HEIGHT for panels in knees} == {1 + 1, 1 + 2}


def test_a_baseline_is_reported_without_attention(tmp_path):
    joint = replace(ONE, backbone="antony_joint_baseline", branches=(), fusion="joint",
                    loss_weights=(0.5, 0.5), limit=10)  # fmt: skip
    run(joint, tmp_path / "joint")
    report(tmp_path / "joint", "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "regression" in page and "knees are graded wrong" in page
    assert "the attention of" not in page and "not measured" not in page


def test_the_pictures_are_of_the_worst_mistakes_while_the_data_are_there(
    knee_folder, tmp_path, monkeypatch
):
    run(replace(ONE, data=str(knee_folder)), tmp_path / "run")
    path = tmp_path / "report.html"
    report(tmp_path / "run", "-o", path, "--mistakes", 1)
    html = path.read_text(encoding="utf-8")
    assert "ynthetic" not in html.split("</style>")[1] and "the joint is unknown" in html
    said = re.search(r"<strong>KL (\d), graded (\d)</strong>.*?<code>(test/(\d)/.+?)</code>", html)
    table = pd.read_csv(tmp_path / "run" / "predictions.csv").set_index("file")
    worst = table.loc[said[3]]
    assert said[1] == said[4] == str(worst["grade"]) and said[2] == str(worst["prediction"])
    wrong = [(-abs(row["grade"] - row["prediction"]), row[f"att1_p{row['grade']}"])
             for _, row in table.iterrows() if row["grade"] != row["prediction"]]  # fmt: skip
    assert worst[f"att1_p{worst['grade']}"] == min(wrong)[1]
    assert len(pictures(path)) == 4 + 1

    reads = []
    monkeypatch.setattr("knee_attention.runs.finished.saved_model.load_dataset",
                        lambda *asked: reads.append(asked) or load_dataset(*asked))
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    report(tmp_path / "run", tmp_path / "again", "-o", path, "--mistakes", 1)
    assert len(reads) == 1

    report(tmp_path / "run", "-o", path, "--mistakes", 0)
    assert len(pictures(path)) == 4

    shutil.rmtree(knee_folder)
    (tmp_path / "run" / "figures" / "reliability.png").unlink()
    (tmp_path / "run" / "figures" / "masks.png").write_bytes(b"no picture")
    report(tmp_path / "run", "-o", path)
    html = path.read_text(encoding="utf-8")
    assert f"Without a picture: {knee_folder}: no such folder or file." in html
    assert html.count('<th scope="row">test/') == min(8, len(wrong))
    assert html.count("missing or damaged") == 2
    assert len(pictures(path)) == 2


def test_the_mistakes_of_displaced_joints_are_drawn_displaced(tmp_path, monkeypatch):
    for split in ("train", "validation", "test"):
        for grade in range(5):
            folder = tmp_path / "knees" / split / str(grade)
            folder.mkdir(parents=True)
            crop = np.random.default_rng(grade).integers(0, 255, (64, 64), np.uint8)
            cv2.imwrite(str(folder / f"{split}{grade}R.png"), crop)
    run(replace(ONE, data=str(tmp_path / "knees"), crop="square", displace=True),
        tmp_path / "run")
    drawn = []

    def keep(model, knees):
        drawn.append(knees.images)
        return measure(model, knees)

    monkeypatch.setattr("knee_attention.runs.finished.reporting.measure", keep)
    report(tmp_path / "run", "-o", tmp_path / "page.html", "--mistakes", 1)
    preparation = Preparation(crop="square", displaced=True)
    known = load_dataset(str(tmp_path / "knees"), (96, 96), preparation=preparation)
    [image] = drawn[0]
    assert any((image == knee).all() for knee in known.splits["test"].images)


def test_runs_of_one_name_are_told_apart_by_their_folders(runs, tmp_path):
    shutil.copytree(runs / "att1", tmp_path / "seed7")
    described = json.loads((runs / "att1" / "experiment.json").read_text())
    (tmp_path / "seed7" / "experiment.json").write_text(json.dumps(described | {"seed": 7}))
    report(runs / "att1", tmp_path / "seed7", "-o", tmp_path / "report.html", "--mistakes", 0)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "att1 and seed7 cannot be compared: their phantoms were drawn from the seeds" in html


def test_what_holds_no_finished_run_gets_one_sentence(runs, tmp_path, refused):
    page = ("-o", tmp_path / "report.html")
    shutil.copytree(runs / "att1", tmp_path / "killed")
    (tmp_path / "killed" / "results.json").unlink()
    said = refused("report", runs / "two", tmp_path / "killed", *page)
    assert "killed: the run is not finished" in said and "to resume it" in said
    assert "a folder without a run" in refused("report", tmp_path, *page)
    assert "no such folder" in refused("report", tmp_path / "nothing", *page)
    assert "not a file" in refused("report", runs / "two" / "model.h5", *page)
    assert "given twice" in refused("report", runs / "two", runs / "att1" / ".." / "two", *page)
    assert not (tmp_path / "report.html").exists()


def test_a_damaged_run_gets_one_sentence(runs, tmp_path, refused):
    def damaged(name, text):
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(runs / "att1", folder)
        (folder / name).write_text(text)
        return refused("report", folder, "-o", tmp_path / "report.html")

    table = (runs / "att1" / "predictions.csv").read_text()
    assert "missing columns" in damaged("predictions.csv", table.replace("grade", "degree"))
    assert "expected a probability" in damaged("predictions.csv", table.replace(",0.", ",7.", 1))
    half = "".join(table.splitlines(keepends=True)[:6])
    assert "has 5 knees, results.json has 10" in damaged("predictions.csv", half)
    results = json.loads((runs / "att1" / "results.json").read_text())
    del results["test"]["att1"]["intervals"]
    assert "missing 'intervals'" in damaged("results.json", json.dumps(results))
    assert "damaged" in damaged("results.json", '{"name":')
    assert "damaged" in damaged("environment.json", "[]")


def test_where_no_page_can_be_written_it_is_refused_before_the_work(runs, tmp_path, refused):
    """The name is refused before the run is read."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    nothing = tmp_path / "nothing"
    below_a_file = tmp_path / "file" / "report.html"
    assert "cannot be written" in refused("report", nothing, "-o", below_a_file)
    assert "it is a folder" in refused("report", nothing, "-o", tmp_path / "folder.html")
    assert "must end in .html" in refused("report", nothing, "-o", runs / "two" / "model.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.html"]
