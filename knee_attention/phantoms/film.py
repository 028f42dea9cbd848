"""Phantom films: synthetic bilateral knee radiographs with known grades and joint regions.

They let users without patient data run every step, and they are a ground truth for attention maps.
A film is simulated like a radiograph: anatomy -> outlines -> attenuation along each ray ->
exposure. Markers and the calibration bar attenuate the beam like the patient.

Positions follow measurements on 3,000 OAI baseline films. Everything outside the joint is
independent of the grade, but histogram equalisation spreads a faint trace of the joint over the
image, as on real films. Phantoms test the code; results on them do not apply to real knees.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from knee_attention.phantoms import anatomy, outlines, painting
from knee_attention.phantoms.anatomy import FILM_HEIGHT, SIDES
from knee_attention.phantoms.painting import (
    chord,
    depth_inside,
    filled,
    subpixels,
    window_of,
)

# Rows. Smaller films are drawn at this size and shrunk, to keep narrow joint spaces.
SMALLEST_GRID = 512

# Attenuation per mm. For bone this is the excess over the soft tissue that it replaces.
FAT, MUSCLE, TRABECULAR, CORTICAL = 0.013, 0.018, 0.019, 0.042


@dataclass(frozen=True)
class PhantomFilm:
    """A synthetic film with its ground truth; the patient's right knee is on the film's left.

    Boxes are (x, y, width, height) in pixels. Masks cover the region where the signs of a grade
    are: joint space, subchondral bone and margins with osteophytes, about 108 by 42 mm along the
    joint line.
    """

    image: np.ndarray  # (height, width) uint8
    grades: dict[str, int]  # {"R": 0-4, "L": 0-4}, Kellgren-Lawrence
    boxes: dict[str, tuple[int, int, int, int]]
    masks: dict[str, np.ndarray]  # (height, width) bool
    spacing: float  # mm per pixel


def phantom_film(grades: tuple[int, int], seed: int, height: int = 512) -> PhantomFilm:
    """Draw a bilateral film.

    The same arguments give the same film. The same seed with other grades gives the same person and
    exposure with other joints.

    Args:
        grades: Kellgren-Lawrence grades of the right and the left knee.
        seed: seed of the film.
        height: height in pixels; the width is 1.21 to 1.25 times as large.

    Raises:
        ValueError: a grade outside 0-4, or a height below 128.
    """
    if len(grades) != 2 or any(grade not in range(5) for grade in grades):
        raise ValueError(f"expected two grades from 0 to 4. Received: {grades}")
    if height < 128:
        raise ValueError(f"expected a height of at least 128 pixels. Received: {height}")
    rng = np.random.default_rng(seed)
    rows = max(height, SMALLEST_GRID)
    aspect = rng.uniform(1.21, 1.25)
    grid, spacing = (rows, round(rows * aspect)), FILM_HEIGHT / rows

    poses = anatomy.sample_poses(FILM_HEIGHT * aspect, rng)
    knees = anatomy.sample_knees(grades, poses, rng)
    attenuation = _air(grid, rng)
    texture = _trabeculae(grid, spacing, rng)
    for knee, pose in zip(knees, poses, strict=True):
        _add_leg(attenuation, knee, pose, texture, spacing)
    painting.add_calibration_bar(attenuation, poses, spacing, rng)
    painting.add_markers(attenuation, spacing, rng)
    painting.add_collimation(attenuation, spacing, rng)
    image = _expose(attenuation, spacing, rng)
    painting.black_out_name(image, spacing, rng)

    if height != rows:
        image = cv2.resize(image, (round(height * aspect), height), interpolation=cv2.INTER_AREA)
    spacing = FILM_HEIGHT / height
    masks, boxes, known = {}, {}, dict(zip(SIDES, map(int, grades), strict=True))
    for side, knee, pose in zip(SIDES, knees, poses, strict=True):
        masks[side] = np.zeros(image.shape, bool)
        window, paint = filled(image.shape, pose.to_film(outlines.joint_region(knee)), spacing)
        masks[side][window] = paint > 127
        x, y, across, down = cv2.boundingRect(masks[side].astype(np.uint8))
        boxes[side] = (x, y, across, down)
    return PhantomFilm(image, known, boxes, masks, spacing)


def _air(grid: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Attenuation without a patient, (rows, columns) float32: the uneven output of the tube."""
    slope_y, slope_x = rng.normal(0, 0.12, 2).astype(np.float32)
    y = np.linspace(-0.5, 0.5, grid[0], dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, grid[1], dtype=np.float32)
    return (0.12 + slope_y * y + 0.3 * y * y) + (slope_x * x + 0.3 * x * x)


def _trabeculae(grid: tuple[int, int], spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Relative density of spongy bone with vertical strands, (rows, columns) float32 around 1."""
    noise = rng.random(grid, dtype=np.float32) - 0.5
    strands = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.25 / spacing, sigmaY=1.4 / spacing)
    clouds = cv2.resize(noise[: grid[0] // 24, : grid[1] // 24], grid[::-1],
                        interpolation=cv2.INTER_CUBIC)
    contrast = rng.uniform(0.02, 0.06) / float(strands.std())
    return cv2.addWeighted(strands, contrast, clouds, 0.1, 1)


def _add_leg(
    attenuation: np.ndarray,
    knee: anatomy.Knee,
    pose: anatomy.Pose,
    texture: np.ndarray,
    spacing: float,
) -> None:
    """Add the tissues of one leg to the attenuation."""
    rows = (np.arange(len(attenuation), dtype=np.float32) + 0.5) * spacing - pose.centre[1]
    walls = np.interp(np.abs(rows), (20, 45, 130), (0.9, 1.1, 4.5 * knee.cortex))
    walls = walls.astype(np.float32)  # thickness of the cortex in each row, mm
    # The shaft holds fatty marrow instead of spongy bone.
    share = np.interp(np.abs(rows), (40, 110), (1, knee.marrow))
    density = (TRABECULAR * share).astype(np.float32)

    skin = pose.to_film(outlines.skin_outline(knee))
    window, depth = depth_inside(attenuation.shape, skin, spacing)
    fat, muscle = 1.35 * chord(depth, 40), 1.35 * chord(depth - 7, 33)
    attenuation[window] += FAT * (fat - muscle) + MUSCLE * muscle

    for outline, radius, elongation, cortex in (
        (outlines.femur_outline(knee), 12, 1.6, walls),
        (outlines.tibia_outline(knee), 12, 1.5, walls),
        (outlines.fibula_outline(knee), 8, 1.0, np.minimum(walls, 2.5)),
        (outlines.patella_outline(knee), 4, 0.6, np.full_like(walls, 0.3)),
    ):
        window, depth = depth_inside(attenuation.shape, pose.to_film(outline), spacing)
        shell = cortex[window[0], None]
        bone = elongation * chord(depth, radius)
        spongy = elongation * chord(depth - shell, radius - shell)
        attenuation[window] += CORTICAL * (bone - spongy)
        attenuation[window] += density[window[0], None] * spongy * texture[window]
    _add_bone_detail(attenuation, knee, pose, texture, spacing)


def _add_bone_detail(
    attenuation: np.ndarray,
    knee: anatomy.Knee,
    pose: anatomy.Pose,
    texture: np.ndarray,
    spacing: float,
) -> None:
    """Add dense bone at the joint surfaces, sclerosis below them, and edges inside the bone."""
    for band, thickness, density in outlines.dense_bands(knee):
        blur = 0.2 + 0.2 * thickness
        window, paint = filled(attenuation.shape, pose.to_film(band), spacing, 2 * blur)
        soft = cv2.GaussianBlur(paint, (0, 0), blur / spacing)
        attenuation[window] += soft * texture[window] * (density / 255)
    lines = [pose.to_film(line) for line in outlines.bony_lines(knee)]
    window = window_of(attenuation.shape, np.concatenate(lines), spacing, border=3)
    paint = np.zeros(attenuation[window].shape, np.uint8)
    for line in lines:
        pixels = subpixels(line, window, spacing)
        cv2.polylines(paint, [pixels], False, 255, round(1.4 / spacing), cv2.LINE_AA, shift=4)
    attenuation[window] += 0.05 / 255 * cv2.GaussianBlur(paint, (0, 0), 0.6 / spacing)


def _expose(attenuation: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Attenuation (rows, columns) float32 -> grey levels uint8, bone bright and air dark."""
    attenuation = cv2.GaussianBlur(attenuation, (0, 0), rng.uniform(0.25, 0.4) / spacing)
    # Fewer photons arrive behind thick tissue, so the logarithm of their number is noisier there.
    grain = rng.uniform(0.014, 0.042) * (rng.random(attenuation.shape, dtype=np.float32) - 0.5)
    attenuation = attenuation + grain * cv2.exp(attenuation.clip(0, 4) / 2)
    columns = np.arange(attenuation.shape[1])
    grid_lines = np.sin(columns * rng.uniform(1.5, 3)) + rng.standard_normal(len(columns))
    toe = rng.uniform(0.3, 0.6)  # less than this leaves the film black
    attenuation += (rng.uniform(0, 0.012) * grid_lines - toe).astype(np.float32)

    contrast = float(np.exp(rng.uniform(np.log(0.35), np.log(0.9))))  # pale films to saturated ones
    black, white = rng.uniform(0, 20), rng.uniform(200, 255)
    level = cv2.pow(np.tanh(contrast * attenuation.clip(1e-4)), rng.uniform(1.0, 2.0))
    return cv2.convertScaleAbs(level, alpha=white - black, beta=black)
