import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthjax.data.listing import escape, natural
from depthjax.data.pattern import compile_template, propose, read_name
from depthjax.errors import ConfigError


@pytest.mark.parametrize(
    ("template", "name", "found"),
    [
        ("s{subject}_f{frame}", "s07_f012", ("07", 12)),
        ("{subject}_{frame}", "anna_lee_003", ("anna_lee", 3)),
        ("{subject}/{frame}", "p1/0004", ("p1", 4)),
        ("{subject}/*{frame}", "p1/depth_0004", ("p1", 4)),
        ("{subject}/**{frame}", "p1/depth/left/f0004", ("p1", 4)),
        ("*_{subject}", "x_y_z", ("y_z", None)),
        ("{subject}", "a/b", None),
        ("{subject}_{frame}", "anna", None),
        ("(.)+{subject}", "xx1", None),  # a template is no regular expression
        ("{subject}_{frame}", "ü\n<b>_1", ("ü\n<b>", 1)),
    ],
)
def test_what_a_name_says(template, name, found):
    read = read_name(compile_template(template), name)
    assert (read and tuple(read)) == found


PIECES = st.lists(st.sampled_from(["*", "**", "a", "1", "/", "_"]), max_size=2).map("".join)
AS_EXPRESSION = {"{subject}": "(?P<s>[^/]+)", "{frame}": "(?P<f>[0-9]+)", "**": ".*?", "*": "[^/]*?"}


@settings(max_examples=500, deadline=None)
@given(st.tuples(PIECES, PIECES, PIECES), st.text("a11/_2\n", max_size=12))
def test_it_says_what_a_regular_expression_would(pieces, name):
    template = "{}{{subject}}{}{{frame}}{}".format(*pieces)
    if template.count("*") > 4:
        return
    parts = re.split(r"(\{\w+\}|\*\*|\*)", template)
    match = re.fullmatch("".join(AS_EXPRESSION.get(part, re.escape(part)) for part in parts), name, re.DOTALL)
    read = read_name(compile_template(template), name)
    assert (read and tuple(read)) == (match and (match["s"], int(match["f"])))


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{subject}**{frame}*", "1" * 255 + "/x"),
        ("*1{subject}1*1{frame}1**1", "1" * 255 + "/"),
        ("**1**1**1**1**1{subject}a", "1" * 4000),
    ],
)
def test_no_name_takes_long(template, name):
    pattern, start = compile_template(template), time.process_time()
    assert read_name(pattern, name) is None
    assert time.process_time() - start < 1


@pytest.mark.parametrize("template", ["f{frame}", "{subject}{subject}", "{person}", "{subject}{", "{}_{subject}", "*"])
def test_a_template_that_says_nothing_is_refused(template):
    with pytest.raises(ConfigError, match=r"--config\.data\.pattern"):
        compile_template(template)


def names(form, subjects=6, frames=5, emotions=3):
    return [(e, form(e, s, f)) for e in range(emotions) for s in range(subjects) for f in range(frames)]


@pytest.mark.parametrize(
    ("form", "first"),
    [
        (lambda e, s, f: f"s{s:02d}_f{f:03d}", "s{subject}_f{frame}"),
        (lambda e, s, f: f"{'abcdef'[s]}/{f}", "{subject}/{frame}"),
        (lambda e, s, f: f"{'abcdef'[s]}_{f:03d}", "{subject}_{frame}"),
        (lambda e, s, f: f"2021_{s}-{f:03d}_depth", "*_{subject}-{frame}_depth"),
    ],
)
def test_a_template_is_proposed_from_the_names(form, first):
    proposals = propose(names(form))
    assert first in proposals[:2] and len(proposals) <= 3
    for template in proposals:
        assert all(read_name(compile_template(template), name) for _, name in names(form))


def test_a_stray_file_hides_no_template_and_random_names_have_none():
    form = names(lambda e, s, f: f"s{s}_f{f}")
    assert "s{subject}_f{frame}" in propose([*form, (0, "thumbnail")])
    assert propose([(0, f"{i * 7919 % 1000:03d}") for i in range(100)]) == []


def test_names_are_ordered_and_printed_for_people():
    assert sorted(["f10", "f2", "e", "f2b"], key=natural) == ["e", "f2", "f2b", "f10"]
    assert escape("ü <b>\n\\\udcff") == "ü <b>\\n\\\\\\udcff"
