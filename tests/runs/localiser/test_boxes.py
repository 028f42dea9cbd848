"""Tables of joint boxes in the project's own and in the public layout."""

import pytest

from knee_attention.errors import InputError
from knee_attention.runs.localiser.boxes import person_of, read_joint_boxes

HEADER = "file,side,x1,y1,x2,y2\n"


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films"
    (folder / "deeper").mkdir(parents=True)
    (folder / "9000099.jpg").touch()
    (folder / "deeper" / "0.C.2_9000296_20040729_00175004_001.png").touch()
    return folder


@pytest.fixture
def read(films, tmp_path):
    def read(text, kind="joint"):
        table = tmp_path / "boxes.csv"
        table.write_text(text)
        found = read_joint_boxes(table, films, kind)
        for film in found:
            film.in_pixels((100, 200))
        return found

    return read


def test_our_table(read, films):
    [film] = read(HEADER + "9000099.jpg,R,10,20,60,80\n9000099.jpg,l,100,20,150.5,80\n\n")
    assert film.path == films / "9000099.jpg" and film.split is None and not film.unsure
    assert film.sides == ["R", "L"]
    assert film.in_pixels((100, 200)) == [(10, 20, 50, 60), (100, 20, 50.5, 60)]


def test_a_square_crop_is_smaller_than_its_joint_box(read):
    [film] = read(HEADER + "9000099.jpg,R,54,4,146,96\n", kind="square")
    assert film.in_pixels((100, 200)) == [pytest.approx((50, 0, 100, 100))]


def test_splits_remarks_and_unknown_sides_are_read(read):
    table = "file,split,side,x1,y1,x2,y2,remark\n"
    name = "deeper/0.C.2_9000296_20040729_00175004_001.png"
    one, other = read(table + "9000099.jpg,train,,10,20,60,80,\n9000099.jpg,train,,90,20,140,80,"
                      f"unsure\n{name},validation,R,10,20,60,80,cast\n")
    assert (one.split, one.sides, one.unsure) == ("train", [None, None], True)
    assert (other.split, other.sides, other.unsure) == ("validation", ["R"], False)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("9000099.jpg,dev,R,1,1,9,9\n", "line 2: expected train, validation, test or nothing"),
        ("9000099.jpg,train,R,1,1,9,9\n9000099.jpg,test,L,1,1,9,9\n", "line 3: .* two splits"),
        ("9000099.jpg,train,R,1,1,9,9\n{other},,R,1,1,9,9\n", "only some films have a split"),
    ],
)
def test_splits_that_contradict_are_refused(read, rows, said):
    other = "deeper/0.C.2_9000296_20040729_00175004_001.png"
    with pytest.raises(InputError, match=said):
        read("file,split,side,x1,y1,x2,y2\n" + rows.format(other=other))


def test_the_public_table_has_parts_of_the_film_and_the_left_knee_first(read, films):
    row = "{number},/train/{name}.h5,0.5,0.2,0.75,0.8,0.1,0.2,0.35,0.8\n"
    here = row.format(number=0, name="0.C.2_9000296_20040729_00175004_001")
    elsewhere = row.format(number=1, name="0.C.2_9999999_20040729_00175004_001")
    header = ",path,x1,y1,x2,y2,x1.1,y1.1,x2.1,y2.1\n"
    for kind in ("joint", "square"):  # the public layout ignores `kind`
        [film] = read(header + here + elsewhere, kind)
        assert film.path.name.startswith("0.C.2_9000296") and film.sides == ["L", "R"]
        left, right = film.in_pixels((100, 200))
        assert left == pytest.approx((100, 20, 50, 60))
        assert right == pytest.approx((20, 20, 50, 60))
    [by_person] = read(row.format(number=0, name="0.C.2_9000099_20040729_00175004_001"))
    assert by_person.path == films / "9000099.jpg"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("nowhere.jpg,R,1,1,9,9\n", "line 2: no film 'nowhere.jpg'"),
        ("9000099.jpg,X,1,1,9,9\n", "line 2: expected R, L or nothing as side"),
        ("9000099.jpg,R,1,1,9,9\n9000099.jpg,R,2,2,8,8\n", "line 3: a second box for side R"),
        ("\n\n9000099.jpg,X,1,1,9,9\n", "line 4: expected R, L or nothing as side"),
        ("9000099.jpg,R,1,1,1,9\n", "a box without area"),
        ("9000099.jpg,R,9,9,1,1\n", "a box without area"),
        ("9000099.jpg,R,190,1,230,9\n", "its centre outside 9000099.jpg, which has 200x100 pix"),
        ("9000099.jpg,R,1,-30,9,9\n", "its centre outside"),
        ("9000099.jpg,R,1,1,nan,9\n", "expected 4 numbers"),
        ("9000099.jpg,R,1,1\n", "expected 4 numbers"),
        ("", "none of its films"),
    ],
)
def test_bad_rows_are_named(read, rows, said):
    with pytest.raises(InputError, match=said):
        read(HEADER + rows)


def test_a_row_that_ends_before_its_file_is_named(read):
    with pytest.raises(InputError, match="line 2: no film ''"):
        read("side,x1,y1,x2,y2,file\nR,1,2\n")


def test_what_is_no_such_table_is_refused(read, films, tmp_path):
    with pytest.raises(InputError, match="expected the columns file, side"):
        read("a,b\n1,2\n")
    with pytest.raises(InputError, match="expected the columns"):
        read("")
    with pytest.raises(InputError, match="No such file"):
        read_joint_boxes(tmp_path / "no.csv", films)


def test_persons():
    assert person_of("0.C.2_9000296_20040729_00175004_001") == "9000296"
    assert person_of("a film") == "a film"
