# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The computed assignments against those that the real MIC makes, of random worlds that change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.findings import findings
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import Rules
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube import mic as programs
from ansible_collections.azureops.pod_identity.tests.kube.matched import Places, between, expected, settled
from ansible_collections.azureops.pod_identity.tests.kube.mic import NAMESPACES, NODES, Body, Mic, World
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed

WORLDS = 5  # of a case

_pod_keys = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(["p", "p-team", "p-2", "p" * 245]))
_keys = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(["i", "j", "k-i"]))
_selectors = st.sampled_from(["x", "x", "x", "x", "y", "y", "X", ""])


def _pod(label: str | None, node: str, phase: str, deleting: bool) -> Body:
    labels = {} if label is None else {"aadpodidbinding": label}
    spec = {"nodeName": node} if node else {}
    return {"metadata": {"labels": labels}, "spec": spec, "status": {"phase": phase}, "deleting": deleting}


def _identity(kind: int, resource_id: Any, client_id: str, behavior: str | None) -> Body:
    annotations = {} if behavior is None else {"aadpodidentity.k8s.io/Behavior": behavior}
    spec = {"type": kind, "resourceID": resource_id, "clientID": client_id}
    return {"metadata": {"annotations": annotations}, "spec": spec}


def worlds(resource_ids: tuple[str, ...]) -> st.SearchStrategy[World]:
    usable = [*resource_ids, resource_ids[0].upper()]
    malformed = ["", "/subscriptions/s", usable[0].rpartition("/")[0] + "/", usable[0].replace("Identity/", "/")]
    identity = st.one_of(
        st.builds(_identity, st.just(0), st.sampled_from(usable * 4 + malformed), _clients, _behaviors),
        st.builds(_identity, st.sampled_from([1, 2, 5]), st.sampled_from(malformed), _clients, _behaviors),
    )
    binding = st.builds(
        lambda to, selector: {"spec": {"azureIdentity": to, "selector": selector}},
        st.sampled_from(["i", "i", "i", "j", "j", "k-i", "missing"]),
        _selectors,
    )
    pod = st.builds(
        _pod,
        st.one_of(_selectors, _selectors, _selectors, _selectors, st.none()),
        st.sampled_from([*NODES, *NODES, ""]),
        st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
        st.booleans(),
    )
    return st.builds(
        World,
        st.dictionaries(_keys, identity, min_size=7, max_size=9),
        st.dictionaries(_keys, binding, min_size=6, max_size=9),
        st.dictionaries(_pod_keys, pod, min_size=5, max_size=9),
    )


_clients = st.sampled_from(["", "c1", "c2", "C1"])
_behaviors = st.sampled_from([None, None, "namespaced", "Namespaced", ""])


@pytest.fixture(scope="module", params=[False, True], ids=["standard", "namespaced"])
def rules(request: pytest.FixtureRequest) -> Rules:
    return Rules(force_namespaced=request.param)


@pytest.fixture(scope="module")
def mic(api_server: ApiServer, definitions: list[dict[str, Any]], rules: Rules) -> Iterator[Mic]:
    client = api_server.client()
    server.install(client, definitions)
    with programs.running(api_server, f"--forceNamespaced={str(rules.force_namespaced).lower()}") as running:
        yield running
        running.show(World())


@pytest.mark.parametrize("case", fixed(range(40), 0))
def test_mic_assigns_what_is_computed(mic: Mic, client: Client, rules: Rules, case: int) -> None:
    @seed(case)
    @settings(max_examples=WORLDS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(worlds(mic.resource_ids), min_size=1, max_size=3))
    def agree(sequence: list[World]) -> None:
        mic.show(World())
        settled(mic, {}, Places())
        before, homes = World(), Places()
        for world in sequence:
            mic.show(world)
            homes = settled(mic, expected(world, rules), homes | between(before, world, rules))
            before = world
            reported(mic, client, rules)

    agree()


def reported(mic: Mic, client: Client, rules: Rules) -> None:
    """What an inventory says of a cluster whose MIC is done."""
    objects = {
        kind: [raw for raw in raws if raw["metadata"].get("namespace", "default") in NAMESPACES]
        for kind, raws in inventory.read(client)[0].items()
    }
    objects["AzureAssignedIdentity"] = list(mic.assigned())
    found = Inventory(Cluster.parse(objects, {"force_namespaced": rules.force_namespaced}))
    count = len(objects["AzureAssignedIdentity"])
    assert found.assignments() == {"computed": count, "live": count, "equal": count}
    wrong = {"assignment_missing", "assignment_differs", "assignment_without_cause", "assignment_pending"}
    assert not wrong & {finding.code for finding in findings.find(found)}
