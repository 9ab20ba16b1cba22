# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migrations that are played to their end, a case for each shape of workload."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube import migration_nodes
from ansible_collections.azureops.pod_identity.tests.kube.installation import owned
from ansible_collections.azureops.pod_identity.tests.kube.migration_nodes import Node
from ansible_collections.azureops.pod_identity.tests.kube.migration_site import AZURE, Place, Raw, Site
from ansible_collections.azureops.pod_identity.tests.kube.read_migrations import READING, kind_of
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from azsandbox.azure.loopback import Credentials

PREFIX = "workload_identity_migration"


Row = tuple[str, str, str]
"""State, next phase, and what the reason begins with or, behind an ellipsis, has in it."""


ALL = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


@dataclass(frozen=True)
class Case:
    """``rows``: after a run until its switch, by kind and name. ``written``: whether anything is done about it at all.

    ``moved_before``: who has the label already, so that nothing is patched. ``proxied``: who is to have the proxy.
    """

    make: Callable[[Place], None]
    rows: Mapping[str, Row]
    written: bool = True
    moved_before: tuple[str, ...] = ()
    proxied: tuple[str, ...] = ()


CASES: dict[str, Case] = {}


def make(
    place: Place,
    name: str,
    kind: Kind = kinds.DEPLOYMENT,
    *,
    service_account: str = "",
    selector: str | None = None,
    labels: Mapping[str, str] | None = None,
    pod: Raw | None = None,
    container: Raw | None = None,
    spec: Raw | None = None,
    metadata: Raw | None = None,
    namespace: str = "",
) -> None:
    """A workload; ``selector``: of AAD Pod Identity, '' for none."""
    chosen = place.namespace if selector is None else selector
    marks = {"app": name, **({"aadpodidbinding": chosen} if chosen else {}), **(labels or {})}
    inner: Raw = {
        "serviceAccountName": service_account or name,
        "containers": [{"name": "app", "image": "registry.example/web:1", **(container or {})}],
        **({"restartPolicy": "Never"} if kind in (kinds.POD, kinds.JOB, kinds.CRON_JOB) else {}),
        **(pod or {}),
    }
    if kind == kinds.POD:
        place.create(kinds.POD, name, metadata={"labels": marks, **(metadata or {})}, spec=inner)
        return
    template = {"metadata": {"labels": marks}, "spec": inner}
    whole: Raw = {"template": template}
    if kind == kinds.CRON_JOB:
        whole = {"schedule": "0 3 * * *", "jobTemplate": {"spec": whole}}
    elif kind != kinds.JOB:
        whole["selector"] = {"matchLabels": {"app": name}}
    place.create(kind, name, namespace, metadata=metadata, spec={**whole, **(spec or {})})


@dataclass
class World:
    site: Site
    node: Node
    player: Player
    places: dict[str, Place] = field(default_factory=dict)

    def migrate(self, places: Mapping[str, Place] | None, *arguments: str, **options: Any) -> Played:
        """``places``: those that it looks at; None for the whole cluster."""
        events, mark = len(self.site.api_server.events()), self.site.modules.mark()
        chosen = {} if places is None else {f"{PREFIX}_namespaces": [each.namespace for each in places.values()]}
        proxied = [f"{place.namespace}/{each}" for name, place in self.places.items() for each in CASES[name].proxied]
        status, output = self.player.play(
            "azureops.pod_identity.migrate",
            *arguments,
            pod_identity_resource_group=AZURE["resource_group"],
            pod_identity_cluster_name=AZURE["cluster_name"],
            pod_identity_kubeconfig=self.site.api_server.kubeconfig(RESTRICTED),
            **chosen,
            **{f"{PREFIX}_proxy_workloads": proxied},
            **{f"{PREFIX}_{name}": value for name, value in options.items()},
        )
        asked = [each for each in self.site.api_server.events()[events:] if each["user"]["username"] == "restricted"]
        return Played(status, output, asked, self.site.modules.requests(mark))


@dataclass(frozen=True)
class Played:
    status: int
    output: str
    asked: list[Any]
    of_azure: list[Any]

    @property
    def stats(self) -> Raw:
        """What is left to whoever started the run."""
        found = self.output.partition("RUN: ")[2]
        assert found, self.output
        return dict(json.JSONDecoder().raw_decode(found)[0])

    def said_by(self, task: str) -> str:
        """Without what its lines are broken by."""
        return " ".join(self.output.partition(f"[{task}]")[2].partition("TASK [")[0].split())

    def rows(self) -> dict[str, Row]:
        """By kind, namespace and name."""
        rows = self.stats[f"{PREFIX}_stages"]["localhost"]
        return {row["workload"].replace(" ", "/"): (row["state"], row["next"], row["why"]) for row in rows}

    def plan_of(self, namespace: str) -> set[str]:
        """Codes of what the plan tells of workloads there."""
        templates = self.stats[f"{PREFIX}_plan"]["localhost"]["templates"]
        parts = ("needs", "blocked")
        mine = [each for each in templates if each["namespace"] == namespace]
        return {item["code"] for each in mine for part in parts for item in each[part]}

    def writes(self, namespace: str) -> list[str]:
        """In the namespace, with the names of what is written."""
        return [what for where, what in self.every_write() if where == namespace]

    def every_write(self) -> Iterator[tuple[str, str]]:
        for each in self.asked:
            if each["verb"] not in READING and (kind := kind_of(each)) not in ("dry run", "token", "review"):
                thing = each["objectRef"]
                yield thing.get("namespace", ""), f"{kind} {thing.get('name', '')}".strip()

    def writes_to(self, identity: str) -> list[str]:
        return [
            f"{each['method']} {each['path']}"
            for each in self.of_azure
            if each["method"] != "GET" and f"/{identity.lower()}/" in f"{each['path'].lower()}/"
        ]


def _of_others(site: Site) -> Iterator[str]:
    names = (each["metadata"]["name"] for each in site.client.list_all(kinds.NAMESPACE))
    return (name for name in names if name.startswith("t-"))


@contextlib.contextmanager
def running(site: Site, folder: Path, who: Credentials | None = None, rights: Raw = ALL) -> Iterator[World]:
    """With the objects of the published chart, whose NMI is on the node of all pods.

    Plays run as ``who`` in Azure, by default its owner, and with these ``rights`` in the cluster.
    """
    server.until("what others have made is gone", lambda: not list(_of_others(site)))
    with contextlib.ExitStack() as ends:
        node = ends.enter_context(migration_nodes.running(site.api_server, site.azure, folder))
        site.api_server.helm("install", "pod-identity", "CHART", "--namespace", "default")
        ends.callback(site.api_server.helm, "uninstall", "pod-identity", "--namespace", "default")
        nmi = site.client.get(kinds.DAEMON_SET, "default", "aad-pod-identity-nmi")
        assert nmi
        template = nmi["spec"]["template"]
        metadata = {"name": "nmi-1", "labels": template["metadata"]["labels"], **owned(nmi)}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
        site.client.create(kinds.POD, "default", {**body, "spec": {**template["spec"], "nodeName": node.name}})
        ends.enter_context(server.rights_of_restricted(site.client, "migrates", rights))
        login = site.modules.login(who) if who else {}
        environment = {**site.modules.environment, **login, "ANSIBLE_SHOW_CUSTOM_STATS": "true"}
        yield World(site, node, Player(folder / "play", environment))
