"""The gallery as a widget: for notebooks, and by way of Voilà as an app."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import anywidget
import numpy as np
import traitlets

from artsearch.base.errors import ArtsearchError, ImageError, unknown
from artsearch.base.text import count_of
from artsearch.features.blend import round_alpha
from artsearch.gallery.answers import Answers, Making
from artsearch.gallery.asked import IN_WORDS, UPLOADED, Asked, near
from artsearch.gallery.drawer import Drawer
from artsearch.gallery.session import Session
from artsearch.gallery.session_page import KINDS, to_bytes
from artsearch.gallery.view import (
    tabulate,
    tell_about,
    tell_answer,
    tell_earlier,
    tell_which,
    tell_why,
    tell_works,
)
from artsearch.gallery.which import Which
from artsearch.networks.transforms import default_crop
from artsearch.search.question import Question, read_link
from artsearch.search.results import Results
from artsearch.search.search import Search
from artsearch.search.wording import has_dial
from artsearch.show.html import WEB
from artsearch.show.opening import choose_opening
from artsearch.works.collection import Collection
from artsearch.works.images import thumbnail, to_jpeg
from artsearch.works.table import to_safe_csv
from artsearch.works.thumbnails import SIDES, Thumbnails, small_picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

OWN = Path(__file__).parent / "web"
MOST = 20  # neighbours that can be asked for, where the collection has as many
ANSWERS = 16  # answers that are remembered
#: In the order in which they build on each other.
SCRIPTS = (
    *(WEB / f"{name}.js" for name in ("gallery", "ask", "pair", "time", "text", "where")),
    *(WEB / f"{name}.js" for name in ("question", "rarity", "state", "view")),
    *(OWN / f"{name}.js" for name in ("which", "wire", "remote", "widget")),
)
STYLES = (
    *(WEB / f"{name}.css" for name in ("gallery", "ask", "pair", "time", "print")),
    OWN / "which.css",
)
#: What of a question a notebook can read and set by itself, and what each is.
PLACES = dict.fromkeys(["query", "network", "crop", "goal"], str)
PLACES |= {"question": Question, "dial": object, "compare": bool}


def _without_comments(script: str) -> str:
    """A script without the comments on lines of their own: a quarter of what would travel."""
    return re.sub(r"(?m)^ *(?://.*|/\*(?:[^*]|\*(?!/))*\*/)\n", "", script)


class Place(traitlets.TraitType):
    """What a notebook reads, and asks by setting it: before anybody hears of it, or not at all."""

    def __set__(self, obj, value):
        obj._set(self.name, value)


class Gallery(anywidget.AnyWidget):
    """A drawer of works, the selected one and its neighbours, as several networks see them.

    `searches` is a Searches, or any mapping from (network, crop) to Search that has its `networks`,
    `crops` and `sentence`. `query` is the first work selected, or `link` a question to begin with
    (see Question.to_link); where neither is given the gallery opens on a work that is chosen for
    its answer (see choose_opening), with works made by a machine left out. `dial` is a weight from
    0 (content) to 1 (style), for searches that have a dial; None is the article's recipe, the
    network's final layer. `drawer` is the number of works on a page of the drawer. Thumbnails are
    kept below `out`. Only the pictures in sight travel to the browser, each once.

    What the visitor has come to stands in `query`, `question`, `network`, `crop`, `dial`,
    `compare` and `goal`, and can be set: the gallery follows. `results` maps each network asked to
    its Results; like the others it can be observed. Raises ArtsearchError for what cannot be asked.

        gallery = Gallery(collection, Searches(collection))
        gallery.question = replace(gallery.question, where='style == "Ukiyo-e"')
        gallery.observe(lambda change: print(change.new), "query")
    """

    _esm = _without_comments("\n".join(path.read_text("utf-8") for path in SCRIPTS))
    _css = "\n".join(path.read_text("utf-8") for path in STYLES)
    # For the browser (remote.js): what there is, what Python has answered by itself, where the
    # visitor is, and what was noted.
    about = traitlets.Dict().tag(sync=True)
    opening = traitlets.Dict().tag(sync=True)
    place = traitlets.Dict().tag(sync=True)
    noted = traitlets.Dict().tag(sync=True)
    # For the notebook.
    query = Place()
    question = Place()
    network = Place()
    crop = Place()
    dial = Place()
    compare = Place()
    goal = Place()
    results = traitlets.Dict(read_only=True)

    def __init__(
        self,
        collection: Collection,
        searches: Mapping[tuple[str, str], Search],
        k: int = 10,
        *,
        query: str | None = None,
        network: str | None = None,
        crop: str | None = None,
        dial: float | None = None,
        machine_made: bool | None = None,
        link: str | None = None,
        drawer: int = 24,
        seed: int = 0,
        out: str | os.PathLike = "build",
    ):
        # In the app, the question of the address (Voilà hands it on so).
        asked = f"?{os.environ.get('QUERY_STRING', '')}" if link is None else link
        link = asked if "like=" in asked or "words=" in asked else ""
        if machine_made is None:
            machine_made = query is not None or bool(link)
        self.collection, self.searches = collection, searches
        self.titles = {one.name: one.title for one in searches.networks}
        network, crop = network or next(iter(self.titles)), default_crop(searches.crops, crop)
        dial = self._check(network, crop, dial)
        ids = searches[network, crop].index.ids
        taken = [id for id in ids if id.startswith((IN_WORDS, UPLOADED))]
        if taken:
            raise ArtsearchError(
                f"{taken[0]!r} begins as words, or images of a visitor's own, do in a gallery; "
                "rename the file"
            )
        self.k_max = min(max(MOST, k), len(ids) - 1)
        self.has_both = collection.has_both(ids)
        self.session = Session(collection)
        self.thumbnails = Thumbnails(collection, Path(out, "thumbs"))
        self._answers = Answers(collection, searches, out)
        self.which = Which(collection, out, self._answers.source, self._tell_which)
        self.making = Making(self._tell_motif)
        self.which.tell = partial(self._tell_progress, "which")
        self.making.tell = partial(self._tell_progress, "motif")
        self._drawer, self._drawn = Drawer(collection, ids, drawer), {"seed": seed}
        self._remembered: dict[Asked, Results] = {}
        self._turn, self._told = 0, 0.0
        self._one = Lock()  # JupyterLab lets the browser ask while a cell is running
        super().__init__(about=tell_about(self._answers, self.k_max, self.has_both))
        self.on_msg(self._heed)
        error = ""
        self._asked = Asked(network, crop, Question(ids[0]), dial)
        if link:
            try:
                self.open_link(link)
            except ArtsearchError as trouble:
                error = str(trouble)
        if not self.opening:
            if query is None:
                query = choose_opening(collection, {network: searches[network, crop]}, k, seed)
            k = min(k, max(self.k_max, 1))
            question = Question(**near(query), k=k, machine_made=machine_made)
            self._go(Asked(network, crop, question, dial), error)

    def __repr__(self) -> str:
        # Stands in the notebook's file for readers without a kernel.
        return f"<Gallery of {count_of(len(self._drawer), 'work')}; it needs a running notebook>"

    # ---- for the notebook -----------------------------------------------------------------------

    def open_link(self, link: str) -> None:
        """Ask what a link asks, such as a visitor copies (see Question.to_link)."""
        try:
            question, view = read_link(link)
            question = replace(question, k=min(question.k, max(self.k_max, 1)))
            self._go(replace(self._asked, question=question, query="", **{"goal": ""} | view))
        except ArtsearchError as error:
            raise ArtsearchError(f"This link cannot be opened: {error}") from None

    def upload(self, data: bytes, name: str = "") -> None:
        """Ask by an image of one's own: the bytes of a file."""
        self.query = self._add(data, name)

    def table(self) -> pd.DataFrame:
        """Return the results as a table, a row a neighbour; see `tabulate`."""
        return tabulate(self._answers, self._asked, self.results, self.has_both)

    def picture(self) -> Figure:
        """Draw the query and its neighbours, a row a network, for a reader without a kernel."""
        from artsearch.show.figures import show_results, show_works

        if not self.results:  # there is no other work
            return show_works(self.collection, [self.query])
        answers = {self.titles[name]: answer for name, answer in self.results.items()}
        figure = show_results(self.collection, answers)
        if self.query in self._answers.uploads:
            figure.axes[0].imshow(np.asarray(thumbnail(self._answers.uploads[self.query][1])))
        return figure

    def _set(self, name: str, value: object) -> None:
        """Ask what a notebook sets, or refuse it."""
        if not isinstance(value, PLACES[name]):
            raise ArtsearchError(f"{name} is {value!r}; take a {PLACES[name].__name__}")
        if name == "query":
            return self._go(self._asked.select(value))
        follows = {"question": {"query": "", "goal": ""}, "network": {"compare": False}}
        self._go(replace(self._asked, **follows.get(name, {}) | {name: value}))

    # ---- what is asked --------------------------------------------------------------------------

    def _go(self, asked: Asked, error: str = "") -> None:
        """Ask something; where it can be had, tell the notebook and the browser."""
        dial = self._check(asked.network, asked.crop, asked.dial)
        question = asked.question
        if self.k_max and question.k not in range(1, self.k_max + 1):
            raise ArtsearchError(f"k is {question.k!r}; take 1 to {self.k_max}")
        question = replace(question, machine_made=question.machine_made or not self.has_both)
        compare = asked.compare and len(self.titles) > 1
        asked = replace(asked, dial=dial, question=question, compare=compare)
        found = self._ask(asked)
        drawn = self._drawer.open(**self._drawn, machine_made=question.machine_made)
        self._turn += 1  # the same place once more is an opening too
        beside = [asked.query, *question.works, *question.exclude, *filter(None, [asked.goal])]
        named = [*beside, *drawn["works"], *(id for answer in found.values() for id in answer.ids)]
        opening = {
            "place": asked.write() | self._drawn | {"page": drawn["page"]},
            "answers": {
                name: tell_answer(self._answers, replace(asked, network=name), answer)
                for name, answer in found.items()
            },
            "drawn": drawn,
            "told": self._tell_works(named),
            "error": error,
            "turn": self._turn,
        }
        self._note(asked, found)
        self._follow(asked, found, opening)

    def _ask(self, asked: Asked) -> dict[str, Results]:
        """Ask the network chosen, or all of them."""
        if self.k_max < 1 and asked.query not in self._answers.uploads:
            self.collection.row(asked.query)
            return {}
        names = self.titles if asked.compare else [asked.network]
        return {name: self._answer(replace(asked, network=name)) for name in names}

    def _answer(self, asked: Asked) -> Results:
        """Ask one network; the browser tells of the place that it has come to, so it is kept."""
        asked = replace(asked, compare=False)
        with self._one:
            if asked not in self._remembered:
                self._remembered[asked] = self._answers.answer(asked)
                while len(self._remembered) > ANSWERS:
                    del self._remembered[next(iter(self._remembered))]
            return self._remembered[asked]

    def _follow(self, asked: Asked, found: dict[str, Results], opening: dict | None = None) -> None:
        """Let the notebook see where the visitor is, after the browser: who looks may ask again."""
        self._asked = asked
        with self.hold_trait_notifications():
            if opening:  # where a page is open it tells of its place again
                self.opening, self.place = opening, {}
            for name in PLACES:
                self.set_trait(name, getattr(asked, name))
            self.set_trait("results", found)

    @traitlets.observe("place")
    def _visit(self, change) -> None:
        if not change["new"]:
            return
        asked = Asked.read(change["new"])
        self._drawn = {name: change["new"][name] for name in ("search", "page", "seed")}
        if asked != self._asked:
            self._follow(asked, self._ask(asked))

    def _note(self, asked: Asked, found: Mapping[str, Results]) -> None:
        """Write what was asked and found into the session."""
        for answer in found.values():
            self.session.add(asked.question, answer, asked.goal)
        self.noted = {"kept": list(self.session.kept), "steps": len(self.session.steps)}

    def _check(self, network: str, crop: str, dial: float | None) -> float | None:
        """Return the weight of the dial, rounded; raise for what these searches do not have."""
        if network not in self.titles:
            raise unknown("network", network, self.titles)
        if crop not in self.searches.crops:
            raise unknown("crop", crop, self.searches.crops)
        if dial is not None and not has_dial(self.searches):
            raise ArtsearchError(
                f"the dial is {dial!r}, but these searches have none; take None, the network's "
                "final layer"
            )
        return None if dial is None else round_alpha(dial)

    # ---- for the browser ------------------------------------------------------------------------

    def _heed(self, _, message: dict, buffers: list) -> None:
        """Answer the browser (see remote.js); what goes wrong is the answer, and said there."""
        files = []
        try:
            said = self._do(message, buffers, files)
        except ArtsearchError as error:
            said = {"error": str(error)}
        except KeyboardInterrupt:  # without an answer the browser would wait for ever
            said = {"error": "The kernel was interrupted; ask again."}
        # Wherever an exception of a callback goes, no visitor looks there.
        except Exception as error:
            said = {"error": f"This did not work: {type(error).__name__}: {error}"}
        self.send(said | {"answer": message.get("ask")}, files)

    def _do(self, message: dict, buffers: list, files: list) -> dict:
        match message:
            case {"do": "pictures", "names": names}:
                # Decoding, and waiting for the servers of museums, run side by side.
                with ThreadPoolExecutor(8) as pool:
                    files += pool.map(self._picture_file, names)
                return {"pictures": names}
            case {"do": "answer", "asked": asked}:
                return self._tell_answer(Asked.read(asked))
            case {"do": "drawer", "drawer": asked}:
                drawn = self._drawer.open(**asked)
                return {"drawn": drawn, "told": self._tell_works(drawn["works"])}
            case {"do": "works", "ids": ids}:
                return {"told": self._tell_works(ids)}
            case {"do": "why", "asked": asked, "id": id, "tried": tried}:
                said = tell_why(self._answers, Asked.read(asked), id, tried)
                return {"explained": said, "told": self._tell_works([id])}
            case {"do": "earlier", "asked": asked, "ids": ids}:
                before = tell_earlier(self._answers, Asked.read(asked), ids)
                found = [one["id"] for one in before.values() if one]
                return {"before": before, "told": self._tell_works(found)}
            case {"do": "add", "name": name}:
                return {"id": self._add(bytes(buffers[0]), str(name))}
            case {"do": "identify", "id": id}:
                if id not in self._answers.uploads:
                    raise ArtsearchError(
                        "that is known of a work of the collection; select your own image"
                    )
                self._ask_which(id, next(iter(self.results.values())), at_any_cost=True)
                return {"which": self._say_which(id)}
            case {"do": "motif" | "make_motifs" as verb, "asked": asked}:
                searches = [self.searches[one["network"], one["crop"]] for one in asked]
                (self.making.is_there if verb == "motif" else self.making.begin)(searches)
                return {"said": asdict(self.making.said)}
            case {"do": "keep", "id": id, "on": on}:
                self.session.keep(id) if on else self.session.drop(id)
                self._note(self._asked, {})
                return {}
            case {"do": "open"}:
                self.session = Session.from_json(bytes(buffers[0]), self.collection)
                self._note(self._asked, {})
                link = self.session.steps[-1].link() if self.session.steps else ""
                return {"link": link, "missing": self.session.missing}
            case {"do": "save", "what": what, "format": format}:
                name, kind, data = self._to_file(what, format)
                files.append(data)
                return {"name": name, "type": kind}
        raise ArtsearchError(f"this gallery does not know {message.get('do')!r}")

    def _tell_answer(self, asked: Asked) -> dict:
        found = self._answer(asked)
        self._note(asked, {asked.network: found})
        beside = [asked.query, *asked.question.works, asked.goal, *asked.question.exclude]
        said = {"found": tell_answer(self._answers, asked, found)}
        said["told"] = self._tell_works([*beside, *found.ids])
        if asked.query in self._answers.uploads:
            if not self.which.knows(asked.query):
                self._ask_which(asked.query, found)
            said["which"] = self._say_which(asked.query)
        return said

    def _tell_works(self, ids) -> list[dict]:
        return tell_works(self._answers, self.thumbnails, ids)

    def _add(self, data: bytes, name: str) -> str:
        """Keep an image of the visitor's own, the bytes of a file; return its id."""
        try:
            small = to_jpeg(thumbnail(data, 1024), quality=92)
        except ImageError as error:
            raise ArtsearchError(f"{name or 'This file'} cannot be a query: {error}") from None
        id = f"{UPLOADED}{len(self._answers.uploads) + 1}"
        self._answers.uploads[id] = (name, small)
        return id

    def _picture_file(self, name: str) -> bytes:
        """Return a picture by its name, as a WebP file; no bytes if there is none."""
        kind, _, id = name.partition("/")
        if kind not in SIDES:
            return b""
        if id in self._answers.uploads:
            return small_picture(self._answers.uploads[id][1], kind)
        return self.thumbnails.read(id, kind) if id in self.collection else b""

    def _ask_which(self, id: str, nearest: Results, at_any_cost: bool = False) -> None:
        self.which.ask(id, nearest.ids[:10], at_any_cost)

    def _say_which(self, id: str) -> dict:
        return tell_which(self._answers, self.thumbnails, id, self.which.said(id))

    def _tell_which(self, id: str) -> None:
        said = self._say_which(id)
        told = [said["work"], *said["others"]] if said["work"] else []
        self.send({"heard": "which", "id": id, "which": said, "told": told})

    def _tell_motif(self) -> None:
        self.send({"heard": "motif", "said": asdict(self.making.said)})

    def _tell_progress(self, of: str, sentence: str) -> None:
        """Say how far it is, twice a second at most."""
        if time.monotonic() - self._told > 0.5:
            self._told = time.monotonic()
            self.send({"progress": of, "text": sentence})

    def _to_file(self, what: str, format: str) -> tuple[str, str, bytes]:
        match what:
            case "export":
                # The byte order mark tells Excel that the file is UTF-8.
                data = to_safe_csv(self.table()).encode("utf-8-sig")
                return "similar-works.csv", "text/csv", data
            case "picture":
                return "similar-works.png", "image/png", _to_png(self.picture())
        return f"session.{format}", KINDS[format], to_bytes(self.session, format)


def _to_png(figure: Figure) -> bytes:
    import matplotlib.pyplot as plt

    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150)
    # An open figure would be shown below the next cell that runs.
    plt.close(figure)
    return out.getvalue()
