# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an empty subscription to an empty subscription: site, uninstall, site again, destroy. Needs root.

The tests are one story on one sandbox, with the real MIC, NMI and helm.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operators import CLUSTER, SITE, Operator, Run
from sandboxes import PROGRAM, eventually, running

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a sandbox needs root")

UNINSTALL, DESTROY = "azureops.pod_identity.uninstall", "azureops.pod_identity.destroy"
CONFIRMED = {"pod_identity_uninstall_confirm": CLUSTER}
IN_USE = {**CONFIRMED, "pod_identity_uninstall_allow_in_use": True}
OBJECTS = "azureidentity,azureidentitybinding,azureassignedidentity,azurepodidentityexception"
REMOVED = [
    "Detach what is left on the scale sets",
    "Remove exceptions, identities, definitions, roles and locks",
    "Remove the bindings",
    "Remove what MIC does not remove any more",
    "Uninstall the releases",
]
LATE = "Detach what is left on the scale sets", "Remove what MIC does not remove any more"
"""What is left to do only where MIC did not, which check mode cannot know."""


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    # A file system of its own, as one that is mounted into a container: these tests may run in one.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as target, running("uninstall") as sandbox:
        yield Operator(sandbox, tmp_path_factory.mktemp("operator"), {**SITE, "pod_identity_artifact_target": target})


@pytest.fixture(scope="module")
def used(operator: Operator) -> Operator:
    """A workload has the identity of the site."""
    operator.site().ok()
    operator.sandbox.exec("kubectl", "apply", "-f", str(PROGRAM.with_name("demo-workload.yml")))
    eventually(lambda: states(operator) == ["Assigned"], 120)
    return operator


@pytest.fixture(scope="module")
def gone(used: Operator) -> Run:
    return used.play(UNINSTALL, variables=IN_USE).ok()


def states(operator: Operator) -> list[str]:
    found = operator.kubectl("get", "azureassignedidentity", "-A")["items"]
    return [(each.get("status") or {}).get("status", "") for each in found]


def attached(operator: Operator) -> set[str]:
    """Names of the identities on the scale sets."""
    query = ("vmss", "list", "--query", "[].identity.userAssignedIdentities.keys(@)[]")
    return {each.rpartition("/")[2] for each in operator.sandbox.az(*query)}


def bundles(operator: Operator) -> list[dict[str, Any]]:
    found = sorted(Path(operator.variables["pod_identity_artifact_target"]).rglob("*.json"))
    return [json.loads(path.read_text()) for path in found]


def chains(operator: Operator) -> list[str]:
    """The rules of NMI on all nodes."""
    nodes = operator.kubectl("get", "nodes")["items"]
    addresses = [each["status"]["addresses"][0]["address"] for each in nodes]
    saved = [operator.sandbox.ssh(address, "iptables-save", "-t", "nat") for address in addresses]
    return [line for one in saved for line in one.splitlines() if "aad-metadata" in line]


def test_it_is_refused_unless_it_is_confirmed(used: Operator) -> None:
    assert f"pod_identity_uninstall_confirm={CLUSTER}" in used.play(UNINSTALL).refused()


def test_it_is_refused_while_something_uses_it(used: Operator) -> None:
    refused = used.play(UNINSTALL, variables=CONFIRMED)
    assert refused.status != 0
    assert "go on with pod_identity_uninstall_allow_in_use=true" in " ".join(refused.output.split())
    assert any("Deployment billing/api" in line for line in refused.message("Show who uses them"))
    assert states(used) == ["Assigned"]
    assert bundles(used) == []


def test_check_mode_tells_what_goes_and_changes_nothing(used: Operator) -> None:
    before = attached(used)
    predicted = used.play(UNINSTALL, "--check", "--diff", variables=IN_USE).ok()
    assert predicted.changes() == [task for task in REMOVED if task not in LATE]
    assert (states(used), attached(used), bundles(used)) == (["Assigned"], before, [])
    assert chains(used)


def test_nothing_is_left_but_what_is_kept(used: Operator, gone: Run) -> None:
    assert gone.changes() == [task for task in REMOVED if task not in LATE]
    assert "billing" not in attached(used)
    assert chains(used) == []
    kinds = used.kubectl("get", "customresourcedefinitions")["items"]
    assert [each["metadata"]["name"] for each in kinds if "aadpodidentity" in each["metadata"]["name"]] == []
    programs = used.kubectl("get", "daemonset,deployment", "--namespace", "default")["items"]
    assert programs == []
    account = " ".join(gone.message("Show what is left and why"))
    assert "identity in Azure" in account
    assert "billing" in account
    (bundle,) = bundles(used)
    assert {each["kind"] for each in bundle["objects"]} >= {"AzureIdentity", "AzureIdentityBinding"}


def test_the_workload_goes_on(used: Operator, gone: Run) -> None:
    pods = used.kubectl("get", "pods", "--namespace", "billing")["items"]
    assert [each["status"]["phase"] for each in pods] == ["Running"]


def test_a_second_run_has_nothing_to_do(used: Operator, gone: Run) -> None:
    assert used.play(UNINSTALL, variables=CONFIRMED).ok().changes() == []
    assert len(bundles(used)) == 1


def test_the_site_comes_back(used: Operator, gone: Run) -> None:
    assert [row["verdict"] for row in used.site().ok().verdicts()] == ["ok"]
    assert {each["kind"] for each in used.kubectl("get", OBJECTS, "-A")["items"]} >= {"AzureIdentity"}


def test_in_the_end_the_subscription_is_empty(used: Operator, gone: Run) -> None:
    assert f"pod_identity_cluster_confirm_absent={CLUSTER}" in used.play(DESTROY).refused()
    confirmed = {"pod_identity_cluster_confirm_absent": CLUSTER}
    used.play(DESTROY, variables=confirmed).ok()
    assert used.sandbox.az("group", "list") == []
    assert used.sandbox.az("resource", "list") == []
    assert used.play(DESTROY, variables=confirmed).ok().changes() == []
