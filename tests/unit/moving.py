# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workloads on their way to Workload ID, as the phases of the role workload_identity_migration know them."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.workload_identity_migration import (
    PARTS,
)
from ansible_collections.azureops.pod_identity.tests.unit.deciding import RUN, Raw


def template(name: str = "web", **changed: Any) -> Raw:
    """A workload of which everything is still to be done."""
    steps = ["annotation", "credential", "label", "proof"]
    of = {"namespace": "shop", "kind": "Deployment", "name": name, "verdict": "needs", "steps": steps, "proxy": False}
    empty: Raw = {key: [] for key in ("blocked", "accepted", "not_looked_at", "credentials")}
    uses = {"uses": "pod_identity", "selector": "shop", "identities": [{"name": "shop/money", "replacement": ""}]}
    made = {**of, **empty, **uses, "client_id": "1", "service_account": name, "new_service_account": name}
    return {**made, **changed}


def blocker(code: str = "two_webhooks", stage: str = "switch", accepted_by: str = "") -> dict[str, str]:
    said = {"object": "it", "reason": "It is so.", "remedy": "Change it."}
    return {**said, "code": code, "stage": stage, "accepted_by": accepted_by}


OWNED = blocker("manifest_has_owner", accepted_by="workload_identity_migration_override_owner")
BOTH: Raw = {"uses": "both", "steps": ["proof"]}
ALONE: Raw = {"uses": "workload_identity", "steps": [], "selector": ""}
ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/money"
ID_OF_CLUSTER = "/subscriptions/s/resourcegroups/rg/providers/c/m/prod"
CLUSTER = {"name": "prod", "resource_group": "rg", "id": ID_OF_CLUSTER, "node_resource_group": "nodes"}


def trust(account: str = "web", **changed: str) -> dict[str, str]:
    by = {"issuer": "https://issuer/", "subject": f"system:serviceaccount:shop:{account}"}
    of = {"identity_id": ID, "app_id": "", "tenant_id": "", "client_id": "1", "audience": "api://AzureADTokenExchange"}
    made = {**of, **by, "state": "missing", "credential": ""}
    return {**made, **changed}


def mover(name: str = "web", **changed: Any) -> Raw:
    account = changed.get("new_service_account", name)
    return template(name, **{"credentials": [trust(account)], **changed})


def deployment(name: str, mark: object = None, **labels: str) -> Raw:
    annotations = {} if mark is None else {MIGRATION: json.dumps(mark)}
    metadata = {"namespace": "shop", "name": name, "annotations": annotations}
    spec = {"template": {"metadata": {"labels": labels}}}
    return {"kind": "Deployment", "metadata": metadata, "spec": spec, "status": {"updatedReplicas": 1}}


def observed(
    *templates: Raw,
    marks: dict[str, object] | None = None,
    admitted: list[str] | None = None,
    kinds: dict[str, dict[str, object]] | None = None,
    **more: Any,
) -> Raw:
    """``admitted``: names of those of which a pod was; of all, unless it is said. ``kinds``: marks of other kinds."""
    bindings = ["RoleBinding other/reads", "ClusterRoleBinding sees"]
    accounts = [
        {"namespace": one["namespace"], "name": name, "client_id": told, "bindings": bindings, "owner": owner}
        for one in templates
        for name in {one["service_account"], one["new_service_account"]}
        for owner in [one.get("account_owner", {"kind": "", "name": ""})]
        for told in [one.get("told", "") if name == one["new_service_account"] else ""]
    ]
    found = [
        deployment(one["name"], (marks or {}).get(one["name"]), app=one["name"], aadpodidbinding="shop")
        for one in templates
    ]
    for each in found:
        if admitted is not None and each["metadata"]["name"] not in admitted:
            del each["status"]
    info = {"templates": list(templates), "service_accounts": accounts, "consumers": more.pop("consumers", [])}
    info["azure_identity_bindings"] = []
    others: Raw = {f"of {one['kind']}": {"resources": []} for one in templates}
    for kind, several in (kinds or {}).items():
        others[f"of {kind}"]["resources"] = [deployment(name, mark, app=name) for name, mark in several.items()]
    return {"info": info, "cluster": CLUSTER, **others, "of Deployment": {"resources": found}, **more}


def work(*templates: Raw, run: Run = RUN, until: str = "switch", **options: Any) -> Raw:
    more: Raw = {"nodes": {"resources": options.pop("nodes")}} if "nodes" in options else {}
    identities = options.pop("applications", [])
    if (attached := options.pop("attached", None)) is not None:
        more["scale_sets"] = attached
    fleet = options.pop("fleet", {})
    more |= {"host": "here", "clusters": list(fleet), "plans": list(fleet.values())}
    more["consumers"] = options.pop("consumers", [])
    more |= {"cluster": options.pop("cluster", CLUSTER), "admitted": options.pop("admitted", None)}
    seen = observed(*templates, marks=options.pop("marks", None), **more)
    seen["info"] |= {"azure_identity_bindings": options.pop("bindings", [])}
    seen["info"] |= {"identities": identities, **fleet.get("here", {})}
    return PARTS["work"].plan({"until": until, **options}, seen, run)


def advance(known: Raw, phase: str, result: Any, run: Run = RUN, **options: Any) -> Raw:
    found = {"work": known, "phase": phase, "result": result}
    return PARTS["advance"].plan({"until": "switch", **options}, found, run)


def done(known: Raw, phase: str, *reasons: str, **options: Any) -> Raw:
    """With a result for each entry of the list of the phase; ``reasons``: why those with one failed.

    Behind a reason that begins with "ended" nothing is tried any more.
    """
    lists = {"account": "accounts", "credential": "credentials", "canary": "canaries", "leave": "leaving"}
    items = known[lists[phase]] if phase in lists else next(filter(None, known["waves"]))
    padded = [*reasons, *[""] * len(items)][: len(items)]
    if phase == "canary":
        tokens = [{"verdict": "federation_refused" if each else "ok", "message": each} for each in padded]
        return advance(known, phase, {"tokens": tokens}, **options)
    results = []
    for number, why in enumerate(padded):
        results.append({"item": items[number], "failed": bool(why), "msg": why or "It is as it was told to be."})
        if why.startswith("ended"):
            break
    return advance(known, phase, {"results": results}, **options)


def states(known: Raw) -> list[str]:
    return [row["state"] for row in known["rows"]]


HOME = "shop/deployment-web"
HELM: Raw = {"blocked": [OWNED], "owner": {"kind": "helm", "name": "shop/web"}}
READY: Raw = {"steps": ["label"]}


def seen(one: Raw, *revisions: dict[str, str], labels: dict[str, str] | None = None) -> Raw:
    """With former revisions of the workload, by the labels of their templates, and one of another."""
    found = observed(one)
    (raw,) = found["of Deployment"]["resources"]
    raw["metadata"]["uid"] = "1"
    raw["spec"]["template"]["metadata"]["labels"].update(labels or {})
    sets = []
    for uid, each in (("2", {"azure.workload.identity/use": "true"}), *(("1", each) for each in revisions)):
        of_pod = {"labels": {"aadpodidbinding": "shop", **each}}
        spec = {"template": {"metadata": of_pod, "spec": {"serviceAccountName": "web"}}}
        sets.append({"metadata": {"ownerReferences": [{"uid": uid}]}, "spec": spec})
    return {**found, "revisions: ReplicaSet": {"resources": sets}}


def tried(found: Raw, run: Run = RUN, **options: Any) -> Raw:
    """After the canary of the one workload."""
    given = {"until": "switch", "directory": "/out", **options}
    known = PARTS["work"].plan(given, found, run)
    token = {"verdict": "ok", "message": ""}
    return advance(known, "canary", {"tokens": [token] * len(known["canaries"])}, run, **given)
