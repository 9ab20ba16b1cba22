# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the tasks of a session changed: each adds to a file of the run, which the end of the session reads.

Tasks run in processes of their own, of which nothing comes back but results, which later tasks do not see as a whole.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import multiprocessing
import os
import time
import typing as t
import uuid
from dataclasses import asdict
from pathlib import Path

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
    known = _known(variables)
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
    _add(known, variables, [asdict(each) for each in rows])


def _known(variables: Raw) -> Raw | None:
    session = variables.get(_SESSION)
    return session.get(KNOWN) if isinstance(session, t.Mapping) else None


def _add(known: Raw, variables: Raw, rows: t.Iterable[Raw]) -> None:
    """Each with what its end is told by where the session itself does not come to one."""
    of = [str(variables.get("inventory_hostname")), bool(variables.get("ansible_check_mode")), known["began"]]
    with contextlib.suppress(OSError), open(str(known["path"]), "a", encoding="utf-8") as file:
        for each in rows:
            file.write(json.dumps({"of": of, **each}) + "\n")


def _read(path: str) -> tuple[list[run_changes.Row], list[t.Any]]:
    """The changes, and of which host, in which mode and since when; forgotten then."""
    found: list[run_changes.Row] = []
    of: list[t.Any] = []
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        with open(path, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                of = row.pop("of")
                found.append(run_changes.Row(**row))
        os.unlink(path)
    return found, of


def end(known: Raw, variables: Raw) -> list[dict[str, t.Any]]:
    """Show what was changed, on standard error like progress, and forget it; returns it as data."""
    found, dummy = _read(str(known["path"]))
    check_mode, host = bool(variables.get("ansible_check_mode")), str(variables.get("inventory_hostname"))
    # Ansible takes a host out of the play when a task fails, and puts it back where a rescue begins.
    failed = host not in variables.get("ansible_play_hosts", ())
    before = _count(host, len(found))
    told = run_changes.lines(
        found, time.time() - float(known["began"]), check_mode=check_mode, before=before, failed=failed
    )
    _show(host, told)
    return [each.view() for each in found]


def _show(host: str, told: t.Iterable[str]) -> None:
    Display().display("\n".join(f"[{host}] {line}" for line in told), stderr=True)


def _end_all(number: int) -> None:
    """Show what sessions changed that came to no end, as after Ctrl-C; what was going on then is in none of them."""
    if os.getpid() != number:
        return
    for path in Path(vars(C)["DEFAULT_LOCAL_TMP"]).glob("pod-identity-changes-*.jsonl"):
        found, of = _read(str(path))
        if found:
            host, check_mode, began = of
            told = run_changes.lines(found, time.time() - float(began), check_mode=check_mode)
            _show(host, ["The run ended early; what its last task had begun is not told. Before it:", *told])


if not multiprocessing.parent_process():  # loaded in ansible-playbook itself, before its workers are forked
    atexit.register(_end_all, os.getpid())


def _count(host: str, more: int) -> int:
    """How many changes the sessions before this one have told of a host; those of this one are added."""
    path = os.path.join(vars(C)["DEFAULT_LOCAL_TMP"], f"pod-identity-told-{uuid.uuid5(uuid.NAMESPACE_DNS, host).hex}")
    before = 0
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        before = int(file.read())
    with contextlib.suppress(OSError), open(path, "w", encoding="utf-8") as file:
        file.write(str(before + more))
    return before
