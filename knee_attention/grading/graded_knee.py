"""A knee and what a model says of it."""

from dataclasses import dataclass, field

import numpy as np

from knee_attention.evidence.figures.pictures import at_image_size
from knee_attention.evidence.probabilities import classifying, ensemble
from knee_attention.films.borders import Frame
from knee_attention.films.network_input import Place
from knee_attention.kl import GRADES, OSTEOARTHRITIS


@dataclass(frozen=True)
class GradedKnee:
    """A knee and what a model says of it.

    Attributes:
        side: `"R"` or `"L"`, the patient's; None where it is not known.
        image: `(height, width)` uint8, the knee as the network saw it.
        branches: `{output: (5,)}` probabilities of the grades 0 to 4 by each output.
        chosen: the output that grades, chosen on validation.
        low_masks: `{branch: (h, w)}` attention masks in 0-1, at the branch's own resolution.
        turned: whether the image was a photographic negative.
        place: where on its film the joint was cut out, for a model of crops; None for half a film,
            or a knee that was given as one.
        likeness: to the knees that the model learnt from, as `films.likeness` has it; None where
            the model's file does not say how these look.
        unlike: whether that is less than for 95 of 100 knees of its validation set.
        mirrored: whether the network saw the mirror image of the knee, and so masks are mirrored.
        pixel_aspect: height over width of the pixels of the file; 1.0 where they are square, others
            were made square before anything else.
        frame: the border of one grey that was taken off the image before it was graded.
    """

    side: str | None
    image: np.ndarray = field(repr=False)
    branches: dict[str, np.ndarray]
    chosen: str
    low_masks: dict[str, np.ndarray] = field(repr=False)
    turned: bool = False
    place: Place | None = field(default=None, repr=False)
    likeness: float | None = None
    unlike: bool = False
    mirrored: bool = False
    pixel_aspect: float = 1.0
    frame: Frame = Frame()

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """What was cut out: left, top, width and height in pixels of the film."""
        return self.place.box if self.place else None

    @property
    def probabilities(self) -> np.ndarray:
        """`(5,)` probabilities of the chosen output."""
        return self.branches[self.chosen]

    @property
    def grade(self) -> int:
        """The most probable Kellgren-Lawrence grade by the chosen output."""
        return int(self.probabilities.argmax())

    @property
    def expected_grade(self) -> float:
        """The mean grade under the probabilities of the chosen output."""
        return float(self.probabilities @ np.array(GRADES))

    @property
    def oa_probability(self) -> float:
        """The probability of radiographic osteoarthritis, KL >= 2, by the chosen output."""
        return float(self.probabilities[OSTEOARTHRITIS:].sum())

    @property
    def ensemble(self) -> np.ndarray:
        """`(5,)` probabilities of all outputs that classify, averaged before the softmax."""
        members = classifying(self.branches).values()
        return ensemble([values[np.newaxis] for values in members])[0]

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """`{branch: (height, width)}` attention masks in 0-1, at the image's size."""
        return {
            branch: at_image_size(mask, self.image.shape) for branch, mask in self.low_masks.items()
        }

    @property
    def mask(self) -> np.ndarray | None:
        """The mask of the chosen branch; of fused branches, that of the first; None of a baseline,
        which has no attention.
        """
        branches = [self.chosen, *self.low_masks]
        return next((self.masks[branch] for branch in branches if branch in self.low_masks), None)

    def as_on_film(self, picture: np.ndarray) -> np.ndarray:
        """The knee's `image`, or a mask, with left and right as the film has them."""
        return np.ascontiguousarray(picture[:, ::-1]) if self.mirrored else picture
