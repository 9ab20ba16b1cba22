# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all modules document alike in their RETURN: errors, actions, changes, permissions and failures.

A module that documents one of these keys writes its ``sample``, which is its own; `python tests/readmes.py` writes the
rest. The sample of ``permissions`` decides which fields an entry has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

MODULES = Path(__file__).resolve().parents[1] / "plugins/modules"

_CHANGE = """\
  contains:
    verb:
      description: >-
        V(create), V(change), V(delete), V(adopt), V(reconcile), V(attach), V(detach), V(restart) or V(reimage).
      type: str
    kind:
      description: Resource type of ARM, kind of Kubernetes, or V(file).
      type: str
    id:
      description:
        - Id of the resource in ARM, namespace and name of the object, or path of the file.
        - V((known after apply\\)) where only Azure can tell it.
      type: str
    why:
      description: What is changed of it, or for what; may be empty.
      type: str
"""
SHARED: Mapping[str, str] = {
    "error": """\
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
""",
    "actions": """\
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
""",
    "changes": """\
changes:
  description: RV(actions) as data, in the same order.
  returned: always
  type: list
  elements: dict
"""
    + _CHANGE,
    "permissions": """\
permissions:
  description: What whoever makes the change must be allowed to do, apart from reading.
  returned: in check mode, once it is known what would be done
  type: list
  elements: dict
""",
    "begun": """\
begun:
  description: Whether RV(failed_action) had changed something before it failed.
  returned: when an action fails
  type: bool
""",
    "failed_action": """\
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
""",
    "failed_change": """\
failed_change:
  description: RV(failed_action) as data, with the keys of an entry of RV(changes).
  returned: when an action fails
  type: dict
""",
}
# Of a module that changes files only.
NOTHING_NEEDED = """\
permissions:
  description: Always empty, because nothing of Azure or Kubernetes is changed.
  returned: in check mode
  type: list
  elements: dict
"""
# Fields of an entry of ``permissions``: description and type.
FIELDS: Mapping[str, tuple[str, str]] = {
    "scope": ("Id of the resource or resource group.", "str"),
    "actions": ("Actions there.", "list"),
    "verbs": ("Verbs as roles of Kubernetes name them.", "list"),
    "resource": ("Plural name of the resource.", "str"),
    "api_group": ("Its API group; empty for the core group.", "str"),
    "subresource": ("A subresource; empty for the resource itself.", "str"),
    "namespace": ("Namespace; empty for the whole cluster.", "str"),
    "application": ("Object id of the application, which must be owned.", "str"),
    "graph_permissions": ("The least permissions of Microsoft Graph for that.", "list"),
}
# Keys that mean something else in a module, which documents them whole.
OWN: Mapping[str, tuple[str, ...]] = {
    "cluster_report": ("actions", "changes", "permissions"),
    "cluster_session": ("permissions",),
    "imds_answer_info": ("actions",),
    "imds_iptables_cleanup": ("changes", "permissions"),
    "kubernetes_core": ("actions", "changes"),
    "kubernetes_object": ("error",),
    "pod_identity_bundle": ("error",),
    "pod_identity_diagnosis_info": ("actions",),
    "pod_identity_info": ("actions", "changes", "permissions"),
    "pod_token_info": ("actions",),
    "resource_group": ("error",),
    "workload_identity_webhook_info": ("permissions",),
    "workload_identity_workload": ("error", "failed_action"),
    "workload_restart": ("error",),
}
_RETURN = re.compile(r'(?<=^RETURN = r"""\n)(.*?)(?=^""")', re.DOTALL | re.MULTILINE)
_BLOCKS = re.compile(r"^(?=[a-z_]+:)", re.MULTILINE)


def written(name: str, text: str) -> str:
    """The module with its RETURN as it has to be."""

    def shared(found: re.Match[str]) -> str:
        return "".join(_block(name, block) for block in _BLOCKS.split(found[1]))

    return _RETURN.sub(shared, text)


def _block(name: str, block: str) -> str:
    key = block.partition(":")[0]
    if key not in SHARED or key in OWN.get(name, ()):
        return block
    dummy, sample, value = block.partition("\n  sample:")
    text = SHARED[key]
    if key == "permissions":
        entries = yaml.safe_load(block)[key]["sample"]
        text = text + "".join(_fields(entries)) if entries else NOTHING_NEEDED
    return text + (f"  sample:{value}" if sample else "")


def _fields(entries: list[dict[str, object]]) -> Iterator[str]:
    names = [name for name in FIELDS if any(name in entry for entry in entries)]
    if names:
        yield "  contains:\n"
    for name in names:
        description, kind = FIELDS[name]
        elements = "      elements: str\n" if kind == "list" else ""
        yield f"    {name}:\n      description: {description}\n      type: {kind}\n{elements}"


def modules() -> Iterator[Path]:
    for path in sorted(MODULES.glob("*.py")):
        if path.name != "__init__.py":
            yield path
