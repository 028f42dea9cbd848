"""A graded knee: the image that the network saw, its outputs, and the predicted grade."""

from dataclasses import dataclass, field

import numpy as np

from knee_attention.evidence.figures.pictures import at_image_size
from knee_attention.evidence.prediction_sets import WIDE, range_in_words
from knee_attention.evidence.probabilities import classifying, ensemble
from knee_attention.films.borders import Frame
from knee_attention.films.network_input import Place
from knee_attention.kl import GRADES, OSTEOARTHRITIS


@dataclass(frozen=True)
class GradedKnee:
    """A knee with the outputs of a model.

    Attributes:
        side: the patient's side, `"R"` or `"L"`; None if it is unknown.
        image: `(height, width)` uint8, the knee as the network saw it.
        branches: `{output: (5,)}` probabilities of the grades 0 to 4 by each output.
        chosen: the output that gives the predicted grade.
        low_masks: `{branch: (h, w)}` attention masks in 0-1, at the branch's resolution.
        turned: whether the image was a photographic negative, which was inverted.
        place: where the joint was cropped from its film, for a model of crops; None for half a
            film, or for an image of one knee.
        likeness: correlation with the mean training knee, see `network_input.likeness`; None if
            the model file does not record that knee.
        unlike: whether `likeness` is below that of 95 of 100 validation knees.
        mirrored: whether the network saw the mirror image; the masks are mirrored then, too.
        pixel_aspect: height over width of the file's pixels. If it is not 1, the film was resampled
            to square pixels first.
        frame: the uniform border that was cropped off before grading.
        decided: the grade by the decision rule; None means the most probable grade.
        grade_set: lowest and highest grade of the prediction set; None if the model has no sets.
        coverage: the share of knees whose set holds the true grade, if they are like the knees of
            the calibration.
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
    decided: int | None = None
    grade_set: tuple[int, int] | None = None
    coverage: float | None = None

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """The crop on the film: left, top, width and height in pixels; None without a crop."""
        return self.place.box if self.place else None

    @property
    def probabilities(self) -> np.ndarray:
        """`(5,)` probabilities of the grades by the chosen output."""
        return self.branches[self.chosen]

    @property
    def grade(self) -> int:
        """The Kellgren-Lawrence grade by the chosen output and the decision rule."""
        return int(self.probabilities.argmax()) if self.decided is None else self.decided

    @property
    def expected_grade(self) -> float:
        """The mean grade under the chosen output's probabilities."""
        return float(self.probabilities @ np.array(GRADES))

    @property
    def oa_probability(self) -> float:
        """The probability of radiographic osteoarthritis, KL >= 2, by the chosen output."""
        return float(self.probabilities[OSTEOARTHRITIS:].sum())

    @property
    def between(self) -> tuple[int, int] | None:
        """The two grades between which the knee is, if `grade` and `oa_probability` disagree.

        They disagree if one says osteoarthritis (KL >= 2, or a probability of at least one half)
        and the other does not.
        """
        if (self.grade >= OSTEOARTHRITIS) == (self.oa_probability >= 0.5):
            return None
        return min(self.grade, OSTEOARTHRITIS - 1), max(self.grade, OSTEOARTHRITIS)

    @property
    def look_again(self) -> bool:
        """Whether to look again: a set of three grades or more, or `unlike`."""
        lowest, highest = self.grade_set or (self.grade, self.grade)
        return self.unlike or highest - lowest + 1 >= WIDE

    @property
    def words(self) -> str:
        """The grade, its prediction set and `between`: `"KL 2 (1-2), between 1 and 2"`."""
        shown = f"KL {self.grade}"
        if self.grade_set:
            shown += f" ({range_in_words(*self.grade_set)})"
        if self.between:
            shown += ", between {} and {}".format(*self.between)
        return shown

    @property
    def ensemble(self) -> np.ndarray:
        """`(5,)` probabilities of all classifying outputs, averaged before the softmax."""
        members = classifying(self.branches).values()
        return ensemble([values[np.newaxis] for values in members])[0]

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """`{branch: (height, width)}` attention masks in 0-1, at the image's size."""
        return {
            branch: at_image_size(mask, self.image.shape) for branch, mask in self.low_masks.items()
        }

    def as_on_film(self, picture: np.ndarray) -> np.ndarray:
        """The knee's `image` or a mask, flipped back to the film's left and right if mirrored."""
        return np.ascontiguousarray(picture[:, ::-1]) if self.mirrored else picture
