# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run may not do is said before it writes anything. Needs root.

The tests share one sandbox and follow one story: an empty subscription, a cluster that somebody else made, a site that
a principal with the documented role builds, and callers who may do less.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from operators import CLUSTER, GROUP, SITE, Operator, Run
from sandboxes import running

pytestmark = [pytest.mark.story, pytest.mark.soak]


PAGE = Path(__file__).resolve().parents[2] / "docs/permissions.md"
(ENTRY,) = SITE["pod_identity_bindings_list"]
VARIABLES = {name: value for name, value in SITE.items() if name != "pod_identity_cluster_create"}
CREATE = {"pod_identity_cluster_create": True}
TAGGED = {"pod_identity_bindings_list": [{**ENTRY, "tags": {"team": "a"}}]}
IDENTITY_WRITE = "Microsoft.ManagedIdentity/userAssignedIdentities/write"
KUBECONFIG = "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action"
GRANT = "Microsoft.Authorization/roleAssignments/write"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with running("permissions") as sandbox:
        yield Operator(sandbox, tmp_path_factory.mktemp("operator"), VARIABLES)


@pytest.fixture(scope="module")
def subscription(operator: Operator) -> str:
    identifier = operator.sandbox.exec("printenv", "AZURE_SUBSCRIPTION_ID").strip()
    scope = f"/subscriptions/{identifier}"
    _principal(operator, "reader", "Reader", scope)
    _principal(operator, "looker", "Reader", scope, "Azure Kubernetes Service Cluster User Role", scope)
    return scope


@pytest.fixture(scope="module")
def cluster(operator: Operator, subscription: str) -> None:
    """Group and cluster, made by somebody else."""
    operator.sandbox.exec("az", "group", "create", "--name", GROUP, "--location", "westeurope")
    operator.sandbox.exec("az", "aks", "create", "-g", GROUP, "-n", CLUSTER, "--node-count", "1", "--generate-ssh-keys")


@pytest.fixture(scope="module")
def site(operator: Operator, subscription: str, cluster: None) -> Run:
    """A site that a principal with the role of the page has built on that cluster."""
    _role(operator, subscription, "Complete")
    _principal(operator, "complete", "Complete", subscription)
    return operator.site(principal="complete").ok()


def _principal(operator: Operator, name: str, *roles: str) -> None:
    """``roles``: role, scope, role, scope, ..."""
    pairs = [f"--{option}={value}" for option, value in zip(("role", "scope") * (len(roles) // 2), roles, strict=True)]
    operator.sandbox.run("azure", "principal", name, *pairs)


def _role(operator: Operator, subscription: str, name: str, without: str = "") -> None:
    """The role of the page, under another name, less one action."""
    role = json.loads(PAGE.read_text().partition("```json")[2].partition("```")[0])
    actions = [action for action in role["Actions"] if action != without]
    assert len(actions) == len(role["Actions"]) - bool(without)
    path = operator.directory / "role.json"
    path.write_text(json.dumps({**role, "Name": name, "Actions": actions, "AssignableScopes": [subscription]}))
    operator.sandbox.exec("az", "role", "definition", "create", "--role-definition", f"@{path}")


def _named(refusal: str) -> list[str]:
    """The permissions that a refusal names."""
    return sorted(re.findall(r"(?:nothing was changed: |; )(.+?) (?:at|in) ", refusal))


def test_a_reader_is_told_everything_at_once_in_check_mode(operator: Operator, subscription: str) -> None:
    operator.forget_requests()
    run = operator.site("--check", variables=CREATE, principal="reader")
    assert _named(run.refused()) == [
        *(GRANT, GRANT, GRANT, KUBECONFIG),
        "Microsoft.ContainerService/managedClusters/write",
        IDENTITY_WRITE,
        "Microsoft.Resources/subscriptions/resourceGroups/write",
    ]
    table = run.message("Show what is not permitted")
    assert [line for line in table if len(line) > 69 and " " in line] == []  # ids stay whole
    assert sum("not granted" in line for line in table) == 7
    assert run.changes() == []
    assert operator.azure_writes() == []


@pytest.mark.soak
@pytest.mark.parametrize("action", [IDENTITY_WRITE, GRANT, KUBECONFIG])
def test_one_missing_action_is_named_before_any_write(
    operator: Operator, subscription: str, cluster: None, action: str
) -> None:
    name = f"without-{action.split('/')[-2].lower()}"
    _role(operator, subscription, name, without=action)
    _principal(operator, name, name, subscription)
    operator.forget_requests()
    run = operator.site(principal=name)
    assert set(_named(run.refused())) == {action}
    assert run.changes() == []
    assert operator.azure_writes() == []
    assert operator.kubectl("get", "daemonset", "-A")["items"] == []


def test_the_documented_role_is_enough(operator: Operator, site: Run) -> None:
    assert {"Create the identities", "Grant the roles", "Grant the roles on the node resource group"} <= set(
        site.changes()
    )
    verdicts = [record["verification"] for record in site.records if record["verification"]][-1]
    assert [each["verdict"] for each in verdicts] == ["ok"]


def test_a_second_run_needs_no_rights_to_write(operator: Operator, site: Run) -> None:
    operator.forget_requests()
    assert operator.site(variables=CREATE, principal="looker").ok().changes() == []
    assert operator.azure_writes() == []


@pytest.mark.soak
def test_a_lock_stops_what_it_locks(operator: Operator, site: Run) -> None:
    kubeconfig, lock = operator.kubeconfig(), ("--name", "keep", "--resource-group", GROUP)
    operator.sandbox.exec("az", "lock", "create", *lock, "--lock-type", "ReadOnly")
    try:
        given = {"pod_identity_kubeconfig": kubeconfig}
        assert operator.site(variables=given).ok().changes() == []
        operator.forget_requests()
        refusal = operator.site(variables={**given, **TAGGED}).refused()
        assert _named(refusal) == [IDENTITY_WRITE]
        assert "locked by keep" in refusal
        assert "remove the ReadOnly lock keep at" in refusal
        assert operator.azure_writes() == []
    finally:
        operator.sandbox.exec("az", "lock", "delete", *lock)


@pytest.mark.soak
def test_assignments_that_somebody_else_makes_are_listed_for_the_whole_run(operator: Operator, site: Run) -> None:
    others = {"pod_identity_manage_role_assignments": False}
    assert operator.site(variables=others, principal="looker").ok().changes() == []
    listed = json.loads(operator.sandbox.exec("az", "role", "assignment", "list", "--all"))
    (identity,) = json.loads(operator.sandbox.exec("az", "identity", "list", "-g", GROUP))
    lost = [
        each
        for each in listed
        if each["roleDefinitionName"] == "Virtual Machine Contributor" or each["principalId"] == identity["principalId"]
    ]
    assert len(lost) == 2
    operator.sandbox.exec("az", "role", "assignment", "delete", "--ids", *(each["id"] for each in lost))
    operator.forget_requests()
    refusal = operator.site(variables=others, principal="looker").refused()
    commands = re.findall(r'az role assignment create .*? --scope "[^"]*"', refusal)
    assert len(commands) == 2
    assert operator.azure_writes() == []
    for command in commands:
        operator.sandbox.exec("bash", "-c", command)
    assert operator.site(variables=others, principal="looker").ok().changes() == []
