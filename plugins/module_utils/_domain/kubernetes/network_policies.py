# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What NetworkPolicies leave to a pod: whether it may open a connection to an address of its node.

A policy is for the pods of its namespace that it selects. A pod that no policy for egress selects may connect to
anything; one that some select may connect to what any of them allows. Selectors of pods and namespaces stand for the
addresses of pods, so that neither a loopback address nor that of a node is among them. Source: the documentation of
networking.k8s.io/v1.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ..matching.matching import Raw
from . import label_selectors

TCP = "TCP"


def of_egress(policies: t.Iterable[Raw], namespace: str, labels: t.Mapping[str, str]) -> tuple[Raw, ...]:
    """The policies that confine what pods with ``labels`` connect to."""
    return tuple(one for one in policies if _place(one) == namespace and _is_for(one.get("spec") or {}, labels))


def allow(policies: t.Iterable[Raw], address: str, port: int, protocol: str = TCP) -> bool:
    """Whether one of the policies that confine a pod allows a connection to ``address``, which is no pod's."""
    rules = (rule or {} for one in policies for rule in (one.get("spec") or {}).get("egress") or ())
    return any(_reaches(rule, address) and _passes(rule, port, protocol) for rule in rules)


def _place(policy: Raw) -> str:
    return str(policy["metadata"].get("namespace", ""))


def _is_for(spec: Raw, labels: t.Mapping[str, str]) -> bool:
    # Where none are given, the API server sets them by what the policy has, see its defaults.
    types = spec.get("policyTypes") or ("Ingress", *(("Egress",) if spec.get("egress") else ()))
    return "Egress" in types and label_selectors.selects(spec.get("podSelector") or {}, labels)


def _reaches(rule: Raw, address: str) -> bool:
    peers = rule.get("to") or ()
    return not peers or any(_holds(peer.get("ipBlock"), address) for peer in peers)


def _holds(block: Raw | None, address: str) -> bool:
    if not block:
        return False
    return _within(block.get("cidr"), address) and not any(_within(each, address) for each in block.get("except") or ())


def _within(cidr: object, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(str(cidr), strict=False)
    except ValueError:
        return False


def _passes(rule: Raw, port: int, protocol: str) -> bool:
    ports = rule.get("ports") or ()
    return not ports or any(_includes(each, port) for each in ports if (each.get("protocol") or TCP) == protocol)


def _includes(entry: Raw, port: int) -> bool:
    first, last = entry.get("port"), entry.get("endPort")
    if first is None:
        return True
    # A name is one of the ports of the pod that is connected to.
    return isinstance(first, int) and first <= port <= (first if last is None else last)
