# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Identities that all clusters of a run together would fill, and credentials that are for none of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import fleet
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.fleet import Planned
from ansible_collections.azureops.pod_identity.tests.unit.fleet_objects import IDS, credential, identity, plan
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases


def overfull(**plans: dict[str, Any]) -> list[tuple[str, int, int, tuple[str, ...]]]:
    found = fleet.overfull(Planned(name, made) for name, made in plans.items())
    return [(one.holder.short, one.used, one.missing, one.clusters) for one in found]


THERE = [credential("Z", f"x{number}") for number in range(10)]
FIVE, SIX, NINETEEN = ([f"s{number}" for number in range(many)] for many in (5, 6, 19))


def test_each_cluster_alone_finds_room() -> None:
    """Ids are compared as ARM does."""
    other = {**identity(*THERE, wants=FIVE), "identity_id": f"{IDS}WEB".upper()}
    more = identity(wants=["a", "b"], name="api")
    assert overfull(a=plan("A", identity(*THERE, wants=SIX), more), b=plan("B", other), c=plan("C")) == [
        ("web", 10, 11, ("a", "b"))
    ]


WRITTEN = plan("B", identity(*THERE, *(credential("A", name) for name in FIVE), wants=FIVE))


@cases(
    "plans",
    ("20 are possible", {"a": plan("A", identity(*THERE, wants=FIVE)), "b": plan("B", identity(*THERE, wants=FIVE))}),
    ("one cluster twice", {"a": plan("A", identity(*THERE, wants=SIX)), "b": plan("A", identity(*THERE, wants=SIX))}),
    ("one cluster by itself", {"a": plan("A", identity(*THERE, wants=NINETEEN)), "b": plan("B", identity(*THERE))}),
    ("they were not read", {name: plan(name, identity(wants=NINETEEN, read=False)) for name in ("a", "b")}),
    ("one has written since the other was planned", {"a": plan("A", identity(*THERE, wants=FIVE)), "b": WRITTEN}),
)
def test_identities_with_room(plans: dict[str, Any]) -> None:
    assert overfull(**plans) == []


def test_clusters_without_an_issuer_will_have_one_each() -> None:
    found = overfull(a=plan("", identity(*THERE, wants=SIX)), b=plan(None, identity(*THERE, wants=SIX)))
    assert [missing for _name, _used, missing, _clusters in found] == [12]


def test_what_is_for_no_cluster_at_all_is_no_stray() -> None:
    others = [
        {"name": "aks-identity-binding", "issuer": "https://ib/", "subject": "c"},
        {"name": "pipeline", "issuer": "https://github/", "subject": "repo:shop"},
        {"name": "branches", "issuer": "https://gitlab/", "subject": ""},
    ]
    every = [Planned("a", plan("A", identity(credential("A", "web"), credential("Z", "web"), *others)))]
    assert [(one.credential, one.service_account, one.issuer) for one in fleet.strays(every)] == [
        ("Z-web", "shop/web", "Z")
    ]
