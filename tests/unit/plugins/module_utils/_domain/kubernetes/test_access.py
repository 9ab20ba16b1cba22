# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which bindings name a service account, and what is asked about the rights that they give."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import access
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.access import Binding, Question
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

Raw = dict[str, Any]


def binding(*subjects: Raw, namespace: str = "team", role: tuple[str, str] = ("Role", "r"), name: str = "b") -> Binding:
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    reference = {"kind": role[0], "name": role[1]}
    return Binding.parse(kind, {"metadata": metadata, "roleRef": reference, "subjects": list(subjects)})


def account(name: str = "web", namespace: str = "") -> Raw:
    return {"kind": "ServiceAccount", "name": name, **({"namespace": namespace} if namespace else {})}


@table(
    "subjects, namespace, names",
    ([account(namespace="team")], "team", True),
    ([account()], "team", True),
    ([account(namespace="other")], "team", False),
    ([account()], "other", False),
    ([account(namespace="team")], "", True),
    ([account("web2", "team")], "team", False),
    ([{"kind": "User", "name": "system:serviceaccount:team:web"}], "other", True),
    ([{"kind": "User", "name": "web"}], "team", False),
    ([{"kind": "Group", "name": "system:serviceaccounts:team"}], "team", False),
    ([{"kind": "Group", "name": "web"}, account("x"), account()], "team", True),
    ([{}], "team", False),
    ([], "team", False),
)
def test_who_is_named(subjects: list[Raw], namespace: str, names: bool) -> None:
    assert binding(*subjects, namespace=namespace).names("team", "web") is names


def test_a_binding_without_subjects_names_nobody() -> None:
    raw = {"metadata": {"name": "b", "namespace": "team"}, "subjects": None, "roleRef": None}
    assert not Binding.parse("RoleBinding", raw).names("team", "web")


def rule(verbs: str, groups: str = "", resources: str = "", names: str = "", urls: str = "") -> Raw:
    found = {"verbs": verbs.split(), "apiGroups": [each.replace("core", "") for each in groups.split()]}
    found |= {"resources": resources.split(), "resourceNames": names.split(), "nonResourceURLs": urls.split()}
    return {key: value for key, value in found.items() if value}


@table(
    "namespace, rules, asked",
    ("team", [rule("get list", "core", "pods secrets")], ["get pods", "get secrets", "list pods", "list secrets"]),
    ("team", [rule("get", "core apps", "x"), rule("get", "apps", "x")], ["get x", "get x.apps"]),
    ("team", [rule("*", "*", "*")], ["* *.*"]),
    ("team", [rule("get", "core", "pods/log */scale")], ["get */scale", "get pods/log"]),
    ("team", [rule("get", "core", "configmaps", "a b")], ["get configmaps a", "get configmaps b"]),
    ("team", [rule("get", urls="/metrics")], []),
    ("", [rule("get", urls="/metrics /healthz/*")], ["get /healthz/*", "get /metrics"]),
    ("", [rule("get", "core", "nodes")], ["get nodes"]),
    ("", [], []),
    ("", [{"verbs": None, "apiGroups": None}], []),
)
def test_what_is_asked(namespace: str, rules: list[Raw], asked: list[str]) -> None:
    one = binding(account(), namespace=namespace, role=("ClusterRole", "r"))
    found = access.questions([one, one], {("ClusterRole", "", "r"): rules})
    assert {each.namespace for each in found} <= {namespace}
    where = f" in namespace {namespace}" if namespace else ""
    assert sorted(map(str, found)) == sorted(f"{each}{where}" for each in asked)


def test_roles_are_those_of_the_namespace_or_of_the_cluster() -> None:
    place = {"name": "r", "namespace": "other"}
    role = {"metadata": place, "rules": [rule("get", "core", "pods")]}
    known = access.roles({"Role": [role], "ClusterRole": [{"metadata": {"name": "c"}, "rules": None}]})
    assert access.questions([binding(account()), binding(account(), role=("ClusterRole", "c"))], known) == ()
    assert access.questions([binding(account(), namespace="other")], known) == (
        Question("other", "get", "", "pods", "", "", ""),
    )


def test_too_many_rights_are_refused_before_they_are_counted_out() -> None:
    many = " ".join(f"n{number}" for number in range(1000))
    with pytest.raises(Failure) as refused:
        access.questions([binding(account())], {("Role", "team", "r"): [rule(many, many, many, many)]})
    assert "RoleBinding team/b gives cannot be compared, because Role team/r" in refused.value.sentence


def test_differences_are_told_from_both_sides() -> None:
    asked = [Question("team", "get", "", each) for each in ("a", "b", "c", "d", "e")]
    found = access.compare(asked, [True, True, False, False, True], [True, False, False, True, False])
    assert [each.question.resource for each in found] == ["b", "d", "e"]
    assert access.told(found, "A", "B") == (
        "B may not get b in namespace team, get e in namespace team, as A may, and B may get d in namespace team, as A "
        "may not"
    )
    assert found[0].view()["like"] is True and found[0].view()["service_account"] is False
    assert access.compare(asked, [True] * 5, [True] * 5) == ()
