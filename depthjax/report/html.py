"""What every page is made of: strict templates, and this package's own style and scripts, inlined."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def environment(*, autoescape: bool) -> Environment:
    """Templates of this package; a name that is not given is an error."""
    return Environment(
        loader=PackageLoader("depthjax.report", "."),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def own(name: str) -> Markup:
    """A file of this package, which needs no escaping: no run's text ever enters it."""
    return Markup((resources.files("depthjax.report") / name).read_text("utf-8"))


def script(*names: str) -> dict[str, str]:
    """The page's script, page.js and then `names`, and the hash by which its policy allows it."""
    text = Markup("").join(own(name) for name in ("page.js", *names))
    return {"script": text, "script_hash": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}
