"""The judging room as a widget: for notebooks, and by way of Voilà for several judges at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anywidget
import traitlets

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import count_of
from artsearch.judge.questions import (
    answered,
    choose_questions,
    name_of,
    to_vote,
    works_in,
)
from artsearch.judge.triplets import Triplet
from artsearch.judge.votes import Votes
from artsearch.search.searches import Searches
from artsearch.show.html import WEB
from artsearch.show.judge_page import describe_questions
from artsearch.works.cards import Card
from artsearch.works.collection import Collection
from artsearch.works.thumbnails import Thumbnails

OWN = Path(__file__).parent / "web"


class Judge(anywidget.AnyWidget):
    """A work and two others: which is more like it? Asks people, and writes what they say.

    `questions` are triplets and rows (see choose_triplets, choose_rows), or Searches, of which
    `count` questions are chosen (see choose_questions, which takes `options`). Every judge gets the
    same ones in the same order; a vote is on the disk, in `votes`, before the next question comes,
    and who comes back goes on where she was. `judge` is her name or number; without one the screen
    asks. `out` is where small pictures are kept.

    The browser gets pictures by number, and knows no work, title or network. Raises ArtsearchError
    for works that are not in the collection, and for a file of something else than votes.

        Judge(collection, Searches(collection), votes="build/votes.csv")
    """

    _esm = "\n".join(
        path.read_text("utf-8")
        for path in (
            *(WEB / "gallery.js", WEB / "judge.js"),
            *(OWN / "wire.js", OWN / "judge_widget.js"),
        )
    )
    _css = "\n".join((WEB / name).read_text("utf-8") for name in ("gallery.css", "judge.css"))
    room = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        collection: Collection,
        questions: Sequence[Triplet] | Searches,
        judge: str = "",
        votes: str | os.PathLike = "build/votes.csv",
        count: int = 300,
        out: str | os.PathLike = "build",
        **options,
    ):
        if isinstance(questions, Mapping):
            questions = choose_questions(questions, count, **options)
        elif options:
            raise ArtsearchError(f"{min(options)} is for questions that are still to be chosen")
        self.collection, self.questions = collection, list(questions)
        self.votes, self.set = Votes(votes), name_of(self.questions)
        self._works = works_in(self.questions)
        for id in self._works:
            if id not in collection:
                raise unknown("work", id, collection.ids)
        self._pictures = Thumbnails(collection, Path(out, "thumbs"))
        said = f"Votes are written to {self.votes.path}, one by one. Nothing leaves this machine."
        room = describe_questions(self.questions, self._works) | {"judge": judge, "said": said}
        super().__init__(room=room | {"set": self.set})
        self.on_msg(self._heed)

    def __repr__(self) -> str:
        # Stands in the notebook's file for readers without a kernel.
        asks = count_of(len(self.questions), "question")
        return f"<Judge of {asks}; it needs a running notebook>"

    def _heed(self, _, message: dict, buffers: list) -> None:
        """Do what judge_widget.js asks for; what goes wrong is its answer, and said on the screen.

        A vote that could not be written is kept there, and comes again.
        """
        said, files = {}, []
        try:
            match message:
                case {"do": "pictures", "names": names}:
                    # Decoding, and waiting for the servers of museums, run side by side.
                    with ThreadPoolExecutor(8) as pool:
                        files = list(pool.map(self._picture, names))
                case {"do": "begin", "judge": name}:
                    said = self._begin(str(name))
                case {"do": "vote", **given}:
                    self._vote(given)
                case {"do": "undo", "judge": name, "id": id}:
                    self.votes.undo(str(name), str(id))
        # Wherever an exception of a callback goes, no judge looks there.
        except Exception as error:
            text = str(error) if isinstance(error, ArtsearchError) else repr(error)
            said = {"error": f"{text[:1].upper()}{text[1:]}."}
        self.send(said | {"answer": message.get("ask")}, files)

    def _begin(self, judge: str) -> dict:
        """Return what a judge answered before, and how many examples she tried."""
        table = self.votes.table()
        mine = table[table["judge"] == judge]
        done = answered(self.questions, mine[mine["choice"] == self.set])
        tried = int((mine["why"] == "tried").sum())
        return {"done": [{"at": at, "id": id} for at, id in done], "tried": tried}

    def _vote(self, given: dict) -> None:
        # One that comes again may have been written: by this kernel, or by one that died after it.
        if given.get("held") and given["id"] in set(self.votes.table()["id"]):
            return
        more = {"choice": self.set, **{name: given[name] for name in ("seconds", "time", "id")}}
        if tried := given.get("tried"):
            sides = tried["left"][0], tried["right"][0]
            question = Triplet(tried["query"], *sides, tried["question"], "tried", "first")
        else:
            question = self.questions[int(given["at"])]
        self.votes.add(to_vote(question, str(given["judge"]), str(given["answer"]), **more))

    def _picture(self, name: str) -> bytes:
        """Return a picture, such as "large/12", by the work's number; no bytes where it has none.

        A card in place of a picture would tell the title.
        """
        kind, _, number = name.partition("/")
        work = self._works[int(number)]
        data, path = self._pictures.read(work, kind), self.collection.path(work)
        return b"" if isinstance(path, Card) and not path.is_here else data
