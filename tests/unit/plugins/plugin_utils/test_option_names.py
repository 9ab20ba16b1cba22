# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.objects import change, deletion
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import OWNER
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.option_names import of_role
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _roles
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._in_process import InProcess
from ansible_collections.azureops.pod_identity.tests.unit.tables import table


@table(
    "message, said",
    ("Remove them, or set wait_timeout to true.", "Remove them, or set R_wait_timeout to true."),
    ("check names and wait_timeout, or wait_timeout=9", "check names and R_wait_timeout, or R_wait_timeout=9"),
    ("/groups/wait_timeout stays", "/groups/wait_timeout stays"),
    ("as wait_timeout/x, a-wait_timeout and R_wait_timeout", "as wait_timeout/x, a-wait_timeout and R_wait_timeout"),
    ("what the role does not know, allow_in_use", "what the role does not know, allow_in_use"),
    ("in a state: set state to x, or state: true.", "in a state: set R_state to x, or R_state: true."),
    ("set state: [absent], in its state: absent", "set R_state: [absent], in its state: absent"),
    ("reset state to x, set up-state to x, set force to x", "reset state to x, set up-state to x, set force to x"),
)
def test_an_option_becomes_the_variable_of_the_role(message: str, said: str) -> None:
    assert of_role(message, {"wait_timeout": "R_wait_timeout", "state": "R_state"}) == said


def test_messages_with_options_of_one_word_name_the_variables_of_the_role() -> None:
    """As its tasks pass them."""
    tasks = yaml.safe_load(
        (Path(_roles.__file__).parents[2] / "roles/pod_identity_bindings/tasks/chart.yml").read_text()
    )
    passed = _roles.option_names("pod_identity_bindings", tasks[0]["azureops.pod_identity.azure_identity_binding"], {})
    live = {"metadata": {"namespace": "n", "name": "a", "labels": {OWNER: "theirs"}}, "spec": {"type": 1}}
    wanted = {"metadata": {"namespace": "n", "name": "a"}, "spec": {"type": 0}}
    with pytest.raises(Failure) as refused:
        change("identity", "AzureIdentity", live, wanted, owner="ours", adopt=False)
    said = of_role(str(refused.value), passed)
    assert "set pod_identity_bindings_owner to 'theirs', or set pod_identity_bindings_adopt: true." in said
    with pytest.raises(Failure) as refused:
        deletion("identity", "AzureIdentity", live, owner="ours", adopt=False)
    said = of_role(str(refused.value), passed)
    assert "set pod_identity_bindings_owner to that of the object, or set pod_identity_bindings_adopt: true." in said
    assert of_role("set accept: [missing_identity]", passed) == "set pod_identity_bindings_accept: [missing_identity]"


FORCE, LEASE = "pod_identity_cluster_force_delete_nonempty", "pod_identity_uninstall_lease_wait_timeout"


@table(
    "role, option, value, variable",
    ("pod_identity_cluster", "force_delete_nonempty", f"{{{{ {FORCE} }}}}", FORCE),
    (
        *("pod_identity_cluster", "subscription_id"),
        "{{ pod_identity_cluster_subscription_id | default(omit, true) }}",
        "pod_identity_subscription_id",
    ),
    ("pod_identity_uninstall", "wait_timeout", f"{{{{ {LEASE} }}}}", LEASE),
    ("imds_node_cleanup", "api_timeout", "{{imds_node_cleanup_api_timeout}}", "imds_node_cleanup_api_timeout"),
    ("pod_identity_uninstall", "resource_group", "{{ pod_identity_session.cluster.resource_group }}", None),
    ("pod_identity_uninstall", "resource_group", "{{ item.resource_group }}", None),
    ("pod_identity_uninstall", "wait_timeout", "{{ pod_identity_uninstall_wait_timeout }}s", None),
    ("pod_identity_uninstall", "wait_timeout", "{{ __pod_identity_uninstall_left }}", None),
    ("pod_identity_uninstall", "wait_timeout", 600, None),
)
def test_what_an_operator_of_a_role_sets(role: str, option: str, value: object, variable: str | None) -> None:
    """It is what the task passes, and what the task does not pass is none."""
    assert _roles.option_names(role, {option: value}, {}) == ({option: variable} if variable else {})


def test_a_role_may_have_its_own_instead_of_the_one_that_all_take() -> None:
    own = "pod_identity_bindings_subscription_id"
    passed = {"subscription_id": "{{ pod_identity_bindings_subscription_id | default(omit, true) }}"}
    assert _roles.option_names("pod_identity_bindings", passed, {own: "s"}) == {"subscription_id": own}


def test_whose_credentials_a_kubeconfig_holds_is_an_option_of_the_role_of_clusters() -> None:
    message = "Getting credentials is not allowed (BadRequest); set credentials to user, which needs no local account."
    passed = _roles.option_names_of_look(message, Templar(DataLoader()), {})
    said = (
        "Getting credentials is not allowed (BadRequest); set pod_identity_cluster_credentials to user, which needs no"
    )
    assert of_role(message, passed) == f"{said} local account."


BINDINGS, CLUSTER = "pod_identity_bindings_subscription_id", "pod_identity_cluster_subscription_id"


@table(
    "variables, said",
    ({"pod_identity_subscription_id": "8A6A"}, "pod_identity_subscription_id"),
    ({"pod_identity_subscription_id": "11", BINDINGS: "8a6a"}, BINDINGS),
    ({"pod_identity_subscription_id": "8a6a", CLUSTER: "8a6a"}, f"pod_identity_subscription_id or {CLUSTER}"),
    (
        {"pod_identity_bindings_list": [{"name": "one"}, {"name": "two", "subscription_id": "8a6a"}]},
        "subscription_id in pod_identity_bindings_list",
    ),
    ({"pod_identity_bindings_list": "{{ nowhere }}"}, "pod_identity_subscription_id"),
    ({"pod_identity_bindings_list": ["one"]}, "pod_identity_subscription_id"),
)
def test_the_variable_with_the_subscription_of_the_message(variables: dict[str, object], said: str) -> None:
    message = "The subscription '8a6a' could not be found (SubscriptionNotFound); check subscription_id."
    templar = Templar(DataLoader(), variables=variables)
    passed = _roles.option_names_of_look(message, templar, variables)
    assert of_role(message, passed).endswith(f"; check {said}.")


@table(
    "looks, said",
    (False, "set pod_identity_uninstall_lease_wait_timeout or subscription_id, and allow_in_use"),
    (True, "set wait_timeout or pod_identity_subscription_id, and allow_in_use"),
)
def test_a_message_names_what_the_task_passes(looks: bool, said: str) -> None:
    """Where the module runs in the place of a task, that is what all roles take from the operator."""
    action: Any = InProcess.__new__(InProcess)
    role = SimpleNamespace(_role_collection="azureops.pod_identity", _role_name="pod_identity_uninstall")
    name = "azureops.pod_identity.cluster_lease"
    written = {name: {"state": "held", "wait_timeout": "{{ pod_identity_uninstall_lease_wait_timeout }}"}}
    action._task = SimpleNamespace(_role=role, action=name, _ds=written, args={"wait_timeout": 5})
    action._templar = Templar(DataLoader())
    action.looks = looks
    result = {"failed": True, "msg": "set wait_timeout or subscription_id, and allow_in_use"}
    action._name_variables(result, {})
    assert result["msg"] == said


@table(
    "whose, prefix, name",
    ("pod_identity_report", "pod_identity_report", "files"),
    ("workload_identity_migration", "workload_identity_migration", "files"),
    ("diagnose", _roles.SHARED, "diagnose_files"),
    ("diagnose", _roles.SHARED, "diagnose_log_files"),
)
def test_files_are_named_from_where_ansible_playbook_was_started(
    whose: str, prefix: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {f"{prefix}_{name}": ["objects.json", "/tickets/1.json"]}
    found = _roles.options(Templar(DataLoader()), prefix, _roles.SPECS[whose], [name], given)
    assert found == {name: [f"{tmp_path}/objects.json", "/tickets/1.json"]}
