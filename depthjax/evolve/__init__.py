"""Latent evolution: fitness, algorithms on evosax, and one scan over all populations."""
