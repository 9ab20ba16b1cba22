# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import fnmatch
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import permissions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.permissions import (
    EVERYONE,
    Access,
    Block,
    Denial,
    Lock,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

ME, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
SUBSCRIPTION = "/subscriptions/s"
GROUP = "/subscriptions/s/resourceGroups/rg"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
WRITE, READ = "Microsoft.ManagedIdentity/userAssignedIdentities/write", "Microsoft.Resources/x/read"
GRANT, DELETE = "Microsoft.Authorization/roleAssignments/write", "Microsoft.Resources/x/delete"
KUBECONFIG = "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action"
ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
MANAGEMENT = "/providers/Microsoft.Management/managementGroups/m"
ALL = (Block(("*",)),)
CONTRIBUTOR = Block(("*",), ("Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write"))


@for_each(
    ("*", WRITE, True),
    ("*/read", READ, True),
    ("*/read", WRITE, False),
    (WRITE.upper(), WRITE, True),
    ("Microsoft.Authorization/*/Write", GRANT, True),
    ("Microsoft.Authorization/*", GRANT, True),
    ("Microsoft.Authorization", GRANT, False),
    ("Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action", ASSIGN, True),
    ("Microsoft.ManagedIdentity/userAssignedIdentities/*/read", ASSIGN, False),
    ("Microsoft.ContainerService/managedClusters/*", KUBECONFIG, True),
    ("Microsoft.ContainerService/managedClusters/list*/action", KUBECONFIG, True),
    ("Microsoft.Compute/a.b/read", "Microsoft.Compute/aXb/read", False),
    ("a/*/*/b", "a/b", True),
    ("", WRITE, False),
)
def test_patterns(pattern: str, action: str, expected: bool) -> None:
    assert permissions.matches(pattern, action) is expected


SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", "*", "a*", "*b"]), min_size=1, max_size=5)


@given(SEGMENTS, st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=6))
def test_patterns_match_as_globs_do_but_for_segments_that_may_be_missing(pattern: list[str], action: list[str]) -> None:
    """An independent matcher: a glob over the text, where a star between slashes may also be left out with them."""
    variants = [pattern]
    for position in range(len(pattern) - 2, 0, -1):
        if pattern[position] == "*":
            variants += [one[:position] + one[position + 1 :] for one in variants]
    text = "/".join(action)
    expected = any(fnmatch.fnmatchcase(text, "/".join(variant)) for variant in variants)
    assert permissions.matches("/".join(pattern).upper(), text) is expected


@given(st.sampled_from([WRITE, READ, GRANT, DELETE, KUBECONFIG, ASSIGN]), st.permutations([CONTRIBUTOR, *ALL]))
def test_a_role_that_excepts_an_action_takes_nothing_from_another(action: str, blocks: list[Block]) -> None:
    assert permissions.granted(blocks, action)


def _denial(**changes: object) -> Denial:
    parts: dict[str, object] = {"name": "lockdown", "scope": GROUP, "blocks": (Block(("*",), ("*/read",)),)}
    parts |= {"principals": frozenset({EVERYONE}), "excluded": frozenset()}
    return Denial(**{**parts, **changes})  # type: ignore[arg-type]


def locked(level: str, scope: str = GROUP) -> Access:
    return Access(ALL, (), (Lock("keep", scope, level),))


def denied(**changes: object) -> Access:
    """To me, who may do everything otherwise."""
    return Access(ALL, (_denial(**changes),), (), frozenset({ME}))


@for_each(
    case("owner", WRITE, GROUP, Access(ALL), ""),
    case("nothing", WRITE, GROUP, Access(), "not_granted"),
    case("contributor-grants-no-roles", GRANT, GROUP, Access((CONTRIBUTOR,)), "not_granted"),
    case("contributor", WRITE, GROUP, Access((CONTRIBUTOR,)), ""),
    case("denied-from-above", WRITE, IDENTITY, Access(ALL, (_denial(),)), "denied"),
    case("excepted-by-the-denial", READ, IDENTITY, Access(ALL, (_denial(),)), ""),
    case("denied-here", WRITE, GROUP, Access(ALL, (_denial(here_only=True),)), "denied"),
    case("not-denied-below", WRITE, IDENTITY, Access(ALL, (_denial(here_only=True),)), ""),
    case("denied-only-below", WRITE, GROUP, Access(ALL, (_denial(scope=IDENTITY),)), ""),
    case("case-of-scopes", WRITE, GROUP.upper(), Access(ALL, (_denial(),)), "denied"),
    case("a-group-with-a-longer-name", WRITE, f"{GROUP}-2", Access(ALL, (_denial(),)), ""),
    case("another", WRITE, GROUP, denied(principals=frozenset({OTHER})), ""),
    case("me", WRITE, GROUP, denied(principals=frozenset({ME})), "denied"),
    case("excluded", WRITE, GROUP, denied(excluded=frozenset({ME})), ""),
    case("read-only", WRITE, IDENTITY, locked("ReadOnly"), "locked"),
    case("read-only-no-roles", GRANT, GROUP, locked("ReadOnly"), "locked"),
    case("read-only-post", KUBECONFIG, IDENTITY, locked("ReadOnly"), "locked"),
    case("read-only-linked", ASSIGN, IDENTITY, locked("ReadOnly"), ""),
    case("read-only-read", READ, IDENTITY, locked("ReadOnly"), ""),
    case("read-only-below", WRITE, GROUP, locked("ReadOnly", IDENTITY), ""),
    case("no-delete-write", WRITE, IDENTITY, locked("CanNotDelete"), ""),
    case("no-delete", DELETE, IDENTITY, locked("CanNotDelete"), "locked"),
    case("no-delete-below", DELETE, GROUP, locked("CanNotDelete", IDENTITY), "locked"),
    case("lock-beside", DELETE, GROUP, locked("CanNotDelete", f"{GROUP}2"), ""),
)
def test_verdicts(action: str, scope: str, access: Access, reason: str) -> None:
    answer = permissions.judge(action, scope, access)
    assert (answer.reason if answer else "") == reason
    if answer:
        assert answer.remedy.endswith(".") and answer.remedy.count(". ") == 0
        assert answer.by == {"denied": "lockdown", "locked": "keep"}.get(reason, "")


def test_bodies_of_the_service_are_read() -> None:
    body = {
        "id": f"{GROUP}/providers/Microsoft.Authorization/denyAssignments/x",
        "properties": {
            "denyAssignmentName": "AKS-NRG-Lockdown",
            "scope": GROUP,
            "permissions": [{"actions": ["*/write"], "notActions": [READ]}],
            "principals": [{"id": EVERYONE, "type": "SystemDefined"}],
            "excludePrincipals": [{"id": ME.upper(), "type": "ServicePrincipal"}],
            "doNotApplyToChildScopes": True,
        },
    }
    assert Denial.parse(body) == Denial(
        "AKS-NRG-Lockdown", GROUP, (Block(("*/write",), (READ,)),), frozenset({EVERYONE}), frozenset({ME}), True
    )
    place = f"{IDENTITY}/providers/Microsoft.Authorization/locks/keep"
    lock = {"id": place, "name": "keep", "properties": {"level": "ReadOnly"}}
    assert Lock.parse(lock) == Lock("keep", IDENTITY, "ReadOnly")
    assert Block.parse({}) == Block(())


@for_each(
    (IDENTITY, GROUP, GROUP),
    (GROUP, GROUP, SUBSCRIPTION),
    (SUBSCRIPTION, SUBSCRIPTION, ""),
    ("/", "/", ""),
    ("/providers/Microsoft.Management/managementGroups/m", "/providers/Microsoft.Management/managementGroups/m", ""),
)
def test_where_a_scope_lies(scope: str, place: str, above: str) -> None:
    assert (permissions.place(scope), permissions.above(scope)) == (place, above)


def test_scopes_without_a_subscription() -> None:
    assert permissions.absolute("/resourceGroups/rg/", "s") == GROUP
    assert permissions.absolute(GROUP, "another") == GROUP
    assert permissions.absolute("/", "s") == "/"


def test_who_a_token_was_given_to() -> None:
    payload = base64.urlsafe_b64encode(json.dumps({"oid": ME.upper(), "groups": [OTHER]}).encode()).decode().rstrip("=")
    assert permissions.caller(f"x.{payload}.y") == {ME, OTHER}
    with pytest.raises(Failure, match="log in again"):
        permissions.caller("opaque")
