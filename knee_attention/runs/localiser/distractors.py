"""Drawings for training scenes: images without a knee, and metal on a film.

Metal absorbs nearly all of the beam, so it is brighter than bone and has sharp edges.
"""

import cv2
import numpy as np

from knee_attention.films.joints import Box
from knee_attention.runs.localiser.variation import smooth_noise


def draw_distractor(kind: str, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw an image without a knee.

    Args:
        kind: a key of `DISTRACTORS`: `"chest"`, `"hand"` or `"shapes"`.
        size: height and width in pixels.
        rng: random generator.

    Returns:
        `(height, width)` uint8; dense tissue is bright.
    """
    canvas = np.zeros(size, np.float32)
    DISTRACTORS[kind](canvas, rng)
    canvas = cv2.GaussianBlur(canvas, (0, 0), max(0.4, 0.004 * max(size)))
    canvas *= 1 + 0.05 * smooth_noise(size, (24, 24), rng)
    canvas -= canvas.min()
    return np.round(255 * canvas / max(float(canvas.max()), 1e-6)).astype(np.uint8)


def _ellipse(canvas, middle, axes, amount, angle=0.0, thickness=-1, arc=(0, 360)) -> None:
    """Add `amount` inside an ellipse; its centre and axes are fractions of the canvas' sides."""
    height, width = canvas.shape
    paint = np.zeros_like(canvas)
    cv2.ellipse(
        paint,
        (round(middle[0] * width), round(middle[1] * height)),
        (max(1, round(axes[0] * width)), max(1, round(axes[1] * height))),
        angle, *arc, 1.0, thickness, cv2.LINE_AA,
    )  # fmt: skip
    canvas += amount * paint


def _chest(canvas: np.ndarray, rng) -> None:
    """Draw a trunk with two dark lungs, a spine, a heart and ribs."""
    size = max(canvas.shape)
    _ellipse(canvas, (0.5, 0.6), (rng.uniform(0.42, 0.55), rng.uniform(0.6, 0.8)), 0.6)
    for side in (-1, 1):
        middle = 0.5 + side * rng.uniform(0.18, 0.24), rng.uniform(0.42, 0.5)
        axes = rng.uniform(0.12, 0.17), rng.uniform(0.28, 0.36)
        _ellipse(canvas, middle, axes, -rng.uniform(0.3, 0.5), side * rng.uniform(0, 10))
        _ellipse(canvas, (0.5 + side * 0.25, 0.1), (0.22, 0.02), 0.2, side * -15, 3)
        step, thickness = rng.uniform(0.05, 0.08), max(1, round(rng.uniform(0.006, 0.014) * size))
        for number in range(rng.integers(7, 11)):
            place = middle[0], 0.22 + step * number
            _ellipse(canvas, place, (0.17, 0.07), 0.15, side * 20, thickness, (180, 360))
    _ellipse(canvas, (0.5, 0.5), (rng.uniform(0.03, 0.05), 0.6), 0.3)
    _ellipse(canvas, (rng.uniform(0.52, 0.6), 0.62), (0.13, 0.14), 0.35, 30)
    for number in range(rng.integers(8, 14)):
        _ellipse(canvas, (0.5, 0.08 * number), (0.04, 0.022), 0.12, 0, 2)


def _hand(canvas: np.ndarray, rng) -> None:
    """Draw a forearm, a palm, and fingers whose bones have gaps between them."""
    size = max(canvas.shape)
    middle, wrist = rng.uniform(0.42, 0.58), rng.uniform(0.72, 0.82)
    for reach in (-0.055, 0.055):
        _bone(canvas, (middle + reach, 1.05), (middle + reach, wrist), 0.045 * size, 0.35, 0.4)
    for _ in range(8):
        place = middle + rng.uniform(-0.09, 0.09), wrist - rng.uniform(0.02, 0.09)
        _ellipse(canvas, place, (0.03, 0.025), 0.25)
    for finger, lean in enumerate(np.linspace(-0.7, 0.45, 5) + rng.normal(0, 0.04)):
        start = np.array([middle + (finger - 2) * 0.045, wrist - 0.1])
        direction = np.array([np.sin(lean), -np.cos(lean)])
        for length in np.array([0.2, 0.14, 0.09, 0.06][finger == 0 :]) * rng.uniform(0.9, 1.1):
            end = start + length * direction
            _bone(canvas, start, end, rng.uniform(0.018, 0.026) * size, 0.4, 0.3)
            start = end + rng.uniform(0.008, 0.014) * direction


def _bone(canvas, start, end, thickness: float, bone: float, tissue: float) -> None:
    """Draw a bone with wider ends and soft tissue around it."""
    height, width = canvas.shape
    ends = [(round(x * width), round(y * height)) for x, y in (start, end)]
    paint = np.zeros_like(canvas)
    cv2.line(paint, *ends, tissue, max(2, round(2.4 * thickness)), cv2.LINE_AA)
    np.maximum(canvas, paint, out=canvas)
    paint[:] = 0
    cv2.line(paint, *ends, bone, max(1, round(thickness)), cv2.LINE_AA)
    for end in ends:
        cv2.circle(paint, end, max(1, round(0.65 * thickness)), bone, -1, cv2.LINE_AA)
    canvas += paint


def _shapes(canvas: np.ndarray, rng) -> None:
    """Draw rods and ellipses at random positions over smooth noise."""
    height, width = canvas.shape
    canvas += rng.uniform(0, 0.5) * smooth_noise(canvas.shape, tuple(rng.integers(2, 9, 2)), rng)
    for _ in range(rng.integers(3, 25)):
        amount = rng.uniform(-0.3, 0.6)
        if rng.random() < 0.5:
            axes = rng.uniform(0.01, 0.3, 2)
            _ellipse(canvas, rng.uniform(0, 1, 2), axes, amount, rng.uniform(0, 180))
            continue
        paint = np.zeros_like(canvas)
        ends = [tuple(int(v) for v in rng.uniform(-0.1, 1.1, 2) * (width, height)) for _ in "ab"]
        cv2.line(paint, *ends, 1.0, int(rng.integers(1, max(2, max(canvas.shape) // 6))))
        canvas += amount * paint


DISTRACTORS = {"chest": _chest, "hand": _hand, "shapes": _shapes}


def paint_implant(
    image: np.ndarray, box: Box, rng: np.random.Generator
) -> tuple[np.ndarray, Box]:
    """Draw an implant (a prosthesis, a plate with screws, or a nail) over a joint.

    Args:
        image: `(height, width)` uint8, bone bright.
        box: the joint box. The joint line is slightly below its centre.
        rng: random generator of the kind and shape of the implant.

    Returns:
        the image with the implant, and the bounding box of the metal.
    """
    paint = np.zeros(image.shape, np.uint8)
    draw = (_prosthesis, _prosthesis, _half_prosthesis, _plate, _nail)[rng.integers(5)]
    draw(_Pen(paint, box, rng))
    if rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D((box[0] + box[2] / 2, box[1] + box[3] / 2),
                                       rng.normal(0, 6), 1)
        paint = cv2.warpAffine(paint, turn, paint.shape[::-1])
    left, top, width, height = cv2.boundingRect(paint)
    return _laid_over(image, paint, rng), (left, top, width, height)


def paint_marker(
    image: np.ndarray, joints: list[Box], rng: np.random.Generator
) -> np.ndarray:
    """Draw one to three discs or rods of metal that do not cover a joint."""
    paint = np.zeros(image.shape, np.uint8)
    height, width = image.shape
    longest = max(image.shape)
    for _ in range(rng.integers(1, 4)):
        x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        reach = max(2, int(rng.uniform(0.01, 0.04) * longest))
        if rng.random() < 0.6:
            cv2.circle(paint, (x, y), reach, 255, -1, cv2.LINE_AA)
        else:
            end = (int(x + rng.normal(0, 0.06) * longest), int(y + rng.normal(0, 0.2) * longest))
            cv2.line(paint, (x, y), end, 255, max(1, reach // 3), cv2.LINE_AA)
    for x, y, w, h in joints:
        paint[max(0, int(y)) : max(0, int(y + h)), max(0, int(x)) : max(0, int(x + w))] = 0
    return _laid_over(image, paint, rng)


def _laid_over(image: np.ndarray, paint: np.ndarray, rng) -> np.ndarray:
    """The image with metal where `paint` is white: nearly uniform, and brighter than bone."""
    grey = image.astype(np.float32)
    bright = max(float(np.percentile(grey[::4, ::4], 99)), 60.0) * rng.uniform(1.0, 1.35)
    alpha = cv2.GaussianBlur(paint, (0, 0), rng.uniform(0.3, 0.9)).astype(np.float32) / 255
    metal = bright + rng.uniform(0, 0.15) * (grey - grey.mean())
    return (grey + alpha * (metal - grey)).clip(0, 255).astype(np.uint8)


class _Pen:
    """Draws white shapes.

    Coordinates are relative to the centre of the joint line, in units of the joint box's width.
    """

    def __init__(self, paint: np.ndarray, box: Box, rng: np.random.Generator):
        self.paint, self.rng, self.side = paint, rng, box[2]
        self.middle = np.array([box[0] + 0.5 * box[2], box[1] + 0.59 * box[3]])

    def at(self, x: float, y: float) -> tuple[int, int]:
        return tuple(int(value) for value in np.round(self.middle + self.side * np.array([x, y])))

    def disc(self, x: float, y: float, across: float, down: float) -> None:
        axes = max(1, round(across * self.side)), max(1, round(down * self.side))
        cv2.ellipse(self.paint, self.at(x, y), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)

    def shape(self, *corners: tuple[float, float]) -> None:
        cv2.fillPoly(self.paint, [np.array([self.at(*corner) for corner in corners])], 255,
                     cv2.LINE_AA)

    def rod(self, start: tuple, end: tuple, thickness: float) -> None:
        cv2.line(self.paint, self.at(*start), self.at(*end), 255,
                 max(1, round(thickness * self.side)), cv2.LINE_AA)


def _prosthesis(pen: _Pen) -> None:
    """A total prosthesis: both condyles, a tibial tray with its stem, sometimes a femoral stem."""
    rng = pen.rng
    half, cap = rng.uniform(0.24, 0.36), rng.uniform(0.2, 0.36)
    for side in (-1, 1):
        pen.disc(side * half * 0.55, -0.12, half * rng.uniform(0.4, 0.52), 0.11)
    pen.shape((-half, -0.14), (half, -0.14), (0.7 * half, -cap), (0.2 * half, -cap - 0.06),
              (-0.2 * half, -cap - 0.06), (-0.7 * half, -cap))
    tray, thick = half * rng.uniform(0.95, 1.15), rng.uniform(0.03, 0.08)
    pen.shape((-tray, 0.03), (tray, 0.03), (tray, 0.03 + thick), (-tray, 0.03 + thick))
    wide, long_ = rng.uniform(0.04, 0.11), rng.uniform(0.15, 0.6)
    pen.shape((-wide, 0.05), (wide, 0.05), (0.4 * wide, 0.05 + long_), (-0.4 * wide, 0.05 + long_))
    if rng.random() < 0.3:
        pen.rod((0, -cap), (rng.normal(0, 0.03), -cap - rng.uniform(0.2, 0.8)), 0.09)


def _half_prosthesis(pen: _Pen) -> None:
    """A partial prosthesis: one condyle, and a small tray below it."""
    rng = pen.rng
    place = rng.choice([-1, 1]) * rng.uniform(0.14, 0.22)
    pen.disc(place, -0.14, rng.uniform(0.07, 0.12), rng.uniform(0.1, 0.16))
    tray = rng.uniform(0.09, 0.14)
    pen.shape((place - tray, 0.03), (place + tray, 0.03), (place + tray, 0.075),
              (place - tray, 0.075))
    if rng.random() < 0.6:
        pen.rod((place, 0.06), (place, rng.uniform(0.12, 0.2)), 0.04)


def _plate(pen: _Pen) -> None:
    """A plate along one side of femur or tibia, with screws that cross the bone."""
    rng = pen.rng
    side, upward = rng.choice([-1, 1]), rng.choice([-1, 1])
    x = side * rng.uniform(0.22, 0.36)
    start, end = upward * rng.uniform(0.0, 0.1), upward * rng.uniform(0.4, 1.2)
    pen.rod((x, start), (0.6 * x, end), rng.uniform(0.03, 0.07))
    for part in np.linspace(0, 0.8, rng.integers(3, 8)):
        y = start + part * (end - start)
        across = x * (1 - 0.4 * part)
        pen.rod((across, y), (across - side * rng.uniform(0.2, 0.55), y + rng.normal(0, 0.02)),
                rng.uniform(0.015, 0.03))


def _nail(pen: _Pen) -> None:
    """An intramedullary nail in femur or tibia up to the joint, with locking screws."""
    rng = pen.rng
    upward = rng.choice([-1, 1])
    start, end = upward * rng.uniform(0.03, 0.15), upward * rng.uniform(0.6, 1.5)
    x = rng.normal(0, 0.03)
    pen.rod((x, start), (x + rng.normal(0, 0.03), end), rng.uniform(0.05, 0.1))
    for _ in range(rng.integers(0, 4)):
        y = start + upward * rng.uniform(0.03, 0.3)
        pen.rod((x - 0.25, y), (x + 0.25, y + rng.normal(0, 0.03)), rng.uniform(0.015, 0.03))
