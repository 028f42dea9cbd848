"""The paper's attention module on any network of keras.applications, trained on synthetic films.

    python experiments/run_attention_on_any_network.py
    python experiments/run_attention_on_any_network.py --network DenseNet121 \\
        --taps conv3_block12_concat conv4_block24_concat

A tap is a layer with an output (batch, height, width, channels); --list-layers prints them.
"""

import argparse
import sys
from pathlib import Path

from knee_attention.commands.arguments import as_path, positive_number
from knee_attention.errors import InputError
from knee_attention.files import make_folder
from knee_attention.limits import ATTENTIONS
from knee_attention.startup import command_line, start_keras

SIZE = (160, 112)
"""Height and width of the half films."""

BATCH = 16
LEARNING_RATE = 3e-4


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    with command_line(Path(__file__).name):
        start_keras()
        network = _network(options.network)
        if options.list_layers:
            print(*(f"{layer.name}  {layer.output.shape[1:]}" for layer in network.layers
                    if len(getattr(layer.output, "shape", ())) == 4), sep="\n")  # fmt: skip
            return
        make_folder(options.output)
        _train(network, options)


def _train(network, options: argparse.Namespace) -> None:
    import keras

    from knee_attention import attach_attention, device
    from knee_attention.datasets.batches import KneeBatches
    from knee_attention.evidence.finished_run import one_of_each_grade
    from knee_attention.phantoms.dataset import phantom_dataset
    from knee_attention.runs.batch_statistics import PreciseBatchNorm
    from knee_attention.runs.finishing import draw_masks
    from knee_attention.runs.measure import measure

    taps = {f"att{position}": layer for position, layer in enumerate(options.taps)}
    fusion = "multi_loss" if len(taps) > 1 else "single"
    try:
        model = attach_attention(network, taps, fusion, options.attention)
    except ValueError as error:
        raise InputError(str(error)) from None
    knees = phantom_dataset(SIZE, options.limit).splits
    training = KneeBatches(knees["train"], list(taps), BATCH, training=True)
    validation = KneeBatches(knees["validation"], list(taps))
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss={branch: "sparse_categorical_crossentropy" for branch in taps},
        metrics={branch: "accuracy" for branch in taps},
        jit_compile=device.choose_jit_compile(),
    )
    shuffling = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: training.start(epoch)
    )
    model.fit(
        training,
        validation_data=validation,
        epochs=options.epochs,
        callbacks=[shuffling, PreciseBatchNorm(training)],
        shuffle=False,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    model.save(options.output / "model.keras")
    measured = measure(model, knees["test"])
    scores = measured.localisation()
    for branch, layer in taps.items():
        predictions = measured.predictions
        accuracy = (predictions.of(branch).argmax(axis=1) == predictions.grades).mean()
        print(f"{branch} at {layer}: accuracy {accuracy:.3f} on {len(predictions)} synthetic knees"
              + _where(scores.get(branch)))
    if measured.masks:
        picture = options.output / "masks.png"
        shown = one_of_each_grade(predictions.grades)
        title = f"{options.network} with attention, synthetic phantoms"
        draw_masks(measured, shown, branch, title, picture)
        print(f"masks: {picture}")
    print(f"model: {options.output / 'model.keras'}")


def _where(score: dict | None) -> str:
    return "" if score is None else (
        f", attention {score['inside_over_outside']:.2f} times as high on the joint as off it"
    )


def _network(name: str):
    """A network of keras.applications on grey half films, with new weights."""
    import keras

    build = getattr(keras.applications, name, None)
    if not callable(build):
        known = ", ".join(found for found in dir(keras.applications) if found[0].isupper())
        raise InputError(f"keras.applications has no {name}; it has {known}")
    knee = keras.Input((*SIZE, 1), name="knee")
    images = keras.layers.Concatenate(name="repeat_channel")([knee] * 3)
    images = keras.layers.Rescaling(1 / 127.5, -1, name="pixels")(images)
    features = build(include_top=False, weights=None, input_tensor=images).output
    return keras.Model(knee, features, name=name)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="MobileNetV2", metavar="NAME",
                        help="a network of keras.applications (default: MobileNetV2)")
    parser.add_argument("--taps", nargs="+", metavar="LAYER",
                        default=["block_6_expand_relu", "block_13_expand_relu"],
                        help="one to three layers, the shallowest first (default: two of "
                        "MobileNetV2)")
    parser.add_argument("--attention", choices=ATTENTIONS, default="local",
                        help="local: mask weights at every position; shared: one 1x1 convolution; "
                        "none: plain average pooling (default: local)")
    parser.add_argument("--list-layers", action="store_true",
                        help="print the layers that can be tapped, and end")
    parser.add_argument("--epochs", type=positive_number, default=4, metavar="N",
                        help="epochs of training (default: 4)")
    parser.add_argument("--limit", type=positive_number, metavar="N",
                        help="at most N knees a split (default: 600 for training)")
    parser.add_argument("--output", type=as_path, default=Path("runs/attention_on_any_network"),
                        metavar="DIR", help="folder of the model and the masks (default: "
                        "runs/attention_on_any_network)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
