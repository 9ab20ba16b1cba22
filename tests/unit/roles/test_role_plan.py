# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How tasks of roles reach decisions: on the controller, with the options of the role, whatever host it is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.support.format_values import GUID
from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player, role

PLAN = "azureops.pod_identity.role_plan"


def test_a_plan_needs_no_connection(player: Player, tmp_path: Path) -> None:
    """Wrong values are told as Ansible tells them; tags and check mode of the run count."""
    asked: dict[str, Any] = {"role": "pod_identity_chart", "part": "options"}
    versionless = {"pod_identity_chart_ref": "{{ place }}/chart", "place": str(tmp_path)}
    (tmp_path / "chart").mkdir()
    ignored, unset = {"ignore_errors": True}, "{{ nothing | default(omit) }}"
    tasks: list[dict[str, Any]] = [
        {PLAN: asked, "register": "plan", "vars": {"pod_identity_chart_version": unset}, "tags": ["always"]},
        {
            "ansible.builtin.assert": {"that": ["plan.plan.kubernetes | length == 7", "plan is not changed"]},
            "tags": ["always"],
        },
        {PLAN: asked, "vars": versionless, **ignored, "tags": ["always"]},
        {PLAN: asked, "vars": {"pod_identity_chart_digest": "x"}, **ignored, "tags": ["always"]},
        {PLAN: asked, "vars": {"pod_identity_chart_wait_timeout": "soon"}, **ignored, "tags": ["always"]},
        {PLAN: {**asked, "part": "other"}, **ignored, "tags": ["always"]},
    ]
    inventory = tmp_path / "hosts.json"
    nowhere = {"ansible_connection": "ssh", "ansible_host": "192.0.2.1"}
    inventory.write_text(json.dumps({"all": {"hosts": {"far": nowhere}}}))
    arguments = ("-i", str(inventory), "--check", "--tags", "pod_identity_chart_wait")
    status, output = player.play({"hosts": "all", "tasks": tasks}, *arguments)
    told = " ".join(output.split())
    assert (status, "unreachable=0" in told, "ignored=4" in told) == (0, True, True), output
    assert f"The version of the chart {tmp_path}/chart is not part of its name; set pod_identity_chart_version." in told
    assert "pod_identity_chart_digest is not a SHA-256 digest" in told
    assert "pod_identity_chart_wait_timeout" in told
    assert "The role pod_identity_chart decides about lock, options, release, serving, upgraded." in told


def test_other_roles_ask_without_what_only_the_cluster_needs(player: Player) -> None:
    undefined = {f"pod_identity_cluster_{name}": "{{ nowhere }}" for name in ("kubelet_identity", "principal_id")}
    asked = {"azureops.pod_identity.cluster_session": {"state": "asked"}, "register": "pod_identity_session"}
    tasks = [asked, role("pod_identity_verify", "missing")]
    whole = {"hosts": "localhost", "vars": {**undefined, "pod_identity_kubeconfig": __file__}, "tasks": tasks}
    status, output = player.play(whole)
    assert (status, "Compare what is not permitted with what is needed" in output) == (0, True), output


def test_tasks_go_by_options_as_the_plan_reads_them(player: Player) -> None:
    """A list that is given as a text, and names that YAML reads as numbers."""
    group = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    named = {"cluster_name": 2024, "cluster_resource_group": "rg"}
    variables = {
        "pod_identity_uninstall_confirm": 2024,
        "pod_identity_uninstall_delete_identities": f"{group}/one,{group}/two",
    }
    tasks = [
        {PLAN: {"role": "pod_identity_uninstall", "part": "options", "observed": named}, "register": "read"},
        {"ansible.builtin.assert": {"that": "read.plan.delete_identities == [group + '/one', group + '/two']"}},
    ]
    status, output = player.play({"hosts": "localhost", "vars": {**variables, "group": group}, "tasks": tasks})
    assert status == 0, output


def test_a_playbook_reads_variables_that_roles_read(player: Player) -> None:
    """As the roles have them."""
    group = f"/subscriptions/{GUID}/resourceGroups/2024"
    entries = [{"name": "a", "selector": "a"}, {"name": "b", "selector": "b", "type": "1"}]
    variables = {"pod_identity_subscription_id": GUID, "pod_identity_resource_group": 2024}
    asked, ignored = {PLAN: {"role": "destroy", "part": "removal"}}, {"ignore_errors": True}
    leftovers, named = {"role": "leftovers", "part": "options"}, {"pod_identity_cluster_name": "one"}
    tasks = [
        {**asked, "register": "read", "vars": {"pod_identity_bindings_list": entries}},
        {"ansible.builtin.assert": {"that": ["read.plan.going | length == 1", "read.plan.going[0].startswith(group)"]}},
        {**asked, **ignored, "vars": {"pod_identity_bindings_list": [{"names": "a"}]}},
        {PLAN: leftovers, "register": "unset", "vars": named},
        {PLAN: leftovers, "register": "off", "vars": {**named, "pod_identity_leftovers_look_into_cluster": None}},
        {"ansible.builtin.assert": {"that": ["unset.plan.looks", "not off.plan.looks", "not unset.plan.removes"]}},
        {PLAN: leftovers, **ignored, "vars": {"pod_identity_leftovers_remove": "maybe"}},
        {PLAN: leftovers, **ignored, "vars": {**named, "pod_identity_leftovers_remove": "y"}},
        {PLAN: {"role": "leftovers", "part": "other"}, **ignored},
    ]
    status, output = player.play({"hosts": "localhost", "vars": {**variables, "group": group}, "tasks": tasks})
    told = " ".join(output.split())
    assert (status, "ignored=4" in told) == (0, True), output
    assert "has no key names; did you mean name?" in told and "pod_identity_bindings_list" in told, output
    assert "pod_identity_leftovers_remove" in told and "maybe" in told, output
    assert "pod_identity_leftovers_remove is y, which Ansible reads in two ways; write true or false." in told, output
    assert "The playbook leftovers decides about account, commands, found, options." in told, output


def test_a_failure_is_told_on_with_its_data_whatever_becomes_of_the_decision(player: Player) -> None:
    failure = {"msg": "It waits.", "missing_pods": ["a/b"], "attempts": 3, "changed": True}
    cluster = {"name": "c1", "resource_group": "rg"}
    asked = {
        PLAN: {"role": "diagnose", "part": "failure", "observed": {"cluster": cluster}, "failure": failure},
        "ignore_errors": True,
    }
    command = "ansible-playbook azureops.pod_identity.diagnose -e pod_identity_resource_group=rg"
    read = ["missing_pods == ['a/b']", "attempts is not defined", "failed", "changed"]
    tasks: list[dict[str, Any]] = [
        {**asked, "register": "told"},
        {
            "ansible.builtin.assert": {
                "that": [f"told.{each}" for each in read]
                + [f"told.msg is match('It waits[.] For all causes, evidence and remedies: {command} -e')"]
            }
        },
        {**asked, "register": "told", "vars": {"pod_identity_diagnose_logs": "some"}},
        {
            "ansible.builtin.assert": {
                "that": [f"told.{each}" for each in read]
                + ["told.msg is match(\"It waits[.] pod_identity_diagnose_logs is 'some'\")"]
            }
        },
    ]
    status, output = player.play(tasks)
    assert (status, "ignored=2" in output) == (0, True), output


def test_tasks_of_the_uninstall_go_by_the_list_of_the_plan() -> None:
    """The option itself may be a text."""
    paths = sorted((CHECKOUT / "roles/pod_identity_uninstall/tasks").glob("*.yml"))
    assert [path.name for path in paths if "pod_identity_uninstall_delete_identities" in path.read_text()] == []


def test_commands_are_printed_as_they_are_whatever_the_format_of_results(tmp_path: Path) -> None:
    """YAML doubles quotes and folds long lines."""
    patch = json.dumps({"spec": {"template": {"spec": {"tolerations": [{"key": "sku", "operator": "Exists"}] * 4}}}})
    command = f"kubectl --namespace kube-system patch daemonset nmi --type merge --patch '{patch}'"
    told = [{"about": "nmi_missing_on_node, Node n1", "command": command}]
    asked = {PLAN: {"role": "diagnose", "part": "commands", "observed": {"commands": told}}}
    player = Player(tmp_path / "play", {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"})
    status, output = player.play({"hosts": "localhost", "tasks": [asked]})
    lines = output.splitlines()
    assert (status, lines[lines.index("[localhost] nmi_missing_on_node, Node n1:") + 1]) == (0, command), output
