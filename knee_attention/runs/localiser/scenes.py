"""Random training scenes of the localiser: parts of films, crops, and images without a knee."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from knee_attention.films.joints import Box, core_seen
from knee_attention.limits import LOCALISER_SIDE
from knee_attention.runs.localiser.distractors import (
    DISTRACTORS,
    draw_distractor,
    paint_implant,
    paint_marker,
)
from knee_attention.runs.localiser.films import KnownFilm, LocaliserImages

MOST_TURN = 15.0
"""Largest rotation of a scene in degrees."""

HIDDEN, SURE = 0.4, 0.8
"""Visible share of a joint's core. From `SURE` on, the joint should be found; below `HIDDEN`, it
should not; between them, it is ignored in the loss."""

SMALLEST_BOX, LARGEST_BOX = 26, 200
"""Range of a joint box's side in pixels of the input. Joints of other sizes are ignored in the
loss: a film is processed at two scales, and one of them shows the joint in this range."""


@dataclass(frozen=True)
class Scene:
    """An image with its boxes, in pixels of the image.

    Attributes:
        image: `(height, width)` uint8, bone bright.
        joints: joint boxes that should be found.
        ignored: joint boxes that are ignored in the loss.
        implants: bounding boxes of metal.
        implant_somewhere: whether there is an implant at an unknown position.
        reach: ratio of the localiser input's side to the longer side of the image.
    """

    image: np.ndarray
    joints: Sequence[Box] = ()
    ignored: Sequence[Box] = ()
    implants: Sequence[Box] = ()
    implant_somewhere: bool = False
    reach: float = 1.0


def window_of(film: KnownFilm, kind: str, rng) -> Box:
    """A random window of a film for a kind of scene, in pixels. It may extend beyond the film."""
    height, width = film.image.shape
    x, y, side, _ = film.boxes[rng.integers(len(film.boxes))]
    middle, line = x + side / 2, y + side / 2
    if kind == "film":
        parts = rng.uniform(-0.05, 0.35, 4) * (rng.random(4) < 0.6)
        left, right = min(parts[0] * width, x), max((1 - parts[2]) * width, x + side)
        top, bottom = min(parts[1] * height, y), max((1 - parts[3]) * height, y + side)
        return left, top, right - left, bottom - top
    if kind == "shaft":
        tall, wide = rng.uniform(0.7, 1.8) * side, rng.uniform(0.9, 2.6) * side
        tops = [top for _, top, _, _ in film.boxes]
        above = min(tops) + 0.3 * side - tall
        top = above if rng.random() < 0.5 and above > -0.5 * tall else max(tops) + 0.9 * side
        return middle - rng.uniform(0.3, 0.7) * wide, top, wide, tall
    wide = float(np.exp(rng.uniform(np.log(0.9), np.log(3.5)))) * side
    tall = max(wide * float(np.exp(rng.uniform(np.log(0.55), np.log(2.2)))), 0.55 * side)
    spare = max(wide - 0.8 * side, 0), max(tall - 0.7 * side, 0)
    left = middle - wide / 2 + rng.uniform(-0.5, 0.5) * spare[0]
    return left, line - tall / 2 + rng.uniform(-0.5, 0.5) * spare[1], wide, tall


def cut_window(film: KnownFilm, window: Box, rng, reach: float) -> Scene:
    """The scene of a window, slightly rotated and stretched, with the film's joint boxes."""
    left, top, wide, tall = window
    stretch = float(np.exp(rng.normal(0, 0.03)))
    scale = LOCALISER_SIDE / reach / max(wide * stretch, tall)
    width, height = (max(24, round(s * scale)) for s in (wide * stretch, tall))
    turn = np.radians(np.clip(rng.normal(0, 5), -MOST_TURN, MOST_TURN))
    flip = -1 if rng.random() < 0.5 else 1
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    linear = np.array([[cos * flip * stretch, -sin * stretch], [sin * flip, cos]])
    middle = np.array([left + wide / 2, top + tall / 2])
    shift = np.array([width / 2, height / 2]) - linear @ middle

    source, factor = film.at(scale)
    dark = float(np.percentile(source[::8, ::8], rng.choice([0, 1, 10])))
    mode = cv2.BORDER_REPLICATE if rng.random() < 0.3 else cv2.BORDER_CONSTANT
    image = cv2.warpAffine(source, np.column_stack([linear / factor, shift]), (width, height),
                           flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=dark)
    joints, ignored = [], []
    for x, y, side, _ in film.boxes:
        centre = linear @ (x + side / 2, y + side / 2) + shift
        size = side * scale * np.sqrt(stretch)
        box = (centre[0] - size / 2, centre[1] - size / 2, size, size)
        seen = core_seen(box, (height, width))
        if seen >= HIDDEN:
            sure = seen >= SURE and SMALLEST_BOX <= size <= LARGEST_BOX
            (joints if sure else ignored).append(box)
    return Scene(image, joints, ignored, reach=reach)


KINDS = {"film": 0.26, "near": 0.14, "crop": 0.15, "turned": 0.07, "negative": 0.04,
         "shaft": 0.04, "distractor": 0.15, "beside": 0.08, "implant": 0.07}  # fmt: skip
"""Kinds of scenes and their probabilities. With joints: `film`, a large part of a film; `near`, a
close view of one joint; `crop`, the crop of a joint; `beside`, another body part next to a knee.
Without joints: `turned`, a film rotated by quarter turns; `negative`, a photographic negative;
`shaft`, only a thigh or calf; `distractor`, another body part. `implant` is a real implant."""

TRANSPLANTED = 0.3
"""Probability that a film's joints are replaced by crops of real joints, if there are crops."""

INVERTED = 0.15
"""Probability that another body part is a photographic negative."""

IMPLANTED, MARKED = 0.2, 0.08
"""Probabilities that metal is drawn over a joint, and next to the joints."""

VARIED = 0.6
"""Probability that a scene gets the appearance of another machine."""


def scene_of(films: LocaliserImages, rng: np.random.Generator) -> Scene:
    """A random scene of a random kind."""
    there = {kind: share for kind, share in KINDS.items() if kind != "implant" or films.implants}
    shares = np.array(list(there.values()))
    kind = str(rng.choice(list(there), p=shares / shares.sum()))
    if kind == "implant":
        image = _varied_view(KnownFilm(_pick(films.implants, rng), "implant"), rng)
        return replace(image, implant_somewhere=True)
    if kind == "distractor":
        return _varied_view(_distractor(films, rng), rng)
    if kind == "crop" and films.crops:
        scene = _crop_scene(films, rng)
    else:
        scene = _film_scene(films, kind, rng)
    if kind == "beside":
        scene = _beside(scene, _varied_view(_distractor(films, rng), rng), rng)
    if scene.joints and rng.random() < IMPLANTED:
        image, metal = paint_implant(scene.image, _pick(scene.joints, rng), rng)
        scene = replace(scene, image=image, implants=[metal])
    if rng.random() < MARKED:
        scene = replace(scene, image=paint_marker(scene.image, scene.joints, rng))
    return scene


def _pick(items: Sequence, rng):
    return items[rng.integers(len(items))]


def _distractor(films: LocaliserImages, rng) -> KnownFilm:
    if films.distractors and rng.random() < 0.75:
        image = _pick(films.distractors, rng)
    else:
        size = tuple(int(side) for side in rng.integers(160, 400, 2))
        image = draw_distractor(str(rng.choice(list(DISTRACTORS))), size, rng)
    return KnownFilm(~image if rng.random() < INVERTED else image, "distractor")


def _varied_view(film: KnownFilm, rng) -> Scene:
    """A large part of an image without joint boxes, rotated by up to 15 degrees or quarter turns.
    """
    height, width = film.image.shape
    parts = rng.uniform(0, 0.2, 4) * (rng.random(4) < 0.6)
    window = (parts[0] * width, parts[1] * height, (1 - parts[0] - parts[2]) * width,
              (1 - parts[1] - parts[3]) * height)
    scene = cut_window(film, window, rng, _reach(rng))
    if rng.random() < 0.3:
        scene = replace(scene, image=_quarters(scene.image, rng))
    return scene


def _reach(rng) -> float:
    """Ratio of the input's side to the image's: mostly 1, else larger, as in the second pass."""
    return 1.0 if rng.random() < 0.65 else float(rng.uniform(1.2, 3.0))


def _quarters(image: np.ndarray, rng) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(image, rng.integers(1, 4)))


def _crop_scene(films: LocaliserImages, rng) -> Scene:
    """The crop of a joint, whole or in part."""
    crop = _pick(films.crops, rng)
    width = crop.image.shape[1]
    if rng.random() < 0.5:
        window = (0.0, 0.0, float(width), float(width))
    else:
        wide, tall = rng.uniform(0.75, 1.1) * width, rng.uniform(0.45, 1.1) * width
        left = (width - wide) * rng.uniform(0.2, 0.8)
        top = (width - tall) * rng.uniform(0.35, 0.75)
        window = (left, top, wide, tall)
    return cut_window(crop, window, rng, float(rng.uniform(1.5, 3.5)))


def _film_scene(films: LocaliserImages, kind: str, rng) -> Scene:
    film = _pick(films.real if films.real and rng.random() < 0.65 else films.phantoms, rng)
    if films.crops and rng.random() < TRANSPLANTED:
        film = transplanted(film, films.crops, rng)
    shown = str(rng.choice(["film", "near"])) if kind in ("turned", "negative") else kind
    shown = "near" if shown in ("crop", "beside") else shown
    reach = float(rng.uniform(1.5, 3.0)) if kind == "crop" else _reach(rng)
    scene = cut_window(film, window_of(film, shown, rng), rng, reach)
    if kind in ("turned", "negative"):
        image = _quarters(scene.image, rng) if kind == "turned" else ~scene.image
        scene = replace(scene, image=image, joints=(), ignored=())
    return scene


def transplanted(film: KnownFilm, crops: Sequence[KnownFilm], rng) -> KnownFilm:
    """A film whose joints are replaced by crops of real joints, blended into the film."""
    image = film.image.astype(np.float32)
    for box in film.boxes:
        crop = _pick(crops, rng)
        [(x, y, side, _)] = crop.boxes
        scale = box[2] / side
        corner = np.array(box[:2]) - scale * np.array([x, y])
        place = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
        size = film.image.shape[::-1]
        joint = crop.image.astype(np.float32)
        height, width = joint.shape
        ramp = [np.minimum(np.arange(n) + 1, np.arange(n)[::-1] + 1) / (0.16 * n)
                for n in (height, width)]
        alpha = np.minimum(ramp[0][:, None], ramp[1]).clip(0, 1).astype(np.float32)
        joint, alpha = (cv2.warpAffine(part, place, size, flags=cv2.INTER_AREA)
                        for part in (joint, alpha))
        inside = alpha > 0.5
        if not inside.any():
            continue
        here, there = image[inside], joint[inside]
        joint = (joint - there.mean()) * (here.std() / max(float(there.std()), 1)) + here.mean()
        image = image + alpha * (joint - image)
    return KnownFilm(image.clip(0, 255).astype(np.uint8), film.name, film.boxes)


def _beside(knee: Scene, other: Scene, rng) -> Scene:
    """A knee and another body part on one film, with or without a strip between them."""
    height, width = knee.image.shape
    scale = height / other.image.shape[0]
    size = max(16, round(other.image.shape[1] * scale)), height
    beside = cv2.resize(other.image, size, interpolation=cv2.INTER_AREA)[:, : 2 * width]
    strip = np.full((height, rng.integers(0, max(2, width // 15))), rng.choice([0, 128, 255]),
                    np.uint8)
    parts, shift = [knee.image, strip, beside], 0
    if rng.random() < 0.5:
        parts, shift = parts[::-1], beside.shape[1] + strip.shape[1]
    image = np.hstack(parts)
    factor = LOCALISER_SIDE / knee.reach / max(image.shape)
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)

    def moved(boxes: Sequence[Box]) -> list[Box]:
        return [((x + shift) * factor, y * factor, w * factor, h * factor) for x, y, w, h in boxes]

    return replace(knee, image=small, joints=moved(knee.joints), ignored=moved(knee.ignored))
