"""Years as museums write them: a list made by hand, and whatever else may stand in a table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import examples

from artsearch.works.conditions import Columns, as_tree
from artsearch.works.years import LONGEST, WORDS, read_years

#: A text, its first and its last year, by eye.
READ = """
1831 = 1831
 1831  = 1831
-500 = -500
−500 = -500
12.5 = 12.5
１８３１ = 1831
1831? = 1831
1831 (?) = 1831
1889 (?)–1890 = 1889 1890
189(?) = 1890 1899
1890 [i.e. 1891] = 1891
1890 [recte 1891] = 1891
? - 1890 = 1790 1890
?–1890 = 1790 1890
1899/00 = 1899 1900
C18 = 1701 1800
mid-C19th = 1834 1867
1890-01-01 00:00:00 = 1890
01/01/1890 0:00 = 1890
(1946) = 1946
[1890] = 1890
[1890?] = 1890
1831 (signed) = 1831
c. 1830 = 1830
c.1830 = 1830
c1830 = 1830
ca. 1890 = 1890
circa 1830 = 1830
about 1830 = 1830
around 1830 = 1830
approx. 1830 = 1830
approximately 1830 = 1830
~1830 = 1830
um 1830 = 1830
etwa 1830 = 1830
gegen 1830 = 1830
vers 1830 = 1830
environ 1830 = 1830
v. 1830 = 1830
hacia 1830 = 1830
h. 1830 = 1830
alrededor de 1830 = 1830
intorno al 1830 = 1830
verso il 1830 = 1830
omstreeks 1830 = 1830
rond 1830 = 1830
1830 ca. = 1830
probably 1830 = 1830
possibly c. 1830 = 1830
wohl um 1830 = 1830
dated 1642 = 1642
signed and dated 1642 = 1642
ca. 1890–95 = 1890 1895
1890-5 = 1890 1895
1890–1895 = 1890 1895
1890 - 1895 = 1890 1895
1890/91 = 1890 1891
1503/06 = 1503 1506
1890 to 1895 = 1890 1895
from 1890 to 1895 = 1890 1895
between 1890 and 1895 = 1890 1895
between ca. 1890 and 95 = 1890 1895
zwischen 1890 und 1895 = 1890 1895
entre 1890 et 1895 = 1890 1895
entre 1890 y 1895 = 1890 1895
tra il 1890 e il 1895 = 1890 1895
tussen 1890 en 1895 = 1890 1895
1890 bis 1895 = 1890 1895
von 1890 bis 1895 = 1890 1895
de 1890 à 1895 = 1890 1895
dal 1890 al 1895 = 1890 1895
van 1890 tot 1895 = 1890 1895
1890 or 1891 = 1890 1891
1890 oder 1891 = 1890 1891
1890 and 1895 = 1890 1895
1890, 1892, 1895 = 1890 1895
1890 & 1895 = 1890 1895
c. 1503-1506, perhaps until c. 1517 = 1503 1517
ca. 1890–ca. 1895 = 1890 1895
1830–32 (published 1834) = 1830 1832
1895–1905 = 1895 1905
1540±9 = 1531 1549
1540 +/- 10 = 1530 1550
12/1890 = 1890
05/01/1831 = 1831
24.12.1831 = 1831
1831-12-24 = 1831
1890-05 = 1890
May 1890 = 1890
3 mei 1642 = 1642
March 12, 1890 = 1890
12th of March 1890 = 1890
3. März 1890 = 1890
12 août 1890 = 1890
settembre 1890 = 1890
el 3 de mayo de 1808 = 1808
1890 May 3 = 1890
May–June 1890 = 1890
May 1890–June 1891 = 1890 1891
12.–15. Mai 1890 = 1890
Summer 1890 = 1890
winter 1890-91 = 1890 1891
1890-05-03/1891-06-01 = 1890 1891
Oct. 1890 = 1890
2026-10-03T12:00:00Z = 2026
1890s = 1890 1899
1890's = 1890 1899
the 1890s = 1890 1899
late 1890s = 1896 1899
early 1890s = 1890 1893
mid-1890s = 1893 1896
1890er Jahre = 1890 1899
1890er = 1890 1899
années 1890 = 1890 1899
anni 1890 = 1890 1899
años 1890 = 1890 1899
década de 1890 = 1890 1899
jaren 1890 = 1890 1899
1810-20s = 1810 1829
1810s–1820s = 1810 1829
189-? = 1890 1899
[189-] = 1890 1899
189- = 1890 1899
18-- = 1800 1899
18--? = 1800 1899
189? = 1890 1899
189X = 1890 1899
189x = 1890 1899
18XX = 1800 1899
18?? = 1800 1899
189u = 1890 1899
1800s = 1800 1899
19th century = 1801 1900
19th c. = 1801 1900
19th cent. = 1801 1900
17/18th century = 1601 1800
17th/18th century = 1601 1800
17th-18th century = 1601 1800
17th to 18th centuries = 1601 1800
late 15th c. = 1467 1500
early 19th century = 1801 1834
mid-19th century = 1834 1867
Late 15th–early 16th century = 1467 1534
early to mid 19th century = 1801 1867
first half of the 19th century = 1801 1850
2nd half 19th century = 1851 1900
last quarter of the 17th century = 1676 1700
first quarter 16th c. = 1501 1525
second third of the 18th century = 1734 1767
nineteenth century = 1801 1900
circa 17th century = 1601 1700
nineteenth-century = 1801 1900
19. Jahrhundert = 1801 1900
19. Jh. = 1801 1900
18./19. Jh. = 1701 1900
18.–19. Jahrhundert = 1701 1900
2. Hälfte 19. Jh. = 1851 1900
Ende 15. Jh. = 1467 1500
Anfang des 16. Jahrhunderts = 1501 1534
Mitte 18. Jh. = 1734 1767
letztes Viertel 17. Jh. = 1676 1700
spätes 15. Jahrhundert = 1467 1500
erste Hälfte des 17. Jahrhunderts = 1601 1650
XIXe siècle = 1801 1900
XIXᵉ siècle = 1801 1900
19e siècle = 1801 1900
XVIIe-XVIIIe siècle = 1601 1800
fin du XVe siècle = 1467 1500
début XXe siècle = 1901 1934
première moitié du XVIIe siècle = 1601 1650
milieu du 18e s. = 1734 1767
1er siècle av. J.-C. = -100 -1
IIe siècle après J.-C. = 101 200
XV secolo = 1401 1500
sec. XV = 1401 1500
secolo XV = 1401 1500
prima metà del XVI secolo = 1501 1550
fine del XV sec. = 1467 1500
inizio XVI secolo = 1501 1534
VIII-VII secolo a.C. = -800 -601
siglo XVII = 1601 1700
s. XVII = 1601 1700
siglos XVII-XVIII = 1601 1800
principios del siglo XX = 1901 1934
finales del siglo XVI = 1567 1600
mediados del siglo XVIII = 1734 1767
segunda mitad del siglo XVII = 1651 1700
último cuarto del siglo XV = 1476 1500
17e eeuw = 1601 1700
17de eeuw = 1601 1700
begin 16e eeuw = 1501 1534
eind 15e eeuw = 1467 1500
midden 18e eeuw = 1734 1767
tweede helft 17e eeuw = 1651 1700
eerste kwart van de 17e eeuw = 1601 1625
10,000 BCE = -10000
ca. 12,000–10,000 B.C. = -12000 -10000
500 BC = -500
500 B.C. = -500
c. 500–480 BCE = -500 -480
300 v. Chr. = -300
um 300 v.Chr. = -300
300 av. J.-C. = -300
300 a.C. = -300
300 a. de C. = -300
300 avant J.-C. = -300
300 voor Christus = -300
300 aC = -300
79 CE = 79
AD 79 = 79
A.D. 79 = 79
79 n. Chr. = 79
79 d.C. = 79
79 apr. J.-C. = 79
27 BC–AD 14 = -27 14
2 B.C.–A.D. 5 = -2 5
10.000 v. Chr. = -10000
1st century BC = -100 -1
1st century B.C.–1st century A.D. = -100 100
3rd–2nd century BC = -300 -101
late 1st century BC–early 1st century AD = -34 34
A.D. 1st century = 1 100
1. Jh. v. Chr. = -100 -1
3rd millennium BC = -3000 -2001
2nd half of the 5th century BC = -450 -401
-500/-400 = -500 -400
-500 to -400 = -500 -400
100 BC - 50 = -100 50
after 1650 = 1650 1750
before 1700 = 1600 1700
nach 1650 = 1650 1750
vor 1700 = 1600 1700
après 1650 = 1650 1750
avant 1700 = 1600 1700
dopo il 1650 = 1650 1750
prima del 1700 = 1600 1700
después de 1650 = 1650 1750
antes de 1700 = 1600 1700
na 1650 = 1650 1750
voor 1700 = 1600 1700
post-1650 = 1650 1750
pre-1700 = 1600 1700
1650 or later = 1650 1750
1700 or earlier = 1600 1700
after 1650, before 1700 = 1650 1700
not before 1650 = 1650 1750
no later than 1700 = 1600 1700
by 1700 = 1600 1700
ab 1650 = 1650 1750
until 1700 = 1600 1700
1890- = 1890 1990
1890~ = 1890
1890% = 1890
1890/1895 = 1890 1895
1890~/1895? = 1890 1895
1890/.. = 1890 1990
../1890 = 1790 1890
[1890..1895] = 1890 1895
{1890,1891} = 1890 1891
1560-XX-XX = 1560
1890-21 = 1890
Y-10000 = -10000
-0500 = -500
1890-XX = 1890
Edo period (1615–1868) = 1615 1868
Qing dynasty, 18th century = 1701 1800
Ming dynasty (1368–1644), 15th century = 1401 1500
Dynasty 18, reign of Hatshepsut (ca. 1473–1458 B.C.) = -1473 -1458
A.H. 1250/A.D. 1834–35 = 1834 1835
Shōwa 15 (1940) = 1940
1831, printed 1890 = 1831
printed 1890 = 1890
designed 1931, made 1935 = 1931
n.d. (ca. 1890) = 1890
1st half of 17th century = 1601 1650
modeled 1890, cast 1925 = 1890
2nd century A.D. or later = 101 300
mid- to late 19th century = 1834 1900
1860s–70s = 1860 1879
17. Jh., 2. Hälfte = 1651 1700
1. H. 17. Jh. = 1601 1650
zw. 1890 u. 1895 = 1890 1895
sec. XVIII (seconda metà) = 1751 1800
sec. XIX ultimo quarto = 1876 1900
XIXe s. (2e moitié) = 1851 1900
fin XIXe - début XXe siècle = 1867 1934
IV secolo d.C. = 301 400
laat 17e eeuw = 1667 1700
500 v.C. = -500
1985-04/2004-06 = 1985 2004
201X = 2010 2019
1984-06-02?/2004-08-08~ = 1984 2004
[1667,1668, 1670..1672] = 1667 1672
<1890 = 1790 1890
1890+ = 1890 1990
1890年 = 1890
18世紀 = 1701 1800
Edo period (1615–1868), dated 1831 = 1831
Han dynasty (206 B.C.–220 A.D.) = -206 220
dated 1250 AH/1834 CE = 1834
1867; reworked 1870 = 1867
1890–present = 1890 1990
12th century B.C. = -1200 -1101
ca. 1070–664 BC = -1070 -664
between 1650 and the 18th century = 1650 1800
1890 (cast 1925) = 1890
mid 1600s = 1633 1666
late 1700s–early 1800s = 1766 1833
c1890s = 1890 1899
begun 1890, completed 1895 = 1890 1895
completed 1895 = 1895
1890 (19th century) = 1890
1890(1891) = 1890 1891
3.5.1890–5.6.1891 = 1890 1891
[18]90 = 1890
189[0] = 1890
[1890]-1895 = 1890 1895
1890-(18)95 = 1890 1895
15 c. = 1401 1500
um/nach 1650 = 1650 1750
vor/um 1700 = 1600 1700
Ende 18./Anfang 19. Jh. = 1767 1834
späte 1920er = 1926 1929
2. Jt. v. Chr. = -2000 -1001
1ère moitié 19e siècle = 1801 1850
secc. XV-XVI = 1401 1600
from 1890 onwards = 1890 1990
dal 1890 al 1895 = 1890 1895
entro il 1890 = 1790 1890
1300 vC = -1300
Anno Domini 1650 = 1650
late 6th or early 5th century BC = -534 -467
19th century or earlier = 1701 1900
Ca. 1900-10s = 1900 1919
1890s–1900s = 1890 1909
1900s-1910s = 1900 1919
early to mid 1900s = 1900 1966
1890–1900s = 1890 1909
1700s and 1800s = 1700 1899
1940s (early) = 1940 1943
nineteenth c. = 1801 1900
19thC(late) = 1867 1900
72/127, 2005 = 2005
45/50, not dated (1970) = 1970
No. 5 of 36, 1831 = 1831
first decade of the 20th century = 1901 1910
last decade of the 19th century = 1891 1900
c. 1700-before 1750 = 1700 1750
Meiji period, 1868-1912 = 1868 1912
1906 (Meiji 39, 5th month) = 1906
[between 1790 and 1840, printed later] = 1790 1840
"""
#: Texts that name no year, or none that is to be relied on.
UNREAD = """
n.d.
undated
unknown
s.d.
o. J.
z.j.
Edo period
Meiji era
Plate 12
12 x 30 cm
²
Ⅻ
NaN
inf
0x1F
?
-
century
Dynasty 19
dateable
No. 1890
1st Dynasty
c. 2500 BP
5000 years ago
Y17E7
1890-85
modelled 12 x 1890 cm
photograph 1890, printed 1920
MDCCCXC
turn of the 20th century
90s
2nd edition 1890
1890 mm
43rd half of the 19th century
99th century
19th
0th century
1st half
12/90
62/200, 69-10
A1
E 12
"""


def split_line(line: str) -> tuple[str, float, float]:
    text, _, years = line.rpartition(" = ")
    first, *last = map(float, years.split())
    return text, first, *(last or [first])


LINES = [split_line(line) for line in READ.strip().splitlines()]


@pytest.mark.parametrize(("text", "first", "last"), LINES)
def test_years_are_read(text, first, last):
    assert read_years(text) == (first, last)
    assert read_years(f"  {text.upper()} ") == (first, last)


@pytest.mark.parametrize("text", ["", " ", *UNREAD.strip().splitlines()])
def test_what_names_no_year_is_not_read(text):
    assert read_years(text) is None


NUMBERS = st.integers(-20000, 20000).map(str) | st.sampled_from(["95", "XIX", "²", "٣", "12.5"])
WORD = st.sampled_from([word for words in WORDS.values() for word in words.split()])
SIGN = st.sampled_from([*"-–/.,;:()[]{}?~%+'<>±", "v. Chr.", "B.C.", "th", "s", "--"])
PIECES = st.lists(
    NUMBERS | WORD | SIGN | st.sampled_from([text for text, _, _ in LINES]) | st.text(max_size=5),
    max_size=7,
)


@given(PIECES.map(" ".join) | PIECES.map("".join) | st.text())
@settings(max_examples=examples(400), deadline=None)
def test_any_text_is_read_or_not_and_its_first_year_is_not_after_its_last(text):
    years = read_years(text)
    assert years is None or years.first <= years.last


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: "e" not in repr(x)))
def test_a_plain_number_is_itself(number):
    assert read_years(repr(number)) == (number, number)


def test_what_is_long_is_no_date():
    assert read_years("1890 " + "x" * LONGEST) is None
    assert read_years("9" * 9000).first == float("inf")


def test_old_things_are_not_of_our_era_and_prints_of_their_month():
    """Each of these was once read by the number that it begins with, or not at all."""
    old, new = (
        ["10,000 BCE", "ca. 12,000–10,000 B.C."],
        ["12/1890", "05/01/1831", "(1946)", "1890s"],
    )
    columns = Columns(pd.DataFrame({"year": old + new}))
    for where, found in (
        ("year between 1 and 100", [0] * 6),
        ("year between 1800 and 1950", [0, 0, 1, 1, 1, 1]),
        ("year < -500", [1, 1, 0, 0, 0, 0]),
    ):
        assert as_tree(where).mask(columns).tolist() == [bool(one) for one in found], where


def test_a_condition_asks_what_years_a_work_may_be_of():
    texts = ["1890–95", "1890s", "before 1700", "10,000 BCE", "12/1890", "", "Edo period"]
    columns = Columns(pd.DataFrame({"year": texts}))

    def match(where):
        return [texts[row] for row in np.flatnonzero(as_tree(where).mask(columns))]

    assert match("year between 1 and 100") == match("year between 100 and 1") == []
    assert match("year between 1895 and 1950") == ["1890–95", "1890s"]
    assert match("year == 1890") == ["1890–95", "1890s", "12/1890"]
    assert match("year < 1700") == ["before 1700", "10,000 BCE"]
    assert match("year > 1895") == ["1890s"]
    assert match("not year <= 1895") == ["", "Edo period"]
    assert match("not year > 1895 and year > 0") == ["1890–95", "before 1700", "12/1890"]


def test_a_number_may_have_any_blank_behind_it():
    assert read_years("40 \x1c") == (40, 40)
