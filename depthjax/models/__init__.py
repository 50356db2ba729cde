"""The networks, as Flax linen modules: arrays in, arrays out."""
