# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each finding by one thing that is wrong with a cluster that has none."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.catalogue import address
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.findings import findings
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    ID,
    Raw,
    assigned,
    binding,
    exception,
    healthy,
    identity,
    pod,
    template,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import Groups, codes, for_each, worlds_by_name

Objects = dict[str, list[Raw]]


def found(objects: Objects, namespaces: set[str] | None = None, **settings: t.Any) -> list[tuple[str, str]]:
    inventory = Inventory(Cluster.parse(objects, settings), namespaces)
    every = findings.find(inventory)
    assert all(finding.references[0] == address(finding.code) for finding in every)
    return [(finding.code, finding.object) for finding in every]


def changed(**lists: list[Raw]) -> Objects:
    return {**healthy(), **lists}


def only_templates(*templates: Raw, **lists: list[Raw]) -> Objects:
    """Nothing runs yet."""
    return changed(Pod=[], ReplicaSet=[], AzureAssignedIdentity=[], Deployment=list(templates), **lists)


def running(*pods: Raw, **lists: list[Raw]) -> Objects:
    """These pods, which nobody makes."""
    return changed(Deployment=[], ReplicaSet=[], Pod=list(pods), **lists)


def held(*assignments: Raw) -> Objects:
    return changed(AzureAssignedIdentity=list(assignments))


def second(selector: str = "x") -> Objects:
    """Beside the identity another one, bound by this selector."""
    return {
        "AzureIdentity": [identity(), identity("j")],
        "AzureIdentityBinding": [binding(), binding("c", "j", selector)],
    }


POD = healthy()["Pod"][0]
STRAY = pod(owner=("ReplicaSet", "web-1"), selector="y")
ENDED = pod(owner=("ReplicaSet", "web-1"), phase="Succeeded")
LONG, EQUAL = "w" * 250, (pod("web-0"), pod("web-0", namespace="other"))
DEPLOYMENT, IDENTITY, BINDING = "Deployment team/web", "AzureIdentity team/i", "AzureIdentityBinding team/b"
LIVE = "AzureAssignedIdentity default/web-1-a-team-i"

OLD_PATH, NEW_PATH = (f"/var/run/secrets/azure/{place}/azure-identity-token" for place in ("tokens", "wi/token"))


def mutated(own: str = NEW_PATH, proxy: Raw | None = None, **container: t.Any) -> Objects:
    """The pod went through the webhook of Workload ID. ``own``: where it has its token; ``proxy``: its state."""
    env = [{"name": "AZURE_FEDERATED_TOKEN_FILE", "value": own}] if own else []
    app = {"name": "app", **container, "env": [*env, *container.get("env", [])]}
    states = [{"name": "azwi-proxy-init", "state": proxy or {"terminated": {}}}]
    one = pod(owner=("ReplicaSet", "web-1"), spec={"containers": [app]}, initContainerStatuses=states)
    return changed(Pod=[one])


def with_accounts(number: int) -> list[Raw]:
    return [template(f"w{n}", spec={"serviceAccountName": f"s{n}"}) for n in range(number)]


def waiting(reason: str, message: str = "") -> Raw:
    return {"waiting": {"reason": reason, "message": message}}


NOT_MADE = waiting("CreateContainerConfigError", "runAsUser breaks non-root policy")
GROUPS: Groups[Objects] = {
    (("nothing_matches", DEPLOYMENT), ("binding_unused", BINDING)): {
        "no binding": only_templates(template(selector="y"))
    },
    ("nothing_matches", DEPLOYMENT): {
        "a selector in another case": only_templates(template(selector="X")),
    },
    (
        *(("nothing_matches", DEPLOYMENT), ("azure_identity_missing", BINDING)),
        ("identity_unbound", "AzureIdentity team/j"),
    ): {"a binding of nothing": only_templates(template(), AzureIdentity=[identity("j")])},
    ("nothing_matches", "Deployment other/web"): {
        "namespaced identity elsewhere": only_templates(
            template(namespace="other"), AzureIdentity=[identity(behavior="namespaced")]
        )
    },
    ("ambiguous_default", DEPLOYMENT): {"two identities": only_templates(template(), **second())},
    ("no", "finding"): {
        "two bindings of one identity": only_templates(template(), AzureIdentityBinding=[binding(), binding("c")]),
        "mic itself": only_templates(template(), template("mic", "", "default", labels={"component": "mic"})),
        "20 service accounts": only_templates(*with_accounts(20)),
        "the path of the token that it has": mutated(own=OLD_PATH, command=["app", OLD_PATH]),
        "the folder of the token that it has": mutated(own=OLD_PATH, args=[OLD_PATH.rpartition("/")[0]]),
        "another path that is mounted too": mutated(
            args=[OLD_PATH], volumeMounts=[{"mountPath": f"{OLD_PATH.rpartition('/')[0]}/"}]
        ),
        "a path of the token without Workload ID": mutated(own="", args=[OLD_PATH]),
        "a proxy that is about to start": mutated(proxy=waiting("PodInitializing")),
        "another container that cannot be made": changed(
            Pod=[{**POD, "status": {**POD["status"], "containerStatuses": [{"name": "app", "state": NOT_MADE}]}}]
        ),
    },
    ("identity_shadowed", "Deployment team/web"): {
        "one name in two namespaces": only_templates(
            template(),
            AzureIdentity=[identity(), identity(namespace="q")],
            AzureIdentityBinding=[binding(), binding(namespace="q")],
        )
    },
    ("excepted", DEPLOYMENT): {
        "excepted": only_templates(template(), AzurePodIdentityException=[exception(app="Web")])
    },
    ("host_network", DEPLOYMENT): {"host network": only_templates(template(spec={"hostNetwork": True}))},
    ("taken_for_mic", "Deployment default/microservice"): {
        "begins with mic": only_templates(template("microservice", namespace="default"))
    },
    ("label_of_pods_differs", DEPLOYMENT): {
        "labelled otherwise than its template": changed(Pod=[STRAY], AzureAssignedIdentity=[])
    },
    ("ended_pods_hold", DEPLOYMENT): {
        "ended pods": changed(Pod=[ENDED]),
        "another path of the token in a pod that has ended": changed(
            Pod=[{**one, "status": {"phase": "Succeeded"}} for one in mutated(args=[OLD_PATH])["Pod"]]
        ),
    },
    ("no", "service_account_shared"): {
        "one service account, two AzureIdentities of one client id": only_templates(
            *(template(), template("api", "y")),
            **{
                **second("y"),
                "AzureIdentity": [identity(), {**identity("j"), "spec": identity()["spec"]}],
            },
        )
    },
    ("service_account_shared", "ServiceAccount team/web"): {
        "one service account, two identities": only_templates(template(), template("api", "y"), **second("y"))
    },
    (("resource_id_malformed", IDENTITY), ("binding_unused", BINDING)): {
        "bad resource id": only_templates(
            template(selector=""), AzureIdentity=[identity(resourceID="/subscriptions/s")]
        )
    },
    ("client_id_case", IDENTITY): {"upper case": only_templates(template(), AzureIdentity=[identity(clientID="ABC")])},
    ("client_id_missing", IDENTITY): {
        "no client id": only_templates(template(), AzureIdentity=[identity(clientID="")]),
        "no client id of a service principal": only_templates(
            template(), AzureIdentity=[identity(type=1, clientID="")]
        ),
    },
    ("type_unsupported", IDENTITY): {"type 3": only_templates(template(), AzureIdentity=[identity(type=3)])},
    ("behavior_unknown", IDENTITY): {
        "behavior in another case": only_templates(template(), AzureIdentity=[identity(behavior="Namespaced")])
    },
    ("client_ids_of_one_resource", IDENTITY): {
        "one resource, two client ids": only_templates(
            template(),
            template("api", "y", spec={"serviceAccountName": "api"}),
            AzureIdentity=[identity(), identity("j", resourceID=(ID + "team-i").upper())],
            AzureIdentityBinding=[binding(), binding("c", "j", "y")],
        )
    },
    ("federated_credentials_exceeded", IDENTITY): {"21 service accounts": only_templates(*with_accounts(21))},
    ("identity_unbound", "AzureIdentity team/j"): {
        "identity without binding": changed(AzureIdentity=[identity(), identity("j")])
    },
    ("azure_identity_missing", "AzureIdentityBinding q/c"): {
        "binding without identity": changed(AzureIdentityBinding=[binding(), binding("c", "k", namespace="q")])
    },
    (("selector_impossible", "AzureIdentityBinding team/c"), ("selector_impossible", "AzureIdentityBinding team/d")): {
        "selector that no label can have": changed(
            AzureIdentityBinding=[binding(), binding("c", selector=""), binding("d", selector="a b")]
        )
    },
    ("binding_unused", "AzureIdentityBinding team/c"): {
        "binding that nothing selects": changed(AzureIdentityBinding=[binding(), binding("c", selector="y")])
    },
    ("assignment_contested", "AzureAssignedIdentity a-b-c-i"): {
        "pods that come to one name": running(
            *(pod("a", namespace="b-c"), pod("a-b", namespace="c")),
            AzureAssignedIdentity=[assigned(pod("a", namespace="b-c"), binding(), identity())],
        )
    },
    ("assignment_unwritable", f"Pod team/{LONG}"): {
        "a name that is too long": running(pod(LONG), AzureAssignedIdentity=[])
    },
    ("pod_names_equal", "Pod other/web-0"): {
        "pods of one name in two namespaces": running(
            *EQUAL, AzureAssignedIdentity=[assigned(each, binding(), identity()) for each in EQUAL]
        )
    },
    ("assignment_missing", "AzureAssignedIdentity web-1-a-team-i"): {"not assigned": held()},
    ("assignment_differs", LIVE): {
        "assigned with an old client id": held(assigned(POD, binding(), identity(clientID="old")))
    },
    ("assignment_without_cause", "AzureAssignedIdentity default/gone-team-i"): {
        "assigned to a pod that is gone": held(
            *healthy()["AzureAssignedIdentity"], assigned(pod("gone"), binding(), identity())
        )
    },
    ("assignment_pending", LIVE): {"not on the scale set": held(assigned(POD, binding(), identity(), "Created"))},
    ("token_path_differs", DEPLOYMENT): {
        "another path of the token in an argument": mutated(args=[f"--token-file={OLD_PATH}"]),
        "another path of the token in a variable": mutated(env=[{"name": "TOKEN", "value": OLD_PATH}]),
    },
    ("proxy_not_started", DEPLOYMENT): {
        "a proxy that cannot be made": mutated(proxy=NOT_MADE),
        "a proxy without its image": mutated(proxy=waiting("ImagePullBackOff")),
    },
    ("assignment_twice", "AzureAssignedIdentity web-1-a-team-i"): {
        "assigned in two namespaces": held(
            *(assigned(POD, binding(), identity(), namespace=namespace) for namespace in ("default", "team"))
        )
    },
    (("assignment_without_cause", LIVE), ("assignment_of_missing_node", LIVE)): {
        "a node that is gone": changed(
            Pod=[], Deployment=[template()], Node=[], AzureAssignedIdentity=healthy()["AzureAssignedIdentity"]
        )
    },
}
CASES = worlds_by_name(GROUPS)


def test_a_healthy_cluster_has_none() -> None:
    assert found(healthy()) == []


@pytest.mark.parametrize("name", CASES)
def test_findings(name: str) -> None:
    objects, expected = CASES[name]
    assert found(objects) == expected


def test_each_finding_has_a_case() -> None:
    assert codes(CASES) == {check.code for check in findings.checks()}


def _findings(objects: Objects) -> tuple[findings.Finding, ...]:
    return findings.find(Inventory(Cluster.parse(objects, {})))


@for_each(
    (
        "no binding",
        "no binding has this selector",
        "AzureIdentityBinding with selector 'y' in namespace team,",
    ),
    ("namespaced identity elsewhere", "AzureIdentity team/i serves pods of its own namespace", "in namespace other."),
    ("a selector in another case", "AzureIdentityBinding team/b selects 'x', in another case", "Write the label"),
    ("a binding of nothing", "name no AzureIdentity that is there", "correct azureIdentity of the binding"),
)
def test_why_nothing_matches_and_what_mends_it(name: str, why: str, remedy: str) -> None:
    (one,) = [one for one in _findings(CASES[name][0]) if one.code == "nothing_matches"]
    assert why in one.message and remedy in one.remedy


def test_an_identity_without_a_binding_is_named() -> None:
    lists = only_templates(template(selector="y"), AzureIdentityBinding=[])
    (one,) = [one for one in _findings(lists) if one.code == "nothing_matches"]
    assert "for AzureIdentity team/i, which has none" in one.remedy


@for_each(("x", "kubectl rollout restart"), ("", "Put the label into the template"))
def test_pods_that_differ_are_made_anew_where_the_template_is_right(selector: str, remedy: str) -> None:
    lists = changed(
        Pod=[STRAY],
        AzureAssignedIdentity=[],
        Deployment=[template(selector=selector)],
        ReplicaSet=[template("web-1", owner=("Deployment", "web"), replicas=1, selector=selector)],
    )
    (one,) = [one for one in _findings(lists) if one.code == "label_of_pods_differs"]
    assert remedy in one.remedy


@pytest.mark.parametrize("name", CASES)
def test_each_finding_belongs_to_the_namespaces_that_it_concerns(name: str) -> None:
    """MIC keeps every assignment in the namespace default, which none of them concerns."""
    objects, expected = CASES[name]
    there = [one for one in expected if " default/" in one[1] and not one[1].startswith("AzureAssignedIdentity")]
    elsewhere = found(objects, {"team", "other", "q"})
    assert found(objects, {"default"}) == there
    assert [one for one in expected if one in elsewhere or one in there] == expected


def test_a_finding_across_namespaces_belongs_to_each() -> None:
    objects = only_templates(
        template(namespace="other"),
        AzureIdentity=[identity(), identity("j")],
        AzureIdentityBinding=[binding(), binding("c", to="j")],
    )
    expected = [("ambiguous_default", "Deployment other/web")]
    assert found(objects, {"team"}) == found(objects, {"other"}) == expected


def test_texts() -> None:
    for objects, _expected in CASES.values():
        for finding in findings.find(Inventory(Cluster.parse(objects, {}))):
            assert finding.message.endswith(".") and finding.remedy.endswith(".")
            assert finding.severity in ("error", "warning", "info")
            assert "\n" not in finding.message


def test_managed_mode_has_no_assignments_to_compare() -> None:
    live = changed(AzureAssignedIdentity=[assigned(pod("gone"), binding(), identity())])
    assert found(live, mode="managed") == []
    empty = changed(AzureIdentityBinding=[binding(), binding("c", selector="")])
    assert found(empty, mode="managed") == [("selector_impossible", "AzureIdentityBinding team/c")]


def test_what_was_not_read_is_not_compared() -> None:
    objects = healthy()
    del objects["AzureAssignedIdentity"], objects["Node"]
    assert found(objects) == []


def test_what_a_kubelet_says_is_shown_escaped() -> None:
    """A part of it may be a tenant's."""
    (one,) = findings.find(
        Inventory(Cluster.parse(mutated(proxy=waiting("CreateContainerConfigError", "a\x1b[2J\nb")), {}))
    )
    assert one.message == (
        "The container azwi-proxy-init of Pod team/web-1-a waits (CreateContainerConfigError: a\\x1b[2J\\nb)."
    )
