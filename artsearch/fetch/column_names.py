"""What people call the columns of their tables, and what they are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from artsearch.base.errors import unknown
from artsearch.base.text import fold

# In English, German, French, Italian, Spanish and Dutch, without accents and spaces, since they are
# compared so. Where two columns of a table mean the same, the one whose word comes first is taken.
_USUAL = {
    "file": """
        file filename filepath image imagefile imagename picture photo datei dateiname dateipfad
        bild bilddatei bildname fichier nomdufichier nomfichier image photo immagine nomefile
        archivo nombredearchivo nombrearchivo imagen bestand bestandsnaam afbeelding foto
        """,
    "artist": """
        artist artists artistname artistdisplayname creator creators author maker makers painter
        kunstler kuenstler kunstlerin kunstlerinnen kuenstlerin urheber urheberin maler malerin
        schopfer artiste artistes auteur createur peintre artista autore pittore autor pintor
        kunstenaar vervaardiger schilder
        """,
    "title": """
        title titles titel werktitel objekttitel bezeichnung titre intitule titolo titulo naam
        benaming objecttitle titleofwork
        """,
    "year": """
        year date dates dated datecreated creationdate dateofcreation objectdate datierung
        datiert jahr datum entstehungszeit entstehungsjahr annee datedecreation datation
        anno data datazione ano fecha datacion jaar datering vervaardigingsdatum
        periode period
        """,
    "style": """
        style styles movement stil stilrichtung kunstrichtung stilepoche mouvement courant stile
        movimento corrente estilo movimiento stijl stroming
        """,
    "licence": """
        licence license rights rightsstatement usagerights copyright lizenz rechte nutzungsrechte
        droits diritti licenza derechos licencia rechten licentie
        """,
    "source": "source quelle fonte fuente bron link url weblink objecturl",
    "inventory": """
        inventory inventorynumber inventoryno invno accessionnumber accessionno objectnumber
        inventarnummer inventarnr invnr objektnummer signatur numerodinventaire inventaire
        numeroinventaire numerodinventario numeroinventario inventario inventarisnummer objectnummer
        """,
}
#: The columns that come with vectors; those of the Met, of go-embeddingsdb and of clip-retrieval.
_OF_VECTORS = {
    "id": "objectid depictionid workid artworkid imageid id key imagepath filepath filename file",
    "vector": "embedding embeddings vector vectors feature features",
    "model": "model modelname",
    "dim": "dim dims dimension dimensions",
    "image": "image imageurl primaryimage primaryimagesmall imageaddress thumbnail thumbnailurl",
    "link": "link linkresource objecturl weblink permalink url",
    "source": "provider source museum institution",
}
_SHARED = ("artist", "title", "year", "style", "licence", "inventory")
USUAL = {word: target for target, words in _USUAL.items() for word in words.split()}
OF_VECTORS = {word: target for target, words in _OF_VECTORS.items() for word in words.split()}
OF_VECTORS |= {word: target for word, target in USUAL.items() if target in _SHARED}


def usual_column(name: str, usual: Mapping[str, str] = USUAL) -> str | None:
    """Return our name for what a column is called in six languages, or None.

    >>> [usual_column(name) for name in ("Künstler/in", "Date de création", "Provenance")]
    ['artist', 'year', None]
    """
    return usual.get(_plain(name))


def map_columns(
    names: list[str], columns: Mapping[str, str], usual: Mapping[str, str] = USUAL
) -> dict[str, str]:
    """Return our name for each column of a table; raises ArtsearchError for one it does not have.

    `columns` has the table's name for ours, `usual` what columns are called otherwise: USUAL, or
    OF_VECTORS for tables that come with vectors.

    >>> map_columns(["Bild", "Künstler", "Ort", "Wer"], {"artist": "Wer"})
    {'Bild': 'file', 'Künstler': 'Künstler', 'Ort': 'Ort', 'Wer': 'artist'}
    """
    folded = {fold(name): name for name in reversed(names)}
    mapping = {}
    for ours, theirs in columns.items():
        if fold(str(theirs)) not in folded:
            raise unknown("column", theirs, names)
        mapping[folded[fold(str(theirs))]] = ours
    taken = set(mapping.values())
    rank = {word: place for place, word in enumerate(usual)}
    for name in sorted(names, key=lambda name: rank.get(_plain(name), 0)):
        ours = usual_column(name, usual)
        if name not in mapping and ours and ours not in taken:
            mapping[name] = ours
            taken.add(ours)
    # A column that we did not take must not have the name of one that we did.
    rest = {name: f"{name} (of the table)" if fold(name) in taken else name for name in names}
    return {name: mapping.get(name, rest[name]) for name in names}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", fold(name))
