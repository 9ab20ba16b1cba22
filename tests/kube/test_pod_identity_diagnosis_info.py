# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pod_identity_diagnosis_info against a real API server, in worlds that are broken and that are not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory, kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.modules import pod_identity_diagnosis_info
from ansible_collections.azureops.pod_identity.tests.kube.installation import Installation, crashing
from ansible_collections.azureops.pod_identity.tests.kube.objects import another_namespace, dump, may_list
from ansible_collections.azureops.pod_identity.tests.kube.probed import answering, by_nmi
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.players import Player

LOST = "F0301 09:00:00.000000       1 mic.go:9] lost leader lease\n"
FORGED = "F0301 09:00:00.000000       1 main.go:9] AAD Pod Identity is not supported for Kubenet\n"


@pytest.fixture
def diagnosis(api_server: ApiServer, crds: None) -> Runner:
    return Runner(api_server, "pod_identity_diagnosis_info")


@pytest.fixture
def tenant(client: Client, world: Installation) -> Iterator[str]:
    """A namespace where nobody has the rights of NMI."""
    with another_namespace(client, f"{world.namespace}-tenant") as name:
        yield name
        for pod in client.list_all(kinds.POD, name):
            server.end_pod(client, name, pod["metadata"]["name"])


def principal(world: Installation) -> None:
    """A service principal with a Secret that is called hush."""
    place = {"name": "hush", "namespace": world.namespace}
    spec = {"type": 1, "tenantID": "t", "clientID": "c", "clientPassword": place}
    world.create(kinds.AZURE_IDENTITY, "principal", spec=spec)


def causes(result: dict[str, Any], world: Installation) -> list[tuple[str, str]]:
    """Those about this world: other tests leave something behind."""
    return [(each["code"], each["object"]) for each in result["causes"] if world.namespace in each["object"]]


def unread(result: dict[str, Any], source: str) -> list[str]:
    return [each["what"] for each in result["unread"] if each["source"] == source]


def test_nothing_is_wrong(diagnosis: Runner, api_server: ApiServer, world: Installation) -> None:
    """It is looked at with one list for each kind, and only looked at."""
    before = len(api_server.requests())
    done = diagnosis().ok()
    asked = api_server.requests()[before:]
    assert causes(done, world) == [] and not done["changed"]
    assert {each.split()[0] for each in asked} <= {"get", "list"}
    lists = [each for each in asked if each.startswith("list ") and each != "list events"]
    assert len(lists) == len(set(lists)) >= len(inventory.KINDS) + 5
    assert sorted(world.kubelet.asked) == [(world.namespace, "mic-a", False), (world.namespace, "nmi-a", False)]
    assert unread(done, "azure") == ["Azure"] and unread(done, "logs") == unread(done, "events") == []
    of_probe = [each for each in unread(done, "probe") if world.namespace in each]
    assert of_probe == [f"the token of Pod {world.namespace}/web"]
    # An API server does not pass anything on to an address on loopback.
    assert [each for each in unread(done, "nodes") if "nmi-a" in each]
    of_pod = diagnosis(pod=f"{world.namespace}/web").ok()
    assert (of_pod["scope"], of_pod["verdict"]) == (f"Pod {world.namespace}/web", "unknown")
    assert diagnosis(check=True).ok().keys() == done.keys()


def test_mic_that_ends_again_and_again(diagnosis: Runner, world: Installation) -> None:
    world.state_of("mic-a", "mic", crashing())
    world.kubelet.write(world.namespace, "mic-a", LOST, previous=True)
    done = diagnosis(namespace=world.namespace).ok()
    first = done["causes"][0]
    assert (done["verdict"], first["code"], first["certainty"]) == ("broken", "mic_crashing", "likely")
    assert first["object"] == f"Deployment {world.namespace}/mic"
    last = first["evidence"][-1]
    assert last["source"] == f"log of Pod {world.namespace}/mic-a before its restart"
    assert last["text"] == "lost leader lease" and last["time"].endswith("Z")
    assert first["fix"]["command"] == f"kubectl --namespace {world.namespace} logs --previous mic-a"


@pytest.mark.parametrize("bound", ["age", "left out"])
def test_what_is_not_read_of_logs(diagnosis: Runner, world: Installation, bound: str) -> None:
    """The crash is told by the state all the same; why it crashes is not."""
    world.state_of("mic-a", "mic", crashing())
    world.kubelet.write(world.namespace, "mic-a", LOST, previous=True, age=timedelta(hours=2))
    done = diagnosis(namespace=world.namespace, **({"log_hours": 1} if bound == "age" else {"logs": False})).ok()
    first = done["causes"][0]
    assert (first["code"], first["certainty"]) == ("mic_crashing", "proved") and "lease" not in json.dumps(first)
    assert unread(done, "logs") == ([] if bound == "age" else ["logs of MIC, NMI and the webhook"])


def test_node_without_nmi(diagnosis: Runner, client: Client, world: Installation) -> None:
    client.merge(
        kinds.NODE, None, world.node, {"spec": {"taints": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}]}}
    )
    server.end_pod(client, world.namespace, "nmi-a")
    done = diagnosis(pod=f"{world.namespace}/web").ok()
    first = done["causes"][0]
    assert (first["code"], first["object"]) == ("nmi_missing_on_node", f"Node {world.node}")
    assert f"Pod {world.namespace}/web want" in first["cause"]


def test_a_kubelet_that_is_gone(diagnosis: Runner, world: Installation) -> None:
    world.set_status(kinds.NODE, world.node, {"daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}})
    world.state_of("mic-a", "mic", crashing())
    done = diagnosis(namespace=world.namespace).ok()
    assert done["causes"][0]["code"] == "mic_crashing"
    assert len([each for each in unread(done, "logs") if world.namespace in each]) == 3


def test_reader_of_nothing_but_the_inventory(diagnosis: Runner, client: Client, world: Installation) -> None:
    """No events, no logs, no nodes, no Secrets: the rest is told, and what is missing is named."""
    world.state_of("mic-a", "mic", {"ready": False})
    principal(world)
    rules = may_list(kind for kind in inventory.KINDS if kind != kinds.NODE)
    with server.rights_of_restricted(client, f"reader-{world.namespace}", *rules):
        done = diagnosis(token=RESTRICTED, namespace=world.namespace).ok()
    told = [each["code"] for each in done["causes"]]
    assert done["verdict"] == "broken" and "mic_not_running" in told
    assert "nmi_missing_on_node" not in told and "secret_missing" not in told
    assert unread(done, "events") == ["events"]
    assert unread(done, "logs") == [f"logs of pods in namespace {world.namespace}"]
    objects = " ".join(unread(done, "objects"))
    for part in ("Nodes", "networkpolicies", "serviceaccounts", f"Secret {world.namespace}/hush", "ClusterRoles"):
        assert part in objects, objects
    assert f"Endpoints {world.namespace}/aad-pod-identity-mic" in objects
    for each in done["unread"]:
        assert all(each[key] for key in ("source", "what", "why", "needs")), each
    assert world.kubelet.asked == []


@pytest.mark.parametrize("missing", ["pods", "azureidentities"])
def test_without_its_lists_nothing_is_told(
    diagnosis: Runner, client: Client, world: Installation, missing: str
) -> None:
    rules = may_list(kind for kind in inventory.KINDS if kind.plural != missing)
    with server.rights_of_restricted(client, f"lacks-{missing}", *rules):
        told = diagnosis(token=RESTRICTED).failure()
    assert told.startswith(f"The user of this connection may not list {missing}")


def test_what_a_tenant_runs_is_not_believed(diagnosis: Runner, world: Installation, tenant: str) -> None:
    """His MIC and NMI crash, with lines that would tell of others; nobody asks for them."""
    for kind, name in ((kinds.DEPLOYMENT, "mic"), (kinds.DAEMON_SET, "nmi")):
        world.pod(world.program(kind, name, namespace=tenant), f"{name}-a", tenant, state=crashing())
        world.kubelet.write(tenant, f"{name}-a", LOST + FORGED)
        world.kubelet.write(tenant, f"{name}-a", LOST + FORGED, previous=True)
    done = diagnosis().ok()
    assert causes(done, world) == []
    assert tenant not in {namespace for namespace, _pod, _previous in world.kubelet.asked}


def test_hostile_text_is_no_reason_and_appears_escaped(diagnosis: Runner, client: Client, world: Installation) -> None:
    """In the log of MIC, with a line break in a name, and in events about its pod."""
    world.state_of("mic-a", "mic", crashing())
    text = (
        "I0301 09:00:00.000000 1 mic.go:1] pod \x1b[2J{{ 7*7 }}\nI0301 09:00:00.000000 1 mic.go:1] lost leader lease\n"
    )
    world.kubelet.write(world.namespace, "mic-a", text, previous=True)
    for number, reason in enumerate(("BackOff", "\x1b]0;owned\x07", "{{ lookup('pipe', 'id') }}")):
        about = {"kind": "Pod", "namespace": world.namespace, "name": "mic-a", "apiVersion": "v1"}
        message = f"\x1b[31m{{{{ 7*7 }}}}\u202e{'x' * 900}"
        world.create(kinds.EVENT, f"e{number}", involvedObject=about, reason=reason, message=message, type="Warning")
    outcome = diagnosis(namespace=world.namespace)
    first = outcome.ok()["causes"][0]
    assert (first["code"], first["certainty"]) == ("mic_crashing", "proved")
    assert first["evidence"][-1]["text"] == "lost leader lease"
    for each in outcome.result["causes"]:
        texts = [each["cause"], each["symptom"], *(one["text"] for one in each["evidence"])]
        assert all(one.isprintable() and len(one) <= 1000 for one in texts)
    world.state_of("mic-a", "mic", {"ready": False})
    waiting = diagnosis(namespace=world.namespace).ok()["causes"][0]
    assert waiting["code"] == "mic_not_running"
    told = [each["text"] for each in waiting["evidence"] if each["source"].startswith("event of Pod")]
    assert len(told) == 3 and all("\\x1b[31m{{ 7*7 }}\\u202e" in each for each in told)


@pytest.mark.parametrize(
    "piece", ["x", "{", "\x00", "E0301 09:00:00.000000 1 a.go:1] x\n"], ids=["x", "json", "nul", "lines"]
)
def test_a_log_without_an_end(diagnosis: Runner, world: Installation, piece: str) -> None:
    world.state_of("mic-a", "mic", crashing())
    endless = piece * (50_000_000 // len(piece))
    world.kubelet.write(world.namespace, "mic-a", endless)
    world.kubelet.write(world.namespace, "mic-a", endless, previous=True)
    outcome = diagnosis(log_megabytes=2)
    assert ("mic_crashing", f"Deployment {world.namespace}/mic") in causes(outcome.ok(), world)
    assert world.kubelet.sent < 30_000_000 and len(outcome.output) < 1_000_000


def test_what_is_before_a_line_without_an_end_counts(diagnosis: Runner, world: Installation) -> None:
    world.state_of("mic-a", "mic", crashing())
    world.kubelet.write(world.namespace, "mic-a", LOST + "x" * 50_000_000, previous=True)
    first = diagnosis(namespace=world.namespace, log_megabytes=2).ok()["causes"][0]
    assert (first["code"], first["certainty"]) == ("mic_crashing", "likely")
    assert first["evidence"][-1]["text"] == "lost leader lease"


def test_no_value_of_a_secret_is_told(diagnosis: Runner, world: Installation) -> None:
    world.create(kinds.SECRET, "hush", stringData={"password": "hush-value-1", "other": "hush-value-2"})
    principal(world)
    outcome = diagnosis()
    assert not [each for each in outcome.ok()["unread"] if "Secret" in each["what"]]
    for text in ("hush-value", "aHVzaC12YWx1ZS"):
        assert text not in outcome.output


def test_files_say_what_the_cluster_says(
    diagnosis: Runner, api_server: ApiServer, world: Installation, tmp_path: Path
) -> None:
    world.state_of("mic-a", "mic", crashing())
    world.kubelet.write(world.namespace, "mic-a", LOST, previous=True)
    listed = [kind.resource for kind in (*inventory.KINDS, kinds.EVENT)]
    listed += ["clusterroles", "clusterrolebindings", "customresourcedefinitions"]
    objects = tmp_path / "objects.json"
    objects.write_bytes(dump(api_server, *listed))
    log = tmp_path / "mic-a.previous.log"
    log.write_text(LOST)
    live = diagnosis(namespace=world.namespace).ok()
    given = {"namespace": world.namespace, "kubeconfig": "/nowhere", "files": [str(objects)]}
    saved = diagnosis(**given, log_files=[str(log), str(objects)]).ok()
    assert [each["code"] for each in saved["causes"]] == [each["code"] for each in live["causes"]]
    assert saved["causes"][0]["certainty"] == "likely"
    assert f"the file {objects}" in unread(saved, "logs")
    assert diagnosis(**given).ok()["causes"][0]["certainty"] == "proved"
    nowhere = str(tmp_path / "mic-a.log")
    assert diagnosis(**given, log_files=[nowhere]).failure().startswith(f"The file {nowhere} cannot be read")


TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJhcHBpZCI6Im1pbmUifQ.c2ln"
UNKNOWN_POD = "failed to match pod IP 10.0.0.9 with []"
NO_IMDS = (
    "failed to get service principal token for pod: team/web, error: adal: Failed to execute the refresh request. "
    "Error = 'Get http://169.254.169.254/: dial tcp 169.254.169.254:80: connect: connection refused'"
)


def test_the_answer_to_a_request_is_joined_with_the_rest(
    diagnosis: Runner, client: Client, world: Installation
) -> None:
    """It proves what it says, the probe goes, and no token is told."""
    with answering(client, world, by_nmi(500, body=f"{UNKNOWN_POD} {TOKEN}")) as ran:
        outcome = diagnosis(pod=f"{world.namespace}/web", probe=True)
    done = outcome.ok()
    first, *others = done["causes"]
    assert (first["code"], first["object"], first["certainty"]) == (
        "nmi_does_not_know_pod",
        f"Node {world.node}",
        "proved",
    )
    assert UNKNOWN_POD in first["evidence"][0]["text"]
    assert [(each["code"], each["because"]) for each in others] == [("no_token", ["nmi_does_not_know_pod"])]
    (request,) = done["requests"]
    assert (request["verdict"], request["node"], request["answered_by"]) == ("pod_unknown", world.node, "nmi")
    assert request["identity"] == f"{world.namespace}/web"
    assert len(ran) == 1 and len(done["actions"]) == 1 and not done["changed"]
    assert not client.list_all(kinds.JOB, world.namespace)
    assert TOKEN not in outcome.output and unread(done, "probe") == []


def test_what_nmi_logs_of_a_request_is_read_after_it(diagnosis: Runner, client: Client, world: Installation) -> None:
    """NMI wrote nothing before."""
    said = f"E0301 09:00:00.000000 1 server.go:1] {NO_IMDS}\n"
    with answering(client, world, by_nmi(503), log=("nmi-a", said)):
        done = diagnosis(pod=f"{world.namespace}/web", probe=True).ok()
    first = done["causes"][0]
    assert (first["code"], first["object"]) == ("node_cannot_reach_imds", f"Node {world.node}")
    assert first["evidence"][0]["source"] == f"log of Pod {world.namespace}/nmi-a"


@pytest.mark.parametrize("right", [True, False])
def test_a_token_is_compared_for_each_workload(
    diagnosis: Runner, client: Client, world: Installation, right: bool
) -> None:
    claims = {"aud": "https://management.azure.com/", "appid": f"client-{world.namespace}" if right else "another"}
    with answering(client, world, by_nmi(200, claims=claims)) as ran:
        done = diagnosis(namespace=world.namespace, probe=True).ok()
    assert [each["verdict"] for each in done["requests"]] == ["ok" if right else "wrong_identity"] and len(ran) == 1
    told = [each for each in done["causes"] if each["code"] == "token_not_right"]
    assert [each["object"] for each in told] == ([] if right else [f"Pod {world.namespace}/web"])


@pytest.mark.parametrize("asks", [True, False])
def test_check_mode_asks_only_where_it_may(diagnosis: Runner, client: Client, world: Installation, asks: bool) -> None:
    with answering(client, world, by_nmi(404)) as ran:
        done = diagnosis(check=True, namespace=world.namespace, probe=True, check_mode_probe=asks).ok()
    assert (len(ran), len(done["requests"]), len(done["actions"])) == ((1, 1, 1) if asks else (0, 0, 0))
    assert unread(done, "probe") == ([] if asks else [f"the token of Pod {world.namespace}/web"])


def test_who_may_run_no_probe_gets_the_rest(diagnosis: Runner, client: Client, world: Installation) -> None:
    world.state_of("mic-a", "mic", {"ready": False})
    rules = may_list(inventory.KINDS)
    with server.rights_of_restricted(client, f"asks-{world.namespace}", *rules):
        done = diagnosis(token=RESTRICTED, namespace=world.namespace, probe=True).ok()
    assert "mic_not_running" in [each["code"] for each in done["causes"]] and done["requests"] == []
    (lack,) = [each for each in done["unread"] if each["source"] == "probe"]
    assert lack["what"] == f"the token of Pod {world.namespace}/web" and "may not" in lack["why"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"files": ["/tmp/objects.json"], "probe": True}, "leave one out"),
        ({"pod": "nobody/nothing"}, "There is no Pod nobody/nothing"),
        ({"pod": "nothing"}, "The pod 'nothing' is not named as NAMESPACE/NAME"),
        ({"workload": "a/b", "pod": "a/c"}, "mutually exclusive"),
        ({"log_files": ["/tmp/mic.log"]}, "needs the objects"),
        ({"log_hours": 0}, "log_hours must be at least 1"),
        ({"log_megabytes": -1}, "log_megabytes must be at least 1"),
        ({"version": "latest"}, "is none of AAD Pod Identity"),
    ],
)
def test_options_that_are_wrong(diagnosis: Runner, options: dict[str, Any], told: str) -> None:
    assert told in diagnosis(**options).failure()


def test_what_is_returned_is_documented(diagnosis: Runner, client: Client, world: Installation) -> None:
    world.state_of("mic-a", "mic", crashing())
    documented = yaml.safe_load(pod_identity_diagnosis_info.RETURN)
    with answering(client, world, by_nmi(404)):
        done = diagnosis(namespace=world.namespace, probe=True).ok()
    assert set(done) - {"changed", "invocation"} == set(documented)
    for key in ("causes", "unread", "requests"):
        assert set(done[key][0]) == set(documented[key]["contains"])
    one = documented["causes"]["contains"]
    assert set(done["causes"][0]["fix"]) == set(one["fix"]["contains"])
    assert set(done["causes"][0]["evidence"][0]) == set(one["evidence"]["contains"])


def test_the_examples(
    diagnosis: Runner, api_server: ApiServer, client: Client, world: Installation, tmp_path: Path
) -> None:
    text = pod_identity_diagnosis_info.EXAMPLES.replace("/etc/ansible/prod.kubeconfig", api_server.kubeconfig())
    text = text.replace("shop/web-6d4cf56db6-abcde", f"{world.namespace}/web").replace(
        "/var/backups/prod", str(tmp_path)
    )
    for name in ("workloads.json", "pod-identity.json"):
        (tmp_path / name).write_text(json.dumps({"kind": "List", "items": []}))
    for name in ("mic-7f9c6d5b8-x2x4v.log", "nmi-8kq7z.previous.log"):
        (tmp_path / name).write_text(LOST)
    with answering(client, world, by_nmi(404)):
        status, output = Player(tmp_path / "play").play(yaml.safe_load(text))
    assert status == 0, output
