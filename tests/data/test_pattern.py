import pytest

from depthjax.data.listing import natural
from depthjax.data.pattern import compile_template, propose, read_name
from depthjax.data.problems import escape
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
