# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes in the installation: for each a world that has it, and healthy neighbours that have none."""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.azure import (
    Azure,
    IdentityInAzure,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.cause import (
    CERTAINTIES,
    LIKELY,
    LOGS,
    POSSIBLE,
    PROVED,
    Suspicion,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.events import Event
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import Observed, Unread
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.of_installation import TABLE
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import FINALIZER
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import Raw, pod, template
from ansible_collections.azureops.pod_identity.tests.support.installed_objects import (
    LATELY,
    LONG_AGO,
    binding,
    crashing,
    installed,
    log,
    node,
    observed,
    pod_of,
    program,
    role,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

Objects = dict[str, list[Raw]]
World = t.Callable[[Objects], "Observed | None"]
NMI_LABEL, MIC_LABEL = "DaemonSet kube-system/nmi", "Deployment kube-system/mic"
GPU = {"key": "sku", "value": "gpu", "effect": "NoSchedule"}
OWN = "aadpodidentity.k8s.io"
MANAGED = ["--operation-mode=managed", "--forceNamespaced=true"]


def found(world: World) -> list[tuple[str, Suspicion]]:
    objects = installed()
    seen = world(objects) or observed(objects)
    return [(row.code, one) for row in TABLE.rows for one in row.look(seen)]


def nmi_pods(objects: Objects, *pods: Raw, program: str = "nmi") -> None:
    """Put these in the place of those that there are."""
    others = [each for each in objects["Pod"] if not each["metadata"]["name"].startswith(program)]
    objects["Pod"] = [*others, *pods]


def mic_pods(objects: Objects, *pods: Raw) -> None:
    nmi_pods(objects, *pods, program="mic")


def nmi_of(objects: Objects) -> Raw:
    """The template of its pods."""
    made: Raw = objects["DaemonSet"][0]["spec"]["template"]["spec"]
    return made


def mic_of(objects: Objects) -> Raw:
    return next(each for each in objects["Deployment"] if each["metadata"]["name"] == "mic")


def having(**lists: list[Raw] | None) -> World:
    """These instead of the lists that there are; None: it was not read."""

    def world(objects: Objects) -> None:
        for kind, several in lists.items():
            if several is None:
                del objects[kind]
            else:
                objects[kind] = several

    return world


nothing = having(DaemonSet=[], Deployment=[template()])
only_alike = having(
    ClusterRoleBinding=[], DaemonSet=[program("DaemonSet", "nmi", namespace="team")], Deployment=[template()]
)
no_mic = having(Deployment=[template()])
unknown_kind = having(CustomResourceDefinition=None, AzureIdentity=None)


def no_definition(objects: Objects) -> None:
    objects["CustomResourceDefinition"] = objects["CustomResourceDefinition"][1:]


def dying_definition(objects: Objects) -> None:
    objects["CustomResourceDefinition"][0]["metadata"]["deletionTimestamp"] = LATELY


def held_definition(*finalizers: str) -> World:
    """Of what MIC assigned; its object stays until the finalizers are gone."""

    def world(objects: Objects) -> None:
        name = f"azureassignedidentities.{OWN}"
        definitions = objects["CustomResourceDefinition"]
        next(each for each in definitions if each["metadata"]["name"] == name)["metadata"]["deletionTimestamp"] = LATELY
        objects["AzureAssignedIdentity"][0]["metadata"]["finalizers"] = list(finalizers)

    return world


def mic_scaled_down(objects: Objects) -> None:
    mic_of(objects)["spec"]["replicas"] = 0
    mic_pods(objects)


def mic_without_image(objects: Objects) -> Observed:
    waits = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling\n{{ x }}"}}}
    mic_pods(objects, pod_of(mic_of(objects), "mic-1", ready=False, status=waits, labels={"component": "mic"}))
    told = Event("Pod kube-system/mic-1", "Failed", "Error: ErrImagePull", "kubelet", True, 3, LATELY)
    return observed(objects, events=(told, Event("Pod team/web-1-a", "Failed", "other", "", True)))


def mic_crashes(status: Raw, *lines: str) -> World:
    def world(objects: Objects) -> Observed:
        mic_pods(objects, pod_of(mic_of(objects), "mic-1", ready=False, status=status))
        return observed(objects, logs=(log("mic", "mic-1", "\n".join(lines), previous=True),))

    return world


def nmi_crashes(status: Raw, *lines: str, arguments: t.Sequence[str] = (), azure: Azure | None = None) -> World:
    def world(objects: Objects) -> Observed:
        nmi_of(objects)["containers"][0]["args"] += arguments
        nmi_pods(objects, pod_of(objects["DaemonSet"][0], "nmi-1", ready=False, status=status))
        return observed(objects, azure=azure, logs=(log("nmi", "nmi-1", "\n".join(lines), previous=True),))

    return world


def fatal(text: str) -> str:
    return f"F0301 11:50:00.000000       1 main.go:82] {text}"


def tainted(objects: Objects) -> None:
    objects["Node"] = [node("n1", GPU)]
    nmi_pods(objects)


def not_selected(objects: Objects) -> None:
    nmi_of(objects)["nodeSelector"] = {"pool": "identity"}
    nmi_pods(objects)


def nmi_that_ends(deleted: str) -> World:
    """As in a rolling update: its successor is made when it is gone. ``deleted``: when it is to be gone."""

    def world(objects: Objects) -> None:
        one = pod_of(objects["DaemonSet"][0], "nmi-1")
        one["metadata"]["deletionTimestamp"] = deleted
        nmi_pods(objects, one)

    return world


def nmi_without_image(objects: Objects) -> None:
    waits = {"state": {"waiting": {"reason": "ErrImagePull"}}}
    nmi_pods(objects, pod_of(objects["DaemonSet"][0], "nmi-1", ready=False, status=waits))


def by_helm(raw: Raw, chart: str = "aad-pod-identity-4.1.16") -> None:
    annotations = {"meta.helm.sh/release-name": "api", "meta.helm.sh/release-namespace": "pods"}
    raw["metadata"].update(annotations=annotations, labels={"helm.sh/chart": chart})


FORBIDDEN = (
    "E0301 11:50:00.000000 1 reflector.go:127] Failed to list *v1.Pod: pods is forbidden: User "
    '"system:serviceaccount:kube-system:default" cannot list resource "pods" in API group "" at the cluster scope'
)
READS = ["list", "watch"]


def lacks(kind: str, verb: str, *lines: str) -> World:
    """The role gives everything but this on this kind."""

    def world(objects: Objects) -> Observed:
        own = {
            "azureidentities": READS,
            "azureidentitybindings": READS,
            "azurepodidentityexceptions": READS,
            "azureassignedidentities": [*READS, "create", "update", "delete"],
        }
        rules = [
            {"apiGroups": [OWN], "resources": [name], "verbs": [each for each in verbs if (name, each) != (kind, verb)]}
            for name, verbs in own.items()
        ]
        pods = {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": READS}
        objects["ClusterRole"] = [role(*rules, pods)]
        return observed(objects, logs=(log("nmi", "nmi-1", "\n".join(lines)),) if lines else ())

    return world


def mic_crashes_without_rights(objects: Objects) -> Observed:
    """That it ends for want of rights is told by what is missing, not a second time."""
    crash = mic_crashes(crashing(), FORBIDDEN.replace("E0301", "F0301"))(objects)
    assert crash is not None
    lacks("azureassignedidentities", "create")(objects)
    return crash


def two(objects: Objects) -> None:
    addon = program("DaemonSet", "nmi-addon", image="nmi", hostNetwork=True)
    addon["metadata"]["labels"] = {"kubernetes.azure.com/managedby": "aks"}
    by_helm(objects["DaemonSet"][0])
    objects["DaemonSet"].append(addon)
    objects["Pod"].append(pod_of(addon, "nmi-addon-1"))


def old_mic(objects: Objects) -> None:
    mic_of(objects)["spec"]["template"]["spec"]["containers"][0]["image"] = "mcr.microsoft.com/mic:1.5.5"


def old_mic_refused(objects: Objects) -> Observed:
    old_mic(objects)
    line = "E0301 11:50:00.000000 1 mic.go:1] LinkedAuthorizationFailed ... galleries/images/versions/read"
    return observed(objects, logs=(log("mic", "mic-1", line),))


def nmi_confined(objects: Objects) -> None:
    nmi_of(objects)["containers"][0]["args"].append("--forceNamespaced=true")


def mic_confined(objects: Objects) -> None:
    variables = [{"name": "FORCENAMESPACED", "value": "true"}]
    mic_of(objects)["spec"]["template"]["spec"]["containers"][0]["env"] = variables


def mic_beside_managed(objects: Objects) -> None:
    nmi_of(objects)["containers"][0]["args"] += MANAGED
    mic_confined(objects)


def caught(*lines: str) -> World:
    def world(objects: Objects) -> Observed:
        objects["AzurePodIdentityException"] = []
        return observed(objects, logs=(log("mic", "mic-1", "\n".join(lines)),) if lines else ())

    return world


KUBENET = fatal("AAD Pod Identity is not supported for Kubenet. Review https://azure.github.io/ for more details.")
ON_KUBENET = Azure({"properties": {"networkProfile": {"networkPlugin": "kubenet"}}}, IdentityInAzure("", False), "MC")


DEFINITION = "CustomResourceDefinition azureidentities.aadpodidentity.k8s.io"
ASSIGNED_DEFINITION = "CustomResourceDefinition azureassignedidentities.aadpodidentity.k8s.io"
PORT = fatal("error creating http server: listen tcp :2579: bind: address already in use")
LOCKED = (
    'time="2026-03-01T11:50:00Z" level=fatal msg="running [/sbin/iptables -t nat -F x]: exit status 4: iptables: '
    'Resource temporarily unavailable."'
)
NO_PERMISSION = fatal(
    "[/sbin/iptables -t nat -N aad-metadata --wait]: exit status 3: iptables v1.6.2: can't initialize iptables table "
    "`nat': Permission denied (you must be root)"
)
NO_TABLE = fatal(
    "iptables v1.8.7 (legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)"
)
# Cause, object and certainty; the worlds by name, each with a part of the sentence.
CASES: dict[tuple[str, str, str], dict[str, tuple[World, str]]] = {
    ("nothing_installed", "the installation", PROVED): {
        "nothing": (nothing, "neither MIC nor NMI"),
        "only alike": (only_alike, "neither MIC nor NMI"),
    },
    ("definitions_gone", DEFINITION, PROVED): {
        "no definition": (no_definition, f"gone, while {MIC_LABEL}, {NMI_LABEL} runs"),
        "definition that goes": (dying_definition, "being deleted"),
        "unknown kind": (unknown_kind, "gone"),
    },
    ("definitions_gone", ASSIGNED_DEFINITION, PROVED): {
        "definition that MIC holds": (held_definition(FINALIZER), "being deleted"),
        "definition that another holds": (held_definition(FINALIZER, "keep.example.com/it"), "being deleted"),
    },
    ("mic_missing", NMI_LABEL, PROVED): {"no MIC": (no_mic, "there is no MIC")},
    ("mic_not_running", MIC_LABEL, PROVED): {
        "MIC scaled down": (mic_scaled_down, "scaled to no replicas"),
        "MIC waits": (mic_without_image, "ImagePullBackOff: Back-off pulling\\n{{"),
    },
    ("mic_crashing", MIC_LABEL, LIKELY): {
        "MIC loses its lease": (mic_crashes(crashing(), fatal("lost leader lease")), "because it loses the lock"),
        "MIC without its variable": (
            mic_crashes(crashing(), fatal("namespace not specified. Please add env variable MIC_POD_NAMESPACE")),
            "MIC_POD_NAMESPACE is not set",
        ),
        "MIC without azure.json": (
            mic_crashes(crashing(), fatal("failed to load cloud config /etc/kubernetes/azure.json: no such file")),
            "cannot read the configuration",
        ),
    },
    ("mic_crashing", MIC_LABEL, PROVED): {
        "MIC out of memory": (mic_crashes(crashing(137, "OOMKilled")), "memory"),
        "MIC that runs at the moment": (
            mic_crashes({"restartCount": 3, "lastState": crashing()["lastState"]}, "panic: odd"),
            "ends again and again (Pod kube-system/mic-1).",
        ),
        "a name that looks like a reason": (
            mic_crashes(crashing(), "I0301 11:50:00.000000 1 mic.go:1] pod x lost leader lease"),
            "again (Pod kube-system/mic-1).",
        ),
    },
    ("nmi_crashing", NMI_LABEL, LIKELY): {
        "lock": (nmi_crashes(crashing(), LOCKED), "holds the lock"),
        "permission": (nmi_crashes(crashing(), NO_PERMISSION), "may not write"),
        "kernel": (nmi_crashes(crashing(), NO_TABLE), "does not fit the kernel"),
        "port": (nmi_crashes(crashing(), PORT), "its port"),
    },
    ("nmi_crashing", NMI_LABEL, PROVED): {
        "NMI that says nothing": (nmi_crashes(crashing()), "(Pod kube-system/nmi-1)."),
        "argument that nobody gave": (
            nmi_crashes(crashing(2), "unknown flag: --forged"),
            "again (Pod kube-system/nmi-1).",
        ),
    },
    ("arguments_of_other_version", NMI_LABEL, PROVED): {
        "argument that NMI does not know": (
            nmi_crashes(crashing(2), "unknown flag: --new", "Usage of nmi:", arguments=["--new=1"]),
            "does not know the argument --new",
        )
    },
    ("rights_missing", "ServiceAccount kube-system/default", LIKELY): {
        "MIC may not assign": (lacks("azureassignedidentities", "create"), f"create on azureassignedidentities.{OWN}."),
        "NMI may not see exceptions": (
            lacks("azurepodidentityexceptions", "watch"),
            f"as which {NMI_LABEL} runs, the rights that NMI needs: watch on azurepodidentityexceptions.{OWN}.",
        ),
    },
    ("rights_missing", "ServiceAccount kube-system/default", PROVED): {
        "NMI says so": (lacks("azurepodidentityexceptions", "list", FORBIDDEN), "list on azurepodidentityexceptions"),
        "MIC ends for it": (mic_crashes_without_rights, f"as which {MIC_LABEL} runs"),
    },
    ("kubenet_refused", NMI_LABEL, LIKELY): {"kubenet": (nmi_crashes(crashing(), KUBENET), "kubenet")},
    ("kubenet_refused", NMI_LABEL, PROVED): {
        "and Azure": (nmi_crashes(crashing(), KUBENET, azure=ON_KUBENET), "kubenet")
    },
    ("nmi_missing_on_node", "Node n1", PROVED): {
        "taint": (tainted, "does not tolerate its taint sku"),
        "selector": (not_selected, "selects nodes with pool"),
        "no pod": (nmi_pods, "no NMI pod runs there"),
        "a pod that does not end": (nmi_that_ends(LATELY), "no NMI pod runs there"),
        "no image": (nmi_without_image, "waits: ErrImagePull"),
    },
    ("nmi_not_active", "Pod kube-system/nmi-1", PROVED): {
        "not active": (
            lambda objects: observed(objects, health={"Pod kube-system/nmi-1": "Not Active"}),
            "written no rules",
        )
    },
    ("two_installations", NMI_LABEL, PROVED): {"two": (two, "both run NMI on n1")},
    ("mic_rewrites_scale_sets", MIC_LABEL, PROVED): {"old MIC": (old_mic, "MIC 1.5.5 writes")},
    ("modes_differ", NMI_LABEL, PROVED): {
        "NMI confined": (nmi_confined, "differ in forceNamespaced"),
        "MIC confined": (mic_confined, "differ in forceNamespaced"),
        "managed": (mic_beside_managed, "operation-mode=managed"),
    },
    ("mic_not_excepted", MIC_LABEL, LIKELY): {
        "MIC caught": (
            caught("E0301 11:50:00.000000 1 a.go:1] azure: failed to refresh token: 404 Not Found"),
            "for a pod like any other",
        )
    },
    ("mic_not_excepted", MIC_LABEL, POSSIBLE): {"MIC without a log": (caught(), "like any other")},
}


WORLDS = {name: (key, *world) for key, worlds in CASES.items() for name, world in worlds.items()}


@pytest.mark.parametrize("expected, world, part", WORLDS.values(), ids=WORLDS)
def test_world(expected: tuple[str, str, str], world: World, part: str) -> None:
    """It has this one and no other."""
    ((told, one),) = found(world)
    assert (told, one.object, one.certainty) == expected
    assert part in one.cause and one.cause.endswith(".")
    assert one.evidence and one.symptom and one.certainty in CERTAINTIES
    assert all(each.text.isprintable() and each.source for each in one.evidence)
    if one.command:
        assert shlex.split(one.command)[0] in ("kubectl", "helm", "ansible-playbook")


def identities_not_in_files(objects: Objects) -> Observed:
    unknown_kind(objects)
    what = "azureidentities.aadpodidentity.k8s.io"
    return observed(objects, unread=(Unread("objects", what, "the files have none", "a file"),))


def managed(objects: Objects) -> None:
    nmi_of(objects)["containers"][0]["args"] += MANAGED
    objects["Deployment"], objects["AzureAssignedIdentity"] = [template()], []


def second_mic(objects: Objects) -> None:
    objects["Pod"].append(pod_of(mic_of(objects), "mic-2", ready=False, labels={"component": "mic"}))


def restarted(times: int, finished: str) -> World:
    def world(objects: Objects) -> None:
        status = {"restartCount": times, "lastState": crashing(finished=finished)["lastState"]}
        mic_pods(objects, pod_of(mic_of(objects), "mic-1", status=status, labels={"component": "mic"}))

    return world


def other_nodes(objects: Objects) -> None:
    """Tainted without pods that want an identity, not Ready, and one that has just come."""
    young = node("n4", since="2026-03-01T11:59:00Z")
    objects["Node"] += [node("n2", GPU), node("n3", ready=False), young]
    objects["Pod"].append(pod("train", "", spec={"nodeName": "n2"}))


def young_nmi(objects: Objects) -> None:
    waits = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    new = pod_of(objects["DaemonSet"][0], "nmi-1", ready=False, status=waits, created="2026-03-01T11:59:00Z")
    nmi_pods(objects, new)


def nodes_unread(objects: Objects) -> None:
    nmi_pods(objects)
    del objects["Node"]


def a_pool_each(objects: Objects) -> None:
    objects["Node"] = [node("n1", pool="a"), node("n2", pool="b")]
    nmi_of(objects)["nodeSelector"] = {"pool": "a"}
    other = program("DaemonSet", "nmi-b", image="nmi", hostNetwork=True, nodeSelector={"pool": "b"})
    objects["DaemonSet"].append(other)
    objects["Pod"].append(pod_of(other, "nmi-b-1", on="n2"))


def other_user(objects: Objects) -> None:
    """Both are given a kubeconfig, whose rights nobody sees."""
    objects["ClusterRoleBinding"] = []
    for one in (nmi_of(objects), mic_of(objects)["spec"]["template"]["spec"]):
        one["containers"][0]["args"].append("--kubeconfig=/etc/kubernetes/config")


def both_confined(objects: Objects) -> None:
    nmi_confined(objects)
    mic_confined(objects)


def on_host_network(objects: Objects) -> None:
    objects["AzurePodIdentityException"] = []
    for each in objects["Pod"]:
        each["spec"]["hostNetwork"] = each["spec"].get("hostNetwork") or each["metadata"]["name"] == "mic-1"


def in_its_namespace(objects: Objects) -> None:
    objects["AzurePodIdentityException"] = []
    nmi_of(objects)["containers"][0]["args"].append("--MICNamespace=kube-system")


def excepted_by_service_principal(objects: Objects) -> Observed:
    objects["AzurePodIdentityException"] = []
    return observed(objects, logs=(log("mic", "mic-1", "I0301 11:50:00.000000 1 a.go:1] token refreshed"),))


def tenants_mic(objects: Objects) -> None:
    """A tenant runs what looks like MIC and NMI, which crashes."""
    one = program("Deployment", "mic", "--bogus", version="1.0", namespace="team")
    other = program("DaemonSet", "nmi", *MANAGED, namespace="team")
    objects["Deployment"].append(one)
    objects["DaemonSet"].append(other)
    objects["Pod"] += [pod_of(each, f"{each['metadata']['name']}-t", status=crashing()) for each in (one, other)]


@for_each(
    lambda objects: None,
    having(DaemonSet=[], Deployment=[], ReplicaSet=[], Pod=[]),
    having(DaemonSet=None, Deployment=[template()]),
    having(CustomResourceDefinition=None),
    identities_not_in_files,
    managed,
    second_mic,
    restarted(1, LATELY),
    restarted(9, LONG_AGO),
    having(Node=[node(), node("w1", os="windows")]),
    other_nodes,
    young_nmi,
    nmi_that_ends(LATELY.replace("11:50", "11:59")),
    nmi_that_ends(LATELY.replace("11:50", "12:00")),
    nodes_unread,
    a_pool_each,
    lambda objects: observed(objects, health={"Pod kube-system/nmi-1": "Active"}),
    having(ClusterRoleBinding=None),
    having(ClusterRole=None),
    having(ClusterRole=[role({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})]),
    having(ClusterRoleBinding=[binding(kind="Group", name="system:serviceaccounts:kube-system")]),
    having(ClusterRoleBinding=[binding(kind="User", name="system:serviceaccount:kube-system:default")]),
    other_user,
    both_confined,
    on_host_network,
    in_its_namespace,
    excepted_by_service_principal,
    tenants_mic,
)
def test_healthy_neighbour(world: World) -> None:
    assert found(world) == []


def test_who_suffers() -> None:
    """A crash on one node is that of pods there; an old MIC explains what is missing only where it is refused."""
    ((_code, one),) = found(tainted)
    assert one.concerns == frozenset(("Node n1", "Pod team/web-1-a"))
    ((_code, old),), ((_same, refused),) = found(old_mic), found(old_mic_refused)
    assert (old.concerns, refused.concerns) == (frozenset(), None)
    assert [each.source for each in refused.evidence] == [MIC_LABEL, "log of Pod kube-system/mic-1"]


def test_what_is_managed_elsewhere_is_changed_there() -> None:
    def world(objects: Objects) -> None:
        objects["DaemonSet"][0]["metadata"]["labels"] = {
            "kustomize.toolkit.fluxcd.io/name": "apps",
            "kustomize.toolkit.fluxcd.io/namespace": "flux",
        }
        tainted(objects)

    ((_code, one),) = found(world)
    assert "managed by Flux, Kustomization flux/apps" in one.remedy


def test_a_binding_that_is_gone_is_told_for_each_program() -> None:
    """That of another namespace's service account, or to a role with names, is none."""
    named = role({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "resourceNames": ["one"]})
    elsewhere = binding(kind="ServiceAccount", namespace="team", name="default")
    for world in (having(ClusterRoleBinding=[]), having(ClusterRoleBinding=[elsewhere]), having(ClusterRole=[named])):
        told = found(world)
        assert [code for code, _one in told] == ["rights_missing"] * 2
        assert MIC_LABEL in told[0][1].cause and NMI_LABEL in told[1][1].cause


def test_nodes_with_one_reason_are_one_cause() -> None:
    def world(objects: Objects) -> None:
        objects["Node"] = [node(f"n{number}") for number in range(1, 6)] + [node("n6", GPU)]
        objects["Pod"].append(pod("train", spec={"nodeName": "n6"}))
        nmi_pods(objects)

    (_code, several), (_same, tainted_one) = found(world)
    assert (several.object, tainted_one.object) == (NMI_LABEL, "Node n6")
    assert several.cause.startswith("No NMI works on the nodes n1, n2, n3 and 2 more: no NMI pod runs there.")
    assert several.concerns is not None and {"Node n5", "Pod team/web-1-a"} <= several.concerns
    assert tainted_one.concerns == frozenset(("Node n6", "Pod team/train"))


def test_names_in_commands_are_words() -> None:
    """Files may name anything."""

    def world(objects: Objects) -> None:
        objects["DaemonSet"][0]["metadata"]["name"] = "nmi; reboot"
        tainted(objects)

    ((_code, one),) = found(world)
    assert "nmi; reboot" in shlex.split(one.command)


_HELM = (
    "helm upgrade api aad-pod-identity --repo https://raw.githubusercontent.com/Azure/aad-pod-identity/master/charts"
)


@for_each(
    (
        old_mic,
        "aad-pod-identity-2.0.2",
        f"{_HELM} --version 4.1.18 --namespace pods --reset-then-reuse-values --set mic.tag=v1.8.17,nmi.tag=v1.8.17",
    ),
    (
        caught(),
        "aad-pod-identity-4.1.16",
        f"{_HELM} --version 4.1.16 --namespace pods --reset-then-reuse-values --set installMICException=true",
    ),
    (caught(), "pods-4.1.16", ""),
    (
        lacks("azureassignedidentities", "create"),
        "aad-pod-identity-4.1.16",
        f"{_HELM} --version 4.1.16 --namespace pods --reset-then-reuse-values",
    ),
)
def test_commands_of_helm(world: World, chart: str, command: str) -> None:
    """They name the version, so that a value is set without an upgrade, and an upgrade has its images."""

    def of_helm(objects: Objects) -> Observed | None:
        by_helm(mic_of(objects), chart)
        return world(objects)

    ((_code, one),) = found(of_helm)
    assert one.command == command


def test_a_definition_in_deletion_is_let_go_before_it_is_restored() -> None:
    """MIC's own finalizer is taken away; what another's is there for, nobody here knows."""
    ((_code, held),) = found(held_definition(FINALIZER))
    loop, rest = held.command.split("; done; ")
    assert loop.startswith("kubectl get azureassignedidentities.aadpodidentity.k8s.io ") and "finalizers" in loop
    assert rest.startswith("kubectl wait --for=delete crd/azureassignedidentities.") and " && helm show crds " in rest
    assert "made again by MIC" in held.remedy and FINALIZER in held.evidence[-1].text

    ((_code, foreign),) = found(held_definition("keep.example.com/it"))
    assert foreign.command == "" and "keep.example.com/it" in foreign.evidence[-1].text

    ((_code, free),) = found(dying_definition)
    assert free.command.startswith("kubectl wait") and "from a bundle or from git" in free.remedy


def test_what_is_not_known_is_in_no_command() -> None:
    for world in (nothing, no_mic):
        ((_code, one),) = found(world)
        assert one.command == ""


def test_the_remedy_of_two_installations_names_the_flag() -> None:
    ((_code, one),) = found(two)
    assert "az aks update --disable-pod-identity" in one.remedy and "aks-preview" in one.remedy
    assert "helm uninstall RELEASE" in one.remedy and "uninstall removes both" in one.remedy


def test_several_pods_with_one_reason_are_one_cause() -> None:
    def world(objects: Objects) -> Observed:
        objects["Node"] = [node("n1"), node("n2")]
        pods = [pod_of(objects["DaemonSet"][0], f"nmi-{n}", on=f"n{n}", ready=False, status=crashing()) for n in (1, 2)]
        nmi_pods(objects, *pods)
        return observed(objects, logs=tuple(log("nmi", f"nmi-{n}", PORT, previous=True) for n in (1, 2)))

    ((_code, one),) = found(world)
    assert one.cause.startswith("NMI ends again and again (Pod kube-system/nmi-1, Pod kube-system/nmi-2)")
    assert one.concerns is not None and {"Node n1", "Node n2"} <= one.concerns


def test_the_stack_behind_a_fatal_line_hides_it_not() -> None:
    """As klog writes it: a line that ends the program, then what each goroutine did."""

    def world(objects: Objects) -> Observed:
        nmi_pods(objects, pod_of(objects["DaemonSet"][0], "nmi-1", on="n1", ready=False, status=crashing()))
        stack = "goroutine 1 [running]:\nmain.main()\n\tmain.go:152 +0xb1e\n" * 300
        return observed(objects, logs=(log("nmi", "nmi-1", f"{PORT}\n{stack}", previous=True),))

    ((_code, one),) = found(world)
    assert "its port" in one.cause and one.evidence[-1].text.endswith("bind: address already in use")


def test_every_code_has_a_world() -> None:
    assert {code for code, _object, _certainty in CASES} == {row.code for row in TABLE.rows}


def test_without_logs_the_crash_is_told_all_the_same() -> None:
    def world(objects: Objects) -> Observed:
        seen = nmi_crashes(crashing(), KUBENET)(objects)
        assert seen is not None
        return replace(seen, logs=(), unread=(Unread(LOGS, "logs", "refused", "get on pods/log"),))

    ((code, one),) = found(world)
    assert (code, one.certainty) == ("nmi_crashing", PROVED)
