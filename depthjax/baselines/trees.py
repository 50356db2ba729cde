"""Nested dictionaries of arrays as flat ones, so that an `.npz` can hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict


def flat(tree: dict[str, Any]) -> dict[str, np.ndarray]:
    """{"params": {"linear": {"kernel": x}}} as {"params.linear.kernel": x}."""
    return {name: np.asarray(leaf) for name, leaf in flatten_dict(tree, sep=".").items()}


def nested(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The inverse of `flat`."""
    tree: dict[str, Any] = unflatten_dict(arrays, sep=".")
    return tree
