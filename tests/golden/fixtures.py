# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this version leaves in a cluster, written by running it: later versions read it.

Ids are replaced by fixed ones of the same form, so that a file changes only where what is written does.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.lease import NAME, PROCESS
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    CLUSTER_ROLE_BINDING,
    DEPLOYMENT,
    LEASE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
)
from ansible_collections.azureops.pod_identity.tests.golden import plays, worlds
from ansible_collections.azureops.pod_identity.tests.golden.plays import SHOP
from ansible_collections.azureops.pod_identity.tests.golden.recording import Raw
from ansible_collections.azureops.pod_identity.tests.golden.site import Site, site
from ansible_collections.azureops.pod_identity.tests.kube import rollouts
from ansible_collections.azureops.pod_identity.tests.support.api_server import Runner
from azsandbox.azure.roles import BUILT_IN

FIXTURES = Path(__file__).with_name("fixtures")
HOLDER = {"holder": "alice@laptop, process 9", "process": "boot/2/9/5"}
_UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")
_TIMES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=[.Z])"), "2026-03-01T10:00:00"),
    (re.compile(r"\d{8}T\d{6}Z"), "20260301T100000Z"),
    (re.compile(r"\.\d{6}Z"), ".000000Z"),
    (re.compile(r"(?<=aks-nodepool1-)\d{8}"), "10000000"),
)


def bundle(of: Site) -> Raw:
    """A restore bundle as the playbook uninstall writes it."""
    plays.uninstall(of)
    of.succeed()
    (secret,) = (each for each in of.client.list_all(SECRET, SHOP) if "bundle.json" in (each.get("data") or {}))
    return dict(json.loads(base64.b64decode(secret["data"]["bundle.json"])))


def marks(of: Site) -> list[Raw]:
    """What the migration has changed or made so far, with its marks."""
    client = of.client
    found = [
        (kind, each)
        for kind, namespace in (
            (DEPLOYMENT, SHOP),
            (SERVICE_ACCOUNT, SHOP),
            (ROLE_BINDING, SHOP),
            (CLUSTER_ROLE_BINDING, None),
        )
        for each in client.list_all(kind, namespace)
        if MIGRATION in (each["metadata"].get("annotations") or {})
    ]
    return [
        {"apiVersion": kind.api_version, "kind": kind.name, **{key: each[key] for key in each if key != "status"}}
        for kind, each in found
    ]


def lease(of: Site) -> Raw:
    """That of a run which holds the cluster."""
    Runner(of.server, "cluster_lease")(**HOLDER).ok()
    found = of.client.get(LEASE, "default", NAME)
    assert found and found["metadata"]["annotations"][PROCESS] == HOLDER["process"]
    return {"apiVersion": LEASE.api_version, "kind": LEASE.name, **found}


Build = Callable[[Site], None]
MADE: dict[str, tuple[Build, Callable[[Site], Any], tuple[str, ...]]] = {
    "bundle-of-chart": (worlds.demo, bundle, ()),
    "bundle-of-addon": (worlds.addon, bundle, ()),
    "marks-of-half-migrated": (worlds.half_migrated, marks, rollouts.CONTROLLERS),
    "lease": (worlds.empty, lease, ()),
}


def write(names: Iterable[str]) -> None:
    for name in names:
        world, take, controllers = MADE[name]
        with site(controllers=controllers) as made:
            world(made)
            text = json.dumps(_bare(take(made)), indent=2, sort_keys=True)
            text = text.replace(made.server.url, "https://issuer.example")
        (FIXTURES / f"{name}.json").write_text(f"{_fixed(text)}\n")


def _bare(value: Any) -> Any:
    """Without what the API server notes for itself."""
    if isinstance(value, dict):
        return {key: _bare(each) for key, each in value.items() if key != "managedFields"}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def _fixed(text: str) -> str:
    """Ids are numbered as they come, roles of Azure keep theirs."""
    known = {each.id: each.id for each in BUILT_IN}

    def number(found: re.Match[str]) -> str:
        return known.setdefault(found[0].lower(), f"00000000-0000-4000-8000-{len(known) - len(BUILT_IN) + 1:012}")

    text = _UUID.sub(number, text)
    for pattern, fixed in _TIMES:
        text = pattern.sub(fixed, text)
    return re.sub(r'(?<="resourceVersion": )"\d+"', '"1000"', text)
