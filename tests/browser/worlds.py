# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observations of clusters whose pages are opened: all rows are made by the functions that make them for modules."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import Credential
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import observed as migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.telling import as_data
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.world import World
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    Raw,
    assigned,
    binding,
    identity,
    pod,
    template,
)
from ansible_collections.azureops.pod_identity.tests.support.report_world import (
    ISSUER,
    cluster,
    diagnosis,
    document,
    inventory,
)

SUBSCRIPTION = "/subscriptions/6f1c2a9e-0d5b-4e0c-9a57-3d1f0c8b7e21"
IDENTITIES = f"{SUBSCRIPTION}/resourcegroups/identities/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
AUDIENCE = "https://management.azure.com/"


@dataclass(frozen=True)
class App:
    """A Deployment that asks for tokens. ``bound``: whether a binding matches its pods. ``verdict``: of its token, ''
    where nobody asked for one. ``state``: of its migration, '' before one."""

    namespace: str
    name: str
    bound: bool = True
    verdict: str = "ok"
    state: str = ""
    pods: int = 2
    why: str = ""

    @property
    def id(self) -> str:
        return f"{IDENTITIES}id-{self.namespace}-{self.name}"

    @property
    def client_id(self) -> str:
        return f"{random.Random(self.id).getrandbits(128):032x}"[:8] + "-5a6c-4f0d-8d1e-5a8b1f0c9e77"

    @property
    def credential(self) -> Credential:
        subject = f"system:serviceaccount:{self.namespace}:{self.name}"
        return Credential(f"{self.namespace}-{self.name}", ISSUER, subject, (_EXCHANGE,))

    @property
    def has_left(self) -> bool:
        """AAD Pod Identity: it has neither label nor binding any more."""
        return self.state in ("left", "finished")

    @property
    def selector(self) -> str:
        return "" if self.has_left else self.name

    @property
    def labels(self) -> dict[str, str]:
        switched = self.has_left or self.state in ("switched", "soaking")
        return {"azure.workload.identity/use": "true"} if switched else {}


def _template(app: App, name: str, owner: tuple[str, str] = ("", "")) -> Raw:
    return template(name, app.selector, app.namespace, owner, labels=app.labels, spec={"serviceAccountName": app.name})


@dataclass(frozen=True)
class Town:
    """A cluster. ``nodes``: of two scale sets by turns. ``looked``: its sources. ``not_ready``: numbers of nodes.
    ``stray``: identities on its scale sets that nobody uses."""

    apps: Sequence[App]
    name: str = "aks-prod-westeurope"
    time: str = "2026-11-30T06:00:00Z"
    nodes: int = 4
    looked: Sequence[str] = field(
        default=("inventory", "diagnosis", "verification", "installations", "nodes", "rules", "carriers")
    )
    not_ready: Sequence[int] = ()
    stray: Sequence[str] = ()

    def node(self, number: int) -> str:
        return f"aks-{self.pool(number)}-21870734-vmss{number // 2:06d}"

    def pool(self, number: int) -> str:
        return ("system", "work")[number % 2]

    def set_of(self, pool: str) -> str:
        return (
            f"{SUBSCRIPTION}/resourceGroups/MC_{self.name}/providers/Microsoft.Compute/virtualMachineScaleSets/"
            f"aks-{pool}-21870734-vmss"
        )

    def pods(self) -> Iterable[tuple[App, Raw]]:
        for place, app in enumerate(self.apps):
            for number in range(app.pods):
                on = self.node((place + number) % self.nodes)
                owner = ("ReplicaSet", f"{app.name}-7c9d")
                name = f"{app.name}-7c9d-{number}"
                spec = {"nodeName": on, "serviceAccountName": app.name}
                yield app, pod(name, app.selector, app.namespace, owner=owner, labels=app.labels, spec=spec)

    def objects(self) -> dict[str, list[Raw]]:
        bound = [app for app in self.apps if app.bound and not app.has_left]
        ids = {app: identity(app.name, app.namespace, resourceID=app.id, clientID=app.client_id) for app in bound}
        by = {app: binding(app.name, app.name, app.name, app.namespace) for app in ids}
        pods = list(self.pods())
        owned = [_template(app, f"{app.name}-7c9d", ("Deployment", app.name)) for app in self.apps]
        return {
            "AzureIdentity": list(ids.values()),
            "AzureIdentityBinding": list(by.values()),
            "AzurePodIdentityException": [],
            "AzureAssignedIdentity": [assigned(one, by[app], ids[app]) for app, one in pods if app in ids],
            "Deployment": [_template(app, app.name) for app in self.apps],
            "ReplicaSet": owned,
            "Pod": [one for dummy, one in pods],
            "Node": [{"metadata": {"name": self.node(number)}} for number in range(self.nodes)],
            "ServiceAccount": [self._account(app) for app in self.apps],
        }

    @staticmethod
    def _account(app: App) -> Raw:
        told = {"azure.workload.identity/client-id": app.client_id} if app.state not in ("", "planned") else {}
        return {"metadata": {"name": app.name, "namespace": app.namespace, "annotations": told}}

    def sources(self) -> dict[str, Any]:
        found = self.objects()
        made = {
            "inventory": inventory(found),
            "diagnosis": diagnosis(found),
            "verification": [self._token(app) for app in self.apps if app.verdict],
            "installations": {"installations": [{"nodes": [self._nmi(number) for number in range(self.nodes)]}]},
            "nodes": {"nodes": [self._node(number) for number in range(self.nodes)]},
            "rules": [self._rules(number) for number in range(self.nodes)],
            "carriers": {"resources": [self._carrier(pool) for pool in ("system", "work")], "unread": []},
            "plan": self._plan(found),
            "stages": [self._stage(app) for app in self.apps if app.state],
        }
        return {key: made[key] for key in self.looked}

    def observed(self) -> Raw:
        return cluster(self.name, self.time, **self.sources())

    @staticmethod
    def _stage(app: App) -> Raw:
        workload = f"Deployment {app.namespace}/{app.name}"
        return {"workload": workload, "state": app.state, "next": _NEXT.get(app.state, ""), "why": app.why}

    def _node(self, number: int) -> Raw:
        place, ready = self.set_of(self.pool(number)), number not in self.not_ready
        of = {"scale_set": place, "scale_set_name": place.rpartition("/")[2]}
        return {"name": self.node(number), **of, "ready": ready, "nmi_state": "active"}

    def _token(self, app: App) -> Raw:
        right = app.verdict == "ok"
        said = {"ok": "The token is right.", "not_verified": "The pod was not started: its node pool is full."}.get(
            app.verdict, f"NMI answered 404: no azure identity found for request clientID {app.client_id}."
        )
        return {
            "namespace": app.namespace,
            "pod": f"{app.name}-7c9d-0",
            "node": self.node(0),
            "selector": app.selector,
            "service_account": app.name,
            "identity": f"{app.namespace}/{app.name}" if right else "",
            "path": "workload_identity" if app.labels else "pod_identity",
            "verdict": app.verdict,
            "message": said,
            "claims": {"aud": AUDIENCE, "appid": app.client_id, "xms_mirid": app.id} if right else {},
        }

    def _nmi(self, number: int) -> Raw:
        there = number not in self.not_ready
        state, reason = ("active", "") if there else ("not_running", "Its pod waits for an image that is not there.")
        return {"node": self.node(number), "state": state, "reason": reason}

    def _rules(self, number: int) -> Raw:
        dead = number in self.not_ready
        rules = [{"table": "nat"}, {"table": "nat"}] if dead else []
        return {
            "node": self.node(number),
            "outcome": "left as they are" if dead else "none",
            "found": rules,
            "reason": "NMI does not run here, and its rules lead to nobody" if dead else "",
        }

    def _carrier(self, pool: str) -> Raw:
        used = {"ownership": "used", "ownership_because": "pods use it"}
        left = {"ownership": "removable", "ownership_because": "MIC attached it, no pod uses it"}
        there = [{"id": app.id, **used} for app in self.apps if app.bound and app.verdict != "not_assigned"]
        strays = [{"id": f"{IDENTITIES}{name}", **left} for name in self.stray]
        place = self.set_of(pool)
        return {"id": place.lower(), "name": place.rpartition("/")[2], "identities": [*there, *strays]}

    def _plan(self, found: dict[str, list[Raw]]) -> Raw:
        untrusted = ("", "planned", "account", "blocked")
        trusted = {app.id.lower(): [app.credential] for app in self.apps if app.state not in untrusted}
        observed = migration.Observed(
            inventory=Inventory(Cluster.parse(found, {})),
            objects=found,
            issuer=ISSUER,
            credentials={app.id.lower(): trusted.get(app.id.lower(), []) for app in self.apps},
        )
        return as_data(World(observed, migration.Choices()))


_EXCHANGE = "api://AzureADTokenExchange"
_NEXT = {"planned": "account", "account": "credential", "credential": "switch", "canary": "switch", "switched": "soak"}
_NEXT |= {"soaking": "leave", "left": "finish", "blocked": "plan"}
_ALL = [
    *(("billing", name) for name in ("orders", "invoices", "ledger")),
    *(("web", name) for name in ("shop", "search")),
    *(("data", name) for name in ("ingest", "reports", "archive")),
]


def _apps(**changes: App) -> list[App]:
    return [changes.get(name, App(team, name)) for team, name in _ALL]


def demo() -> Town:
    """As `make demo` leaves it."""
    return Town([App("billing", "billing"), App("web", "web")], name="demo", nodes=2)


def broken() -> Town:
    wrong = _apps(
        invoices=App("billing", "invoices", verdict="not_assigned"),
        search=App("web", "search", bound=False, verdict="not_assigned"),
        archive=App("data", "archive", verdict="not_verified"),
        ingest=App("data", "ingest", bound=False, verdict=""),
    )
    return Town(wrong, not_ready=(3,), stray=("id-old-crawler", "id-old-mail"), nodes=6)


def half_migrated() -> Town:
    moved = _apps(
        orders=App("billing", "orders", state="finished"),
        invoices=App("billing", "invoices", state="left"),
        ledger=App("billing", "ledger", state="soaking", why="It has been proved for 9 of 24 hours."),
        shop=App("web", "shop", state="switched"),
        search=App("web", "search", state="credential"),
        ingest=App("data", "ingest", state="planned"),
        reports=App("data", "reports", state="blocked", why="Its image has a library that knows no federated token."),
        archive=App("data", "archive", state="awaiting_owner", why="Its manifest is Argo CD's: the owner changes it."),
    )
    looked = ("inventory", "diagnosis", "verification", "installations", "nodes", "carriers", "plan", "stages")
    return Town(moved, looked=looked)


def _half_migrated_before() -> Town:
    """The night before, with a workload that is gone, and one that is not there yet."""
    before = {"finished": "left", "left": "soaking", "soaking": "switched", "blocked": "", "awaiting_owner": "planned"}
    town = half_migrated()
    apps = [replace(app, state=before.get(app.state, app.state)) for app in town.apps if app.name != "search"]
    return replace(town, apps=[*apps, App("web", "carts")], time="2026-11-29T06:00:00Z")


def named(names: Sequence[str], name: str = "names") -> Town:
    """Workloads and namespaces, pods, identities and selectors with these names."""
    apps = [
        App(names[(place + 1) % len(names)], one, bound=place % 2 == 0, verdict="ok" if place % 3 else "not_assigned")
        for place, one in enumerate(names)
    ]
    return Town(apps, name=name)


def huge(apps: int = 300, pods: int = 2000, identities: int = 500, name: str = "aks-huge") -> Town:
    """With `identities` on scale sets; workloads beyond the first have no more than one."""
    each = [
        App(
            f"team-{place % 40:02d}",
            f"service-{place:04d}-with-a-name-that-is-long-enough-to-be-real",
            bound=place % 11 != 0,
            verdict="ok" if place % 7 else "not_assigned",
            pods=pods // apps + (place < pods % apps),
        )
        for place in range(apps)
    ]
    stray = tuple(f"id-stray-{number:04d}" for number in range(max(identities - apps, 0)))
    return Town(each, name=name, nodes=60, stray=stray)


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></textarea></svg><b>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "' onfocus='alert(1)' autofocus='",
    "&lt;&#x3c;&amp;",
    "a" * 253,
    "W" * 63,
    "<svg/onload=alert(1)>",
)
RIGHT_TO_LEFT = ("חשבוניות", "طلبات-الشراء", "מסחר-prod-1", "تقارير", "shop-חנות", "\u202eabc", "ledger")
_FRAGMENTS = (
    *("<script>", "</script>", "<img src=x onerror=alert(1)>", "<iframe src=//x.example>", "javascript:alert(1)"),
    *("<svg onload=alert(1)>", "<style>@import '//x.example'</style>", "<base href=//x.example>"),
    *"\" ' ` < > & &#0; &lt; \u202e \u2066 \u0000 \u2028 ]]> <!-- --> {{ }} {% %} \\ /".split(" "),
    *("</title>", "</textarea>", "</style>", "</svg>", "<a href=javascript:alert(1)>", " onfocus=alert(1) ", "%00"),
    *("#", "<meta http-equiv=refresh content='0;url=//x.example'>", "<form action=//x.example>"),
    *("\U0001f4a9", "ﷺ", "é", "x", "<object data=//x.example>", "<link rel=stylesheet href=//x.example>"),
    *("<math><mtext>", "<noscript>", "<template>"),
)


def hostile_names(number: int, seed: int = 0) -> list[str]:
    chance = random.Random(seed)
    # Each is another one, or the worlds would have fewer.
    return [f"{''.join(chance.choices(_FRAGMENTS, k=chance.randint(1, 6)))}{place}" for place in range(number)]


def _many() -> Raw:
    names = [f"aks-{place}-{region}" for place in ("prod", "test", "lab") for region in ("weu", "neu", "eus", "sea")]
    kinds = {1: broken(), 2: half_migrated()}
    clusters: list[Raw] = []
    for place, name in enumerate(names):
        one = kinds.get(place, Town([App("web", "shop")], nodes=1))
        clusters.append(replace(one, name=name).observed())
    clusters[7] = {"name": names[7], "failure": "The API server did not answer within 30 s: connect timeout."}
    return document(*clusters)


def _unknown() -> Raw:
    unseen = Town([App("web", "shop", verdict="")], looked=("inventory",))
    failed = {"name": "aks-lost", "failure": "The caller may not read the managed cluster: ask for its role."}
    return document(unseen.observed(), failed)


WORLDS = {
    "empty": lambda: document(),
    "one": lambda: document(Town([App("web", "shop")], nodes=1).observed()),
    "demo": lambda: document(demo().observed()),
    "broken": lambda: document(broken().observed()),
    "half-migrated": lambda: document(half_migrated().observed()),
    "many-clusters": _many,
    "hostile-names": lambda: document(named(HOSTILE, HOSTILE[0]).observed()),
    "right-to-left": lambda: document(named(RIGHT_TO_LEFT, RIGHT_TO_LEFT[0]).observed()),
    "huge": lambda: document(huge().observed()),
    "unknown": _unknown,
}

# What was reported before; the others are first reports.
EARLIER = {
    "half-migrated": lambda: document(_half_migrated_before().observed()),
    "many-clusters": lambda: document(*_many()["clusters"][:-1], {"name": "aks-gone", "failure": "It is not there."}),
}
