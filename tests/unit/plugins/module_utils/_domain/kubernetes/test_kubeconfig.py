# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import kubeconfig
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

EXEC = {"exec": {"command": "kubelogin", "args": ["get-token", "--server-id", "11", "--login", "devicecode"]}}
PROVIDER = {"auth-provider": {"name": "azure", "config": {"apiserver-id": "22"}}}


def config(user: dict[str, Any]) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": "https://c.hcp:443"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        "users": [{"name": "u", "user": user}],
    }


def jwt(**claims: Any) -> str:
    return "h." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".s"


def test_what_a_kubeconfig_leads_to() -> None:
    assert kubeconfig.summary(config({})) == {"server": "https://c.hcp:443", "context": "x", "cluster": "c"}
    assert kubeconfig.summary({}) == {"server": "", "context": "", "cluster": ""}


@for_each(
    (EXEC, "11"),
    ({"exec": {"command": "kubelogin", "args": ["get-token"]}}, kubeconfig.AKS_SERVER),
    (PROVIDER, "22"),
    ({"token": "t", "client-key-data": "k"}, None),
)
def test_a_login_is_recognized(user: dict[str, Any], server: str | None) -> None:
    assert kubeconfig.login_server(config(user)) == server


@pytest.mark.parametrize("user", [EXEC, PROVIDER])
def test_a_token_takes_the_place_of_a_login(user: dict[str, Any]) -> None:
    before = config(user)
    after = kubeconfig.with_token(before, "T")
    assert after["users"][0]["user"] == {"token": "T"}
    assert before["users"][0]["user"] == user
    assert {**after, "users": 0} == {**before, "users": 0}


@for_each(
    (jwt(oid="me", exp=5000), True),
    (jwt(oid="me", exp=1000 + kubeconfig.TOKEN_RESERVE), False),
    (jwt(oid="other", exp=5000), False),
    (jwt(oid="me"), False),
    ("opaque", False),
)
def test_a_token_is_kept_while_it_lives_long_enough(old: str, kept: bool) -> None:
    new = jwt(oid="me", exp=9000)
    chosen = kubeconfig.with_kept_token(config({"token": new}), config({"token": old}), now=1000)
    assert kubeconfig.token(chosen) == (old if kept else new)


def test_a_file_of_several_clusters_is_not_ours() -> None:
    kubeconfig.refuse_foreign("/f", ["Demo"], "demo")
    kubeconfig.refuse_foreign("/f", [], "demo")
    with pytest.raises(Failure, match=r"other clusters than demo \(work\)"):
        kubeconfig.refuse_foreign("/f", ["demo", "work"], "demo")


@given(st.text())
def test_no_text_breaks_the_reader_of_tokens(text: str) -> None:
    assert isinstance(kubeconfig.claims(text), dict)
