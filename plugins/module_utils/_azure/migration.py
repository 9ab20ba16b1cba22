# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a plan of a migration reads of Azure: the cluster's issuer, and the federated credentials of its identities."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from urllib.parse import urlsplit

from .._domain.azure import arm_id
from .._domain.azure.exchanges import Record, Sampling
from .._domain.azure.federated import Credential, service_account
from .._domain.diagnosis.cause import AZURE
from .._domain.diagnosis.observed import Unread
from .._domain.errors import Failure
from .._domain.migration.observed import Cloud, Exchange, Observed
from .._domain.migration.trust import EXISTS
from .._domain.migration.world import World
from . import clouds, exchanges, federated_credentials
from .client import Arm, Body
from .looking import LOGIN, Look, NotFound

# How many identities are looked at. Whoever may write AzureIdentities may write many.
_MOST = 1000


def observe(connect: t.Callable[[], Arm], options: t.Mapping[str, t.Any], observed: Observed) -> Observed:
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
    ids = _identities(observed)
    if len(ids) > _MOST:
        rest = f"the federated credentials of {len(ids) - _MOST} more identities that AzureIdentities name"
        look.leave(rest, f"Those of {_MOST} identities are looked at at most.", "fewer AzureIdentities")
    credentials = look.each(
        ids[:_MOST],
        "identities with federated credentials",
        federated_credentials.READ,
        lambda identity: federated_credentials.list_all(arm, identity),
    )
    return replace(
        observed,
        issuer=None if cluster is None else _issuer(cluster),
        addon=None if cluster is None else _addon(cluster),
        cloud=told(arm.cloud),
        credentials={
            arm_id.normal(identity): several for identity, several in credentials.items() if several is not None
        },
        unread=(*observed.unread, *look.told()),
    )


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
            key = arm_id.normal(each.identity)
            known = {named.name: named for named in (world.observed.credentials or {}).get(key, ())}
            if each.state == EXISTS and each.client_id:
                made = exchanges.Trust(each.holder, arm.tenant, each.client_id, known[each.credential])
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


def _identities(observed: Observed) -> list[str]:
    """Ids of the managed identities of AzureIdentities; those first that workloads get."""
    world = World(observed)
    needed = [each.identity for one in world.candidates for each in world.trusts(one)]
    ids = (*needed, *(one.resource_id for one in world.managed.values()))
    return list({arm_id.normal(identity): identity for identity in reversed(ids)}.values())[::-1]


def _issuer(cluster: Body) -> str:
    profile = (cluster.get("properties") or {}).get("oidcIssuerProfile") or {}
    return str(profile.get("issuerURL") or "") if profile.get("enabled", True) else ""


def _addon(cluster: Body) -> bool:
    profile = (cluster.get("properties") or {}).get("securityProfile") or {}
    return bool((profile.get("workloadIdentity") or {}).get("enabled"))
