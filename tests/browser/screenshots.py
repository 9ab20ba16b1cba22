# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`tests/nox -s screenshots`: how the page of a report looks, in docs/images; few colors make small files.

`-- WORLD=FILE` takes the page of a world from a file that a playbook wrote, as that of the demo always is.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page, sync_playwright

from ..conftest import CHECKOUT  # comes first, because it makes the checkout importable under the collection's name
from .opened import chromium, write

FOLDER = CHECKOUT / "docs/images"
COLORS = 256
HEIGHT = 900
ROOM = 24
# The page tells how old an observation is.
NOW = "2026-11-30T07:30:00Z"
REAL = "demo"
# World, name of the file, scheme, height from the top on, or the part that is shown alone.
SHOTS: tuple[tuple[str, str, str, int | str], ...] = (
    ("demo", "report-demo", "light", 860),
    ("broken", "report-broken", "light", 1120),
    ("half-migrated", "report-half-migrated", "dark", "section:has(> #c1-migration)"),
    ("half-migrated", "report-way", "light", "details:has-text('billing/ledger')"),
)


def part(page: Page, selector: str) -> bytes:
    """Of the page, open, with some room beside it, and nothing over it."""
    page.evaluate("document.querySelector('form').hidden = true")
    found = page.locator(selector)
    found.evaluate("(one) => { one.open = true; one.scrollIntoView({block: 'center'}); }")
    box = found.bounding_box()
    assert box
    wider: FloatRect = {**box, "x": box["x"] - ROOM, "width": box["width"] + 2 * ROOM}
    taken: bytes = page.screenshot(clip=wider)
    return taken


def main() -> None:
    given = dict(each.split("=", 1) for each in sys.argv[1:])
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, chromium(playwright) as browser:
        for world, name, scheme, shown in SHOTS:
            if world == REAL and world not in given:
                print(f"{name}.png: as it was, without {world}=FILE")
                continue
            height = shown if isinstance(shown, int) else HEIGHT
            context = browser.new_context(viewport={"width": 1200, "height": height}, color_scheme=scheme)
            page = context.new_page()
            if world not in given:
                page.clock.set_fixed_time(NOW)
            file = Path(given[world]).resolve() if world in given else write(world, Path(folder))
            page.goto(file.as_uri())
            picture = page.screenshot() if isinstance(shown, int) else part(page, shown)
            taken = Image.open(io.BytesIO(picture)).convert("RGB")
            path = FOLDER / f"{name}.png"
            taken.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
            print(f"{path.relative_to(CHECKOUT)}: {path.stat().st_size // 1000} kB")
            context.close()


if __name__ == "__main__":
    main()
