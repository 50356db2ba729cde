"""One's own copy of IKFDB as a tensorflow-datasets set (no TensorFlow needed)."""
