# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a diagnosis is of, as people name it, and what it makes of whatever files hold."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given, settings

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import reading
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.diagnose import (
    Cause,
    diagnose,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.events import Event
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.scope import Scope
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.support.installed_objects import (
    LATELY,
    NOW,
    WEBHOOKS,
    crashing,
    installed,
    log,
    observed,
    pod_of,
    program,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

from ..kubernetes.odd_documents import JUNK, document, objects_with, places


@for_each(
    (None, None, None, Scope()),
    ("team", None, None, Scope("team")),
    (None, None, "team/web-1", Scope("team", pod="web-1")),
    ("team", None, "web-1", Scope("team", pod="web-1")),
    ("team", None, "team/web-1", Scope("team", pod="web-1")),
    ("team", "team/deployment/web", None, Scope("team", "deployment/web")),
    (None, "team/web", None, Scope("team", "web")),
    (None, "team/deployment/web", None, Scope("team", "deployment/web")),
    ("team", "web", None, Scope("team", "web")),
    ("team", "deployment/web", None, Scope("team", "deployment/web")),
    ("", "", "", Scope()),
)
def test_scope(namespace: str | None, workload: str | None, pod: str | None, scope: Scope) -> None:
    assert Scope.parse(namespace, workload, pod) == scope


@for_each((None, "web-1"), (None, "/web-1"), (None, "team/"), (None, "team/pod/web-1"), ("team", "other/web-1"))
def test_what_names_no_pod(namespace: str | None, pod: str) -> None:
    with pytest.raises(Failure, match="is not named as NAMESPACE/NAME"):
        Scope.parse(namespace, None, pod)


@for_each((None, "web"), (None, "a/b/c/d"), ("team", "a/b/c"), (None, "team//web"))
def test_what_names_no_workload(namespace: str | None, workload: str) -> None:
    with pytest.raises(Failure, match="is not named as NAMESPACE/NAME"):
        Scope.parse(namespace, workload, None)


def _document() -> t.Any:
    """A cluster in which something of each kind is wrong, as kubectl writes it."""
    objects = installed()
    webhook = program("Deployment", "azure-wi-webhook-controller-manager", image="workload-identity/webhook")
    webhook["spec"]["template"]["metadata"] = {"labels": {"azure-workload-identity.io/system": "true"}}
    objects["Deployment"].append(webhook)
    nmi = objects["DaemonSet"][0]
    objects["Pod"] += [pod_of(webhook, "azure-wi-1", status=crashing())]
    objects["Pod"] += [pod_of(nmi, "nmi-2", on="n2", status=crashing())]
    objects["MutatingWebhookConfiguration"] = [WEBHOOKS]
    lock = {"metadata": {"name": "aad-pod-identity-mic", "namespace": "default"}}
    objects["Endpoints"], objects["Lease"] = [lock], [{**lock, "spec": {"holderIdentity": "mic-1"}}]
    egress = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443, "protocol": "TCP"}]}]
    policy = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": egress}
    objects["NetworkPolicy"] = [{"metadata": {"name": "p", "namespace": "team"}, "spec": policy}]
    ending = {"deletionTimestamp": "2026-03-01T11:00:00Z", "finalizers": ["kubernetes"]}
    objects["Namespace"] = [{"metadata": {"name": "team"}}, {"metadata": {"name": "old", **ending}}]
    renewed = {"renewTime": "2026-03-01T11:00:00Z"}
    objects["Lease"].append({"metadata": {"name": "n1", "namespace": "kube-node-lease"}, "spec": renewed})
    objects["ConfigMap"] = [
        {"metadata": {"name": name, "namespace": "kube-system"}, "data": data}
        for name, data in (("kube-proxy", {"config.conf": "mode: nftables"}), ("cilium-config", {"a": "b"}))
    ]
    objects["ServiceAccount"] = [{"metadata": {"name": "web", "namespace": "team"}}]
    about = {"kind": "Pod", "namespace": "team", "name": "web-1-a"}
    told = {"involvedObject": about, "type": "Warning", "reason": "Failed", "message": "odd", "count": 3}
    objects["Event"] = [{"metadata": {"name": "e", "namespace": "team"}, **told}]
    return document(objects)


DOCUMENT = _document()


@settings(max_examples=500)
@given(places(DOCUMENT), JUNK)
def test_whatever_is_at_any_place_of_a_file(path: tuple[t.Any, ...], junk: t.Any) -> None:
    """A diagnosis that can be shown, or a sentence about the file."""
    objects = objects_with(junk, path, DOCUMENT)
    if objects is None:
        return
    events = tuple(map(Event.parse, objects.pop("Event", [])))
    reading.last_moment(objects, NOW)
    reading.secrets_named(objects)
    seen = observed(objects, events=events, logs=(log("mic", "mic-1", "E0301 09:00:00.000000 1 a.go:1] 403"),))
    reading.logs_wanted(seen.components, 1_000_000, NOW)
    found = diagnose(seen).as_data()
    assert json.dumps(found)
    for each in found["causes"]:
        assert all(each[key].isprintable() for key in ("object", "symptom", "cause"))
        assert each["fix"]["command"].isprintable() and len(each["fix"]["command"]) <= 4_000


def _without_nmi(name: str) -> Cause:
    """The cause where the DaemonSet of that name has no pod."""
    objects = installed()
    objects["DaemonSet"][0]["metadata"]["name"] = name
    objects["Pod"] = [each for each in objects["Pod"] if not each["metadata"]["name"].startswith("nmi")]
    return diagnose(observed(objects)).causes[0]


def test_a_file_may_leave_out_the_namespace_of_mic() -> None:
    objects = installed()
    mic = next(each for each in objects["Deployment"] if each["metadata"]["name"] == "mic")
    del mic["metadata"]["namespace"]
    objects["Endpoints"], objects["Lease"] = [], []
    found = diagnose(observed(objects)).causes
    assert [one.object for one in found if one.code == "mic_without_leader"] == ["Deployment /mic"]


def test_what_files_name_is_escaped() -> None:
    first = _without_nmi("nmi\u202e\x1b[2J")
    assert (first.code, first.evidence[0].source) == ("nmi_missing_on_node", "DaemonSet kube-system/nmi\\u202e\\x1b[2J")
    assert first.fix.text and first.fix.command == ""


def test_a_command_is_whole_or_not_at_all() -> None:
    for length in (600, 3_000):
        assert _without_nmi("n" * length).fix.command.split()[-1] == "n" * length
    assert _without_nmi("n" * 4_000).fix.command == ""


RECENTLY = "2026-03-01T11:59:30Z"


def _unassigned(
    *, made: str = "2026-03-01T08:00:00Z", scheduled: str = "", bound: str = "", created: str = ""
) -> dict[str, list[t.Any]]:
    """A cluster in which MIC has not assigned the identity; what of it was made when.

    ``created``: when MIC has made the assignment that it has not finished.
    """
    objects = installed()
    web = objects["Pod"][0]
    web["metadata"]["creationTimestamp"] = made
    if scheduled:
        web["status"]["conditions"] = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": scheduled}]
    for kind in ("AzureIdentity", "AzureIdentityBinding"):
        objects[kind][0]["metadata"]["creationTimestamp"] = bound or made
    if created:
        objects["AzureAssignedIdentity"][0]["metadata"]["creationTimestamp"] = created
        objects["AzureAssignedIdentity"][0]["status"]["status"] = "Created"
    else:
        objects["AzureAssignedIdentity"] = []
    return objects


@for_each(
    case("for hours", {}, "proved"),
    case("a pod of half a minute", {"made": RECENTLY}, "possible"),
    case("a pod of two minutes", {"made": "2026-03-01T11:58:00Z"}, "proved"),
    case("a pod that waited for its node", {"scheduled": RECENTLY}, "possible"),
    case("a binding of half a minute", {"bound": RECENTLY}, "possible"),
    case("begun half a minute ago", {"created": RECENTLY}, "possible"),
    case("begun ten minutes ago", {"created": LATELY}, "proved"),
    case("not of that pod", {"created": LATELY, "scheduled": RECENTLY}, "proved"),
    case("made at no time", {"made": "yesterday"}, "proved"),
)
def test_what_mic_may_be_about_to_do_is_not_told_as_broken(times: dict[str, str], certainty: str) -> None:
    found = diagnose(observed(_unassigned(**times)))
    (one,) = found.causes
    assert one.code == ("assignment_pending" if "created" in times else "assignment_missing")
    broken = certainty == "proved" and "created" not in times
    assert (one.certainty, found.verdict) == (certainty, "broken" if broken else "suspect")
    assert (one.evidence[-1].time != "") == (certainty == "possible")


def _left(*, mic: str = LATELY, instead: str = "") -> dict[str, list[t.Any]]:
    """The pod of the assignment is gone; MIC started when, and another pod came when."""
    objects = installed()
    gone = objects["Pod"].pop(0)
    for each in objects["Pod"]:
        each["status"]["startTime"] = mic
    if instead:
        other = {**gone["metadata"], "name": "web-1-b", "creationTimestamp": instead}
        objects["Pod"].append({**gone, "metadata": other})
    return objects


@for_each(
    case("pod gone, MIC old", {}, "proved"),
    case("MIC restarted half a minute ago", {"mic": RECENTLY}, "possible"),
    case("another pod came half a minute ago", {"instead": RECENTLY}, "possible"),
    case("another pod came ten minutes ago", {"instead": LATELY}, "proved"),
)
def test_what_mic_may_be_about_to_remove_is_not_told_as_broken(times: dict[str, str], certainty: str) -> None:
    found = diagnose(observed(_left(**times)))
    (one,) = [each for each in found.causes if each.code == "assignment_without_cause"]
    assert one.certainty == certainty and one.cause.startswith("MIC should have removed this assignment")


def test_what_is_explained_is_not_on_its_way() -> None:
    """MIC is gone, so that nothing comes however young the pod is."""
    objects = _unassigned(made=RECENTLY)
    objects["Deployment"] = [each for each in objects["Deployment"] if each["metadata"]["name"] != "mic"]
    found = diagnose(observed(objects))
    (one,) = [each for each in found.causes if each.code == "assignment_missing"]
    assert (one.certainty, one.because, found.verdict) == ("proved", ("mic_missing",), "broken")
