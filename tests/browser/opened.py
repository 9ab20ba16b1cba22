# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages of reports in headless Chromium, from files, and what they do that a report must not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Playwright, Request

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import build
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.data import as_data
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.difference import compare
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._report import page

from .worlds import EARLIER, WORLDS

PROGRAM = "/usr/bin/chromium-headless-shell"
# Told through the console, so that what happens before the first question of a test is not missed.
_OFFENCE = "offence: "
_WATCH = f"""
addEventListener("securitypolicyviolation", (event) => console.error(
    `{_OFFENCE}${{event.violatedDirective}} ${{event.blockedURI}} ${{event.sample}}`));
"""


def chromium(playwright: Playwright) -> Browser:
    # Its sandbox needs another user than root, and what it opens is ours.
    return playwright.chromium.launch(executable_path=PROGRAM, chromium_sandbox=os.geteuid() != 0)


def write(world: str, folder: Path, make: Callable[[], Any] | None = None, *, index: bool = False) -> Path:
    """The page of a world, made once. ``index``: that leads to a page for each cluster."""
    path = folder / f"{world}{'-index' if index else ''}.html"
    if not path.exists():
        report = build((make or WORLDS[world])())
        pages = {one.name: f"{place}.html" for place, one in enumerate(report.clusters)} if index else {}
        since = compare(as_data(build(EARLIER[world]())), as_data(report)) if world in EARLIER else None
        path.write_text(page(report, pages=pages, since=since), encoding="utf-8")
    return path


class Pages:
    """Opens pages. ``offences``: what they tried."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.offences: list[str] = []
        self._browser, self._folder = browser, folder
        self._contexts: list[BrowserContext] = []

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for context in self._contexts:
            context.close()

    def open(
        self,
        world: str,
        width: int = 1280,
        scheme: str = "light",
        fragment: str = "",
        make: Callable[[], Any] | None = None,
        index: bool = False,
        **options: Any,
    ) -> Page:
        """``make``: the observation of a world that is not in ``WORLDS``. ``options``: of the context."""
        path = write(world, self._folder, make, index=index)
        context = self._browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **options)
        self._contexts.append(context)
        context.add_init_script(_WATCH)
        context.on("request", self._requested)
        context.on("dialog", self._spoken)
        context.on("page", self._opened)
        found = context.new_page()
        found.on("console", self._said)
        found.on("pageerror", lambda error: self.offences.append(str(error)))
        found.goto(f"{path.as_uri()}{fragment}")
        return found

    def _requested(self, request: Request) -> None:
        if not request.url.startswith(self._folder.as_uri()):
            self.offences.append(f"request {request.url}")

    def _opened(self, page: Page) -> None:
        if page.opener():
            self.offences.append(f"window {page.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.offences.append(message.text)

    def _spoken(self, dialog: Dialog) -> None:
        self.offences.append(f"dialog {dialog.message}")
        dialog.dismiss()
