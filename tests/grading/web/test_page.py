"""The page in a real browser: its controls, and the addresses that it loads."""

import csv
import io
import json
import re
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom

from knee_attention.commands.cli import main
from knee_attention.evidence.figures.pictures import overlay
from knee_attention.films.image_files import is_picture
from knee_attention.grading.grader import load_grader

pytest.importorskip("selenium")

from chromium import CHROMIUM, DRIVER, Page, started
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with a driver here")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = started(tmp_path_factory.mktemp("downloads"))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address):
    browser.get("about:blank")  # leaving the page of another test may be logged
    browser.get_log("browser")
    browser.get_log("performance")
    return Page(browser, address)


def test_the_figures_of_the_model_are_those_of_its_rule(page):
    page.until(lambda: "Accuracy" in page.text("#model"))
    said = page.text("#model")
    assert "Accuracy 70%, quadratic kappa 0.60, on 9 validation knees." in said


def test_a_dropped_film_shows_two_knees_with_the_grades_of_grade(page, film, rows_of_grade):
    page.drop(film)
    page.until(lambda: len(page.all(".knee")) == 2)
    page.until(lambda: "film.png: right knee KL" in page.text("#status"))
    for section, row in zip(page.all(".knee"), rows_of_grade, strict=True):
        said = section.text
        assert {"R": "Right knee", "L": "Left knee"}[row["side"]] in said
        assert f"KL {row['grade']}\n" in said or f"KL {row['grade']} " in said
        cells = [cell.text for cell in section.find_elements(By.CSS_SELECTOR, "tbody tr td")]
        names = ("att1", "att2", "ensemble")
        shares = [row[f"{name}_p{grade}"] for name in names for grade in range(5)]
        assert [float(cell) for cell in cells] == pytest.approx([100 * s for s in shares], abs=0.51)
        chosen = section.find_element(By.CSS_SELECTOR, "tr.chosen th").text
        assert chosen == row["chosen"] == "att2"
    assert page.driver.get_log("browser") == []


def test_nothing_is_asked_of_another_machine(page, film):
    page.choose(film)
    page.click("#examples button")
    page.until(lambda: len(page.all(".film")) == 2)
    events = [json.loads(entry["message"])["message"] for entry in
              page.driver.get_log("performance")]  # fmt: skip
    asked = [event["params"]["request"]["url"] for event in events
             if event["method"] == "Network.requestWillBeSent"]  # fmt: skip
    assert len(asked) >= 8
    assert all(url.startswith(page.address + "/") for url in asked), asked
    assert page.driver.get_log("browser") == []


def test_the_attention_is_seen_as_the_reader_wants_it(page, film):
    page.choose(film)
    opacity = page.driver.find_element(By.CSS_SELECTOR, ".opacity")
    shown = page.pixels()
    opacity.send_keys(Keys.HOME)
    bare = page.pixels()
    assert page.text(".opacity-shown") == "0%"
    assert np.ptp(bare[..., :3], axis=2).max() == 0 and np.ptp(shown[..., :3], axis=2).max() > 30
    opacity.send_keys(Keys.END)
    full = page.pixels()
    changed = np.abs(full - bare).max(axis=2)
    assert changed.min() <= 2 and changed.max() > 30  # transparent where attention is lowest
    Select(page.driver.find_element(By.CSS_SELECTOR, ".branch")).select_by_visible_text("att1")
    assert np.abs(page.pixels() - full).max() > 10
    canvas = page.driver.find_element(By.CSS_SELECTOR, "canvas")
    label = canvas.get_attribute("aria-label")
    assert label.startswith("Right knee, graded KL") and "attention of att1 at 100%" in label


def test_the_blend_is_that_of_the_pictures(page, film, model):
    page.choose(film)
    knee = load_grader(model).grade(film)[0]
    expected = overlay(knee.image, knee.masks["att2"]).astype(float)
    shown = cv2.resize(page.pixels()[..., :3].astype(np.float32), expected.shape[1::-1],
                       interpolation=cv2.INTER_AREA)  # fmt: skip
    assert np.abs(shown - expected).mean() < 2
    low, high = (float(page.text(f".{end}")) for end in ("lowest", "highest"))
    mask = knee.branch_masks["att2"]
    assert (low, high) == pytest.approx((mask.min(), mask.max()), abs=0.006)


def test_films_stand_in_the_order_given(page, film, tmp_path):
    names = ["c.png", "a.png", "b.png"]
    for name in names:
        (tmp_path / name).write_bytes(film.read_bytes() if name != "a.png" else b"no image")
    page.choose(*(tmp_path / name for name in names))
    assert [name.text for name in page.all(".film .name")] == names


def test_the_large_view_has_window_and_level_for_mouse_and_keyboard(page, film):
    page.choose(film)
    page.click(".enlarge")
    plain, coloured = page.pixels(2), page.pixels(3)
    assert np.ptp(plain[..., :3], axis=2).max() == 0 < np.ptp(coloured[..., :3], axis=2).max()
    pair = page.driver.find_element(By.CSS_SELECTOR, ".pair")
    ActionChains(page.driver).click_and_hold(pair).move_by_offset(-155, 40).release().perform()
    window, level = (float(page.text(f".{name}-shown")) for name in ("window", "level"))
    assert (window, level) == pytest.approx((100, 148), abs=1)
    expected = np.clip(255 * ((plain[..., 0] - level) / window + 0.5), 0, 255)
    assert np.abs(page.pixels(2)[..., 0] - expected).mean() < 3
    assert np.abs(page.pixels(3) - coloured).max() > 30
    page.driver.find_element(By.CSS_SELECTOR, "#large .window").send_keys(Keys.ARROW_RIGHT)
    assert float(page.text(".window-shown")) == window + 1
    page.click(".reset")
    np.testing.assert_array_equal(page.pixels(2), plain)
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()
    assert not page.all("#large[open]") and page.driver.get_log("browser") == []


def test_zoom_keeps_the_middle_in_sight(page, film):
    page.choose(film)
    zoom = page.driver.find_element(By.CSS_SELECTOR, ".zoom")
    zoom.send_keys(Keys.END)
    assert page.text(".zoom-shown") == "4×"
    wide, high, left, top, shown_wide, shown_high = page.driver.execute_script(
        "const view = document.querySelector('.viewport');"
        "return [view.scrollWidth, view.scrollHeight, view.scrollLeft, view.scrollTop,"
        "view.clientWidth, view.clientHeight]"
    )
    assert wide == pytest.approx(4 * shown_wide, rel=0.05)
    assert left + shown_wide / 2 == pytest.approx(wide / 2, rel=0.05)
    assert top + shown_high / 2 == pytest.approx(high / 2, rel=0.05)


def test_a_box_is_drawn_where_the_answer_names_one(page, film):
    """The page draws the localiser's boxes in pixels of the knee's picture."""
    page.driver.execute_script(
        "const ask = window.fetch; window.fetch = async (...asked) => {"
        "const answer = await ask(...asked); if (!String(asked[0]).includes('as=view')) "
        "return answer; const rows = await answer.json();"
        "for (const row of rows) row.box_in_picture = [20, 30, 40, 25];"
        "return new Response(JSON.stringify(rows)); }"
    )
    page.choose(film)
    boxed = page.pixels()
    page.click(".box")
    changed = np.abs(boxed - page.pixels()).max(axis=2) > 40
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    scale = boxed.shape[0] / 96
    found = (columns[0], rows[0], columns[-1], rows[-1])
    assert np.allclose(np.array(found) / scale, (20, 30, 60, 55), atol=1)


def test_what_cannot_be_graded_is_said_beside_what_can(page, film, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    cv2.imwrite(str(tmp_path / "negative.png"), 255 - cv2.imread(str(film)))
    page.choose(tmp_path / "bad.png", tmp_path / "negative.png")
    assert page.text(".refused") == "bad.png\nNot graded: not an image, or a damaged one."
    assert "photographic negative; it was inverted" in page.text(".film:not(.refused) .remark")
    said = page.text("#status")
    assert "bad.png was not graded" in said and "negative.png: right knee KL" in said
    assert page.driver.find_element(By.ID, "status").aria_role == "status"


def test_clear_ends_what_waits(page, film, tmp_path):
    films = [tmp_path / f"{number}.png" for number in range(6)]
    for path in films:
        path.write_bytes(film.read_bytes())
    page.driver.find_element(By.ID, "files").send_keys("\n".join(map(str, films)))
    page.until(lambda: page.all(".film"))
    page.click("#clear")
    time.sleep(1.5)  # longer than grading the current film takes
    assert page.all(".film") == [] and page.text("#status") == "Cleared."
    page.choose(film)
    assert len(page.all(".film")) == 1 and "film.png: right knee KL" in page.text("#status")


def test_films_wait_for_a_server_that_does_not_answer(page, film):
    page.driver.execute_script(
        "const whole = fetch; window.down = true; window.fetch = (address, ...more) =>"
        " address === '/health' && window.down ? Promise.reject() : whole(address, ...more)"
    )
    page.driver.find_element(By.ID, "files").send_keys(str(film))
    page.until(lambda: page.text("#status") == "The server does not answer; 1 waiting.")
    page.driver.execute_script("window.down = false")
    page.until(lambda: "right knee KL" in page.text("#status"))
    assert len(page.all(".film")) == 1


def test_the_films_of_a_dropped_folder_are_graded(page, film, tmp_path):
    for name in ("1/a.png", "2/a.png", ".hidden"):
        (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / name).write_bytes(film.read_bytes())
    page.drop(tmp_path / "films")
    page.until(lambda: len(page.all(".film")) == 2)
    names = [name.text for name in page.all(".film .name")]
    assert names == ["films/1/a.png", "films/2/a.png"]


def test_a_name_is_text_and_no_markup(page, film, tmp_path):
    name = "<img src=x onerror=alert(1)>.png"
    (tmp_path / name).write_bytes(film.read_bytes())
    page.choose(tmp_path / name)
    assert page.text(".film .name") == name and not page.all(".film img")


def test_the_table_holds_what_grade_would_write(page, film, model, tmp_path, monkeypatch):
    """Names that a spreadsheet would run as formulas are escaped."""
    monkeypatch.chdir(tmp_path)
    files = ["film.png", "bad, film.png", '=HYPERLINK("x").png', "'＋1.png"]
    for name in files:
        Path(name).write_bytes(b"no image" if name.startswith("bad") else film.read_bytes())
    page.choose(*(tmp_path / name for name in files))
    page.click("#table")
    table = page.downloaded("grades.csv").read_text(encoding="utf-8")
    found = list(csv.DictReader(io.StringIO(table)))
    main(["grade", *files, "--model", str(model), "--csv", "grade.csv"])
    with open("grade.csv", newline="", encoding="utf-8") as file:
        expected = list(csv.DictReader(file))
    assert list(found[0]) == list(expected[0]) and len(found) == len(expected)
    for row, same in zip(found, expected, strict=True):
        for column in row:
            if re.fullmatch(r"-?[\d.]+(e-\d+)?", same[column]):  # JavaScript writes 1 for 1.0
                assert float(row[column]) == pytest.approx(float(same[column]), abs=1e-6)
            else:
                assert row[column] == same[column]


def test_a_picture_is_that_of_grade_and_no_radiograph(page, film):
    page.choose(film)
    page.click(".downloads .png")
    picture = page.downloaded("film_graded.png")
    assert is_picture(picture) and cv2.imread(str(picture)).shape[0] == 2 * 560


def test_all_of_it_works_by_keyboard(page, film):
    """Tab reaches every control in order, and the focused control is marked."""
    page.choose(film)
    page.driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    reached = []
    for _ in range(21):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        reached.append(page.driver.execute_script(
            "const at = document.activeElement; return at.id || at.className || at.tagName"
        ))  # fmt: skip
    wanted = ["files", "table", "clear", "BUTTON", "branch", "opacity", "zoom", "png", "viewport",
              "enlarge"]
    places = [reached.index(name) for name in wanted]
    assert places == sorted(places), reached


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_window_and_can_be_read(page, film, width, scheme):
    """Nothing overflows the width, and every text has the contrast of WCAG 2.2 AA, 4.5 to 1."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.choose(film)
        inner, outer = page.driver.execute_script(
            "return [document.documentElement.scrollWidth, innerWidth]"
        )
        assert inner <= outer
        page.driver.execute_script("scrollTo(0, document.body.scrollHeight)")
        time.sleep(0.1)
        top, height = page.driver.execute_script(
            "const box = document.querySelector('.research').getBoundingClientRect();"
            "return [box.top, box.height]"
        )
        assert top == 0 and height > 10
        poor = page.driver.execute_script(CONTRAST)
        assert not poor
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


CONTRAST = """
const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = channels(colour).slice(0, 3).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if ((channels(colour)[3] ?? 1) > 0.5) return colour;
  }
  return "rgb(255, 255, 255)";
};
const own = (element) => [...element.childNodes]
  .filter((node) => node.nodeType === 3).map((node) => node.textContent.trim()).join("");
return [...document.body.querySelectorAll("*")]
  .filter((element) => own(element) && element.checkVisibility() && !element.disabled)
  .map((element) => {
    const [low, high] = [light(getComputedStyle(element).color), light(ground(element))].sort(
      (a, b) => a - b);
    return [own(element), (high + 0.05) / (low + 0.05)];
  })
  .filter(([, contrast]) => contrast < 4.5);
"""


def test_a_dicom_film_s_reports_can_be_saved_and_others_offer_none(page, film, tmp_path):
    pytest.importorskip("highdicom")
    pixels = cv2.imread(str(film), cv2.IMREAD_GRAYSCALE)
    path = write_dicom(tmp_path / "1.2.840.77", pixels.astype(np.uint16) * 16,
                       StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4")  # fmt: skip
    page.choose(film)
    assert not page.all(".downloads .dicom")
    page.choose(path)
    page.click(".downloads .dicom")
    with zipfile.ZipFile(page.downloaded("1.2.840.77_graded.zip")) as archive:
        assert sorted(archive.namelist()) == ["picture_sc.dcm", "report_sr.dcm"]
