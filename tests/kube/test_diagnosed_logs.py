# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes that are told by logs and events: the real MIC and NMI get into each of them, and what they write is read."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import of_identities, of_mic
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.cause import LIKELY, PROVED
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.events import Event
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.logs import Log, parse
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    Component,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_ASSIGNED_IDENTITY,
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    ENDPOINTS,
    EVENT,
    NODE,
    POD,
)
from ansible_collections.azureops.pod_identity.tests.kube import mic as programs
from ansible_collections.azureops.pod_identity.tests.kube import nmi as nmi_programs
from ansible_collections.azureops.pod_identity.tests.kube.mic import NODES, Body, Key, Mic, Stage, World
from ansible_collections.azureops.pod_identity.tests.kube.token_server import Reply, TokenServer
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from azsandbox.azure.loopback import SimulatedAzure

KINDS = (AZURE_IDENTITY, AZURE_IDENTITY_BINDING, AZURE_POD_IDENTITY_EXCEPTION, AZURE_ASSIGNED_IDENTITY, POD, NODE)
HOST = socket.gethostname()
CLIENT = "11111111-aaaa-bbbb-cccc-222222222222"
OTHER = "33333333-aaaa-bbbb-cccc-444444444444"
CONTRIBUTOR = "Virtual Machine Contributor"
POD_KEY = ("default", "p")
SCALE_SETS = "/virtualMachineScaleSets/"
BOUND = ("default", "i")
Told = set[tuple[str, str, str]]
MIC_LABEL, IDENTITY, ASKING = "Deployment default/mic", "AzureIdentity default/i", "Pod default/p"


@pytest.fixture(scope="module", autouse=True)
def _definitions(api_server: ApiServer, definitions: list[dict[str, Any]]) -> None:
    server.install(api_server.client(), definitions)


def pod(label: str | None = "x", **status: str) -> Body:
    labels = {} if label is None else {"aadpodidbinding": label}
    return {"metadata": {"labels": labels}, "spec": {"nodeName": NODES[0]}, "status": {"phase": "Running", **status}}


def bound(resource_id: str, pods: Mapping[Key, Body] | None = None, client_id: str = CLIENT) -> World:
    """A pod, or several, and the identity that is bound to them."""
    return World(
        identities={BOUND: {"spec": {"type": 0, "resourceID": resource_id, "clientID": client_id}}},
        bindings={BOUND: {"spec": {"azureIdentity": "i", "selector": "x"}}},
        pods={POD_KEY: pod()} if pods is None else pods,
    )


def observed(
    client: Client, log: Path | None, program: str, *arguments: str, later: float = 0, restarts: int = 0
) -> Observed:
    """What a diagnosis would read; the program runs outside of the cluster, so its workload is made up."""
    now = datetime.now(UTC) + timedelta(seconds=later)
    objects: dict[str, Sequence[Any]] = {kind.name: client.list_all(kind) for kind in KINDS}
    for name in (AZURE_IDENTITY.name, AZURE_IDENTITY_BINDING.name):  # without what is there only to be waited for
        objects[name] = [one for one in objects[name] if one["metadata"]["name"] != programs.BARRIER]
    objects[ENDPOINTS.name] = [one for one in client.list_all(ENDPOINTS) if one["metadata"]["name"].startswith("mic-")]
    ended = {"exitCode": 1, "finishedAt": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"restartCount": restarts, "lastState": {"terminated": ended}}],
    }
    metadata = {"name": program, "namespace": "default"}
    containers = [{"name": program, "image": f"registry.example/{program}:v1.8.17", "args": list(arguments)}]
    template = {"spec": {"template": {"spec": {"containers": containers}}}}
    kind = "Deployment" if program == MIC else "DaemonSet"
    pods = ({"metadata": {**metadata, "name": HOST}, "status": status},)
    logs = (Log(program, "default", HOST, NODES[0], parse(log.read_bytes(), now)),) if log else ()
    return Observed(
        Inventory(Cluster.parse(objects, {})),
        objects,
        (Component(program, {"kind": kind, "metadata": metadata, **template}, pods),),
        logs,
        tuple(map(Event.parse, client.list_all(EVENT))) if log is None else (),
        now=now,
    )


def of(mic: Mic, client: Client, *arguments: str, events: bool = False, **more: Any) -> Observed:
    """By MIC's log, or by its events instead."""
    return observed(client, None if events else mic.log, MIC, f"--leader-election-name={mic.lock}", *arguments, **more)


def told(one: Observed) -> Told:
    rows = (*of_mic.TABLE.rows, *of_identities.TABLE.rows)
    return {(row.code, found.object, found.certainty) for row in rows for found in row.look(one)}


def tells(code: str, look: Callable[[], Observed], seconds: float = server.SECONDS) -> Observed:
    """What was observed when the code was among what is told; with what the log held otherwise."""
    seen: list[Observed] = []

    def there() -> bool:
        seen[:] = [look()]
        return code in {each[0] for each in told(seen[0])}

    try:
        server.until(f"{code} is told", there, seconds)
    except RuntimeError as error:
        said = "\n".join(line.text for log in seen[0].logs for line in log.lines[-40:])
        raise AssertionError(f"{error}: {told(seen[0])}\n{said}") from None
    return seen[0]


def texts(one: Observed) -> str:
    rows = (*of_mic.TABLE.rows, *of_identities.TABLE.rows)
    return "\n".join(found.cause for row in rows for found in row.look(one))


@contextmanager
def showing(mic: Mic, world: World) -> Iterator[None]:
    """Without waiting until MIC has seen it: where Azure does not answer, it gets nowhere."""
    Stage.show(mic, world)
    try:
        yield
    finally:
        mic.azure.control("DELETE", "/faults")
        Stage.show(mic, World())


def limited(azure: SimulatedAzure, group: str) -> Body:
    """May change scale sets and assign no identity."""
    scope = f"/subscriptions/{azure.subscription_id}/resourceGroups/{group}"
    who = azure.principal("limited", (CONTRIBUTOR, scope))
    return {"aadClientId": who.client_id, "aadClientSecret": who.secret}


def forgotten(azure: SimulatedAzure, group: str) -> Body:
    return {"aadClientId": azure.owner.client_id, "aadClientSecret": "no more"}


def kubelet(azure: SimulatedAzure, group: str) -> Body:
    return programs.managed_identity(OTHER)


def fault(mic: Mic, **rule: Any) -> None:
    mic.azure.control("POST", "/faults", {"path": SCALE_SETS, "count": 0, **rule})


def test_a_mic_that_works(api_server: ApiServer, client: Client) -> None:
    with programs.running(api_server) as mic, showing(mic, bound(mic.resource_ids[0])):
        server.until("the identity is assigned", lambda: assigned(mic))
        assert told(of(mic, client)) == set()
        server.until("MIC tells its times", lambda: "] Total: " in mic.log.read_text())
        assert told(of(mic, client)) == set()


def assigned(mic: Mic) -> bool:
    return any((one.get("status") or {}).get("status") == "Assigned" for one in mic.assigned())


def test_azure_refuses_mic(api_server: ApiServer, client: Client) -> None:
    with programs.running(api_server, login=limited) as mic, showing(mic, bound(mic.resource_ids[0])):
        look = tells("mic_refused_by_azure", lambda: of(mic, client))
        assert told(look) == {("mic_refused_by_azure", IDENTITY, LIKELY)}
        assert "LinkedAuthorizationFailed (Microsoft.ManagedIdentity/userAssignedIdentities/assign/action)" in texts(
            look
        )
        of_events = tells("mic_refused_by_azure", lambda: of(mic, client, events=True))
        assert told(of_events) == {("mic_refused_by_azure", IDENTITY, LIKELY)}


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_azure_throttles_mic(api_server: ApiServer, client: Client, method: str) -> None:
    with programs.running(api_server) as mic:
        body = {"error": {"code": "TooManyRequests", "message": "The request is being throttled."}}
        fault(mic, method=method, status=429, body=body, headers={"Retry-After": "60"})
        with showing(mic, bound(mic.resource_ids[0])):
            look = tells("mic_throttled_by_azure", lambda: of(mic, client))
            assert told(look) == {("mic_throttled_by_azure", MIC_LABEL, LIKELY)}
            # Until a minute is over MIC asks no more, and says so itself.
            Stage.show(mic, bound(mic.resource_ids[0], {POD_KEY: pod(), ("default", "q"): pod()}))
            server.until("MIC waits", lambda: "client throttled, retry after: " in mic.log.read_text())
            assert told(of(mic, client)) == {("mic_throttled_by_azure", MIC_LABEL, LIKELY)}


def test_mic_cannot_login_as_service_principal(api_server: ApiServer, client: Client) -> None:
    with programs.running(api_server, login=forgotten) as mic, showing(mic, bound(mic.resource_ids[0])):
        look = tells("mic_cannot_login", lambda: of(mic, client))
        assert told(look) == {("mic_cannot_login", MIC_LABEL, LIKELY)}
        assert "Microsoft Entra ID answers AADSTS7000215" in texts(look)


class _NoIdentity(TokenServer):
    """An IMDS of a node that does not carry the identity."""

    def answer(self, path: str) -> Reply:
        return 400, json.dumps({"error": "invalid_request", "error_description": "Identity not found"}).encode(), {}


def test_mic_cannot_login_as_managed_identity(api_server: ApiServer, client: Client) -> None:
    with _NoIdentity() as imds:
        variables = {"MSI_ENDPOINT": f"{imds.host}/msi/token", "MSI_SECRET": "given"}
        with programs.running(api_server, login=kubelet, **variables) as mic, showing(mic, bound(mic.resource_ids[0])):
            look = tells("mic_cannot_login", lambda: of(mic, client))
            assert told(look) == {("mic_cannot_login", MIC_LABEL, LIKELY)}
            assert "the identity with which it works is not on its node" in texts(look)


@pytest.mark.soak
def test_mic_holds_itself_back(api_server: ApiServer, client: Client) -> None:
    with programs.running(api_server, "--clientQps=1") as mic:
        pods = {("default", f"p{number}"): pod() for number in range(12)}
        fault(mic, method="PATCH", hang=True)
        with showing(mic, bound(mic.resource_ids[0], pods)):
            look = tells("mic_slow", lambda: of(mic, client, "--clientQps=1"))
            assert told(look) == {("mic_slow", MIC_LABEL, LIKELY)}
            assert "it allows itself 1 a second" in texts(look)


def test_long_cycles(api_server: ApiServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which are of two seconds here, so that nobody waits."""
    monkeypatch.setattr(of_mic, "_LONG_CYCLE", 2)
    monkeypatch.setattr(of_mic, "_HABIT", 1)
    with programs.running(api_server) as mic:
        fault(mic, method="GET", delay=3)
        with showing(mic, bound(mic.resource_ids[0])):
            look = tells("mic_slow", lambda: of(mic, client))
            assert told(look) == {("mic_slow", MIC_LABEL, LIKELY)}
            assert "in Cloud provider GET" in texts(look)


def test_nobody_leads(api_server: ApiServer, client: Client) -> None:
    with programs.running(api_server, "--leader-election-duration=4s") as mic:
        server.until("MIC leads", lambda: "successfully acquired lease" in mic.log.read_text())

        def look(later: float = 0, restarts: int = 0) -> Observed:
            return of(mic, client, later=later, restarts=restarts)

        assert told(look()) == set()
        assert told(look(later=120)) == {("mic_without_leader", MIC_LABEL, PROVED)}
        assert "has not renewed it for" in texts(look(later=120))
        take(client, mic.lock)
        server.until("MIC has lost its lease", lambda: "lost leader lease" in mic.log.read_text())
        assert told(look()) == {("mic_without_leader", MIC_LABEL, PROVED)}
        assert "The lock is held by 'another', which is no pod of MIC." in texts(look())
        take(client, mic.lock, HOST)
        assert told(look()) == set()
        assert told(look(restarts=5)) == {("mic_without_leader", MIC_LABEL, LIKELY)}
        client.delete(ENDPOINTS, "default", mic.lock)
        assert told(look()) == {("mic_without_leader", MIC_LABEL, PROVED)}


def take(client: Client, lock: str, holder: str = "another") -> None:
    """As if another had taken the lock just now."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = {"holderIdentity": holder, "leaseDurationSeconds": 60, "acquireTime": now, "renewTime": now}
    annotations = {"control-plane.alpha.kubernetes.io/leader": json.dumps(record)}
    client.merge(ENDPOINTS, "default", lock, {"metadata": {"annotations": annotations}})


@pytest.fixture(scope="module")
def nmi(api_server: ApiServer, _definitions: None) -> Iterator[nmi_programs.Nmi]:
    """It waits for assignments as it does in clusters, but for a fourth of the time."""
    flags = ("--retry-attempts-for-created=2", "--retry-attempts-for-assigned=2", "--find-identity-retry-interval=1")
    with nmi_programs.running(api_server, NODES[0], *flags) as running:
        yield running


@pytest.fixture
def stage(client: Client, nmi: nmi_programs.Nmi) -> Iterator[Stage]:
    found = Stage(client)
    clear(client)  # a MIC that was ended leaves its assignments
    yield found
    clear(client)
    found.show(World())


def clear(client: Client) -> None:
    for one in client.list_all(AZURE_ASSIGNED_IDENTITY):
        client.delete(AZURE_ASSIGNED_IDENTITY, one["metadata"]["namespace"], one["metadata"]["name"])


def assign(client: Client, stage: Stage, name: str, world: World) -> None:
    """To a pod, as MIC would do it: NMI goes by the copies."""
    stage.show(world)
    refs = {kind: client.get(kind, *BOUND) for kind in (AZURE_IDENTITY, AZURE_IDENTITY_BINDING)}
    body = {
        "apiVersion": AZURE_ASSIGNED_IDENTITY.api_version,
        "kind": AZURE_ASSIGNED_IDENTITY.name,
        "metadata": {"name": f"{name}-default-i", "namespace": "default", "labels": {"nodename": NODES[0]}},
        "spec": {
            "pod": name,
            "podNamespace": "default",
            "nodename": NODES[0],
            "azureIdentityRef": refs[AZURE_IDENTITY],
            "azureBindingRef": refs[AZURE_IDENTITY_BINDING],
        },
        "status": {"status": "Assigned"},
    }
    client.create(AZURE_ASSIGNED_IDENTITY, "default", body)


def asks(nmi: nmi_programs.Nmi, address: str, **parameters: str) -> nmi_programs.Said:
    """A pod that NMI has seen."""
    seen: list[nmi_programs.Said] = []

    def known() -> bool:
        seen[:] = [nmi.ask(address, **parameters)]
        return seen[0].status != 500

    server.until("NMI knows the pod", known)
    return seen[0]


ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"


def test_an_unlabelled_pod_asks(client: Client, nmi: nmi_programs.Nmi, stage: Stage) -> None:
    stage.show(World(pods={POD_KEY: pod(None, podIP="127.7.0.1")}))
    assert asks(nmi, "127.7.0.1").status == 404
    look = tells("unlabelled_pod_asks", lambda: observed(client, nmi.log, NMI))
    assert told(look) == {("unlabelled_pod_asks", ASKING, LIKELY)}


def test_a_client_gives_up(client: Client, nmi: nmi_programs.Nmi, stage: Stage) -> None:
    stage.show(bound(ID, {POD_KEY: pod(podIP="127.7.0.2")}))
    asks(nmi, "127.7.0.2")
    assert told(observed(client, nmi.log, NMI)) == set()
    with pytest.raises(TimeoutError):
        nmi.ask("127.7.0.2", 1)
    look = tells("client_timeout_short", lambda: observed(client, nmi.log, NMI))
    assert told(look) == {("client_timeout_short", ASKING, LIKELY)}
    assert "gave up after 1 seconds (once)" in texts(look)


@pytest.mark.parametrize(
    "name, parameters",
    [("other", {"client_id": OTHER}), ("upper", {"client_id": CLIENT.upper()}), ("resource", {"msi_res_id": f"{ID}x"})],
)
def test_a_client_id_of_nobody(
    client: Client, nmi: nmi_programs.Nmi, stage: Stage, name: str, parameters: dict[str, str]
) -> None:
    address = f"127.7.1.{len(name)}"
    assign(client, stage, name, bound(ID, {("default", name): pod(podIP=address)}))
    server.until("NMI has the assignment", lambda: asks(nmi, address).status == 200)
    assert asks(nmi, address, client_id=CLIENT).status == 200
    assert told(observed(client, nmi.log, NMI)) == set()
    assert asks(nmi, address, **parameters).status == 404
    look = tells("client_id_unknown_to_nmi", lambda: observed(client, nmi.log, NMI))
    assert told(look) == {("client_id_unknown_to_nmi", f"Pod default/{name}", LIKELY)}
