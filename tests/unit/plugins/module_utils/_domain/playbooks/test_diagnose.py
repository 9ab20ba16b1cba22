# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of the playbook diagnose."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.asked_of_pods import OPTION
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.playbooks.diagnose import PARTS
from ansible_collections.azureops.pod_identity.tests.unit.deciding import RUN, Raw, each_has, sentences
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table

OF_NODE = {"code": "nmi_missing_on_node", "severity": "error", "object": "Node n1"}
TOLD = {**OF_NODE, "symptom": "Pods get no token.", "cause": "No NMI works on node n1."}
CAUSE: Raw = {
    **TOLD,
    "evidence": [{"source": "Node n1", "text": "It has a taint.", "time": ""}],
    "fix": {"text": "Let NMI run there.", "command": "kubectl patch"},
    "references": ["Azure/aad-pod-identity#740"],
    "certainty": "proved",
    "because": [],
}
FOLLOWS = {**CAUSE, "code": "assignment_pending", "because": ["nmi_missing_on_node"], "cause": "It waits."}
UNREAD = {"source": "events", "what": "events", "why": "They may not be listed.", "needs": "list on events"}


@cases(
    "options, connects, refused",
    ("nothing", {}, True, []),
    ("files", {"diagnose_files": ["a"]}, False, []),
    ("and logs", {"diagnose_files": ["a"], "diagnose_log_files": ["b"]}, False, []),
    ("files and a probe", {"diagnose_files": ["a"], "diagnose_probe": True}, True, ["_probe asks in a cluster"]),
    ("logs of nothing", {"diagnose_log_files": ["b"]}, True, ["_log_files needs"]),
    ("two things", {"diagnose_pod": "a/b", "diagnose_workload": "a/c"}, True, ["two things"]),
    ("placeless", {"diagnose_pod": "web"}, True, ["_pod is web without its namespace; write NAMESPACE/web."]),
    ("a namespace beside", {"diagnose_pod": "web", "diagnose_namespace": "a"}, True, []),
    ("the same twice", {"diagnose_pod": "a/web", "diagnose_namespace": "a"}, True, []),
    (
        *("two places", {"diagnose_workload": "a/Job/web", "diagnose_namespace": "b"}, True),
        ["_workload is a/Job/web and pod_identity_diagnose_namespace is b; leave"],
    ),
    ("a kind", {"diagnose_workload": "Job/web", "diagnose_namespace": "b"}, True, []),
)
def test_options(options: Raw, connects: bool, refused: list[str]) -> None:
    told = sentences(PARTS["options"].plan, options, {}, RUN)
    assert each_has(told, refused)
    if not refused:
        assert PARTS["options"].plan(options, {}, RUN) == {"connects": connects}


DEFAULTS = {"log_files": [], "events": True, "log_megabytes": 20, "log_hours": 24, "probe": False, "logs": False}


def test_what_is_looked_at() -> None:
    named = {"cluster_name": "c1", "resource_group": "rg"}
    given = {**named, "diagnose_pod": "a/b", "diagnose_logs": False, "diagnose_nodes": None}
    (look,) = PARTS["found"].looks_at(given, {}, RUN)
    assert (look.module, look.in_cluster) == ("pod_identity_diagnosis_info", True)
    arguments = {key: value for key, value in look.arguments.items() if value is not None}
    assert arguments == {**named, **DEFAULTS, "pod": "a/b", "nodes": False}
    (look,) = PARTS["found"].looks_at({"diagnose_files": ["one"], **given, "diagnose_azure": False}, {}, RUN)
    assert not look.in_cluster and look.arguments["files"] == ["one"]
    assert look.arguments["cluster_name"] is None
    (look,) = PARTS["found"].looks_at({"diagnose_probe": True}, {}, RUN)
    assert look.arguments["probe"] is True


REQUEST = {"namespace": "a", "pod": "b", "verdict": "ok"}


def told(
    verdict: str, *causes: Raw, scope: str = "the cluster", unread: Sequence[Raw] = (UNREAD,), **options: t.Any
) -> Raw:
    found = {"scope": scope, "verdict": verdict, "causes": list(causes), "unread": unread, "requests": [REQUEST]}
    return PARTS["found"].plan(options, {"diagnosis": found}, RUN)


def test_what_is_told() -> None:
    plan = told("broken", CAUSE, FOLLOWS)
    assert plan["likeliest"] == [
        *("The cluster is broken.", "No NMI works on node n1.", "What is seen of it: Pods get no token."),
        *("Evidence: Node n1: It has a taint.", "What to do: Let NMI run there."),
        "See: Azure/aad-pod-identity#740",
    ]
    about = "nmi_missing_on_node, Node n1"
    assert plan["commands"] == [{"about": about, "command": "kubectl patch"}]
    assert PARTS["commands"].plan({}, {"commands": plan["commands"]}, RUN) == {"printed": plan["commands"]}
    cause = {"cause": "It waits. Because of nmi_missing_on_node.", "what_to_do": "Let NMI run there."}
    of = {"severity": "error", "code": "assignment_pending", "object": "Node n1", "references": CAUSE["references"]}
    assert plan["others"] == [{**of, **cause}]
    assert (plan["causes"], plan["unread"], plan["verdict"]) == ([CAUSE, FOLLOWS], [UNREAD], "broken")
    assert plan["requests"] == [REQUEST]


def test_what_is_not_sure_is_told_as_such() -> None:
    evidence = [{"source": "log of Pod a/b", "text": "403", "time": "2026-03-01T11:50:00Z"}]
    bare = {**CAUSE, "certainty": "likely", "symptom": "", "references": [], "fix": {"text": "See.", "command": ""}}
    assert told("suspect", {**bare, "evidence": evidence}, scope="Pod a/b")["likeliest"] == [
        "Nothing in Pod a/b is known to be broken, but something looks wrong.",
        "No NMI works on node n1. (likely)",
        "Evidence: log of Pod a/b at 2026-03-01T11:50:00Z: 403",
        "What to do: See.",
    ]


@table(
    "verdict, sentence",
    (
        "healthy",
        "Nothing is wrong with the cluster: all was looked at, and requests in the place of pods there, with the "
        "client id that AZURE_CLIENT_ID names, got the right tokens.",
    ),
    (
        "unknown",
        "Nothing wrong is seen in the cluster, as far as it was looked at: objects, logs, NMI on its nodes, Azure.",
    ),
)
def test_where_nothing_was_found(verdict: str, sentence: str) -> None:
    plan = told(verdict)
    assert (plan["likeliest"], plan["others"], plan["commands"]) == ([sentence], [], [])


def test_what_proves_that_it_is_well_is_named_with_the_command_that_looks() -> None:
    unasked = {"source": "probe", "what": "the token of Pod a/b", "why": "no token was asked for", "needs": OPTION}
    rules = {"source": "rules", "what": "rules on Node n1", "why": "No NMI is there.", "needs": "cleanup_nodes --check"}
    options = {"cluster_name": "c1", "resource_group": "rg", "diagnose_namespace": "a"}
    plan = told("unknown", unread=[unasked, rules], **options)
    assert plan["likeliest"][1:] == [
        f"Not looked at: the token of Pod a/b, because no token was asked for. It takes {OPTION}.",
        "Not looked at: rules on Node n1, because No NMI is there. It takes cleanup_nodes --check.",
    ]
    named = "-e pod_identity_resource_group=rg -e pod_identity_cluster_name=c1"
    asking, looking = (one["command"] for one in plan["commands"])
    ask = f"{named} -e pod_identity_diagnose_namespace=a -e pod_identity_diagnose_probe=true"
    assert asking == f"ansible-playbook azureops.pod_identity.diagnose {ask}"
    assert looking == f"ansible-playbook azureops.pod_identity.cleanup_nodes --check {named}"
    assert told("unknown", unread=[unasked, rules], diagnose_files=["f"], **options)["commands"] == []


AKS = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters"
NAMED = {"id": f"{AKS}/c1", "name": "c1", "resource_group": "rg"}
OF_ROLE: Raw = {"message": "No token.", "places": ["a/b"], "cluster": {}}
OF_SESSION = "-e pod_identity_subscription_id=s -e pod_identity_resource_group=rg -e pod_identity_cluster_name=c1"
COMMAND = "For all causes, evidence and remedies: ansible-playbook azureops.pod_identity.diagnose"
PROOFS = [{**UNREAD, "source": source, "what": source} for source in ("probe", "rules")]


@cases(
    "places, scope",
    ("a pod", ["a/b"], {"pod": "a/b"}),
    ("the same twice", ["a/b", "a/b"], {"pod": "a/b"}),
    ("pods of one namespace", ["a/b", "a/c"], {"namespace": "a"}),
    ("a namespace", ["a"], {"namespace": "a"}),
    ("several namespaces", ["a/b", "c"], {}),
    ("nothing known", [], {}),
)
def test_what_failed_is_looked_at(places: list[str], scope: dict[str, str]) -> None:
    """Whatever the operator looks at otherwise."""
    files = {"diagnose_files": ["one"], "diagnose_log_files": ["two"]}
    operators = {**files, "diagnose_workload": "x/y", "diagnose_probe": True, "cluster_name": "o"}
    found = {**OF_ROLE, "places": places}
    (look,) = PARTS["failure"].looks_at({**operators, "diagnose_logs": False}, found, RUN)
    assert (look.module, look.in_cluster) == ("pod_identity_diagnosis_info", True)
    assert look.tolerates is not None and look.tolerates({"failed": True})
    arguments = {key: value for key, value in look.arguments.items() if value is not None}
    assert arguments == {**DEFAULTS, "nodes": True, **scope}


def test_a_diagnosis_may_only_be_named() -> None:
    bare = {"message": "It waits.", "cluster": NAMED}
    assert list(PARTS["failure"].looks_at({}, bare, RUN)) == []
    plan = PARTS["failure"].plan({}, bare, RUN)
    assert plan["message"] == f"It waits. {COMMAND} {OF_SESSION}"


@pytest.mark.parametrize(("azure", "asked"), [(True, ("s", "rg", "c1")), (False, ("s", None, None))])
def test_the_cluster_of_the_session_is_looked_at(azure: bool, asked: tuple[str | None, ...]) -> None:
    (look,) = PARTS["failure"].looks_at({"diagnose_azure": azure}, {**OF_ROLE, "cluster": NAMED}, RUN)
    assert tuple(look.arguments[name] for name in ("subscription_id", "resource_group", "cluster_name")) == asked


CAUSED = "The likeliest cause in Pod a/b"
NONE = "A diagnosis of Pod a/b finds no cause."


@cases(
    "verdict, causes, unread, told",
    ("proved", "broken", [CAUSE, FOLLOWS], [], f"{CAUSED}: No NMI works on node n1."),
    ("possible", "suspect", [{**CAUSE, "certainty": "possible"}], [], f"{CAUSED} (possible): No NMI works on node n1."),
    (
        "not all was read",
        *("broken", [CAUSE], [UNREAD]),
        f"{CAUSED}: No NMI works on node n1. It did not look at events, which takes list on events.",
    ),
    ("a remark is no cause", "healthy", [{**CAUSE, "severity": "info"}], [], NONE),
    (
        "next to nothing was read",
        *("unknown", [], [*PROOFS, UNREAD, {**UNREAD, "what": "logs"}]),
        f"{NONE} It did not look at events, logs, which takes list on events.",
    ),
)
def test_the_message_of_a_role(verdict: str, causes: list[Raw], unread: list[Raw], told: str) -> None:
    found = {"scope": "Pod a/b", "verdict": verdict, "causes": causes, "unread": unread}
    plan = PARTS["failure"].plan({}, {**OF_ROLE, "diagnosis": found}, RUN)
    assert plan["message"] == f"No token. {told} {COMMAND} -e pod_identity_diagnose_pod=a/b"


@cases(
    "diagnosis, told",
    ("none was made", {}, ""),
    ("failed", {"diagnosis": {"failed": True, "msg": "No pod."}}, "No diagnosis was made: No pod. "),
)
def test_no_diagnosis_hides_no_failure(diagnosis: Raw, told: str) -> None:
    plan = PARTS["failure"].plan({}, {**OF_ROLE, "places": ["a"], **diagnosis}, RUN)
    assert plan["message"] == f"No token. {told}{COMMAND} -e pod_identity_diagnose_namespace=a"


@cases(
    "options, cluster, words",
    ("the cluster of the session", {"cluster_name": "other", "subscription_id": "of operator"}, NAMED, OF_SESSION),
    (
        "a kubeconfig",
        {"kubeconfig": "~/k", "context": "blue"},
        {},
        "-e 'pod_identity_kubeconfig=~/k' -e pod_identity_context=blue",
    ),
    (
        "of the role, and with a blank",
        {"kubeconfig": "/k", "cluster_kubeconfig": "/my own/k"},
        {},
        """-e '{"pod_identity_kubeconfig": "/my own/k"}'""",
    ),
    (
        "a managed identity",
        {"auth_source": "msi", "client_id": "i", "tenant": "t", "cloud_environment": "AzureChinaCloud"},
        {},
        "-e pod_identity_auth_source=msi -e pod_identity_tenant=t -e pod_identity_client_id=i "
        "-e pod_identity_cloud_environment=AzureChinaCloud",
    ),
    (
        "a profile",
        {"profile": "prod", "client_id": "unused", "cert_validation_mode": "ignore"},
        {},
        "-e pod_identity_profile=prod -e pod_identity_cert_validation_mode=ignore",
    ),
)
def test_the_command_of_a_role(options: Raw, cluster: dict[str, str], words: str) -> None:
    plan = PARTS["failure"].plan(options, {**OF_ROLE, "places": [], "cluster": cluster}, RUN)
    assert plan["message"] == f"No token. {COMMAND} {words}"


def test_a_credential_with_a_secret_is_that_of_the_file_of_variables() -> None:
    options = {"client_id": "c", "tenant": "t", "context": "blue"}
    plan = PARTS["failure"].plan(options, {**OF_ROLE, "places": [], "cluster": {}}, RUN)
    command = COMMAND.replace("remedies:", "remedies, with your file of variables:")
    assert plan["message"] == f"No token. {command} -e @FILE -e pod_identity_tenant=t -e pod_identity_context=blue"
    (printed,) = plan["printed"]
    assert f"No token. {printed['about']}: {printed['command']}" == plan["message"]
