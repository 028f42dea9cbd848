r"""The model that ships with the package, made from a finished run on real knees.

    python experiments/make_pretrained.py runs/vgg16_multiloss --about "Public knees, CC BY 4.0"
    python experiments/make_pretrained.py vgg16_multiloss --from experiments/results/kneekl224 \
        --data DIR

The first command writes the model with float16 weights, calibrated on the run's validation split,
as .h5 for Keras and as .onnx for OpenCV, and its model card. The second one, when the run is
published, answers the reporting checklists CLAIM and TRIPOD+AI in the card; model_card.md beside
this script holds the words, the published files give the figures. --data is needed once: it adds
focus.csv to the published files.
"""

from pathlib import Path

from knee_attention.commands.scripts.pretrained import main

ANSWERS = Path(__file__).with_name("model_card.md")

if __name__ == "__main__":
    main(answers=ANSWERS)
