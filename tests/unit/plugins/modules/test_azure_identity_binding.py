# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""azure_identity_binding with whatever people may write into its options, while there is no cluster yet."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from ansible.module_utils.basic import PASS_VARS
from ansible.module_utils.testing import patch_module_args
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.modules import azure_identity_binding

RESOURCE_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
GOOD: dict[str, Any] = {
    "name": "billing",
    "namespace": "billing",
    "binding_name": "billing",
    "selector": "billing",
    "resource_id": RESOURCE_ID,
    "client_id": CLIENT_ID,
    "labels": {"team": "a"},
}
# What YAML makes of unquoted words, texts that stand for code elsewhere, and texts in general.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(
        ["", " ", "{{ 1 / 0 }}", "{% raw %}", "$(id)", "`id`", "../..", "a\x00b", "a\nb", "ß", "１", "K", "\ud7ff"]
    ),
    st.sampled_from(
        ["(known after apply)", "default", "kube-system", "a" * 64, "a" * 254, "A", "a.b", "-a", "a-", "0"]
    ),
    st.text(max_size=300),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(
        st.text(max_size=5), st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=70)), max_size=3
    ),
)
SPEC = set(azure_identity_binding.argument_spec().options["bindings"]["options"])
ENTRIES = st.lists(
    st.builds(
        lambda changes, missing: {key: value for key, value in {**GOOD, **changes}.items() if key not in missing},
        st.dictionaries(st.sampled_from(sorted(SPEC)), VALUES, max_size=3),
        st.sets(st.sampled_from(sorted(GOOD)), max_size=1),
    ),
    max_size=4,
)


def run(options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """In check mode, before there is a cluster: exit status and result."""
    printed = io.StringIO()
    known = ("check_mode", "diff", "inject_invocation")  # the last is not known to every ansible-core, and is on there
    told = {f"_ansible_{name}": True for name in known if name in PASS_VARS}
    arguments = {"kubeconfig": "(known after apply)", **options, **told}
    with patch_module_args(arguments), contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as left:
        azure_identity_binding.main()
    return int(left.value.code or 0), json.loads(printed.getvalue())


@settings(max_examples=300)
@given(ENTRIES, st.dictionaries(st.sampled_from(["owner", "purge_namespaces", "accept", "batch", "namespace"]), VALUES))
def test_whatever_is_written_is_predicted_or_refused_in_a_sentence(
    entries: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    status, result = run({"bindings": entries, **options})
    assert "defect" not in str(result.get("msg"))
    if status:
        assert result["failed"] and str(result["msg"]).strip()
        return
    for one, entry in zip(result["result"]["bindings"], entries, strict=True):
        assert isinstance(one["name"], str)
        assert one["name"] == str(entry["name"]), "no text is read as anything but itself"
    assert json.loads(json.dumps(result)) == result


def test_a_huge_list_is_predicted() -> None:
    entries = [{**GOOD, "name": f"i{number}", "binding_name": None, "selector": f"s{number}"} for number in range(5000)]
    status, result = run({"bindings": entries})
    assert (status, len(result["actions"]), len(result["planned"])) == (0, 10000, 10000)
    assert result["reassigned_pods"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "one of the following is required"),
        ({"name": "a"}, "namespace"),
        ({"bindings": [GOOD], "name": "a", "namespace": "a"}, "mutually exclusive"),
        ({"bindings": [{**GOOD, "namespace": None}]}, "has no namespace"),
        ({"bindings": [], "purge_bindings": True, "namespace": "a"}, "purge_allow_empty"),
        ({**GOOD, "purge_bindings": True}, "give that list"),
        ({"bindings": [GOOD], "batch": 0}, "set 1 or more"),
        ({"bindings": [{**GOOD, "labels": {"a": None}}]}, "put it in quotes"),
        ({**GOOD, "client_password_secret": 5}, "client_password_secret must be a dictionary, and is of type int"),
        ({"bindings": [GOOD, {"client_password_secret": 5.5}]}, "bindings[1].client_password_secret must be a dict"),
        ({"bindings": [{"client_password_secret": [True]}]}, "bindings[0].client_password_secret must be a dictionary"),
        ({**GOOD, "proxy_headers": 5}, "option proxy_headers must be a dictionary"),
        ({**GOOD, "batch": float("inf")}, "option batch must be a whole number"),
        ({**GOOD, "batch": "-Infinity"}, "option batch must be a whole number"),
    ],
)
def test_options_that_do_not_fit_together(options: dict[str, Any], words: str) -> None:
    status, result = run(options)
    assert status == 1 and words in result["msg"]


def test_no_secret_is_shown_where_options_cannot_be_read() -> None:
    status, result = run({"bindings": [{**GOOD, "client_password": "pa55-word-x", "client_password_secret": 5}]})
    assert status == 1 and result["failed"] and "pa55" not in str(result)


def test_secrets_of_a_list_are_not_shown() -> None:
    principal = {"type": 1, "client_id": CLIENT_ID, "tenant_id": CLIENT_ID, "client_password": "pa55-word-x"}
    entries = [{"name": name, "namespace": "n", "selector": name, **principal} for name in "ab"]
    status, result = run({"bindings": entries})
    assert (status, len(result["actions"])) == (0, 6)
    assert "pa55" not in str(result)
