# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""People filter a page, go through it by keyboard, read it without scripts, and print it."""

from __future__ import annotations

import io
import unicodedata
from typing import Any

import pytest
from playwright.sync_api import Page
from pypdf import PdfReader

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import model
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import build
from ansible_collections.azureops.pod_identity.tests.browser.opened import Pages
from ansible_collections.azureops.pod_identity.tests.browser.worlds import WORLDS

# Points: 1/72 inch.
PAPERS = {"A4": (595, 842), "Letter": (612, 792)}
READ = ["one", "broken", "half-migrated", "unknown"]


def rows(page: Page, kind: str = "[data-row]") -> list[str]:
    """The rows of a kind that are seen, by their headings."""
    found: list[str] = page.evaluate(
        """(kind) => [...document.querySelectorAll(kind)].filter((one) => one.offsetParent)
            .map((one) => one.querySelector("th bdi, h4 bdi, summary bdi").textContent)""",
        kind,
    )
    return found


def told(world: str) -> model.Cluster:
    (found,) = build(WORLDS[world]()).clusters
    return found


def fragment(page: Page) -> str:
    return str(page.evaluate("location.hash"))


def seen(page: Page, id_: str) -> bool:
    """Whether it is on the screen, below the filter, once the page has scrolled there."""
    page.wait_for_function(
        """(id) => {
            const filter = document.querySelector(".filter");
            const over = getComputedStyle(filter).position === "sticky" ? filter.getBoundingClientRect().bottom : 0;
            const box = document.getElementById(id).getBoundingClientRect();
            return box.top >= over && box.top < innerHeight;
        }""",
        arg=id_,
    )
    return True


# filter


@pytest.mark.parametrize(
    ("key", "value", "kind", "of"),
    [
        ("namespace", "billing", "tr[data-verdict]", "workloads"),
        ("verdict", "broken", "tr[data-verdict]", "workloads"),
        ("phase", "soaking", "tr[data-phase]:not([data-verdict])", "movers"),
        ("phase", "soaking", "tr[data-verdict]", "workloads"),
    ],
)
def test_a_choice_leaves_the_rows_that_have_it(pages: Pages, key: str, value: str, kind: str, of: str) -> None:
    world = "broken" if key == "verdict" else "half-migrated"
    page = pages.open(world)
    every = rows(page)
    page.locator(f"select[name={key}]").select_option(value)
    expected = [one.label for one in getattr(told(world), of) if getattr(one, key) == value]
    assert expected and rows(page, kind) == expected
    assert fragment(page) == f"#{key}={value}"
    assert page.locator("#count").inner_text() == f"{len(rows(page))} of {len(every)} rows"
    # Parts without a row are not there, and what was filtered by is kept in the address.
    assert not page.locator("h3:visible", has_text="Nodes").count()
    page.reload()
    assert rows(page, kind) == expected
    page.locator("button[type=reset]").click()
    page.wait_for_function("location.hash === ''")
    assert rows(page) == every


def test_a_severity_leaves_its_problems(pages: Pages) -> None:
    page = pages.open("hostile-names")
    page.locator("select[name=severity]").select_option("warning")
    assert sorted(rows(page)) == sorted(
        one.object for one in told("hostile-names").problems if one.severity == "warning"
    )


def test_words_leave_the_rows_that_have_all_of_them(pages: Pages) -> None:
    page = pages.open("broken")
    page.locator("input[name=text]").fill("  INVOICES  404 ")
    assert rows(page, "tr[data-verdict]") == ["Deployment billing/invoices"]
    assert fragment(page) == "#text=++INVOICES++404+"
    page.locator("select[name=verdict]").select_option("healthy")
    assert rows(page) == []
    assert page.locator("main h3:visible").count() == 0
    # Another address is another filter, also on the way back.
    page.evaluate("location.hash = '#namespace=web&text=shop'")
    page.wait_for_function("document.querySelector('[name=namespace]').value === 'web'")
    assert rows(page, "tr[data-verdict]") == ["Deployment web/shop"]


def test_links_to_parts_leave_the_filter(pages: Pages) -> None:
    page = pages.open("broken", fragment="#verdict=broken")
    filtered = rows(page)
    page.locator(".jump a", has_text="Workloads").click()
    page.wait_for_function("location.hash === '#c1-workloads&verdict=broken'")
    assert rows(page) == filtered
    # The drawing of a workload is opened; it is filtered as the workload.
    page.locator("tr[data-verdict] th a:visible").first.click()
    page.wait_for_function("document.querySelector('details[open] svg')?.checkVisibility()")
    assert rows(page) == filtered
    opened = page.locator("details[open] summary")
    assert opened.inner_text().startswith("workload Deployment billing/invoices, identity ")
    # Both are kept in the address.
    said = fragment(page)
    assert said.startswith("#c1-way-") and said.endswith("&verdict=broken")
    page.reload()
    page.wait_for_function("document.querySelector('details[open] svg')?.checkVisibility()")
    assert rows(page) == filtered and opened.inner_text().startswith("workload Deployment billing/invoices")
    assert fragment(page) == said and seen(page, said[1:].partition("&")[0])
    # So is the part where the filter changes, and the way back leads to both.
    page.locator("select[name=verdict]").select_option("")
    assert fragment(page) == said.partition("&")[0]
    page.go_back()
    page.wait_for_function("location.hash === '#c1-workloads&verdict=broken'")
    assert rows(page) == filtered


def test_a_link_to_what_is_filtered_out_ends_the_filter(pages: Pages) -> None:
    page = pages.open("broken", fragment="#verdict=broken")
    assert "aks-work-21870734-vmss000002" not in rows(page)
    page.locator(".jump a", has_text="Nodes").click()
    page.wait_for_function("document.querySelector('[name=verdict]').value === ''")
    assert "aks-work-21870734-vmss000002" in rows(page)
    assert seen(page, "c1-nodes") and fragment(page) == "#c1-nodes"


def test_what_is_new_stands_first(pages: Pages) -> None:
    page = pages.open("half-migrated")
    assert page.locator("main h2").first.inner_text().startswith("What is new")
    found = page.locator("section[aria-labelledby=new] tbody tr").all_inner_texts()
    told = {tuple(line.split("\t")) for line in found}
    assert ("Deployment billing/orders", "phase", "changed", "left", "finished") in told
    assert ("Deployment web/carts", "workload", "gone", "healthy", "not there") in told
    page.locator("input[name=text]").fill("carts")
    assert rows(page)[0].startswith("Deployment web/carts")
    page.locator("input[name=text]").fill("ingest")
    assert not page.locator("#new").is_visible()
    assert not pages.open("demo").locator("#new").count()


# keyboard


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("world", ["half-migrated", "broken"])
def test_every_control_is_reached_by_keyboard_and_seen(pages: Pages, world: str, width: int) -> None:
    page = pages.open(world, width)
    wanted = page.evaluate("""() => {
        const found = [...document.querySelectorAll("a[href], input, select, button, summary, [tabindex='0']")]
            .filter((one) => one.classList.contains("skip") || one.checkVisibility({ contentVisibilityAuto: false }));
        found.forEach((one, place) => { one.dataset.place = place; });
        return found.length;
    }""")
    assert wanted > 30
    there_and_back = [
        *(("Tab", place) for place in range(wanted)),
        *(("Shift+Tab", place) for place in range(wanted - 1)[::-1]),
    ]
    for key, place in there_and_back:
        page.keyboard.press(key)
        seen = page.evaluate(_FOCUSED)
        assert seen["outline"] >= 2 and seen["inside"] and seen["uncovered"], seen
        assert seen["place"] == place, seen


_FOCUSED = """() => {
    const one = document.activeElement, style = getComputedStyle(one);
    const box = one.getClientRects()[0];
    const middle = [box.left + box.width / 2, Math.min(Math.max(box.top + box.height / 2, 1), innerHeight - 1)];
    const there = document.elementFromPoint(...middle);
    return {
        place: Number(one.dataset.place), said: one.outerHTML.slice(0, 200),
        outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
        inside: box.bottom > 0 && box.top < innerHeight && box.left >= 0 && box.right <= innerWidth,
        uncovered: one.contains(there) || Boolean(there?.contains(one)),
    };
}"""


def test_keys_open_and_choose(pages: Pages) -> None:
    page = pages.open("broken")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    way = page.locator("details.way").first
    way.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('details.way') !== null")
    page.locator("select[name=verdict]").focus()
    page.keyboard.press("b")
    page.wait_for_function("location.hash === '#content&verdict=broken'")


# without scripts, on paper


def written(page: Page, selectors: str = "h1, h2, h3, h4, p, li, th, td, caption, summary") -> list[str]:
    """Each text that is there with everything opened, without white space, which lines break at."""
    found: list[str] = page.evaluate(
        """(selectors) => [...document.querySelectorAll(selectors)]
            .filter((one) => !one.closest("nav, .twin, thead, .filter"))
            .flatMap((one) => [...one.querySelectorAll("bdi, code"), one]).filter((one) => !one.querySelector("*"))
            .map((one) => one.textContent.replace(/\\s/g, "")).filter(Boolean)""",
        selectors,
    )
    return found


@pytest.mark.parametrize("world", READ)
def test_without_scripts_everything_is_there(pages: Pages, world: str) -> None:
    page = pages.open(world, java_script_enabled=False)
    assert not page.locator("#filter").is_visible()
    with_scripts = pages.open(world)
    assert sorted(written(page)) == sorted(written(with_scripts))
    assert page.locator("[data-row]:visible").count() == page.locator("[data-row]").count()
    for one in page.locator("details").all()[:3]:
        one.locator("summary").click()
        assert one.locator("> :not(summary)").first.is_visible()


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("world", READ)
def test_it_prints(pages: Pages, world: str, paper: str) -> None:
    page = pages.open(world, scheme="dark")
    expected = [*written(page), *written(page, "details li, details svg text")]
    read = PdfReader(io.BytesIO(page.pdf(format=paper)))
    sizes: list[Any] = [one.mediabox for one in read.pages]
    # Chromium rounds them up to whole pixels of the screen.
    assert all((one.width, one.height) == pytest.approx(PAPERS[paper], abs=1) for one in sizes)
    # Fonts have ligatures.
    text = unicodedata.normalize("NFKC", "".join("".join(one.extract_text().split()) for one in read.pages))
    assert [one for one in expected if unicodedata.normalize("NFKC", one) not in text] == []
    assert len(expected) > 20
