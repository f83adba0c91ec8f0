"""Deliberate faults, one at a time, and whether the tests notice: proof that they still bite.

What `make test` notices, what `make test-all` does, and a single fault:

    .venv/bin/python tests/mutants.py --jobs 2
    .venv/bin/python tests/mutants.py --tier all
    .venv/bin/python tests/mutants.py --only nearest-pixel

Each fault is put into a copy of the working tree. The tests that are likely to notice it run first,
and only if they all pass, the whole tier. What fails then has to pass in a copy without the fault.
tests/project/test_mutants.py holds the texts against the code, so that the list follows it.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: What of the tests each tier runs, and which share of the faults it has to notice.
TIERS = {"fast": ("not slow and not quality", 28 / 30), "all": ("", 1.0)}
#: Not copied: what is made, and what is large.
LEFT = (".git", ".venv", "build", "*.egg-info", "__pycache__", ".hypothesis", ".*_cache")


class NotSound(Exception):
    """Something else than the fault is wrong: the code has moved, or the tests fail without it."""


@dataclass(frozen=True)
class Fault:
    """A mistake that somebody could make: `old`, which stands once in a file, becomes `new`.

    `file` is below artsearch/. `tests` are those that are likely to notice, below tests/.
    """

    name: str
    file: str
    tests: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Put the fault into a copy of the project."""
        path = root / "artsearch" / self.file
        text = path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise NotSound(f"{self.name}: {self.file} has its text {count} times; write it anew")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8", newline="\n")


FAULTS = [
    # ---- from files to pixels
    Fault(
        "orientation-ignored",
        "works/images.py",
        "works/test_images.py",
        "    image = _turn_upright(image)\n",
        "",
    ),
    Fault(
        "transparency-over-black",
        "works/images.py",
        "works/test_images.py",
        'Image.new("RGBA", strip.size, "white")',
        'Image.new("RGBA", strip.size, "black")',
    ),
    Fault(
        "deep-grey-cut-off",
        "works/colour.py",
        "works/test_images.py",
        "values.astype(np.float32) * np.float32(most / white)",
        "values.astype(np.float32)",
    ),
    Fault(
        "white-is-zero-shown-as-black",
        "works/tiff.py",
        "works/test_images_tiff.py",
        "    return 255 - pixels if colours == WHITE_IS_ZERO else pixels\n",
        "    return pixels\n",
    ),
    Fault(
        "profile-passed-over",
        "works/images.py",
        "works/test_images_colour.py",
        "        image = to_srgb(image)\n",
        "        pass\n",
    ),
    Fault(
        "reduced-page-taken",
        "works/tiff.py",
        "works/test_images_tiff.py",
        "if not page.subfiletype & (REDUCED | IS_MASK)",
        "if page",
    ),
    Fault(
        "lower-table-wins",
        "works/collection.py",
        "works/test_collection.py",
        '(-work_id.count("/"), work_id)',
        '(work_id.count("/"), work_id)',
    ),
    Fault(
        "crop-from-the-corner",
        "networks/transforms.py",
        "networks/test_transforms.py",
        "left, top = (width - side) // 2, (height - side) // 2",
        "left, top = 0, 0",
    ),
    Fault(
        "nearest-pixel",
        "networks/transforms.py",
        "networks/test_transforms.py",
        "Image.Resampling[self.interpolation.upper()]",
        "Image.Resampling.NEAREST",
    ),
    Fault(
        "small-pictures-outlive-a-change",
        "works/thumbnails.py",
        "gallery/test_gallery.py::test_thumbnails_are_made_once",
        '{stat.st_size} {stat.st_mtime_ns}"',
        '{stat.st_size}"',
    ),
    Fault(
        "votes-taken-back-count",
        "judge/votes.py",
        "judge/test_votes.py",
        """    keep = (table["answer"] != UNDO) & ~table["id"].isin(gone)\n""",
        """    keep = table["answer"] != UNDO\n""",
    ),
    Fault(
        "triplets-all-agree-on",
        "judge/triplets.py",
        "judge/test_votes.py",
        "    dispute = np.minimum(ahead[None] - ahead[:, None], behind[:, None] - behind[None])\n",
        "    dispute = np.minimum(ahead[None] - ahead[:, None], behind[None] - behind[:, None])\n",
    ),
    Fault(
        "judges-are-one",
        "judge/resample.py",
        "judge/test_vote_report.py",
        "            weights = weights * _draw(rng, len(judges))[judge]\n",
        "            pass\n",
    ),
    Fault(
        "learnt-on-what-judges",
        "judge/learn.py",
        "judge/test_learn.py",
        "    held = np.flatnonzero(~np.isin(of, chosen))\n",
        "    held = np.flatnonzero(np.isin(of, chosen))\n",
    ),
    Fault(
        "own-hand-is-usual",
        "search/rarity.py",
        "search/test_rarity.py",
        "            row[np.isin(self._codes, codes)] = -np.inf\n",
        "",
    ),
    Fault(
        "mirrored-motifs-are-lost",
        "points/motifs.py",
        "points/test_motifs.py",
        "    return np.stack([part, part[:, ::-1]]), side\n",
        "    return np.stack([part, part]), side\n",
    ),
    Fault(
        "motifs-of-no-place",
        "points/motifs.py",
        "points/test_motifs.py",
        "        ends = left, top, ",
        "        ends = 0.0, 0.0, ",
    ),
    Fault(
        "any-fall-is-a-cause",
        "search/experiment.py",
        "search/test_experiment.py",
        "    lowest = near[0, 0] - ((falls - left)[:, 0] + most)\n",
        "    lowest = near[0, 0] * np.ones(len(falls))\n",
    ),
    # ---- from pixels to features
    Fault(
        "channels-swapped",
        "networks/forward.py",
        "networks/test_forward.py features/test_features.py",
        "inputs.permute(0, 3, 1, 2).float()",
        "inputs.flip(3).permute(0, 3, 1, 2).float()",
    ),
    Fault(
        "mean-and-deviation-swapped",
        "networks/forward.py",
        "networks/test_forward.py features/test_features.py",
        "/ 255 - self.mean) / self.std",
        "/ 255 - self.std) / self.mean",
    ),
    Fault(
        "as-in-training",
        "networks/forward.py",
        "features/test_features.py networks/test_forward.py",
        "self.eval().to(device(), memory_format",
        "self.train().to(device(), memory_format",
    ),
    Fault(
        "hook-before-the-layer",
        "networks/hooks.py",
        "networks/test_hooks.py",
        "self.outputs[name] = output.detach().clone()",
        "self.outputs[name] = inputs[0].detach().clone()",
    ),
    Fault(
        "hook-never-removed",
        "networks/hooks.py",
        "networks/test_hooks.py",
        "self._handles.pop().remove()",
        "self._handles.pop()",
    ),
    Fault(
        "hook-without-a-copy",
        "networks/hooks.py",
        "networks/test_hooks.py networks/test_forward.py",
        "output.detach().clone()",
        "output.detach()",
    ),
    Fault(
        "layers-under-each-others-names",
        "features/extractor.py",
        "features/test_features.py networks/test_pooling.py",
        "zip(self.layers, outputs, strict=True)",
        "zip(sorted(self.layers), outputs, strict=True)",
    ),
    Fault(
        "tokens-pooled-the-other-way",
        "networks/pooling.py",
        "networks/test_pooling.py",
        "else maps.transpose(1, 2)",
        "else maps",
    ),
    Fault(
        "rows-counted-from-one",
        "features/features.py",
        "features/test_features.py search/test_search.py",
        "{id: row for row, id in enumerate(self.ids)}",
        "{id: row - 1 for row, id in enumerate(self.ids)}",
    ),
    Fault(
        "last-batch-lost",
        "features/pipeline.py",
        "features/test_pipeline.py",
        """\
        for batch in self._batches:
            yield from self._submit(batch)
        while self._pending:""",
        """\
        while self._pending:""",
    ),
    Fault(
        "weights-unchecked",
        "networks/weights.py",
        "networks/test_weights.py",
        "if not file_sha256(path).startswith(known):",
        "if known and not file_sha256(path):",
    ),
    # ---- features on disk
    Fault(
        "journal-forgets-its-last-entry",
        "features/journal.py",
        "features/test_journal.py",
        """\
            end += len(line)
            yield json.loads(text), end""",
        """\
            yield json.loads(text), end
            end += len(line)""",
    ),
    Fault(
        "journal-takes-spoiled-rows",
        "features/journal.py",
        "features/test_journal.py",
        """if len(content) != size or zlib.crc32(content) != facts["crc"]:""",
        """if len(content) != size:""",
    ),
    Fault(
        "manifest-before-the-rows",
        "features/store.py",
        "features/test_store.py",
        """\
        _make_folders(new)
        for number, (start, stop)""",
        """\
        _make_folders(new)
        _write_words(new, contents)
        for number, (start, stop)""",
    ),
    Fault(
        "put-in-place-before-it-is-whole",
        "base/disk.py",
        "features/test_store.py",
        """\
        write(new)
        new.chmod(0o755)
        _swap(new, folder)
""",
        """\
        new.chmod(0o755)
        _swap(new, folder)
        write(folder)
""",
    ),
    Fault(
        "another-content-of-the-same-size",
        "base/disk.py",
        "works/test_files.py features/test_extract.py",
        "return status.st_size, status.st_mtime_ns, status.st_ctime_ns",
        "return status.st_size, status.st_mtime_ns, status.st_mtime_ns",
    ),
    Fault(
        "half-an-object-taken",
        "works/file_state.py",
        "works/test_remote.py",
        "if after is not None and after[0] not in (0, size):",
        "if after is None:",
    ),
    Fault(
        "stale-index-taken",
        "index/stored.py",
        "index/test_stored_index.py",
        "if same.all() and index.ids == features.ids",
        "if index.ids == features.ids",
    ),
    # ---- indexes
    Fault(
        "distance-squared",
        "index/metrics.py",
        "index/test_index.py",
        "return np.sqrt(np.maximum(0, 2 - 2 * cosine))",
        "return np.maximum(0, 2 - 2 * cosine)",
    ),
    Fault(
        "angular-without-unit-length",
        "index/metrics.py",
        "index/test_index.py",
        'return unit_rows(vectors) if metric == "angular" else vectors',
        "return vectors",
    ),
    Fault(
        "bits-at-the-median",
        "index/metrics.py",
        "index/test_index.py",
        "(np.asarray(vectors) > medians)",
        "(np.asarray(vectors) >= medians)",
    ),
    Fault(
        "annoy-by-another-metric",
        "index/annoy.py",
        "index/test_index.py",
        "trees = annoy.AnnoyIndex(features.dims, metric)",
        'trees = annoy.AnnoyIndex(features.dims, "angular")',
    ),
    Fault(
        "annoy-inner-product-unturned",
        "index/annoy.py",
        "index/test_index.py",
        'return rows, -distances if self.metric == "dot" else distances',
        "return rows, distances",
    ),
    Fault(
        "answer-one-row-off",
        "index/base.py",
        "index/test_index.py",
        "return [self.ids[row] for row in rows[keep]], distances[keep]",
        "return [self.ids[row - 1] for row in rows[keep]], distances[keep]",
    ),
    Fault(
        "work-among-its-own-neighbours",
        "index/base.py",
        "index/test_index.py",
        "keep = np.flatnonzero(rows != row)[:k] if row is not None else slice(k)",
        "keep = slice(k)",
    ),
    # ---- questions
    Fault(
        "filter-after-the-search",
        "index/candidates.py",
        "search/test_ask.py",
        "        return self.index.nearest_of(vector, rows, k, crowding=self._crowding)",
        """\
        found, distances = self.index.nearest_of(vector, np.arange(len(self._left)), k)
        return found[self._left[found]], distances[self._left[found]]""",
    ),
    Fault(
        "index-rows-taken-for-the-tables",
        "search/search.py",
        "search/test_ask.py search/test_search.py",
        "return np.array([self.collection.row(id) for id in self.index.ids])",
        "return np.arange(len(self.index.ids))",
    ),
    Fault(
        "left-out-and-there-all-the-same",
        "search/answer.py",
        "search/test_ask.py",
        "candidates.leave_out((*question.works, *question.exclude))",
        "candidates.leave_out(question.works)",
    ),
    Fault(
        "the-same-artist-stays",
        "search/answer.py",
        "search/test_ask.py",
        "for column in question.exclude_same:",
        "for column in question.exclude_same[1:]:",
    ),
    Fault(
        "machine-made-works-stay",
        "search/answer.py",
        "show/test_machine_made.py",
        "if not question.machine_made:",
        "if question.machine_made is None:",
    ),
    Fault(
        "copies-stay",
        "index/candidates.py",
        "search/test_ask.py",
        "return found[distances < limit]",
        "return found[distances < 0]",
    ),
    Fault(
        "weights-not-relative",
        "search/answer.py",
        "search/test_ask.py",
        "np.float32(weight / total)",
        "np.float32(weight)",
    ),
    Fault(
        "between-without-its-end",
        "works/conditions.py",
        "works/test_where.py",
        """Condition(column, ">=", (low,)), Condition(column, "<=", (high,))""",
        """Condition(column, ">=", (low,)), Condition(column, "<", (high,))""",
    ),
    Fault(
        "before-christ-read-as-after",
        "works/years.py",
        "works/test_years.py",
        "year = -year if self.era",
        "year = +year if self.era",
    ),
    Fault(
        "values-told-apart-by-blanks",
        "base/text.py",
        "search/test_question.py::test_values_are_the_same_to_groups_conditions_and_exclusions",
        """return " ".join("".join(kept).split())""",
        """return "".join(kept)""",
    ),
    Fault(
        "unequal-read-as-equal",
        "works/conditions.py",
        "works/test_where.py",
        '_turn(op in ("!=", "<>"),',
        '_turn(op == "<>",',
    ),
    Fault(
        "condition-not-in-the-link",
        "search/question.py",
        "search/test_question.py",
        """        pairs += [("where", self.where)] if self.where else []\n""",
        "",
    ),
    Fault(
        "path-back-to-its-start",
        "search/path.py",
        "search/test_path.py",
        "exact.row_of(start), exact.row_of(end), rows, waypoints)",
        "exact.row_of(end), exact.row_of(start), rows, waypoints)",
    ),
    Fault(
        "quotes-let-into-milvus",
        "index/milvus/fields.py",
        "index/test_milvus_filter.py",
        "(encode_text(fold(text)) for text",
        "(fold(text) for text",
    ),
    # ---- the dial
    Fault(
        "dial-from-the-other-end",
        "features/blend.py",
        "features/test_descriptors.py",
        "max(0.0, 1 - 2 * alpha), max(0.0, 2 * alpha - 1)",
        "max(0.0, 2 * alpha - 1), max(0.0, 1 - 2 * alpha)",
    ),
    Fault(
        "blend-weighed-twice",
        "features/blend.py",
        "features/test_descriptors.py",
        "weights = np.sqrt(self.column_weights(alpha))\n",
        "weights = self.column_weights(alpha)\n",
    ),
    Fault(
        "whitening-dropped",
        "features/blend.py",
        "features/test_descriptors.py",
        "pca.components_.T * spread**-WHITENING",
        "pca.components_.T",
    ),
    # ---- what is measured
    Fault(
        "query-counted-as-found",
        "evaluate/rankings.py",
        "evaluate/test_agreement.py evaluate/test_evaluate_labels.py",
        "    similar[np.arange(len(rows)), rows] = -np.inf\n",
        "",
    ),
    Fault(
        "recall-held-against-itself",
        "evaluate/labels.py",
        "evaluate/test_evaluate.py",
        "_share_found(exact, id, index.search(id, k, search_k)[0])",
        "_share_found(exact, id, exact.search(id, k)[0])",
    ),
    Fault(
        "numbers-not-finite-taken",
        "fetch/vectors.py",
        "fetch/test_vectors.py::test_bad_rows_are_left_out_and_said",
        "if first_not_finite(rows)[0]:",
        "if False:",
    ),
    Fault(
        "map-has-seen-the-work",
        "features/passport.py",
        "features/test_passport.py::test_the_map_is_honest_where_there_is_nothing_to_learn",
        "left = np.arange(len(rows)) != row",
        "left = np.arange(len(rows)) >= 0",
    ),
    Fault(
        "interval-of-90-percent",
        "evaluate/estimates.py",
        "evaluate/test_evaluate_labels.py",
        'method="percentile",',
        'method="percentile", confidence_level=0.9,',
    ),
    Fault(
        "ranks-from-zero",
        "evaluate/recovery.py",
        "evaluate/test_recovery.py",
        "    return ranks\n\n\ndef _preprocess",
        "    return ranks - 1\n\n\ndef _preprocess",
    ),
    # ---- gallery, page and site
    Fault(
        "drawer-one-page-back",
        "gallery/drawer.py",
        "gallery/test_gallery.py",
        "works = found[page * self._size :]",
        "works = found[max(0, page - 1) * self._size :]",
    ),
    Fault(
        "image-kept-at-full-size",
        "gallery/widget.py",
        "gallery/test_gallery.py",
        "thumbnail(data, 1024)",
        "thumbnail(data, 10**6)",
    ),
    Fault(
        "images-of-one-name-are-one",
        "gallery/widget.py",
        "gallery/test_gallery.py gallery/test_gallery_ask.py",
        'id = f"{UPLOADED}{len(self._answers.uploads) + 1}"',
        'id = f"{UPLOADED}{name}"',
    ),
    Fault(
        "formulas-let-into-tables",
        "works/table.py",
        "gallery/test_gallery.py",
        "table.assign(**texts.map(disarm)).to_csv(",
        "table.to_csv(",
    ),
    Fault(
        "markup-let-into-the-page",
        "show/html.py",
        "show/test_site.py gallery/test_session.py",
        "autoescape=True",
        "autoescape=False",
    ),
    Fault(
        "markup-let-into-the-session",
        "show/templates/session.html",
        "gallery/test_session.py",
        "<bdi>{{ one.caption }}</bdi>",
        "<bdi>{{ one.caption | safe }}</bdi>",
    ),
    Fault(
        "answers-in-the-order-of-the-index",
        "show/site_rows.py",
        "show/test_site.py",
        "exact = search.exact.part(search.exact.rows_of(ids))",
        "exact = search.exact",
    ),
    Fault(
        "markup-let-into-the-gallery",
        "show/web/gallery.js",
        "show/test_site_browser.py::test_hostile_titles_are_text",
        'parts.title.textContent = work.words ? "In words" : work.title;',
        'parts.title.innerHTML = work.words ? "In words" : work.title;',
    ),
    Fault(
        "columns-taken-for-rows",
        "show/web/rows.js",
        "show/test_answerer.py::test_random_questions",
        "bytes[to] = columns[column * works + row]",
        "bytes[to] = columns[row * dims + column]",
    ),
    Fault(
        "dial-not-in-the-address",
        "show/web/state.js",
        "show/test_site_dial.py::test_the_address_leads_back",
        "return toLink(question, { network, crop, dial, goal });",
        "return toLink(question, { network, crop, goal });",
    ),
    Fault(
        "formulas-let-into-tables-of-the-site",
        "show/web/site.js",
        "show/test_site_browser.py::test_formulas_are_disarmed_in_the_table",
        "head.map((name) => disarm(/** @type {Work} */ (about)[name]))",
        "head.map((name) => /** @type {Work} */ (about)[name])",
    ),
    Fault(
        "rows-always-before-columns",
        "show/web/resize.js",
        "show/test_page_network.py::test_squares_are_pillows_to_the_last_bit",
        "height > high && height - high > 2 * (width - wide)",
        "height < 0",
    ),
    Fault(
        "picture-averaged-with-itself",
        "show/web/forward.js",
        "show/test_page_network.py::test_the_same_picture_is_not_averaged_with_itself",
        "(one > SAME ? -1 : one)",
        "one",
    ),
    Fault(
        "values-not-quoted",
        "show/web/ask.js",
        "gallery/test_ask_browser.py::test_texts_and_columns_are_quoted_as_python_reads_them",
        r"""return `"${text.replace(/["\\]/g, "\\$&")}"`;""",
        r"""return `"${text.replace(/["]/g, "\\$&")}"`;""",
    ),
    Fault(
        "demo-ends-well-though-a-notebook-failed",
        "cli/demo.py",
        "cli/test_demo.py",
        "return not failed",
        "return True",
    ),
    # ---- works from elsewhere, and many machines
    Fault(
        "works-under-copyright-taken",
        "fetch/museums.py",
        "fetch/test_museums.py",
        """work.get("isPublicDomain") is True)""",
        """"isPublicDomain" in work)""",
    ),
    Fault(
        "pictures-that-are-not-open-taken",
        "fetch/museums.py",
        "fetch/test_museums.py",
        'images["openaccess"] == "1"',
        'images["openaccess"] != ""',
    ),
    Fault(
        "locked-pages-end-a-run",
        "fetch/iiif.py",
        "fetch/test_iiif.py",
        "    client.absent |= LOCKED\n",
        "",
    ),
    Fault(
        "largest-size-of-a-server-ignored",
        "fetch/iiif.py",
        "fetch/test_iiif.py",
        "wide, high = min(side, self.most_width), min(side, self.most_height)",
        "wide, high = side, side",
    ),
    Fault(
        "no-pause-between-requests",
        "base/http.py",
        "base/test_http.py",
        "self._free[host] = start + 1 / self.rate",
        "self._free[host] = start",
    ),
    Fault(
        "content-and-manner-swapped",
        "evaluate/repaint.py",
        "evaluate/test_repaint.py",
        "painter(*pair)",
        "painter(*pair[::-1])",
    ),
    Fault(
        "files-under-the-ids-of-others",
        "features/ray/engine.py",
        "features/test_ray.py",
        """yield pa.table({"id": list(ids), "path": [""",
        """yield pa.table({"id": list(ids[::-1]), "path": [""",
    ),
]


# ---- a copy of the project, and its tests --------------------------------------------------------


@contextmanager
def copied() -> Iterator[Path]:
    """Copy the working tree into a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="artsearch-fault-") as folder:
        root = Path(folder, "artsearch")
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT))
        yield root


def first_failure(root: Path, tier: str, tests: list[str]) -> str:
    """Run some tests of a tier, all if none are named; return the first that fails, "" if none."""
    marks, _ = TIERS[tier]
    # As in the Makefile: what comes out must not depend on what was downloaded before.
    caches = {"TORCH_HOME": "torch", "HF_HOME": "huggingface", "IPYTHONDIR": "ipython"}
    environment = os.environ | {name: str(root / "build" / of) for name, of in caches.items()}
    environment |= {"PYTHONPATH": str(root), "ARTSEARCH_OFFLINE": "1"}
    if tier == "all":
        environment["HYPOTHESIS_PROFILE"] = "long"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=no", "-m", marks]
    command += ["-p", "no:cacheprovider"]
    if tests:  # in this one process: others would take longer to start than a few tests take
        command += ["-o", "addopts=--doctest-modules", *tests]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode == 1 and failed:
        return failed[1]
    if done.returncode == 0 or (done.returncode == 5 and tests):  # 5: they are of another tier
        return ""
    raise NotSound(f"pytest ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")


class Sound:
    """A copy without any fault, in which what notices a fault has to pass."""

    def __init__(self, root: Path, tier: str):
        self._lock = threading.Lock()
        self._fails = functools.cache(lambda test: first_failure(root, tier, [test]))

    def check(self, test: str) -> None:
        """Raise NotSound for a test that fails without a fault too."""
        with self._lock:
            if self._fails(test.partition("[")[0]):
                raise NotSound(f"{test} fails without any fault")


def who_notices(fault: Fault, tier: str, sound: Sound) -> str:
    """Return the test that notices a fault, "" where none of the tier does."""
    with copied() as root:
        fault.apply(root)
        likely = [f"tests/{test}" for test in fault.tests.split()]
        noticed = first_failure(root, tier, likely) or first_failure(root, tier, [])
    if noticed:
        sound.check(noticed)
    return noticed


def main() -> int:
    """Try the faults and print who noticed; return 1 where too few were, 2 for other trouble."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tier", choices=TIERS, default="fast", help="the tests that are run")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these faults alone")
    parser.add_argument("--jobs", type=int, default=1, help="faults that are tried at a time")
    parser.add_argument("--list", action="store_true", help="name the faults, try none")
    asked = parser.parse_args()
    by_name = {fault.name: fault for fault in FAULTS}
    unknown = set(asked.only or ()) - set(by_name)
    if unknown:
        parser.error(f"no fault {min(unknown)!r}; see --list")
    faults = [by_name[name] for name in asked.only or by_name]
    if asked.list:
        print(*(f"{fault.name:40} {fault.file}" for fault in faults), sep="\n")
        return 0

    def attempt(fault: Fault) -> str | None:
        started = time.monotonic()
        try:
            noticed = who_notices(fault, asked.tier, sound)
            said = f"noticed by {noticed}" if noticed else "NOT NOTICED"
        except NotSound as error:
            noticed, said = None, f"TROUBLE: {error}"
        print(f"{fault.name:40} {said} ({time.monotonic() - started:.0f} s)", flush=True)
        return noticed

    with copied() as root, ThreadPoolExecutor(asked.jobs) as pool:
        sound = Sound(root, asked.tier)
        found = list(pool.map(attempt, faults))
    count, least = sum(map(bool, found)), TIERS[asked.tier][1] * len(faults)
    print(f"{count} of {len(faults)} faults are noticed by the tier {asked.tier!r}")
    return 2 if None in found else int(count < least)


if __name__ == "__main__":
    sys.exit(main())
