"""Model files: .h5, .keras, .onnx, and .h5 files of Keras 2."""
