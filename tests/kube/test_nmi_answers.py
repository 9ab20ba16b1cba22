# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The computed answers against those of the real NMI, to pods of random worlds; MIC assigns where the mode has one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import nmi_answers
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import (
    CERTIFICATE,
    MANAGED,
    SERVICE_PRINCIPAL,
    USER_ASSIGNED,
    AssignedIdentity,
    Identity,
    Matching,
    Pod,
    Rules,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.nmi_answers import (
    Answer,
    Answers,
    PodException,
    Request,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import token, token_request
from ansible_collections.azureops.pod_identity.tests.kube import mic as programs
from ansible_collections.azureops.pod_identity.tests.kube import nmi as nmi_programs
from ansible_collections.azureops.pod_identity.tests.kube import server, test_matching
from ansible_collections.azureops.pod_identity.tests.kube.mic import NAMESPACES, NODES, Body, Key, Mic, Stage, World
from ansible_collections.azureops.pod_identity.tests.kube.nmi import ENTRA, NODE_TOKEN, Nmi, Said, ServicePrincipals
from ansible_collections.azureops.pod_identity.tests.kube.server import ApiServer

WORLDS = 6  # of a case

_KINDS = {
    "no azure identity found for request": nmi_answers.NO_SUCH_IDENTITY,
    "in CREATED state failed": nmi_answers.NOT_ASSIGNED,
    "in ASSIGNED state failed": nmi_answers.ASSIGNMENT_PENDING,
    "failed to match pod IP": nmi_answers.POD_UNKNOWN,
    "pod list is empty": nmi_answers.POD_UNKNOWN,
    "index out of range": nmi_answers.CRASH,
    "unsupported identity type": nmi_answers.UNSUPPORTED_TYPE,
    "parameter 'clientID' cannot be empty": nmi_answers.NO_CLIENT_ID,
}
PLAIN = (("Content-Type", "text/plain"),)
STRANGER = nmi_programs.stranger()
_CLIENTS = ("", "c1", "c1", "c2", "C1", "c3")

_keys = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(["i", "j", "k"]))
_selectors = st.sampled_from(["x", "x", "x", "y", ""])


@dataclass(frozen=True)
class Cluster:
    rules: Rules
    stage: Stage
    nmi: Nmi
    resource_ids: tuple[str, str]
    principals: ServicePrincipals

    def show(self, world: World) -> None:
        """And wait for MIC, where there is one."""
        self.stage.show(world)
        if isinstance(self.stage, Mic):
            test_matching.settled(self.stage, test_matching.expected(world, self.rules), test_matching.Places())


@st.composite
def _pods(draw: st.DrawFn) -> dict[Key, Body]:
    """Each has an address; sometimes two have the same."""
    keys = draw(
        st.lists(st.tuples(st.sampled_from(NAMESPACES), st.sampled_from("pqr")), min_size=3, max_size=6, unique=True)
    )
    pods = {}
    for number, key in enumerate(keys):
        address = f"127.9.0.{draw(st.sampled_from([number] * 9 + [0])) + 1}"
        label = draw(st.one_of(_selectors, _selectors, _selectors, st.none()))
        owner = draw(st.sampled_from(["", "", "mic-1", "microservice-1", "amic-1"]))
        app = draw(st.sampled_from([None, None, "web", "WEB", "db"]))
        labels = {key: value for key, value in (("aadpodidbinding", label), ("app", app)) if value is not None}
        # The garbage collector knows no kind of this group, and leaves its pods alone.
        owners = [{"apiVersion": "tests.example/v1", "kind": "replicaset", "name": owner, "uid": "u"}] if owner else []
        pods[key] = {
            "metadata": {"labels": labels, "ownerReferences": owners},
            "spec": {"nodeName": NODES[0], "hostNetwork": draw(st.sampled_from([False] * 5 + [True]))},
            "status": {
                "phase": draw(st.sampled_from(["Running"] * 6 + ["Pending", "Succeeded"])),
                "podIP": address,
                "podIPs": [{"ip": address}],
            },
        }
    return pods


def _identity(principals: ServicePrincipals, kind: int, resource_id: str, client_id: str, behavior: str | None) -> Body:
    annotations = {} if behavior is None else {"aadpodidentity.k8s.io/Behavior": behavior}
    return {
        "metadata": {"annotations": annotations},
        "spec": {"type": kind, "resourceID": resource_id, "clientID": client_id, **principals.spec(kind)},
    }


def _binding(to: str, selector: str) -> Body:
    return {"spec": {"azureIdentity": to, "selector": selector}}


def _exception(labels: dict[str, str]) -> Body:
    return {"spec": {"podLabels": labels}}


def worlds(one: str, two: str, principals: ServicePrincipals) -> st.SearchStrategy[World]:
    identity = st.builds(
        _identity,
        st.just(principals),
        st.sampled_from([USER_ASSIGNED] * 4 + [SERVICE_PRINCIPAL, CERTIFICATE, 5]),
        st.sampled_from([one, two, one.upper()]),
        st.sampled_from(_CLIENTS),
        st.sampled_from([None, None, "namespaced"]),
    )
    binding = st.builds(_binding, st.sampled_from(["i", "i", "j", "k"]), _selectors)
    exception = st.builds(_exception, st.sampled_from([{"app": "web"}, {"app": "Web", "tier": "x"}, {"tier": "x"}]))
    return st.builds(
        World,
        st.dictionaries(_keys, identity, min_size=6, max_size=9),
        st.dictionaries(_keys, binding, min_size=6, max_size=9),
        _pods(),
        st.dictionaries(st.tuples(st.sampled_from(NAMESPACES), st.just("e")), exception, min_size=1),
    )


def requests(one: str, two: str) -> tuple[Request, ...]:
    return (
        Request(),
        Request("c1"),
        Request("C1"),
        Request("c2"),
        Request("unknown"),
        Request(msi_res_id=one),
        Request(mi_res_id=one.upper()),
        Request("c3", two),
    )


@pytest.fixture(scope="module", params=["standard", "namespaced", "managed"])
def cluster(
    request: pytest.FixtureRequest, api_server: ApiServer, definitions: list[dict[str, Any]]
) -> Iterator[Cluster]:
    client = api_server.client()
    server.install(client, definitions)
    rules = Rules(
        mode=MANAGED if request.param == MANAGED else "standard", force_namespaced=request.param != "standard"
    )
    forced = f"--forceNamespaced={str(rules.force_namespaced).lower()}"
    with contextlib.ExitStack() as stack:
        nmi = stack.enter_context(nmi_programs.running(api_server, NODES[0], f"--operation-mode={rules.mode}", forced))
        principals = ServicePrincipals(nmi.azure, client, *{one.lower() for one in _CLIENTS if one})
        if rules.mode == MANAGED:
            resource_ids = ("/subscriptions/s/one", "/subscriptions/s/two")
            found = Cluster(rules, Stage(client), nmi, resource_ids, principals)
        else:
            mic = stack.enter_context(programs.running(api_server, forced))
            found = Cluster(rules, mic, nmi, (mic.resource_ids[0], mic.resource_ids[1]), principals)
        yield found
        found.show(World())


@pytest.mark.soak
@pytest.mark.parametrize("case", range(10))
def test_nmi_answers_what_is_computed(cluster: Cluster, case: int) -> None:
    @seed(case)
    @settings(max_examples=WORLDS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(worlds(*cluster.resource_ids, cluster.principals))
    def agree(world: World) -> None:
        asked = requests(*cluster.resource_ids)
        cluster.show(World())
        cluster.show(world)
        pods, answers = computed(cluster, world)
        with ThreadPoolExecutor(8) as pool:
            jobs = [
                pool.submit(compare, cluster.nmi, answers, pod, one) for pod in pods if asks(pod, pods) for one in asked
            ]
            for job in jobs:
                job.result()

    agree()


WRONG_SECRETS: list[tuple[int, dict[str, bytes] | None, str]] = [
    (SERVICE_PRINCIPAL, None, "create the Secret"),
    (SERVICE_PRINCIPAL, {}, "put a client secret"),
    (SERVICE_PRINCIPAL, {"secret": b""}, "put a client secret"),
    (SERVICE_PRINCIPAL, {"secret": b"open"}, "put a valid client secret"),
    (CERTIFICATE, {}, "in PKCS#12 format"),
    (CERTIFICATE, {"certificate": STRANGER}, "does not open"),
    (CERTIFICATE, {"certificate": STRANGER, "password": b"sesame"}, "register the certificate"),
]


@pytest.mark.soak
def test_what_is_wrong_with_a_secret_is_told(cluster: Cluster) -> None:
    """From what NMI says."""
    address, home = "127.9.0.1", NAMESPACES[0]
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    pod = {"metadata": {"labels": {"aadpodidbinding": "x"}}, "spec": {"nodeName": NODES[0]}, "status": status}
    for kind, data, advice in WRONG_SECRETS:
        identity = _identity(cluster.principals, kind, "", "c1", None)
        if data is not None:
            cluster.principals.keep("wrong", **data)
        identity["spec"].update(cluster.principals.spec(kind, "missing" if data is None else "wrong"))
        cluster.show(World())
        cluster.show(World({(home, "i"): identity}, {(home, "i"): _binding("i", "x")}, {(home, "p"): pod}))
        end = time.monotonic() + server.SECONDS
        while not told(cluster.nmi.ask(address), advice):  # NMI's own lists may lag a moment behind
            assert time.monotonic() < end, (kind, data, advice, cluster.nmi.ask(address))
            time.sleep(0.1)


def told(said: Said, advice: str) -> bool:
    found = token.judge(answered(said), token.Expectation("https://vault.azure.net", identity="default/i"))
    return found.verdict == "token_refused" and advice in found.message


def answered(said: Said) -> token_request.Answer:
    """As a pod sees it."""
    blocked = token_request.Answer(exit_code=0, status=403, headers=PLAIN, body="blocked by AAD Pod Identity NMI")
    return token_request.Answer(exit_code=0, status=said.status, headers=PLAIN, body=said.body, instance=blocked)


def computed(cluster: Cluster, world: World) -> tuple[list[Pod], Answers]:
    pods, bindings, identities = test_matching.parsed(world)
    exceptions = [PodException.parse(test_matching.raw(key, body)) for key, body in world.exceptions.items()]
    assigned = [AssignedIdentity.parse(raw) for raw in cluster.stage.assigned()]
    matching = Matching(bindings, identities, cluster.rules, nodes=NODES)
    return pods, Answers(matching, exceptions, assigned, pods)


def asks(pod: Pod, pods: list[Pod]) -> bool:
    """Whether a request from its address comes to NMI and is the pod's: one that ended may have left it to another."""
    if pod.host_network:
        return False
    return pod.phase in ("Pending", "Running") or [one.ip for one in pods].count(pod.ip) == 1


def compare(nmi: Nmi, answers: Answers, pod: Pod, request: Request) -> None:
    """NMI's own lists may lag a moment behind."""
    assert set(answers.expected(pod, request)) == set(answers.given(pod, request))
    parameters = {key: value for key, value in vars(request).items() if value}
    options = [seen(answer, request) for answer in answers.given(pod, request)]
    end = time.monotonic() + server.SECONDS
    while True:
        said = nmi.ask(pod.ip, **parameters)
        if (said.status, kind(said), said.token) in options:
            return
        assert time.monotonic() < end, f"{pod} asked with {parameters} and got {said}, not any of {options}"
        time.sleep(0.1)


def seen(answer: Answer, request: Request) -> tuple[int, str, str]:
    """How an answer shows on the wire: tokens are told apart by their client ids."""
    if answer.kind == nmi_answers.NODE_TOKEN:
        return answer.status, nmi_answers.TOKEN, request.client_id or NODE_TOKEN
    if answer.kind == nmi_answers.TOKEN and answer.identity:
        return answer.status, answer.kind, _whose(answer.identity)
    return answer.status, answer.kind, ""


def _whose(identity: Identity) -> str:
    if identity.type == USER_ASSIGNED:
        return identity.client_id or NODE_TOKEN
    return ENTRA + identity.client_id.lower()


def kind(said: Said) -> str:
    if said.status == 200:
        return nmi_answers.TOKEN
    return next((kind for text, kind in _KINDS.items() if text in said.body), said.body)
