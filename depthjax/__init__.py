"""depthjax: labelled, emotional depth faces, learnt from few."""

__version__ = "0.1.0"
