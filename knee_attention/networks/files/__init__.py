"""Model files of every kind: .h5 and .keras, ONNX, and those of Keras 2."""
