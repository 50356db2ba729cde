"""A folder of depth faces as a tensorflow-datasets set (no TensorFlow needed)."""
