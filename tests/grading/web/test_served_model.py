"""The model of a server: a missing one is refused, and reports name the loaded one."""

import io
import json
import zipfile
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom
from pydicom import dcmread
from servers import serving

from knee_attention.commands.cli import main


def test_no_address_is_printed_without_a_model(capsys, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    for name in ("model.onnx", "none.onnx", "none.h5"):
        with pytest.raises(SystemExit):
            main(["serve", str(tmp_path / name), "--port", "0", "--host", "0.0.0.0"])
        said = capsys.readouterr()
        assert said.out == "" and "warning" not in said.err


@pytest.mark.parametrize("command", [["serve"], ["node", "--send-to", "ARCHIVE@localhost:104"]])
def test_a_server_and_a_node_take_the_options_of_grade(command, model, tmp_path, capsys):
    """This model has no prediction sets, so the grader refuses to give any."""
    pytest.importorskip("highdicom")
    pytest.importorskip("pynetdicom")
    queue = ["--queue", str(tmp_path / "node")] if "node" in command else []
    with pytest.raises(SystemExit) as ended:
        main([*command, str(model), "--port", "11119", *queue, "--coverage", "0.8"])
    assert ended.value.code == 2 and "has no prediction sets" in capsys.readouterr().err


def test_a_server_grades_by_the_rule_that_is_asked_for(model):
    with serving(model, "--port", 0, "--decide", "median") as (_, address):
        served = json.load(urlopen(f"http://{address}/model", timeout=30))
    assert served["decide"] == "median" and served["coverage"] is None


def test_reports_name_the_model_that_was_loaded(model, film, tmp_path, capsys):
    """Also after another file has replaced it."""
    pytest.importorskip("highdicom")
    pixels = cv2.imread(str(film), cv2.IMREAD_GRAYSCALE)
    path = write_dicom(tmp_path / "film.dcm", pixels.astype(np.uint16) * 16,
                       StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4")  # fmt: skip
    main(["grade", str(path), "--model", str(model), "--dicom", str(tmp_path / "out")])
    copy = tmp_path / "model.onnx"
    copy.write_bytes(model.read_bytes())
    with serving(copy, "--port", 0) as (_, address):
        (tmp_path / "other.onnx").write_bytes(b"another model")
        (tmp_path / "other.onnx").replace(copy)
        request = Request(f"http://{address}/grade?as=dicom", path.read_bytes())
        content = urlopen(request, timeout=60).read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        report = dcmread(io.BytesIO(archive.read("report_sr.dcm")))
    assert report.SOPInstanceUID == dcmread(tmp_path / "out" / "film_sr.dcm").SOPInstanceUID
