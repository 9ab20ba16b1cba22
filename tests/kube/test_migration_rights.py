# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan of a migration asks for: nothing but reads, and whatever of it is refused, the rest is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube import migration_site
from ansible_collections.azureops.pod_identity.tests.kube.migration_rights import (
    CONSTRAINT,
    LISTED,
    OPTIONAL,
    RARE,
    lists,
    of,
    rights,
)
from ansible_collections.azureops.pod_identity.tests.kube.migration_site import PROXY, Place, Raw, Site
from ansible_collections.azureops.pod_identity.tests.kube.objects import make
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED

OF_OTHERS = [CONSTRAINT, *(kind for kind in OPTIONAL if kind.name != "ValidatingAdmissionPolicy")]
"""Kinds that a cluster has where somebody has installed them."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with migration_site.running() as made:
        yield made


@dataclass
class Whole:
    """A place in which something is in the way by whatever is looked at; ``told``: of it, where all may be read."""

    place: Place
    told: Raw

    def info(self) -> Raw:
        return self.place.site.info(token=RESTRICTED, namespaces=[self.place.namespace]).ok()


@pytest.fixture(scope="module")
def whole(site: Site) -> Iterator[Whole]:
    site.define(*OF_OTHERS)
    with migration_site.place(site) as place:
        build(place)
        with rights(site, *lists()):
            made = Whole(place, {})
            made.told = made.info()
        assert made.told["not_looked_at"] == []
        yield made


def build(place: Place) -> None:
    namespace, of_others = place.namespace, {kind.name: kind for kind in OF_OTHERS}
    labels = {"pod-security.kubernetes.io/enforce": "privileged", "control-plane": "true"}
    place.client.merge(kinds.NAMESPACE, None, namespace, {"metadata": {"labels": labels}})
    place.identity()
    for kind in (*kinds.TEMPLATES, kinds.POD):
        make(place.client, kind, namespace, f"a-{kind.name.lower()}", namespace)
    place.account("")
    place.create(kinds.PERSISTENT_VOLUME_CLAIM, "data", spec=claim())
    csi = {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "vault"}, "readOnly": True}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "secrets", "csi": csi}]
    place.web(labels={}, annotations=PROXY, pod={"volumes": volumes}, image="ghcr.io/kedacore/keda:2.14.0")
    exception = {"podLabels": {"app": "a-daemonset"}}
    place.create(kinds.AZURE_POD_IDENTITY_EXCEPTION, "excepted", spec=exception)
    closed = {"podSelector": {}, "policyTypes": ["Egress"]}
    place.create(kinds.NETWORK_POLICY, "closed", spec=closed)
    place.create(
        kinds.POD_DISRUPTION_BUDGET, "web", spec={"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 1}
    )
    place.create(kinds.RESOURCE_QUOTA, "limits", spec={"hard": {"limits.cpu": "100", "requests.cpu": "100"}})
    place.create(kinds.LIMIT_RANGE, "limits", spec={"limits": [{"type": "Container", "defaultRequest": {"cpu": "1m"}}]})
    for name in ("first", "second"):
        entry = {**workload_identity.entry(place.site.api_server), "failurePolicy": "Ignore"}
        place.create(kinds.MUTATING_WEBHOOK_CONFIGURATION, name, webhooks=[entry])
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
    place.create(kinds.ROLE, "developers", rules=[rule])
    group, subject = "rbac.authorization.k8s.io", {"kind": "Group", "name": "developers"}
    reference = {"apiGroup": group, "kind": "Role", "name": "developers"}
    place.create(kinds.ROLE_BINDING, "developers", roleRef=reference, subjects=[{"apiGroup": group, **subject}])
    names = {"kinds": [{"kinds": ["Pod"]}]}
    place.create(of_others["ConstraintTemplate"], CONSTRAINT.plural, spec=crd(CONSTRAINT.name))
    place.create(CONSTRAINT, "all", spec={"match": names})
    place.create(of_others["TriggerAuthentication"], "queue", spec={"podIdentity": {"provider": "azure"}})
    parameters = {"usePodIdentity": "true"}
    place.create(of_others["SecretProviderClass"], "vault", spec={"provider": "azure", "parameters": parameters})


def claim() -> Raw:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def crd(name: str) -> Raw:
    return {"crd": {"spec": {"names": {"kind": name}}}}


@pytest.mark.soak
@pytest.mark.parametrize("kind", LISTED, ids=lambda kind: kind.resource)
def test_a_kind_that_may_not_be_listed(whole: Whole, kind: Kind) -> None:
    """It is named; nothing is told wrongly for the lack of it, and what is not known any more is told as that."""
    with rights(whole.place.site, *lists(kind)):
        told = whole.info()
    (missing,) = told["not_looked_at"]
    assert (missing["what"], missing["needs"]) == (kind.resource, f"list on {kind.resource} in the whole cluster")
    assert "may not list" in missing["why"]
    before, after = of(whole.told, "needs", "blocked", "noted"), of(told, "needs", "blocked", "noted")
    unknown = of(told, "not_looked_at")
    gone = {one for one in before if one not in after}
    assert {one for one, _name in gone} <= {kind.name}, gone
    for one in before.keys() & after.keys():
        assert after[one] <= before[one], (one, after[one] - before[one])
        if one[0] == kind.name:
            assert "made_by_operator" in unknown[one]
            continue
        lost = before[one] - after[one] - unknown[one] - OF_POLICIES.get(kind.name, set())
        assert not lost, (one, lost)
    assert told["summary"]["ready"] == 0


OF_POLICIES = {name: {"policy_may_refuse"} for name in ("ConstraintTemplate", "K8sTeamLabels")}
"""That a policy may refuse a workload is told nowhere but where it may be listed: a dry run says whether it does."""


@RARE
def test_the_groups_of_the_api_server_may_not_be_read(whole: Whole) -> None:
    """Then no kind is known that not every cluster has."""
    client, name = whole.place.client, "system:discovery"
    before = client.get(kinds.CLUSTER_ROLE_BINDING, None, name)
    assert before
    client.delete(kinds.CLUSTER_ROLE_BINDING, None, name)
    try:
        with rights(whole.place.site, *lists()):
            refused = whole.place.site.api_server.client(RESTRICTED)
            server.until("the groups are refused", lambda: refused._request("GET", "/apis")[0] == 403)
            told = whole.info()
    finally:
        body = {key: before[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
        client.create(kinds.CLUSTER_ROLE_BINDING, None, {**body, "metadata": {"name": name}})
    (missing,) = told["not_looked_at"]
    assert all(kind.resource in missing["what"] for kind in OPTIONAL) and "/apis" in missing["needs"]
    assert of(told, "needs").keys() == of(whole.told, "needs").keys()
