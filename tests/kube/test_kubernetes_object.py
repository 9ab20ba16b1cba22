# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module kubernetes_object at a real API server."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Runner

PLANTED = "planted-5b1d"


@pytest.fixture
def write(api_server: ApiServer) -> Runner:
    return Runner(api_server, "kubernetes_object")


def test_the_life_of_an_object(write: Runner, client: Client, namespace: str) -> None:
    place = {"kind": "ConfigMap", "name": "settings", "namespace": namespace}
    definition: dict[str, Any] = {"metadata": {"labels": {"app": "a"}}, "data": {"mode": "one", "more": "yes"}}
    desired = {**place, "definition": definition}

    def both(**options: Any) -> dict[str, Any]:
        """What check mode says is what happens; afterwards there is nothing to do."""
        before = client.get(kinds.CONFIG_MAP, namespace, "settings")
        predicted = write(**options, check=True).ok()
        assert client.get(kinds.CONFIG_MAP, namespace, "settings") == before
        done, again = write(**options).ok(), write(**options).ok()
        for key in ("changed", "actions", "changes", "diff", "result"):
            assert predicted[key] == done[key]
        assert (done["changed"], again["changed"], again["actions"]) == (True, False, [])
        return done

    done = both(**desired)
    assert done["actions"] == [f"create ConfigMap {namespace}/settings"]
    assert done["diff"] == {"before": {}, "after": definition}
    assert done["result"] == {"name": "settings", "namespace": namespace, "existed": False}
    change: dict[str, Any] = {"metadata": {"labels": {"app": None}}, "data": {"mode": "two"}}
    done = both(**place, definition=change, state="patched")
    assert done["actions"] == [f"change ConfigMap {namespace}/settings"]
    assert done["diff"] == {"before": {"metadata": {"labels": {"app": "a"}}, "data": {"mode": "one"}}, "after": change}
    live = client.get(kinds.CONFIG_MAP, namespace, "settings") or {}
    assert (live["data"], live["metadata"].get("labels")) == ({"mode": "two", "more": "yes"}, None)

    uid = str(live["metadata"]["uid"])
    refused = write(**place, state="absent", uid="another")
    assert "was changed by somebody else in the meantime" in refused.failure()
    done = both(**place, state="absent", uid=uid, wait=True, propagation="Foreground")
    assert done["diff"] == {"before": {"metadata": {"name": "settings", "uid": uid}}, "after": {}}
    assert done["result"]["existed"] and client.get(kinds.CONFIG_MAP, namespace, "settings") is None
    missing = write(**place, definition=change, state="patched")
    assert missing.failure() == (
        f"ConfigMap {namespace}/settings does not exist, so it cannot be changed: check its name."
    )


def test_what_a_secret_holds_is_shown_nowhere(write: Runner, client: Client, namespace: str) -> None:
    data = {"password": base64.b64encode(PLANTED.encode()).decode()}
    place = {"kind": "Secret", "name": "api", "namespace": namespace}
    outcomes = [write(**place, data=data, check=check) for check in (True, False)]
    outcomes.append(write(**place, data={"password": base64.b64encode(f"{PLANTED}2".encode()).decode()}, check=True))
    assert outcomes[1].ok()["diff"]["after"] == {"data": {"password": "(not shown)"}}
    assert outcomes[2].ok()["diff"]["after"] == {"data": {"password": "(not shown, changed)"}}
    assert (client.get(kinds.SECRET, namespace, "api") or {})["data"] == data
    refused = write(**place, definition={"stringData": {"password": PLANTED}})
    assert "What the Secret api holds would be shown" in refused.failure()
    outcomes += [write(**place, data={"a b": data["password"]}), write(**place, state="absent")]
    assert "its reason is not told here" in outcomes[-2].failure()
    for outcome in outcomes:
        assert PLANTED not in outcome.output and data["password"] not in outcome.output


def test_a_definition_is_waited_for(write: Runner, client: Client) -> None:
    name = "waits.example.com"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Wait", "plural": "waits"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    place = {"kind": "CustomResourceDefinition", "api_version": "apiextensions.k8s.io/v1", "name": name, "wait": True}
    assert write(**place, definition={"spec": spec}).ok()["changed"]
    live = client.get(kinds.CUSTOM_RESOURCE_DEFINITION, None, name) or {}
    assert "Established" in {each["type"] for each in live["status"]["conditions"] if each["status"] == "True"}
    client.merge(kinds.CUSTOM_RESOURCE_DEFINITION, None, name, {"metadata": {"finalizers": ["example.com/held"]}})
    held = write(**place, state="absent", wait_timeout=1)
    assert held.failure() == (
        f"CustomResourceDefinition {name} was still there 1 seconds after its deletion: look at its finalizers, and "
        "run again."
    )
    assert held.result["changed"]
    client.merge(kinds.CUSTOM_RESOURCE_DEFINITION, None, name, {"metadata": {"finalizers": None}})
    write(**place, state="absent").ok()
    assert client.get(kinds.CUSTOM_RESOURCE_DEFINITION, None, name) is None


def test_what_the_server_leaves_out_is_no_change(write: Runner, client: Client) -> None:
    client.create(kinds.NODE, None, {"metadata": {"name": "uncordoned"}})
    desired = {
        "kind": "Node",
        "name": "uncordoned",
        "state": "patched",
        "definition": {"spec": {"unschedulable": False}},
    }
    assert [write(**desired, check=check).ok()["changed"] for check in (True, False)] == [False, False]
    client.delete(kinds.NODE, None, "uncordoned")


def test_check_mode_asks_the_server_once_what_a_patch_does(
    write: Runner, api_server: ApiServer, namespace: str
) -> None:
    desired = {"kind": "ConfigMap", "name": "settings", "namespace": namespace}
    write(**desired, definition={"data": {"mode": "one"}}).ok()
    for mode, told in (("two", ""), ({"a": "b"}, "settings")):
        begin = len(api_server.events())
        predicted = write(**desired, definition={"data": {"mode": mode}}, check=True)
        assert told in predicted.failure() if told else predicted.ok()["changed"]
        asked = [each["requestURI"] for each in api_server.events()[begin:] if each["verb"] == "patch"]
        assert ["dryRun=All" in each for each in asked if namespace in each] == [True]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kind": "Pot"}, "The kind Pot of v1 is not one that this collection works with"),
        ({"kind": "ConfigMap"}, "The ConfigMap x needs a namespace: set namespace."),
        ({"kind": "Node", "token": RESTRICTED}, "may not get nodes"),
        ({"kind": "Node", "uid": "u"}, "With state=present the option uid has no effect: leave it out."),
        (
            {"kind": "Node", "state": "absent", "data": {"key": "dmFsdWU="}},
            "With state=absent the option data has no effect",
        ),
    ],
)
def test_what_is_refused(write: Runner, client: Client, options: dict[str, Any], told: str) -> None:
    assert told in write(name="x", definition={}, **options).failure()
    assert client.get(kinds.NODE, None, "x") is None
