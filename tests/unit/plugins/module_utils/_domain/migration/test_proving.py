# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pods are of the template, and whether each has its token in every container."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import dry_run, plan, proving
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.dry_run import (
    ContainerChange,
    DryRun,
)
from ansible_collections.azureops.pod_identity.tests.unit.cluster_objects import owned
from ansible_collections.azureops.pod_identity.tests.unit.plugins.module_utils._domain.migration import migration_world
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

Raw = dict[str, Any]
USE, SELECTOR = "azure.workload.identity/use", "aadpodidbinding"
CLIENT_ID, OTHER_ID = migration_world.CLIENT_ID, migration_world.OTHER_ID
PROXY = "azure.workload.identity/inject-proxy-sidecar"
SKIP = "azure.workload.identity/skip-containers"
LABELS = {"app": "web", USE: "true", SELECTOR: "web"}


def workload(*containers: Raw, replicas: int = 2, labels: Raw | None = None, **annotations: str) -> Raw:
    """One that has replaced its pods, as its controller says."""
    metadata = {"labels": LABELS if labels is None else labels, "annotations": annotations}
    spec = {"serviceAccountName": "billing", "containers": list(containers) or [{"name": "app"}]}
    status = {"observedGeneration": 1, **dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)}
    of = {"namespace": "team", "name": "web", "generation": 1}
    spec_of = {"replicas": replicas, "template": {"metadata": metadata, "spec": spec}}
    return {"metadata": of, "spec": spec_of, "status": status}


def pod(raw: Raw, number: int = 1, *, mutated: bool = True, told: str = CLIENT_ID) -> Raw:
    made: Raw = copy.deepcopy(raw["spec"]["template"])
    if mutated:
        for each in (*made["spec"].get("initContainers", ()), *made["spec"]["containers"]):
            own = {one["name"] for one in each.get("env") or ()}
            given = {"AZURE_CLIENT_ID": told, "AZURE_FEDERATED_TOKEN_FILE": "/token"}
            each["env"] = [
                *(each.get("env") or ()),
                *({"name": name, "value": value} for name, value in given.items() if name not in own),
            ]
    made["metadata"].update(namespace="team", name=f"web-{number}", ownerReferences=owned("ReplicaSet", "web-1"))
    return {**made, "status": {"phase": "Running"}}


def test_all_are_proved() -> None:
    raw = workload()
    proof = proving.prove("Deployment", raw, [pod(raw, 1), pod(raw, 2)], CLIENT_ID.upper())
    assert proof.done and proof.replaced
    assert proof.view() == {"replicas": 2, "updated": 2, "available": 2, "mutated": 2}


def test_fewer_than_the_controller_says_are_not_all() -> None:
    raw = workload()
    assert not proving.prove("Deployment", raw, [pod(raw)], CLIENT_ID).replaced


@table(
    "change",
    *({"labels": {USE: None}}, {"labels": {SELECTOR: "other"}}, {"labels": {SELECTOR: None}}, {"account": "default"}),
    *({"annotations": {PROXY: "true"}}, {"annotations": {"azureops.pod-identity/restarted": "3"}}),
)
def test_a_pod_that_was_made_otherwise_is_another(change: Raw) -> None:
    raw = workload(replicas=1)
    old = pod(raw)
    for place in ("labels", "annotations"):
        old["metadata"][place] = {**old["metadata"][place], **change.get(place, {})}
        old["metadata"][place] = {key: value for key, value in old["metadata"][place].items() if value is not None}
    old["spec"]["serviceAccountName"] = change.get("account", "billing")
    proof = proving.prove("Deployment", raw, [pod(raw, 2), old], CLIENT_ID)
    assert proof.others == (old,) and not proof.done and proof.view()["updated"] == 1
    gone = {**old, "metadata": {**old["metadata"], "deletionTimestamp": "now"}}
    proof = proving.prove("Deployment", raw, [pod(raw, 2), gone], CLIENT_ID)
    assert proof.done and proof.ending == (gone,), "one that is going counts no more, but may still ask"
    gone["status"] = {"phase": "Failed"}
    assert proving.prove("Deployment", raw, [pod(raw, 2), gone], CLIENT_ID).ending == ()


def ready(one: Raw, status: str = "True") -> Raw:
    return {**one, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}}


def test_one_pod_goes_when_all_others_are_ready() -> None:
    raw = workload()
    old = pod(workload(labels={"app": "web"}), 1)
    both = [ready(old), ready(pod(raw, 2))]
    assert proving.prove("ReplicaSet", raw, both, CLIENT_ID).next_to_go == both[0]
    for several in (both[:1], [both[0], ready(both[1], "False")], [both[1], ready(pod(raw, 3))]):
        assert proving.prove("ReplicaSet", raw, several, CLIENT_ID).next_to_go is None


def test_a_pod_of_no_account_has_the_default_one() -> None:
    raw = workload(replicas=1)
    raw["spec"]["template"]["spec"].pop("serviceAccountName")
    living = pod(raw)
    living["spec"]["serviceAccountName"] = "default"
    assert proving.prove("Deployment", raw, [living], CLIENT_ID).done


OWN = {"name": "AZURE_CLIENT_ID", "value": OTHER_ID}
BY_HAND = {"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/own"}
JUDGED: dict[str, tuple[Raw, Raw, str, tuple[str, str | None] | None]] = {
    "with its token": (workload(), {}, CLIENT_ID, None),
    "without": (workload(), {"mutated": False}, CLIENT_ID, ("app", None)),
    "another id": (workload(), {"told": OTHER_ID}, CLIENT_ID, ("app", OTHER_ID)),
    "no id": (workload(), {"told": ""}, CLIENT_ID, ("app", "")),
    "any id": (workload(), {"told": OTHER_ID}, "", None),
    "an id of its own": (workload({"name": "app", "env": [OWN]}), {}, CLIENT_ID, None),
    "by hand": (workload({"name": "app", "env": [BY_HAND]}), {"mutated": False}, "", None),
}


@pytest.mark.parametrize("name", JUDGED)
def test_what_a_pod_has(name: str) -> None:
    raw, made, client_id, told = JUDGED[name]
    proof = proving.prove("Deployment", raw, [pod(raw, 1), pod(raw, 2, **made)], client_id)
    found = proof.unproved and (proof.unproved.container, proof.unproved.told)
    assert found == told and proof.done is (told is None) and proof.replaced
    assert proof.mutated == (2 if told is None else 1)


def test_every_container_that_the_template_has_is_looked_at() -> None:
    """But those that it leaves out itself, and what others put beside them."""
    raw = workload({"name": "app"}, {"name": "side"}, replicas=1)
    raw["spec"]["template"]["spec"]["initContainers"] = [{"name": "wait"}]
    for name in ("app", "side", "wait"):
        one = pod(raw)
        for each in (*one["spec"]["initContainers"], *one["spec"]["containers"]):
            if each["name"] == name:
                each["env"] = []
        found = proving.prove("Deployment", raw, [one], CLIENT_ID).unproved
        assert found and found.container == name and found.label == "Pod team/web-1"
        raw["spec"]["template"]["metadata"]["annotations"] = {SKIP: f"x; {name}"}
        one["metadata"]["annotations"] = {SKIP: f"x; {name}"}
        assert proving.prove("Deployment", raw, [one], CLIENT_ID).done
        raw["spec"]["template"]["metadata"]["annotations"] = {}
    mesh = pod(raw)
    mesh["spec"]["containers"] += [{"name": "mesh"}, {"name": "azwi-proxy"}]
    assert proving.prove("Deployment", raw, [mesh], CLIENT_ID).done


def test_without_the_label_nothing_is_to_be_proved() -> None:
    raw = workload(labels={"app": "web", SELECTOR: "web"}, replicas=1)
    proof = proving.prove("Deployment", raw, [pod(raw, mutated=False)], CLIENT_ID)
    assert proof.done and proof.mutated == 0


def change(**given: Any) -> ContainerChange:
    told = {"name": "app", "init": False, "has_token": True, "own": (), "added": {"AZURE_CLIENT_ID": CLIENT_ID}}
    return ContainerChange(**{**told, "client_id": "", **given})


def run(code: str, *containers: ContainerChange) -> DryRun:
    return DryRun(code, "Deployment team/web would end.", containers=containers)


OTHERWISE = (dry_run.MUTATED, dry_run.LOSES_FIELDS, dry_run.NOT_TRIED)


def template(**annotations: str) -> Raw:
    noted: dict[str, Any] = {SKIP: "left-out", **annotations}
    made: Raw = workload(**noted)["spec"]["template"]
    return made


@table(
    "tried, client_id, code",
    (run(dry_run.MUTATED, change()), CLIENT_ID.upper(), ""),
    (run(dry_run.MUTATED, change(added={})), "", ""),
    (run(dry_run.MUTATED, change(added={})), CLIENT_ID, "account_tells_other_client_id"),
    (run(dry_run.MUTATED, change(added={"AZURE_CLIENT_ID": OTHER_ID})), CLIENT_ID, "account_tells_other_client_id"),
    (run(dry_run.MUTATED, change(added={}, own=("AZURE_CLIENT_ID",))), CLIENT_ID, ""),
    (run(dry_run.MUTATED, change(), change(name="side", has_token=False)), "", "container_without_token"),
    (run(dry_run.MUTATED, change(), change(name="left-out", has_token=False)), CLIENT_ID, ""),
    (run(dry_run.MUTATED, change(has_token=False, own=("AZURE_FEDERATED_TOKEN_FILE",))), CLIENT_ID, ""),
    (run(dry_run.LOSES_FIELDS, change()), CLIENT_ID, "fields_would_be_lost"),
    (run(dry_run.NOT_TRIED), CLIENT_ID, dry_run.NOT_TRIED),
    *((run(code), CLIENT_ID, "labelled_pod_refused") for code in dry_run.MEANINGS if code not in OTHERWISE),
)
def test_what_a_dry_run_says_against_it(tried: DryRun, client_id: str, code: str) -> None:
    found = proving.refusal(tried, template(), client_id)
    assert (found.code if found else "") == code
    if found:
        assert found.code in (*plan.CODES, dry_run.NOT_TRIED) and not found.reason.endswith(".")
    if code == "labelled_pod_refused":
        proxied = proving.refusal(tried, template(**{PROXY: "true"}), client_id)
        assert proxied and proxied.code == "proxy_not_admitted"
