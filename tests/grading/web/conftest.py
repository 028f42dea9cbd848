"""Fixtures: a server process, its model, a film and a client."""

import json

import cv2
import pytest
from processes import asked, serving

from knee_attention.commands.cli import main
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
    results = {"split": "validation", "knees": 9,
               "outputs": {"att2": {"accuracy": 0.5, "kappa_quadratic": 0.6}}}  # fmt: skip
    decision = {"default": "probable", "grade_counts": [1] * 5, "power": 0,
                "validation": {"probable": {"accuracy": 0.7}}}  # fmt: skip
    save_model(network, folder / "model.h5", {"name": "small", "chosen": "att2",
                                              "results": results, "decision": decision})
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
    """Sends a request as `asked` does; returns the status and the content of the answer."""

    def send(method, path, body=None, **headers):
        status, content, send.headers = asked(address, method, path, body, **headers)
        return status, content

    return send


@pytest.fixture
def rows_of_grade(film, model, capsys):
    """The rows that `grade --json` prints for that film and model."""
    main(["grade", str(film), "--model", str(model), "--json"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
