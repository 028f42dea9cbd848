"""Random anatomy of phantom knees: their positions on a film, and the signs of each grade.

Each knee has its own coordinates in millimetres: x runs from the knee's midline to the lateral
side, y runs down the leg, and (0, 0) is the centre of the joint space. Sizes are as on a film,
which magnifies about 1.15 times.

The signs follow Kellgren & Lawrence, "Radiological assessment of osteo-arthrosis", Annals of the
Rheumatic Diseases 16 (1957): 0 none; 1 doubtful narrowing, possible lipping; 2 definite
osteophytes, possible narrowing; 3 multiple osteophytes, definite narrowing, some sclerosis;
4 large osteophytes, marked narrowing, severe sclerosis, deformed bone ends. The signs are
exaggerated, so that grades remain visible at 4 mm a pixel. A healthy joint space is 8 mm high, and
grade 1 already has some narrowing and sclerosis.
"""

from dataclasses import dataclass

import numpy as np

SIDES = ("R", "L")  # in the image's order from left to right
FILM_HEIGHT = 350.0  # mm

# Values at these percentiles, in mm, measured on 3,000 OAI baseline films.
PERCENTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
JOINT_DISTANCE = (133, 143, 178, 228, 246)
LEFT_BELOW_RIGHT = (-17, -11, 0, 13, 19)
MIDPOINT_FROM_LEFT = (164, 185, 210, 231, 250)
JOINT_FROM_TOP = (117, 134, 173, 228, 261)

# One entry per grade. A knee's severity is a real number, so these are interpolated.
CARTILAGE_LOST = (0.0, 0.25, 0.5, 0.78, 1.05)  # share of the worse compartment's joint space
SPUR_LENGTH = (0.0, 3.0, 6.5, 10.0, 14.0)  # osteophytes, mm
SCLEROSIS = (0.0, 0.25, 0.5, 0.75, 1.0)  # extra density below the joint surface, 1 = marked
DEPRESSION = (0.0, 0.0, 0.6, 2.0, 4.5)  # depression of the worse plateau at its margin, mm
TIBIA_SHIFT = (0.0, 0.0, 1.0, 3.0, 7.0)  # the tibia's shift away from the worse compartment, mm


@dataclass(frozen=True)
class Knee:
    """The anatomy of one knee; pairs are (medial, lateral), lengths are in mm."""

    scale: float  # size relative to the tables in `outlines`
    gaps: tuple[float, float]  # joint space height
    femur_spurs: tuple[float, float]
    tibia_spurs: tuple[float, float]
    sclerosis: tuple[float, float]  # 0 none to 1 marked
    depression: tuple[float, float]
    tibia_shift: float  # towards lateral
    cortex: float  # thickness of the shafts' walls relative to the default in `film`
    marrow: float  # density inside the shafts relative to the spongy bone at their ends
    valgus: float  # slope of the femoral shaft towards lateral, mm per mm
    notch: float  # height of the intercondylar notch relative to the tables
    spines: float  # height of the tibial spines relative to the tables
    patella: tuple[float, float]  # its centre (x, y)
    fibula_offset: float  # towards lateral; it varies with the leg's rotation
    soft_tissue: float  # girth relative to the tables
    medial_limit: float  # soft tissue ends at this distance towards the other leg


@dataclass(frozen=True)
class Pose:
    """The position of a knee on the film."""

    centre: tuple[float, float]  # joint centre, mm from the film's left and top edges
    lateral: int  # lateral direction along the image's x: -1 for the right knee, +1 for the left
    tilt: float  # rotation of the leg in radians; positive moves the foot to the other leg

    def to_film(self, points: np.ndarray) -> np.ndarray:
        """Convert points (n, 2) from the knee's coordinates to the film's, both in mm."""
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        x = cos * points[:, 0] - sin * points[:, 1]
        y = sin * points[:, 0] + cos * points[:, 1]
        return np.stack([self.centre[0] + self.lateral * x, self.centre[1] + y], axis=1)


def sample_poses(film_width: float, rng: np.random.Generator) -> tuple[Pose, Pose]:
    """Draw the positions of the (right, left) knees on a film `film_width` mm wide.

    They follow the distributions measured on OAI films.
    """

    def draw(values: tuple[int, ...]) -> float:
        return float(np.interp(rng.random(), PERCENTILES, values))

    distance, step, from_top = draw(JOINT_DISTANCE), draw(LEFT_BELOW_RIGHT), draw(JOINT_FROM_TOP)
    edge = distance / 2 + 62  # keeps both joints on the film
    middle = np.clip(draw(MIDPOINT_FROM_LEFT), edge, film_width - edge)
    tilts = rng.normal(0.025, 0.03) + rng.normal(0, 0.012, 2)
    return tuple(
        Pose((middle + lateral * distance / 2, from_top + lateral * step / 2), lateral, tilt)
        for lateral, tilt in zip((-1, 1), tilts, strict=True)
    )


def sample_knees(
    grades: tuple[int, int], poses: tuple[Pose, Pose], rng: np.random.Generator
) -> list[Knee]:
    """Draw both knees of a person: of nearly the same size and girth, each with its own grade."""
    scale, girth = np.clip(rng.normal(1, 0.07), 0.86, 1.14), np.clip(rng.normal(1, 0.1), 0.85, 1.3)
    half_distance = (poses[1].centre[0] - poses[0].centre[0]) / 2
    return [
        sample_knee(grade, scale * rng.uniform(0.98, 1.02), girth, half_distance - 1, rng)
        for grade in grades
    ]


def sample_knee(
    grade: int, scale: float, girth: float, medial_limit: float, rng: np.random.Generator
) -> Knee:
    """Draw a knee of a Kellgren-Lawrence grade (0-4).

    Only the joint depends on the grade; the same random numbers are drawn for all grades. Readers
    disagree by up to about one grade, so the severity varies around the grade: neighbouring grades
    overlap, grades 0 and 3 never do.
    """
    severity = np.clip(grade + np.clip(rng.normal(0, 0.27), -0.7, 0.7), 0, 4)
    worse = 0 if rng.random() < 0.8 else 1  # the medial compartment in most knees

    def sign(
        table: tuple[float, ...], other_compartment: float, spread: float
    ) -> tuple[float, float]:
        """The (medial, lateral) amounts of a sign, with random variation in each compartment."""
        share = np.full(2, other_compartment)
        share[worse] = 1.0
        amounts = np.interp(severity, range(5), table) * share
        return tuple(amounts * np.clip(rng.normal(1, spread, 2), 0.5, 1.35))

    healthy_gaps = np.clip(rng.normal((7.8, 8.2), 0.4), 6.8, 9.2)
    shift = np.interp(severity, range(5), TIBIA_SHIFT) * rng.uniform(0.6, 1.3)
    return Knee(
        scale=scale,
        gaps=tuple(healthy_gaps * (1 - np.clip(sign(CARTILAGE_LOST, 0.6, 0.08), 0, 1))),
        femur_spurs=sign(SPUR_LENGTH, 0.85, 0.2),
        tibia_spurs=sign(SPUR_LENGTH, 0.85, 0.2),
        sclerosis=sign(SCLEROSIS, 0.7, 0.12),
        depression=sign(DEPRESSION, 0.0, 0.3),
        tibia_shift=shift if worse == 0 else -shift,
        cortex=rng.uniform(0.6, 1.4),
        marrow=rng.uniform(0.1, 0.6),
        valgus=rng.normal(0.09, 0.025),
        notch=rng.normal(1, 0.12),
        spines=rng.normal(1, 0.2),
        patella=(rng.normal(4, 3.5), rng.normal(-52, 6)),
        fibula_offset=rng.normal(0, 2.5),
        soft_tissue=girth,
        medial_limit=medial_limit,
    )
