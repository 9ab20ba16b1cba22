# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same play twice, its modules in a fork of ansible-playbook and as modules, and every result whole."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player

CALLBACKS = CHECKOUT / "tests/unit/plugins/action/collection/plugins/callback"
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I)
TIME = re.compile(r"\b20\d\d-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)")
NUMBERS = re.compile(
    r"vmss\d{6}\b|\d{8}-vmss|\b\d{10,}\b|\bprocess \d+|\bprobe-[a-z0-9]{5}\b|(?<=-)[a-z0-9]{8}(?=\.(portal\.)?hcp\.)"
)
VERSION = re.compile(r'("resourceVersion": )"\d+"')
IN_A_FORK = re.compile(r"^<[\w.]+> \w+ runs in a fork of ansible-playbook\.$", re.M)
AS_A_MODULE = re.compile(r"^<[\w.]+> \w+ runs as a module, because (.*)\.$", re.M)
OFF = "the variable pod_identity_in_process turns it off"


class Ways:
    """A play on localhost, this way and that; a task that fails does not end it."""

    def __init__(
        self, folder: Path, play: dict[str, Any], environment: Mapping[str, str], known: Mapping[str, Any]
    ) -> None:
        self._results = folder / "results"
        told = {
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "WITNESS_RESULTS": str(self._results),
        }
        self._player = Player(folder / "play", {**environment, **told})
        self._play = {
            "hosts": "localhost",
            **play,
            "tasks": [{"ignore_errors": True, **task} for task in play["tasks"]],
        }
        self._known = known

    def __call__(self, *arguments: str, in_process: bool) -> list[dict[str, Any]]:
        self._results.write_text("")
        known = {**self._known, "pod_identity_in_process": in_process}
        status, output = self._player.play(self._play, "-vvv", "--diff", *arguments, **known)
        assert status == 0, output
        forks, others = len(IN_A_FORK.findall(output)), AS_A_MODULE.findall(output)
        assert (forks > 0, set(others)) == ((True, set()) if in_process else (False, {OFF})), output
        return [normal(line) for line in self._results.read_text().splitlines()]


def normal(line: str) -> dict[str, Any]:
    """A result without what is another one each time."""
    seen: dict[str, str] = {}
    line = UUID.sub(lambda found: seen.setdefault(found[0].lower(), f"uuid {len(seen)}"), line)
    line = VERSION.sub(r'\1"number"', NUMBERS.sub("number", TIME.sub("time", line)))
    told: dict[str, Any] = json.loads(line)
    return told
