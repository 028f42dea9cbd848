"""Synthetic images without a knee: a chest, a hand, and random shapes."""

import cv2
import numpy as np

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
