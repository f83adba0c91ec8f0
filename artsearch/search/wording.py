"""What is said of searches and their answers, wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from artsearch.networks.network import Network
from artsearch.networks.registry import WHY

#: Columns of an exported table.
EXPORTED = ("caption", "artist", "title", "year", "style", "licence", "source")


def say_networks(searches: Mapping) -> dict[str, str]:
    """Return which networks were taken, why these ("" where that needs no reason), and licences."""
    return {
        "sentence": searches.sentence.replace(WHY, ""),
        "reason": getattr(searches, "reason", ""),
        "licences": say_licences(searches.networks),
    }


def say_licences(networks: Iterable[Network]) -> str:
    """Return under which licences the weights of some networks are.

    >>> from artsearch import NETWORKS
    >>> say_licences([NETWORKS["inception_v4"], NETWORKS["resnet50"], NETWORKS["vgg16"]])
    'Weights: Inception-V4 Apache-2.0; ResNet-50, VGG-16 BSD-3-Clause.'
    """
    titles: dict[str, list[str]] = {}
    for network in networks:
        titles.setdefault(network.licence, []).append(network.title)
    if len(titles) == 1:
        return f"Weights: {next(iter(titles))}."
    said = (f"{', '.join(names)} {licence}" for licence, names in titles.items())
    return f"Weights: {'; '.join(said)}."


def words(name: str) -> str:
    """Return a name as words.

    >>> words("no_crop")
    'no crop'
    """
    return name.replace("_", " ")


def has_dial(searches: Mapping) -> bool:
    """Whether searches can be turned between content and style, for all their networks."""
    return hasattr(searches, "dial") and getattr(searches, "has_dial", True)


def dial_text(alpha: float | None) -> str:
    """Return a content-style weight in words, as dialText in gallery.js does.

    >>> dial_text(0.5), dial_text(0.25)
    ('half way: content and style alike', 'more content than style (0.25)')
    """
    if alpha is None:
        return "the network's final layer"
    plain = {0: "content alone", 0.5: "half way: content and style alike", 1: "style alone"}
    more = "more content than style" if alpha < 0.5 else "more style than content"
    return plain.get(alpha, f"{more} ({alpha:.2f})")


def distance_text(distance: float) -> str:
    """Return a distance with the digits that tell neighbours apart.

    >>> distance_text(0.61234), distance_text(1203.0), distance_text(52.345)
    ('0.612', '1,203', '52.3')
    """
    whole = float(distance).is_integer()
    digits = 3 if abs(distance) < 10 else 0 if whole else 1
    return f"{distance:,.{digits}f}"


def motif_text(share: float) -> str:
    """Return how much of a motif is found again in a work.

    >>> motif_text(0.6), motif_text(0.0)
    ('60 % of the motif is found again', 'nothing of the motif is found again')
    """
    return (
        f"{f'{share:.0%}'.replace('%', ' %') if share else 'nothing'} of the motif is found again"
    )
