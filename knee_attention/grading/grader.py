"""Grading films with a saved model: `load_grader("model.h5").grade("film.png")`."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice

import numpy as np

from knee_attention.errors import ImageError, InputError
from knee_attention.evidence.calibration import Calibration
from knee_attention.evidence.probabilities import (
    as_probabilities,
    mean_of_passes,
    refuse_not_finite,
)
from knee_attention.films.inputs import FileInMemory, OpenedFilm, files_to_open, open_film
from knee_attention.films.network_input import (
    PreparedKnee,
    likeness,
    prepared_knees,
    with_mirror_images,
)
from knee_attention.films.polarity import bone_bright, refused
from knee_attention.films.preparation import Preparation
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.limits import PROBABLE
from knee_attention.networks.files.description import masked_branches
from knee_attention.networks.files.location import model_path

RESEARCH_ONLY = "Research use only, not a medical device."
BATCH = 32


def load_grader(
    path: str | os.PathLike,
    polarity: str = "auto",
    crop: str = "auto",
    decide: str | None = None,
    coverage: float | None = None,
) -> "Grader":
    """Load a saved model for grading.

    Args:
        path: an `.h5`, `.keras` or `.onnx` file of this project, the folder of a run, or the name
            of a model that ships with the package, `"kneekl-vgg16-multiloss"`, whose `.onnx` file
            is taken. OpenCV runs an `.onnx` file, without Keras and TensorFlow.
        polarity: `"auto"` inverts photographic negatives, `"as-is"` leaves every image as it is.
        crop: what the training knees show, for a model file that does not record it: `"half"` of a
            film, `"square"` or `"antony"`; `"auto"` means half.
        decide: the rule that gives the grade, one of `evidence.decision.DECISIONS`; None means the
            default of the model file, or else the most probable grade.
        coverage: the share of knees whose prediction set holds the true grade, from 0.01 to 0.99;
            None means 0.9 if the model file has prediction sets.

    It can be called in any thread and does not change process state. The environment variable
    `TF_CPP_MIN_LOG_LEVEL=2` hides what TensorFlow logs during its import.

    Raises:
        InputError: the file does not exist, is damaged, or is not a model of this project; `crop`
            contradicts the file; or it lacks what `decide` or `coverage` needs.

    Example:

    >>> from knee_attention import load_grader, phantom_film
    >>> grader = load_grader("kneekl-vgg16-multiloss")
    >>> knees = grader.grade(phantom_film((0, 4), seed=0).image)
    >>> [(knee.side, knee.probabilities.shape) for knee in knees]
    [('R', (5,)), ('L', (5,))]
    """
    path = model_path(path, ".onnx")
    if path.suffix.lower() == ".onnx":
        from knee_attention.networks.files.onnx_network import OnnxNetwork

        return Grader(OnnxNetwork(path), polarity, crop, decide, coverage)
    from knee_attention.grading.keras_network import KerasNetwork

    return Grader(KerasNetwork(path), polarity, crop, decide, coverage)


class Grader:
    """A saved model that grades films and knees, singly or in batches.

    Args:
        network: a callable from `(n, height, width, 1)` float32 knees to a dict of the outputs'
            probabilities and of the masks `<branch>_mask`. It has the `path` and the `description`
            of its file.
        polarity, crop, decide, coverage: see `load_grader`.
    """

    def __init__(
        self,
        network,
        polarity: str = "auto",
        crop: str = "auto",
        decide: str | None = None,
        coverage: float | None = None,
    ):
        self.network = network
        self.polarity = polarity
        self.description = network.description
        self.outputs = list(self.description["outputs"])
        self.branches = list(self.description.get("branches") or [])
        self.chosen = self.description.get("chosen") or self.outputs[0]
        self.image_size = tuple(self.description["image_size"])
        self.preparation = Preparation.recorded(self.description, "the model").with_crop(crop)
        self.calibration = Calibration.recorded(self.description)
        self.decide = self.calibration.checked_rule(decide)
        self.coverage = self.calibration.checked_coverage(coverage)
        if self.preparation.displaced:
            raise InputError("the model was trained on displaced joints (--displace) to test its "
                             "attention; it grades no films")
        self.flips = bool(self.description.get("flips"))
        self._typical = self.description.get("typical_knee")

    @property
    def validation(self) -> dict | None:
        """The recorded validation metrics of the chosen output and the decision rule.

        They hold for the original calibration. None if the file records none.
        """
        results = self.description.get("results") or {}
        decision = self.description.get("decision") or {}
        of_output = results.get("outputs", {}).get(self.chosen, {})
        of_rule = (decision.get("validation") or {}).get(self.decide)
        if self.decide == PROBABLE:
            return {**of_output, **(of_rule or {})} or None
        return {"oa_auc": of_output.get("oa_auc"), **of_rule} if of_rule else None

    def check_masks_fit_boxes(self) -> None:
        """Refuse a model whose masks have no known place on the film.

        Raises:
            InputError: the model has no attention, takes halves of films, or pads its crops.
        """
        cutting = self.preparation.cutting
        stretched = self.preparation.fit == "stretch" and (not cutting or cutting.fit == "stretch")
        if not masked_branches(self.description):
            raise InputError(f"{self.network.path}: the model has no attention to map")
        if not (self.preparation.shows_joints and stretched):
            raise InputError(f"{self.network.path}: it grades no crops of joints or pads them, "
                             "so its masks have no known place on a film; leave out "
                             "--parametric-map")

    def grade(
        self, image: np.ndarray | FileInMemory | str | os.PathLike, view: str = "auto"
    ) -> list[GradedKnee]:
        """Grade the knees of one image.

        Args:
            image: the path of a PNG, JPEG, WebP, TIFF, BMP or DICOM file of 8 or 16 bits, such a
                file in memory, or pixels `(height, width[, channels])`. It shows both knees, one
                knee, or a knee that is already prepared.
            view: one of `limits.VIEWS`; `"auto"` detects it, and refuses a DICOM file whose header
                states a lateral or axial view.

        Returns:
            The right and the left knee of a film, or one knee.

        Raises:
            ImageError: the image cannot be read, shows one knee where two are expected, or shows no
                knee joint to a model of crops.
        """
        # No thread pool for one image: OpenCV keeps some memory for every thread that used it.
        [(_, graded)] = self._grade_batch([(image, self._prepare(image, view))])
        if isinstance(graded, ImageError):
            raise graded
        return graded

    def grade_all(
        self, images: Iterable | str | os.PathLike, view: str = "auto", batch_size: int = BATCH
    ) -> Iterator[tuple]:
        """Grade many images in batches, in their order.

        Args:
            images: images as `grade` takes them, or a folder. Threads read them one batch ahead.
            view: one of `limits.VIEWS`; `"auto"` detects it, and refuses a DICOM file whose header
                states a lateral or axial view.
            batch_size: knees per batch.

        Yields:
            `(image, list of GradedKnee)`, or `(image, ImageError)` if it cannot be graded.

        Raises:
            InputError: a batch size below 1, or a folder without images.
        """
        if batch_size < 1:
            raise InputError(f"expected a batch size of at least 1. Received: {batch_size}")
        if isinstance(images, (str, os.PathLike)):
            images = files_to_open([images])
        waiting, count = [], 0
        for image, prepared in self._read_ahead(iter(images), view, batch_size):
            waiting.append((image, prepared))
            if not isinstance(prepared, ImageError):
                count += len(prepared)
            if count >= batch_size:
                yield from self._grade_batch(waiting)
                waiting, count = [], 0
        yield from self._grade_batch(waiting)

    def _read_ahead(self, images: Iterator, view: str, batch_size: int) -> Iterator[tuple]:
        """`(image, prepared knees or ImageError)`, prepared one batch ahead in threads."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            submit = partial(self._submit, pool, view)
            submitted: list[tuple[object, Future]] = list(map(submit, islice(images, batch_size)))
            while submitted:
                image, future = submitted.pop(0)
                submitted += map(submit, islice(images, 1))
                yield image, future.result()

    def _submit(self, pool: ThreadPoolExecutor, view: str, image) -> tuple[object, Future]:
        return image, pool.submit(self._prepare, image, view)

    def _prepare(self, image, view: str) -> list[tuple[PreparedKnee, bool, float]] | ImageError:
        """The knees of an image, each with whether it is inverted and with its pixel aspect."""
        inverted = False
        try:
            is_array = isinstance(image, np.ndarray)
            film = OpenedFilm(image, None) if is_array else open_film(image)
            if view == "auto" and film.other_view:
                raise ImageError(_name(image), f"its header states another view ({film.other_view}"
                                 "); if that is wrong, use knee-attention grade --view")
            pixels, inverted = bone_bright(film.pixels, self.polarity)
            knees = prepared_knees(pixels, view, film.side, self.preparation, self.image_size)
            return [(knee, inverted, film.pixel_aspect) for knee in knees]
        except MemoryError:
            return ImageError(_name(image), "not enough memory", temporary=True)
        except (ValueError, TypeError) as error:
            return refused(_name(image), error, inverted)

    def _grade_batch(self, waiting: list[tuple]) -> Iterator[tuple]:
        readable = [knees for _, knees in waiting if not isinstance(knees, ImageError)]
        prepared = [knee.image for knees in readable for knee, _, _ in knees]
        try:
            passes, failure = self._compute(prepared), None
        except InputError as error:
            passes, failure = [], error
        position = 0
        for image, knees in waiting:
            if isinstance(knees, ImageError):
                yield image, knees
                continue
            first, position = position, position + len(knees)
            try:
                if failure:
                    raise failure
                graded: list[GradedKnee] | ImageError = [
                    self._graded(knee, inverted, aspect, passes, index)
                    for index, (knee, inverted, aspect) in enumerate(knees, start=first)
                ]
            except InputError as error:  # the model's fault: another model may grade the film
                graded = ImageError(_name(image), str(error), temporary=True)
            yield image, graded

    def _compute(self, prepared: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """The network's values for each pass over prepared knees, by name, one row per knee.

        Raises:
            InputError: the network fails, or returns another number of rows.
        """
        if not prepared:
            return []
        knees = np.stack(prepared)[..., np.newaxis].astype(np.float32)
        passes = [self.network(images) for images in with_mirror_images(knees, self.flips)]
        for values in passes:
            for name, value in values.items():
                if np.shape(value)[:1] != (len(prepared),):
                    raise InputError(f"the model returns {name} of shape {np.shape(value)} for "
                                     f"{len(prepared)} knees")
        return passes

    def _graded(
        self, knee: PreparedKnee, inverted: bool, aspect: float, passes: list[dict], index: int
    ) -> GradedKnee:
        raw = {
            name: mean_of_passes(
                name, [as_probabilities(values[name][index : index + 1]) for values in passes]
            )
            for name in self.outputs
        }
        calibration = self.calibration
        branches = {name: calibration.probabilities(name, found) for name, found in raw.items()}
        grades = calibration.grades(branches[self.chosen], self.decide)
        grade_set = None
        if self.coverage is not None:
            [[*grade_set]] = calibration.sets(branches[self.chosen], grades, self.coverage).tolist()
        masks = {
            name.removesuffix("_mask"): value[index]
            for name, value in passes[0].items()
            if name.endswith("_mask")
        }
        for branch, mask in masks.items():
            refuse_not_finite(mask, f"the mask of {branch}")
        alike, unlike = None, False
        if self._typical:
            alike = likeness(knee.image, np.array(self._typical["grey"]))
            unlike = alike < self._typical["least"]
        return GradedKnee(
            knee.side, knee.image, {name: found[0] for name, found in branches.items()},
            self.chosen, masks, inverted, knee.place, alike, unlike, knee.mirrored, aspect,
            knee.frame, int(grades[0]), grade_set and tuple(grade_set), self.coverage,
        )  # fmt: skip


def _name(image: np.ndarray | FileInMemory | str | os.PathLike):
    """The image's name in a message."""
    return "the image" if isinstance(image, np.ndarray) else image
