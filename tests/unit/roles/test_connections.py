# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No task of a role or playbook leaves it to the environment which API server it reaches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT

OURS = "azureops.pod_identity."
# What switches the add-on, or ends a trust, asks Azure alone.
OF_AZURE = ("enable_addon.yml", "switch_off.yml", "untrust.yml", "untrust_application.yml")
GROUPS = yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text())["action_groups"]
KUBERNETES = {OURS + name for name in GROUPS["kubernetes"]}


def tasks(part: Any) -> Iterator[tuple[str, Any]]:
    """Every key that can be an action, with its arguments."""
    if isinstance(part, dict):
        yield from part.items()
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from tasks(each)


def test_every_task_that_asks_an_api_server_names_its_kubeconfig() -> None:
    foreign, without, found, of_core = set(), [], 0, set()
    for path in [*CHECKOUT.glob("roles/*/tasks/*.yml"), *CHECKOUT.glob("playbooks/*.yml")]:
        for name, arguments in tasks(yaml.safe_load(path.read_text())):
            if str(name).startswith("kubernetes.core."):
                foreign.add(name)
            # With a method, imds_answer_info runs on the node and asks there.
            elif str(name) in KUBERNETES and "method" not in arguments:
                found += 1
                of_core.add(arguments.get("module"))
                # Of a restore bundle that is a file no API server is asked.
                elsewhere = str(name).endswith("_bundle") and path.name in ("lasting.yml", "leftovers.yml")
                elsewhere |= arguments.get("module") == "helm_pull"  # it asks a repository
                elsewhere |= str(name).removeprefix(OURS) in GROUPS["azure"] and path.name in OF_AZURE
                if not elsewhere and not arguments.get("kubeconfig"):
                    without.append(f"{path}: {name}")
    assert (foreign, found > 50) == (set(), True)
    assert without == []
    # Those that read objects before they write take any 404 for absence, so kubernetes_object does that.
    assert of_core - {None} == {"helm", "helm_info", "helm_pull", "k8s_drain"}
