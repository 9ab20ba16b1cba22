# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Who may have an identity: by Workload ID everybody who may create pods, or tokens, for a service account.

With AAD Pod Identity it was everybody who may create pods with the label of a binding, in the namespaces that the
identity serves. RBAC is read as the API server does: rules of roles, and who is bound to them; whatever other
authorizers allow is not seen. What Kubernetes itself binds (``system:...``) is left out, but cluster-admin.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import cached_property

from ..kubernetes.sources import place
from ..matching.inventory import full_name
from ..matching.matching import Raw
from .plan import Plans
from .world import World

KINDS = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
# What makes pods: itself or by its controller. Whoever changes a template makes pods, too.
_PODS = {
    "": frozenset({"pods", "replicationcontrollers"}),
    "apps": frozenset({"deployments", "statefulsets", "daemonsets", "replicasets"}),
    "batch": frozenset({"jobs", "cronjobs"}),
}
_WRITES = frozenset({"create", "update", "patch", "*"})
_TOKENS = ("serviceaccounts/token", "*/token", "*")
_ITS_OWN = "system:"


@dataclass(frozen=True)
class Gain:
    """``before`` and ``after``: labels of users, groups and service accounts. ``accounts``: whose pods it is for.

    ``identity``: resource id of a managed identity, client id of an application behind that word, or kind, namespace
    and name of an AzureIdentity with neither.
    """

    identity: str
    accounts: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]

    def view(self) -> dict[str, t.Any]:
        gained, lost = set(self.after) - set(self.before), set(self.before) - set(self.after)
        return {
            "identity": self.identity,
            "service_accounts": list(self.accounts),
            "before": list(self.before),
            "after": list(self.after),
            "gained": sorted(gained),
            "lost": sorted(lost),
        }


class Rights:
    """Who may do what, by namespace; '' stands for the whole cluster."""

    def __init__(self, objects: t.Mapping[str, t.Sequence[Raw]]) -> None:
        self._objects = objects
        self._makers: dict[str, frozenset[str]] = {}

    @cached_property
    def _bound(self) -> t.Mapping[str, tuple[tuple[frozenset[str], t.Sequence[Raw]], ...]]:
        """Subjects and the rules that they are bound to."""
        roles = {("Role", *place(raw)): raw.get("rules") or () for raw in self._objects["Role"]}
        roles.update(
            {("ClusterRole", "", place(raw)[1]): raw.get("rules") or () for raw in self._objects["ClusterRole"]}
        )
        found: dict[str, list[tuple[frozenset[str], t.Sequence[Raw]]]] = {}
        for kind in ("RoleBinding", "ClusterRoleBinding"):
            for raw in self._objects[kind]:
                namespace, name = place(raw)
                if kind == "ClusterRoleBinding":
                    namespace = ""
                    if name.startswith(_ITS_OWN):
                        continue
                reference = raw.get("roleRef") or {}
                what = str(reference.get("kind", "")), str(reference.get("name", ""))
                rules = roles.get((what[0], namespace if what[0] == "Role" else "", what[1]), ())
                subjects = frozenset(_subject(each, namespace) for each in raw.get("subjects") or ())
                found.setdefault(namespace, []).append((subjects, rules))
        return {namespace: tuple(several) for namespace, several in found.items()}

    def makers(self, namespace: str) -> frozenset[str]:
        """Who may make pods in a namespace."""
        if namespace not in self._makers:
            self._makers[namespace] = self._who(namespace, _makes_pods)
        return self._makers[namespace]

    def makers_anywhere(self) -> frozenset[str]:
        return _union(self.makers(namespace) for namespace in ("", *self._bound))

    def token_makers(self, namespace: str, account: str) -> frozenset[str]:
        return self._who(namespace, lambda rule: _makes_tokens(rule, account))

    def _who(self, namespace: str, allows: t.Callable[[Raw], bool]) -> frozenset[str]:
        every = (*self._bound.get("", ()), *(self._bound.get(namespace, ()) if namespace else ()))
        return _union(subjects for subjects, rules in every if any(map(allows, rules)))


def find(world: World, planned: Plans) -> list[Gain]:
    """One for each identity that workloads get; none where RBAC was not read."""
    if not world.read(*KINDS):
        return []
    rights = Rights(world.observed.objects)
    served: dict[str, set[tuple[str, str]]] = {}
    namespaces: dict[str, set[str]] = {}
    rules = world.observed.inventory.cluster.rules
    for one, _plan in planned:
        for given, identity in zip(one.identities, one.targets):
            key = world.holder(identity) or f"AzureIdentity {full_name(identity)}"
            served.setdefault(key, set()).add((one.namespace, world.account_of(one)))
            namespaces.setdefault(key, set())
            if given == identity:  # AAD Pod Identity gives to nobody what takes the place of another
                # '' stands for all of them.
                namespaces[key].add(identity.namespace if rules.confines(identity) else "")
    found = []
    for key, accounts in served.items():
        after = _union(rights.makers(namespace) | rights.token_makers(namespace, name) for namespace, name in accounts)
        every = "" in namespaces[key]
        before = rights.makers_anywhere() if every else _union(map(rights.makers, namespaces[key]))
        told = world.managed[key].resource_id if key in world.managed else key
        told = f"application {key}" if key in world.applications else told
        names = tuple(sorted("/".join(each) for each in accounts))
        found.append(Gain(told, names, tuple(sorted(before)), tuple(sorted(after))))
    return sorted(found, key=lambda one: one.identity.lower())


def _union(several: t.Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset(label for labels in several for label in labels)


def _makes_pods(rule: Raw) -> bool:
    groups, resources, verbs = (set(rule.get(key) or ()) for key in ("apiGroups", "resources", "verbs"))
    if not verbs & _WRITES:
        return False
    # What is to be created has no name yet, so that a rule with names allows changes only.
    if rule.get("resourceNames") and not verbs & {"update", "patch", "*"}:
        return False
    for group, kinds in _PODS.items():
        if groups & {group, "*"}:
            wanted = resources & kinds if "*" not in resources else kinds
            if wanted - {"pods"} or (wanted and verbs & {"create", "*"} and not rule.get("resourceNames")):
                return True
    return False


def _makes_tokens(rule: Raw, account: str) -> bool:
    names = rule.get("resourceNames") or ()
    return (
        bool({"", "*"}.intersection(rule.get("apiGroups") or ()))
        and bool({"create", "*"}.intersection(rule.get("verbs") or ()))
        and any(each in _TOKENS for each in rule.get("resources") or ())
        and (not names or account in names)
    )


def _subject(raw: Raw, namespace: str) -> str:
    kind, name = str(raw.get("kind", "")), str(raw.get("name", ""))
    return f"{kind} {raw.get('namespace') or namespace}/{name}" if kind == "ServiceAccount" else f"{kind} {name}"
