"""Other forms of a detector: ONNX, and int8, which is a detector of its own."""
