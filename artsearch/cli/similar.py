"""`python -m artsearch similar`: one question to a collection, from the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import printable
from artsearch.works.storage import RemoteFile, is_address

if TYPE_CHECKING:
    from artsearch.search.experiment import Experiment
    from artsearch.search.results import Neighbour, Results
    from artsearch.search.search import Search
    from artsearch.works.collection import Collection


#: The dial that was fitted to votes.
YOURS = "yours"


@click.command()
@click.argument("images", nargs=-1, metavar="IMAGE…")
@click.option("--text", multiple=True, help="Words to be like; may be given again.")
@click.option("--collection", default="data", help="Folder of images, with or without works.csv.")
@click.option("--where", default="", help="Condition, such as 'style == \"Ukiyo-e\"'.")
@click.option("--k", default=10, help="How many works.")
@click.option("--unlike", multiple=True, help="A work not to be like; may be given again.")
@click.option("--unlike-text", multiple=True, help="Words not to be like; may be given again.")
@click.option("--other", multiple=True, help="Column in which the answer differs: artist.")
@click.option("--no-copies", is_flag=True, help="Leave out near-duplicates, also of one another.")
@click.option("--no-machine-made", is_flag=True, help="Leave out works made by a machine.")
@click.option("--exclude", multiple=True, help="A work to leave out; may be given again.")
@click.option("--per", default="", help="Column of which each value answers with its nearest.")
@click.option("--each", default=1, help="How many for each value of that column.")
@click.option("--part", default="", help="Part of IMAGE: left,top,right,bottom from 0 to 1.")
@click.option("--motif", is_flag=True, help="Works that have that part somewhere, and where.")
@click.option("--normalise", default="", help="csls: put back works that are near to everything.")
@click.option("--why", default="", help="Try why this work is near: where it comes in grey, …")
@click.option("--path-to", default="", help="Show stepping stones from IMAGE to this work.")
@click.option("--waypoints", default=5, help="How many at most.")
@click.option("--network", default="", help="Network; else one whose features are there already.")
@click.option("--crop", default="no_crop", help="Crop.")
@click.option("--dial", default="", help="From 0 (content) to 1 (style), or yours: from votes.")
@click.option("--learnt", is_flag=True, help="Compare by what was learnt (artsearch judge learn).")
@click.option("--index", default="annoy", help="Kind of index: annoy, exact, auto, milvus, …")
@click.option("--uri", default="", help="File or address of Milvus.")
@click.option("--out", default="build", help="Folder where features are kept.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def similar(
    images: Sequence[str],
    text: Sequence[str],
    collection: str,
    where: str,
    k: int,
    unlike: Sequence[str],
    unlike_text: Sequence[str],
    other: Sequence[str],
    no_copies: bool,
    no_machine_made: bool,
    exclude: Sequence[str],
    per: str,
    each: int,
    part: str,
    motif: bool,
    normalise: str,
    why: str,
    path_to: str,
    waypoints: int,
    network: str,
    crop: str,
    dial: str,
    learnt: bool,
    index: str,
    uri: str,
    out: str,
    as_json: bool,
) -> None:
    """Show the works most similar to IMAGE, or to the words of --text.

    IMAGE is a work of the collection (its path there, or its file) or any picture; of several the
    answer is near to all, and to the words. Words want a network that takes them.
    """
    from artsearch.search.question import Words
    from artsearch.works.collection import Collection

    if not images and not text:
        raise click.UsageError("name an IMAGE, or words: --text 'a mountain lake'")
    works = Collection(collection)
    liked = [*(find_thing(works, image) for image in images), *map(Words, text)]
    unliked = [*(find_thing(works, image) for image in unlike), *map(Words, unlike_text)]
    exclude = [find_work(works, image) for image in exclude]
    if (text or unlike_text) and works.has_pictures:
        network = find_wordy(works, network, crop, out)
    place = _read_dial(dial, learnt)
    search = open_search(works, network, crop, place, out, learnt, index=index, uri=uri)
    asked = {
        "where": where,
        "exclude_same": other,
        "near_duplicates": not no_copies,
        "machine_made": not no_machine_made,
        "exclude": exclude,
        "region": _read_part(part),
        "normalise": normalise,
    }
    if why:
        if len(images) != 1 or text or unlike or unlike_text or per or path_to or motif:
            raise ArtsearchError(
                "--why is asked of one IMAGE and one work near it; leave out --text, --unlike, "
                "--unlike-text, --per, --motif and --path-to"
            )
        found = search.experiment(liked[0], find_work(works, why), **asked)
        return click.echo(experiment_json(found) if as_json else experiment_text(found))
    if path_to:
        more = (text, unlike, unlike_text, other, no_copies, per, part, motif, normalise)
        if len(images) != 1 or any(more):
            raise ArtsearchError(
                "a path leads from one work to another; besides --path-to it takes --waypoints, "
                "--where, --exclude and --no-machine-made"
            )
        ends = find_work(works, images[0]), find_work(works, path_to)
        answer = search.path(*ends, waypoints, where, exclude, not no_machine_made)
    else:
        answer = search.ask(
            liked,
            k,
            negative=unliked,
            group_by=per,
            group_size=each,
            motif=motif,
            **asked,
        )
    goal = answer.ids[-1] if path_to else ""
    click.echo(to_json(works, answer, goal) if as_json else to_text(answer))


def find_thing(works: Collection, image: str) -> str | Path | RemoteFile:
    """Return the work that is meant, by its id, its file or its address, or else the file itself.

    Raises ArtsearchError, with the nearest ids, where there is neither.
    """
    if image in works:
        return image
    if is_address(image):
        found = (id for id in works if str(works.path(id)) == image)
        return next(found, None) or RemoteFile.at(image)
    path = os.path.expanduser(image)
    if not os.path.isfile(path):
        raise unknown("work or file", image, works.ids, "; words go behind --text")
    inside = Path(os.path.relpath(os.path.realpath(path), os.path.realpath(works.folder)))
    # As a collection spells out bytes that are no UTF-8.
    id = os.fsencode(inside.as_posix()).decode("utf-8", "backslashreplace")
    return id if id in works else Path(path)


def find_work(works: Collection, image: str) -> str:
    """Return the work of the collection that is meant, by its id or its file."""
    found = find_thing(works, image)
    if found not in works:
        raise ArtsearchError(f"{image!r} is no work of {works.name}; name one of the collection")
    return found


def open_search(
    works: Collection,
    network: str = "",
    crop: str = "no_crop",
    dial: float | str | None = None,
    out="build",
    learnt: bool = False,
    **options,
) -> Search:
    """Return a search over a collection, with features computed before where there are any.

    Without a network it is the first whose features are there already, which needs neither torch
    nor the network itself. The dial "yours" is the place that was fitted to votes, `learnt` takes
    the map that was learnt. `options` are those of Searches. Raises ArtsearchError where nothing
    was learnt.
    """
    from artsearch.search.learnt import learnt_search, your_dial
    from artsearch.search.searches import Searches

    computed = computed_networks(works, crop, out)
    names = network or next(iter(computed), "auto")
    precision = "exact" if computed.get(names) == {"exact"} else "auto"
    searches = Searches(works, names, [crop], out=out, precision=precision, **options)
    name = searches.networks[0].name
    if learnt:
        return learnt_search(searches, name, crop, out)
    if dial == YOURS:
        dial = your_dial(out, works, name, crop)
        if dial is None:
            raise ArtsearchError(
                f"there is no dial of yours for {name} and {crop} yet; run `artsearch judge learn "
                "VOTES`, or take a number from 0 (content) to 1 (style)"
            )
    return searches[name, crop] if dial is None else searches.dial(name, crop, dial)


def find_wordy(works: Collection, network: str, crop: str, out: str | os.PathLike) -> str:
    """Return a network that takes words: the one named, or one whose features are there.

    Raises ArtsearchError, before anything is computed, where the one named takes none, and where
    none is named and there is none: they are large, and are downloaded by name alone.
    """
    from artsearch.networks.registry import as_network
    from artsearch.search.results import WORDY
    from artsearch.search.search import words_by

    if network and not words_by(as_network(network).name):
        raise ArtsearchError(f"{network} takes no words; take a network that does, such as {WORDY}")
    found = network or next(filter(words_by, computed_networks(works, crop, out)), "")
    if not found:
        raise ArtsearchError(
            f"no features of {works.name} are there by a network that takes words; name one, such "
            f"as --network {WORDY}"
        )
    return found


def computed_networks(works: Collection, crop: str, out: str | os.PathLike) -> dict[str, set[str]]:
    """Return the networks by which features of a collection are there, and in which precisions."""
    from artsearch.features.extract import collection_key
    from artsearch.features.store import read_manifest
    from artsearch.networks.registry import NETWORKS

    found: dict[str, set[str]] = {}
    for folder in sorted(Path(out, "stores").glob(f"{collection_key(works)}-*")):
        try:
            provenance = read_manifest(folder)["provenance"]
        except ArtsearchError:
            continue
        name = provenance["network"]
        known = name in NETWORKS or name.startswith("open_clip:")
        layer = NETWORKS[name].layer if name in NETWORKS else ""
        if known and provenance["crop"] == crop and provenance["layer"] == layer:
            found.setdefault(name, set()).add(provenance["precision"])
    return dict(sorted(found.items()))


def to_text(answer: Results) -> str:
    """Return an answer as lines to read: notes, then distance, caption, id and rarity of each."""
    from artsearch.search.wording import distance_text, motif_text

    lines = [*answer.notes, *filter(None, [answer.cut_text])]
    for work in answer:
        group = f"{work.group}: " if work.group else ""
        words = " ".join(f"{group}{work.caption}".split())
        more = f" (and {work.duplicates:,} near-duplicates)" if work.duplicates else ""
        lines += [f"{distance_text(work.distance):>7}  {words}{more}", f"         {work.id}"]
        lines += [f"         {work.rarity}"] if work.rarity else []
        if work.region:
            place = ",".join(f"{end:.2f}" for end in work.region)
            lines += [f"         {motif_text(work.share)}, in part {place}"]
    return "\n".join(printable(line) for line in [*lines, f"({answer.unit})"])


def to_json(works: Collection, answer: Results, goal: str = "") -> str:
    """Return an answer as JSON: what was asked, notes, and all that is known of each work.

    `goal` is the work to which stepping stones lead.
    """
    told = ("distance", "group", "duplicates")
    found = [
        {name: getattr(one, name) for name in told}
        | ({"region": one.region, "share": one.share} if one.region else {})
        | _rarity(one)
        | works.work(one.id)
        for one in answer
    ]
    view = {name: answer.provenance.get(name) for name in ("network", "crop", "dial")}
    # No link could say what is in a picture from elsewhere.
    can_be_cited = all(id in works for id in answer.question.works)
    whole = {
        "link": answer.question.to_link(**view, goal=goal) if can_be_cited else "",
        **view,
        "metric": answer.metric,
        "notes": list(answer.notes),
        "cut": answer.cut,
        "works": found,
    }
    return json.dumps(whole, ensure_ascii=True, indent=1)


def experiment_text(found: Experiment) -> str:
    """Return an experiment as lines to read: the sentence, then its table."""
    table = found.table().astype(object).fillna("").to_string(index=False)
    return "\n".join(printable(line) for line in [found.text, *found.notes, *table.splitlines()])


def experiment_json(found: Experiment) -> str:
    """Return an experiment as JSON, with what it says in a sentence and in causes."""
    said = {"text": found.text, "causes": found.causes}
    return json.dumps(asdict(found) | said, ensure_ascii=True, indent=1)


def _rarity(one: Neighbour) -> dict[str, object]:
    """Return how unusual it is for two works to be as near; nothing where that is not known."""
    return {"rarity": one.rarity.word} | one.rarity._asdict() if one.rarity else {}


def _read_dial(text: str, learnt: bool) -> float | str | None:
    if text and learnt:
        raise click.UsageError("--dial and --learnt are two ways to compare; take one of them")
    try:
        return text if text == YOURS else float(text) if text else None
    except ValueError:
        raise ArtsearchError(
            f"--dial is {text!r}; take a number from 0 (content) to 1 (style), or {YOURS}"
        ) from None


def _read_part(text: str) -> tuple[float, ...] | None:
    try:
        return tuple(float(end) for end in text.split(",")) if text else None
    except ValueError:
        raise ArtsearchError(
            f"--part is {text!r}; take four numbers from 0 to 1: left,top,right,bottom"
        ) from None
