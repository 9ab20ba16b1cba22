# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an earlier version has left in clusters is read as it was meant: restore bundles, marks of a migration, a lease.

The files are those of tests/golden/fixtures, which `tests/nox -s golden -- --fixtures` writes. What is not released
any more stays there, because clusters keep it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import lease
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import mark, switching
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import is_ours
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import bundles
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import pod_identity_restore
from ansible_collections.azureops.pod_identity.tests.stage import CHECKOUT

FIXTURES = CHECKOUT / "tests/golden/fixtures"
GROUP = "MC_rg_demo_westeurope"
ADMIN_SECRET = "adminsecret"
"""The value of the chart that holds the credential of MIC, which is in no bundle."""


def content(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes()


def document(name: str) -> Any:
    return json.loads(content(name))


def cluster(of: dict[str, Any]) -> bundles.Cluster:
    """As Azure tells it; its principals are those that have the roles of the bundle."""
    principals = {each["principal_id"] for each in of["role_assignments"]}
    return bundles.Cluster(of["cluster"], GROUP, kubelet=next(iter(principals), ""))


def observed(of: dict[str, Any]) -> dict[str, Any]:
    """What the role goes by that restores it, where nothing of it is there any more."""
    return {
        "cluster": {"id": of["cluster"], "node_resource_group": GROUP},
        "assignments": of["role_assignments"],
        "objects": of["objects"],
        "releases": of["releases"],
        "before": of["scale_sets"],
        "scale_sets": {"resources": []},
        "operation_mode": "standard",
    }


@pytest.mark.parametrize(
    ("name", "objects", "releases", "handed_out"),
    [
        pytest.param("bundle-of-chart", 5, [("default", "aad-pod-identity")], [], id="chart"),
        pytest.param("bundle-of-addon", 0, [], ["billing"], id="add-on"),
    ],
)
def test_a_restore_bundle_is_read(
    name: str, objects: int, releases: list[tuple[str, str]], handed_out: list[str]
) -> None:
    """All of it may be restored, but for what holds credentials."""
    raw = document(name)
    found = bundles.read("there", content(name), cluster(raw), bundles.Rules(given=frozenset([ADMIN_SECRET])))
    assert found.left_out == ()
    assert found.content == raw
    parsed = pod_identity_restore.Bundle.parse(observed(found.content))
    assert (len(parsed.objects), list(parsed.releases)) == (objects, releases)
    assert [each.role for each in parsed.assignments] == ["Managed Identity Operator"]
    (place,) = parsed.before
    assert [each.rpartition("/")[2] for each in place.identities] == ["demo-agentpool", "billing", "foreign"]
    told = bundles.described(bundles.Place("there"), content(name), raw["cluster"])
    assert told is not None
    assert bundles.is_restorable(told)
    assert [each.rpartition("/")[2] for each in told["handed_out"]] == handed_out


def test_a_bundle_of_another_cluster_is_refused() -> None:
    other = bundles.Cluster(f"{document('bundle-of-chart')['cluster']}-2", GROUP)
    with pytest.raises(Failure, match="but the cluster that is named is"):
        bundles.read("there", content("bundle-of-chart"), other, bundles.Rules())


def test_values_with_credentials_are_asked_for() -> None:
    raw = document("bundle-of-chart")
    with pytest.raises(Failure, match=f"had {ADMIN_SECRET} among its values"):
        bundles.read("there", content("bundle-of-chart"), cluster(raw), bundles.Rules())


def test_the_marks_of_a_migration_are_read() -> None:
    """Both workloads are switched; one has got a service account of its own, with copies of its bindings."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in document("marks-of-half-migrated")}
    workloads = {name: switching.Record.parse(kind, raw) for (kind, name), raw in found.items() if kind == "Deployment"}
    assert workloads == {
        "plain": switching.Record({switching.LABEL: None, switching.ACCOUNT: "default"}, "default-money"),
        "web": switching.Record({switching.LABEL: None}),
    }
    for name, read in workloads.items():
        pod = found["Deployment", name]["spec"]["template"]
        assert switching.stage(switching.fields(pod)) == switching.SWITCHED
        assert read.is_ours(switching.LABEL, switching.fields(pod)[switching.LABEL])
    assert mark.read(found["ServiceAccount", "default-money"]) == {"like": "default"}
    assert is_ours(found["ServiceAccount", "default-money"], "default")
    told = mark.read(found["ServiceAccount", "web"])
    assert told and told["client_id"] is None and told["new_client_id"]
    copies = {kind: mark.read(raw) for (kind, _name), raw in found.items() if kind.endswith("RoleBinding")}
    copy = {"copy_of": "reads", "for": "shop/default-money"}
    assert copies == {"RoleBinding": copy, "ClusterRoleBinding": copy}


def test_a_lease_is_read() -> None:
    found = lease.Lease.parse(document("lease"))
    holder = lease.Holder("alice@laptop, process 9", "boot/2/9/5")
    now = datetime(2026, 3, 1, 10, 0, 10, tzinfo=UTC)
    assert (found.holder, found.seconds, found.transitions, found.left(now)) == (holder, 3600, 0, 3590)
    assert lease.decide(found, holder, now, lambda _process: False, "lock").ours
    other = lease.decide(found, lease.Holder("bob"), now, lambda _process: False, "lock")
    assert (other.free, other.holder) == (False, "alice@laptop, process 9")
