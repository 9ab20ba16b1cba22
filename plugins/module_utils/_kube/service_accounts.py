# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Service accounts with the bindings that name them: looking, trying, writing, and asking who may do what."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .._domain.errors import UNEXPECTED, Failure
from .._domain.kubernetes import access
from .._domain.kubernetes.access import Question
from .._domain.migration import account
from .._domain.migration.account import Decision, Desired, Observed, Write
from .._domain.names import listed
from .._domain.needs import KubernetesNeed
from . import needs
from .client import AT_ONCE, Client
from .errors import ApiFailure
from .kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    POD,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SELF_SUBJECT_ACCESS_REVIEW,
    SERVICE_ACCOUNT,
    SUBJECT_ACCESS_REVIEW,
    TEMPLATES,
    Object,
)
from .wait import wait_for

_KINDS = {kind.name: kind for kind in (SERVICE_ACCOUNT, ROLE_BINDING, CLUSTER_ROLE_BINDING, ROLE, CLUSTER_ROLE)}
_TOKEN = "kubernetes.io/service-account-token"
_ESCALATION = "not currently held"
# The authorizer of an API server learns of a new binding a moment later; of one that is there for long it has.
_NEW_SECONDS, _OLD_SECONDS = 30, 3


def observe(client: Client, desired: Desired) -> Observed:
    """What there is of the account, and whatever gives it, or the one whose place it takes, rights."""
    live = client.get(SERVICE_ACCOUNT, desired.namespace, desired.name)
    if desired.present and not desired.like:
        return Observed(live)
    bindings = access.bindings({kind.name: client.list_all(kind) for kind in (ROLE_BINDING, CLUSTER_ROLE_BINDING)})
    if not desired.present:
        goes = account.is_made(live, desired.owner) or bool(account.copies(bindings, desired))
        return Observed(live, bindings=bindings, users=_users(client, desired) if goes else ())
    like = client.get(SERVICE_ACCOUNT, desired.namespace, desired.like)
    return Observed(
        live,
        like,
        tuple(name for name in account.secret_names(like) if _may_be_named(client, desired.namespace, name)),
        bindings,
        access.roles({kind.name: client.list_all(kind) for kind in (ROLE, CLUSTER_ROLE)}),
    )


def _users(client: Client, desired: Desired) -> tuple[str, ...]:
    found = {kind.name: client.list_all(kind, desired.namespace) for kind in (POD, *TEMPLATES)}
    return account.users(desired.name, found)


def _may_be_named(client: Client, namespace: str, name: str) -> bool:
    """Whether there is such a Secret, and it is no token of a service account; nothing else of it is looked at."""
    found = client.get(SECRET, namespace, name)
    return found is not None and found.get("type") != _TOKEN


def carry_out(client: Client, write: Write, *, dry_run: bool = False) -> None:
    kind_name, namespace, name = write.key
    kind = _KINDS[kind_name]
    if write.live is None:
        client.create(kind, namespace or None, write.body or {}, dry_run=dry_run)
    elif write.body is None:
        metadata = write.live["metadata"]
        conditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        client.delete(kind, namespace or None, name, preconditions=conditions, dry_run=dry_run)
    else:
        client.merge(kind, namespace or None, name, write.body, dry_run=dry_run)


@dataclass(frozen=True)
class Tried:
    """A write, why the API server would not do it, and what it needs."""

    write: Write
    refused: ApiFailure | None
    needs: tuple[KubernetesNeed, ...]


def try_all(client: Client, desired: Desired, observed: Observed, decision: Decision) -> list[Tried]:
    """Each write in a dry run, but what cannot be known yet."""
    gone = [one.key for one in decision.writes if one.body is None]
    asks = (needs.need(SUBJECT_ACCESS_REVIEW, None, "create"),) if decision.asked else ()
    found = []
    for one in decision.writes:
        unknown = desired.unknown and one.key == desired.key
        refused = None if unknown else _refusal(client, one, gone)
        found.append(Tried(one, refused, (*_needs(client, one, refused, observed.roles or {}), *asks)))
    return found


def _refusal(client: Client, write: Write, gone: t.Container[access.Key]) -> ApiFailure | None:
    """``gone``: what is deleted before, in whose place nothing can be created yet."""
    try:
        carry_out(client, write, dry_run=True)
    except ApiFailure as failure:
        if failure.reason == UNEXPECTED:
            raise
        if failure.reason == "AlreadyExists" and write.live is None and write.key in gone:
            return None
        return _told(failure, write)
    return None


def _told(failure: ApiFailure, write: Write) -> ApiFailure:
    """What the API server says of rights that are given by somebody who has not got them, in words."""
    if not _escalates(failure) or write.binding is None:
        return failure
    namespace, role = write.key[1], write.binding.role
    where = f" in namespace {namespace}" if namespace else ""
    return ApiFailure(
        f"{write.binding.label} may not be copied ({access.labelled(write.key)}), because the user of this connection "
        f"has not all the rights that {access.labelled(role)} gives: grant bind on {_KINDS[role[0]].resource} {role[2]}"
        f"{where}, or let somebody do it who has them.",
        status=failure.status,
        reason=failure.reason,
        details=failure.details,
        message=str(failure.error.get("message", "")),
    )


def _escalates(failure: ApiFailure) -> bool:
    return failure.forbidden and _ESCALATION in str(failure.error.get("message", ""))


def _needs(client: Client, write: Write, refused: ApiFailure | None, roles: access.Roles) -> list[KubernetesNeed]:
    """What the write needs; where the user has not the rights that a binding gives, also to bind its role."""
    kind_name, namespace, _name = write.key
    found = [needs.need(_KINDS[kind_name], namespace, write.verb)]
    binding = write.binding
    if binding is not None and refused is not None and refused.forbidden:
        if _escalates(refused) or not all(_answers(client, {}, access.questions([binding], roles))):
            role = _KINDS[binding.role[0]]
            found.append(KubernetesNeed(("bind",), role.plural, role.group, namespace=namespace))
    return found


# who may do what


def ask(client: Client, namespace: str, name: str, asked: t.Sequence[Question]) -> list[bool]:
    """Whether a service account may do each of these, by the API server's own word."""
    who = {"user": access.user_name(namespace, name), "groups": access.groups(namespace)}
    return _answers(client, who, asked)


def _answers(client: Client, who: Object, asked: t.Sequence[Question]) -> list[bool]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda question: _may(client, who, question), asked))


def _may(client: Client, who: Object, question: Question) -> bool:
    """``who`` is empty for the user of the connection."""
    kind = SUBJECT_ACCESS_REVIEW if who else SELF_SUBJECT_ACCESS_REVIEW
    spec: Object = dict(who)
    if question.url:
        spec["nonResourceAttributes"] = {"path": question.url, "verb": question.verb}
    else:
        fields = ("namespace", "verb", "group", "resource", "subresource", "name")
        told = {field: getattr(question, field) for field in fields}
        spec["resourceAttributes"] = {field: value for field, value in told.items() if value}
    return client.allows(kind, spec)


class Proof:
    """That a service account may do what the one may whose place it takes, no less and no more; a watch of a plan.

    What the one may is asked before the first write, and what the other may behind the last.
    """

    def __init__(self, client: Client, desired: Desired, decision: Decision) -> None:
        self._client, self._desired, self._asked = client, desired, decision.asked
        self._like = f"{account.ACCOUNT} {desired.namespace}/{desired.like}"
        told: Object = {"asked": len(decision.asked), "equal": None, "differences": []}
        self.results: dict[str, t.Any] = {"access": told} if desired.present and desired.like else {}
        self.warnings: list[str] = []
        self._before: list[bool] = []

    def begin(self, decision: Decision) -> Failure | None:
        """Why it could not be proved: nobody may be asked, or others give the account more than it is to have."""
        if not self.results:
            return None
        try:
            self._before = ask(self._client, self._desired.namespace, self._desired.like, self._asked)
        except ApiFailure as failure:
            if not failure.forbidden:
                raise
            return failure
        theirs = [each in decision.theirs for each in self._asked]
        more = access.compare(self._asked, self._before, [one or other for one, other in zip(self._before, theirs)])
        if not more:
            return None
        self._tell(more)
        text = access.told(more, self._like, self._desired.label)
        return Failure(
            f"With what {listed(decision.givers)} gives, {text}: take the account out of it, or choose another name.",
            results=self.results,
        )

    def finish(self, *, written: bool) -> None:
        """Raises Failure where both may not do the same. ``written``: bindings may be new."""
        if not self.results:
            return
        found: list[access.Difference] = []

        def look() -> bool | None:
            """Of what differs alone it is asked again."""
            doubted = [each.question for each in found] or self._asked
            like = dict(zip(self._asked, self._before))
            answers = ask(self._client, self._desired.namespace, self._desired.name, doubted)
            found[:] = access.compare(doubted, [like[each] for each in doubted], answers)
            return None if found else True

        wait_for(
            look,
            f"the rights of {self._desired.label} are not in effect yet",
            timeout=_NEW_SECONDS if written else _OLD_SECONDS,
            pause=2,
        )
        self._tell(found)
        if found:
            raise Failure(
                f"{access.told(found, self._like, self._desired.label)}: look at the bindings of both, and at other "
                "authorizers of the cluster.",
                results=self.results,
            )

    def _tell(self, found: t.Sequence[access.Difference]) -> None:
        self.results["access"].update(equal=not found, differences=[each.view() for each in found])
