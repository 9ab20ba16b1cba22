# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects as files: for service principals neither Azure nor a cluster is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.support.players import Player, role

ENTRY: dict[str, Any] = {
    "name": "billing",
    "selector": "shop",
    "type": "1",
    "tenant_id": "11111111-1111-4111-8111-111111111112",
    "client_id": "11111111-1111-4111-8111-111111111111",
    "client_password_secret": {"name": "billing"},
    "behavior": "namespaced",
    "binding_name": "",
    "labels": {"tier": 1},
    "allow_in_use": False,
}
WRITTEN = """\
---
apiVersion: aadpodidentity.k8s.io/v1
kind: AzureIdentity
metadata:
  annotations:
    aadpodidentity.k8s.io/Behavior: namespaced
  labels:
    app.kubernetes.io/managed-by: azureops.pod_identity
    azureops.pod-identity/owner: team-a
    tier: '1'
  name: billing
  namespace: default
spec:
  clientID: 11111111-1111-4111-8111-111111111111
  clientPassword:
    name: billing
    namespace: default
  tenantID: 11111111-1111-4111-8111-111111111112
  type: 1
---
apiVersion: aadpodidentity.k8s.io/v1
kind: AzureIdentityBinding
metadata:
  labels:
    app.kubernetes.io/managed-by: azureops.pod_identity
    azureops.pod-identity/owner: team-a
    tier: '1'
  name: billing
  namespace: default
spec:
  azureIdentity: billing
  selector: shop
"""


def test_the_same_entries_give_the_same_files(player: Player, tmp_path: Path) -> None:
    variables = {"pod_identity_bindings_list": [ENTRY], "pod_identity_bindings_owner": "team-a"}
    place = {"pod_identity_bindings_render_dir": str(tmp_path / "objects")}
    for arguments, changes in ((["--check"], 2), ([], 2), ([], 0), (["--check"], 0)):
        status, output = player.play([role("pod_identity_bindings")], *arguments, **variables, **place)
        assert (status, re.findall(r"changed=(\d+)", output)) == (0, [str(changes)]), output
        written = {path.name: path.read_text() for path in (tmp_path / "objects").glob("*")}
        assert written == ({} if arguments and changes else {"default-billing.yaml": WRITTEN})


def test_a_second_use_of_the_role_adds_to_its_fact(player: Player, tmp_path: Path) -> None:
    place = {"pod_identity_bindings_render_dir": str(tmp_path / "objects")}
    uses = [
        {**role("pod_identity_bindings"), "vars": {"pod_identity_bindings_list": [{**ENTRY, **change}]}}
        for change in ({}, {"name": "reports"}, {"name": "reports", "tenant_id": "example.com"})
    ]
    told = "{% for name, each in pod_identity_identities.items() %}{{ name }}={{ each.tenant_id }} {% endfor %}"
    status, output = player.play([*uses, {"ansible.builtin.debug": {"msg": told}}], **place)
    assert (status, f"billing={ENTRY['tenant_id']} reports=example.com " in output) == (0, True), output


def test_tags_from_where_the_role_is_used_select_it(player: Player, tmp_path: Path) -> None:
    name = "azureops.pod_identity.pod_identity_bindings"
    uses: list[dict[str, Any]] = [
        {"hosts": "localhost", "roles": [{"role": name, "tags": ["listed"]}]},
        {"hosts": "localhost", "tasks": [{"ansible.builtin.import_role": {"name": name}, "tags": ["imported"]}]},
        {"hosts": "localhost", "tags": ["played"], "tasks": [{"ansible.builtin.import_role": {"name": name}}]},
        {"hosts": "localhost", "roles": [{"role": name, "tags": ["always"]}]},
    ]
    for use, tag in zip(uses, ("listed", "imported", "played", "always"), strict=True):
        for given, written in ((tag, True), ("other", tag == "always")):
            directory = tmp_path / f"{tag}-{given}"
            variables = {"pod_identity_bindings_list": [ENTRY], "pod_identity_bindings_render_dir": str(directory)}
            status, output = player.play(use, "--tags", given, **variables)
            assert (status, directory.exists()) == (0, written), output


def test_an_entry_that_no_cluster_would_take_is_not_written(player: Player, tmp_path: Path) -> None:
    variables = {"pod_identity_bindings_list": [{**ENTRY, "client_id": ENTRY["client_id"][:-1]}]}
    place = {"pod_identity_bindings_render_dir": str(tmp_path / "objects")}
    status, output = player.play([role("pod_identity_bindings")], **variables, **place)
    told = f"entry 1 (billing): client_id is '{ENTRY['client_id'][:-1]}', not a GUID; write it as "
    assert (status, told in output, (tmp_path / "objects").exists()) == (2, True, False), output
