import os
import struct
import zlib
from collections import Counter

import cv2
import numpy as np
import pytest
from stand_ins import read_rows, summary_counts, write_films

from knee_attention.films.image_files import read_image
from knee_attention.films.legs import split_knees
from knee_attention.films.radiograph import prepare_knee
from knee_attention.phantoms.film import phantom_film


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films"
    write_films(folder, 3)
    return folder


def test_knees_are_the_cut_film_prepared(films, tmp_path, run):
    out, sheet = tmp_path / "knees", tmp_path / "sheet.png"
    code, printed = run("split_knees", films, out, "--contact-sheet", sheet)
    assert code == 0 and summary_counts(printed) == (3, 3, 0)
    film = read_image(films / "S001.png")
    for side, half in split_knees(film, "auto").items():
        np.testing.assert_array_equal(read_image(out / f"S001_{side}.png"), prepare_knee(half))
    rows = read_rows(out / "knees.csv")
    assert [(row["id"], row["side"]) for row in rows[:2]] == [("S000", "R"), ("S000", "L")]
    assert read_image(sheet).shape[1] > 3 * 200


def test_a_file_beside_a_film_with_its_name_is_no_second_film(films, tmp_path, run):
    for name in ("S000.txt", "S001.json"):
        (films / name).write_text("words")
    code, printed = run("split_knees", films, tmp_path / "knees")
    assert code == 0 and summary_counts(printed) == (5, 3, 2) and "the same id" not in printed


def test_options(films, tmp_path, run):
    out = tmp_path / "knees"
    options = "--split middle --size 64 96 --fit pad --equalize clahe --flip-left".split()
    assert run("split_knees", films, out, *options)[0] == 0
    halves = split_knees(read_image(films / "S000.png"))
    left = prepare_knee(halves["L"], (64, 96), "pad", "clahe")[:, ::-1]
    np.testing.assert_array_equal(read_image(out / "S000_L.png"), left)
    code, printed = run("split_knees", films, out)
    assert code == 2 and "made with other options (equalize, fit" in printed


def test_subjects_come_from_images_csv(films, tmp_path, run):
    (films / "images.csv").write_text("id,subject\nS001,P7\n", encoding="utf-8")
    code, printed = run("split_knees", films, tmp_path / "knees")
    assert code == 0 and summary_counts(printed) == (3, 3, 0)
    subjects = {row["id"]: row["subject"] for row in read_rows(tmp_path / "knees" / "knees.csv")}
    assert subjects == {"S000": "", "S001": "P7", "S002": ""}


def test_bad_files_are_named_and_nothing_else_is_lost(tmp_path, run):
    films = tmp_path / "Röntgen films"
    film = phantom_film((1, 4), 1, height=160).image
    write_films(films, 1)
    content = (films / "S000.png").read_bytes()
    (films / "truncated.png").write_bytes(content[: len(content) // 2])
    (films / "empty.png").write_bytes(b"")
    (films / "words.png").write_text("not a picture")
    (films / "notes.txt").write_text("words")
    cv2.imwrite(str(films / "narrow.png"), film[:, :10])
    cv2.imwrite(str(films / "blank.png"), np.full_like(film, 80))
    cv2.imwrite(str(films / "single.png"), split_knees(film, "auto")["R"])
    cv2.imwrite(str(films / "rgba.png"), cv2.cvtColor(film, cv2.COLOR_GRAY2BGRA))
    cv2.imwrite(str(films / "ä ß.png"), film.astype(np.uint16) * 257)
    cv2.imwrite(str(films / "bits.png"), film // 90 * 90, [cv2.IMWRITE_PNG_BILEVEL, 0])
    for folder in ("one", "two"):
        (films / folder).mkdir()
        cv2.imwrite(str(films / folder / "twin.png"), film)

    code, printed = run("split_knees", films, tmp_path / "Kniee ö")
    assert code == 0
    reasons = Counter(row["reason"] for row in read_rows(tmp_path / "Kniee ö" / "excluded.csv"))
    assert reasons == {
        "the image is truncated": 1,
        "the file is empty": 1,
        "not an image, or a damaged one": 1,
        "not an image file (.txt)": 1,
        f"too small for a film: 10x{len(film)} pixels": 1,
        "the image is blank": 1,
        "the film shows a single knee or none": 1,
        "another film has the same id": 2,
    }
    assert summary_counts(printed) == (13, 4, 9)
    right = [read_image(tmp_path / "Kniee ö" / f"{name}_R.png") for name in ("rgba", "ä ß")]
    np.testing.assert_array_equal(*right)


def test_palette_and_one_bit_images_are_read(tmp_path, run):
    image = pytest.importorskip("PIL.Image")
    film = image.fromarray(phantom_film((2, 2), 2, height=160).image)
    (tmp_path / "films").mkdir()
    film.convert("P").save(tmp_path / "films" / "palette.png")
    film.point(lambda value: 255 * (value > 90)).convert("1").save(tmp_path / "films" / "bit.png")
    code, printed = run("split_knees", tmp_path / "films", tmp_path / "knees")
    assert code == 0 and summary_counts(printed) == (2, 2, 0)


def test_finished_films_are_left_alone_and_changed_ones_done_again(films, tmp_path, run):
    out = tmp_path / "knees"
    (films / "words.png").write_text("not a picture")
    run("split_knees", films, out)
    old = (out / "S000_R.png").stat().st_mtime_ns
    (out / "S001_L.png").unlink()
    (out / ".123.S002_R.png").write_bytes(b"half of it")
    with (out / ".journal.jsonl").open("a") as journal:
        journal.write('{"source": "/half a li')
    film = phantom_film((1, 4), 1, height=160).image
    cv2.imwrite(str(films / "words.png"), film)
    code, printed = run("split_knees", films, out)
    assert code == 0 and summary_counts(printed) == (4, 4, 0)
    assert "2 of them by an earlier run" in printed
    assert (out / "S000_R.png").stat().st_mtime_ns == old
    assert (out / "S001_L.png").exists() and (out / "words_R.png").exists()
    assert not list(out.glob(".123*"))
    assert "4 of them" in run("split_knees", films, out)[1]


def test_knees_may_lie_among_the_films(films, run):
    for _ in range(2):
        code, printed = run("split_knees", films, films / "knees")
        assert code == 0 and summary_counts(printed) == (3, 3, 0)


def test_what_an_earlier_run_wrote_among_the_films_is_no_film(films, tmp_path, run):
    run("split_knees", films, films / "knees")
    code, printed = run("split_knees", films, tmp_path / "middle", "--split", "middle")
    assert code == 0 and summary_counts(printed) == (3, 3, 0)


def test_films_that_an_earlier_step_wrote_to_a_folder_are_films(films, tmp_path, run):
    """Each folder is one visit, as dicom_to_png.py writes it."""
    (films / "V06").mkdir()
    (films / "V06" / ".journal.jsonl").write_text('{"options": {"bits": 16}}')
    (films / "S001.png").rename(films / "V06" / "S001.png")
    code, printed = run("split_knees", films, tmp_path / "knees")
    assert code == 0 and summary_counts(printed) == (3, 3, 0)


def test_a_folder_with_images_of_its_own_is_not_written_to(films, tmp_path, run):
    own = tmp_path / "own" / "S000_R.png"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    code, printed = run("split_knees", films, own.parent)
    assert code == 2 and "no earlier run wrote, such as S000_R.png" in printed.splitlines()[-1]
    assert [path.name for path in own.parent.iterdir()] == [own.name]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_contact_sheet_among_the_films_is_no_film(films, tmp_path, run, suffix):
    sheet = films / f"cuts{suffix}"
    run("split_knees", films, tmp_path / "knees", "--contact-sheet", sheet)
    code, printed = run("split_knees", films, tmp_path / "again")
    assert code == 0 and summary_counts(printed) == (4, 3, 1)
    assert "1  a picture that knee_attention drew, not a radiograph" in printed


def test_a_contact_sheet_replaces_neither_film_nor_knee(films, tmp_path, run):
    out = tmp_path / "knees"
    run("split_knees", films, out)
    for place in (films / "S000.png", out / "S001_L.png"):
        before = place.read_bytes()
        code, printed = run("split_knees", films, out, "--contact-sheet", place)
        assert code == 2 and "would be overwritten" in printed.splitlines()[-1]
        assert place.read_bytes() == before


def test_bad_usage_is_one_sentence(films, tmp_path, run):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("words")
    code, printed = run("split_knees", tmp_path / "texts", tmp_path / "knees")
    assert code == 2 and "no film could be cut" in printed.splitlines()[-1]
    (tmp_path / "file").write_text("words")
    for arguments, sentence in (
        ((tmp_path / "nowhere", tmp_path / "out"), "is not a folder"),
        ((films, tmp_path / "file"), "cannot be written"),
        ((films, tmp_path / "out", "--size", 2, 2), "--size must be"),
        ((films, tmp_path / "out", "--size", 64, 5000), "--size must be 16 to 4096 pixels"),
        ((films, films), "is both input and output"),
        ((films, tmp_path / "out", "--contact-sheet", "sheet.pdf"), "must be a .png"),
    ):
        code, printed = run("split_knees", *arguments)
        assert code == 2 and sentence in printed and printed.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_is_one_sentence(films, tmp_path, run):
    (tmp_path / "locked").mkdir(mode=0o500)
    code, printed = run("split_knees", films, tmp_path / "locked")
    assert code == 2 and "cannot be written" in printed and printed.count("\n") == 1


def test_negatives_are_turned_counted_and_listed(films, tmp_path, run):
    positive = read_image(films / "S001.png")
    cv2.imwrite(os.fspath(films / "S001.png"), ~positive)
    code, printed = run("split_knees", films, tmp_path / "knees")
    assert code == 0 and "photographic negatives inverted: 1" in printed
    inverted = {row["id"]: row["inverted"] for row in read_rows(tmp_path / "knees" / "knees.csv")}
    assert inverted == {"S000": "", "S001": "yes", "S002": ""}
    right = split_knees(positive, "auto")["R"]
    np.testing.assert_array_equal(
        read_image(tmp_path / "knees" / "S001_R.png"), prepare_knee(right)
    )
    code, printed = run("split_knees", films, tmp_path / "as-is", "--polarity", "as-is")
    assert code == 0 and "negatives inverted" not in printed


def test_a_film_whose_name_is_no_text_is_drawn_too(films, tmp_path, run):
    odd = tmp_path / "odd" / os.fsdecode(b"M\xfcller.png")
    odd.parent.mkdir()
    odd.write_bytes(next(films.glob("*.png")).read_bytes())
    code, printed = run("split_knees", odd.parent, tmp_path / "out", "--contact-sheet",
                        tmp_path / "sheet.png")
    assert code == 0 and (tmp_path / "sheet.png").stat().st_size > 1000, printed


def test_knees_are_cut_from_square_pixels_and_the_table_says_so(tmp_path, run):
    square, wide = tmp_path / "square", tmp_path / "wide"
    write_films(square, 1)
    film = read_image(square / "S000.png")
    content = cv2.imencode(".png", cv2.resize(film, None, fx=0.5, fy=1))[1].tobytes()
    data = b"pHYs" + struct.pack(">IIB", 100, 200, 0)
    chunk = struct.pack(">I", 9) + data + struct.pack(">I", zlib.crc32(data))
    wide.mkdir()
    (wide / "S000.png").write_bytes(content[:33] + chunk + content[33:])
    knees, aspects = [], []
    for folder in (square, wide):
        out = tmp_path / f"knees of {folder.name}"
        run("split_knees", folder, out, "--fit", "pad", "--equalize", "none")
        knees.append(read_image(out / "S000_R.png"))
        aspects.append([row["pixel_aspect"] for row in read_rows(out / "knees.csv")])
    assert np.corrcoef(knees[0].ravel(), knees[1].ravel())[0, 1] > 0.98
    assert aspects == [["", ""], ["0.5", "0.5"]]
