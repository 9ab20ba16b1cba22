# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing of a page lies over anything else or outside of it, and whoever cannot see it is told the same."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from ansible_collections.azureops.pod_identity.tests.browser.opened import Pages
from ansible_collections.azureops.pod_identity.tests.browser.worlds import WORLDS

MEASURE = (Path(__file__).parent / "measure.js").read_text()
WIDTHS, SCHEMES = (320, 1280, 3840), ("light", "dark")
# What a paper of A4 has between its margins, in pixels.
PAPER = 680


@pytest.mark.parametrize(("world", "index"), [*((world, False) for world in WORLDS), ("many-clusters", True)])
def test_nothing_overflows_or_overlaps(pages: Pages, world: str, index: bool) -> None:
    page = pages.open(world, index=index)
    for width, scheme in itertools.product(WIDTHS, SCHEMES):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        measured = page.evaluate(MEASURE)
        assert measured["found"] == [], (width, scheme)
        assert measured["boxes"] > (10 if world == "empty" else 80)


# On paper there are as many pages as rows take, and a long report is many of what these have.
@pytest.mark.parametrize("world", [world for world in WORLDS if world != "huge"])
def test_nothing_overflows_or_overlaps_on_paper(pages: Pages, world: str) -> None:
    page = pages.open(world, PAPER)
    page.emulate_media(media="print")
    assert page.evaluate(MEASURE)["found"] == []


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
@pytest.mark.parametrize("world", [world for world in WORLDS if world != "huge"])
def test_it_is_accessible(pages: Pages, world: str, width: int, scheme: str) -> None:
    page = pages.open(world, width, scheme)
    page.evaluate(MEASURE)  # it opens everything
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
