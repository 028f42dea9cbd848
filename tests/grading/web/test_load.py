"""A running server: many clients at once, malformed requests, and the model that it loaded."""

import io
import json
import random
import socket
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom
from processes import asked, serving
from pydicom import dcmread

from knee_attention.commands.cli import main
from knee_attention.errors import ImageError
from knee_attention.films.inputs import FileInMemory
from knee_attention.grading.grader import load_grader
from knee_attention.grading.rows import knee_row
from knee_attention.phantoms.film import phantom_film

CLIENTS = 8
SECONDS = 2


def uploads(folder: Path) -> dict[str, bytes]:
    """Films of every kind and files that are not films, by name."""
    film = phantom_film((1, 3), seed=5, height=256).image
    found = {f"film.{kind}": cv2.imencode(f".{kind}", film)[1].tobytes()
             for kind in ("png", "jpg", "webp", "tif", "bmp")}  # fmt: skip
    found["negative.png"] = cv2.imencode(".png", ~film)[1].tobytes()
    deep = film.astype(np.uint16) * 16
    found["film.dcm"] = write_dicom(folder / "film.dcm", deep).read_bytes()
    found["empty.png"] = b""
    found["text.png"] = b"no image" * 400
    found["half.jpg"] = found["film.jpg"][: len(found["film.jpg"]) // 2]
    found["half.dcm"] = found["film.dcm"][:400]
    found["blank.png"] = cv2.imencode(".png", np.zeros((200, 300), np.uint8))[1].tobytes()
    return found


def resident(process) -> float:
    """Megabytes of memory that a process holds."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def expected_answers(model, films: dict[str, bytes]) -> dict[str, tuple[int, object]]:
    """The grader's own result for each."""
    grader, answers = load_grader(model), {}
    for name, content in films.items():
        try:
            knees = grader.grade(FileInMemory(name, content))
            answers[name] = 200, [knee_row(name, knee, False) for knee in knees]
        except ImageError as error:
            answers[name] = 422, {"file": name, "error": error.reason}
    return answers


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_eight_clients_get_right_answers_and_memory_stays(model, tmp_path):
    films = uploads(tmp_path)
    right = expected_answers(model, films)
    assert sorted(status for status, _ in right.values()) == [200] * 7 + [422] * 5
    wrong, count = [], [0] * CLIENTS
    with serving(model, "--port", 0) as (process, address):
        memory = []

        def client(number: int) -> None:
            order = random.Random(number)
            while time.monotonic() < end:
                name = order.choice(sorted(films))
                answer = asked(address, "POST", f"/grade?name={name}", films[name])[:2]
                if not same(answer, right[name]):
                    wrong.append((name, answer))
                count[number] += 1

        for _ in range(2):  # the first round fills caches that later rounds use
            end = time.monotonic() + SECONDS
            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(client, range(CLIENTS)))
            memory.append(resident(process))
    assert not wrong, wrong[:3]
    assert sum(count) > 25 and min(count) > 1
    assert memory[1] < 1.15 * memory[0] + 10


def same(answer, expected) -> bool:
    """Equal except for the last bits of numbers."""
    if answer[0] != 200 or expected[0] != 200:
        return answer == expected
    return len(answer[1]) == len(expected[1]) and all(
        rows_agree(row, other)
        for row, other in zip(answer[1], expected[1], strict=True)
    )


def rows_agree(row: dict, other: dict) -> bool:
    return row.keys() == other.keys() and all(
        abs(value - other[key]) < 1e-5 if isinstance(value, float) else value == other[key]
        for key, value in row.items()
    )


def broken(content: bytes, generator: random.Random) -> bytes:
    """A copy with bytes changed, removed, doubled or inserted at a few places."""
    content = bytearray(content)
    for _ in range(generator.randint(1, 6)):
        place = generator.randrange(len(content))
        length = generator.randint(1, 8)
        kind = generator.choice(("change", "cut", "double", "put in"))
        if kind == "change":
            content[place] = generator.randrange(256)
        elif kind == "cut":
            del content[place : place + length]
        elif kind == "double":
            content[place:place] = content[place : place + length]
        else:
            content[place:place] = generator.randbytes(length)
    return bytes(content)


def broken_requests(film: bytes) -> list[bytes]:
    """200 times a good request of which the head or the film is broken, or the end is missing."""
    generator = random.Random(0)
    requests = []
    for number in range(200):
        body = broken(film, generator) if number % 2 else film
        head = (f"POST /grade?name=film.png HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: "
                f"{len(body)}\r\nConnection: close\r\n\r\n").encode()  # fmt: skip
        request = head + body if number % 2 else broken(head, generator) + body
        requests.append(request[: generator.randrange(len(request))] if number % 9 == 0
                        else request)  # fmt: skip
    return requests


def said_to(address: str, request: bytes) -> bytes:
    """The server's answer to these bytes; empty if it waits for more."""
    host, _, port = address.rpartition(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=2) as connection:
        try:
            connection.sendall(request)
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionError):  # it waits for more, or has closed the connection
            pass
    return answer


def test_200_broken_requests_break_nothing(model, film):
    with serving(model, "--port", 0) as (process, address):
        lines = []
        log = threading.Thread(target=lambda: lines.extend(process.stderr))
        log.start()
        with ThreadPoolExecutor(CLIENTS) as pool:
            requests = broken_requests(film.read_bytes())
            answers = list(pool.map(lambda request: said_to(address, request), requests))
        assert asked(address, "POST", "/grade?name=film.png", film.read_bytes())[0] == 200
        assert process.poll() is None
        process.kill()
        log.join(10)
    statuses = {answer.split(b" ", 2)[1] for answer in answers if answer}
    assert statuses >= {b"400", b"422"} and not [s for s in statuses if s.startswith(b"5")]
    assert not any(b"Traceback" in answer or b'File "' in answer for answer in answers)
    assert not [line for line in lines if "Traceback" in line or "Error" in line]


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
