"""Features, distances, classifiers: numbers about faces, each with its floor and interval."""
