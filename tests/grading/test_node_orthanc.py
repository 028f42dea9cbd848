"""The whole path with a real archive: film to Orthanc, to the node, and reports back."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")
pytest.importorskip("onnx")
from processes import free_port, heeding_signals  # noqa: E402
from pydicom import dcmread  # noqa: E402
from study_films import send, study_film, until  # noqa: E402

from knee_attention.networks.files.model_files import read_description, save_model
from knee_attention.networks.files.onnx_export import export_onnx  # noqa: E402
from knee_attention.networks.model import build_model  # noqa: E402

pytestmark = pytest.mark.skipif(
    not shutil.which("Orthanc"), reason="Orthanc (Debian orthanc) is not installed"
)


class Orthanc:
    """An Orthanc archive on the loopback address, with all its data in one folder."""

    def __init__(self, folder: Path, node_port: int):
        self.port, self._web = free_port(), free_port()
        folder.mkdir()
        self._settings = folder / "orthanc.json"
        self._settings.write_text(json.dumps({
            "DicomAet": "ORTHANC", "DicomPort": self.port, "HttpPort": self._web,
            "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "AuthenticationEnabled": False, "Plugins": [], "StorageAccessOnFind": "Always",
            "DicomModalities": {"node": ["KNEEATT", "127.0.0.1", node_port]},
        }))  # fmt: skip

    def start(self):
        with heeding_signals():
            self._process = subprocess.Popen(
                ["Orthanc", self._settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        until(self._answers)

    def stop(self):
        self._process.terminate()
        self._process.wait(30)

    def _answers(self):
        try:
            return self.ask("system")
        except OSError:
            return False

    def ask(self, path: str, data: bytes | None = None):
        """The answer of Orthanc's REST interface to a GET, or to a POST if there are data."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._web}/{path}", data)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def stored(self, modality: str) -> list[dict]:
        """The tags of all instances of a modality."""
        found = self.ask("tools/find", json.dumps(
            {"Level": "Instance", "Query": {"Modality": modality}, "Expand": True}
        ).encode())  # fmt: skip
        return [one["MainDicomTags"] | {"ID": one["ID"]} for one in found]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    network = build_model("antony_clsf", ("att0",), "single", (96, 96))
    save_model(network, path.with_suffix(".h5"), {"name": "small"})
    export_onnx(network, path, read_description(path.with_suffix(".h5")))
    return path


class NodeProcess:
    """`knee-attention node` in a process of its own."""

    def __init__(self, model: Path, folder: Path):
        self.port, self.log = free_port(), folder / "log.txt"
        self._command = [sys.executable, "-m", "knee_attention", "node", str(model), "--port",
                         str(self.port), "--queue", str(folder / "queue"), "--send-to"]  # fmt: skip

    def start(self, archive: Orthanc):
        before = self._lines("listens on")
        with self.log.open("a") as log, heeding_signals():
            self._process = subprocess.Popen(
                [*self._command, f"ORTHANC@127.0.0.1:{archive.port}"], stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )  # fmt: skip
        until(lambda: self._lines("listens on") > before)

    def end(self, by: signal.Signals):
        self._process.send_signal(by)
        return self._process.wait(60)

    def _lines(self, words: str) -> int:
        return self.log.read_text().count(words) if self.log.exists() else 0


@pytest.fixture
def beside(tmp_path, model):
    """A node and an archive, each with the other's address."""
    node = NodeProcess(model, tmp_path)
    archive = Orthanc(tmp_path / "orthanc", node.port)
    archive.start()
    node.start(archive)
    yield node, archive
    node.end(signal.SIGKILL)
    archive.stop()


def test_a_film_in_the_archive_gets_report_and_picture_in_its_study(beside, tmp_path):
    node, archive = beside
    film = study_film(tmp_path / "film.dcm", 1)
    sent = archive.ask("instances", film.read_bytes())
    assert archive.ask("modalities/node/store", sent["ID"].encode())["FailedInstancesCount"] == 0
    until(lambda: archive.stored("SR") and archive.stored("OT"))
    [study] = archive.ask("studies")
    assert len(archive.ask(f"studies/{study}/series")) == 3
    assert len(archive.ask("patients")) == 1
    [report] = archive.stored("SR")
    tags = archive.ask(f"instances/{report['ID']}/simplified-tags")
    assert tags["StudyInstanceUID"] == dcmread(film).StudyInstanceUID
    assert tags["PatientName"] == "Doe^Jane"
    # The archive may send whole studies to the node, which skips the reports in them.
    answer = archive.ask("modalities/node/store", study.encode())
    assert answer["FailedInstancesCount"] == 0
    until(lambda: node.log.read_text().count("KL") == 4)
    assert len(archive.ask("instances")) == 3
    assert node.end(signal.SIGINT) == 130
    said = node.log.read_text()
    assert "Doe" not in said and "Traceback" not in said and "Research use only" in said


def test_an_archive_that_was_stopped_gets_what_waited(beside, tmp_path):
    node, archive = beside
    archive.stop()
    films = [study_film(tmp_path / f"{n}.dcm", n) for n in range(3)]
    assert send(node.port, *films) == [0] * 3
    until(lambda: len(list((tmp_path / "queue" / "reports").glob("[!.]*"))) == 6)
    archive.start()
    until(lambda: len(archive.stored("SR")) == len(archive.stored("OT")) == 3)
    until(lambda: not any((tmp_path / "queue" / "reports").iterdir()))


@pytest.mark.slow
def test_a_node_killed_while_20_films_come_in_reports_each_once(beside, tmp_path):
    """A sender that sends unanswered films again, as archives do."""
    node, archive = beside
    films = [study_film(tmp_path / f"{n}.dcm", n) for n in range(20)]
    kills = {4, 13}
    for number, film in enumerate(films):
        while send(node.port, film) != [0]:
            pass
        if number in kills:
            node.end(signal.SIGKILL)
            node.start(archive)
    until(lambda: len(archive.stored("SR")) == len(archive.stored("OT")) == 20, 120)
    until(lambda: not any((tmp_path / "queue" / "films").iterdir()))
    until(lambda: not any((tmp_path / "queue" / "reports").iterdir()))
    assert len(archive.ask("studies")) == 20 and len(archive.ask("instances")) == 40
    expected = {dcmread(film).StudyInstanceUID for film in films}
    studies = [archive.ask(f"instances/{one['ID']}/simplified-tags")["StudyInstanceUID"]
               for one in archive.stored("SR")]  # fmt: skip
    assert sorted(studies) == sorted(expected)
