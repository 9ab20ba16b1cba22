# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever anybody calls his objects, a browser shows it as text."""

from __future__ import annotations

import os
from urllib.parse import quote

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.observation import printable
from ansible_collections.azureops.pod_identity.tests.browser.opened import Pages
from ansible_collections.azureops.pod_identity.tests.browser.worlds import hostile_names, named
from ansible_collections.azureops.pod_identity.tests.support.report_world import document

SEED = int(os.environ.get("SEED", "22"))
# Elements of the page itself; a name that became one of any other kind would be found.
_OWN = set(
    "html head meta title style script body a header h1 h2 h3 h4 p span bdi ul li strong em form label input select"
    " option button output main section article nav time table caption thead tbody tr th td div code pre details"
    " summary svg text rect path g".split()
)


def test_500_hostile_names_are_text(pages: Pages) -> None:
    names = hostile_names(500, SEED)
    page = pages.open(
        "500", make=lambda: document(named(names, names[0]).observed()), fragment=f"#text={quote(names[1])}"
    )
    found = page.evaluate("""() => {
        for (const one of document.querySelectorAll("details")) one.open = true;
        for (const one of document.querySelectorAll("a, summary, [tabindex]")) one.focus();
        document.getElementById("filter").reset();
        const handlers = [];
        for (const one of document.querySelectorAll("*")) {
            for (const attribute of one.attributes) if (/^(on|style|src|action|formaction)/i.test(attribute.name)) {
                handlers.push(attribute.name);
            }
        }
        return {
            tags: [...new Set([...document.querySelectorAll("*")].map((one) => one.tagName.toLowerCase()))],
            handlers,
            scripts: document.scripts.length,
            away: [...document.links].map((one) => one.href).filter((one) =>
                !one.startsWith(location.href.split("#")[0] + "#") && !/^https:.*codes\\.md#[a-z_]+$/.test(one)),
            labels: [...document.querySelectorAll("[data-verdict] > th bdi")].map((one) => one.textContent),
        };
    }""")
    assert set(found["tags"]) <= _OWN
    assert (found["handlers"], found["scripts"], found["away"]) == ([], 1, [])
    shown = [printable(name) for name in names]
    expected = {f"Deployment {shown[(place + 1) % len(names)]}/{one}" for place, one in enumerate(shown)}
    assert set(found["labels"]) == expected


def test_a_hostile_address_is_a_filter_and_nothing_else(pages: Pages) -> None:
    for said in (
        "text=<img src=x onerror=alert(1)>",
        "namespace=%3Cscript%3E&verdict=broken",
        "=&=&&%",
        "text=%E0%A4%A",
    ):
        page = pages.open("broken", fragment=f"#{said}")
        assert page.locator("img").count() == 0
        assert page.locator("#count").inner_text().endswith("rows")
