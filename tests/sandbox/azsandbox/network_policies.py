# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NetworkPolicies for egress, on clusters that were asked to have an engine for them.

What a policy does not let out of a pod is dropped where the pod's node forwards it. What is no forwarding passes, as
Kubernetes has it for a pod and its own node: NMI among it. Connections that exist go on. Peers are blocks of addresses
and pods; ports are numbers, and a port that is named lets nothing through. Ingress is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

import aiohttp

from . import network
from .addons import Call
from .commands import CommandError, run

Object = Mapping[str, Any]
CHAIN = "SANDBOX-EGRESS"
_PAUSE = 0.5
"""Seconds within which a new pod or policy counts."""
_APPLY = f"""
iptables-restore --wait --noflush
iptables --wait --check FORWARD --jump {CHAIN} 2>/dev/null || iptables --wait --insert FORWARD --jump {CHAIN}
"""


def rules(policies: Iterable[Object], namespaces: Iterable[Object], pods: Iterable[Object]) -> list[str]:
    """The rules of the chain, in the words of iptables-restore; the same for all nodes."""
    running = [pod for pod in pods if _has_network(pod)]
    egress = [each for each in policies if "Egress" in each["spec"].get("policyTypes", ())]
    labels = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces}
    lines = [f"-A {CHAIN} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"]
    for pod in running:
        place, source = pod["metadata"]["namespace"], f"-A {CHAIN} -s {pod['status']['podIP']}/32"
        chosen = [
            each
            for each in egress
            if each["metadata"]["namespace"] == place and selects(each["spec"].get("podSelector"), _labels(pod))
        ]
        for policy in chosen:
            for rule in policy["spec"].get("egress") or ():
                targets = [target for peer in rule.get("to") or () for target in _peer(peer, place, labels, running)]
                for target in targets if rule.get("to") else [""]:
                    lines += [f"{source}{target}{port} -j RETURN" for port in _ports(rule.get("ports") or ())]
        if chosen:
            lines.append(f"{source} -j DROP")
    return lines


def _has_network(pod: Object) -> bool:
    """Whether it has an address of its own."""
    over = pod["status"].get("phase") in ("Succeeded", "Failed")
    return bool(pod["status"].get("podIP")) and not pod["spec"].get("hostNetwork") and not over


def _labels(each: Object) -> Mapping[str, str]:
    return each["metadata"].get("labels") or {}


def _peer(
    peer: Object, namespace: str, namespaces: Mapping[str, Mapping[str, str]], pods: Iterable[Object]
) -> Iterator[str]:
    if "ipBlock" in peer:
        left = _networks([peer["ipBlock"]["cidr"]])
        for hole in _networks(peer["ipBlock"].get("except") or ()):
            left = [part for each in left for part in _without(each, hole)]
        yield from (f" -d {each}" for each in left)
        return
    for pod in pods:
        place = pod["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            near = selects(peer["namespaceSelector"], namespaces.get(place, {}))
        else:
            near = place == namespace
        if near and selects(peer.get("podSelector"), _labels(pod)):
            yield f" -d {pod['status']['podIP']}/32"


def _networks(texts: Iterable[str]) -> list[IPv4Network]:
    """There is no other version here."""
    return [IPv4Network(each, strict=False) for each in texts if ":" not in each]


def _without(block: IPv4Network, hole: IPv4Network) -> Iterable[IPv4Network]:
    if hole.subnet_of(block):
        return block.address_exclude(hole)
    return () if block.subnet_of(hole) else (block,)


def _ports(ports: Iterable[Object]) -> list[str]:
    """Nothing to add where all ports are meant."""
    listed = list(ports)
    if not listed:
        return [""]
    found = []
    for each in listed:
        protocol, first = f" -p {each.get('protocol', 'TCP').lower()}", each.get("port")
        if first is None:
            found.append(protocol)
        elif isinstance(first, int):
            found.append(f"{protocol} --dport {first}:{each.get('endPort', first)}")
    return found


def selects(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """As Kubernetes takes a label selector; an empty one, or none, selects everything."""
    given = selector or {}
    if any(labels.get(key) != value for key, value in (given.get("matchLabels") or {}).items()):
        return False
    tests: dict[str, Callable[[str, list[str]], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _values: key in labels,
        "DoesNotExist": lambda key, _values: key not in labels,
    }
    return all(
        tests[each["operator"]](each["key"], each.get("values") or []) for each in given.get("matchExpressions") or ()
    )


class Engine:
    """Keeps the rules of all nodes of a cluster."""

    def __init__(self, call: Call, netns: Iterable[str], enabled: Callable[[], bool]) -> None:
        self._call = call
        self._netns = [network.NETNS / each for each in netns]
        self._enabled = enabled
        self._applied: dict[int, list[str]] = {}
        """What has been applied, by namespaces: a node may get a new one."""

    async def run(self) -> None:
        while True:
            try:
                await self._once()
            except (aiohttp.ClientError, CommandError, OSError):
                pass  # the API server or a node is being started or stopped
            await asyncio.sleep(_PAUSE)

    async def _once(self) -> None:
        wanted: list[str] = []
        policies = await self._list("/apis/networking.k8s.io/v1/networkpolicies") if self._enabled() else []
        if policies:
            namespaces, pods = await self._list("/api/v1/namespaces"), await self._list("/api/v1/pods")
            wanted = rules(policies, namespaces, pods)
        text = "\n".join(["*filter", f":{CHAIN} - [0:0]", *wanted, "COMMIT", ""]).encode()
        for netns in self._netns:
            node = netns.stat().st_ino
            if self._applied.get(node, []) != wanted:
                await run("nsenter", f"--net={netns}", "sh", "-ec", _APPLY, stdin=text)
                self._applied[node] = wanted

    async def _list(self, path: str) -> list[Object]:
        answer = await self._call("GET", path)
        assert isinstance(answer, dict)
        return list(answer["items"])
