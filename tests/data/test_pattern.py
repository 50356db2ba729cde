import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthjax.data import pattern
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
    assert (read and read[:2]) == found


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
    assert (read and read[:2]) == (match and (match["s"], int(match["f"])))


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{subject}**{frame}*", "1" * 255 + "/x"),
        ("*1{subject}1*1{frame}1**1", "1" * 255 + "/"),
        ("**1**1**1**1**1{subject}a", "1" * 4000),
    ],
)
def test_no_name_takes_long(template, name):
    compiled, start = compile_template(template), time.process_time()
    assert read_name(compiled, name) is None
    assert time.process_time() - start < 1


@pytest.mark.parametrize("template", ["f{frame}", "{subject}{subject}", "{person}", "{subject}{", "{}_{subject}", "s1"])
def test_a_template_that_says_nothing_is_refused(template):
    with pytest.raises(ConfigError, match=r"--config\.data\.pattern"):
        compile_template(template)


def test_the_emotion_and_what_a_wildcard_stands_for():
    template = compile_template("**/{subject}/{emotion}_*/{frame}")
    assert read_name(template, "set/a/p1/fear_slow/003") == ("p1", 3, "fear", "set/a/slow")
    assert read_name(compile_template("{emotion}/**"), "fear/x/y") == (None, None, "fear", "x/y")


def test_a_template_fits_names_of_either_unicode_form():
    composed, decomposed = "J\u00e9r\u00f4me", "Je\u0301ro\u0302me"
    assert compile_template(f"{decomposed}_{{subject}}") == compile_template(f"{composed}_{{subject}}")
    assert pattern.composed(decomposed) == composed


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("s7", "s007", True),
        ("anna", "Anna", True),
        ("Jos\u00e9", "jose\u0301", True),
        ("anna lee", "AnnaLee ", True),
        ("\uff537", "s7", True),
        ("s70", "s7", False),
        ("s100", "s10", False),
        ("s0", "s00", True),
        ("Stra\u00dfe", "strasse", True),
        ("anna", "hanna", False),
    ],
)
def test_which_names_are_one_in_two_spellings(one, other, alike):
    assert (pattern.spelling(one) == pattern.spelling(other)) == alike


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
