# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a plan of a migration reads of Azure: the cluster's issuer, and the federated credentials of its identities.

Those of the applications of service principals are read of Microsoft Graph, which is not asked where there are none.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import replace
from urllib.parse import urlsplit

from .._domain.azure import arm_id, identities
from .._domain.azure.exchanges import Record, Sampling
from .._domain.azure.federated import Credential, service_account
from .._domain.diagnosis.cause import AZURE
from .._domain.diagnosis.observed import Unread
from .._domain.errors import Failure
from .._domain.migration.observed import Choices, Cloud, Exchange, Observed
from .._domain.migration.trust import EXISTS
from .._domain.migration.world import World
from . import clouds, exchanges, federated_credentials
from . import identities as identities_service
from .client import Arm, Body
from .graph import Graph
from .looking import LOGIN, Look, NotFound

# How many identities are looked at, and how many applications. Whoever may write AzureIdentities may write many.
_MOST, _MOST_APPLICATIONS = 1000, 100
_READ_APPLICATION = "Application.Read.All of Microsoft Graph"


def observe(
    connect: t.Callable[[], Arm], options: t.Mapping[str, t.Any], observed: Observed, choices: Choices
) -> Observed:
    """With Azure as far as it can be read, and what was not read.

    ``connect`` logs in. ``options``: ``resource_group`` and ``cluster_name``. ``observed``: the cluster's own objects.
    """

    def without(why: str, needs: str) -> Observed:
        what = f"Azure around the cluster {options['cluster_name']}"
        return replace(observed, unread=(*observed.unread, Unread(AZURE, what, why, needs)))

    try:
        arm = connect()
        look = Look(arm)
        _cluster_id, cluster = look.cluster(options, observed.objects.get("Node", ()))
    except NotFound as missing:
        return without(missing.sentence, missing.needs)
    except Failure as failure:
        return without(failure.sentence, LOGIN)
    observed = replace(observed, tenant=_tenant(cluster or {}) or arm.tenant)
    observed = replace(observed, client_ids=_client_ids(arm, look, choices))
    world = World(observed, choices)
    ids = _identities(world)
    if len(ids) > _MOST:
        rest = f"the federated credentials of {len(ids) - _MOST} more identities that AzureIdentities name"
        look.leave(rest, f"Those of {_MOST} identities are looked at at most.", "fewer AzureIdentities")
    credentials = look.each(
        ids[:_MOST],
        "identities with federated credentials",
        federated_credentials.READ,
        lambda identity: federated_credentials.list_all(arm, identity),
    )
    of_graph, unread = _of_applications(arm, _applications(world))
    every = {**{arm_id.normal(identity): several for identity, several in credentials.items()}, **of_graph}
    return replace(
        observed,
        issuer=None if cluster is None else _issuer(cluster),
        addon=None if cluster is None else _addon(cluster),
        cloud=told(arm.cloud),
        credentials={key: several for key, several in every.items() if several is not None},
        unread=(*observed.unread, *look.told(), *unread),
    )


def _client_ids(arm: Arm, look: Look, choices: Choices) -> dict[str, str]:
    """Of the identities that take the place of others."""
    ids = list({arm_id.normal(each): each for each in choices.replacements.values()}.values())
    read = functools.partial(identities_service.get_by_id, arm)
    bodies = look.each(ids, "identities", f"{identities.KIND}/read", read)
    found = {arm_id.normal(each): identities.view(body)["client_id"] for each, body in bodies.items() if body}
    return {key: str(client_id) for key, client_id in found.items() if client_id}


def _of_applications(
    arm: Arm, app_ids: t.Sequence[str]
) -> tuple[dict[str, t.Sequence[Credential] | None], tuple[Unread, ...]]:
    """Federated credentials of applications by client id, and what was not read."""
    if not app_ids:
        return {}, ()
    look = Look(arm)
    try:
        graph = Graph(arm)
    except Failure as failure:
        what = f"the federated credentials of {len(app_ids)} applications"
        return {}, (Unread(AZURE, what, failure.sentence, "a cloud that names its Microsoft Graph"),)
    if len(app_ids) > _MOST_APPLICATIONS:
        rest = f"the federated credentials of {len(app_ids) - _MOST_APPLICATIONS} more applications"
        why = f"Those of {_MOST_APPLICATIONS} applications are looked at at most."
        look.leave(rest, why, "fewer AzureIdentities of type 1 and 2")

    def read(what: str, app_id: str) -> t.Sequence[Credential] | None:
        application = graph.application(app_id)
        credentials = None if application is None else graph.credentials(application)
        if credentials is None:
            why = "The tenant of this credential has no application with that client id."
            look.leave(what, why, "the client id of an application, which a managed identity is not")
        return credentials

    found: dict[str, t.Sequence[Credential] | None] = {}
    for app_id in app_ids[:_MOST_APPLICATIONS]:
        what = f"the federated credentials of the application {app_id}"
        found[app_id] = look.ask(what, _READ_APPLICATION, functools.partial(read, what, app_id))
    return found, look.told()


def exchange(
    arm: Arm, world: World, assertion: exchanges.Assertion, samples: int, namespaces: t.Collection[str] | None
) -> Observed:
    """What was observed, with exchanges by the credentials that workloads, of these namespaces, have already.

    ``assertion`` asks for a token of a service account. What cannot be tried is told as not looked at.
    """
    records: exchanges.Records = {}
    tokens: dict[Credential, str] = {}
    unread: list[Unread] = []
    for each in _trusts(arm, world, namespaces):
        credential = each.credential
        try:
            tokens[credential] = assertion(credential)
        except Failure as failure:
            needs = f"create on serviceaccounts/token for {credential.subject}"
            unread.append(Unread(AZURE, f"an exchange by the {_label(each)}", failure.sentence, needs))
        else:
            records[each] = Record()

    def again(credential: Credential) -> str:
        return tokens.pop(credential, "") or assertion(credential)

    try:
        records = exchanges.sample(arm, records, again, Sampling(samples, world.choices.min_rate))
    except Failure as failure:
        what = f"exchanges by {len(records)} federated credentials"
        unread.append(Unread(AZURE, what, failure.sentence, "an answer of Entra"))
        records = {}
    made = tuple(_made(each, record) for each, record in records.items())
    observed = world.observed
    return replace(observed, exchanges=(*observed.exchanges, *made), unread=(*observed.unread, *unread))


def _trusts(arm: Arm, world: World, namespaces: t.Collection[str] | None) -> list[exchanges.Trust]:
    """The credentials that exist for service accounts which workloads have, each once."""
    found: dict[tuple[str, str], exchanges.Trust] = {}
    for one in world.candidates:
        if (namespaces is not None and one.namespace not in namespaces) or world.account(one) is None:
            continue
        for each in world.trusts(one):
            key = each.key
            known = {named.name: named for named in (world.observed.credentials or {}).get(key, ())}
            if each.state == EXISTS and each.client_id:
                made = exchanges.Trust(each.holder, each.tenant or arm.tenant, each.client_id, known[each.credential])
                found.setdefault((key, each.credential), made)
    return list(found.values())


def _label(trust: exchanges.Trust) -> str:
    return f"federated credential {trust.credential.name} of the {trust.holder}"


def _made(trust: exchanges.Trust, record: Record) -> Exchange:
    asked = len(record.samples)
    account = "/".join(service_account(trust.credential.subject) or ())
    return Exchange(account, trust.client_id, asked, asked - len(record.refused), record.codes)


def told(cloud: clouds.Cloud) -> Cloud:
    """Where pods of a cluster in that cloud exchange their tokens."""
    return Cloud(cloud.name, urlsplit(cloud.authority).netloc, cloud.exchange_audience)


def without(options: t.Mapping[str, t.Any], observed: Observed) -> Observed:
    """Where no cluster is named in Azure; of a cloud that only its endpoint describes, nothing is known then."""
    name = str(options["cloud_environment"] or clouds.DEFAULT)
    known = next((told(each) for each in clouds.KNOWN if each.name.lower() == name.lower()), Cloud(name, ""))
    missing = Unread(AZURE, "Azure", "no cluster is named there", "the resource group and the name of the cluster")
    return replace(observed, cloud=known, unread=(*observed.unread, missing))


def _identities(world: World) -> list[str]:
    """Ids of the managed identities of AzureIdentities; those first that workloads get."""
    needed = [each.identity for one in world.candidates for each in world.trusts(one) if each.identity]
    ids = (*needed, *(one.resource_id for one in world.managed.values()))
    return list({arm_id.normal(identity): identity for identity in reversed(ids)}.values())[::-1]


def _applications(world: World) -> list[str]:
    """Client ids of the service principals that workloads get, or that their service accounts name."""
    trusts = [each.app_id for one in world.candidates for each in world.trusts(one)]
    return list(dict.fromkeys(filter(None, trusts)))


def _tenant(cluster: Body) -> str:
    """Of the cluster, where its own identity says it."""
    return str((cluster.get("identity") or {}).get("tenantId") or "")


def _issuer(cluster: Body) -> str:
    profile = (cluster.get("properties") or {}).get("oidcIssuerProfile") or {}
    return str(profile.get("issuerURL") or "") if profile.get("enabled", True) else ""


def _addon(cluster: Body) -> bool:
    profile = (cluster.get("properties") or {}).get("securityProfile") or {}
    return bool((profile.get("workloadIdentity") or {}).get("enabled"))
