"""Fixtures: a server process, its model, a film and a client."""

import json
from http.client import HTTPConnection

import cv2
import pytest
from processes import serving

from knee_attention.phantoms.film import phantom_film

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("onnx")


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A small network with new weights, as ONNX."""
    from knee_attention.networks.files.model_files import read_description, save_model
    from knee_attention.networks.files.onnx_export import export_onnx
    from knee_attention.networks.model import build_model

    folder = tmp_path_factory.mktemp("model")
    network = build_model("antony_clsf", ("att1", "att2"), "multi_loss", (96, 96))
    save_model(network, folder / "model.h5", {"name": "small", "chosen": "att2"})
    export_onnx(network, folder / "model.onnx", read_description(folder / "model.h5"))
    return folder / "model.onnx"


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """A phantom film of both knees, as PNG."""
    path = tmp_path_factory.mktemp("films") / "film.png"
    cv2.imwrite(str(path), phantom_film((0, 4), seed=3, height=256).image)
    return path


@pytest.fixture(scope="module")
def address(model):
    """Host and port of a server with that model."""
    with serving(model, "--port", 0) as (_, address):
        yield address


@pytest.fixture
def ask(address):
    """Sends a request; returns the status, and the JSON content or the bytes of the answer."""

    def send(method, path, body=None, **headers):
        connection = HTTPConnection(address, timeout=30)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            send.headers = dict(answer.getheaders())
            is_json = answer.getheader("content-type") == "application/json"
            return answer.status, json.loads(content) if is_json else content
        finally:
            connection.close()

    return send
