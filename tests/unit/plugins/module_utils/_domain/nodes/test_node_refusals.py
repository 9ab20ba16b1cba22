# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import node_refusals
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

REPOSITORY = Path(__file__).resolve().parents[6]
PLAYBOOK = "ansible-playbook azureops.pod_identity."
UNINSTALL = f'"{PLAYBOOK}uninstall -e @FILE -e pod_identity_uninstall_confirm=one'
LAST = (
    "As a last resort imds_node_cleanup_accept_open_imds=true (and, where an NMI lives there, imds_node_cleanup_force"
)
CLUSTER = {"cluster_name": "one", "resource_group": "rg", "ready": True, "addon": False, "closed_because": ["x"]}
MISSING = {**CLUSTER, "nmi_state": "missing"}
CARRIES = {"foreign_identities": ["/s/orders", "/s/invoices"], "scale_set": "/s/vmss"}
GONE: dict[str, Any] = {**MISSING, "nmi_installation": "", **CARRIES}
ELSEWHERE = {"DaemonSet default/aad-nmi": "NMI selects nodes with pool=apps"}
LEFT_OUT = {**GONE, "bindings": True, "nmi_elsewhere": ELSEWHERE}
NMI = {"nmi_installation": "DaemonSet default/aad-nmi", "nmi_pod": "aad-nmi-x"}
INSTALLED = {**CLUSTER, **NMI, "foreign_identities": []}
DELETE_POD = '"kubectl delete pod --namespace default aad-nmi-x"'
DESCRIBE = '"kubectl describe daemonset --namespace default aad-nmi"'
LEFTOVERS = f'"{PLAYBOOK}leftovers -e pod_identity_resource_group=rg -e pod_identity_cluster_name=one"'
OPENS = "removes the rules and opens orders, invoices to every pod of the node."


def said(node: dict[str, Any], **rest: Any) -> str:
    return node_refusals.refusal(node, ["a"], **rest)


@for_each(
    case(
        "it serves",
        {**INSTALLED, "nmi_state": "active"},
        (
            "AAD Pod Identity is installed, NMI serves on the node",
            "The rules stay, because a.",
            DELETE_POD,
            f'{UNINSTALL}"',
        ),
    ),
    case(
        "its pod is broken",
        {**INSTALLED, "nmi_state": "not_ready"},
        (
            "does not serve on the node (not_ready).",
            "Delete its pod, and the next one writes the rules anew:",
            DELETE_POD,
            f"{PLAYBOOK}site -e @FILE",
            LAST,
        ),
    ),
    case(
        "it has no pod",
        {**INSTALLED, "nmi_state": "missing", "nmi_pod": ""},
        (DESCRIBE, f"{PLAYBOOK}site -e @FILE", LAST),
    ),
    case(
        "the node is down",
        {**INSTALLED, "nmi_state": "not_expected", "ready": False},
        ("as soon as the node is Ready, so repair the node.", LAST),
    ),
    case(
        "add-on",
        {**MISSING, "addon": True, "foreign_identities": []},
        ("The pod identity add-on of AKS is on", f'{UNINSTALL}"', LAST),
    ),
    case(
        "gone, and used",
        {**GONE, "bindings": True},
        (
            "is not installed any more. Bindings of pods are still in the cluster. The rules stay, because a.",
            f'To have it back: "{PLAYBOOK}site -e @FILE"',
            f"{PLAYBOOK}restore -e @FILE -e pod_identity_restore_bundle=BUNDLE -e pod_identity_restore_sha256=DIGEST",
            f"{UNINSTALL} -e pod_identity_uninstall_allow_in_use=true",
            LEFTOVERS,
            "imds_node_cleanup_protected_identities",
            LAST,
            OPENS,
        ),
    ),
    case(
        "gone, and not used",
        {**GONE, "bindings": False},
        ("No binding of a pod is in the cluster.", f"{PLAYBOOK}leftovers", f'{UNINSTALL}"', LAST),
    ),
    case(
        "gone, nobody knows who uses it",
        {**GONE, "bindings": None},
        ("is not installed any more. The rules stay", f"{PLAYBOOK}site", f'{UNINSTALL}"', f"{PLAYBOOK}leftovers", LAST),
    ),
    case(
        "it left the DaemonSet",
        LEFT_OUT,
        (
            "AAD Pod Identity is installed, and leaves the node out: DaemonSet default/aad-nmi (NMI selects nodes "
            "with pool=apps). The rules stay, because a.",
            "To have NMI there again, change the labels or taints of the node",
            # It shows the affinity, which "describe" does not.
            '"kubectl get daemonset --namespace default aad-nmi --output yaml"',
            f'What somebody changed of it by hand "{PLAYBOOK}site -e @FILE"',
            f'{UNINSTALL}"',
            LEFTOVERS,
            "imds_node_cleanup_protected_identities",
            OPENS,
        ),
    ),
    case(
        "no API server",
        {**GONE, "ready": None, "nmi_state": "unknown"},
        ("The API server could not be asked whether", "Let it answer and run this again", LAST),
    ),
    case("no Azure", {**GONE, "foreign_identities": None}, ("Mend that, or let this credential read it", LAST)),
    case(
        "nothing is known",
        {},
        ("Name the cluster, which is then asked: -e pod_identity_resource_group=RG -e pod_identity_cluster", LAST),
    ),
    case(
        "a machine that could not be read",
        {**MISSING, "foreign_identities": None, "machine": "/s/vm"},
        ("Mend that, or let this credential read it", LAST),
    ),
    case(
        "no machine of Azure", {**MISSING, "foreign_identities": None}, ("The rules stay, because a. As a last resort",)
    ),
)
def test_the_state_comes_first_and_each_remedy_is_named_in_order(node: dict[str, Any], parts: tuple[str, ...]) -> None:
    text = said(node)
    places = [text.find(part) for part in parts]
    assert -1 not in places and places == sorted(places), text


def test_what_cannot_lead_out_is_not_named() -> None:
    assert "accept_open_imds" not in said({**INSTALLED, "nmi_state": "active"}), "NMI would write its rules again"
    assert ".site" not in said({**GONE, "bindings": False})
    assert "allow_in_use" not in said({**GONE, "bindings": False})
    for node in ({**INSTALLED, "nmi_state": "active", "bindings": True}, {**CLUSTER, "addon": True, "bindings": True}):
        assert "allow_in_use" not in said(node), "nothing is broken, so what uses it may stay"
    for uninstalls in (True, False):
        told = said(LEFT_OUT, uninstalls=uninstalls)
        assert "not installed any more" not in told and "allow_in_use" not in told and "restore" not in told
    assert "allow_in_use" not in node_refusals.living(["nmi"])
    within = said({**GONE, "bindings": False}, uninstalls=True)
    assert "pod_identity_uninstall_remove_unknown_identities" in within and PLAYBOOK not in within


def test_every_command_and_option_exists() -> None:
    nodes = [{**GONE, "bindings": bindings} for bindings in (True, False)]
    nodes += [LEFT_OUT, *({**INSTALLED, "nmi_state": state} for state in ("active", "not_ready"))]
    text = " ".join([*map(said, nodes), said(GONE, uninstalls=True), node_refusals.living(["nmi"])])
    for playbook in set(re.findall(r"azureops\.pod_identity\.(\w+)", text)):
        assert (REPOSITORY / "playbooks" / f"{playbook}.yml").is_file(), playbook
    documented = "".join(
        path.read_text()
        for folder in (REPOSITORY / "roles", REPOSITORY / "playbooks" / "vars")
        for path in (*folder.glob("*/meta/argument_specs.yml"), *folder.glob("*.yml"))
    )
    for option in set(re.findall(r"\b(?:pod_identity|imds_node_cleanup)_\w+", text)):
        assert f"{option}:" in documented, option
