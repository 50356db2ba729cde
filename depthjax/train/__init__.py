"""Losses, one pure update, the loop around it, and checkpoints."""
