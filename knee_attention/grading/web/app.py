"""The ASGI application: the page, its example films, and the REST API."""

import os
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

import anyio
import cv2
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from knee_attention.errors import ImageError
from knee_attention.films.inputs import FileInMemory
from knee_attention.grading.grader import Grader
from knee_attention.grading.web.answers import ANSWERS, about_model, card_of
from knee_attention.grading.web.openapi import openapi
from knee_attention.grading.web.protection import Guard
from knee_attention.grading.web.uploads import Uploads, film_of

KNEES = tuple(
    f"KL{grade}_{knee}.webp"
    for grade, knee in enumerate(("9006140L", "9003380L", "9015402R", "9023348L", "9070207R"))
)
"""Real knees, one of each grade, the first of each in the validation split of P. Chen, Knee
Osteoarthritis Severity Grading Dataset, Mendeley Data 56rmx5bjcr, CC BY 4.0; compressed anew."""

PAGE = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/film.js": ("film.js", "text/javascript"),
    "/knee.js": ("knee.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/examples/{name}": (name, "image/webp") for name in KNEES},
}
"""The files of the page by path. The server reads no other file."""

EXAMPLES = ((0, 3), (2, 1), (4, 4))
"""Grades of the right and the left knee of the example phantoms."""


def application(grader: Grader, names: Iterable[str], most_bytes: int) -> ASGIApp:
    """The server as an ASGI application. It does not keep the films that it receives.

    Args:
        grader: grades the films.
        names: host names that clients may use besides the server's address.
        most_bytes: larger films are refused during the upload.
    """
    page = files("knee_attention.grading.web") / "page"
    routes = [
        *(Route(path, _file_answer((page / file).read_bytes(), kind)) for path, (file, kind)
          in PAGE.items()),
        *(Route(f"/examples/{number}.png", _example(number)) for number in range(len(EXAMPLES))),
        Route("/health", _health),
        Route("/model", _model),
        Route("/card", _card),
        Route("/openapi.json", _openapi),
        Route("/grade", _grade, methods=["POST"]),
    ]  # fmt: skip
    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _refused,
            ImageError: _not_graded,
            Exception: _failed,
        },
    )
    app.router.redirect_slashes = False
    app.state.grader = grader
    app.state.uploads = Uploads(most_bytes)
    app.state.at_once = anyio.CapacityLimiter(os.cpu_count() or 1)
    return Guard(app, names)


def _file_answer(content: bytes, kind: str):
    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _model(request: Request) -> Response:
    examples = [
        *({"address": f"/examples/{name}", "grades": [grade], "synthetic": False}
          for grade, name in enumerate(KNEES)),
        *({"address": f"/examples/{number}.png", "grades": grades, "synthetic": True}
          for number, grades in enumerate(EXAMPLES)),
    ]  # fmt: skip
    state = request.app.state
    most_bytes = state.uploads.most_bytes
    return JSONResponse({**about_model(state.grader), "examples": examples,
                         "most_bytes": most_bytes})  # fmt: skip


async def _card(request: Request) -> Response:
    card = card_of(request.app.state.grader)
    if card is None:
        raise HTTPException(404)
    return Response(card.read_bytes(), media_type="text/plain")


async def _openapi(request: Request) -> Response:
    return JSONResponse(openapi(request.app.state.grader.outputs, ANSWERS))


def _example(number: int):
    async def answer(request: Request) -> Response:
        return Response(await run_sync(_phantom, number), media_type="image/png")

    return answer


@lru_cache
def _phantom(number: int) -> bytes:
    from knee_attention.phantoms.film import phantom_film

    return cv2.imencode(".png", phantom_film(EXAMPLES[number], seed=number).image)[1].tobytes()


async def _grade(request: Request) -> Response:
    form = request.query_params.get("as", "json")
    state = request.app.state
    async with state.uploads.received(request) as content:
        named, content = film_of(request, content)
        name = request.query_params.get("name") or named or "film"
        return await run_sync(_answer, state.grader, name, content, form, limiter=state.at_once)


def _answer(grader: Grader, name: str, content: bytes, form: str) -> Response:
    """Grade a film and answer in a form; runs in a thread."""
    if form not in ANSWERS:
        raise HTTPException(400, f"expected as={', '.join(ANSWERS)}. Received: {form[:80]!r}")
    return ANSWERS[form](FileInMemory(name[-255:], content), grader)


async def _refused(request: Request, error: HTTPException) -> Response:
    sentences = {
        404: "this address does not exist",
        405: f"this address does not take {request.method}",
    }
    reason = sentences.get(error.status_code, error.detail)
    return JSONResponse({"error": reason}, error.status_code, headers=error.headers)


async def _not_graded(request: Request, error: ImageError) -> Response:
    return JSONResponse({"file": error.path, "error": error.reason}, 422)


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the server failed; the reason is in its log"}, 500)
