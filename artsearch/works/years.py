"""Years as museums write them: "ca. 1890–95", "late 15th c.", "2. Hälfte 17. Jh.", "300 v. Chr.".

The words of six languages become one word each (WORDS), other signs as SIGNS says, and what tells
nothing of the year goes: circa, articles, days, months. At commas and brackets the text is cut into
pieces, and each piece is read by a grammar that knows years, decades, centuries, their parts, and
two of these. A piece with any other word in it is not read: "Plate 12" is no year.

Libraries were asked first. Of 286 texts in tests/works/test_years.py edtf (its text_to_edtf) read
82 right and 129 wrong, dateparser 62 and 34, undate 48 and 2, historicaldate 31 and 9.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

import lark

from artsearch.base.text import fold


class Years(NamedTuple):
    """The first and the last year that a text allows for; 5 before Christ is -5."""

    first: float
    last: float


#: "after 1650" is read as the hundred years from 1650 on, "before 1700" as those up to 1700.
OPEN = 100
#: Characters of the longest text that is read: a longer one is no date.
LONGEST = 200
#: Years in a unit, and the highest number that one has.
SIZES = {"century": 100, "millennium": 1000}
HIGHEST = 40
#: Which part of how many.
PARTS = {"early": (1, 3), "mid": (2, 3), "half": (2, 3), "late": (3, 3)}
SHARES = {"half": 2, "third": 3, "quarter": 4, "tenth": 10}
#: What is read in place of each word; a text is folded before, so there are no accents.
WORDS = {
    "": """the of des der dem den das die im in du de la le les l del dello della dell degli d
        il lo el los het van von year years jahr jahre annee ano anno em am
        c ca cca circa about around approx approximately um etwa ungefahr gegen vers environ env v
        verso hacia h intorno omstreeks omstr rond shortly slightly soon kurz peu poco kort
        probably possibly perhaps maybe likely vermutlich wahrscheinlich wohl probablement
        probabilmente forse probablemente quizas waarschijnlijk misschien
        between zwischen zw entre tra fra tussen""",
    "made": """made modeled modelled printed cast published designed executed painted drawn signed
        dated inscribed created built begun gedruckt gemalt datiert signiert
        entstanden date peint realise datato dipinto fechado pintado gedateerd geschilderd""",
    "finished": "finished completed vollendet fertiggestellt acheve termine terminado voltooid",
    "after": """after post from since later onward onwards nach ab seit spater fruhestens apres
        depuis dopo dal dall despues desde na vanaf sinds""",
    "before": "before pre ante by entro spatestens vor avant antes voor earlier fruher",
    "to": "to through thru until till til bis a au al tot hasta",
    "and": "and und u et e y en or oder ou o",
    "early": """early beginning begin beginn anfang anf fruhes fruhen fruhe debut inizio inizi
        inicio principio principios comienzos vroege vroeg""",
    "mid": "mid middle mitte milieu mediados midden",
    "late": "late end ende spates spaten spate fin fine fines finales eind einde laat",
    "half": "half halfte moitie meta mitad helft",
    "third": "drittel tiers tercio",
    "quarter": "quarter viertel quart quarto cuarto kwart",
    "last": "last letzte letztes letzten dernier derniere ultimo ultima laatste",
    "century": """century centuries cent cen jahrhundert jahrhunderts jh jhs jhd jhdt siecle siecles
        s secolo secoli sec secc siglo siglos eeuw eeuwen""",
    "millennium": """millennium millennia mill jahrtausend jahrtausends jt millenaire millennio
        millenni milenio""",
    "decade": "annees anni jaren anos decada decennio decennium",
    "1th": "first erste ersten erstes premier premiere primo prima primer primera eerste",
    "2th": "second zweite zweiten zweites deuxieme seconde secondo seconda segundo segunda tweede",
    "3th": "third dritte dritten drittes troisieme terzo terza tercero tercer tercera derde",
    "4th": "fourth vierte vierten viertes quatrieme quarta cuarta vierde",
}
TEENS = """fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
    sixteenth seventeenth eighteenth nineteenth twentieth"""
MONTH = r"""(?:jan(?:uar[yi]?|vier)?|genn?(?:aio)?|ene(?:ro)?|feb(?:ruar[yi]?|braio|rero)?
    |fev(?:rier)?|mar(?:ch|s|zo?)?|maart|mrt|apr(?:ile?)?|avr(?:il)?|abr(?:il)?|may|mai|mei
    |mag(?:gio)?|mayo|jun[ei]?|juin|giu(?:gno)?|junio|jul[yi]?|juil(?:let)?|lug(?:lio)?|julio
    |aug(?:ust(?:us)?)?|aout|ago(?:sto)?|sept?(?:ember|embre|tiembre)?|set(?:tembre)?
    |o[ck]t(?:ober|obre|ubre)?|ott(?:obre)?|nov(?:ember|embre|iembre)?|de[cz](?:ember|embre)?
    |dic(?:embre|iembre)?|spring|summer|autumn|fall|winter|fruhjahr|fruhling|sommer|herbst
    |printemps|ete|automne|hiver|primavera|estate|autunno|inverno|verano|otono|invierno
    |voorjaar|lente|zomer|najaar|herfst)\b\.?"""
MONTH = re.sub(r"\s", "", MONTH)
DAY = r"\b\d{1,2}(?:st|nd|rd|th|er|\.)?"
CHRIST = r"chr(?:ist(?:us)?)?"
#: What is written otherwise than in single words, and what is read in its place, in this order.
SIGNS = {
    r"['’`´]": "'",
    r"[‐‑‒–—―−]": "-",
    r"^.*\b(i\. ?e\.|recte)": " ",  # what stood before is put right
    r"^(?!c)[a-z]\.? ?\d\d?$": "#",  # a mark, such as A1
    r"^\W*\?\W*-(?=\W*\d)": " to ",
    r"(?<=\b\d{3})\(\?\)": "?",
    r"(?<=\d{4}) ?\(\?\)|(?<=\d) \d\d?:\d\d(:[\d.]+)?( ?[ap]m)?\b": " ",
    r"\bc(1\d|2[01]|[1-9])(st|nd|rd|th)?\b(?!\.?\d| ?(bc|b\.|ad|a\.|ce))": r"\1th century ",
    r"\b(ca?)(?=\d)": r"\1 ",
    # Digits that are not on the work stand in brackets.
    r"\b(\d\d)[][()](\d\d)\b|\b(\d{3})[][()](\d)\b": r"\1\2\3\4",
    r"(?<=\d)[])](?= ?-)|(?<=-)[(\[](?=\d)": "",
    # Years of the Hijra, which stand beside ours.
    r"\ba\.? ?h\.? ?\d+(-\d+)? ?/?|\b\d+(-\d+)? ?a\.? ?h\b\.? ?/?": " ",
    r"\b(years? ago|b\.? ?p)\b": " # ",  # not read: counted from a present that is not told
    r"\bb\.? ?c\.?( ?e\b)?\.?": " bc ",
    rf"\b(v|vor|voor)\.? ?({CHRIST}|u\.? ?z)\b\.?|\bv\.?c\b\.?": " bc ",
    rf"\bav(ant|\.)? ?(j[a-z]*\.?[ -]*)?(c|{CHRIST})\b\.?": " bc ",
    r"\b(a\. ?(de )?(j\. ?)?c|ac|a\. ?e\. ?c)\b\.?": " bc ",
    r"\b(avanti cristo|avant notre ere|antes de cristo)\b": " bc ",
    r"\b(a\. ?d|ad|c\. ?e|ce|d\. ?(de )?(j\. ?)?c|dc)\b\.?": " ad ",
    r"\b(anno domini|dopo cristo|despues de cristo)\b": " ad ",
    rf"\b(n|nach|na)\.? ?({CHRIST}|u\.? ?z)\b\.?|\bn\.c\b\.?": " ad ",
    rf"\bap(res|r)?\.? ?(j[a-z]*\.?[ -]*)?(c|{CHRIST})\b\.?": " ad ",
    r"\b(\d{1,3}),(?=\d{3}\b)|\b(\d{1,3})[.' ](?=\d{3} +bc)": r"\1\2",
    # Days and months.
    r"\b(\d{4})-\d\d/(\d{4})(-\d\d)?\b": r"\1/\2",
    r"\b(\d{4})-\d\d-\d\d(t[\d:.]+z?)?\b": r"\1",
    r"\b\d\d?[-/.] ?\d\d?[-/.] ?(\d{4})\b": r"\1",
    r"\b(\d{3}[\dx])[-/.](\d\d?|xx)[-/.](\d\d?|xx)\b|\b(\d{4})-xx\b": r"\1\4",
    r"\b(?:0?[1-9]|1[0-2])[-/.](\d{4})\b": r"\1",
    rf"\b{MONTH} ?([-/&]|[a-z]{{1,3}}\b) ?(?=({DAY} ?)?{MONTH})": " ",
    rf"({DAY} ?[-/&] ?)?({DAY} ?(of |de |di )?)?\b{MONTH}( ({DAY} ?- ?)?{DAY}\b(?![/-]))?": " ",
    r"(?<![\d/])\d{1,3}/\d{1,3}(?= *(?:[,;)]|$))": "#",  # the number of a print in its edition
    # Digits that are not known, decades, ordinals.
    r"\b(\d\d)(--\??(?!\d)|\?\?|xx\b|uu\b)": r"\g<1>00 decade ",
    r"\b(\d{3})([xu]\b|-\?|- *(?=$|[])},;]))|(?<!ad )(?<!ad  )\b(\d{3})\?": r"\g<1>\g<3>0 decade ",
    r"\b(\d{2,4})('?s|er)\b([ -]?jahren?\b)?": r"\1 decade ",
    r"(?<=\dth|\dst|\dnd|\drd|nth|fth|xth|hth|eth) ?c\b": " century ",
    r"(?<!\d)(\d\d?) ?c\b(?!\.? ?\d)": r"\1 century ",
    r"\b(\d+)(st|nde?|rd|th|er|e?re|eme|e|de|ste|o|a|°)(?![a-z])": r"\1th ",
    r"(?<=\d)[a-z](?=\d)": "#",
    r"[?%~©\"]": " ",
    r"<": " before ",
    r">": " after ",
    r"\b([12])\.? ?h\.": r"\1 half ",
    r"世[紀纪]": " century ",
    r"(紀元|公元)?前(?=\d)": " bc ",
    r"[年頃約约]": " ",
    r"\+ ?/? ?-|±": " +- ",
    # What takes several words.
    r"\b(not?|nicht|non|pas|niet) (before|earlier than|vor|prima|avant|voor)\b": " after ",
    r"\b(not?|nicht|non|pas|niet) (after|later than|nach|dopo|apres|na)\b": " before ",
    r"\b(intorno|alrededor|autour|verso) (all?a?|del?|du)\b|\bpeut-etre\b|\bplus\b": " ",
    r"\b(?:um/(nach|vor)|(nach|vor)/um)\b": r"\1\2",
    r"(?<=\d) ?ff?\b\.?": " after ",
    r"\ba partir de\b|\ba partire dal?\b": " after ",
    r"\bprima del\b": " before ",
    r"\b(up to|t/m|fino a|fino all?|jusqu'?(en|au?)?|tot en met)\b|-to-|/|\.\.": " to ",
    r"\b(open|unknown|present|today|heute)\b|\by(?=-?\d)": " ",
    r"(?<=\d) of (?=\d)|&": " and ",
    r"\+(?!-)": " after ",
}
#: The same once the words are the grammar's: signs that say nothing, and parts that stand behind.
ORDER = {
    r"\b(early|mid|late|half|after|before)-(?=[\d ])|-(?=century)": r"\1 ",
    r"(?<!\d)[.']|[.'](?!\d)": " ",
    r" +": " ",
    r"\b([123](th)?|last) 3th\b": r"\1 third",
    r"\b(\d+th|last) decade (?=\d+(th)? century)": r"\1 tenth ",
    r"((\d+(th)? ?)?(?:century|decade) ?(\d+th)?)[ ,(]+"
    r"(early|mid|late|half|(\d(th)?|last) (half|third|quarter))(?= ?([),;]|$))": r"\5 \1",
    r"\bto[ to]+\b": "to ",
}
GRAMMAR = r"""
start: AND? (two | open | period)
two: SIDE? period (TO SIDE? | AND | AND? SIDE) period
open: SIDE period SIDE? | TO period | period TO | period AND? SIDE
period: part? ERA? (number | UNIT number) ERA? | part
number: (YEAR | ORDINAL) UNIT? | YEAR "+-" MARGIN
part: PART | (YEAR | ORDINAL | LAST) SHARE
YEAR.2: /-?\d+(\.\d+)?(?!th)/
ORDINAL.3: /\d+th/
MARGIN: /\d+/
UNIT: /century|millennium|decade/
ERA: /bc|ad/
PART: /early|mid|half|late/
SHARE: /half|third|quarter|tenth/
LAST: "last"
SIDE: /after|before/
TO: /to|-/
AND: "and"
%ignore " "
"""
_NUMBER = re.compile(r"\s*[-+−]?\d+(\.\d+)?\s*")
_DIGIT = re.compile(r"\d")
_CENTURY = re.compile(r"cent|siecle|secol|\bsecc?\b|siglo|\bs\b|millen|th c\b")
_ROMAN = re.compile(r"\b(?=[ivx])(x{0,2})(ix|iv|v?i{0,3})(?<=[ivx])(?:e|eme|er|re|o|th)?\b")
_SIGNS = [(re.compile(pattern), said) for pattern, said in SIGNS.items()]
_ORDER = [(re.compile(pattern), said) for pattern, said in ORDER.items()]
_WORDS = {word: said for said, words in WORDS.items() for word in words.split()}
_WORDS |= {word: f"{number}th" for number, word in enumerate(TEENS.split(), 5)}


class Period(NamedTuple):
    """A year, a decade, a century or a millennium, or a part of one, as it is written."""

    number: str = ""
    unit: str = ""
    era: str = ""
    part: tuple[int, int] = (1, 1)
    margin: str = "0"

    def is_short(self) -> bool:
        """Whether this may be the number of a century that stands with the other one of two."""
        return len(self.number.removesuffix("th")) < 3

    def is_hundred(self) -> bool:
        """Whether this is a decade by its unit, and a hundred years by its number."""
        return self.unit == "decade" and self.number.endswith("00")

    def years(self) -> Years | None:
        """Return its first and last year."""
        kth, many = self.part
        number = self.number.removesuffix("th")
        if not 1 <= kth <= many or not self.unit and (not number or number != self.number):
            return None
        if not self.unit:
            year, margin = float(number), float(self.margin)
            year = -year if self.era == "bc" else year
            return Years(year - margin, year + margin)
        if not number.isdecimal() or len(number) > 6:
            return None
        if self.unit in ("decade", "ten"):
            size, first = 100 if self.is_hundred() else 10, int(number)
            known = first % 10 == 0 and len(number) > 2
        else:
            size = SIZES[self.unit]
            first = (int(number) - 1) * size + 1
            known = 1 <= int(number) <= HIGHEST
        if self.era == "bc":
            first = 1 - first - size
        start, end = size * (kth - 1) // many, -(-size * kth // many)
        return Years(first + start, first + end - 1) if known else None


@lru_cache(maxsize=100_000)
def read_years(text: str) -> Years | None:
    """Return the years that a text of a catalogue allows for, or None where it names none.

    A later piece narrows what is read ("Ming dynasty (1368–1644), 15th century"), or leads on from
    it ("1503–06, until 1517"); it is not asked what else befell the work ("1831, printed 1890").

    >>> [tuple(map(int, read_years(text))) for text in ("c. 1830–32", "late 15th c.", "500–480 BC")]
    [(1830, 1832), (1467, 1500), (-500, -480)]
    >>> read_years("Edo period") is None
    True
    """
    if _NUMBER.fullmatch(text):
        number = float(text.strip().replace("−", "-"))  # float leaves U+001C
        return Years(number, number)
    folded = fold(text[: LONGEST + 1])
    if len(text) > LONGEST or not (_DIGIT.search(text) or _CENTURY.search(folded)):
        return None
    found = None
    for piece in re.split(r"[][(){},;:]", _translate(folded)):
        piece = piece.replace("finished", "to" if found else "")
        read = _read_piece(piece.replace("made", ""))
        if found is None and read is None and re.search(r"\d{4}", piece):
            return None
        if read:
            found = read[0] if found is None else _combine(found, *read, "made" in piece)
    return found


def dated(text: str) -> Years | None:
    """Return the years that a text allows for, where they have a place in time: none is endless.

    >>> dated("9" * 400) is None and dated("1831")
    Years(first=1831.0, last=1831.0)
    """
    years = read_years(text)
    return years if years and all(map(isfinite, years)) else None


def _years_of(periods: list[Period]) -> Years | None:
    """Return the years of a period, or from one to another, which may be written in short."""
    first, last = periods[0], periods[-1]
    if len(periods) == 2:
        # "1900s" are a hundred years, but ten beside another decade.
        if last.is_hundred() and first.number and not first.number.endswith(("00", "th")):
            last = last._replace(unit="ten")
        if first.is_hundred() and last.unit == "decade" and not last.is_hundred():
            first = first._replace(unit="ten")
        if not first.number or not first.unit and last.unit != "decade" and first.is_short():
            first = first._replace(unit=last.unit, number=first.number or last.number)
        if not first.era and last.era == "bc":
            first = first._replace(era="bc")
        if not last.unit and last.is_short():
            last = last._replace(unit=first.unit)
        last = _write_out(first, last)
    years = [period.years() if period else None for period in (first, last)]
    if None in years or years[1].first < years[0].first and 0 <= years[1].last < 100:
        return None
    return Years(min(one.first for one in years), max(one.last for one in years))


def _write_out(first: Period, last: Period) -> Period | None:
    """Return the end of a span with all its digits: 1895 of "1890–95", and 1890 of "1890-05"."""
    start, end = first.number, last.number
    centuries = last.unit not in ("", "decade", "ten")
    if centuries or "bc" in (first.era, last.era) or not len(end) < 3 <= len(start):
        return last
    if not (start.isdecimal() and end.isdecimal()):
        return last
    written = start[: -len(end)] + end
    if written >= start:
        return last._replace(number=written)
    if int(end) == 0:
        return last._replace(number=f"{int(start[: -len(end)]) + 1}{end}")
    is_month = int(end) in (*range(1, 13), *range(21, 25))  # 21 to 24 are EDTF's seasons
    return first if is_month else None


def _translate(text: str) -> str:
    """Return a folded text in the words and signs of the grammar, with those that it knows not."""
    for pattern, said in _SIGNS:
        text = pattern.sub(said, text)
    words = re.sub(r"[a-z]+", _say, text)
    if re.search("century|millennium", words):
        words = re.sub(r"[a-z]+", _say, _ROMAN.sub(_count, text))
    for pattern, said in _ORDER:
        words = pattern.sub(said, words)
    return words


def _say(word: re.Match) -> str:
    return _WORDS.get(word[0], word[0])


def _count(roman: re.Match) -> str:
    ones = {"ix": 9, "iv": 4}.get(roman[2]) or 5 * ("v" in roman[2]) + roman[2].count("i")
    return f"{10 * len(roman[1]) + ones}th"


def _combine(found: Years, read: Years, side: str, made: bool) -> Years:
    """Return the years of two pieces, of which the first tells more."""
    if found.first <= read.first and read.last <= found.last:
        return read
    if made or not side and read.first <= found.first and found.last <= read.last:
        return found
    if side == "before" and read.last >= found.first:
        return Years(found.first, read.last)
    if side == "after" and read.first <= found.last:
        return Years(read.first, found.last)
    near = not side and abs(read.first - found.last) <= OPEN
    return Years(min(found.first, read.first), max(found.last, read.last)) if near else found


def _read_piece(piece: str) -> tuple[Years, str] | None:
    """Return the years of a piece, and whether it says "after" or "before"; None for other text."""
    try:
        return _Reader().transform(_grammar().parse(piece))
    except lark.exceptions.UnexpectedInput:
        return None


@lru_cache(maxsize=1)
def _grammar() -> lark.Lark:
    return lark.Lark(GRAMMAR, parser="lalr")


class _Reader(lark.Transformer):
    """Makes years of what the grammar found; None where they cannot be told after all."""

    def start(self, found):
        read = found[-1]
        read = (_years_of([read]), "") if isinstance(read, Period) else read
        return read if read[0] else None

    def two(self, found):
        return _years_of([one for one in found if isinstance(one, Period)]), ""

    def open(self, found):
        (period,) = (one for one in found if isinstance(one, Period))
        side = next((str(one) for one in found if getattr(one, "type", "") == "SIDE"), "")
        side = side or ("before" if getattr(found[0], "type", "") == "TO" else "after")
        years = _years_of([period])
        if years and side == "after":
            years = Years(years.first, years.last + OPEN)
        elif years:
            years = Years(years.first - OPEN, years.last)
        return years, side

    def period(self, found):
        parts = {}
        for one in found:
            parts |= one if isinstance(one, dict) else {one.type.lower(): str(one)}
        return Period(**parts)

    def number(self, found):
        return {"number": str(found[0])} | {one.type.lower(): str(one) for one in found[1:]}

    def part(self, found):
        if len(found) == 1:
            return {"part": PARTS[found[0]]}
        nth, many = found[0].removesuffix("th"), SHARES[found[1]]
        return {"part": (many if nth == "last" else int(float(nth)), many)}
