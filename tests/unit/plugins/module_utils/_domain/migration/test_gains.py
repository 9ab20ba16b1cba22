# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may have an identity before and after."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.observed import Choices
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import Raw
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

from .migration_world import CLIENT_ID, IDS, Made, made, metadata, principal

PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
TOKENS = {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}


def bound(
    rule: Raw, subject: Raw | None = None, namespace: str = "", *, of_cluster: bool = False, name: str = "who"
) -> t.Callable[[Made], None]:
    """Binds a role with that rule to a subject, in a namespace or in the whole cluster."""

    def change(one: Made) -> None:
        kind = "ClusterRole" if of_cluster or not namespace else "Role"
        place = metadata(name, namespace) if kind == "Role" else {"name": name}
        one.objects[kind].append({"metadata": place, "rules": [rule]})
        binding = "RoleBinding" if namespace else "ClusterRoleBinding"
        at = metadata(name, namespace) if namespace else {"name": name}
        subjects = [subject or {"kind": "User", "name": "ann"}]
        one.objects[binding].append({"metadata": at, "roleRef": {"kind": kind, "name": name}, "subjects": subjects})

    return change


def namespaced(one: Made) -> None:
    one.objects["AzureIdentity"][0]["metadata"]["annotations"] = {"aadpodidentity.k8s.io/Behavior": "namespaced"}


def gain(*changes: t.Callable[[Made], object]) -> dict[str, t.Any]:
    (found,) = made(*changes).data()["gains"]
    return t.cast("dict[str, t.Any]", found)


def test_nobody() -> None:
    found = gain()
    assert found["identity"] == f"{IDS}i" and found["service_accounts"] == ["team/web"]
    assert found["before"] == found["after"] == found["gained"] == found["lost"] == []


@pytest.mark.parametrize("of_cluster", [False, True])
def test_who_may_make_pods_there_could_and_can(of_cluster: bool) -> None:
    found = gain(bound(PODS, namespace="team", of_cluster=of_cluster))
    assert found["before"] == found["after"] == ["User ann"] and found["gained"] == []


def test_who_may_make_pods_elsewhere_loses() -> None:
    """A binding serves pods of every namespace, unless its identity is for its own."""
    found = gain(bound(PODS, namespace="other"))
    assert (found["lost"], found["gained"]) == (["User ann"], [])
    found = gain(bound(PODS, namespace="other"), namespaced)
    assert found["lost"] == found["before"] == []


def test_who_could_be_a_service_principal_may_not_have_what_takes_its_place() -> None:
    """Who may make pods there could be the one, and gains the other."""
    found = gain(principal, bound(PODS, namespace="team"))
    assert (found["identity"], found["before"], found["gained"]) == (f"application {CLIENT_ID}", ["User ann"], [])

    def replaced(one: Made) -> None:
        one.choices = Choices(replacements={"team/i": f"{IDS}money"})

    found = gain(principal, replaced, bound(PODS, namespace="team"))
    assert (found["identity"], found["before"], found["gained"]) == (f"{IDS}money", [], ["User ann"])


def test_who_may_make_tokens_gains() -> None:
    vault = {"kind": "ServiceAccount", "name": "vault", "namespace": "vault"}
    assert gain(bound(TOKENS, vault))["gained"] == ["ServiceAccount vault/vault"]
    assert gain(bound(TOKENS, {"kind": "ServiceAccount", "name": "x"}, "team"))["gained"] == ["ServiceAccount team/x"]
    assert gain(bound(TOKENS, vault, "other"))["gained"] == []


@table(
    "rule, after",
    ({**TOKENS, "resourceNames": ["web"]}, True),
    ({**TOKENS, "resourceNames": ["other"]}, False),
    ({**TOKENS, "verbs": ["get"]}, False),
    ({**TOKENS, "apiGroups": ["apps"]}, False),
    ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, True),
    ({**PODS, "resourceNames": ["web"]}, False),
    ({**PODS, "verbs": ["patch"]}, False),
    ({**PODS, "verbs": ["get", "list"]}, False),
    ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}, True),
    ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"], "resourceNames": ["a"]}, True),
    ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"], "resourceNames": ["a"]}, False),
    ({"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["update"]}, False),
    ({"apiGroups": [""], "resources": ["deployments"], "verbs": ["create"]}, False),
    ({"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["create"]}, True),
)
def test_rules_as_the_api_server_reads_them(rule: Raw, after: bool) -> None:
    assert gain(bound(rule, namespace="team"))["after"] == (["User ann"] if after else [])


def test_a_role_that_does_not_exist_gives_nothing() -> None:
    def without(one: Made) -> None:
        bound(PODS, namespace="team")(one)
        one.objects["Role"] = []

    assert gain(without)["after"] == []


def test_a_role_of_another_namespace_is_another_one() -> None:
    def moved(one: Made) -> None:
        bound(PODS, namespace="team")(one)
        one.objects["Role"][0]["metadata"]["namespace"] = "other"

    assert gain(moved)["after"] == []


def test_what_kubernetes_binds_itself_is_left_out_but_nothing_of_a_tenant() -> None:
    assert gain(bound(PODS, name="system:controller:x"))["after"] == []
    assert gain(bound(PODS, namespace="team", name="system:mine"))["after"] == ["User ann"]


@pytest.mark.parametrize("kind", ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"])
def test_nothing_is_told_where_rights_were_not_read(kind: str) -> None:
    assert made(bound(PODS), lambda one: one.objects.pop(kind)).data()["gains"] == []
