"""Strict templates, and the style and scripts of this package, inlined."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from depthjax.report.formats import Number
from depthjax.report.table import Table


def environment(*, autoescape: bool) -> Environment:
    """Return the templates of this package; a name that is not given is an error."""
    made = Environment(
        loader=PackageLoader("depthjax.report", "."),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.tests["number"] = lambda value: isinstance(value, Number)
    made.tests["table"] = lambda value: isinstance(value, Table)
    return made


def own(name: str) -> Markup:
    """Return a file of this package, which needs no escaping: it holds no text of a run."""
    return Markup((resources.files("depthjax.report") / name).read_text("utf-8"))


def script(*names: str) -> dict[str, str]:
    """Return the page's script (page.js, then `names`) and the hash by which its content policy allows it."""
    text = Markup("").join(own(name) for name in ("page.js", *names))
    return {"script": text, "script_hash": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}
