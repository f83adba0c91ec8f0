"""WikiArt as Hugging Face keeps it: a sample of its works, spread over the styles."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError, check_whole, reason_of, unknown
from artsearch.base.text import fold
from artsearch.fetch.data_files import find_dataset, import_datasets, open_file
from artsearch.fetch.items import Item

#: What the data says of a work besides its picture.
LABELS = ("artist", "genre", "style")
#: How many works are looked at, at most, for each that is taken: more would reach more works of
#: rare styles, and cost as many more pictures to be sent (some 460 KB each).
LOOKED_AT = 4
LICENCE = "not stated by WikiArt; partly under copyright, for research only"

# The class names have _ for every sign; these are spelled as WikiArt's own pages do.
_SPELLED = {
    "Art_Nouveau_Modern": "Art Nouveau (Modern)",
    "Mannerism_Late_Renaissance": "Mannerism (Late Renaissance)",
    "Naive_Art_Primitivism": "Naïve Art (Primitivism)",
    "Post_Impressionism": "Post-Impressionism",
    "Ukiyo_e": "Ukiyo-e",
}
_HYPHENATED = (
    "Alma-Tadema Bogdanov-Belsky Burne-Jones Fantin-Latour Petrov-Vodkin Pierre-Auguste "
    "Toulouse-Lautrec"
).split()
_PARTICLES = set("da de del della den der di du la le of the van von".split())


@dataclass(frozen=True)
class _Work:
    """Where a work lies in the data, and what its labels say in words."""

    shard: int
    row: int
    labels: dict[str, str]


def items(
    count: int,
    seed: int = 0,
    dataset: str | os.PathLike = "huggan/wikiart",
    where: Mapping[str, str | Sequence[str]] | None = None,
    known: Container[str] = (),
) -> Iterator[Item]:
    """Yield `count` works of WikiArt, spread over its styles; the same ones for the same seed.

    `dataset` is a name on the Hugging Face hub, or a folder of such Parquet files. Each style gives
    the same number of works, and one that has fewer gives all; "has" means here: in the shards that
    were looked at, which are taken in an order drawn by the seed, until every style has its share
    or they hold `LOOKED_AT` times `count` works. Only the labels are read for that. Pictures are
    read from those shards alone, by row groups (parts of a file) and only where one is wanted; the
    memory needed is up to three times the largest row group, 1.3 GB where 1,000 works of 450 KB
    make one. Fewer than `count` come where there are no more.

    `where` takes only works of certain words, as {"style": ["Pointillism"]}, and may be of the
    columns artist, genre and style. A work whose key is in `known` comes without its picture, which
    is not read again. Titles and years are not in the data. Raises ArtsearchError for a dataset
    that cannot be read, and for a column or word that it does not have.

    Source: https://huggingface.co/datasets/huggan/wikiart
    """
    check_whole("count", count)
    data = _Dataset(dataset)
    works = _choose(data, count, seed, _Where(where or {}, data))
    yield from _read_works(data, works, known)


def spell_style(name: str) -> str:
    """Return the words of a class of styles or genres.

    >>> [spell_style(name) for name in ("Ukiyo_e", "Abstract_Expressionism", "genre_painting")]
    ['Ukiyo-e', 'Abstract Expressionism', 'genre painting']
    """
    return "" if name.startswith("Unknown ") else _SPELLED.get(name) or name.replace("_", " ")


def spell_artist(name: str) -> str:
    """Return the name of a class of artists as it is written.

    >>> [spell_artist(name) for name in ("vincent-van-gogh", "m.c.-escher", "Unknown Artist")]
    ['Vincent van Gogh', 'M.C. Escher', '']
    """
    if name.startswith("Unknown ") or name != name.lower():
        return spell_style(name)
    # The data has one name of UTF-8 taken for Latin-1 and put in lower case: "joaquã\xadn-sorolla".
    name = re.sub("ã([\x80-\xbf])", lambda found: chr(ord(found[1]) + 0x40), name)
    first, *others = re.split("[-_ ]+", name)
    words = (word if word in _PARTICLES else _capitalise(word) for word in others)
    written = " ".join([_capitalise(first), *words])
    for hyphenated in _HYPHENATED:
        written = written.replace(hyphenated.replace("-", " "), hyphenated)
    return written


def _spell(column: str, name: str) -> str:
    return spell_artist(name) if column == "artist" else spell_style(name)


def _capitalise(word: str) -> str:
    return f"Mc{word[2:].title()}" if word.startswith("mc") else word.title()


class _Dataset:
    """The Parquet files of a dataset, and the words of its classes."""

    def __init__(self, dataset: str | os.PathLike):
        self.name = os.path.expanduser(dataset)
        builder = self._find()
        self.files = list(map(str, (builder.config.data_files or {}).get("train") or ()))
        if not self.files or not all(file.endswith(".parquet") for file in self.files):
            raise ArtsearchError(
                f"the dataset {self.name!r} has no part 'train' of Parquet files; take "
                "'huggan/wikiart', or a folder with data/train-00000-of-00072.parquet and so on"
            )
        self.features = builder.info.features or self._read_features()
        self.columns = [column for column in LABELS if column in self.features]
        if "image" not in self.features or "style" not in self.features:
            shown = ", ".join(map(repr, self.features)) or "none"
            raise ArtsearchError(
                f"the dataset {self.name!r} has no columns 'image' and 'style' as WikiArt has; its "
                f"columns are: {shown}"
            )

    @property
    def address(self) -> str:
        """Where the data comes from."""
        local = os.path.isdir(self.name)
        return self.name if local else f"https://huggingface.co/datasets/{self.name}"

    def words(self, column: str) -> list[str] | None:
        """Return the words of a column's classes by number; None where it is plain text."""
        names = getattr(self.features[column], "names", None)
        return None if names is None else [_spell(column, name) for name in names]

    def read_labels(self, shard: int) -> list[_Work]:
        """Return the works of one file, with their labels in words."""
        with self.open(shard) as table:
            found = table.read(columns=self.columns).to_pydict()
            texts = [self._spell(column, found[column]) for column in self.columns]
        labels = (dict(zip(self.columns, row, strict=True)) for row in zip(*texts, strict=True))
        return [_Work(shard, row, words) for row, words in enumerate(labels)]

    def read_pictures(self, shard: int, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yield some rows of a file with their pictures, in order, one row group at a time."""
        with self.open(shard) as table:
            start = 0
            for group in range(table.num_row_groups):
                end = start + table.metadata.row_group(group).num_rows
                wanted = {row for row in rows if start <= row < end}
                # In small batches: a whole row group at once is held twice more in memory.
                batches = table.iter_batches(8, row_groups=[group], columns=["image"])
                for batch in batches if wanted else ():
                    for row, cell in enumerate(batch.column("image"), start):
                        if row in wanted:
                            yield row, _bytes_of(cell.as_py())
                    start += len(batch)
                start = end

    @contextmanager
    def open(self, shard: int):
        """Open one of the files as a Parquet table."""
        import pyarrow.parquet as pq

        address = self.files[shard]
        try:
            with open_file(address) as file:
                yield pq.ParquetFile(file, pre_buffer=False)
        # A broken file, a full disk, a hub that hangs up: each library has its own errors.
        except Exception as error:
            raise ArtsearchError(
                f"cannot read {address.rsplit('/', 1)[-1]!r} of the dataset {self.name!r} "
                f"({reason_of(error)}); try again, or remove the file if it is yours"
            ) from None

    def _spell(self, column: str, values: list) -> list[str]:
        words = self.words(column)
        if words is None:
            return [_spell(column, str(value)) if value is not None else "" for value in values]
        return [words[value] if value in range(len(words)) else "" for value in values]

    def _find(self):
        """Return what `datasets` knows of the data before it is read."""
        hint = (
            "name one of the Hugging Face hub, such as 'huggan/wikiart', or a folder of its "
            "Parquet files"
        )
        return find_dataset(self.name, hint)

    def _read_features(self) -> Mapping[str, object]:
        datasets = import_datasets()
        with self.open(0) as table:
            return datasets.Features.from_arrow_schema(table.schema_arrow)


class _Where:
    """Which works are wanted, by the words of their columns, and when enough are known."""

    def __init__(self, where: Mapping[str, str | Sequence[str]], data: _Dataset):
        self._wanted = {column: _check_words(column, where[column], data) for column in where}
        self._seen: dict[str, set[str]] = {column: set() for column in where}
        self._styles = set(self._wanted.get("style") or map(fold, data.words("style") or ())) - {""}

    def fits(self, work: _Work) -> bool:
        """Tell whether a work is wanted; capitals and accents make no difference."""
        for column, seen in self._seen.items():
            seen.add(work.labels[column])
        return all(fold(work.labels[column]) in words for column, words in self._wanted.items())

    def is_enough(self, sizes: Mapping[str, int], count: int) -> bool:
        """Tell whether so many works of each style will do for a sample of `count`."""
        if sum(sizes.values()) >= LOOKED_AT * count:
            return True
        share = math.ceil(count / max(1, len(self._styles)))
        full = {fold(style) for style, size in sizes.items() if size >= share}
        return bool(self._styles) and self._styles <= full

    def explain_nothing(self) -> ArtsearchError:
        """Return the error for a search that no work of the data fits."""
        for column, words in self._wanted.items():
            seen = set(map(fold, self._seen[column]))
            for folded, word in words.items():
                if folded not in seen:
                    return unknown(column, word, sorted(filter(None, self._seen[column])))
        asked = " and ".join(
            f"{column} {[*words.values()]}" for column, words in self._wanted.items()
        )
        return ArtsearchError(f"no work is of {asked or 'any style'}; ask for less at once")


def _check_words(column: str, words: str | Sequence[str], data: _Dataset) -> dict[str, str]:
    """Return the words wanted of a column, by their folded forms.

    Raises ArtsearchError where there is no such column, or no such class of it.
    """
    if column not in data.columns:
        raise unknown("column", column, data.columns)
    words = [words] if isinstance(words, str) else [str(word) for word in words]
    known = sorted(filter(None, data.words(column) or ()))
    for word in words:
        if known and fold(word) not in map(fold, known):
            raise unknown(column, word, known)
    return {fold(word): word for word in words}


def _choose(data: _Dataset, count: int, seed: int, where: _Where) -> list[_Work]:
    """Return the works of a sample in the order of reading: shard by shard, row by row."""
    styles: dict[str, list[_Work]] = defaultdict(list)
    sizes: dict[str, int] = {}
    order = np.random.default_rng(seed).permutation(len(data.files)).tolist()
    for shard in order:
        works = [work for work in data.read_labels(shard) if where.fits(work)]
        # Drawn for each shard apart: a larger sample then has most works of a smaller one.
        for row in np.random.default_rng([seed, shard]).permutation(len(works)):
            styles[works[row].labels["style"]].append(works[row])
        sizes = {style: len(works) for style, works in styles.items()}
        if where.is_enough(sizes, count):
            break
    if not sizes:
        raise where.explain_nothing()
    shares = share_out(sizes, count)
    chosen = [work for style, works in styles.items() for work in works[: shares[style]]]
    return sorted(chosen, key=lambda work: (order.index(work.shard), work.row))


def share_out(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Share `count` among groups as evenly as their sizes allow; what is over goes to the largest.

    >>> share_out({"Baroque": 9, "Pointillism": 1, "Realism": 5}, 8)
    {'Pointillism': 1, 'Realism': 3, 'Baroque': 4}
    """
    shares: dict[str, int] = {}
    for name, size in sorted(sizes.items(), key=lambda pair: (pair[1], pair[0])):
        even = (count - sum(shares.values())) // (len(sizes) - len(shares))
        shares[name] = min(size, even)
    return shares


def _read_works(data: _Dataset, works: list[_Work], known: Container[str]) -> Iterator[Item]:
    """Yield the works with their pictures; those of known keys come first in each shard."""
    for shard, group in groupby(works, key=lambda work: work.shard):
        made = {work.row: _make_item(data, work) for work in group}
        new = [row for row, item in made.items() if item.key not in known]
        yield from (item for row, item in made.items() if item.key in known)
        for row, picture in data.read_pictures(shard, new) if new else ():
            reason = "" if picture else "the dataset has no picture of it"
            yield replace(made[row], image=picture or "", reason=reason)


def _make_item(data: _Dataset, work: _Work) -> Item:
    stem = Path(data.files[work.shard]).stem
    about = {"artist": "", "title": "", "year": "", **work.labels}
    about |= {"licence": LICENCE, "source": data.address}
    return Item(f"wikiart/{stem}/{work.row}", "", about, "its picture was not asked for")


def _bytes_of(cell: object) -> bytes:
    """Return the file in a cell of pictures: the bytes alone, or beside their path."""
    found = cell.get("bytes") if isinstance(cell, Mapping) else cell
    return found if isinstance(found, bytes) else b""
