# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox's engine makes of NetworkPolicies: which connections of which pods it drops."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from ansible_collections.azureops.pod_identity.tests.unit.tables import table
from azsandbox.network_policies import rules, selects

SHOP, OTHER, DNS, LOGIN = "10.244.0.5", "10.244.0.6", "10.224.0.2", "203.0.113.10"
EVERYBODY: list[dict[str, Any]] = [{}]


def pod(name: str, address: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": more,
        "status": {"podIP": address, "phase": "Running"},
    }


def policy(egress: list[dict[str, Any]], *, namespace: str = "shop", app: str = "", **more: Any) -> dict[str, Any]:
    chosen = {"matchLabels": {"app": app}} if app else {}
    spec = {"podSelector": chosen, "policyTypes": ["Egress"], "egress": egress, **more}
    return {"metadata": {"name": "p", "namespace": namespace}, "spec": spec}


PODS = [pod("api", SHOP), pod("web", OTHER, "web"), pod("host", "10.224.0.4", hostNetwork=True)]
NAMESPACES = [{"metadata": {"name": name, "labels": {"team": name}}} for name in ("shop", "web")]


def passes(policies: list[dict[str, Any]], source: str, target: str, port: int, protocol: str = "tcp") -> bool:
    """What the chain does with the first packet of a connection; the rules are read as iptables reads them."""
    for line in rules(policies, NAMESPACES, PODS):
        if "--ctstate" in line:
            continue
        asked: dict[str, str] = dict(re.findall(r"-(s|d|p|-dport|j) (\S+)", line))
        first, _colon, last = asked.get("-dport", "0:65535").partition(":")
        if (
            IPv4Address(source) in IPv4Network(asked["s"])
            and IPv4Address(target) in IPv4Network(asked.get("d", "0.0.0.0/0"))
            and asked.get("p", protocol) == protocol
            and int(first) <= port <= int(last)
        ):
            return asked["j"] == "RETURN"
    return True


def to(*peers: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"to": list(peers), **({"ports": ports} if ports else {})}


def block(cidr: str, *holes: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr, **({"except": list(holes)} if holes else {})}}


DNS_ALONE = policy([{"ports": [{"protocol": "UDP", "port": 53}]}])


OF_API = {"podSelector": {"matchLabels": {"app": "api"}}}


@table(
    "policies, source, target, port, protocol, passed",
    ([], SHOP, LOGIN, 443, "tcp", True),
    ([policy([])], SHOP, LOGIN, 443, "tcp", False),
    ([policy([])], OTHER, LOGIN, 443, "tcp", True),
    ([policy([])], "10.224.0.4", LOGIN, 443, "tcp", True),
    ([policy([], app="web")], SHOP, LOGIN, 443, "tcp", True),
    ([policy([], app="api")], SHOP, LOGIN, 443, "tcp", False),
    ([policy(EVERYBODY)], SHOP, LOGIN, 443, "tcp", True),
    ([policy([], policyTypes=["Ingress"])], SHOP, LOGIN, 443, "tcp", True),
    ([DNS_ALONE], SHOP, DNS, 53, "udp", True),
    ([DNS_ALONE], SHOP, DNS, 53, "tcp", False),
    ([DNS_ALONE], SHOP, LOGIN, 443, "tcp", False),
    # What one policy lets out another does not hold back.
    ([policy([]), policy([to(block("203.0.113.0/24"))])], SHOP, LOGIN, 443, "tcp", True),
    ([policy([to(block("0.0.0.0/0", "203.0.113.0/24"))])], SHOP, LOGIN, 443, "tcp", False),
    ([policy([to(block("0.0.0.0/0", "203.0.113.0/24"))])], SHOP, DNS, 443, "tcp", True),
    ([policy([to(block("203.0.113.0/28", "203.0.113.0/24"))])], SHOP, LOGIN, 443, "tcp", False),
    ([policy([to(block("0.0.0.0/0"), ports=[{"port": 440, "endPort": 450}])])], SHOP, LOGIN, 443, "tcp", True),
    ([policy([to(block("0.0.0.0/0"), ports=[{"port": 440, "endPort": 450}])])], SHOP, LOGIN, 80, "tcp", False),
    ([policy([to(block("0.0.0.0/0"), ports=[{"port": "https"}])])], SHOP, LOGIN, 443, "tcp", False),
    ([policy([to(block("::/0"))])], SHOP, LOGIN, 443, "tcp", False),
    ([policy([to({"podSelector": {}})])], SHOP, OTHER, 80, "tcp", False),
    ([policy([to({"namespaceSelector": {"matchLabels": {"team": "web"}}})])], SHOP, OTHER, 80, "tcp", True),
    ([policy([to({"namespaceSelector": {}, **OF_API})])], SHOP, OTHER, 80, "tcp", False),
)
def test_what_leaves_a_pod(
    policies: list[dict[str, Any]], source: str, target: str, port: int, protocol: str, passed: bool
) -> None:
    assert passes(policies, source, target, port, protocol) is passed


@table(
    "selector, labels, selected",
    (None, {}, True),
    ({}, {"a": "1"}, True),
    ({"matchLabels": {"a": "1"}}, {"a": "1"}, True),
    ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {"a": "1"}, True),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}, False),
    ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
)
def test_a_selector_selects(selector: dict[str, Any] | None, labels: dict[str, str], selected: bool) -> None:
    assert selects(selector, labels) is selected
