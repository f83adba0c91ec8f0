"""A question to a collection: what is liked, what is required, what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from urllib.parse import parse_qsl, urlencode

from artsearch.base.errors import ArtsearchError, check_whole
from artsearch.base.text import write_number
from artsearch.works.conditions import as_text

#: Left, top, right and bottom of a part of a work, as shares of its width and height.
Part = tuple[float, float, float, float]
#: A part narrower or lower than this share of its work shows nothing.
SMALLEST = 0.02


@dataclass(frozen=True)
class Question:
    """All that can be asked at once, as plain data.

    `like` and `unlike` are works with their weights. `where` is a condition (see
    artsearch.works.conditions),
    `other` names columns in which an answer differs from the works liked, `copies` says whether
    near-duplicates of them may come, `machine_made` whether works made by a machine may (see
    Collection.machine_made), `exclude` are works that may not. With `per`, a column, come
    the `each` nearest of each of its values, else the `k` nearest. `part` is a rectangle of the one
    work liked: (left, top, right, bottom), each from 0 to 1.
    """

    like: tuple[tuple[str, float], ...]
    unlike: tuple[tuple[str, float], ...] = ()
    where: str = ""
    other: tuple[str, ...] = ()
    copies: bool = True
    machine_made: bool = True
    exclude: tuple[str, ...] = ()
    per: str = ""
    each: int = 1
    part: Part | None = None
    k: int = 10

    def __post_init__(self):
        set_ = object.__setattr__
        for side in ("like", "unlike"):
            set_(self, side, weigh(getattr(self, side)))
        set_(self, "where", as_text(self.where))
        for names in ("other", "exclude"):
            value = getattr(self, names)
            set_(self, names, (value,) if isinstance(value, str) else tuple(_listed(value)))
        set_(self, "part", None if self.part is None else check_part(self.part))
        check_whole("k", self.k)
        check_whole("each", self.each)
        if not self.like:
            raise ArtsearchError("nothing is liked; name one work or more that the answer is near")
        if self.part is not None and len(self.like) > 1:
            raise ArtsearchError("a part is of one work; like one alone, or leave the part out")

    @property
    def works(self) -> tuple[str, ...]:
        """The works that are liked or not liked."""
        return tuple(id for id, _ in (*self.like, *self.unlike))

    @property
    def is_plain(self) -> bool:
        """Whether this asks for the nearest works to one work and nothing else."""
        return self == Question(like=self.like[:1], k=self.k)

    def to_link(self, **more: object) -> str:
        """Return the question as the end of an address, from `?` on; `more` are further pairs.

        >>> Question(like=("wave.jpg",), where='style == "Baroque"').to_link(network="vgg16")
        '?like=wave.jpg&where=style+%3D%3D+%22Baroque%22&k=10&network=vgg16'
        """
        pairs: list[tuple[str, object]] = []
        for side in ("like", "unlike"):
            works = getattr(self, side)
            pairs += [(side, id) for id, _ in works]
            if any(weight != 1 for _, weight in works):
                pairs += [(f"{side}-weight", write_number(weight)) for _, weight in works]
        pairs += [("where", self.where)] if self.where else []
        pairs += [("other", column) for column in self.other]
        pairs += [] if self.copies else [("copies", "no")]
        pairs += [] if self.machine_made else [("machine", "no")]
        pairs += [("exclude", id) for id in self.exclude]
        pairs += [("per", self.per)] if self.per else []
        pairs += [("each", self.each)] if self.per or self.each != 1 else []
        pairs += [("part", ",".join(map(write_number, self.part)))] if self.part else []
        pairs += [("k", self.k)]
        pairs += [(name, value) for name, value in more.items() if value not in (None, "")]
        return "?" + urlencode(pairs)


#: What a link may hold besides a question: which search it is put to, and where a path leads.
VIEW = ("network", "crop", "dial", "goal")


def read_link(link: str) -> tuple[Question, dict[str, str | float]]:
    """Return the question of a link, and the network, crop and dial it names.

    Takes a whole address or its end from `?` on; raises ArtsearchError for what is no question.

    >>> question, view = read_link("http://localhost/?like=wave.jpg&k=3&network=vgg16")
    >>> question.like, question.k, view
    ((('wave.jpg', 1.0),), 3, {'network': 'vgg16'})
    """
    pairs = parse_qsl(link.partition("?")[2].partition("#")[0], keep_blank_values=True)
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    one = {name: values[-1] for name, values in found.items()}
    asked = {side: _read_weights(side, found) for side in ("like", "unlike")}
    asked |= {name: tuple(found.get(name, ())) for name in ("other", "exclude")}
    asked |= {name: one[name] for name in ("where", "per") if name in one}
    asked |= {name: _read_whole(name, one[name]) for name in ("k", "each") if name in one}
    if "part" in one:
        asked["part"] = tuple(_read_float("part", end) for end in one["part"].split(","))
    view: dict[str, str | float] = {name: one[name] for name in VIEW if one.get(name)}
    if "dial" in view:
        view["dial"] = _read_float("dial", one["dial"])
    asked |= {"copies": one.get("copies") != "no", "machine_made": one.get("machine") != "no"}
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


def check_part(part: Sequence[float]) -> Part:
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


def _check_weight(id: str, weight: object) -> float:
    good = isinstance(weight, Real) and not isinstance(weight, bool)
    if not good or not 1e-6 <= weight <= 1e6:
        raise ArtsearchError(
            f"the weight of {id!r} is {weight!r}; take a number above 0, from 0.000001 to 1000000 "
            "(works that are not liked go into `unlike`)"
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
    if not text.isdecimal() or len(text) > 9:
        raise ArtsearchError(f"the link's {name} is {text!r}; it takes a whole number")
    return int(text)
