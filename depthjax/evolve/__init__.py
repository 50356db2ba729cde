"""The latent evolution: fitness terms, operators for one individual, algorithms on evosax, one scan."""
