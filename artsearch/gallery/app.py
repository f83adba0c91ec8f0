"""The gallery as an app in the browser: Voilà on the notebook, with the gallery alone on the page.

python -m artsearch app notebooks/04_compare_networks.ipynb
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from artsearch.base.disk import write_whole
from artsearch.base.errors import ArtsearchError
from artsearch.works.storage import is_address

WEB = Path(__file__).parent / "web"
#: Tags of the cells that the app runs: imports and set-up, parameters, the gallery itself.
TAGS = {"app", "parameters", "gallery"}


def serve(
    notebook: str | os.PathLike,
    parameters: Mapping[str, object] | None = None,
    options: Sequence[str] = (),
) -> None:
    """Serve the gallery of a notebook until it is stopped.

    `parameters` take the place of the notebook's own. `options` go to Voilà, such as
    `--no-browser`, `--port=8866`, `--theme=dark`. Raises ArtsearchError for no notebook, and where
    Voilà is not installed.
    """
    from traitlets.config import Config

    try:
        from voila.app import Voila
    except ImportError:
        raise ArtsearchError(
            "the app is served by Voilà, which is not installed; run `pip install 'artsearch[app]'`"
        ) from None
    if not Path(notebook).is_file():
        raise ArtsearchError(f"no such notebook: {str(notebook)!r}; name one that exists")
    # Where Voilà looks for templates.
    paths = [str(WEB), os.environ.get("JUPYTER_PATH", "")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, paths))
    config = Config()
    config.VoilaConfiguration.template = "artsearch"
    config.VoilaConfiguration.prelaunch_hook = lambda _, notebook, cwd: prepare(
        notebook, parameters or {}
    )
    # An ArtsearchError shows itself as one sentence; Voilà's own text says nothing.
    config.VoilaConfiguration.show_tracebacks = True
    # The first start computes the features of the whole collection.
    config.VoilaExecutor.timeout = 24 * 3600
    Voila.launch_instance([str(notebook), *options], config=config)


def write_judging(
    path: str | os.PathLike,
    collection: str | os.PathLike,
    questions: str | os.PathLike,
    votes: str | os.PathLike,
    out: str | os.PathLike,
) -> Path:
    """Write the notebook whose app is the judging room, for `serve`, and return its path.

    `questions` is a file of them (see save_questions). Each visitor gets a kernel, and all of them
    write into the one file `votes`.
    """
    import nbformat

    absolute = [str(Path(one).resolve()) for one in (questions, votes, out)]
    folder = str(collection if is_address(collection) else Path(collection).resolve())
    imports = """\
from artsearch.gallery.judge import Judge
from artsearch.judge.questions import read_questions
from artsearch.works.collection import Collection"""
    show = """\
judge = Judge(Collection({!r}), read_questions({!r}), votes={!r}, out={!r})
judge""".format(folder, *absolute)
    cells = [
        nbformat.v4.new_code_cell(source, metadata={"tags": [tag]})
        for source, tag in ((imports, "app"), (show, "gallery"))
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "title": "Which is more like it?"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    return write_whole(path, nbformat.writes(notebook).encode())


def prepare(notebook, parameters: Mapping[str, object]):
    """Reduce a notebook to the cells that the app needs, with other parameters.

    These are the ones with a tag of TAGS; a notebook without the tag `app` is run as a whole.
    """
    import nbformat

    tagged = [(cell, set(cell.metadata.get("tags", []))) for cell in notebook.cells]
    if any("app" in tags for _, tags in tagged):
        tagged = [(cell, tags) for cell, tags in tagged if tags & TAGS]
    cells = []
    for cell, tags in tagged:
        cells.append(cell)
        if "parameters" in tags:
            lines = [f"{name} = {value!r}" for name, value in parameters.items()]
            cells.append(nbformat.v4.new_code_cell("\n".join(lines)))
    notebook.cells = cells
    notebook.metadata.setdefault("title", "Visually similar artworks")
    return notebook
