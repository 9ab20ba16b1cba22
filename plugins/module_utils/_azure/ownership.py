# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is known of the identities on scale sets: from options, from files, and from Azure's activity log."""

from __future__ import annotations

import typing as t

from .._domain.azure import activity_log as log
from .._domain.azure import arm_id, ownership
from .._domain.azure.attached_identities import Carrier
from .._domain.azure.ownership import Claims
from .._domain.errors import Failure
from . import activity_log, authorization
from .attached_identities import Options
from .client import Arm, Body


def claims(
    arm: Arm,
    options: Options,
    cluster: Body | None,
    carriers: t.Sequence[Carrier],
    *,
    named: t.Iterable[str] = (),
) -> tuple[Claims, list[str]]:
    """What the options of ``_azure_options.ownership`` tell, and sentences about what could not be told."""
    claimed, used = ownership.inventoried(options["inventory"] or {})
    known = [(each["id"], each["source"]) for each in options["known_identities"]]
    for path in options["known_files"]:
        known += [(each, f"the file {path}") for each in ownership.named_by_objects(_read(path))]
    undetermined: list[str] = []
    if options["activity_log_days"] > 0 and carriers:
        written, undetermined = _written(arm, options, cluster, carriers)
        known += written
    used += [(each["id"], each["source"]) for each in options["used_identities"]]
    in_question = _in_question(carriers, {arm_id.normal(each) for each, _source in claimed})
    proved, unread = _proved(arm, options, cluster, carriers, in_question)
    undetermined += unread
    told = {"known": known, "used": used, "claimed": claimed, "proved": proved}
    found = {name: ownership.reasons(pairs) for name, pairs in told.items()}
    return Claims(named=ownership.normal_ids(named), **found), undetermined


def _in_question(carriers: t.Iterable[Carrier], claimed: t.Collection[str]) -> list[str]:
    """Return the normal ids that are attached, among those that objects of the cluster name."""
    attached = {arm_id.normal(identity.id) for each in carriers for identity in each.identities}
    return sorted(attached.intersection(claimed))


def _proved(
    arm: Arm, options: Options, cluster: Body | None, carriers: t.Iterable[Carrier], ids: t.Sequence[str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """The identities that a principal of MIC could attach, each with the proof; one request for each principal.

    A role is given by whoever owns the identity, not by whoever may write objects of the cluster.
    """
    found: list[tuple[str, str]] = []
    unread: list[str] = []
    principals = log.operators(cluster, (each.principal_id for each in carriers), options["mic_principals"])
    subscriptions = sorted({f"/subscriptions/{arm_id.parse(each).subscription}" for each in ids})
    for subscription in subscriptions:
        for principal, who in principals.items():
            try:
                held = authorization.held(arm, subscription, principal)
            except Failure as failure:
                unread.append(failure.sentence)
                continue
            proofs = ((each, ownership.proof(each, who, held)) for each in ids if arm_id.contains(subscription, each))
            found += [(each, proof) for each, proof in proofs if proof]
    return found, unread


def _written(
    arm: Arm, options: Options, cluster: Body | None, carriers: t.Sequence[Carrier]
) -> tuple[list[tuple[str, str]], list[str]]:
    """What MIC wrote by the activity log; it is one source of several, so that it cannot be read stops nothing."""
    callers = log.principals(cluster, (each.principal_id for each in carriers), options["mic_principals"])
    if not callers:
        return [], [log.nobody()]
    known: list[tuple[str, str]] = []
    undetermined: list[str] = []
    for group in {arm_id.normal(each): each for each in (arm_id.group_of(one.id) for one in carriers)}.values():
        try:
            found = log.writes(activity_log.of_group(arm, group, options["activity_log_days"]), callers)
        except Failure as failure:
            undetermined.append(failure.sentence)
            continue
        known += log.sources(found)
        undetermined += filter(None, [log.undetermined(found)])
    return known, undetermined


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise Failure(
            f"The file {path} of known_files cannot be read ({error.strerror}): check its name and its mode."
        ) from None
