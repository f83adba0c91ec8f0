"""The gallery's questions in a browser, with views made up here."""

import base64
import io
from functools import cache

import pytest
from browser import (
    SCREENS,
    begin_part,
    ids,
    open_menu,
    part,
    screenshot,
    slider_of,
    tool,
    visit,
    works,
)
from madeup import HOSTILE
from PIL import Image

from artsearch.gallery.widget import WEB
from artsearch.works.conditions import Both, Condition, Either, parse

SIZES = [(90, 60), (60, 90), (600, 60), (60, 600), (80, 80), (120, 60), (70, 90)]
MENU = ["Like this too", "Not like this", "Leave out"]
KEPT = ["Stepping stones to here", "Keep"]
ASK = {
    "columns": ["artist", "title", "year", "style", "object type"],
    "values": {"style": ["Baroque", "Tonalism", "Ukiyo-e"], "artist": ["Dürer", 'The "Elder"']},
    "where": "",
    "group_by": "",
    "group_size": 1,
    "group_columns": ["artist", "style"],
    "exclude_same": [],
    "same_columns": ["artist", "series"],
    "near_duplicates": True,
    "region": None,
    "weight": 1,
    "in_words": "",
    "liked": [],
    "excluded": [],
    "goal": None,
    "notes": [],
    "link": "?like=0&k=6",
    "active": False,
    "why": None,
    "kept": [],
    "steps": 7,
}


@cache
def paint(number):
    """Return the picture of a work as an address."""
    out = io.BytesIO()
    size = SIZES[number % len(SIZES)]
    Image.new("RGB", size, (40 * (number % 7), 90, 120)).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def work(number, title="", **more):
    """Return a work as a view has it."""
    width, height = SIZES[number % len(SIZES)]
    title = title or f"Work {number}"
    known = {"title": title, "artist": 'The "Elder"', "year": "1831", "style": "Ukiyo-e"}
    place = {"id": str(number), "caption": title, "alt": title, "width": width, "height": height}
    seen = dict.fromkeys(("thumb", "image"), paint(number)) | {"licence": "", "source": ""}
    return known | place | seen | more


def view(first=None, rows=None, error="", **ask):
    """Return a view as view.py makes it, in which something is asked."""
    found = [{"distance_text": f"{n / 10}"} | one for n, one in enumerate(rows or six())]
    return {
        "sentence": "Networks: made up.",
        "networks": [{"name": "one", "title": "One", "selected": True}],
        "crops": [{"name": "no_crop", "title": "no crop", "selected": True}],
        "k": len(found),
        "k_max": 20,
        "dial": {"available": False, "alpha": None},
        "compare": False,
        "machine_made": {"available": False, "shown": True, "count": 0},
        "can_upload": True,
        "query": first or work(0),
        "rows": [{"network": "one", "title": "One", "works": found}],
        "unit": "angular",
        "drawer": {"works": six(), "search": "", "page": 0, "pages": 1, "matches": 6},
        "history": {"works": [work(0), work(5)], "position": 0},
        "error": error,
        "ask": ASK | ask,
    }


def six():
    return [work(number) for number in range(1, 7)]


@pytest.fixture(scope="module")
def window(browser):
    with visit(browser) as window:
        load(window)
        yield window


@pytest.fixture
def page(window):
    """A page with a new gallery that remembers what it is asked to do."""
    window.set_viewport_size({"width": 1100, "height": 900})
    window.mouse.move(1, 1)
    start(window)
    yield window
    assert not window.wrong, window.wrong


def load(page):
    page.set_content("<!doctype html><body style='margin: 0'><div id=root></div>")
    for name in ("gallery", "ask"):
        page.add_style_tag(content=(WEB / f"{name}.css").read_text("utf-8"))
        page.add_script_tag(content=(WEB / f"{name}.js").read_text("utf-8"))
    page.add_style_tag(content=(WEB / "print.css").read_text("utf-8"))


def start(page, first=None):
    page.evaluate(
        """() => {
          window.sent = [];
          const act = (what) => sent.push(what.file ? { ...what, file: what.file.name } : what);
          window.gallery = createGallery(document.querySelector("#root"), act);
        }"""
    )
    show(page, first or view())


def show(page, view):
    page.evaluate("view => gallery.update(view)", view)


def sent(page):
    """Return what the gallery was asked to do since the last look."""
    return page.evaluate("sent.splice(0)")


def focused(page):
    return page.evaluate("document.activeElement.textContent || document.activeElement.dataset.id")


# ---- calm ------------------------------------------------------------------------------------


def test_where_nothing_is_asked_there_is_one_button(page):
    assert part(page, "ask-more").is_visible()
    assert page.locator(".as-line").bounding_box()["height"] < 40
    assert page.locator(".as-ask").bounding_box()["height"] == 0
    hidden = [".as-panel", ".as-menu", ".as-region", ".as-why", ".as-chip", ".as-offer", ".as-hint"]
    assert not any(page.locator(f"{one}:visible").count() for one in hidden)
    page.mouse.move(1, 1)
    for one in page.locator(".as-more, .as-tools").all():
        assert one.evaluate("node => getComputedStyle(node).opacity") == "0"


def test_without_ask_in_a_view_nothing_of_it_is_there(page):
    asked = page.locator(
        ".as-ask, .as-panel, .as-tools, .as-more, .as-word, [data-part=session-menu]"
    )
    start(page, view() | {"ask": None})
    assert works(page, "neighbours").count() == 6
    assert not any(one.is_visible() for one in asked.all())


# ---- one line of tools -----------------------------------------------------------------------

MANY = {
    "networks": [
        {"name": f"n{n}", "title": f"Network number {n}", "selected": n == 3} for n in range(5)
    ],
    "dial": {"available": True, "alpha": 0.5},
    "machine_made": {"available": True, "shown": False, "count": 9},
}
TOOLS = ["networks", "upload", "compare", "crops", "k", "ask-more", "dial", "machine", "in_words"]


@pytest.mark.parametrize("width, height", [(320, 740), (360, 740), (700, 700), (1400, 900)])
def test_one_line_of_tools_stands_above_the_pictures(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    for one in (view(), view() | MANY, view(in_words="in words: ") | MANY):
        show(page, one)
        boxes = [box.bounding_box() for box in page.locator(".as-line > :visible").all()]
        middles = [box["y"] + box["height"] / 2 for box in boxes]
        assert max(middles) - min(middles) < 2
        rights = [0, *(box["x"] + box["width"] for box in boxes)]
        assert all(box["x"] >= right for box, right in zip(boxes, rights, strict=False))
        assert rights[-1] <= width
        assert page.locator(".as-mat").first.bounding_box()["y"] < 0.25 * height
        # The network that is asked is in sight, where they scroll too.
        networks = part(page, "networks")
        assert networks.is_visible() == (len(one["networks"]) > 1)  # one alone is no choice
        if networks.is_hidden():
            continue
        pressed = networks.locator("[aria-pressed=true]").bounding_box()
        assert pressed["x"] >= 0 and pressed["x"] < boxes[1]["x"]
    assert slider_of(page).is_visible()
    for name in TOOLS:
        assert tool(page, name).is_visible(), name
    page.keyboard.press("Escape")
    screenshot(page, f"line-{width}")


@pytest.mark.parametrize("width", [360, 1400])
def test_what_more_opens(page, width):
    page.set_viewport_size({"width": width, "height": 740})
    show(page, view() | MANY)
    more, sheet = part(page, "more"), part(page, "sheet")
    assert sheet.is_hidden() and more.get_attribute("aria-expanded") == "false"
    more.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="More choices")
    page.wait_for_function("document.activeElement.dataset.part === 'sheet'")
    assert more.get_attribute("aria-expanded") == "true"
    assert more.get_attribute("aria-controls") == dialog.get_attribute("id")
    box = dialog.locator(".as-card").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    if width == 360:
        assert box["width"] == width and box["y"] + box["height"] == 740
    page.screenshot(path=SCREENS / f"sheet-{width}.png")

    # All in it is reached by keyboard, and it stays when an answer comes.
    page.keyboard.press("Tab")
    while not page.evaluate("document.activeElement.closest('[data-part=k]')"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('[data-part=sheet]')")
    page.keyboard.press("ArrowRight")
    assert sent(page) == [{"do": "change", "k": 7}]
    show(page, view() | MANY | {"k": 7})
    assert dialog.is_visible()
    assert page.evaluate("document.activeElement.closest('[data-part=k]') !== null")
    page.keyboard.press("Escape")
    assert sheet.is_hidden() and more.get_attribute("aria-expanded") == "false"
    assert page.evaluate("document.activeElement.dataset.part") == "more"

    # Its own button, a click elsewhere and the way out by Tab close it.
    more.click()
    dialog.get_by_role("button", name="Close").click()
    assert sheet.is_hidden() and page.evaluate("document.activeElement.dataset.part") == "more"
    more.click()
    page.mouse.click(10, 300)
    page.wait_for_function("!document.querySelector('[data-part=sheet]:popover-open')")
    page.wait_for_function("document.activeElement.dataset.part === 'more'")
    more.click()
    for _ in range(30):
        page.keyboard.press("Tab")
        if sheet.is_hidden():
            break
    outside = "document.activeElement.closest('.artsearch > :not([data-part=sheet])') !== null"
    assert sheet.is_hidden() and page.evaluate(outside)
    assert not sent(page)


def test_a_tap_that_closes_the_sheet_selects_nothing(browser):
    with visit(browser, has_touch=True, viewport={"width": 360, "height": 700}) as page:
        load(page)
        start(page)
        part(page, "more").tap()
        part(page, "sheet").wait_for()
        box = works(page, "neighbours").first.bounding_box()
        assert box["y"] + 10 < page.locator(".as-card").bounding_box()["y"]
        page.touchscreen.tap(box["x"] + 20, box["y"] + 10)
        part(page, "sheet").wait_for(state="hidden")
        assert not sent(page)
        # What is asked more stands in the sheet too, and Escape leaves the one before the other.
        show(page, view() | MANY)
        tool(page, "ask-more").tap()
        part(page, "panel").get_by_role("combobox", name="Only where").focus()
        page.keyboard.press("Escape")
        assert part(page, "panel").is_hidden() and part(page, "sheet").is_visible()
        page.keyboard.press("Escape")
        assert part(page, "sheet").is_hidden()


# ---- words -----------------------------------------------------------------------------------


def in_words(text, **more):
    """Return words as a view has them."""
    said = {"id": f"in words: {text}", "words": text, "title": f"“{text}”", "caption": text}
    blank = dict.fromkeys(("artist", "year", "style", "thumb", "image", "licence", "source"), "")
    return blank | said | {"alt": text, "width": 4, "height": 3} | more


def test_words_are_asked_where_the_network_takes_them(page):
    field = page.get_by_role("searchbox", name="In words")
    assert not field.is_visible()
    show(page, view(in_words="in words: "))
    field.press("Enter")
    assert not sent(page)
    field.fill(" a mountain lake ")
    field.press("Enter")
    assert sent(page) == [{"do": "select", "id": "in words: a mountain lake"}]
    show(page, view(error="too long", in_words="in words: "))
    assert field.input_value() == " a mountain lake "
    page.get_by_role("button", name="Add", exact=True).click()
    assert sent(page) == [{"do": "like", "id": "in words: a mountain lake", "weight": 1}]
    night, day = (in_words(text, weight=0.5, side="like") for text in ("at night", "<b>day"))
    show(page, view(in_words="in words: ", liked=[night, day | {"side": "unlike"}], active=True))
    assert field.input_value() == ""
    chips = page.locator(".as-chip")
    assert [one.split()[0] for one in chips.all_inner_texts()] == ["+", "+", "−"]
    assert "“at night”" in chips.nth(1).inner_text() and "“<b>day”" in chips.nth(2).inner_text()
    chips.nth(1).get_by_role("spinbutton").fill("2")
    chips.nth(1).get_by_role("spinbutton").press("Enter")
    assert sent(page) == [{"do": "like", "id": "in words: at night", "weight": 2}]


def test_words_are_a_card_where_a_work_is_a_picture(page):
    lake = in_words("a mountain lake at dusk, with pines and a small boat")
    words = view(first=lake, in_words="in words: ")
    show(page, words | {"history": {"works": [work(0), lake], "position": 1}})
    card = page.locator("[data-part=query] > figure > .as-mat")
    said = card.locator(".as-words")
    assert said.inner_text() == lake["title"]
    assert not card.locator("img").is_visible() and not card.locator(".as-tools").is_visible()
    past = works(page, "history").nth(1)
    assert past.inner_text().strip() == lake["words"] and not past.locator("img").is_visible()
    assert open_menu(page, "history", 1).all_inner_texts() == ["What is asked"]
    page.keyboard.press("Escape")
    screenshot(page, "words")
    show(page, view(in_words="in words: ") | {"history": words["history"]})
    assert card.locator("img").is_visible() and not said.is_visible()


# ---- a work's menu ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "list_, items",
    [
        ("neighbours", [*MENU, "Why similar?", *KEPT]),
        ("drawer", [*MENU, *KEPT]),
        ("history", [*MENU, *KEPT]),
    ],
)
def test_the_menu_of_a_work(page, list_, items):
    place, id = (1, "5") if list_ == "history" else (2, "3")
    expected = {
        "Like this too": {"do": "like", "weight": 1},
        "Not like this": {"do": "unlike", "weight": 1},
        "Leave out": {"do": "exclude"},
        "Why similar?": {"do": "change", "why": id},
        "Stepping stones to here": {"do": "change", "goal": id},
        "Keep": {"do": "keep", "on": True},
    }
    assert open_menu(page, list_, place).all_inner_texts() == items
    page.keyboard.press("Escape")
    for item in items:
        open_menu(page, list_, place)
        page.get_by_role("menuitem", name=item, exact=True).click()
        what = expected[item]
        assert sent(page) == [what if what["do"] == "change" else {"id": id} | what]
        assert page.get_by_role("menu").count() == 0
        assert page.evaluate("document.activeElement.dataset.id") == id


def test_the_menu_takes_back_what_was_asked(page):
    liked = [work(1) | {"weight": 2, "side": "like"}, work(2) | {"weight": 1, "side": "unlike"}]
    show(page, view(liked=liked, excluded=[work(3)], kept=["4"], active=True))
    for place, item in enumerate(("No longer liked", "No longer disliked", "No longer left out")):
        open_menu(page, "neighbours", place).filter(has_text=item).click()
        assert sent(page) == [{"do": "drop", "id": str(place + 1)}]
    open_menu(page, "neighbours", 3).filter(has_text="Keep no longer").click()
    assert sent(page) == [{"do": "keep", "id": "4", "on": False}]
    # The selected work can be kept, and no more than that.
    assert open_menu(page, "history", 0).all_inner_texts() == ["Keep"]


@pytest.mark.parametrize("key", ["m", "ContextMenu", "Shift+F10"])
def test_the_menu_by_keyboard(page, key):
    works(page, "neighbours").nth(1).focus()
    page.keyboard.press(key)
    assert page.get_by_role("menu", name="Work 2").count() == 1
    seen = [focused(page)]
    for press in ("ArrowDown", "ArrowUp", "ArrowUp", "ArrowDown", "End", "Home"):
        page.keyboard.press(press)
        seen.append(focused(page))
    first, last = "Like this too", "Keep"
    assert seen == [first, "Not like this", first, last, first, last, first]
    page.keyboard.press("Escape")
    assert page.get_by_role("menu").count() == 0 and focused(page) == "2" and not sent(page)
    page.keyboard.press(key)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert sent(page) == [{"do": "unlike", "id": "2", "weight": 1}]
    page.keyboard.press(key)
    page.mouse.click(5, 5)
    assert page.get_by_role("menu").count() == 0


def test_the_menu_with_a_finger(browser):
    device = {"has_touch": True, "is_mobile": True, "viewport": {"width": 360, "height": 700}}
    with visit(browser, **device) as page:
        load(page)
        start(page)
        more = page.locator("[data-part=neighbours] .as-more").nth(1)
        assert float(more.evaluate("node => getComputedStyle(node).opacity")) > 0.5
        more.tap()
        page.get_by_role("menuitem", name="Leave out").tap()
        assert sent(page) == [{"do": "exclude", "id": "2"}]
        # What a long press makes of itself.
        works(page, "history").nth(1).evaluate(
            """node => node.dispatchEvent(new PointerEvent("contextmenu",
              { bubbles: true, cancelable: true, pointerType: "touch" }))"""
        )
        box = page.get_by_role("menu").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360


def test_the_right_button_is_the_browser_s(page):
    works(page, "neighbours").first.click(button="right")
    assert page.get_by_role("menu").count() == 0


# ---- the panel -------------------------------------------------------------------------------


@pytest.fixture
def panel(page):
    part(page, "ask-more").click()
    return part(page, "panel")


def test_the_panel_opens_and_closes(page, panel):
    toggle = part(page, "ask-more")
    assert panel.is_visible() and toggle.get_attribute("aria-expanded") == "true"
    panel.get_by_role("combobox", name="Only where").focus()
    page.keyboard.press("Escape")
    assert panel.is_hidden() and toggle.get_attribute("aria-expanded") == "false"
    assert focused(page) == "Ask more"


def test_switches_of_the_panel(page, panel):
    assert panel.get_by_label("How many of each").is_hidden()  # nothing is grouped
    artist = panel.get_by_role("group", name="Not the same").get_by_text("artist")
    artist.click()
    panel.get_by_text("No near-duplicates").click()
    panel.get_by_label("Nearest in each").select_option("style")
    assert sent(page) == [
        {"do": "change", "exclude_same": ["artist"]},
        {"do": "change", "near_duplicates": False},
        {"do": "change", "group_by": "style"},
    ]
    show(page, view(exclude_same=["artist"], near_duplicates=False, group_by="style", active=True))
    assert artist.get_attribute("aria-pressed") == "true"
    assert panel.get_by_label("Nearest in each").input_value() == "style"
    each = panel.get_by_label("How many of each")
    each.fill("3")
    each.press("Enter")
    assert sent(page) == [{"do": "change", "group_size": 3}]
    show(
        page,
        view(
            exclude_same=["artist"],
            near_duplicates=False,
            group_by="style",
            group_size=3,
            active=True,
        ),
    )
    assert page.get_by_text("nearest 3 in each style").is_visible()
    artist.click()
    panel.get_by_text("No near-duplicates").click()
    panel.get_by_label("Nearest in each").select_option("")
    assert sent(page) == [
        {"do": "change", "exclude_same": []},
        {"do": "change", "near_duplicates": True},
        {"do": "change", "group_by": ""},
    ]


def test_a_condition_with_the_help_of_suggestions(page, panel):
    field = panel.get_by_role("combobox", name="Only where")
    options = panel.locator("[role=option]:visible")
    field.click()
    assert options.all_inner_texts() == ["artist", "title", "year", "style", "`object type`"]
    page.keyboard.type("st")
    assert options.all_inner_texts() == ["artist", "style"]
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert field.input_value() == "style "
    options.filter(has_text="==").click()
    page.keyboard.type('"uki')
    page.keyboard.press("ArrowUp")
    assert field.get_attribute("aria-activedescendant") == options.first.get_attribute("id")
    page.keyboard.press("Enter")
    assert field.input_value() == 'style == "Ukiyo-e" ' and options.count() == 0
    page.keyboard.type("a")
    assert options.all_inner_texts() == ["and"]
    page.keyboard.press("Escape")
    assert options.count() == 0 and panel.is_visible()
    page.keyboard.press("Backspace")
    assert not sent(page)
    page.keyboard.press("Enter")
    assert sent(page) == [{"do": "change", "where": 'style == "Ukiyo-e" '}]


SUGGESTED = {
    "": ["artist", "title", "year", "style", "`object type`"],
    "(not obj": ["`object type`"],
    "style": ["==", "!=", "in [", "contains", ">=", "<=", "between"],
    "style not c": ["contains"],
    "artist == dur": ['"Dürer"'],
    "artist != ": ['"Dürer"', r'"The \"Elder\""'],
    'style in ["Baroque"': [",", "]"],
    'style in ["Baroque", ': ['"Baroque"', '"Tonalism"', '"Ukiyo-e"'],
    'style in ["Baroque"] ': ["and", "or"],
    "`object type` == ": [],
    "year between 1800 and 1900 ": ["and", "or"],
    'style == "Ukiyo-e" or (style == ': ['"Baroque"', '"Tonalism"', '"Ukiyo-e"'],
    'style == "and': [],
}


def test_suggestions(page):
    found = page.evaluate(
        "([texts, ask]) => texts.map((text) => [text, suggest(text, ask).options])",
        [list(SUGGESTED), ASK],
    )
    assert dict(found) == SUGGESTED


def test_what_is_wrong_is_said_at_the_field_and_the_text_stays(page, panel):
    field = panel.get_by_role("combobox", name="Only where")
    field.fill('style == "Ukioye"')
    page.keyboard.press("Enter")
    sentence = "unknown style 'Ukioye'; did you mean 'Ukiyo-e'?"
    show(page, view(error=sentence))
    assert panel.get_by_role("alert").inner_text() == sentence
    assert part(page, "error").is_hidden()
    assert field.input_value() == 'style == "Ukioye"'
    assert field.get_attribute("aria-invalid") == "true"
    field.fill('style == "Ukiyo-e"')
    panel.get_by_role("button", name="Ask", exact=True).click()
    assert [one["where"] for one in sent(page)] == ['style == "Ukioye"', 'style == "Ukiyo-e"']
    show(page, view(where='style == "Ukiyo-e"', active=True))
    assert panel.get_by_role("alert").count() == 0
    assert field.get_attribute("aria-invalid") == "false"
    # Errors of anything else stand where they always did.
    show(page, view(where='style == "Ukiyo-e"', active=True, error="something else"))
    assert part(page, "error").inner_text() == "something else"


# ---- what is asked ---------------------------------------------------------------------------

MUCH = {
    "where": 'style == "Ukiyo-e"',
    "exclude_same": ["artist"],
    "near_duplicates": False,
    "group_by": "style",
    "region": [0.1, 0.2, 0.5, 0.6],
    "goal": work(6, "The End"),
    "liked": [work(1) | {"weight": 2, "side": "like"}, work(2) | {"weight": 1, "side": "unlike"}],
    "excluded": [work(3)],
    "notes": ["56 of 895 works match.", "3 left out."],
    "kept": ["0", "4"],
    "active": True,
}
BACK = [
    ('style == "Ukiyo-e"', {"do": "change", "where": ""}),
    ("not the same artist", {"do": "change", "exclude_same": []}),
    ("no near-duplicates", {"do": "change", "near_duplicates": True}),
    ("nearest in each style", {"do": "change", "group_by": ""}),
    ("part of the work", {"do": "change", "region": None}),
    ("stepping stones to The End", {"do": "change", "goal": ""}),
    ("Work 1", {"do": "drop", "id": "1"}),
    ("Work 2", {"do": "drop", "id": "2"}),
    ("Work 3", {"do": "drop", "id": "3"}),
]


def test_all_that_is_asked_can_be_taken_back(page):
    show(page, view(**MUCH))
    chips = page.get_by_role("list", name="What is asked")
    texts = chips.locator(".as-text").all_inner_texts()
    assert texts == [text for text, _ in BACK[:6]]
    signs = [text.strip()[:8] for text in chips.get_by_role("listitem").all_inner_texts()[6:]]
    assert [sign.split("\n")[0].strip(" ×") for sign in signs] == ["+", "+", "−", "left out"]
    assert "56 of 895 works match. 3 left out." in page.locator(".as-ask").inner_text()
    for text, what in BACK:
        chips.get_by_role("button", name=f"Take back: {text}", exact=True).click()
        (asked,) = sent(page)
        assert {name: asked[name] for name in what} == what
    chips.get_by_role("button", name="Take back: no near-duplicates").focus()
    show(page, view(**MUCH | {"near_duplicates": True}))
    assert focused(page) == "Ask more"
    part(page, "clear").click()
    assert sent(page) == [{"do": "clear"}]
    show(page, view())
    assert focused(page) == "Ask more" and page.locator(".as-chip").count() == 0
    assert part(page, "clear").is_hidden()


def test_weights(page):
    show(page, view(**MUCH))
    for label, do, id in (
        ("Work 0", "like", "0"),
        ("Work 1", "like", "1"),
        ("Work 2", "unlike", "2"),
    ):
        field = page.get_by_label(f"Weight of {label}")
        field.fill("0.25")
        page.keyboard.press("Enter")
        assert sent(page) == [{"do": do, "id": id, "weight": 0.25}]
    for wrong in ("-1", "0", ""):
        field.fill(wrong)
        page.keyboard.press("Tab")
        assert field.input_value() == "1" and not sent(page)
    # An answer does not take the field from under the hand.
    field.focus()
    changed = [*MUCH["liked"][:1], work(2) | {"weight": 0.25, "side": "unlike"}]
    show(page, view(**MUCH | {"liked": changed}))
    assert page.evaluate("document.activeElement.ariaLabel") == "Weight of Work 2"


def test_chips_follow_what_is_asked(page):
    show(page, view(where="year > 1800", liked=[work(1) | {"weight": 2, "side": "like"}]))
    show(page, view(where="year > 1900", liked=[work(1) | {"weight": 3, "side": "unlike"}]))
    chips = page.locator(".as-chip")
    assert page.locator(".as-text").all_inner_texts() == ["year > 1900"]
    assert chips.count() == 3 and chips.nth(2).inner_text().startswith("−")
    field = page.get_by_label("Weight of Work 1")
    field.fill("")
    page.keyboard.press("Tab")
    assert field.input_value() == "3"


def test_what_is_known_of_a_work_can_be_required(page):
    artist = page.locator("[data-part=query]").get_by_text('The "Elder"', exact=True)
    assert page.locator("[data-part=query] .as-artist").inner_text() == 'The "Elder", 1831'
    artist.click()
    page.get_by_text("only this artist").click()
    (asked,) = sent(page)
    assert asked["where"] == r'artist == "The \"Elder\""'
    assert page.locator(".as-offer").is_hidden()
    artist.click()
    artist.click()
    assert page.locator(".as-offer").is_hidden()
    for where, kind in (("year > 1800", Both), ("year > 1800 or style == 'x'", Both)):
        show(page, view(where=where, active=True))
        page.locator("[data-part=query]").get_by_text("Ukiyo-e", exact=True).click()
        page.get_by_text("not this style").click()
        (asked,) = sent(page)
        tree = parse(asked["where"])
        assert isinstance(tree, kind)
        assert tree.parts[1].of == Condition("style", "in", ("Ukiyo-e",))
    assert isinstance(tree.parts[0], Either)


def test_texts_and_columns_are_quoted_as_python_reads_them(page):
    texts = [*HOSTILE, 'back\\slash "and" \\', "`", "in"]
    made = page.evaluate(
        "all => all.map((text) => `${quoteColumn(text)} == ${quoteText(text)}`)", texts
    )
    for text, condition in zip(texts, made, strict=True):
        assert parse(condition) == Condition(text, "in", (text,)), text


# ---- a part of the work ----------------------------------------------------------------------


def picture(page, number, mat=0):
    """Return where the picture of a work lies within its mat: left, top, width, height."""
    box = page.locator(".as-mat").nth(mat).bounding_box()
    width, height = SIZES[number]
    scale = min(box["width"] / width, box["height"] / height)
    left = box["x"] + (box["width"] - scale * width) / 2
    top = box["y"] + (box["height"] - scale * height) / 2
    return left, top, scale * width, scale * height


@pytest.mark.parametrize("number", [0, 2, 3])
def test_a_part_is_drawn_with_the_mouse(page, number):
    """Also of a scroll and of a frieze, which their mats hold in the middle."""
    show(page, view(work(number)))
    page.set_viewport_size({"width": 900, "height": 900})
    begin_part(page)
    left, top, width, height = picture(page, number)
    page.mouse.move(left + 0.75 * width, top + 0.75 * height)
    page.mouse.down()
    page.mouse.move(left + 0.5 * width, top + 0.5 * height)
    page.mouse.move(left + 0.25 * width, top - 40)  # beyond the edge, which is where it ends
    page.mouse.up()
    (asked,) = sent(page)
    pixel = 1.5 / min(width, height)
    assert asked["region"] == pytest.approx([0.25, 0, 0.75, 0.75], abs=pixel)
    show(page, view(work(number), region=asked["region"], active=True))
    frame = page.locator(".as-region").bounding_box()
    assert frame["width"] == pytest.approx(width / 2, abs=3)
    assert frame["x"] == pytest.approx(left + width / 4, abs=3)
    page.locator(".as-mat").first.hover()
    part(page, "whole").click()
    assert sent(page) == [{"do": "change", "region": None}]
    show(page, view(work(number)))
    assert page.locator(".as-region").is_hidden()


def test_a_click_is_no_part_and_escape_leaves(page):
    begin_part(page)
    page.mouse.click(100, 250)
    assert not sent(page) and page.locator(".as-region").is_visible()
    page.keyboard.press("Escape")
    assert page.locator(".as-region").is_hidden() and focused(page) == "Part…"
    begin_part(page)
    part(page, "ask-more").focus()
    assert page.locator(".as-region").is_hidden() and not sent(page)


def test_a_part_by_keyboard(page):
    part(page, "draw").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("application", name="Part of the work").count() == 1
    assert "Enter takes it" in page.locator(".as-hint").inner_text()
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowUp"):
        page.keyboard.press(key)
    assert page.locator(".as-hint").inner_text() == "From 23 to 75 % across, from 21 to 69 % down."
    page.keyboard.press("Enter")
    (asked,) = sent(page)
    assert asked["region"] == pytest.approx([0.23, 0.21, 0.75, 0.69])
    part(page, "draw").click()
    for key in ["ArrowLeft"] * 30 + ["Shift+ArrowLeft"] * 60:
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    left, _, right, _ = sent(page)[0]["region"]
    assert left == 0 and right >= 0.02


def test_a_part_with_a_finger(browser):
    device = {"has_touch": True, "is_mobile": True, "viewport": {"width": 360, "height": 700}}
    with visit(browser, **device) as page:
        load(page)
        start(page)
        part(page, "draw").tap()
        left, top, width, height = picture(page, 0)
        touches = page.context.new_cdp_session(page)

        def touch(kind, *shares):
            points = [{"x": left + x * width, "y": top + y * height} for x, y in shares]
            touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", (0.2, 0.2))
        for share in (0.3, 0.5, 0.8):
            touch("touchMove", (share, share))
        touch("touchEnd")
        (asked,) = sent(page)
        assert asked["region"] == pytest.approx([0.2, 0.2, 0.8, 0.8], abs=0.02)
        assert page.evaluate("scrollY") == 0


# ---- why -------------------------------------------------------------------------------------

MATCHES = [
    {"first": [0, 0, 0.25, 0.5], "second": [0.5, 0.5, 1, 1], "strength": 0.9},
    {"first": [0.5, 0.5, 0.75, 1], "second": [0, 0, 0.25, 0.25], "strength": 0.5},
]


@pytest.mark.parametrize("first, second", [(0, 2), (3, 1)])
def test_the_places_that_match(page, first, second):
    why = {"work": work(second, "The Other"), "matches": MATCHES, "text": "One finds 2 places."}
    show(page, view(work(first), why=why))
    section = page.get_by_role("region", name="Why these two are similar")
    assert "One finds 2 places." in section.inner_text()
    assert "The Other" in section.inner_text()
    for width in (1100, 700):
        page.set_viewport_size({"width": width, "height": 1000})
        # Where the window has just become narrower, a bar to scroll by may still come or go.
        page.evaluate("() => new Promise((go) => requestAnimationFrame(() => setTimeout(go, 100)))")
        for mat, number, side in ((0, first, "first"), (1, second, "second")):
            left, top, wide, high = picture(page, number, mat)
            boxes = page.locator(".as-mat").nth(mat).locator(".as-match")
            for match, box in zip(MATCHES, boxes.all(), strict=True):
                place, shares = box.bounding_box(), match[side]
                assert place["x"] == pytest.approx(left + shares[0] * wide, abs=1)
                assert place["y"] == pytest.approx(top + shares[1] * high, abs=1)
                assert place["width"] == pytest.approx((shares[2] - shares[0]) * wide, abs=1)
                assert place["height"] == pytest.approx((shares[3] - shares[1]) * high, abs=1)
    section.get_by_role("button", name="By experiment").click()
    assert sent(page) == [{"do": "change", "tried": True}]
    trial = {"how": "in grey", "rank": 1057, "limit": 9, "fell": True}
    trials = [trial, trial | {"how": "mirrored", "rank": 3, "limit": None, "fell": False}]
    said = {"text": "2nd for its colours.", "notes": ["Not <b>repainted</b>."], "rank": 2}
    tried = said | {"works": 3669, "trials": trials}
    show(page, view(work(first), why=why | {"tried": tried}))
    rows = section.get_by_role("row").all_inner_texts()
    assert rows[1:] == ["as it is\t2\t", "in grey\t1,057\t9", "mirrored\t3\t"]
    assert "2nd for its colours." in section.inner_text()
    assert "Not <b>repainted</b>." in section.inner_text()
    assert section.get_by_role("button", name="By experiment").count() == 0
    colours = page.locator(".as-match").evaluate_all(
        "all => all.map((one) => one.style.getPropertyValue('--colour'))"
    )
    assert colours[:2] == colours[2:] and colours[0] != colours[1]
    lit = page.locator(".as-lit")
    page.get_by_label("Place 2 in The Other").hover()
    assert lit.all_inner_texts() == ["2", "2"]
    page.get_by_label(f"Place 1 in Work {first}").focus()
    assert lit.all_inner_texts() == ["1", "1"]
    section.get_by_label("Close the comparison").click()
    assert sent(page) == [{"do": "change", "why": ""}]
    show(page, view(work(first)))
    assert page.locator(".as-match").count() == 0 and section.count() == 0
    assert focused(page) == str(second)


# ---- near-duplicates; no other work ----------------------------------------------------------


def test_a_work_says_how_many_near_duplicates_stand_behind_it(page):
    show(page, view(rows=[work(1, duplicates=1200), work(2, duplicates=0)], near_duplicates=False))
    first, second = works(page, "neighbours").all()[:2]
    words = page.locator("[data-part=neighbours] li p:not(.as-print)").all()
    assert words[0].inner_text().strip() == "0.0 +1,200" and words[1].inner_text().strip() == "0.1"
    assert words[0].get_attribute("title") == "1200 near-duplicates of it are left out"
    assert first.locator("img").get_attribute("alt").endswith("near-duplicates of it are left out")
    assert "duplicates" not in second.locator("img").get_attribute("alt")


def test_a_collection_of_one_work_says_so(page):
    show(page, view() | {"rows": [], "k": 0})
    status = page.locator("[data-part=status]").inner_text()
    assert status == "Selected: Work 0. There is no other work."
    assert part(page, "neighbours").inner_text().startswith("There is no other work that could be")
    show(page, view(rows=[work(1)]) | {"k": 1})
    status = page.locator("[data-part=status]").inner_text()
    assert status == "Selected: Work 0. 1 similar work by One."


# ---- groups, stepping stones, what is kept ---------------------------------------------------


def test_groups_stand_above_their_works(page):
    long = "Northern Renaissance and all that came of it, to the north of the Alps"
    rows = [work(n) | {"group": long if n == 1 else f"Group {n}"} for n in range(1, 5)]
    show(page, view(rows=rows, group_by="style", active=True))
    headings = page.locator("[data-part=neighbours]").get_by_role("heading", level=4)
    assert headings.all_inner_texts() == [long, "Group 2", "Group 3", "Group 4"]
    heading, one = headings.first, works(page, "neighbours").first
    assert heading.get_attribute("title") == long
    cut = heading.evaluate("node => node.scrollWidth > node.clientWidth")
    assert cut and heading.bounding_box()["width"] <= one.bounding_box()["width"] + 1
    assert heading.bounding_box()["y"] < one.bounding_box()["y"]
    show(page, view())
    assert headings.count() == 0


def test_stepping_stones(page):
    show(page, view(goal=work(6, "The End"), active=True))
    neighbours = part(page, "neighbours")
    assert neighbours.get_by_role("heading").first.inner_text().startswith("Stepping stones to The")
    assert "distances from the work before (angular)" in neighbours.inner_text()
    arrow = "node => getComputedStyle(node, '::before').content"
    assert "→" in neighbours.locator("li").first.evaluate(arrow)
    assert "→" not in part(page, "drawer").locator("li").first.evaluate(arrow)
    assert "Stepping stones" in part(page, "status").text_content()


def test_what_is_kept_has_a_star(page):
    page.locator(".as-mat").first.hover()
    keep = page.get_by_role("button", name="Keep this work")
    keep.click()
    assert sent(page) == [{"do": "keep", "id": "0", "on": True}]
    show(page, view(kept=["0", "4"]))
    assert keep.get_attribute("aria-pressed") == "true"
    assert ids(page, "neighbours")[3] == "4"
    assert page.locator("[data-part=neighbours] .as-kept").count() == 1
    assert part(page, "history").get_by_alt_text("Work 0. Kept").count() == 1
    star = "node => getComputedStyle(node, '::after').content"
    assert "★" in works(page, "neighbours").nth(3).evaluate(star)
    keep.click()
    assert sent(page) == [{"do": "keep", "id": "0", "on": False}]


# ---- the session -----------------------------------------------------------------------------


def test_the_session_is_saved_and_opened(page, tmp_path):
    for item, format in (("Save", "json"), ("Export table", "csv"), ("Export page", "html")):
        part(page, "session-menu").click()
        page.get_by_role("menuitem", name=item).click()
        assert sent(page) == [{"do": "session", "format": format}]
        assert focused(page) == "Session"
    (tmp_path / "session.json").write_text("{}")
    part(page, "session-menu").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="Open…").click()
    chooser.value.set_files(tmp_path / "session.json")
    assert sent(page) == [{"do": "open", "file": "session.json"}]


def test_the_link_is_copied(page):
    page.evaluate(
        """() => Object.defineProperty(navigator, "clipboard", { configurable: true, value:
          { writeText: async (text) => { window.copied = text; } } })"""
    )
    copy_link(page)
    part(page, "history").get_by_text("Link copied.").wait_for()
    assert page.evaluate("copied") == "?like=0&k=6"
    page.evaluate("window.voila_process = () => {}")  # as on a page by Voilà
    copy_link(page)
    page.wait_for_function("copied.includes('blank')")
    assert page.evaluate("copied === location.origin + location.pathname + '?like=0&k=6'")
    page.evaluate("delete window.voila_process")
    show(page, view(link=""))
    part(page, "session-menu").click()
    none = page.get_by_role("menuitem", name="No link")
    assert none.get_attribute("aria-disabled") == "true"


def test_a_link_that_cannot_be_copied_is_there_to_be_taken(page):
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { configurable: true, value: undefined })"
    )
    copy_link(page)
    field = page.get_by_label("Link to this question")
    assert field.input_value() == "?like=0&k=6"
    assert page.evaluate("getSelection().toString()") == "?like=0&k=6"
    page.keyboard.press("Escape")
    assert field.is_hidden() and focused(page) == "Session"


def copy_link(page):
    part(page, "session-menu").click()
    page.get_by_role("menuitem", name="Copy link").click()


# ---- hostile texts, narrow and dark ----------------------------------------------------------


def test_hostile_texts_are_text(page):
    harm = page.locator(".artsearch").locator("svg, script, iframe, [onerror], [onload]")
    for text in HOSTILE:
        start(page, hostile(text))
        part(page, "ask-more").click()
        page.get_by_role("combobox", name="Only where").fill("style == ")
        open_menu(page, "neighbours", 1)
        assert harm.count() == 0 and page.title() == "", text
        for node in (".as-notes", ".as-text", "[data-part=query] h2"):
            shown = page.locator(node).first.evaluate("node => node.textContent")
            assert shown == text, node


def hostile(text):
    """Return a view in which a text stands wherever one can."""
    more = {"artist": text, "style": text, "year": text, "group": text}
    one = work(1, text) | more | {"weight": 1, "side": "like"}
    asked = MUCH | {
        "columns": [text, "style"],
        "values": {text: [text], "style": [text]},
        "group_columns": [text],
        "same_columns": [text],
        "exclude_same": [text],
        "where": text,
        "group_by": text,
        "liked": [one],
        "excluded": [one],
        "goal": one,
        "notes": [text],
        "why": {"work": one, "matches": MATCHES, "text": text},
    }
    return view(one, rows=[one, work(2)], error=text, **asked)


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_all_of_it_fits_a_narrow_screen(browser, scheme):
    screen = {"viewport": {"width": 360, "height": 800}, "color_scheme": scheme}
    with visit(browser, **screen) as page:
        load(page)
        start(page)
        why = {"work": work(2), "matches": MATCHES, "text": "One finds 2 places."}
        show(page, view(**MUCH | {"where": "x" * 300, "notes": ["y" * 300], "why": why}))
        tool(page, "ask-more").click()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        ink, wall = page.locator(".as-options").evaluate(
            "node => [getComputedStyle(node).color, getComputedStyle(node).backgroundColor]"
        )
        light = [sum(map(int, colour[4:-1].split(","))) for colour in (ink, wall)]
        assert (light[0] < light[1]) == (scheme == "light") and abs(light[0] - light[1]) > 300


# ---- motifs ----------------------------------------------------------------------------------


def test_a_part_is_sought_in_other_works_and_outlined_there(page):
    motif = {"text": "", "offer": "", "busy": False, "on": False}
    show(page, view(motif=motif))
    assert not part(page, "motif").is_visible()
    show(page, view(region=[0.2, 0.2, 0.6, 0.6], motif=motif))
    part(page, "motif").click()
    assert sent(page) == [{"do": "change", "motif": True}]
    offered = motif | {"text": "It takes a minute.", "offer": "Look at all works"}
    show(page, view(region=[0.2, 0.2, 0.6, 0.6], motif=offered))
    part(page, "make-motifs").click()
    assert sent(page) == [{"do": "make_motifs"}]
    show(page, view(region=[0.2, 0.2, 0.6, 0.6], motif=motif | {"text": "Looking", "busy": True}))
    page.evaluate("gallery.ask.say('3 of 21')")
    assert page.locator(".as-making").inner_text() == "3 of 21"
    found = [one | {"region": [0.5, 0.25, 1, 0.75], "rarity_text": "all of it"} for one in six()]
    show(page, view(rows=found, region=[0.2, 0.2, 0.6, 0.6], motif=motif | {"on": True}))
    assert part(page, "motif").get_attribute("aria-pressed") == "true"
    one = works(page, "neighbours").first
    place, whole = one.locator(".as-place").bounding_box(), one.bounding_box()
    assert place["x"] - whole["x"] == pytest.approx(whole["width"] / 2, abs=1)
    assert place["height"] == pytest.approx(whole["height"] / 2, abs=1)
    assert one.locator("img").get_attribute("alt").endswith("from 25 to 75 % down.")
    assert "Works that have this part" in part(page, "neighbours").inner_text()
    show(page, view())
    assert page.locator(".as-place").count() == 0
