"""Which work an image of the visitor's own shows: found out beside the gallery, which goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock, Thread

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import count_of, say_seconds
from artsearch.points.identify import Identification, Identifier
from artsearch.points.local import check_libraries
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource

#: Seconds that finding points of new works may take without being asked for.
SOON = 5
LOOKING = "Looking which work it is …"
#: What the visitor is offered where it takes long.
OFFER = "Which work is it?"


@dataclass(frozen=True)
class Said:
    """What is said of an image: a sentence, more beside it, and the work where there is one.

    `offer` is what a button says that has it found out; `busy` tells that it is being found out.
    """

    sentence: str = ""
    more: str = ""
    found: Identification | None = None
    offer: str = ""
    busy: bool = False


class Which:
    """Finds out which work each of some images shows, on a thread of its own.

    `source` gives the picture of an id. `changed` is called with the id of an image of which there
    is something new to say, and `tell` with a sentence on how far it is; both on that thread.
    """

    def __init__(
        self,
        collection: Collection,
        out: str | os.PathLike,
        source: Callable[[str], ImageSource],
        changed: Callable[[str], None],
    ):
        self.tell: Callable[[str], None] = lambda sentence: None
        self._collection, self._out, self._source = collection, out, source
        self._changed = changed
        self._said: dict[str, Said] = {}
        self._identifier: Identifier | None = None
        self._one_at_a_time = Lock()
        self._threads: list[Thread] = []

    def knows(self, id: str) -> bool:
        """Whether it was asked which work an image shows."""
        return id in self._said

    def said(self, id: str) -> Said:
        """Return what is said of an image."""
        return self._said.get(id, Said(LOOKING, busy=True))

    def ask(self, id: str, also: Sequence[str] = (), at_any_cost: bool = False) -> None:
        """Begin to find out which work an image shows; return at once.

        Where the points of the collection are not there yet, what it takes is said, and it is done
        only `at_any_cost`. `also` names works that are looked at besides, such as the nearest.
        """
        self._said[id] = Said(LOOKING, busy=True)
        # A daemon, so that a kernel that is shut down does not wait for it; points are resumed.
        thread = Thread(target=self._find_out, args=(id, also, at_any_cost), daemon=True)
        self._threads = [*filter(Thread.is_alive, self._threads), thread]
        thread.start()

    def wait(self) -> None:
        """Wait until all that was asked is found out."""
        for thread in self._threads:
            thread.join()

    def _find_out(self, id: str, also: Sequence[str], at_any_cost: bool) -> None:
        try:
            said = self._answer(id, also, at_any_cost)
        except ArtsearchError as error:
            said = Said("Which work it is cannot be told here.", f"{error}.")
        # On a thread nobody sees what goes wrong.
        except Exception as error:
            said = Said("Which work it is cannot be told.", f"{type(error).__name__}: {error}")
        self._said[id] = said
        self._changed(id)

    def _answer(self, id: str, also: Sequence[str], at_any_cost: bool) -> Said:
        check_libraries()
        with self._one_at_a_time:
            if self._identifier is None:
                works, seconds = Identifier.missing(self._collection, self._out)
                if seconds > SOON and not at_any_cost:
                    cost = f"The points of {count_of(works, 'work')} are looked for first, once: "
                    return Said(more=f"{cost}about {say_seconds(seconds)}.", offer=OFFER)
                self._identifier = Identifier.of(self._collection, self._out, False, self.tell)
            found = self._identifier.identify(self._source(id), also)
        return Said(found.sentence(self._collection), _say_points(found), found)


def _say_points(found: Identification) -> str:
    """Say how sure it is, and what of the work the picture shows."""
    if found.work is None:
        most = count_of(found.points, "point") if found.points else "none of its points"
        return f"The work that agrees best does so by {most}; it takes {found.threshold}."
    whole = all(-0.02 < share < 1.02 for corner in found.in_picture for share in corner)
    part = "All of it is in your picture" if whole else "Outlined in it is what your picture shows"
    share = f"These are {found.share:.0%} of the points that match"
    return f"{share}; {found.threshold} points are enough. {part}."
