"""The package as a library: six snippets on synthetic films, about a minute on two cores.

    python experiments/library.py

Each function stands alone; copy what you need. The same calls work on real films and data sets:
`grader.grade("film.dcm")`, and `load_dataset("DIR", size)` in place of `phantom_dataset(size)`.
"""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import as_path
from knee_attention.files import make_folder
from knee_attention.startup import command_line, start_keras

SIZE = (96, 96)
"""Height and width of the knees in pixels."""

CROSS_ENTROPY = "sparse_categorical_crossentropy"


def grade_a_film(folder: Path) -> None:
    """Grade a film, and draw each knee beside its attention."""
    from knee_attention import load_grader, phantom_film
    from knee_attention.films.image_files import write_picture
    from knee_attention.grading.rows import film_picture

    grader = load_grader("kneekl-vgg16-multiloss")  # or a file or run folder of your own
    knees = grader.grade(phantom_film((0, 3), seed=0).image)  # or the path of a film
    for knee in knees:
        print(knee.side, "KL", knee.grade, knee.probabilities.round(2))
    write_picture(folder / "film.png", film_picture(knees, synthetic=False))


def train_a_network(folder: Path) -> None:
    """Build a network of the paper at an image size of your own, and train it with Keras."""
    from knee_attention import build_model
    from knee_attention.phantoms.dataset import phantom_dataset

    knees = phantom_dataset(SIZE, limit=40).splits["train"]  # images (n, height, width) uint8
    branches = ("att1", "att2")
    model = build_model("antony_clsf", branches, "multi_loss", image_size=SIZE)
    model.compile("adam", loss=dict.fromkeys(branches, CROSS_ENTROPY),
                  loss_weights={"att1": 1.0, "att2": 0.8})  # fmt: skip
    model.fit(knees.images[..., None], dict.fromkeys(branches, knees.grades), batch_size=20,
              verbose=0)  # fmt: skip
    model.save(folder / "trained.keras")


def attend_on_your_network(folder: Path) -> None:
    """Attach attention to a Keras network of your own, and train it."""
    import keras

    from knee_attention import attach_attention
    from knee_attention.phantoms.dataset import phantom_dataset

    network = keras.Sequential([
        keras.Input((*SIZE, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(16, 5, strides=4, activation="relu", name="shallow"),
        keras.layers.Conv2D(32, 3, strides=2, activation="relu", name="deep"),
    ])  # fmt: skip
    model = attach_attention(network, {"att0": "shallow", "att1": "deep"}, fusion="early_fusion")
    knees = phantom_dataset(SIZE, limit=40).splits["train"]
    model.compile("adam", loss={"kl": CROSS_ENTROPY})
    model.fit(knees.images[..., None], {"kl": knees.grades}, batch_size=20, verbose=0)
    model.save(folder / "own.keras")


def masks_as_arrays(folder: Path) -> None:
    """Compute the attention masks of many knees, and keep them as arrays."""
    import numpy as np

    from knee_attention import build_model, with_masks
    from knee_attention.phantoms.dataset import phantom_dataset

    knees = phantom_dataset(SIZE, limit=10).splits["test"]
    model = build_model("antony_clsf", ("att1",), "single", image_size=SIZE)  # or load_model(FILE)
    values = with_masks(model).predict(knees.images[..., None], verbose=0)
    print({name: value.shape for name, value in values.items()})
    np.save(folder / "att1_masks.npy", values["att1_mask"][..., 0])  # (n, height, width), 0 to 1


def fine_tune_the_shipped_model(folder: Path, name: str = "kneekl-vgg16-multiloss") -> None:
    """Train the deepest layers of the model that ships on new knees, and grade with the result."""
    import keras

    from knee_attention import load_grader, load_model
    from knee_attention.networks.files.model_files import read_description, save_model
    from knee_attention.phantoms.dataset import phantom_dataset

    description, model = read_description(name), load_model(name)
    for layer in model.layers:
        layer.trainable = layer.name.startswith(("block4", "att"))
    knees = phantom_dataset(tuple(description["image_size"]), limit=6, crop="square")
    new = knees.splits["train"]
    model.compile(keras.optimizers.Adam(1e-5), loss=dict.fromkeys(model.output, CROSS_ENTROPY))
    model.fit(new.images[..., None], dict.fromkeys(model.output, new.grades), verbose=0)
    # The new file keeps how knees are prepared and graded, and not the figures of the old network.
    kept = {key: description.get(key) for key in ("cutting", "preparation", "chosen", "flips")}
    save_model(model, folder / "fine_tuned.h5", kept)
    [knee] = load_grader(folder / "fine_tuned.h5").grade(new.images[0], view="crop")
    print("fine-tuned: KL", knee.grade)


def load_with_plain_keras(folder: Path) -> None:
    """Load a saved file with Keras alone: importing the package after Keras registers its layers.

    `knee_attention.load_model` is also safe for untrusted files, and needs no order of imports.
    """
    import keras

    import knee_attention  # noqa: F401

    model = keras.saving.load_model(folder / "trained.keras")
    print({branch: tensor.shape for branch, tensor in model.output.items()})


SNIPPETS = (grade_a_film, train_a_network, attend_on_your_network, masks_as_arrays,
            fine_tune_the_shipped_model, load_with_plain_keras)  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=as_path, default=Path("runs/library"), metavar="DIR",
                        help="folder of the files (default: runs/library)")
    folder = parser.parse_args(arguments).output
    with command_line(Path(__file__).name):
        make_folder(folder)
        start_keras()
        for snippet in SNIPPETS:
            print(f"\n{snippet.__doc__.splitlines()[0]}", flush=True)
            snippet(folder)
        print(f"\nfiles: {folder}")


if __name__ == "__main__":
    main()
