# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A workload is changed as it was when that was decided, whoever writes it meanwhile."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import switching
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import workloads
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.errors import ApiFailure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.workloads import Place
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

Raw = dict[str, Any]


def refused(status: int) -> ApiFailure:
    return ApiFailure("Refused.", status=status, reason="Conflict", details={}, message="")


class Server:
    """One object, of which ``meanwhile`` tells what becomes before each write."""

    def __init__(self, *meanwhile: Raw | None) -> None:
        self.live: Raw | None = {"metadata": {"resourceVersion": "1"}, "value": 0}
        self.meanwhile = list(meanwhile)
        self.written: list[Raw] = []

    def get(self, *_place: object) -> Raw | None:
        return self.live

    def merge(self, _kind: object, _namespace: str, _name: str, body: Raw, *, dry_run: bool) -> Raw:
        if self.meanwhile:
            change = self.meanwhile.pop(0)
            version = str(int((self.live or {})["metadata"]["resourceVersion"]) + 1)
            self.live = (
                None if change is None else {**(self.live or {}), **change, "metadata": {"resourceVersion": version}}
            )
        if self.live is None or body["metadata"]["resourceVersion"] != self.live["metadata"]["resourceVersion"]:
            raise refused(409)
        self.written.append(body)
        return {**self.live, "value": body["value"]}


def decide(live: Raw) -> Raw:
    """One more than it is, up to two."""
    return {} if live["value"] == 2 else {"value": live["value"] + 1}


def changed(server: Server) -> Raw:
    place = Place(cast(Client, server), "Deployment", "team", "web")
    return place.change(server.get() or {}, decide)


@pytest.mark.parametrize("others", [0, 1, 9])
def test_what_changes_nothing_of_it_is_no_conflict(others: int) -> None:
    server = Server(*({"status": number} for number in range(others)))
    assert changed(server)["value"] == 1
    assert server.written == [{"value": 1, "metadata": {"resourceVersion": str(others + 1)}}]


@cases("meanwhile", ("other", [{"value": 1}]), ("gone", [None]), ("busy", [{"status": number} for number in range(10)]))
def test_what_was_not_decided_is_not_written(meanwhile: list[Raw | None]) -> None:
    server = Server(*meanwhile)
    with pytest.raises(ApiFailure) as raised:
        changed(server)
    assert raised.value.conflict and server.written == []


def test_what_another_run_has_written_is_there() -> None:
    server = Server({"value": 2})
    assert changed(server)["value"] == 2 and server.written == []
    assert changed(server) == server.live, "nor is it asked for when it is there from the beginning"


def test_the_kinds_are_those_of_one_table() -> None:
    assert {name: kind.api_version for name, kind in workloads.KINDS.items()} == dict(switching.KINDS)
