# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What RBAC gives to a service account: the bindings that name it, and what to ask the API server about their rules.

Rights that it has by its groups, every service account of its namespace has as well. What other authorizers allow is
not seen.
"""

from __future__ import annotations

import itertools
import math
import typing as t
from dataclasses import dataclass

from ..errors import Failure
from ..matching.matching import Raw
from ..names import listed
from .sources import place

ROLE, CLUSTER_ROLE = "Role", "ClusterRole"
ROLE_BINDING, CLUSTER_ROLE_BINDING = "RoleBinding", "ClusterRoleBinding"
BINDINGS = (ROLE_BINDING, CLUSTER_ROLE_BINDING)
# Questions about one account: a rule of a few kilobytes, which any tenant may write, can stand for millions.
MOST = 20_000

Key = tuple[str, str, str]  # kind, namespace, name
Roles = t.Mapping[Key, t.Sequence[Raw]]


def user_name(namespace: str, account: str) -> str:
    """The user that the API server knows a service account as."""
    return f"system:serviceaccount:{namespace}:{account}"


def groups(namespace: str) -> list[str]:
    """The groups of every service account of a namespace."""
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


@dataclass(frozen=True)
class Binding:
    """A RoleBinding or, in no namespace, a ClusterRoleBinding; ``role``: of which it gives the rights."""

    kind: str
    namespace: str
    name: str
    role: Key
    subjects: tuple[Raw, ...]
    raw: Raw

    @classmethod
    def parse(cls, kind: str, raw: Raw) -> Binding:
        namespace, name = place(raw)
        reference = raw.get("roleRef") or {}
        of_kind = str(reference.get("kind", ""))
        role = of_kind, namespace if of_kind == ROLE else "", str(reference.get("name", ""))
        return cls(kind, namespace, name, role, tuple(raw.get("subjects") or ()), raw)

    @property
    def key(self) -> Key:
        return self.kind, self.namespace, self.name

    @property
    def label(self) -> str:
        return labelled(self.key)

    def names(self, namespace: str, account: str) -> bool:
        """Whether it names the account itself, as such or as the user that it is."""
        return any(self._is(subject, namespace, account) for subject in self.subjects)

    def _is(self, subject: Raw, namespace: str, account: str) -> bool:
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "User":
            return bool(name == user_name(namespace, account))
        return kind == "ServiceAccount" and (subject.get("namespace") or self.namespace, name) == (namespace, account)


def bindings(objects: t.Mapping[str, t.Iterable[Raw]]) -> tuple[Binding, ...]:
    """Those of the lists of both kinds."""
    return tuple(Binding.parse(kind, raw) for kind in BINDINGS for raw in objects.get(kind, ()))


def roles(objects: t.Mapping[str, t.Iterable[Raw]]) -> Roles:
    """The rules of each role in the lists of both kinds."""
    return {(kind, *place(raw)): raw.get("rules") or () for kind in (ROLE, CLUSTER_ROLE) for raw in objects[kind]}


def labelled(key: Key) -> str:
    """How a person calls an object."""
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


@dataclass(frozen=True, order=True)
class Question:
    """Whether an account may do this; with ``url`` nothing else but the verb counts.

    ``namespace`` is empty for all of them.
    """

    namespace: str
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    url: str = ""

    def view(self) -> dict[str, str]:
        return {
            "namespace": self.namespace,
            "verb": self.verb,
            "api_group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "name": self.name,
            "non_resource_url": self.url,
        }

    def __str__(self) -> str:
        if self.url:
            return f"{self.verb} {self.url}"
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        what += f"/{self.subresource}" if self.subresource else ""
        what += f" {self.name}" if self.name else ""
        return f"{self.verb} {what}" + (f" in namespace {self.namespace}" if self.namespace else "")


def questions(several: t.Iterable[Binding], known: Roles) -> tuple[Question, ...]:
    """Everything that the roles of these bindings grant, each once; wildcards as they are.

    Raises Failure where that is too much to ask.
    """
    found: set[Question] = set()
    for binding in several:
        for rule in known.get(binding.role, ()):
            parts = _parts(binding, rule)
            # Counted before they are made.
            if len(found) + sum(math.prod(len(each) for each in part) for part in parts) > MOST:
                raise Failure(
                    f"The rights that {binding.label} gives cannot be compared, because {labelled(binding.role)} and "
                    f"those before it grant more than {MOST} single ones: use roles with fewer names, or wildcards."
                )
            for part in parts:
                found.update(Question(*each) for each in itertools.product(*part))
    return tuple(sorted(found))


def _parts(binding: Binding, rule: Raw) -> list[tuple[t.Sequence[str], ...]]:
    """The values of each field of a question, whose product the rule grants."""
    verbs, names = _texts(rule, "verbs"), _texts(rule, "resourceNames") or ("",)
    parts: list[tuple[t.Sequence[str], ...]] = []
    for resource in _texts(rule, "resources"):
        kind, _slash, subresource = resource.partition("/")
        parts.append(((binding.namespace,), verbs, _texts(rule, "apiGroups"), (kind,), (subresource,), names, ("",)))
    if not binding.namespace:  # in a namespace there are none
        parts.append((("",), verbs, ("",), ("",), ("",), ("",), _texts(rule, "nonResourceURLs")))
    return parts


def _texts(rule: Raw, key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(each) for each in rule.get(key) or ()))


@dataclass(frozen=True)
class Difference:
    """What one of both accounts may and the other may not."""

    question: Question
    like: bool
    account: bool

    def view(self) -> dict[str, t.Any]:
        return {**self.question.view(), "like": self.like, "service_account": self.account}


def compare(asked: t.Sequence[Question], like: t.Sequence[bool], account: t.Sequence[bool]) -> tuple[Difference, ...]:
    """Where the answers about both accounts differ."""
    answered = zip(asked, like, account)
    return tuple(Difference(*each) for each in answered if each[1] != each[2])


def told(found: t.Sequence[Difference], like: str, account: str) -> str:
    """The first differences, as a clause; ``like`` and ``account`` are names."""
    lacks, has = ([str(each.question) for each in found if each.like is is_like] for is_like in (True, False))
    parts = [f"{account} may not {listed(lacks)}, as {like} may"] if lacks else []
    parts += [f"{account} may {listed(has)}, as {like} may not"] if has else []
    return ", and ".join(parts)
