"""The model that ships with the package, made from a finished run on real knees.

    python experiments/make_pretrained.py runs/vgg16_multiloss --about "Public knees, CC BY 4.0"

It writes the model with float16 weights, calibrated on the run's validation split, as .h5 for Keras
and as .onnx for OpenCV, and its model card.
"""

from knee_attention.commands.scripts.pretrained import main

if __name__ == "__main__":
    main()
