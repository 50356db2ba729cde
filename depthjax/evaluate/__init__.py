"""Features, distances, classifiers: numbers about faces, each with its reference and interval."""
