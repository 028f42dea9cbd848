from collections import Counter

import pandas as pd
import pytest
from stand_ins import read_rows, summary_counts

from knee_attention.data_prep.grade_tables import read_table, readings_of
from knee_attention.data_prep.grades import choose_grades
from knee_attention.errors import InputError

OAI = """ID|SIDE|READPRJ|VERSION|V00BARCDBU|V00XRKL
9000001|1: Right|42|0.6|016600000001|4
9000001|1: Right|15|0.6|016600000001|2
9000001|1: Right|37|0.6|016600000001|2
9000001|2: Left|15|0.6|016600000001|.: Missing Form/Incomplete Workbook
9000001|2: Left|42|0.6|016600000001|3
9000001|2: Left|37|0.6|016600000001|1
9000002|1|15|0.6|016600000002|P
9000002|2|15|0.6|016600000002|.T
9000003|2|99|0.6|016600000003|1
9000003|1|15|0.6||0: Normal
9000004|1|15|0.6|016600000004|
9000004||15|0.6|016600000004|1
"""


def grades(rows):
    return Counter(row["kl"] for row in rows)


def test_the_oai_sample(tmp_path, run, real_data):
    folder = real_data / "oai_format"
    code, printed = run("make_labels", folder / "kxr_sq_bu00.txt", tmp_path / "labels.csv")
    assert code == 0
    assert summary_counts(printed) == (437, 294, 143)
    labels = read_rows(tmp_path / "labels.csv")
    assert grades(labels) == {"0": 122, "1": 57, "2": 71, "3": 39, "4": 5}
    assert len({row["subject"] for row in labels}) == 150
    assert Counter(row["reason"] for row in read_rows(tmp_path / "excluded.csv")) == {
        "a further reading, the same grade": 135,
        "a further reading, another grade": 2,
        "no grade: .: Missing Form/Incomplete Workbook": 6,
    }
    assert "disagree: 2" in printed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_names_are_read_in_every_encoding_that_tables_come_in(tmp_path, encoding):
    (tmp_path / "t.csv").write_text("id,side,kl\nMüller,R,3\n", encoding=encoding)
    assert read_table(tmp_path / "t.csv") == [{"ID": "Müller", "SIDE": "R", "KL": "3"}]


def test_the_account_of_another_step_is_not_written_over(tmp_path, run):
    (tmp_path / "t.csv").write_text("id,side,kl\nA,R,3\n")
    (tmp_path / "knees").mkdir()
    (tmp_path / "knees" / ".journal.jsonl").touch()
    code, printed = run("make_labels", tmp_path / "t.csv", tmp_path / "knees" / "labels.csv")
    assert code == 2 and "the excluded.csv of another step would be overwritten" in printed


def test_the_most_sample(tmp_path, run, real_data):
    folder = real_data / "oai_format"
    code, printed = run("make_labels", folder / "MOSTV01235XRAY.txt", tmp_path / "labels.csv")
    assert code == 0
    assert summary_counts(printed) == (32, 23, 9)
    labels = read_rows(tmp_path / "labels.csv")
    assert grades(labels) == {"0": 5, "1": 3, "2": 7, "3": 2, "4": 6}
    assert Counter(row["reason"] for row in read_rows(tmp_path / "excluded.csv")) == {
        "no grade: blank": 5,
        "no grade: 9": 2,
        "no grade: 8": 1,
        "no grade: 1.9": 1,
    }
    run("make_labels", folder / "MOSTV01235XRAY.txt", tmp_path / "labels.csv", "--visit", "V0")
    assert {row["visit"] for row in read_rows(tmp_path / "labels.csv")} == {"V0"}


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_projects_sides_codes_and_the_case_of_columns(tmp_path, run, case):
    header, *lines = OAI.splitlines()
    (tmp_path / "oai.txt").write_text("\n".join([case(header), *lines]), encoding="utf-8")
    code, printed = run("make_labels", tmp_path / "oai.txt", tmp_path / "labels.csv")
    assert code == 0
    assert summary_counts(printed) == (12, 3, 9)
    rows = read_rows(tmp_path / "labels.csv")
    assert [(row["id"], row["side"], row["kl"], row["project"]) for row in rows] == [
        ("9000001_016600000001", "L", "1", "37"),
        ("9000001_016600000001", "R", "2", "15"),
        ("9000003_V00", "R", "0", "15"),
    ]
    excluded = Counter(row["reason"] for row in read_rows(tmp_path / "excluded.csv"))
    assert excluded == {
        "a further reading, another grade": 2,
        "a further reading, the same grade": 1,
        "no grade: .: Missing Form/Incomplete Workbook": 1,
        "no grade: special code P (prosthesis)": 1,
        "no grade: special code T (technical)": 1,
        "reading project 99, which is not one of 15, 37, 42": 1,
        "no grade: blank": 1,
        "no side": 1,
    }
    assert "disagree: 2" in printed

    # The labels are a plain table, which make_dataset.py reads with the same functions.
    again = choose_grades(readings_of(read_table(tmp_path / "labels.csv")))
    assert [{name: str(value) for name, value in row.items()} for row in again.labels] == rows
    assert not again.excluded


def test_most_codes(tmp_path, run):
    codes = ["1.9", "8", "9", "P", "S", "X", "Z", ""]
    lines = ["mostid\tv0xrkl\tv0xlkl"]
    lines += [f"MB{index:05d}\t{code}\t3" for index, code in enumerate(codes)]
    (tmp_path / "most.txt").write_text("\n".join(lines), encoding="utf-8")
    code, printed = run("make_labels", tmp_path / "most.txt", tmp_path / "labels.csv")
    assert code == 0 and summary_counts(printed) == (16, 8, 8)
    assert {row["side"] for row in read_rows(tmp_path / "labels.csv")} == {"L"}


@pytest.mark.parametrize(("first", "visits"), [("9", "V0;V5"), ("1", "V0;V5"), ("", "V5")])
def test_a_label_says_which_visits_of_its_subject_were_read(tmp_path, run, first, visits):
    """A blank grade is not a reading: the person did not come to the visit."""
    (tmp_path / "most.txt").write_text(f"MOSTID\tV0XRKL\tV5XRKL\nMB00001\t{first}\t3\n")
    run("make_labels", tmp_path / "most.txt", tmp_path / "labels.csv")
    run("make_labels", tmp_path / "labels.csv", tmp_path / "again.csv")
    for table in ("labels.csv", "again.csv"):
        labels = {row["visit"]: row for row in read_rows(tmp_path / table)}
        assert labels["V5"]["visits"] == visits


def test_one_film_is_of_one_visit(tmp_path, run):
    lines = ["id,side,visit,kl", "M,R,V0,X", "M,R,V5,3", "N,R,V5,2"]
    (tmp_path / "plain.csv").write_text("\n".join(lines))
    code, printed = run("make_labels", tmp_path / "plain.csv", tmp_path / "labels.csv")
    assert code == 0 and summary_counts(printed) == (3, 1, 2)
    assert [row["id"] for row in read_rows(tmp_path / "labels.csv")] == ["N"]
    assert "one id for several visits" in printed


@pytest.mark.parametrize("versions", [("0.5", "0.6"), ("0.6", "0.5"), ("9", "10"), ("", "0.1")])
def test_the_latest_version_of_a_reading_counts(tmp_path, run, versions):
    lines = ["ID|SIDE|READPRJ|VERSION|V00BARCDBU|V00XRKL"]
    lines += [f"9000001|1|15|{version}|016600000001|{kl}" for version, kl in zip(
        versions, (1, 4), strict=True)]
    (tmp_path / "oai.txt").write_text("\n".join(lines))
    code, printed = run("make_labels", tmp_path / "oai.txt", tmp_path / "labels.csv")
    latest = max((0, 1), key=lambda index: float(versions[index] or 0))
    assert code == 0 and summary_counts(printed) == (2, 1, 1)
    assert [row["kl"] for row in read_rows(tmp_path / "labels.csv")] == [("1", "4")[latest]]


def test_sas_tables_are_read_as_pandas_gives_them(tmp_path, run, monkeypatch):
    table = pd.DataFrame(
        {
            "ID": ["9000001", "9000001", "9000002"],
            "SIDE": [1.0, 2.0, 1.0],
            "READPRJ": ["15", "15", "37"],
            "V00BARCDBU": ["016600000001", "016600000001", "016600000002"],
            "V00XRKL": [3.0, float("nan"), 0.0],
        }
    )
    monkeypatch.setattr(pd, "read_sas", lambda path, encoding: table)
    code, printed = run("make_labels", tmp_path / "kxr.sas7bdat", tmp_path / "labels.csv")
    assert code == 0 and summary_counts(printed) == (3, 2, 1)
    assert grades(read_rows(tmp_path / "labels.csv")) == {"3": 1, "0": 1}


def test_plain_tables(tmp_path, run):
    lines = ["Id;Side;KL", "a;R;2", "a;left;9", "b;L;abc", "b;R;1", "b;R;3", "c;R;0", "c;R;0"]
    (tmp_path / "plain.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    code, printed = run("make_labels", tmp_path / "plain.csv", tmp_path / "labels.csv")
    assert code == 0 and summary_counts(printed) == (7, 2, 5)
    assert "1  no grade: 9" in printed and "1  no grade: abc" in printed
    assert "2  two different grades for one knee" in printed


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is not a table"),
        ("a,b\n1,2\n", "expected the columns"),
        ("id,side,kl\na,R,9\n", "none of"),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path, run, content, sentence):
    (tmp_path / "table.csv").write_text(content)
    code, printed = run("make_labels", tmp_path / "table.csv", tmp_path / "labels.csv")
    assert code == 2 and sentence in printed and printed.count("\n") == 1
    code, printed = run("make_labels", tmp_path / "missing.csv", tmp_path / "labels.csv")
    assert code == 2 and "cannot be read" in printed and printed.count("\n") == 1


def test_readings_of_which_none_can_be_used_are_listed_with_their_reasons(tmp_path, run):
    (tmp_path / "table.csv").write_text("id,side,kl\nA,Rechts,2\nB,Links,3\n")
    code, printed = run("make_labels", tmp_path / "table.csv", tmp_path / "labels.csv")
    excluded = tmp_path / "excluded.csv"
    assert code == 2
    assert f"none of the readings can be used; the reasons are in {excluded}" in printed
    assert [row["reason"] for row in read_rows(excluded)] == ["no side"] * 2
    assert not (tmp_path / "labels.csv").exists()


@pytest.mark.parametrize("blank", ["\n", "  \n\n"])
def test_blank_lines_before_the_header_are_skipped(tmp_path, blank):
    (tmp_path / "t.txt").write_text(blank + "id;side;kl\nA, B;R;3\n")
    assert read_table(tmp_path / "t.txt") == [{"ID": "A, B", "SIDE": "R", "KL": "3"}]


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("id,side,kl,KL\nA,R,3,4\n")
    with pytest.raises(InputError, match="t.csv: two columns are called KL"):
        read_table(tmp_path / "t.csv")


def test_a_table_whose_output_was_forgotten_stays_as_it_is(tmp_path, run):
    (tmp_path / "V00.csv").write_text("ID,SIDE,READPRJ,V00XRKL\n1,1,15,2\n", encoding="utf-8")
    (tmp_path / "V01.csv").write_text("ID,SIDE,READPRJ,V01XRKL\n1,1,15,3\n", encoding="utf-8")
    for name in ("V00", "V01"):
        run("make_labels", tmp_path / f"{name}.csv", tmp_path / f"labels_{name}.csv")
    for prefix in ("", "labels_"):
        first, second = tmp_path / f"{prefix}V00.csv", tmp_path / f"{prefix}V01.csv"
        before = second.read_bytes()
        code, printed = run("make_labels", first, second)
        assert code == 2 and f"{second}: the file exists and was not made from"  in printed
        assert second.read_bytes() == before
    code, printed = run("make_labels", first, tmp_path / "V00.csv", first)
    assert code == 2 and f"{first}: this input file would be overwritten" in printed


def test_readings_of_other_visits_than_the_one_asked_for_are_listed(tmp_path, run):
    table = tmp_path / "grades.csv"
    table.write_text("id,side,visit,subject,kl\nA,R,V0,P,2\nB,R,V5,P,3\nC,R,V5,Q,1\n")
    code, printed = run("make_labels", table, tmp_path / "labels.csv", "--visit", "V0")
    assert code == 0 and summary_counts(printed) == (3, 1, 2)
    [label] = read_rows(tmp_path / "labels.csv")
    assert (label["id"], label["visits"]) == ("A", "V0")
    reasons = [row["reason"] for row in read_rows(tmp_path / "excluded.csv")]
    assert reasons == ["another visit than V0"] * 2
    code, printed = run("make_labels", table, tmp_path / "labels.csv", "--visit", "v0")
    assert code == 2 and "no reading has the visit v0; the tables have V0, V5" in printed
