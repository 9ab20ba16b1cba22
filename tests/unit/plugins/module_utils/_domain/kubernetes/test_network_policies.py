# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What NetworkPolicies allow, beside a slow and obvious reference."""

from __future__ import annotations

import ipaddress
import itertools
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import network_policies

Raw = dict[str, t.Any]
NMI = "127.0.0.1"


def policy(spec: Raw, namespace: str = "team") -> Raw:
    return {"metadata": {"name": "p", "namespace": namespace}, "spec": spec}


def egress(*rules: Raw) -> Raw:
    return policy({"podSelector": {}, "policyTypes": ["Egress"], "egress": list(rules)})


def block(cidr: str, *excluded: str) -> Raw:
    return {"to": [{"ipBlock": {"cidr": cidr, **({"except": list(excluded)} if excluded else {})}}]}


ALLOWED: dict[str, tuple[Raw, bool]] = {
    "everything": (egress({}), True),
    "nothing": (egress(), False),
    "no list at all": (policy({"podSelector": {}, "policyTypes": ["Egress"]}), False),
    "the address": (egress(block("127.0.0.1/32")), True),
    "all addresses": (egress(block("0.0.0.0/0")), True),
    "all but it": (egress(block("0.0.0.0/0", "127.0.0.0/8")), False),
    "all but another": (egress(block("0.0.0.0/0", "169.254.169.254/32")), True),
    "the metadata address only": (egress(block("169.254.169.254/32")), False),
    "all pods": (egress({"to": [{"namespaceSelector": {}}]}), False),
    "pods of the namespace": (egress({"to": [{"podSelector": {}}]}), False),
    "all pods, or the address": (egress({"to": [{"namespaceSelector": {}}, *block("127.0.0.1/32")["to"]]}), True),
    "IPv6 only": (egress(block("::/0")), False),
    "the port": (egress({**block("127.0.0.1/32"), "ports": [{"protocol": "TCP", "port": 2579}]}), True),
    "the port of everybody": (egress({"ports": [{"port": 2579}]}), True),
    "another port": (egress({**block("127.0.0.1/32"), "ports": [{"protocol": "TCP", "port": 80}]}), False),
    "the port of UDP": (egress({"ports": [{"protocol": "UDP", "port": 2579}]}), False),
    "all ports of TCP": (egress({"ports": [{"protocol": "TCP"}]}), True),
    "a range": (egress({"ports": [{"port": 2000, "endPort": 3000}]}), True),
    "a range before it": (egress({"ports": [{"port": 2000, "endPort": 2578}]}), False),
    "a port by name": (egress({"ports": [{"port": "nmi"}]}), False),
    "DNS, and it": (egress({"ports": [{"protocol": "UDP", "port": 53}]}, block("127.0.0.0/8")), True),
    "no address": (egress(block("hostile")), False),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_allowed(case: str) -> None:
    one, allowed = ALLOWED[case]
    assert network_policies.of_egress([one], "team", {}) == (one,)
    assert network_policies.allow([one], NMI, 2579) is allowed


SELECTED: dict[str, tuple[Raw, bool]] = {
    "all pods": ({"podSelector": {}, "policyTypes": ["Egress"]}, True),
    "by a label": ({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]}, True),
    "by another label": ({"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Egress"]}, False),
    "for ingress": ({"podSelector": {}, "policyTypes": ["Ingress"], "egress": [{}]}, False),
    "for both": ({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, True),
    "without types, with rules": ({"podSelector": {}, "egress": [{}]}, True),
    "without types and rules": ({"podSelector": {}, "ingress": [{}]}, False),
    "without types, with no rule": ({"podSelector": {}, "egress": []}, False),
}


@pytest.mark.parametrize("case", SELECTED)
def test_whom_a_policy_is_for(case: str) -> None:
    spec, selected = SELECTED[case]
    assert bool(network_policies.of_egress([policy(spec)], "team", {"app": "web"})) is selected
    assert not network_policies.of_egress([policy(spec)], "other", {"app": "web"})


EXPRESSIONS: dict[str, tuple[Raw, bool]] = {
    "among several": ({"key": "app", "operator": "In", "values": ["web", "x"]}, True),
    "among others": ({"key": "app", "operator": "In", "values": ["x"]}, False),
    "not among them": ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
    "not there at all": ({"key": "z", "operator": "NotIn", "values": ["1"]}, True),
    "there": ({"key": "app", "operator": "Exists"}, True),
    "not to be there": ({"key": "app", "operator": "DoesNotExist"}, False),
    "an operator that there is not": ({"key": "app", "operator": "Gt", "values": ["1"]}, False),
}


@pytest.mark.parametrize("case", EXPRESSIONS)
def test_whom_an_expression_selects(case: str) -> None:
    expression, selected = EXPRESSIONS[case]
    one = policy({"podSelector": {"matchExpressions": [expression]}, "policyTypes": ["Egress"]})
    assert bool(network_policies.of_egress([one], "team", {"app": "web"})) is selected


def test_one_policy_that_allows_is_enough() -> None:
    assert network_policies.allow([egress(), egress(block("127.0.0.1/32"))], NMI, 2579)
    assert not network_policies.allow([egress(), egress(block("10.0.0.0/8"))], NMI, 2579)


# The reference: every address and port of a small world is looked at one by one.
ADDRESSES = [f"10.0.0.{last}" for last in range(8)]
PORTS = range(1, 6)
KEYS, VALUES = ("a", "b"), ("1", "2")

cidrs = st.builds(lambda last, bits: f"10.0.0.{last}/{bits}", st.integers(0, 7), st.integers(29, 32))
expressions = st.fixed_dictionaries(
    {"key": st.sampled_from(KEYS), "operator": st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist"))},
    optional={"values": st.lists(st.sampled_from(VALUES), min_size=1)},
)
selectors = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)),
        "matchExpressions": st.lists(expressions, max_size=2),
    },
)
peers = st.one_of(
    st.fixed_dictionaries(
        {"ipBlock": st.fixed_dictionaries({"cidr": cidrs}, optional={"except": st.lists(cidrs, max_size=2)})}
    ),
    st.fixed_dictionaries({"podSelector": selectors}),
    st.fixed_dictionaries({"namespaceSelector": selectors}, optional={"podSelector": selectors}),
)
ports = st.one_of(
    st.fixed_dictionaries({}, optional={"protocol": st.sampled_from(("TCP", "UDP"))}),
    st.fixed_dictionaries(
        {"port": st.one_of(st.integers(1, 5), st.just("web"))}, optional={"protocol": st.sampled_from(("TCP", "UDP"))}
    ),
    st.builds(lambda first, more: {"port": first, "endPort": first + more}, st.integers(1, 5), st.integers(0, 3)),
)
rules = st.fixed_dictionaries({}, optional={"to": st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=2)})
specs = st.fixed_dictionaries(
    {"podSelector": selectors},
    optional={
        "policyTypes": st.lists(st.sampled_from(("Ingress", "Egress")), min_size=1, unique=True),
        "egress": st.lists(rules, max_size=2),
    },
)
policies = st.lists(st.builds(policy, specs, st.sampled_from(("team", "other"))), max_size=3)
labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))


def chosen(selector: Raw, mine: dict[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if key not in mine or mine[key] != value:
            return False
    for each in selector.get("matchExpressions", []):
        here, values = each["key"] in mine, each.get("values", [])
        if each["operator"] == "In" and not (here and mine[each["key"]] in values):
            return False
        if each["operator"] == "NotIn" and here and mine[each["key"]] in values:
            return False
        if each["operator"] == "Exists" and not here:
            return False
        if each["operator"] == "DoesNotExist" and here:
            return False
    return True


def passing(spec: Raw) -> set[tuple[str, int]]:
    """Everything that the rules of one policy allow over TCP."""
    allowed = set()
    for rule, address, port in itertools.product(spec.get("egress", []), ADDRESSES, PORTS):
        to, through = not rule.get("to"), not rule.get("ports")
        for peer in rule.get("to", []):
            if "ipBlock" in peer:
                held = [str(each) for each in ipaddress.ip_network(peer["ipBlock"]["cidr"], strict=False)]
                for gap in peer["ipBlock"].get("except", []):
                    held = [each for each in held if each not in map(str, ipaddress.ip_network(gap, strict=False))]
                to = to or address in held
        for each in rule.get("ports", []):
            if each.get("protocol", "TCP") == "TCP":
                first = each.get("port", port)
                if first != "web" and port in range(first, each.get("endPort", first) + 1):
                    through = True
        if to and through:
            allowed.add((address, port))
    return allowed


@given(policies, labels)
def test_every_address_and_port_is_judged_as_by_the_reference(many: list[Raw], mine: dict[str, str]) -> None:
    confining = []
    for one in many:
        spec = one["spec"]
        types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        if one["metadata"]["namespace"] == "team" and "Egress" in types and chosen(spec["podSelector"], mine):
            confining.append(one)
    assert list(network_policies.of_egress(many, "team", mine)) == confining
    allowed = set().union(*(passing(one["spec"]) for one in confining))
    for address, port in itertools.product(ADDRESSES, PORTS):
        assert network_policies.allow(confining, address, port) is ((address, port) in allowed)
