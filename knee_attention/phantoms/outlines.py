"""Shapes of a phantom knee: outlines of bone and skin, dense bone, edges inside the bone.

All are in the knee's own coordinates in millimetres (module `anatomy`).
"""

import numpy as np

from knee_attention.phantoms.anatomy import Knee

REFERENCE_HALF_WIDTH = 44.0  # half the width of the tibial plateau in the tables below, mm
PLATEAU = 2.5  # y of the tibial plateau below the centre of the joint space, mm
JOINT_BAND = 21.0  # extent of the joint region above and below the joint's centre, mm
JOINT_MARGIN = 10.0  # extent of the joint region beyond the plateau on either side, mm

# Half outlines from the midline outwards, then along the shaft: (x, y) in mm, y from the plateau.
FEMUR_SURFACE = ((0, -14.5), (6, -13.5), (10, -9.5), (14, -4.5), (19, -0.8), (27, 0), (34, -0.4))
FEMUR_SHAFT = ((44, -16), (46, -25), (48.5, -36), (47, -47), (40, -60), (31, -72), (25.5, -84),
               (21.5, -103), (19, -130), (17.5, -420))
TIBIA_SURFACE = ((0, -4), (3, -6), (5.5, -9), (8, -5.5), (11, -1.5), (16, 0.8), (27, 1.2), (38, 0))
TIBIA_SHAFT = ((43, 14), (40, 23), (34, 32), (27, 42), (22, 55), (18.5, 72), (16.5, 100), (15, 420))
FIBULA = ((43, 19), (48, 23), (54, 33), (54, 43), (50, 58), (47.5, 90), (46, 130), (43, 420),
          (32, 420), (35, 130), (37, 90), (37.5, 60), (36, 46), (35, 32))
LATERAL_SKIN = ((72, -420), (66, -150), (60, -60), (58, -10), (58, 30), (64, 65), (71, 110),
                (66, 170), (46, 420))
MEDIAL_SKIN = ((80, -420), (72, -150), (62, -60), (56, -10), (52, 30), (53, 65), (58, 110),
               (54, 170), (40, 420))


def femur_surface(knee: Knee, compartment: int) -> np.ndarray:
    """A condyle's joint surface from the notch to its margin, (n, 2) mm; x is positive outwards."""
    points = np.array(FEMUR_SURFACE) * (1, knee.notch) * knee.scale
    sunk = knee.depression[compartment] * np.clip(points[:, 0] / REFERENCE_HALF_WIDTH, 0, 1)
    points[:, 1] += PLATEAU + 1.2 * knee.scale - knee.gaps[compartment] + sunk
    return points


def tibia_surface(knee: Knee, compartment: int) -> np.ndarray:
    """A plateau from between the spines to its margin, (n, 2) mm; x is positive outwards."""
    points = np.array(TIBIA_SURFACE) * (1, knee.spines) * knee.scale
    sunk = knee.depression[compartment] * np.clip(points[:, 0] / REFERENCE_HALF_WIDTH, 0, 1)
    points[:, 1] += PLATEAU + sunk
    return points


def femur_outline(knee: Knee) -> np.ndarray:
    """The closed outline of the distal femur, (n, 2) mm, corners rounded; it extends beyond the
    film."""
    halves = []
    for compartment, spur in enumerate(knee.femur_spurs):
        surface = femur_surface(knee, compartment)
        edge = surface[-1, 1]
        margin = [(40.5 * knee.scale, edge - 2),
                  (42.5 * knee.scale + spur, edge - 3.5 + 0.1 * spur),
                  (42.5 * knee.scale + 0.6 * spur, edge - 5 - 0.25 * spur),
                  (43.5 * knee.scale + 0.2 * spur, edge - 8 - 0.6 * spur)]
        halves.append(np.concatenate([surface, margin, np.array(FEMUR_SHAFT) * knee.scale]))
    outline = round_corners(_join(*halves))
    outline[:, 0] += knee.valgus * np.maximum(-outline[:, 1] - 35 * knee.scale, 0)
    return outline


def tibia_outline(knee: Knee) -> np.ndarray:
    """The closed outline of the proximal tibia with its spines, (n, 2) mm, corners rounded; it
    extends beyond the film."""
    halves = []
    for compartment, spur in enumerate(knee.tibia_spurs):
        surface = tibia_surface(knee, compartment)
        edge = surface[-1, 1]
        margin = [(43.5 * knee.scale + spur, edge + 0.6 - 0.25 * spur),
                  (44 * knee.scale + 0.7 * spur, edge + 3 + 0.2 * spur),
                  (43.5 * knee.scale + 0.15 * spur, edge + 6 + 0.5 * spur)]
        halves.append(np.concatenate([surface, margin, np.array(TIBIA_SHAFT) * knee.scale]))
    outline = round_corners(_join(*halves))
    outline[:, 0] += knee.tibia_shift * np.interp(outline[:, 1], (15, 35), (1, 0))
    return outline


def fibula_outline(knee: Knee) -> np.ndarray:
    """The closed outline of the fibula, on the lateral side, (n, 2) mm, corners rounded."""
    offset = (knee.fibula_offset, PLATEAU)
    return round_corners(np.array(FIBULA) * knee.scale + offset)


def patella_outline(knee: Knee) -> np.ndarray:
    """The closed outline of the patella, which overlaps the femur, (n, 2) mm."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    disc = np.stack([24 * np.cos(angle), 21 * np.sin(angle) + 3 * np.cos(2 * angle)], axis=1)
    return (disc + knee.patella) * knee.scale


def skin_outline(knee: Knee) -> np.ndarray:
    """The closed outline of the skin, (n, 2) mm; it is flat where it would touch the other leg."""
    girth = knee.scale * knee.soft_tissue, 1
    lateral, medial = np.array(LATERAL_SKIN) * girth, np.array(MEDIAL_SKIN) * girth
    medial = np.minimum(medial, (knee.medial_limit, np.inf)) * (-1, 1)
    return round_corners(np.concatenate([medial[::-1], lateral]), radius=12)


def dense_bands(knee: Knee) -> list[tuple[np.ndarray, float, float]]:
    """Lenses of dense bone along every joint surface: the subchondral plate, and sclerosis.

    Returns:
        For each lens its outline (n, 2) in mm, its thickness in the middle in mm, and its
        attenuation.
    """
    bands = []
    for compartment, mirror in enumerate(((-1, 1), (1, 1))):
        amount = knee.sclerosis[compartment]
        for surface, inwards, shift in (
            (femur_surface(knee, compartment), -1, 0.0),
            (tibia_surface(knee, compartment), 1, knee.tibia_shift),
        ):
            x = np.linspace(11, 42, 16) * knee.scale
            y = np.interp(x, *surface.T)
            bulge = inwards * np.sin(np.linspace(0, np.pi, len(x))) ** 0.6
            for thickness, density in ((1.6, 0.28), (3 + 9 * amount, min(0.8, 1.6 * amount))):
                lower = np.stack([x, y + thickness * bulge], 1)
                lens = np.concatenate([np.stack([x, y], 1), lower[::-1]])
                bands.append((lens * mirror + (shift, 0), thickness, density))
    return bands


def bony_lines(knee: Knee) -> list[np.ndarray]:
    """Edges inside the bone as open lines (n, 2) in mm: notch walls, growth plate scars, the
    plateau's far rim. Their positions do not depend on the grade."""
    wave = np.linspace(-1, 1, 12)
    rim = 3.5 * (knee.spines - 0.6)
    lines = [np.stack([35 * wave, 23 - 4 * wave**2 + 2 * knee.spines * np.sin(5 * wave)], 1),
             np.stack([38 * wave, -34 - 5 * knee.notch * np.cos(6 * wave)], 1)]
    for side in (-1, 1):
        lines.append(np.array([(side * 11, -14), (side * 13, -20 * knee.notch), (side * 12, -30)]))
        lines.append(np.array([(side * 14, rim + 1), (side * 27, rim + 3), (side * 41, rim + 1)]))
    return [line * knee.scale for line in lines]


def joint_region(knee: Knee) -> np.ndarray:
    """The corners (4, 2) in mm of the region with the signs of a grade.

    It is the same for every grade; only the tips of the longest osteophytes lie outside.
    """
    reach = REFERENCE_HALF_WIDTH * knee.scale + JOINT_MARGIN
    return np.array([(-reach, -JOINT_BAND), (reach, -JOINT_BAND),
                     (reach, JOINT_BAND), (-reach, JOINT_BAND)])


def round_corners(outline: np.ndarray, radius: float = 1.6) -> np.ndarray:
    """Resample a closed outline, (n, 2) mm, at every mm and smooth it over about `radius` mm."""
    closed = np.concatenate([outline, outline[:1]])
    travelled = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    steps = np.arange(0, travelled[-1], 1.0)
    dense = np.stack([np.interp(steps, travelled, closed[:, axis]) for axis in (0, 1)], axis=1)
    reach = int(3 * radius)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    wrapped = np.concatenate([dense[-reach:], dense, dense[:reach]])
    return np.stack(
        [np.convolve(wrapped[:, axis], kernel / kernel.sum(), "valid") for axis in (0, 1)], axis=1
    )


def _join(medial: np.ndarray, lateral: np.ndarray) -> np.ndarray:
    """Join two half outlines, which both run from the midline outwards, to a closed outline."""
    return np.concatenate([(medial * (-1, 1))[::-1], lateral[1:]])
