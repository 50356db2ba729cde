"""What a file's name says, by a template such as `s{subject}_f{frame}`, and proposals of templates."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from depthjax.errors import ConfigError

PLACES = ("{subject}", "{emotion}", "{frame}", "*", "**")
GREEDY = ("{subject}", "{emotion}", "{frame}")  # as much as they can, at least one character; the others as little
COMMON = ("{subject}/{frame}", "{subject}/*{frame}", "{subject}/*", "{subject}_{frame}", "{subject}-{frame}",
          "{subject}_*_{frame}", "{subject}_*{frame}", "{subject}*_{frame}", "{subject}_*")  # fmt: skip
MAX_PLACES = 6
LOOKED_AT = 5000  # names, for a proposal
MIN_SHARE = 0.9  # of them that a proposal must match: a few files may be strays
PLACE = re.compile(r"(\{subject\}|\{emotion\}|\{frame\}|\*\*|\*)")
DIGITS = re.compile("[0-9]+")
LEADING_ZEROS = re.compile("(?<![0-9])0+(?=[0-9])")


class Template(NamedTuple):
    """The text before the first place, then each place with the text behind it."""

    head: str
    places: tuple[tuple[str, str], ...]


class Name(NamedTuple):
    """What a name says; None for what the template does not have."""

    subject: str | None
    frame: int | None
    emotion: str | None
    rest: str  # what `*` and `**` stand for


def composed(name: str) -> str:
    """Return a name with accents composed (Unicode NFC): file systems and archives keep both forms."""
    return unicodedata.normalize("NFC", name)


def spelling(name: str) -> str:
    """Return what two names have in common that are equal but for case, leading zeros, spaces or Unicode form."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(LEADING_ZEROS.sub("", folded).split())


def compile_template(template: str) -> Template:
    """Return the parts of a template, or raise a ConfigError.

    `{subject}` and `{emotion}` are any text within a folder's or file's name, `{frame}` digits, `*` any text within a
    name, `**` any text across folders; all else stands for itself.
    """
    where, template = f"--config.data.pattern={template}", composed(template)
    for word in re.findall(r"\{[^}]*\}?", template):
        if word not in PLACES:
            raise ConfigError(f"{where}: {word} means nothing; known: {', '.join(PLACES)}")
    if twice := next((place for place in GREEDY if template.count(place) > 1), None):
        raise ConfigError(f"{where}: has {twice} more than once")
    if "{subject}" not in template and ("{frame}" in template or not PLACE.search(template)):
        raise ConfigError(f"{where}: needs {{subject}}; '**' groups frames that look alike instead")
    pieces = PLACE.split(template)
    if len(pieces) // 2 > MAX_PLACES:
        raise ConfigError(f"{where}: more than {MAX_PLACES} places ({', '.join(PLACES)} together)")
    return Template(pieces[0], tuple(zip(pieces[1::2], pieces[2::2], strict=True)))


def read_name(template: Template, name: str) -> Name | None:
    """Return what a path without its suffix says; None if it does not match."""
    if not name.startswith(template.head):
        return None
    ends = _ends(template.places, name, 0, len(template.head), {})
    if ends is None:
        return None
    found: dict[str, str] = {}
    rest, start = [], len(template.head)
    for (place, text), end in zip(template.places, ends, strict=True):
        found[place] = name[start:end]
        rest += [] if place in GREEDY else [name[start:end]]
        start = end + len(text)
    frame = int(found["{frame}"]) if "{frame}" in found else None
    return Name(found.get("{subject}"), frame, found.get("{emotion}"), "/".join(rest))


def _ends(
    places: Sequence[tuple[str, str]], name: str, i: int, start: int, tried: dict[tuple[int, int], int]
) -> tuple[int, ...] | None:
    """Where the places from the i-th on end, so that they and their texts are the name from `start` on; None: nowhere.

    `tried` maps (place, the furthest that it could reach) to the least end of it that led nowhere. A regular expression
    would try those again, and take hours over a long name.
    """
    if i == len(places):
        return () if start == len(name) else None
    place, text = places[i]
    reach = _reach(place, name, start)
    first, last = start + (place in GREEDY), tried.get((i, reach), reach + 1)
    for end in range(last - 1, first - 1, -1) if place in GREEDY else range(first, last):
        if name.startswith(text, end):
            ends = _ends(places, name, i + 1, end + len(text), tried)
            if ends is not None:
                return (end, *ends)
    tried[i, reach] = min(first, last)
    return None


def _reach(place: str, name: str, start: int) -> int:
    """The furthest that a place may end."""
    if place == "{frame}":
        digits = DIGITS.match(name, start)
        return digits.end() if digits else start
    slash = -1 if place == "**" else name.find("/", start)
    return len(name) if slash < 0 else slash


def propose(names: Sequence[tuple[int, str]], *, limit: int = 3) -> list[str]:
    """Return templates that fit nearly all names, the likeliest first.

    One fits if all but a tenth match it, at least two subjects come out, fewer than there are names, and no frame of a
    subject and an emotion comes out twice. Likeliest are those whose subjects appear in every emotion, with a
    frame number. Names are pairs of an emotion and a path within its folder without the suffix.
    """
    looked_at = names[:: -(-len(names) // LOOKED_AT) or 1]
    candidates = dict.fromkeys([*_from_digits([name for _, name in looked_at]), *COMMON])
    fits = [fit for template in candidates if (fit := _fit(template, looked_at)) is not None]
    fits.sort(key=lambda fit: fit.score, reverse=True)
    distinct = {fit.subjects: fit.template for fit in reversed(fits)}  # the likeliest of those that tell the same apart
    return [fit.template for fit in fits if distinct[fit.subjects] == fit.template][:limit]


def _from_digits(names: Sequence[str]) -> list[str]:
    """Templates with a run of digits for the subject and another for the frame, of names where only digits differ."""
    usual = Counter(DIGITS.sub("\0", name) for name in names).most_common(1)[0][0]
    literals = [re.sub(r"[*{}]", "*", text) for text in usual.split("\0")]
    runs = range(min(len(literals) - 1, MAX_PLACES + 1))  # with more of them nothing is proposed
    chosen = [(subject, frame) for subject in runs for frame in (*runs, None) if frame != subject]
    templates = []
    for subject, frame in chosen:
        places = {subject: "{subject}", frame: "{frame}"}
        templates.append(literals[0] + "".join(places.get(i, "*") + text for i, text in enumerate(literals[1:])))
    return [template for template in templates if len(PLACE.findall(template)) <= MAX_PLACES]


class _Fit(NamedTuple):
    template: str
    score: tuple[float, ...]  # how likely it is meant
    subjects: tuple[int, ...]  # number of each name's subject; -1: no match


def _fit(template: str, names: Sequence[tuple[int, str]]) -> _Fit | None:
    pattern = compile_template(template)
    read = [(emotion, read_name(pattern, name)) for emotion, name in names]
    known = [(emotion, name.subject or "", name.frame) for emotion, name in read if name is not None]
    numbers = {subject: i for i, subject in enumerate(dict.fromkeys(subject for _, subject, _ in known))}
    if len(known) < MIN_SHARE * len(names) or not 2 <= len(numbers) < len(names):
        return None
    framed = known[0][2] is not None
    if framed and len(set(known)) < len(known):
        return None
    emotions = len({emotion for emotion, _, _ in known})
    shared = len({(emotion, subject) for emotion, subject, _ in known}) / (len(numbers) * emotions)
    subject_first = template.find("{subject}") < template.find("{frame}") or not framed
    score = (len(known), round(shared, 2), framed, -template.count("*"), subject_first, -len(numbers))
    return _Fit(template, score, tuple(-1 if name is None else numbers[name.subject or ""] for _, name in read))
