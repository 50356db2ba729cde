"""Every experiment runs: a few steps at toy size."""


from depthjax.train.checkpoint import restore_generator  # noqa: F401

TINY = {
    "data.subjects": "6",
    "data.frames": "1",
    "data.resolution": "16",
    "data.emotions": "neutral,fear",
    "model.latent_size": "8",
    "model.generator_width": "16",
    "model.discriminator_width": "4",
    "train.batch_size": "4",
    "train.epochs": "1",
}
