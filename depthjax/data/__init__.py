"""Data enters here: the embedded head model, its camera, the stored sets and their splits."""
