# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a diagnosis reads beside the lists of the inventory."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import reading
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    WEBHOOK,
    Component,
    components,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import trusted_namespaces
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import Raw, identity
from ansible_collections.azureops.pod_identity.tests.support.installed_objects import (
    LATELY,
    LONG_AGO,
    NOW,
    WEBHOOKS,
    crashing,
    installed,
    node,
    pod_of,
    program,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

SINCE = datetime(2026, 3, 1, 11, tzinfo=timezone.utc)


def names(wanted: tuple[reading.Wanted, ...]) -> list[tuple[str, bool]]:
    return [(each.pod, each.previous) for each in wanted]


def of_nodes(*statuses: Raw | None) -> Component:
    daemon_set = program("DaemonSet", "nmi")
    pods = tuple(
        pod_of(daemon_set, f"nmi-{number}", on=f"n{number}", ready=status is None, status=status)
        for number, status in enumerate(statuses)
    )
    return Component(NMI, {**daemon_set, "kind": "DaemonSet"}, pods)


def of_mic(*statuses: Raw | None) -> Component:
    deployment = program("Deployment", "mic")
    pods = [pod_of(deployment, f"mic-{number}", status=status) for number, status in enumerate(statuses)]
    return Component(MIC, {**deployment, "kind": "Deployment"}, tuple(pods))


def test_logs_of_all_replicas_and_of_the_run_before_a_crash() -> None:
    wanted, unread = reading.logs_wanted([of_mic(None, crashing()), of_nodes(None, crashing())], 8_000_000, SINCE)
    first = [("mic-0", False), ("mic-1", False), ("mic-1", True)]
    assert names(wanted) == [*first, ("nmi-1", False), ("nmi-1", True), ("nmi-0", False)]
    assert {each.bytes for each in wanted} == {1_333_333} and unread == ()
    told = "log of Pod kube-system/mic-1"
    assert [each.label for each in wanted][1:3] == [told, f"{told} before its restart"]


@for_each(
    case("never began", {"state": {"waiting": {"reason": "ContainerCreating"}}}, []),
    case("restarted long ago", crashing(finished=LONG_AGO), [False]),
    case("restarted at no time", crashing(finished="yesterday"), [False]),
    case("ended", {"state": {"terminated": {"exitCode": 1}}}, [False]),
    case("another container", {"name": "proxy", "state": {"running": {}}}, []),
)
def test_which_of_a_pod(status: Raw, logs: list[bool]) -> None:
    wanted, dummy = reading.logs_wanted([of_mic(status)], 8_000_000, SINCE)
    assert [each.previous for each in wanted] == logs


def test_more_nodes_than_there_are_bytes() -> None:
    """First those that are not well, then those that it is about, then the others; what is left out is told."""
    total = reading.LEAST * 8
    nodes = of_nodes(*[None] * 7, {"ready": False}, None)
    wanted, (unread,) = reading.logs_wanted([of_mic(None), nodes], total, SINCE, {"n5", "n8"})
    assert [each.pod for each in wanted] == ["mic-0", "nmi-7", "nmi-5", "nmi-8", "nmi-0"]
    assert sum(each.bytes for each in wanted) <= total and min(each.bytes for each in wanted) >= reading.LEAST
    assert (unread.source, unread.what) == ("logs", "5 logs of NMI") and "log_megabytes" in unread.needs
    alone, nothing = reading.logs_wanted([nodes], reading.LEAST * 9, SINCE)
    assert len(alone) == 9 and not nothing


def test_the_webhook_is_where_the_api_server_looks_for_it() -> None:
    objects: dict[str, list[Raw]] = installed()
    image = "oss/v2/azure/workload-identity/webhook"
    for namespace in ("kube-system", "team"):
        one = program("Deployment", "azure-wi-webhook-controller-manager", image=image, namespace=namespace)
        labels = {"azure-workload-identity.io/system": "true"}
        one["spec"]["template"]["metadata"] = {"labels": labels}
        objects["Deployment"].append(one)
        objects["Pod"].append(pod_of(one, f"azure-wi-{namespace}"))
    objects["Deployment"].append(program("Deployment", "other", image="cert-manager-webhook"))
    assert not [one for one in components(objects, trusted_namespaces.Belief.parse(objects)) if one.program == WEBHOOK]
    objects["MutatingWebhookConfiguration"] = [WEBHOOKS]
    (found,) = [one for one in components(objects, trusted_namespaces.Belief.parse(objects)) if one.program == WEBHOOK]
    assert found.label == "Deployment kube-system/azure-wi-webhook-controller-manager"
    assert [pod["metadata"]["name"] for pod in found.pods] == ["azure-wi-kube-system"]


def test_which_nodes_come_first() -> None:
    cluster = Cluster.parse(installed(), {})
    assert reading.first_nodes(cluster, "", "") == {"n1"}
    assert reading.first_nodes(cluster, "team", "") == reading.first_nodes(cluster, "team", "web-1-a") == {"n1"}
    assert reading.first_nodes(cluster, "team", "other") == reading.first_nodes(cluster, "other", "") == frozenset()


def test_secrets_that_identities_name() -> None:
    identities = [
        identity("a", type=1, clientPassword={"name": "one", "namespace": "vault"}),
        identity("b", type=2, clientPassword={"name": "two"}),
        identity("c", type=0, clientPassword={"name": "three"}),
        identity("d", type=1, clientPassword="four"),
        identity("e", type=1, clientPassword={"namespace": "team"}),
        identity("f", type=1),
    ]
    assert reading.secrets_named({"AzureIdentity": identities}) == (
        ("team", "one"),  # where it is, when the namespace is the wrong one
        ("team", "two"),
        ("vault", "one"),
    )


def test_no_value_of_a_secret_is_kept() -> None:
    place = {"name": "one", "namespace": "team"}
    metadata = {**place, "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "aHVzaA=="}}
    kept = reading.hidden({"metadata": metadata, "type": "Opaque", "data": {"secret": "aHVzaA==", "empty": ""}})
    assert kept["data"] == {"secret": "hidden", "empty": ""} and kept["metadata"] == place
    assert "aHVzaA==" not in json.dumps(kept)


@for_each(
    *((name, "mic-1", False) for name in ("mic-1.log", "mic-1", "mic-1.txt")),
    ("kube-system_nmi-1.log", "nmi-1", False),
    ("nmi-1.previous.log", "nmi-1", True),
    ("kube-system_nmi-1-previous.log", "nmi-1", True),
    *((name, "", False) for name in ("team_nmi-1.log", "web-1-a.log", "MIC.log", "")),
)
def test_whose_log_a_file_holds(name: str, pod: str, previous: bool) -> None:
    objects = installed()
    found = reading.log_of_file(name, components(objects, trusted_namespaces.Belief.parse(objects)))
    assert (found.pod, found.previous) == (pod, previous) if found else pod == ""


def test_a_name_of_two_pods_is_none() -> None:
    other = pod_of(program("Deployment", "mic", namespace="b"), "mic-0")
    both = [of_mic(None), Component(MIC, of_mic().workload, (other,))]
    assert reading.log_of_file("mic-0.log", both) is None
    found = reading.log_of_file("b_mic-0.log", both)
    assert found and found.namespace == "b"


def test_when_files_were_written() -> None:
    """By what no tenant writes, and not later than now."""

    def moment(minute: int) -> datetime:
        return datetime(2026, 3, 1, 11, minute, tzinfo=timezone.utc)

    objects: dict[str, list[Raw]] = {"Pod": [{"metadata": {"name": "a", "creationTimestamp": LATELY}}]}
    objects["Node"] = [node()]
    assert reading.last_moment(objects, NOW) == moment(50)
    heart = {"type": "Ready", "lastHeartbeatTime": "2026-03-01T11:55:00Z"}
    objects["Node"][0]["status"]["conditions"].append(heart)
    assert reading.last_moment(objects, NOW) == moment(55)
    objects["Lease"] = [
        {"metadata": {"namespace": place, "name": "n1"}, "spec": {"renewTime": f"2026-03-01T11:{minute}:00.123456Z"}}
        for place, minute in (("kube-node-lease", 57), ("team", 59))
    ]
    assert reading.last_moment(objects, NOW) == moment(57)
    heart["lastHeartbeatTime"] = "2036-03-01T11:55:00Z"
    assert reading.last_moment(objects, NOW) == NOW == reading.last_moment({}, NOW)
