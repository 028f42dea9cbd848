"""Augmentation of the localiser's films: exposure, processing, tissue, marks and borders.

Trained on unchanged phantoms, a network would learn how phantoms are drawn. Everything except the
anatomy is therefore varied at random, more than in real films.
"""

import cv2
import numpy as np

GREY = np.ndarray
"""Image `(height, width)` float32, about 0 to 1."""


def varied(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A film with the appearance of another machine. Its geometry does not change.

    Args:
        film: `(height, width)` uint8, bone bright.
        rng: random generator.

    Returns:
        `(height, width)` uint8.
    """
    grey = film.astype(np.float32) / 255
    for change, share in (
        (_texture, 0.7), (_tissue, 0.5), (_edges, 0.7), (_uneven, 0.7), (_exposed, 1.0),
        (_bars, 0.4), (_spots, 0.4), (_blurred, 0.5), (_grain, 0.7), (_collimated, 0.5),
        (_patches, 0.5),
    ):  # fmt: skip
        if rng.random() < share:
            grey = change(grey, rng)
    return np.round(255 * grey.clip(0, 1)).astype(np.uint8)


def smooth_noise(
    shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Smooth noise `(height, width)` float32 with a standard deviation of about 1.

    Args:
        shape: height and width.
        cells: number of random values per side, which are interpolated.
        rng: random generator.
    """
    coarse = rng.standard_normal(cells).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _stretched(grey: GREY, low: float = 0.5, high: float = 99.5) -> GREY:
    """The image with the range between two percentiles stretched to 0-1."""
    dark, bright = np.percentile(grey[::2, ::2], (low, high))
    return (grey - dark) / max(bright - dark, 1e-3)


def _texture(grey: GREY, rng) -> GREY:
    """Texture of cancellous bone and muscle: noise at several scales, proportional to the grey."""
    height, width = grey.shape
    noise = np.zeros_like(grey)
    for cell in (2, 4, 8, 16, 40):
        cells = max(2, height // int(cell * rng.uniform(1, 2))), max(2, width // cell)
        noise += rng.uniform(0, 0.05) * smooth_noise(grey.shape, cells, rng)
    return grey * (1 + noise)


def _tissue(grey: GREY, rng) -> GREY:
    """Soft tissue, a patella or a cast: bright or dark ellipses with soft edges."""
    height, width = grey.shape
    for _ in range(rng.integers(1, 6)):
        paint = np.zeros_like(grey)
        middle = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        axes = int(rng.uniform(0.04, 0.4) * width), int(rng.uniform(0.04, 0.4) * height)
        cv2.ellipse(paint, middle, axes, rng.uniform(0, 180), 0, 360, 1.0, -1)
        soft = cv2.GaussianBlur(paint, (0, 0), rng.uniform(1, 12))
        grey = grey + rng.uniform(-0.15, 0.25) * soft
    return grey


def _edges(grey: GREY, rng) -> GREY:
    """Edge enhancement as in X-ray machines: part of the coarse structure is subtracted."""
    coarse = cv2.GaussianBlur(grey, (0, 0), float(np.exp(rng.uniform(np.log(3), np.log(50)))))
    return _stretched(grey - rng.uniform(0.2, 0.95) * coarse)


def _uneven(grey: GREY, rng) -> GREY:
    """Uneven brightness, as caused by scatter, the heel effect and thighs."""
    slope = rng.uniform(0.02, 0.16) * smooth_noise(grey.shape, tuple(rng.integers(2, 6, 2)), rng)
    gain = 1 + rng.uniform(0, 0.3) * smooth_noise(grey.shape, tuple(rng.integers(2, 6, 2)), rng)
    return grey * gain.clip(0.2, 2) + slope


def _exposed(grey: GREY, rng) -> GREY:
    """Gamma, contrast and saturation, up to over- and underexposed areas."""
    low = rng.choice([0.5, rng.uniform(0, 25)])
    high = rng.choice([99.5, rng.uniform(70, 100)])
    grey = _stretched(grey, low, high).clip(0, 1) ** np.float32(np.exp(rng.normal(0, 0.45)))
    if rng.random() < 0.3:
        floor = rng.uniform(0, 0.4)
        grey = floor + (rng.uniform(floor + 0.3, 1) - floor) * grey
    return grey


def _bars(grey: GREY, rng) -> GREY:
    """Straight rods and cables, brighter or darker than the film, with or without beads."""
    height, width = grey.shape
    paint = np.zeros_like(grey)
    for _ in range(rng.integers(1, 4)):
        x, lean = rng.uniform(0, width), rng.normal(0, 0.05) * height
        ends = (int(x), -5), (int(x + lean), height + 5)
        if rng.random() < 0.2:
            ends = tuple((int(y * width / height), int(x)) for x, y in ends)
        cv2.line(paint, *ends, float(rng.uniform(-0.2, 0.4)), int(rng.integers(1, 14)))
        if rng.random() < 0.6:
            for y in np.arange(rng.uniform(0, 20), height, rng.uniform(8, 24)):
                place = int(x + lean * y / height + rng.integers(-8, 9)), int(y)
                cv2.circle(paint, place, int(rng.integers(1, 3)), float(rng.uniform(0.2, 0.7)), -1)
    return grey + cv2.GaussianBlur(paint, (0, 0), rng.uniform(0.4, 1.5))


def _spots(grey: GREY, rng) -> GREY:
    """Lead letters and digits."""
    height, width = grey.shape
    for _ in range(rng.integers(1, 4)):
        letter = "LRFK123"[rng.integers(7)]
        place = int(rng.uniform(0, 0.95) * width), int(rng.uniform(0.05, 1) * height)
        paint = np.zeros(grey.shape, np.uint8)
        cv2.putText(paint, letter, place, cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.25, 0.9), 255,
                    int(rng.integers(1, 3)), cv2.LINE_AA)
        grey = np.maximum(grey, rng.uniform(0.6, 1) / 255 * paint.astype(np.float32))
    return grey


def _blurred(grey: GREY, rng) -> GREY:
    return cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.3, 1.6))


def _grain(grey: GREY, rng) -> GREY:
    """Pixel noise, sometimes with the line noise of a grid."""
    grain = rng.standard_normal(grey.shape, dtype=np.float32)
    grey = grey + np.float32(rng.uniform(0.003, 0.05)) * grain
    if rng.random() < 0.3:
        lines = rng.standard_normal(grey.shape[1]).astype(np.float32)
        grey = grey + np.float32(rng.uniform(0, 0.06)) * lines
    return grey


def _collimated(grey: GREY, rng) -> GREY:
    """Collimated borders of random width, outside the beam: black, grey or white."""
    height, width = grey.shape
    shade = float(rng.choice([0, 0, rng.uniform(0, 1), 1]))
    soft = rng.uniform(0.3, 4)
    open_ = np.zeros_like(grey)
    left, right = rng.uniform(0, 0.1, 2) * width * (rng.random(2) < 0.5)
    top, bottom = rng.uniform(0, 0.2, 2) * height * (rng.random(2) < 0.5)
    corners = np.array([(left, top), (width - right, top), (width - right, height - bottom),
                        (left, height - bottom)])
    corners += rng.normal(0, 0.006, corners.shape) * (width, height)
    cv2.fillPoly(open_, [np.round(corners).astype(np.int32)], 1.0)
    open_ = cv2.GaussianBlur(open_, (0, 0), soft)
    return grey * open_ + shade * (1 - open_)


def _patches(grey: GREY, rng) -> GREY:
    """Uniform rectangles at the edge, such as a blacked-out name, a sticker or a table."""
    grey, (height, width) = grey.copy(), grey.shape
    for _ in range(rng.integers(1, 3)):
        down, across = int(rng.uniform(0.03, 0.3) * height), int(rng.uniform(0.05, 0.25) * width)
        top = int(rng.choice([0, height - down, rng.uniform(0, height - down)], p=[0.6, 0.2, 0.2]))
        left = int(rng.choice([0, width - across]))
        grey[top : top + down, left : left + across] = rng.choice([0, 0, 1, rng.random()])
    return grey
