# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the tasks of a session changed: each adds to a file of the run, which the end of the session reads.

Tasks run in processes of their own, of which nothing comes back but results, which later tasks do not see as a whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t
import uuid
from dataclasses import asdict

from ansible import constants as C
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import run_changes

Raw = t.Mapping[str, t.Any]

# What a session knows of it, and the variable by which a task says that it only looks.
KNOWN, ONLY_LOOKS = "account", "__pod_identity_only_looks"
_SESSION = "pod_identity_session"


def begin(owner: str) -> dict[str, t.Any]:
    """What the session registers; the file lies where Ansible removes it in the end."""
    path = os.path.join(vars(C)["DEFAULT_LOCAL_TMP"], f"pod-identity-changes-{uuid.uuid4().hex}.jsonl")
    return {"path": path, "began": time.time(), "owner": owner}


def keep(action: ActionBase, variables: Raw, result: Raw, seconds: float, *, look: bool, where: str = "") -> None:
    """Add what a task changed, and where if its actions do not say it. The work matters more than its being told."""
    session = variables.get(_SESSION)
    known = session.get(KNOWN) if isinstance(session, t.Mapping) else None
    if not known or not result.get("changed"):
        return
    task = run_changes.Task(
        changed=True,
        check_mode=bool(action._task.check_mode),
        check_mode_of_run=bool(variables.get("ansible_check_mode")),
        never_changes=False in (action._task.changed_when or ()),
        look=look,
        only_looks=bool(action._templar.template(variables.get(ONLY_LOOKS, False))),
    )
    if not task.counts:
        return
    name = str(action._task.get_name(include_role_fqcn=False))
    rows = run_changes.of_task(result, name, seconds, check_mode=task.check_mode, where=where)
    with contextlib.suppress(OSError), open(str(known["path"]), "a", encoding="utf-8") as file:
        for each in rows:
            file.write(json.dumps(asdict(each)) + "\n")


def end(known: Raw, variables: Raw) -> list[dict[str, t.Any]]:
    """Show what was changed, on standard error like progress, and forget it; returns it as data."""
    found: list[run_changes.Row] = []
    path = str(known["path"])
    with contextlib.suppress(OSError, ValueError, TypeError):
        with open(path, encoding="utf-8") as file:
            found = [run_changes.Row(**json.loads(line)) for line in file]
        os.unlink(path)
    check_mode, host = bool(variables.get("ansible_check_mode")), str(variables.get("inventory_hostname"))
    before = _count(host, len(found))
    told = run_changes.lines(found, time.time() - float(known["began"]), check_mode=check_mode, before=before)
    Display().display("\n".join(f"[{host}] {line}" for line in told), stderr=True)
    return [each.view() for each in found]


def _count(host: str, more: int) -> int:
    """How many changes the sessions before this one have told of a host; those of this one are added."""
    path = os.path.join(vars(C)["DEFAULT_LOCAL_TMP"], f"pod-identity-told-{uuid.uuid5(uuid.NAMESPACE_DNS, host).hex}")
    before = 0
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        before = int(file.read())
    with contextlib.suppress(OSError), open(path, "w", encoding="utf-8") as file:
        file.write(str(before + more))
    return before
