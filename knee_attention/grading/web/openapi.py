"""The content of `GET /openapi.json`: the REST API, described in OpenAPI 3.1."""

from collections.abc import Iterable

from knee_attention import __version__
from knee_attention.grading.grader import RESEARCH_ONLY
from knee_attention.limits import GRADES

BINARY = {"type": "string", "format": "binary"}
PNG = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
NUMBERS = {"type": ["array", "null"], "items": {"type": "integer"}}
NUMBER, SHARE = {"type": "number"}, {"type": "number", "minimum": 0, "maximum": 1}
MAYBE_GRADE = {"type": ["integer", "null"], "minimum": 0, "maximum": 4}
BOOLEAN, TEXT = {"type": "boolean"}, {"type": "string"}

ROW = {
    "file": TEXT,
    "side": {"enum": ["R", "L", None]},
    "grade": {"type": "integer", "minimum": 0, "maximum": 4},
    "lowest": {**MAYBE_GRADE, "description": "lowest grade of the prediction set"},
    "highest": {**MAYBE_GRADE, "description": "highest grade of the prediction set"},
    "coverage": {"type": ["number", "null"], "description": "coverage of the prediction set"},
    "between": {**NUMBERS, "description": "two grades, if grade and oa_probability disagree"},
    "look_again": {**BOOLEAN, "description": "a set of three grades or more, or unlike"},
    "expected_grade": {"type": "number", "minimum": 0, "maximum": 4},
    "oa_probability": SHARE,
    "chosen": {**TEXT, "description": "the output that gives the grade"},
    "inverted": {**BOOLEAN, "description": "whether the film was a negative and was inverted"},
    "box": {**NUMBERS, "description": "the crop: left, top, width, height in pixels"},
    "pixel_aspect": {**NUMBER, "description": "height over width of the file's pixels"},
    "trimmed": {**NUMBERS, "description": "border cropped off: left, top, right, bottom"},
    "likeness": {"type": ["number", "null"]},
    "unlike": {**BOOLEAN, "description": "unlike the training knees"},
    "synthetic_model": {**BOOLEAN, "description": "the model was trained on phantoms only"},
}
"""The columns of `rows.knee_row`, without the probabilities."""

VIEW = {
    "picture": PNG,
    "box_in_picture": NUMBERS,
    "masks": {"type": "object", "additionalProperties": PNG},
    "attention": {
        "type": "object",
        "description": "of every branch: lowest and highest value of its mask",
        "additionalProperties": {
            "type": "object",
            "properties": {"lowest": NUMBER, "highest": NUMBER, "nearly_flat": BOOLEAN},
            "required": ["lowest", "highest", "nearly_flat"],
        },
    },
}
"""What `as=view` adds to a row."""

REFUSALS = {
    400: "an unknown value of `as`, or an upload that is broken or holds no single film",
    403: "a page of another site sent the request",
    408: "the upload took too long",
    413: "the film is too large",
    415: "a compressed body, or a content type that is no film",
    421: "a host name that the server does not accept",
    422: "the film cannot be graded",
    500: "the server failed",
    503: "the server is busy; try again later",
}


def openapi(outputs: Iterable[str], forms: Iterable[str]) -> dict:
    """The description of the API for a model.

    Args:
        outputs: names of the model's outputs.
        forms: values of `as` that the server knows.
    """
    shares = {f"{output}_p{grade}": SHARE for output in (*outputs, "ensemble") for grade in GRADES}
    row = _object({**ROW, **shares})
    view = _object({**ROW, **shares, **VIEW})
    forms = list(forms)
    film = {**BINARY, "description": "PNG, JPEG, WebP, TIFF, BMP or DICOM"}
    graded = {
        "application/json": {"schema": {"type": "array", "items": {"anyOf": [view, row]}}},
        "image/png": {"schema": BINARY},
        **({"application/zip": {"schema": BINARY}} if "dicom" in forms else {}),
    }
    grade = {
        "summary": "Grade the knees of a film",
        "parameters": [
            _query("name", TEXT, "film's file name; `9000001_L.png` means a left knee"),
            _query("as", {"enum": forms, "default": "json"},
                   "json: one row per knee; view: rows with picture and masks; png: the picture "
                   "of `grade --overlay`; dicom: a ZIP of the objects of `grade --dicom`"),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": film},
                "application/dicom": {"schema": film},
                "image/*": {"schema": film},
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"film": film}}
                },
            },
        },
        "responses": {
            "200": {"description": "the graded knees", "content": graded},
            **{str(status): _refusal(reason) for status, reason in REFUSALS.items()},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "knee_attention", "version": __version__, "description": RESEARCH_ONLY},
        "paths": {
            "/grade": {"post": grade},
            "/model": {"get": _getting("The model: its name, outputs, decision rule, local "
                                       "calibration and validation results")},
            "/health": {"get": _getting("Whether the server runs")},
            "/openapi.json": {"get": _getting("This description")},
            "/card": {"get": {
                "summary": "The card of a model that ships with the package",
                "responses": {
                    "200": {"description": "Markdown", "content": {"text/plain": {"schema": TEXT}}},
                    "404": _refusal("the model has no card"),
                },
            }},
        },
    }  # fmt: skip


def _object(properties: dict) -> dict:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _query(name: str, schema: dict, text: str) -> dict:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def _refusal(reason: str) -> dict:
    error = {"type": "object", "properties": {"error": TEXT, "file": TEXT}, "required": ["error"]}
    return {"description": reason, "content": {"application/json": {"schema": error}}}


def _getting(summary: str) -> dict:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {"summary": summary, "responses": {"200": {"description": "JSON", "content": content}}}
