"""Ideas that are not part of the package: each file brings an objective or an update of its own."""
