# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pairs of the golden record: a world, and a playbook that is played in it in check mode and for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from ansible_collections.azureops.pod_identity.tests.golden import plays, worlds
from ansible_collections.azureops.pod_identity.tests.golden.recording import record
from ansible_collections.azureops.pod_identity.tests.golden.site import Site, site
from ansible_collections.azureops.pod_identity.tests.kube import rollouts
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT
from azsandbox.azure.roles import BUILT_IN

Prepare = Callable[[Site], None]


@dataclass(frozen=True)
class Pair:
    """``clusters``: their names; ``pods``: whether controllers make the pods of workloads."""

    world: Prepare
    play: Prepare
    clusters: tuple[str, ...] = ("demo",)
    pods: bool = False


TWO = ("east", "west")
PAIRS: dict[str, Pair] = {
    "empty-site": Pair(worlds.empty, partial(plays.create, mode="chart")),
    "empty-site-addon": Pair(worlds.empty, partial(plays.create, mode="addon")),
    "empty-site-refused": Pair(worlds.empty, plays.install),
    "empty-uninstall": Pair(worlds.empty, plays.uninstall),
    "empty-destroy": Pair(worlds.empty, plays.destroy),
    "demo-site": Pair(worlds.demo, partial(plays.install, names=("billing", "orders"))),
    "demo-bindings": Pair(worlds.demo, partial(plays.bindings, mode="chart")),
    "demo-uninstall": Pair(worlds.demo, plays.delete_identity),
    "demo-uninstall-unconfirmed": Pair(worlds.demo, partial(plays.uninstall, confirm="")),
    "demo-restore": Pair(worlds.saved, plays.restore),
    "demo-destroy": Pair(worlds.demo, partial(plays.destroy, force=True)),
    "demo-destroy-refused": Pair(worlds.demo, plays.destroy),
    "used-uninstall": Pair(worlds.used, plays.uninstall),
    "used-inventory": Pair(worlds.used, plays.inventory),
    "used-report": Pair(worlds.used, plays.report),
    "addon-site": Pair(worlds.addon, partial(plays.install, mode="addon", names=("billing", "orders"))),
    "addon-bindings": Pair(worlds.addon, partial(plays.bindings, mode="addon")),
    "addon-uninstall": Pair(worlds.addon, plays.uninstall),
    "addon-restore": Pair(worlds.addon_saved, plays.restore),
    "namespaced-site": Pair(worlds.namespaced, plays.install),
    "namespaced-uninstall": Pair(worlds.namespaced, partial(plays.uninstall, allow_in_use=True)),
    "others-site": Pair(worlds.others, plays.install),
    "others-uninstall": Pair(worlds.others, plays.uninstall),
    "broken-diagnose": Pair(worlds.broken, plays.diagnose),
    "broken-uninstall": Pair(worlds.broken, plays.uninstall_all),
    "pending-site": Pair(worlds.pending, plays.install),
    "leftover-leftovers": Pair(worlds.leftover, plays.detach),
    "leftover-leftovers-unconfirmed": Pair(worlds.leftover, plays.detach_unconfirmed),
    "moving-verify": Pair(worlds.moving, plays.verify, pods=True),
    "moving-migrate": Pair(worlds.moving, plays.move, pods=True),
    "half-migrated-migrate": Pair(worlds.half_migrated, plays.leave, pods=True),
    "half-migrated-undo": Pair(worlds.half_migrated, plays.undo, pods=True),
    "half-migrated-uninstall": Pair(worlds.half_migrated, plays.uninstall_all, pods=True),
    "two-clusters-inventory": Pair(worlds.two_clusters, plays.inventory, TWO),
    "two-clusters-migrate": Pair(worlds.two_clusters, plays.credentials, TWO),
    "nothing-permitted-site": Pair(worlds.nothing_permitted, plays.install),
    "nothing-permitted-uninstall": Pair(worlds.nothing_permitted, plays.uninstall),
    "reader-uninstall": Pair(worlds.reader, partial(plays.uninstall, allow_in_use=True)),
    "cluster-user-report": Pair(worlds.cluster_user, plays.report),
}


def play(name: str, outputs: Path) -> list[str]:
    """The record of a pair. What its plays print and ask goes to the folder, for whoever looks into a difference."""
    pair = PAIRS[name]
    controllers = rollouts.CONTROLLERS if pair.pods else ()
    with site(*pair.clusters, controllers=controllers) as made:
        pair.world(made)
        pair.play(made)
        lines = []
        for mode, arguments in (("check mode", ("--check",)), ("for real", ())):
            known = _known(made)
            took = made.play(*arguments)
            known |= _known(made)
            lines += [f"== {mode}", *record(took, known, waits=not arguments, pods=pair.pods)]
            place = outputs / f"{name}-{mode.replace(' ', '-')}"
            place.with_suffix(".log").write_text(took.output)
            place.with_suffix(".json").write_text(json.dumps({"took": asdict(took), "known": known}))
        return lines


def _known(made: Site) -> dict[str, str]:
    """Words for what is drawn by lot."""
    programs, charts = server.programs()
    azure = made.azure

    def of_principals() -> dict[str, str]:
        return {
            text: f"{word}({each.name})"
            for each in azure.server.azure.state.principals.values()
            for text, word in ((each.object_id, "PRINCIPAL"), (each.app_id, "CLIENT"))
        }

    return {
        **{each.id: f"ROLE({each.name})" for each in BUILT_IN},
        **azure.in_loop(of_principals),
        azure.subscription_id: "SUBSCRIPTION",
        azure.tenant_id: "TENANT",
        azure.endpoints.arm: "ARM",
        azure.endpoints.entra: "ENTRA",
        azure.endpoints.graph: "GRAPH",
        **{one.url: f"API({name})" for name, one in made.servers.items()},
        str(made.folder): "FOLDER",
        str(programs): "PROGRAMS",
        str(charts): "CHARTS",
        str(CHECKOUT): "CHECKOUT",
        **made.names,
    }
