# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module, and tells it which ansible-playbook holds the Lease, which goes with it also after Ctrl-C."""

from __future__ import annotations

import atexit
import contextlib
import json
import multiprocessing
import os
import typing as t
import uuid
from pathlib import Path

from ansible import constants as C

from ansible_collections.azureops.pod_identity.plugins.module_utils import _processes
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import lease
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import leases
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _in_process

_TEMPORARY, _PREFIX = str(vars(C)["DEFAULT_LOCAL_TMP"]), "pod-identity-lease-"
# What names a Lease and leads to it.
_NAMED = ("kubeconfig", "context", "namespace", "name", "holder", "process")
# Seconds for which an API server is waited for by a run that was interrupted.
_PATIENCE = 5

# This file is loaded in ansible-playbook itself, before its workers are forked.
_processes.keep(_TEMPORARY)


class ActionModule(_in_process.InProcess):
    prepared = _in_process.prepare(__name__, *_in_process.KUBERNETES)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        # The task runs in a child of it, which ends with the task.
        playbook = multiprocessing.parent_process()
        number = (playbook.pid if playbook else None) or os.getpid()
        host = str((task_vars or {}).get("inventory_hostname", "localhost"))
        whom = f"{_processes.person()}, process {number}" + ("" if host == "localhost" else f", host {host}")
        self._task.args.setdefault("holder", whom)
        self._task.args.setdefault("process", _processes.name(number))
        known = {name: self._task.args[name] for name in _NAMED if self._task.args.get(name)}
        if self._task.check_mode or not isinstance(known.get("kubeconfig"), str):
            result: dict[str, t.Any] = super().run(tmp, task_vars)
            return result
        # By the note the end of ansible-playbook finds the Lease; it is written first, as Ctrl-C may come at any time.
        note = Path(_TEMPORARY, _PREFIX + uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(known, sort_keys=True)).hex)
        held = note.exists()
        with contextlib.suppress(OSError):
            note.write_text(json.dumps(known))
        result = super().run(tmp, task_vars)
        if not (held if result.get("failed") else result.get("lease")):
            note.unlink(missing_ok=True)
        return result


def _give_back(number: int) -> None:
    """Give back what the tasks that would have done so have not, as they do not run after Ctrl-C."""
    if os.getpid() != number:
        return
    for path in Path(_TEMPORARY).glob(f"{_PREFIX}*"):
        with contextlib.suppress(Exception):  # the next run sees that this one has ended
            known = json.loads(path.read_text())
            holder = lease.Holder(known["holder"], known["process"])
            place = (known.get("namespace", lease.NAMESPACE), known.get("name", lease.NAME))
            client = connect(known, timeout=_PATIENCE)
            leases.give_back(client, leases.Desired(*place, holder, 0, _processes.ended))


if not multiprocessing.parent_process():
    atexit.register(_give_back, os.getpid())
