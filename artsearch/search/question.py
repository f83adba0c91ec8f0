"""A question to a collection: what is liked, what is required, what is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from urllib.parse import parse_qsl, urlencode

from artsearch.base.errors import ArtsearchError, check_whole, unknown
from artsearch.base.text import write_number
from artsearch.works.conditions import as_text

#: Left, top, right and bottom of a part of a work, as shares of its width and height.
Region = tuple[float, float, float, float]
#: What a link calls the works, and the words, that an answer is to be near to, and far from.
SIDES = {
    "positive": "like",
    "negative": "unlike",
    "words": "words",
    "negative_words": "unlike-words",
}
#: How similarities may be corrected before works are ordered by them; "" is as they are.
NORMALISED = ("", "csls")
#: A part narrower or lower than this share of its work shows nothing.
SMALLEST = 0.02


@dataclass(frozen=True)
class Words:
    """Words to be asked by, where a plain text may be the id of a work.

    >>> Words("  a mountain lake\\nat dusk ")
    Words(text='a mountain lake at dusk')
    >>> Words("half\\ud83d")
    Words(text='half?')

    Raises ArtsearchError where there are none.
    """

    text: str

    def __post_init__(self):
        if not isinstance(self.text, str) or not self.text.strip():
            raise ArtsearchError(f"the words are {self.text!r}; take some, as 'a mountain lake'")
        # Halves of characters have no place in a link.
        whole = self.text.encode("utf-8", "replace").decode()
        object.__setattr__(self, "text", " ".join(whole.split()))


#: What an answer is near to, or not: a work by its id, or words.
Thing = str | Words


@dataclass(frozen=True)
class Question:
    """All that can be asked at once, as plain data.

    `positive` and `negative` are works with their weights: examples of what the answer is to be
    like, and of what not; `words` and `negative_words` are texts with theirs, for a network that
    takes words. `where` is a condition (see artsearch.works.conditions), `exclude_same`
    names columns in which an answer differs from the positive works, `near_duplicates` says whether
    near-duplicates may come, of these and of one another, `machine_made` whether works made by a
    machine may (see Collection.machine_made), `exclude` are works that may not. With `group_by`, a
    column, come the `group_size` nearest of each of its values, else the `k` nearest. `region` is a
    rectangle of the one positive work: (left, top, right, bottom), each from 0 to 1; with `motif`
    works are asked for that have it somewhere, and not whole works like it. With
    `normalise` "csls" works that are near to everything are put back (see `csls`). A link has
    shorter words for some of these: like, unlike, unlike-words, other, copies, per, each, part.
    """

    positive: tuple[tuple[str, float], ...] = ()
    negative: tuple[tuple[str, float], ...] = ()
    words: tuple[tuple[str, float], ...] = ()
    negative_words: tuple[tuple[str, float], ...] = ()
    where: str = ""
    exclude_same: tuple[str, ...] = ()
    near_duplicates: bool = True
    machine_made: bool = True
    exclude: tuple[str, ...] = ()
    group_by: str = ""
    group_size: int = 1
    region: Region | None = None
    motif: bool = False
    normalise: str = ""
    k: int = 10

    def __post_init__(self):
        set_ = object.__setattr__
        for side in SIDES:
            set_(self, side, weigh(getattr(self, side)))
        for side in ("words", "negative_words"):
            pairs = getattr(self, side)
            set_(self, side, weigh([(Words(text).text, weight) for text, weight in pairs]))
        set_(self, "where", as_text(self.where))
        for names in ("exclude_same", "exclude"):
            value = getattr(self, names)
            set_(self, names, (value,) if isinstance(value, str) else tuple(_listed(value)))
        set_(self, "region", None if self.region is None else check_region(self.region))
        check_whole("k", self.k)
        check_whole("group_size", self.group_size)
        if self.normalise not in NORMALISED:
            raise unknown("normalisation", self.normalise, NORMALISED[1:])
        if not self.positive and not self.words:
            raise ArtsearchError("nothing is liked; name one work or more that the answer is near")
        if self.region is not None and len(self.positive) != 1:
            raise ArtsearchError("a part is of one work; like one alone, or leave the part out")
        if self.motif:
            self._check_motif()

    def _check_motif(self) -> None:
        if self.region is None:
            raise ArtsearchError(
                "a motif is a part of a work; name the part, as (left, top, right, bottom)"
            )
        others = {"negative", "words", "negative_words", "group_by", "normalise"}
        asked = [name for name in sorted(others) if getattr(self, name)]
        if asked:
            raise ArtsearchError(
                f"a motif is asked for alone, without {asked[0]}; leave that out, or ask for whole "
                "works like the part"
            )

    @property
    def works(self) -> tuple[str, ...]:
        """The works that are liked or not liked."""
        return tuple(id for id, _ in (*self.positive, *self.negative))

    @property
    def liked(self) -> tuple[tuple[Thing, float], ...]:
        """What is liked, with its weights: works by their ids, and words."""
        return (*self.positive, *((Words(text), weight) for text, weight in self.words))

    @property
    def unliked(self) -> tuple[tuple[Thing, float], ...]:
        """What is not liked, with its weights."""
        return (*self.negative, *((Words(text), weight) for text, weight in self.negative_words))

    @property
    def is_plain(self) -> bool:
        """Whether this asks for the nearest works to one work and nothing else."""
        return bool(self.positive) and self == Question(positive=self.positive[:1], k=self.k)

    def to_link(self, **more: object) -> str:
        """Return the question as the end of an address, from `?` on; `more` are further pairs.

        >>> Question(positive=("wave.jpg",), where='style == "Baroque"').to_link(network="vgg16")
        '?like=wave.jpg&where=style+%3D%3D+%22Baroque%22&k=10&network=vgg16'
        """
        pairs: list[tuple[str, object]] = []
        for side, word in SIDES.items():
            works = getattr(self, side)
            pairs += [(word, id) for id, _ in works]
            if any(weight != 1 for _, weight in works):
                pairs += [(f"{word}-weight", write_number(weight)) for _, weight in works]
        pairs += [("where", self.where)] if self.where else []
        pairs += [("other", column) for column in self.exclude_same]
        pairs += [] if self.near_duplicates else [("copies", "no")]
        pairs += [] if self.machine_made else [("machine", "no")]
        pairs += [("exclude", id) for id in self.exclude]
        pairs += [("per", self.group_by)] if self.group_by else []
        pairs += [("each", self.group_size)] if self.group_by or self.group_size != 1 else []
        pairs += [("part", ",".join(map(write_number, self.region)))] if self.region else []
        pairs += [("motif", "yes")] if self.motif else []
        pairs += [("normalise", self.normalise)] if self.normalise else []
        pairs += [("k", self.k)]
        pairs += [(name, value) for name, value in more.items() if value not in (None, "")]
        return "?" + urlencode(pairs)


#: What a link may hold besides a question: which search it is put to, and where a path leads.
VIEW = ("network", "crop", "dial", "goal")
#: The words of a link.
WORDS = tuple(name for side in SIDES.values() for name in (side, f"{side}-weight"))
WORDS += ("where", "other", "copies", "machine", "exclude", "per", "each", "part")
WORDS += ("motif", "normalise", "k", *VIEW)
#: How words begin that others put into addresses: Voilà, and those who count visitors.
OTHERS = ("theme", "voila-", "utm_", "fbclid", "gclid")


def read_link(link: str) -> tuple[Question, dict[str, str | float]]:
    """Return the question of a link, and the network, crop and dial it names.

    Takes a whole address or its end from `?` on; raises ArtsearchError for what is no question.

    >>> question, view = read_link("http://localhost/?like=wave.jpg&k=3&network=vgg16")
    >>> question.positive, question.k, view
    ((('wave.jpg', 1.0),), 3, {'network': 'vgg16'})
    """
    pairs = parse_qsl(link.partition("?")[2].partition("#")[0], keep_blank_values=True)
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in WORDS:
            found.setdefault(name, []).append(value)
        elif not name.startswith(OTHERS):
            raise unknown("word in the link", name, WORDS)
    one = {name: values[-1] for name, values in found.items()}
    asked = {side: _read_weights(word, found) for side, word in SIDES.items()}
    asked |= {"exclude_same": tuple(found.get("other", ()))}
    asked |= {"exclude": tuple(found.get("exclude", ()))}
    names = {"where": "where", "per": "group_by", "normalise": "normalise"}
    asked |= {name: one[word] for word, name in names.items() if word in one}
    numbers = {"k": "k", "each": "group_size"}
    asked |= {name: _read_whole(word, one[word]) for word, name in numbers.items() if word in one}
    if "part" in one:
        asked["region"] = tuple(_read_float("part", end) for end in one["part"].split(","))
    view: dict[str, str | float] = {name: one[name] for name in VIEW if one.get(name)}
    if "dial" in view:
        view["dial"] = _read_float("dial", one["dial"])
    asked |= {"near_duplicates": one.get("copies") != "no", "motif": one.get("motif") == "yes"}
    asked |= {"machine_made": one.get("machine") != "no"}
    return Question(**asked), view


def weigh(works: object) -> tuple[tuple[str, float], ...]:
    """Return works with their weights: of one id, several, pairs, or a mapping from id to weight.

    >>> weigh(["a.jpg", ("b.jpg", 0.5)]), weigh({"c.jpg": 2})
    ((('a.jpg', 1.0), ('b.jpg', 0.5)), (('c.jpg', 2.0),))
    """
    if isinstance(works, str):
        works = [works]
    if isinstance(works, Mapping):
        works = list(works.items())
    pairs = [one if isinstance(one, tuple) else (one, 1.0) for one in _listed(works)]
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], str):
            raise ArtsearchError(f"{pair!r} is no work with its weight; take (id, weight)")
    ids = [id for id, _ in pairs]
    twice = next((id for id in ids if ids.count(id) > 1), None)
    if twice is not None:
        raise ArtsearchError(f"{twice!r} is named twice; give it one weight")
    return tuple((id, _check_weight(id, weight)) for id, weight in pairs)


def check_region(part: Sequence[float]) -> Region:
    """Return a part of a work; raise ArtsearchError unless it is a rectangle within it."""
    ends = tuple(part) if isinstance(part, Iterable) else ()
    numbers = all(isinstance(end, Real) and not isinstance(end, bool) for end in ends)
    if not numbers or len(ends) != 4:
        raise ArtsearchError(
            f"the part is {part!r}; take (left, top, right, bottom), each from 0 to 1"
        )
    left, top, right, bottom = part = tuple(float(end) for end in ends)
    inside = all(0 <= end <= 1 for end in part)
    if not (inside and right - left >= SMALLEST and bottom - top >= SMALLEST):
        raise ArtsearchError(
            f"the part is {part}; take left, top, right and bottom as shares of the work, from 0 "
            f"to 1, at least {SMALLEST} from left to right and from top to bottom"
        )
    return part


def _listed(works: object) -> list:
    if not isinstance(works, Iterable):
        raise ArtsearchError(f"{works!r} is no name, and no list of names")
    return list(works)


def _check_weight(work_id: str, weight: object) -> float:
    good = isinstance(weight, Real) and not isinstance(weight, bool)
    if not good or not 1e-6 <= weight <= 1e6:
        raise ArtsearchError(
            f"the weight of {work_id!r} is {weight!r}; take a number above 0, from 0.000001 "
            "to 1000000 (works that are not liked go into `negative`)"
        )
    return float(weight)


def _read_weights(side: str, found: Mapping[str, list[str]]) -> tuple[tuple[str, float], ...]:
    ids = found.get(side, [])
    weights = found.get(f"{side}-weight") or ["1"] * len(ids)
    if len(weights) != len(ids):
        raise ArtsearchError(f"the link has {len(ids)} works to {side}, and {len(weights)} weights")
    return tuple((id, _read_float("weight", one)) for id, one in zip(ids, weights, strict=True))


def _read_float(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArtsearchError(f"the link's {name} is {text!r}; it takes numbers") from None


def _read_whole(name: str, text: str) -> int:
    if not re.fullmatch(r"[-+]?\d{1,9}", text):
        raise ArtsearchError(f"the link's {name} is {text!r}; it takes a whole number")
    return int(text)
