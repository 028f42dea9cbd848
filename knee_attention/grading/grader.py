"""Grade films with a saved model: `load_grader("model.h5").grade("film.png")`."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from knee_attention.errors import ImageError, InputError
from knee_attention.evidence.finite import refuse_not_finite
from knee_attention.evidence.probabilities import as_probabilities, tempered
from knee_attention.films.inputs import FileInMemory, OpenedFilm, files_to_open, open_film
from knee_attention.films.likeness import likeness
from knee_attention.films.network_input import PreparedKnee, prepared_knees
from knee_attention.films.polarity import bone_bright, refused
from knee_attention.films.preparation import Preparation
from knee_attention.grading.graded_knee import GradedKnee

RESEARCH_ONLY = "Research use only, not a medical device."
BATCH = 32


def load_grader(
    path: str | os.PathLike, polarity: str = "auto", crop: str = "auto"
) -> "Grader":
    """Load a saved model to grade with.

    Args:
        path: an `.h5`, `.keras` or `.onnx` file of this project, the folder of a run, or the name
            of a model that ships with the package, `"kneekl-vgg16-multiloss"`. With `.onnx`
            neither Keras nor TensorFlow is imported.
        polarity: `"auto"` turns photographic negatives, `"as-is"` takes every image as it is.
        crop: what the knees showed that the model learnt from, where its file does not say:
            `"half"`, `"square"` or `"antony"`; `"auto"` takes halves of films then.

    It may be called in any thread and leaves the process as it is. What TensorFlow writes to
    standard error while it is imported, the variable `TF_CPP_MIN_LOG_LEVEL=2` holds back.

    Raises:
        InputError: no such file, a damaged one, no model of this project, or one whose file says
            otherwise of its knees.
    """
    if Path(path).suffix.lower() == ".onnx":
        from knee_attention.networks.files.onnx_network import OnnxNetwork

        return Grader(OnnxNetwork(path), polarity, crop)
    from knee_attention.grading.keras_network import KerasNetwork

    return Grader(KerasNetwork(path), polarity, crop)


class Grader:
    """A saved model that grades films, knees, and lists of them.

    Args:
        network: from `(n, height, width, 1)` float32 knees to the outputs' probabilities and
            `<branch>_mask`s by name; with the `path` and the `description` of its file.
        polarity, crop: as `load_grader` takes them.

    Example:

    >>> for knee in load_grader("model.h5").grade("film.png"):
    ...     print(knee.side, knee.grade, knee.probabilities)
    """

    def __init__(self, network, polarity: str = "auto", crop: str = "auto"):
        self.network = network
        self.polarity = polarity
        self.description = network.description
        self.outputs = list(self.description["outputs"])
        self.chosen = self.description.get("chosen") or self.outputs[0]
        self.image_size = tuple(self.description["image_size"])
        self.preparation = Preparation.recorded(self.description, "the model").with_crop(crop)
        self._temperatures = self.description.get("temperatures") or {}
        self._typical = self.description.get("typical_knee")

    def grade(
        self, image: np.ndarray | FileInMemory | str | os.PathLike, view: str = "auto"
    ) -> list[GradedKnee]:
        """Grade the knees of one image.

        Args:
            image: a path of a PNG, JPEG, WebP, TIFF, BMP or DICOM file of 8 or 16 bits, such a file
                in memory, or its pixels `(height, width[, channels])`: a film of both knees, a
                single knee, or one prepared already.
            view: one of `limits.VIEWS`; `"auto"` finds out.

        Returns:
            The right and the left knee of a film, or one knee.

        Raises:
            ImageError: it cannot be read, shows one knee where two are expected, or, for a model of
                crops, no knee joint.
        """
        # No threads for one image: OpenCV keeps a little of every thread that ever used it.
        [(_, graded)] = self._grade_batch([(image, self._prepare(image, view))])
        if isinstance(graded, ImageError):
            raise graded
        return graded

    def grade_all(
        self, images: Iterable | str | os.PathLike, view: str = "auto", batch_size: int = BATCH
    ) -> Iterator[tuple]:
        """Grade many images, in batches of knees and in their order.

        Args:
            images: as `grade` takes them, or a folder; they are read as they are needed, in
                threads.
            view: one of `limits.VIEWS`; `"auto"` finds out.
            batch_size: knees a batch.

        Yields:
            `(image, list of GradedKnee)`, or `(image, ImageError)` for one that cannot be graded.
        """
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
        """`(image, prepared knees or ImageError)`, a batch ahead of what is graded."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            begin = partial(self._begin, pool, view)
            begun: list[tuple[object, Future]] = list(map(begin, islice(images, batch_size)))
            while begun:
                image, future = begun.pop(0)
                begun += map(begin, islice(images, 1))
                yield image, future.result()

    def _begin(self, pool: ThreadPoolExecutor, view: str, image) -> tuple[object, Future]:
        return image, pool.submit(self._prepare, image, view)

    def _prepare(self, image, view: str) -> list[tuple[PreparedKnee, bool, float]] | ImageError:
        """Each knee, whether the image was a negative, and the aspect of its pixels."""
        turned = False
        try:
            known = isinstance(image, np.ndarray)
            film = OpenedFilm(image, None) if known else open_film(image)
            pixels, turned = bone_bright(film.pixels, self.polarity)
            knees = prepared_knees(pixels, view, film.side, self.preparation, self.image_size)
            return [(knee, turned, film.pixel_aspect) for knee in knees]
        except MemoryError:
            return ImageError(_name(image), "not enough memory", passing=True)
        except (ValueError, TypeError) as error:
            return refused(_name(image), error, turned)

    def _grade_batch(self, waiting: list[tuple]) -> Iterator[tuple]:
        readable = [knees for _, knees in waiting if not isinstance(knees, ImageError)]
        prepared = [knee.image for knees in readable for knee, _, _ in knees]
        try:
            values, failure = self._computed(prepared), None
        except InputError as error:
            values, failure = {}, error
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
                    self._graded(knee, turned, aspect, values, place)
                    for place, (knee, turned, aspect) in enumerate(knees, start=first)
                ]
            except InputError as error:  # the model's fault, and another may grade the film
                graded = ImageError(_name(image), str(error), passing=True)
            yield image, graded

    def _computed(self, prepared: list[np.ndarray]) -> dict[str, np.ndarray]:
        """What the network gives of prepared knees, by name, a row a knee.

        Raises:
            InputError: the network fails, or gives another number of rows.
        """
        if not prepared:
            return {}
        values = self.network(np.stack(prepared)[..., np.newaxis].astype(np.float32))
        for name, value in values.items():
            if np.shape(value)[:1] != (len(prepared),):
                raise InputError(f"the model gives {name} of shape {np.shape(value)} for "
                                 f"{len(prepared)} knees")
        return values

    def _graded(
        self, knee: PreparedKnee, turned: bool, aspect: float, values, position: int
    ) -> GradedKnee:
        branches = {}
        for name in self.outputs:
            said = as_probabilities(values[name][position : position + 1])
            if name in self._temperatures:
                said = tempered(said, self._temperatures[name])
            branches[name] = said[0]
        masks = {
            name.removesuffix("_mask"): value[position]
            for name, value in values.items()
            if name.endswith("_mask")
        }
        for branch, mask in masks.items():
            refuse_not_finite(mask, f"the mask of {branch}")
        alike, unlike = None, False
        if self._typical:
            alike = likeness(knee.image, np.array(self._typical["grey"]))
            unlike = alike < self._typical["least"]
        return GradedKnee(
            knee.side, knee.image, branches, self.chosen, masks, turned, knee.place, alike, unlike,
            knee.mirrored, aspect, knee.frame,
        )  # fmt: skip


def _name(image: np.ndarray | FileInMemory | str | os.PathLike):
    """An image as a message calls it."""
    return "the image" if isinstance(image, np.ndarray) else image
