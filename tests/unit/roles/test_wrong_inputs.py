# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator gets wrong is told by the first task of each playbook, all of it at once, before anything is asked.

No credential and no cluster is known to these runs, so whatever asks one of them says another thing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import plan
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _roles
from ansible_collections.azureops.pod_identity.tests.support.players import Player, role
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

ENTRY = {"name": "billing", "selector": "billing"}
NAMED = {"pod_identity_cluster_name": "demo", "pod_identity_resource_group": "rg"}
# By what is wrong: the variable, its value, and what is said of it.
MISSPELT: dict[str, tuple[Any, str]] = {
    "pod_identity_cluster_nmae": ("demo", "did you mean pod_identity_cluster_name?"),
    "pod_identity_resourcegroup": ("rg", "did you mean pod_identity_resource_group?"),
    "pod_identity_subscripton_id": ("s", "did you mean pod_identity_subscription_id?"),
    "pod_identity_kube_config": ("/k", "did you mean pod_identity_kubeconfig?"),
    "imds_node_cleanup_cordn": (True, "is no variable of this collection"),
    "pod_identity_cluster": ("demo", "is no variable of this collection; did you mean pod_identity_cluster_"),
    "pod_identity_squad_of_billing": ("a", "correct it, or name it in pod_identity_own_variables."),
}
CLUSTER: dict[str, tuple[Any, str]] = {
    "pod_identity_cluster_wait_timeout": ("soon", "is 'soon', not a whole number."),
    "pod_identity_cluster_poll_interval": ([1], "is a list, not a whole number."),
    "pod_identity_cluster_create": ("perhaps", "is 'perhaps', not true or false."),
    "pod_identity_cluster_append_tags": ("y", "is y, which Ansible reads in two ways; write true or false."),
    "pod_identity_cluster_state": ("gone", "is 'gone'; it is one of "),
    "pod_identity_cluster_credentials": ("root", "is 'root'; it is one of "),
    "pod_identity_cluster_restore_identities": ("never", "is 'never'; it is one of "),
    "pod_identity_cluster_agent_pools": ("a", "is a text, not a dictionary."),
    "pod_identity_cluster_expected_resources": ([["a"]], "entry 1 is a list, not a text."),
    "pod_identity_cluster_tags": ("team", "is a text, not a dictionary."),
    "pod_identity_cluster_location": (["westeurope"], "is a list, not a text."),
    "pod_identity_cluster_network_plugin": ("{{ nobody_knows }}", "has no value, because of its template: "),
}
CHART: dict[str, tuple[Any, str]] = {
    "pod_identity_mode": ("both", "is 'both'; it is one of chart, addon."),
    "pod_identity_chart_wait_timeout": ("5m", "is '5m', not a whole number."),
    "pod_identity_chart_upgrade": ("latest", "is 'latest', not true or false."),
    "pod_identity_chart_values": (["nmi"], "is a list, not a dictionary."),
    "pod_identity_chart_version": ({"version": 1}, "not a text."),
}
BINDINGS: dict[str, tuple[Any, str]] = {
    "pod_identity_bindings_list": (
        [{**ENTRY, "slector": "b"}, {"selector": "c"}, {**ENTRY, "type": 7}, {**ENTRY, "roles": [{"rol": "Reader"}]}],
        "entry 1 (billing) has no key slector; did you mean selector?",
    ),
    "pod_identity_bindings_exceptions": ([{"name": "a", "pod_label": {}}], "entry 1 (a) has no key pod_label; did you"),
    "pod_identity_bindings_restart": ([{"kind": "Pod", "namespace": "a", "name": "b"}], "kind is 'Pod'; it is one of"),
    "pod_identity_bindings_wait_timeout": ("x", "is 'x', not a whole number."),
    "pod_identity_bindings_create_namespaces": ("maybe", "is 'maybe', not true or false."),
    "pod_identity_bindings_accept": (["everything"], "entry 1 is 'everything'; it is one of client_id_case,"),
    "pod_identity_manage_role_assignments": ("t", "is t, which Ansible reads in two ways; write true or false."),
}
VERIFY: dict[str, tuple[Any, str]] = {
    "pod_identity_verify_workloads": ([{"namespace": "a", "selectr": "b"}], "entry 1 has no key selectr; did you mean"),
    "pod_identity_verify_at_once": ("all", "is 'all', not a whole number."),
    "pod_identity_verify_demo": ("if possible", "is 'if possible', not true or false."),
    "pod_identity_verify_fail": ("later", "is 'later', not true or false."),
    "pod_identity_verify_demo_timeout": ({}, "is a dictionary, not a whole number."),
}
UNINSTALL: dict[str, tuple[Any, str]] = {
    "pod_identity_uninstall_scope": ("mine", "is 'mine'; it is one of owned, all."),
    "pod_identity_uninstall_allow_in_use": ("some", "is 'some', not true or false."),
    "pod_identity_uninstall_wait_timeout": ("1h", "is '1h', not a whole number."),
    "pod_identity_uninstall_lease_duration": ("1h", "is '1h', not a whole number."),
    "pod_identity_uninstall_release_namespaces": ([{"a": 1}], "entry 1 is a dictionary, not a text."),
    "pod_identity_uninstall_probe_nodes": ("y", "is y, which Ansible reads in two ways; write true or false."),
    "pod_identity_uninstall_clean_nodes": ("when dead", "is 'when dead', not true or false."),
    "pod_identity_uninstall_protected_identities": ([["a"]], "entry 1 is a list, not a text."),
}
RESTORE: dict[str, tuple[Any, str]] = {
    "pod_identity_restore_accept": (["all"], "entry 1 is 'all'; it is one of images, unverified, values."),
    "pod_identity_restore_bundle": (["/one", "/two"], "not a text."),
    "pod_identity_restore_lease_wait_timeout": ("never", "is 'never', not a whole number."),
    "pod_identity_manage_role_assignments": ("some", "is 'some', not true or false."),
}
CLEANUP: dict[str, tuple[Any, str]] = {
    "imds_node_cleanup_transports": (
        ["telnet"],
        "entry 1 is 'telnet'; it is one of ssh, aks_node_pod, vmss_run_command.",
    ),
    "imds_node_cleanup_fail_on": (["bad"], "entry 1 is 'bad'; it is one of clean, cleaned,"),
    "imds_node_cleanup_nmi_port": ("http", "is 'http', not a whole number."),
    "imds_node_cleanup_force": ("t", "is t, which Ansible reads in two ways; write true or false."),
    "imds_node_cleanup_reimage": ("if needed", "is 'if needed', not true or false."),
    "imds_node_cleanup_verify_seconds": ("long", "is 'long', not a whole number."),
    "imds_node_cleanup_drain_timeout": ([], "is a list, not a whole number."),
    "imds_node_cleanup_image_repositories": ([{}], "entry 1 is a dictionary, not a text."),
}
LEFTOVERS: dict[str, tuple[Any, str]] = {
    "pod_identity_leftovers_remove": ("some", "is 'some', not true or false."),
    "pod_identity_leftovers_remov": (True, "did you mean pod_identity_leftovers_remove?"),
    "pod_identity_leftovers_activity_log_day": (9, "did you mean pod_identity_leftovers_activity_log_days?"),
}
DIAGNOSE: dict[str, tuple[Any, str]] = {
    "pod_identity_diagnose_logs": ("some", "is 'some', not true or false."),
    "pod_identity_diagnose_nodes": ("y", "is y, which Ansible reads in two ways; write true or false."),
    "pod_identity_diagnose_log_hours": ("a day", "is 'a day', not a whole number."),
    "pod_identity_diagnose_files": ([{}], "entry 1 is a dictionary, not a path."),
    "pod_identity_diagnose_namespac": ("a", "did you mean pod_identity_diagnose_namespace?"),
}
MIGRATE: dict[str, tuple[Any, str]] = {
    "workload_identity_migration_until": ("end", "is 'end'; it is one of plan, issuer, webhook, account,"),
    "workload_identity_migration_undo": ("all", "is 'all', not true or false."),
    "workload_identity_migration_workloads": ([{}], "entry 1 is a dictionary, not a text."),
    "workload_identity_migration_identities": ([{}], "entry 1 is a dictionary, not a text."),
    "workload_identity_migration_replacements": ([], "is a list, not a dictionary."),
    "workload_identity_migration_waves": ([{}], "entry 1 is a dictionary, not a list."),
    "workload_identity_migration_pause": ("some", "is 'some', not true or false."),
    "workload_identity_migration_enable_issuer": ("t", "is t, which Ansible reads in two ways; write true or false."),
    "workload_identity_migration_enable_webhook": ([], "is a list, not true or false."),
    "workload_identity_migration_confirm": ({}, "is a dictionary, not a text."),
    "workload_identity_migration_rollout_timeout": ("1h", "is '1h', not a whole number."),
    "workload_identity_migration_soak_seconds": ("long", "is 'long', not a whole number."),
    "workload_identity_migration_shorten_soak": ("some", "is 'some', not true or false."),
    "workload_identity_migration_canary_image": ({}, "is a dictionary, not a text."),
    "workload_identity_migration_namespaces": ([{}], "entry 1 is a dictionary, not a text."),
    "workload_identity_migration_dry_run": ("some", "is 'some', not true or false."),
    "workload_identity_migration_exchange_samples": ("few", "is 'few', not a whole number."),
    "workload_identity_migration_exchange_min_rate": ("half", "is 'half', not a number."),
    "workload_identity_migration_unused_bindings": ([{}], "entry 1 is a dictionary, not a text."),
    "workload_identity_migration_proxy_workloads": ([{}], "entry 1 is a dictionary, not a text."),
    "workload_identity_migration_accept": (
        ["all"],
        "entry 1 is 'all'; it is one of container_without_token, own_client",
    ),
    "workload_identity_migration_mode": ("merge", "is 'merge'; it is one of auto, patch, render"),
    "workload_identity_migration_override_owner": ("some", "is 'some', not true or false."),
    "workload_identity_migration_files": ([{}], "entry 1 is a dictionary, not a path."),
    "workload_identity_migration_directory": ({}, "is a dictionary, not a path."),
    "workload_identity_migration_fail_on_blocked": ("some", "is 'some', not true or false."),
    "workload_identity_migration_namespac": ("a", "did you mean workload_identity_migration_namespaces?"),
}
REPORT: dict[str, tuple[Any, str]] = {
    "pod_identity_report_target": ({}, "is a dictionary, not a path."),
    "pod_identity_report_formats": (["pdf"], "entry 1 is 'pdf'; it is one of html, json, junit, prometheus, csv."),
    "pod_identity_report_title": ([], "is a list, not a text."),
    "pod_identity_report_fail_on": ("info", "is 'info'; it is one of error, warning, never."),
    "pod_identity_report_previous": ([{}], "is a list, not a path."),
    "pod_identity_report_files": ([{}], "entry 1 is a dictionary, not a path."),
    "pod_identity_report_log_files": ([{}], "entry 1 is a dictionary, not a path."),
    "pod_identity_report_titel": ("a", "did you mean pod_identity_report_title?"),
}
INVENTORY: dict[str, tuple[Any, str]] = {
    "pod_identity_inventory_fil": ("/tmp/a", "did you mean pod_identity_inventory_file?"),
    "pod_identity_contxt": ("a", "did you mean pod_identity_context?"),
    "pod_identity_host": ("a", "did you mean pod_identity_hosts?"),
}
PLAYBOOKS = {
    "site": {**MISSPELT, **CLUSTER, **CHART, **BINDINGS, **VERIFY},
    "verify": {**MISSPELT, **VERIFY},
    "uninstall": {**MISSPELT, **UNINSTALL},
    "restore": {**MISSPELT, **RESTORE},
    "cleanup_nodes": {**MISSPELT, **CLEANUP},
    "leftovers": {**MISSPELT, **LEFTOVERS},
    "diagnose": {**MISSPELT, **DIAGNOSE},
    "migrate": {**MISSPELT, **MIGRATE},
    "report": {**MISSPELT, **REPORT},
    "inventory": {**MISSPELT, **INVENTORY},
    "destroy": {**MISSPELT, **CLUSTER},
}
# What Ansible says where nobody has put it into words.
RAW = ("unable to convert", "Unsupported parameters", "missing required arguments", "Traceback", "value of ")


def test_there_are_many_of_them() -> None:
    assert len({name for wrong in PLAYBOOKS.values() for name in wrong}) >= 60


def test_each_option_of_the_migration_is_among_them() -> None:
    spec = _roles.SPECS["workload_identity_migration"]
    assert set(spec) <= set(MIGRATE)
    assert spec["workload_identity_migration_accept"]["choices"] == list(plan.ACCEPTABLE)


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_all_is_told_at_once(playbook: str, tmp_path: Path) -> None:
    wrong = PLAYBOOKS[playbook]
    kept = {"pod_identity_inventory_file": str(tmp_path / "inventory")}
    values = {**NAMED, **kept, **{name: value for name, (value, _told) in wrong.items()}}
    file = tmp_path / "site.json"
    file.write_text(json.dumps(values))
    status, output = Player(tmp_path / "player").play(f"azureops.pod_identity.{playbook}", "-e", f"@{file}")
    assert status == 2, output
    message = re.findall(r'"msg": "((?:[^"\\]|\\.)*)"', output)[0]
    said = message.replace('\\"', '"')
    assert [(name, told) for name, (_value, told) in wrong.items() if name not in said or told not in said] == [], said
    assert [each for each in RAW if each in output] == [], output
    # Of what was found about no cluster the inventory writes its own file, and fails after it.
    assert f"changed={int(playbook == 'inventory')} " in output and "failed=1 " in output, output


@table(
    "playbook, target, formats, said",
    ("site", "report", ["pdf"], "entry 1 is 'pdf'"),
    ("site", "report.json", ["html"], "is one file, of the format json, and html would have no place"),
    ("diagnose", "report.html", ["csv"], "is one file, of the format html, and csv would have no place"),
)
def test_what_is_wrong_with_a_report_is_told_before_what_it_is_of(
    playbook: str, target: str, formats: list[str], said: str, tmp_path: Path
) -> None:
    wrong = {"pod_identity_report_target": str(tmp_path / target), "pod_identity_report_formats": formats}
    status, output = Player(tmp_path / "player").play(f"azureops.pod_identity.{playbook}", **NAMED, **wrong)
    told = re.findall(r'"msg": "((?:[^"\\]|\\.)*)"', output)
    assert status == 2 and "pod_identity_report_formats" in told[0] and said in told[0], output
    assert not (tmp_path / target).exists(), output


def test_what_is_wrong_at_a_node_is_told_before_any_is_touched(tmp_path: Path) -> None:
    """The playbook validates the options of all hosts in one task; two of them have values of their own."""
    inventory = tmp_path / "hosts"
    own = {"a": "", "b": "imds_node_cleanup_force=perhaps", "c": "imds_node_cleanup_nmi_port=http", "d": ""}
    inventory.write_text("".join(f"{name} ansible_connection=local {variables}\n" for name, variables in own.items()))
    playbook = "azureops.pod_identity.cleanup_nodes"
    status, output = Player(tmp_path / "player").play(playbook, "-i", str(inventory))
    assert status == 2, output
    assert "imds_node_cleanup_force is 'perhaps', not true or false (b)." in output, output
    assert "imds_node_cleanup_nmi_port is 'http', not a whole number (c)." in output, output
    assert "Find a way" not in output and "Say hello" not in output, output


HELLO = "Say hello over one way after the other"


def clean(tmp_path: Path, variables: dict[str, Any], own: dict[str, str], **keywords: Any) -> str:
    """What is said in a play with these variables, on hosts with variables of their own in the inventory."""
    inventory = tmp_path / "hosts"
    inventory.write_text("".join(f"{name} ansible_connection=local {text}\n" for name, text in own.items()))
    task = role("imds_node_cleanup")
    task["ansible.builtin.include_role"]["rolespec_validate"] = False
    play = {"hosts": "all", "vars": variables, "tasks": [task], **keywords}
    return Player(tmp_path / "player").play(play, "-i", str(inventory))[1]


def test_values_of_the_play_and_of_other_hosts_are_known(tmp_path: Path) -> None:
    variables = {
        "my_port": 2580,
        "imds_node_cleanup_nmi_port": "{{ my_port }}",
        "imds_node_cleanup_verify_seconds": "{{ hostvars['b'].my_seconds }}",
        "imds_node_cleanup_owner": "{{ owner_of_a | default('team') }}",
    }
    output = clean(tmp_path, variables, {"a": "owner_of_a=x", "b": "my_seconds=0"})
    assert "has no value" not in output and HELLO in output, output


def test_a_wrong_value_of_the_play_is_that_of_all_its_hosts(tmp_path: Path) -> None:
    output = clean(tmp_path, {"imds_node_cleanup_nmi_port": "http"}, {"a": "", "b": ""})
    assert "imds_node_cleanup_nmi_port is 'http', not a whole number (a, b)." in output, output


def test_what_the_first_host_has_wrong_is_its_own(tmp_path: Path) -> None:
    own = {"a": "imds_node_cleanup_nmi_port=http", "b": "imds_node_cleanup_owner='{{ later }}'"}
    output = clean(tmp_path, {}, own)
    assert "imds_node_cleanup_nmi_port is 'http', not a whole number (a)." in output, output
    assert "has no value" not in output, "a later task of that host may give it"


def test_only_the_hosts_of_the_batch_are_checked(tmp_path: Path) -> None:
    output = clean(tmp_path, {}, {"a": "", "b": "imds_node_cleanup_nmi_port=http"}, serial=1)
    first, _told, second = output.partition("not a whole number (b).")
    assert HELLO in first and second and HELLO not in second, output
