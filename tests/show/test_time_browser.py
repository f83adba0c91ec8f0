"""The gallery by time, in a browser: on the static page, by the keyboard, with what came before."""

import pytest
from browser import ids, query, screenshot, visit
from test_site_browser import (  # noqa: F401
    ALONE,
    address,
    page,
    ready,
    searches,
)

from artsearch.works.years import read_years

LANES = "[data-part=neighbours] .as-lane"


def lane(page, place):  # noqa: F811
    """Find the works above the line (0, 2, …) or below it (1, 3, …)."""
    return page.locator(LANES).nth(place).locator("[data-part=work]")


def names(found):
    return found.evaluate_all("all => all.map((one) => one.dataset.id)")


def by_time(page):  # noqa: F811
    return page.get_by_role("button", name="By time")


def test_works_by_time_and_what_came_before(page, collection, searches):  # noqa: F811
    found, selected = ids(page, "neighbours"), query(page)
    by_time(page).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{LANES} [data-part=work]")
    assert by_time(page).get_attribute("aria-pressed") == "true" and "time=1" in page.url
    assert not page.locator("[data-part=neighbours] .as-works").is_visible()

    # All works are there and the selected one, in order of time, those without a year at the end.
    shown = names(lane(page, 0))
    years = {id: read_years(collection.work(id)["year"]) for id in shown}
    dated = [id for id in shown if years[id]]
    assert shown[: len(dated)] == sorted(dated, key=lambda id: sum(years[id]))
    assert set(shown) == {*found, *([selected] if read_years(collection.work(selected)["year"])
                                    else [])}  # fmt: skip
    lefts = lane(page, 0).evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().x + one.offsetWidth / 2)"
    )
    undated = lefts[len(dated) :]
    assert not undated or min(undated) > max(lefts[: len(dated)])
    assert page.get_by_text("no year", exact=True).count() == bool(undated) * (1 + len(undated))

    # Below the line stands what came before each, as Python finds it.
    search = searches["efficientnet_lite0", "no_crop"]
    expected = search.earlier(dated)
    before = {one.work.id for one in expected.values() if one.work}
    assert before and set(names(lane(page, 1))) == before
    nothing = sum(one.work is None for one in expected.values())
    assert page.get_by_text("nothing earlier here").count() == nothing
    screenshot(page, "by_time")

    # The arrows walk in order of time; Enter selects, and the lane stays open.
    lane(page, 0).first.focus()
    for place in (1, 2):
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.id") == shown[place]
    lane(page, 1).first.focus()
    first = names(lane(page, 1))[0]
    page.keyboard.press("Enter")
    page.wait_for_selector(f'[data-part=query][data-id="{first}"]')
    page.wait_for_selector(f"{LANES} [aria-current]")
    page.reload()
    page.wait_for_selector(f"{LANES} [data-part=work]")
    assert query(page) == first

    by_time(page).click()
    page.wait_for_selector("[data-part=neighbours] .as-works")
    assert page.locator(LANES).count() == 0 and "time=1" not in page.url


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1400, "light")])
def test_a_lane_a_network_that_is_no_wider_than_the_page(browser, address, width, scheme):  # noqa: F811
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with visit(browser, **options) as page:  # noqa: F811
        page.goto(f"{address}#compare=1&time=1&k=20")
        page.wait_for_selector(f"{LANES} [data-part=work]")
        rows = page.locator("[data-part=neighbours] .as-time")
        assert rows.count() > 1
        assert len({row.evaluate("one => one.firstChild.offsetWidth") for row in rows.all()}) == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        overlap = page.locator(LANES).evaluate_all(
            """lists => lists.flatMap((list) => {
              const boxes = [...list.children].map((one) => one.getBoundingClientRect());
              return boxes.filter((a, i) => boxes.some((b, j) => i < j && a.left < b.right - 1
                && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1));
            }).length"""
        )
        assert overlap == 0
        screenshot(page, f"by_time_{width}")


def test_on_paper_a_lane_is_as_wide_as_the_sheet(page):  # noqa: F811
    by_time(page).click()
    page.wait_for_selector(f"{LANES} [data-part=work]")
    page.set_viewport_size({"width": 690, "height": 900})
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".as-timeline").evaluate("one => one.offsetWidth") <= 700
    assert page.locator("[data-part=neighbours] .as-works").is_visible()
    assert page.get_by_text("Before “").first.is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
