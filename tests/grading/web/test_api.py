"""The REST API over a socket: answers, refusals, and the start of the server."""

import io
import signal
import socket
import zipfile
from http.client import HTTPConnection
from types import SimpleNamespace
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom
from processes import asked, serving
from pydicom import dcmread

from knee_attention import __version__
from knee_attention.commands.cli import main
from knee_attention.films.image_files import PICTURE
from knee_attention.grading.grader import load_grader
from knee_attention.grading.web.answers import about_model, card_of
from knee_attention.grading.web.app import PAGE
from knee_attention.networks.files.location import DEFAULT
from knee_attention.phantoms.film import phantom_film


def test_a_film_s_answer_is_that_of_grade_json(ask, film, rows_of_grade):
    status, rows = ask("POST", f"/grade?name={film}", film.read_bytes())
    assert status == 200 and rows == rows_of_grade
    assert [row["side"] for row in rows] == ["R", "L"]


def test_the_name_says_the_side_of_a_single_knee(ask, film):
    knee = cv2.imread(str(film), cv2.IMREAD_GRAYSCALE)
    knee = cv2.imencode(".png", knee[:, : knee.shape[1] // 2])[1].tobytes()
    for name, side in (("9000001_L.png", "L"), ("film.png", None)):
        status, rows = ask("POST", f"/grade?name={name}", knee)
        assert status == 200 and [(row["file"], row["side"]) for row in rows] == [(name, side)]


def test_a_dicom_film_is_graded(ask, film, tmp_path):
    pixels = cv2.imread(str(film), cv2.IMREAD_GRAYSCALE)
    path = write_dicom(tmp_path / "film.dcm", pixels.astype(np.uint16) * 16)
    status, rows = ask("POST", "/grade", path.read_bytes())
    _, expected = ask("POST", "/grade", film.read_bytes())
    assert status == 200
    for row, same in zip(rows, expected, strict=True):
        assert row["att2_p0"] == pytest.approx(same["att2_p0"], abs=1e-5)


def test_reports_of_a_dicom_film_come_in_an_archive(ask, film, tmp_path, model, capsys):
    pytest.importorskip("highdicom")
    pixels = cv2.imread(str(film), cv2.IMREAD_GRAYSCALE)
    path = write_dicom(tmp_path / "film.dcm", pixels.astype(np.uint16) * 16,
                       StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4")  # fmt: skip
    status, content = ask("POST", "/grade?as=dicom&name=film.dcm", path.read_bytes())
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found = {name: dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()}
    main(["grade", str(path), "--model", str(model), "--dicom", str(tmp_path / "out")])
    capsys.readouterr()
    for name, written in (("report_sr.dcm", "film_sr.dcm"), ("picture_sc.dcm", "film_sc.dcm")):
        same = dcmread(tmp_path / "out" / written)
        assert found[name].SOPInstanceUID == same.SOPInstanceUID
        assert found[name].StudyInstanceUID == "1.2.3"
    status, said = ask("POST", "/grade?as=dicom", film.read_bytes())
    assert status == 422 and said["error"] == "not a DICOM file"


def test_other_forms_of_the_answer(ask, film):
    status, picture = ask("POST", "/grade?as=png", film.read_bytes())
    assert status == 200 and PICTURE in picture[:128]
    assert ask("POST", "/grade", picture) == (
        422, {"file": "film", "error": "a picture that knee_attention drew, not a radiograph"}
    )  # fmt: skip
    status, rows = ask("POST", "/grade?as=view", film.read_bytes())
    assert status == 200 and set(rows[0]["masks"]) == {"att1", "att2"}
    status, said = ask("POST", "/grade?as=xls", film.read_bytes())
    assert status == 400 and "expected as=json, view, png" in said["error"]


def test_the_model_and_its_health(ask):
    assert ask("GET", "/health") == (200, {"status": "ok"})
    status, said = ask("GET", "/model")
    assert status == 200
    assert (said["name"], said["chosen"], said["outputs"]) == ("small", "att2", ["att1", "att2"])
    assert said["notice"] == "Research use only, not a medical device."
    assert said["version"] == __version__ and list(said["meanings"]) == ["att1", "att2", "ensemble"]
    assert "layer pool3: it sees fine detail" in said["meanings"]["att1"]
    assert said["card"] is None and ask("GET", "/card")[0] == 404


def test_the_shipped_model_has_its_card():
    grader = SimpleNamespace(description={"name": DEFAULT})
    assert card_of(grader).read_text(encoding="utf-8").startswith(f"# {DEFAULT}")
    assert card_of(SimpleNamespace(description={"name": f"../pretrained/{DEFAULT}"})) is None


def test_the_model_has_the_figures_of_its_rule_and_a_calibrated_copy_none(model):
    grader = load_grader(model, decide="median")
    rules = {"probable": {"accuracy": 0.7}, "median": {"accuracy": 0.4, "kappa_quadratic": 0.5}}
    grader.description |= {"name": DEFAULT, "decision": {"validation": rules}}
    told = about_model(grader)
    assert told["validation"] == {"accuracy": 0.4, "kappa_quadratic": 0.5, "oa_auc": None}
    assert told["results"]["knees"] == 9 and told["card"] == "/card"
    grader.description |= {"local_calibration": {"data": "clinic"}}
    told = about_model(grader)
    assert told["calibrated"] == "clinic"
    assert told["validation"] is told["results"] is told["card"] is None


def test_every_example_is_small_and_can_be_graded(ask):
    examples = ask("GET", "/model")[1]["examples"]
    real = [example for example in examples if not example["synthetic"]]
    assert [example["grades"] for example in real] == [[grade] for grade in range(5)]
    for example in examples:
        status, content = ask("GET", example["address"])
        assert status == 200
        assert example["synthetic"] or len(content) < 10_000
        status, rows = ask("POST", "/grade", content)
        assert status == 200 and len(rows) == len(example["grades"])


def fits(value, schema) -> bool:
    """Whether a JSON value has the type, the range and the entries of a schema."""
    if "enum" in schema:
        return value in schema["enum"]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    known = {"string": str, "boolean": bool, "number": (int, float), "integer": int, "array": list,
             "object": dict, "null": type(None)}  # fmt: skip
    if not any(isinstance(value, known[kind]) for kind in kinds):
        return False
    if isinstance(value, list):
        return all(fits(item, schema["items"]) for item in value)
    if isinstance(value, dict):
        properties = schema.get("properties", dict.fromkeys(value))
        others = schema.get("additionalProperties")
        return set(properties) == set(value) and all(
            fits(one, properties[name] or others) for name, one in value.items()
        )
    return not isinstance(value, (int, float)) or (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
    )


def test_openapi_says_what_the_server_does(ask, film):
    status, spec = ask("GET", "/openapi.json")
    assert status == 200 and spec["openapi"].startswith("3.1")
    grade = spec["paths"].pop("/grade")["post"]
    for path, methods in spec["paths"].items():
        assert str(ask("GET", path)[0]) in methods["get"]["responses"], path
    [forms] = [one["schema"]["enum"] for one in grade["parameters"] if one["name"] == "as"]
    status, said = ask("POST", "/grade?as=xls", film.read_bytes())
    assert status == 400 and f"expected as={', '.join(forms)}." in said["error"]
    schemas = grade["responses"]["200"]["content"]["application/json"]["schema"]["items"]["anyOf"]
    for form, schema in zip(("view", "json"), schemas, strict=True):
        rows = ask("POST", f"/grade?as={form}", film.read_bytes())[1]
        assert all(fits(row, schema) for row in rows), form
    assert not fits({**rows[0], "grade": 5}, schema) and not fits({**rows[0], "x": 1}, schema)
    for kind in grade["requestBody"]["content"]:
        if kind != "multipart/form-data":
            kind = kind.replace("*", "png")
            assert ask("POST", "/grade", film.read_bytes(), Content_Type=kind)[0] == 200


def form_of(*parts: tuple[str, bytes], end: bytes = b"--") -> bytes:
    """A multipart form of parts, each with a Content-Disposition and a body."""
    whole = [b"--edge\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body
             for head, body in parts]  # fmt: skip
    return b"\r\n".join([*whole, b"--edge" + end + b"\r\n"])


FORM = {"Content_Type": "multipart/form-data; boundary=edge"}


def test_a_film_in_a_form_is_graded_as_the_film_itself(ask, film):
    content = film.read_bytes()
    sent = form_of(('name="note"', b"left\r\n"), ('name="film"; filename="é.png"', content))
    status, rows = ask("POST", "/grade", sent, **FORM)
    assert status == 200 and [row["file"] for row in rows] == ["é.png"] * 2
    assert rows == ask("POST", "/grade?name=%C3%A9.png", content)[1]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (form_of(('name="film"', b"no file")), "one file. Received: 0 files"),
        (form_of(*[('name="film"; filename="a.png"', b"x")] * 2), "one file. Received: 2 files"),
        (form_of(('name="film"; filename="a.png"', b"x"), end=b""), "ends before its last"),
        (b"", "ends before its last"),
        (form_of(("name=\"film\"; filename*=idna''%ff", b"x")), "file name cannot be read"),
        (form_of(*[('name="note"', b"x")] * 20), "at most 16 parts"),
    ],
)
def test_a_broken_form_is_a_sentence(ask, sent, reason):
    status, said = ask("POST", "/grade", sent, **FORM)
    assert status == 400 and reason in said["error"]
    status, said = ask("POST", "/grade", sent, Content_Type="multipart/form-data")
    assert status == 400 and said["error"] == "the form names no boundary"
    for boundary in ("idna''%ff", "undefined''a", "unknown''a"):
        kind = f"multipart/form-data; boundary*={boundary}"
        status, said = ask("POST", "/grade", sent, Content_Type=kind)
        assert status == 400 and said["error"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no image", "not an image, or a damaged one"),
        (bytes(128) + b"DICM" + bytes(40), "damaged or truncated DICOM"),
        (cv2.imencode(".png", np.zeros((90, 90), np.uint8))[1].tobytes(), "the image is blank"),
    ],
)
def test_what_is_no_film_is_a_sentence(ask, content, reason):
    status, said = ask("POST", "/grade?name=a.png", content)
    assert status == 422 and said["file"] == "a.png" and reason in said["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example",
                                  "10.0.0.1", "", "[", "a@b"])  # fmt: skip
def test_a_foreign_name_is_refused(ask, film, host):
    for method, path, body in (("GET", "/", None), ("POST", "/grade", film.read_bytes())):
        status, said = ask(method, path, body, Host=host)
        assert status == 421 and "does not accept the host name" in said["error"]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"},
     {"Origin": "http://127.0.0.1:1"}, {"Origin": "http://[", "Host": "localhost"}],
)  # fmt: skip
def test_another_site_s_post_is_refused(ask, film, headers):
    status, said = ask("POST", "/grade", film.read_bytes(), **headers)
    assert status == 403 and said["error"] == "a page of another site sent this request"


def test_a_post_of_its_own_page_is_graded(ask, address, film):
    port = address.rpartition(":")[2]
    for name in (address, f"localhost:{port}"):
        headers = {"Host": name, "Origin": f"http://{name}", "Sec_Fetch_Site": "same-origin"}
        assert ask("POST", "/grade", film.read_bytes(), **headers)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/../app.py", "/%2e%2e/app.py", "/page/../../app.py", "/style.css/..", "//etc/passwd",
     "/..%2f..%2fapp.py", "/grade/", "/examples/3.png", "/examples/-1.png", "/index.html",
     f"/examples/{'9' * 5000}.png"],
)  # fmt: skip
def test_no_other_path_is_read(ask, path):
    assert ask("GET", path) == (404, {"error": "this address does not exist"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/grade"), ("PUT", "/grade"), ("DELETE", "/"), ("OPTIONS", "/grade"),
     ("POST", "/model"), ("BREW", "/")],
)  # fmt: skip
def test_other_methods_are_refused(ask, method, path):
    status, said = ask(method, path)
    assert status == 405 and method in said["error"]


@pytest.mark.parametrize("path", [*PAGE, "/model", "/nothing", "/examples/0.png"])
def test_every_answer_carries_the_policy(ask, path):
    ask("GET", path)
    policy = ask.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "http" not in policy
    assert ask.headers["cache-control"] == "no-store"
    assert ask.headers["x-content-type-options"] == "nosniff"


def test_the_page_says_what_it_is_without_any_script(ask):
    text = ask("GET", "/")[1].decode()
    assert "Research use only, not a medical device." in text
    assert " style=" not in text and " on" + "click=" not in text and "http" not in text


def test_a_large_body_is_refused_while_it_arrives(model):
    """A large film is refused early, with or without its length in the header."""
    with serving(model, "--port", 0, "--most-mb", 1) as (_, address):
        for declared in (True, False):
            connection = HTTPConnection(address, timeout=20)
            connection.putrequest("POST", "/grade")
            if declared:
                connection.putheader("Content-Length", "5000000000")
                connection.endheaders()
            else:
                connection.putheader("Transfer-Encoding", "chunked")
                connection.endheaders()
                part = b"%x\r\n" % 500_000 + bytes(500_000) + b"\r\n"
                for _ in range(3):
                    connection.send(part)
            answer = connection.getresponse()
            assert answer.status == 413 and b"larger than 1 MB" in answer.read()
            connection.close()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_after_what_it_grades(model, film, by):
    with serving(model, "--port", 0) as (process, address):
        assert urlopen(Request(f"http://{address}/grade", film.read_bytes())).status == 200
        process.send_signal(by)
        said = process.communicate(timeout=20)[1]
        assert process.returncode == 0 and said == "stopped\n"


def test_a_port_in_use_is_one_sentence(refused, model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 cannot be opened" in refused(
            "serve", model, "--port", port
        )
    assert "port 70000 of" in refused("serve", model, "--port", 70000)
    for host in ("nowhere.invalid", "ü..b"):
        assert f"of {host} cannot be opened" in refused(
            "serve", model, "--port", 0, "--host", host
        )


def test_a_model_that_is_none_is_one_sentence(refused, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert "not a readable ONNX file" in refused("serve", tmp_path / "model.onnx", "--port", 0)
    assert "no such model file" in refused("serve", tmp_path / "none.onnx", "--port", 0)
    assert "no such model file" in refused("serve", tmp_path / "none.h5")


def test_who_listens_to_others_is_warned(model):
    with serving(model, "--port", 0, "--host", "0.0.0.0", "--name", "films.example") as started:
        process, address = started
        assert address.startswith("127.0.0.1:")  # 0.0.0.0 cannot be opened
        port = address.rpartition(":")[2]
        for name, status in (("films.example", 200), ("evil.example", 421)):
            assert asked(f"127.0.0.1:{port}", "GET", "/health", Host=name)[0] == status
        # A proxy at another port that keeps the name, and one that sends the server's own address.
        for host in ("films.example", f"127.0.0.1:{port}"):
            headers = {"Host": host, "Origin": "https://films.example:8443"}
            assert asked(f"127.0.0.1:{port}", "POST", "/grade", b"no image", **headers)[0] == 422
            headers["Origin"] = "https://evil.example"
            assert asked(f"127.0.0.1:{port}", "POST", "/grade", b"no image", **headers)[0] == 403
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1]
    assert said.startswith("warning: other machines can use this server")


def test_a_film_leaves_nothing_on_the_disk(model, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serving(model, "--port", 0) as (_, address):
        film = cv2.imencode(".png", phantom_film((1, 2), seed=1, height=256).image)[1].tobytes()
        assert urlopen(Request(f"http://{address}/grade", film)).status == 200
        assert not list(tmp_path.iterdir())
