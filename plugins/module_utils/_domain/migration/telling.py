# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A plan as it is returned: in a stable order, without pods, and without a value that could be secret."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import asdict

from ..azure.federated import IDENTITY_BINDING, LIMIT, Credential
from ..installation.workload_identity_webhook import CLIENT_ID
from ..kubernetes.objects import annotations_of
from ..kubernetes.sources import place
from ..matching.inventory import full_name
from ..matching.matching import Identity
from . import ended, gains, owners
from .candidate import Candidate
from .places import policies
from .plan import VERDICTS, Item, Plan, Plans, plans
from .world import World

_PULL, _TOKEN = "imagePullSecrets", "automountServiceAccountToken"


def as_data(world: World, namespaces: t.Collection[str] | None = None) -> dict[str, t.Any]:
    """Of all namespaces, or of workloads in some; the rest counts all the same."""
    every = plans(world)
    told = [each for each in every if namespaces is None or each[0].namespace in namespaces]
    cloud = world.observed.cloud
    data = {
        "cluster": {
            "issuer": world.observed.issuer,
            "cloud": cloud.name,
            "login_host": cloud.login_host,
            "audience": cloud.audience,
            "webhooks": list(world.installed_webhooks),
            "webhook_version": ".".join(map(str, world.webhook_version)),
        },
        "templates": [_template(one, found, world) for one, found in told],
        "ended": _ended(world, namespaces),
        "identities": _identities(world, told, everything=namespaces is None),
        "azure_identity_bindings": _azure_identity_bindings(world),
        "service_accounts": _accounts(world, told),
        "consumers": [one.view() for one in world.consumers],
        "gains": [one.view() for one in gains.find(world, told)],
        "not_looked_at": [
            {"what": one.what, "why": one.why, "needs": one.needs}
            for one in sorted(world.observed.unread, key=lambda one: (one.what, one.why))
        ],
    }
    return {**data, "summary": _summary(data)}


def _ended(world: World, namespaces: t.Collection[str] | None) -> list[str]:
    found = ended.find(world.observed.inventory.cluster.workloads, world.observed.objects)
    return sorted(one.label for one in found if namespaces is None or one.pod.namespace in namespaces)


def _template(one: Candidate, found: Plan, world: World) -> dict[str, t.Any]:
    place_of = world.place_of(one)
    others = [label for label in world.users.get((one.namespace, one.account), ()) if label != one.label]
    return {
        "namespace": one.namespace,
        "kind": one.kind,
        "name": one.source.workload.name,
        "verdict": found.verdict,
        "steps": list(found.steps),
        "needs": [_short(item) for item in found.needs],
        "blocked": [_item(item) for item in found.blocked],
        "accepted": [_item(item) for item in found.accepted],
        "noted": [_item(item) for item in found.warnings],
        "not_looked_at": [_short(item) for item in found.not_looked_at],
        "uses": one.uses,
        "selector": one.selector,
        "identities": [_identity(*each) for each in zip(one.identities, one.targets)],
        "client_id": one.client_id,
        "service_account": one.account,
        "service_account_shared_with": others,
        "new_service_account": world.account_of(one) if one.moves else one.account,
        "credentials": [each.view() for each in world.trusts(one)],
        "containers": [each.view() for each in one.containers],
        "proxy": one.proxied,
        "host_network": one.host_network,
        "node_identity": one.node_identity,
        "pod_security": place_of.security,
        "quotas": list(place_of.quotas),
        "limit_ranges": list(place_of.limit_ranges),
        "policies": list(policies(one.kind, one.namespace, place_of.labels, world.observed.objects)),
        "owner": one.owner.view(),
        "rollout": one.rollout.view(),
    }


def _item(item: Item) -> dict[str, str]:
    return {key: value for key, value in asdict(item).items() if key != "step"}


def _short(item: Item) -> dict[str, str]:
    return {key: getattr(item, key) for key in ("step", "code", "object", "reason")}


def _identity(one: Identity, target: Identity) -> dict[str, t.Any]:
    return {
        "name": full_name(one),
        "type": one.type,
        "client_id": one.client_id,
        "resource_id": one.resource_id,
        "replacement": target.resource_id if target != one else "",
    }


def _identities(world: World, told: Plans, *, everything: bool) -> list[dict[str, t.Any]]:
    """One for each managed identity and application, and for each other AzureIdentity; of some namespaces those that
    these need."""
    needed = {each.key for one, _plan in told for each in world.trusts(one)}
    names: dict[str, list[str]] = {}
    others = []
    for each in world.observed.inventory.cluster.identities:
        key = world.holder(each)
        if key:
            names.setdefault(key, []).append(full_name(each))
        elif everything:
            others.append(each)
    rows = []
    for key, identity in world.holders.items():
        slots = world.slots[key]
        if not everything and key not in needed:
            continue
        rows.append(
            {
                "identity_id": identity.resource_id if key in world.managed else "",
                "client_id": identity.client_id,
                "type": identity.type,
                "azure_identities": sorted(names.get(key, ())),
                "credentials_used": slots.used,
                "credentials_free": None if slots.used is None else max(0, LIMIT - slots.used),
                "credentials_missing": slots.missing,
                "credentials": [_credential(one) for one in slots.credentials or ()],
                "issuers": list(slots.issuers),
                "has_identity_binding": any(one.protection == IDENTITY_BINDING for one in slots.credentials or ()),
                "subjects": sorted({one.subject for one in slots.wanted}),
            }
        )
    for each in others:
        rows.append(
            {
                "identity_id": each.resource_id,
                "client_id": each.client_id,
                "type": each.type,
                "azure_identities": [full_name(each)],
                "credentials_used": None,
                "credentials_free": None,
                "credentials_missing": 0,
                "credentials": [],
                "issuers": [],
                "has_identity_binding": False,
                "subjects": [],
            }
        )
    return sorted(rows, key=lambda row: (str(row["identity_id"]).lower(), row["azure_identities"], row["client_id"]))


def _credential(one: Credential) -> dict[str, str]:
    return {"name": one.name, "issuer": one.issuer, "subject": one.subject}


def _azure_identity_bindings(world: World) -> list[dict[str, t.Any]]:
    """With who gets an identity by each, or did until this collection took its label, be it a Job that has ended."""
    inventory, users = world.observed.inventory, dict[tuple[str, str], set[str]]()
    selectors = [(one.label, one.pod.namespace, one.pod.selector) for one in inventory.cluster.workloads]
    selectors += [(one.label, one.namespace, one.former_selector) for one in world.candidates]
    for label, namespace, selector in selectors:
        for match in inventory.matching.matches(namespace, selector) if selector else ():
            for pair in (*match.choices, *match.shadowed):
                users.setdefault((pair.binding.namespace, pair.binding.name), set()).add(label)
    return [
        {
            "namespace": each.namespace,
            "name": each.name,
            "azure_identity": each.identity,
            "selector": each.selector,
            "workloads": sorted(users.get((each.namespace, each.name), ())),
        }
        for each in sorted(inventory.cluster.bindings, key=full_name)
    ]


def _accounts(world: World, told: Plans) -> list[dict[str, t.Any]]:
    """Those that workloads have, and those that they will have."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for one, _plan in told:
        if one.moves:
            for name in (one.account, world.account_of(one)):
                wanted.setdefault((one.namespace, name), set())
            wanted[(one.namespace, world.account_of(one))].add(one.client_id)
    rows, bindings = [], _bindings(world)
    for (namespace, name), ids in sorted(wanted.items()):
        raw = None if world.accounts is None else world.accounts.get((namespace, name))
        rows.append(
            {
                "namespace": namespace,
                "name": name,
                "exists": None if world.accounts is None else raw is not None,
                "client_id": str(annotations_of(raw or {}).get(CLIENT_ID) or ""),
                "wanted_client_ids": sorted(ids - {""}),
                "workloads": list(world.users.get((namespace, name), ())),
                "image_pull_secrets": sorted(str(each.get("name", "")) for each in (raw or {}).get(_PULL) or ()),
                "automount_token": (raw or {}).get(_TOKEN),
                "bindings": bindings.get((namespace, name), []),
                "owner": owners.of_object(raw or {}).view(),
            }
        )
    return rows


def _bindings(world: World) -> dict[tuple[str, str], list[str]]:
    """Labels of what binds roles to a service account itself, by that; not those of its groups."""
    found: dict[tuple[str, str], set[str]] = {}
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        for raw in world.observed.objects.get(kind, ()):
            home, name = place(raw)
            for each in raw.get("subjects") or ():
                if each.get("kind") == "ServiceAccount":
                    account = (str(each.get("namespace") or home), str(each.get("name")))
                    found.setdefault(account, set()).add(f"{kind} {'/'.join(filter(None, (home, name)))}")
    return {account: sorted(labels) for account, labels in found.items()}


def _summary(data: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    templates = data["templates"]
    verdicts = Counter(row["verdict"] for row in templates)
    return {
        "templates": len(templates),
        **{verdict: verdicts[verdict] for verdict in VERDICTS},
        "namespaces": [
            {"namespace": namespace, **{verdict: counted[verdict] for verdict in VERDICTS}}
            for namespace, counted in sorted(_by_namespace(templates).items())
        ],
        "codes": dict(sorted(Counter(code for row in templates for code in _codes(row)).items())),
        "identities": len(data["identities"]),
        "consumers": len(data["consumers"]),
        "not_looked_at": len(data["not_looked_at"]),
    }


def _codes(row: t.Mapping[str, t.Any]) -> set[str]:
    return {item["code"] for item in row["blocked"]}


def _by_namespace(templates: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for row in templates:
        found.setdefault(row["namespace"], Counter())[row["verdict"]] += 1
    return found
