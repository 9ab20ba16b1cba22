# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries that could not work are refused before anything is asked or written: there is nothing here to ask."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.tests.support.players import Player, role
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

ENTRY = {"name": "billing", "namespace": "billing", "selector": "billing"}
ID = "11111111-1111-4111-8111-11111111111"
PRINCIPAL = {**ENTRY, "type": 1, "tenant_id": f"{ID}1", "client_id": f"{ID}2", "client_password_secret": {"name": "s"}}
UNWRITABLE = "pod_identity_bindings_list, entry 1 ({}): {} is "
EXCEPTION = {"name": "agents", "namespace": "monitoring", "pod_labels": {"app": "agent"}}
TWICE = "pod_identity_bindings_list, entries 1 and 2 (billing) have one name but different identities"


@cases(
    "entries, sentence",
    ("name", [{**ENTRY, "name": "Billing"}], UNWRITABLE.format("Billing", "name")),
    ("namespace", [{**ENTRY, "namespace": "a.b"}], UNWRITABLE.format("billing", "namespace")),
    ("selector", [{**ENTRY, "selector": "a b"}], UNWRITABLE.format("billing", "selector")),
    ("managed-twice", [ENTRY, {**ENTRY, "resource_group": "other"}], TWICE),
    ("managed-in-two-subscriptions", [ENTRY, {**ENTRY, "subscription_id": f"{ID}3"}], TWICE),
    ("principal-twice", [PRINCIPAL, {**PRINCIPAL, "client_id": f"{ID}3"}], TWICE),
    ("both", [ENTRY, PRINCIPAL], TWICE),
)
def test_entries_that_cannot_work_are_refused_first(
    player: Player, entries: list[dict[str, Any]], sentence: str
) -> None:
    named = {"pod_identity_cluster_name": "one", "pod_identity_resource_group": "rg"}
    status, output = player.play([role("pod_identity_bindings")], **named, pod_identity_bindings_list=entries)
    assert status == 2
    assert sentence in output


@cases(
    "change, variables, sentence",
    ("nobody", {"pod_labels": {}}, {}, "exceptions names no pods"),
    ("nowhere", {"namespace": ""}, {}, "exceptions, entry 1 (agents): namespace is empty."),
    ("name", {"name": "Agents"}, {}, "exceptions, entry 1 (Agents): name is 'Agents', not a name of an object"),
    ("namespace", {"namespace": "a.b"}, {}, "exceptions, entry 1 (agents): namespace is 'a.b', not a name"),
    ("files", {}, {"render_dir": "objects"}, "leave them out where"),
)
def test_exceptions_that_cannot_work_are_refused_first(
    player: Player, change: dict[str, Any], variables: dict[str, str], sentence: str
) -> None:
    given = {f"pod_identity_bindings_{name}": value for name, value in variables.items()}
    exceptions = [{**EXCEPTION, **change}]
    status, output = player.play([role("pod_identity_bindings")], **given, pod_identity_bindings_exceptions=exceptions)
    assert (status, sentence in " ".join(output.split())) == (2, True), output
