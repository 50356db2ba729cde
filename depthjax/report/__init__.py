"""Figures and one HTML page, made from the stored files of a run only."""
