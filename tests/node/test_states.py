# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every state that NMI can leave a node in, against real iptables in both back ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.azureops.pod_identity.tests.node.lab import Node
from ansible_collections.azureops.pod_identity.tests.node.promises import hold
from ansible_collections.azureops.pod_identity.tests.node.states import State, inhabited, states
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed

Nodes = dict[tuple[str, ...], Node]
ALL = list(states())
# Of each shape, variant and choice of back ends.
ONE_OF_EACH = {
    state for key in ("shape", "variant", "where") for state in {getattr(each, key): each for each in ALL}.values()
}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Nodes by the back ends that are in use on them; a state leaves its node as it was."""
    kept: Nodes = {}
    yield kept
    for node in kept.values():
        node.close()


@pytest.mark.parametrize("state", ALL, ids=str)
def test_state(nodes: Nodes, state: State) -> None:
    put(nodes, state, raw=False)


@pytest.mark.parametrize("state", fixed(ALL, *ONE_OF_EACH), ids=str)
def test_state_without_python(nodes: Nodes, state: State) -> None:
    put(nodes, state, raw=True)


def put(nodes: Nodes, state: State, *, raw: bool) -> None:
    node = nodes.pop(state.where, None) or inhabited(state.where)
    node.raw = raw
    try:
        hold(node, state)
        registered = node.run("cat", "/proc/net/ip_tables_names").split()
        assert registered == (["nat"] if "legacy" in state.where else [])
    except BaseException:
        node.close()
        raise
    nodes[state.where] = node
