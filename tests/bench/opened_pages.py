# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long headless Chromium takes to open the page of a big report, and to filter it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from ..browser.opened import chromium

# Each waits until what it did is on the screen.
_OPENED = """() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done({
    painted: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    loaded: performance.getEntriesByType("navigation")[0].loadEventEnd,
}))))"""
_FILTERED = """(text) => new Promise((done) => {
    const field = document.querySelector("#filter [name=text]"), begin = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
})"""


@dataclass(frozen=True)
class Opened:
    """Milliseconds: until something is seen, until all of it is there, for a first filter, and for another one."""

    painted: float
    loaded: float
    first: float
    next: float


def opened(page: Path, texts: tuple[str, str], rounds: int) -> list[Opened]:
    with sync_playwright() as playwright, chromium(playwright) as browser:
        _once(browser, page, texts)  # fills caches
        return [_once(browser, page, texts) for _round in range(rounds)]


def _once(browser: Browser, path: Path, texts: tuple[str, str]) -> Opened:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(path.as_uri())
    times = page.evaluate(_OPENED)
    first, following = (page.evaluate(_FILTERED, text) for text in texts)
    page.close()
    return Opened(times["painted"], times["loaded"], first, following)
