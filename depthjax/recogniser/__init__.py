"""Recognise emotions in depth faces: a network taught by rendered people, and a classifier fitted to one's own."""
