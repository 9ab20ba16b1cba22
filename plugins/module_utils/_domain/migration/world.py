# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What was observed, with all that follows from it for a migration; each part is computed once, when asked for."""

from __future__ import annotations

import hashlib
import typing as t
from functools import cached_property

from ..azure import arm_id
from ..diagnosis.observed import WEBHOOK, Component, components
from ..errors import Failure
from ..installation import nmi, workload_identity_webhook
from ..installation import workload_identity_installation as installations
from ..installation.trusted_namespaces import SYSTEM, Belief
from ..installation.workload_identity_installation import ADDON
from ..installation.workload_identity_webhook import CLIENT_ID, Webhook
from ..kubernetes.objects import annotations_of, labels_of
from ..kubernetes.sources import place
from ..matching.inventory import full_name
from ..matching.matching import USER_ASSIGNED, Identity, Raw
from ..names import MANAGED_BY, MANAGER
from . import candidate, consumers, mark, service_principals, trust
from .candidate import Candidate
from .consumers import Consumer
from .dry_run import DryRun
from .observed import Choices, Exchange, Observed
from .places import Place, Places
from .trust import Slots, Trust

_NO_CHOICES = Choices()
_SUBJECT = "system:serviceaccount:{}:{}"
_LONGEST_NAME = 253
_NATIVE_SIDECAR_WEBHOOK, _NATIVE_SIDECAR_KUBERNETES = (1, 5, 0), (1, 32)


def _own_names(one: Candidate, identity: Identity) -> tuple[str, str]:
    """What an account of its own may be called; the second where others have the first."""
    name = f"{one.account}-{identity.name}"
    return _cut(name), _cut(f"{name}-{_digest(one.client_id.lower())}")


def _cut(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 9].rstrip('-.')}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class World:
    """One cluster."""

    def __init__(self, observed: Observed, choices: Choices = _NO_CHOICES) -> None:
        self.observed, self.choices = observed, choices
        self.places = Places(observed.objects)

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Raises Failure where the operator has chosen a workload that does not exist."""
        known = {one.label for one in self.observed.inventory.cluster.workloads}
        for label in sorted(self.choices.proxied - known):
            raise Failure(f"There is no {label}, which proxy_workloads names: correct it.")
        programs = {one.label for one in self._components}  # MIC goes by itself
        found = candidate.find(self.observed.inventory, self.observed.objects, self.choices.proxied, self.replaced)
        return tuple(one for one in found if one.label not in programs)

    @cached_property
    def _components(self) -> tuple[Component, ...]:
        return components(self.observed.objects, Belief.parse(self.observed.objects))

    def read(self, *kinds: str) -> bool:
        """Whether lists of these kinds are there."""
        return all(kind in self.observed.objects for kind in kinds)

    def unread(self, *kinds: str) -> tuple[str, ...]:
        """Those of these kinds of which no list is there."""
        return tuple(kind for kind in kinds if kind not in self.observed.objects)

    def place_of(self, one: Candidate) -> Place:
        return self.places[one.namespace]

    # the webhook

    @cached_property
    def webhooks(self) -> tuple[Webhook, ...]:
        return workload_identity_webhook.find(self.observed.objects)

    @cached_property
    def serving(self) -> tuple[Component, ...]:
        """What serves the webhook."""
        return tuple(one for one in self._components if one.program == WEBHOOK)

    @cached_property
    def webhook_version(self) -> tuple[int, ...]:
        """The oldest; empty where it is not known."""
        return min((one.version for one in self.serving), default=())

    @cached_property
    def installed_webhooks(self) -> tuple[str, ...]:
        """What is installed: ADDON, and the namespaces of charts; one that only a tenant's labels tell is none."""
        several, _doubted = installations.find(self.observed.objects, (installations.CHART_NAMESPACE,))
        found = {ADDON} if self.observed.addon else set()
        for one in several:
            if one.deployment is not None:
                in_system = one.namespace == SYSTEM and bool(self.observed.addon)
                found.add(ADDON if one.kind == ADDON or in_system else one.namespace)
        return tuple(sorted(found))

    @cached_property
    def native_sidecars(self) -> bool:
        """Whether the proxy is a native sidecar; where versions are not known it is none."""
        nodes = self.observed.objects.get("Node", ())
        told = [((raw.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion", "") for raw in nodes]
        oldest = min(map(nmi.numbers, map(str, told)), default=())
        return self.webhook_version >= _NATIVE_SIDECAR_WEBHOOK and oldest >= _NATIVE_SIDECAR_KUBERNETES

    # service accounts

    @cached_property
    def accounts(self) -> t.Mapping[tuple[str, str], Raw] | None:
        """None where they were not read."""
        if not self.read("ServiceAccount"):
            return None
        return {place(raw): raw for raw in self.observed.objects["ServiceAccount"]}

    @cached_property
    def users(self) -> t.Mapping[tuple[str, str], tuple[str, ...]]:
        """Labels of all workloads by their service account."""
        grouped = self.observed.inventory.users_of_service_accounts
        return {key: tuple(sorted({one.label for one in several})) for key, several in grouped.items()}

    @cached_property
    def _wishes(self) -> t.Mapping[tuple[str, str], set[str]]:
        """Which client ids workloads that move want of their service account."""
        found: dict[tuple[str, str], set[str]] = {}
        for one in self.candidates:
            if one.moves and one.client_id:
                found.setdefault((one.namespace, one.account), set()).add(one.client_id.lower())
        return found

    def is_served(self, one: Candidate) -> bool:
        """Whether it gets its tokens by Workload ID, as the identity that its service account tells."""
        wanted = one.client_id.lower()
        return one.labelled and bool(wanted) and one.annotated.lower() == wanted

    def why_own_account(self, one: Candidate) -> str:
        """Why it cannot keep its service account; '' where it can."""
        if not one.moves or one.is_bound or not one.client_id or self.is_served(one):
            return ""
        if one.labelled and self.accounts is None:
            return ""  # it may be served
        if one.account == "default":
            return "pods that name no service account have that account"
        if len(self._wishes.get((one.namespace, one.account), ())) > 1:
            return "workloads with other identities have that account"
        annotated, wanted = one.annotated.lower(), one.client_id.lower()
        others = (
            other for other in self.candidates if (other.namespace, other.account) == (one.namespace, one.account)
        )
        if annotated and annotated != wanted and any(map(self.is_served, others)):
            return f"others use Workload ID by it with the client id {one.annotated}"
        return "one was made to take its place" if self._made_for(one) else ""

    def account_of(self, one: Candidate) -> str:
        """The service account that it will have: of workloads of one account with one identity the same."""
        if not self.why_own_account(one) or one.primary is None:
            return one.account
        name, further = _own_names(one, one.primary)
        taken = any(
            client_id != one.client_id.lower() or like not in ("", one.account)
            for client_id, like in self._claims[(one.namespace, name)]
        )
        return self._made_for(one) or (further if taken else name)

    def _made_for(self, one: Candidate) -> str:
        """The account that this collection made for it, whoever moves now; '' for none."""
        for name in _own_names(one, one.primary) if one.primary else ():
            raw = (self.accounts or {}).get((one.namespace, name)) or {}
            told = str(annotations_of(raw).get(CLIENT_ID) or "").lower()
            if (
                labels_of(raw).get(MANAGED_BY) == MANAGER
                and (mark.read(raw) or {}).get("like") == one.account
                and told == one.client_id.lower()
            ):
                return name
        return ""

    @cached_property
    def _claims(self) -> t.Mapping[tuple[str, str], set[tuple[str, str]]]:
        """By the name of an account, who has it or may be to have it: client ids, each with whose place it takes.

        '' where it takes that of none.
        """
        found: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for one in self.candidates:
            if one.moves and one.client_id:
                client_id = one.client_id.lower()
                found.setdefault((one.namespace, one.account), set()).add((client_id, ""))
                if one.primary and self.why_own_account(one):
                    name, _further = _own_names(one, one.primary)
                    found.setdefault((one.namespace, name), set()).add((client_id, one.account))
        return found

    def account(self, one: Candidate) -> Raw | None:
        """The service account that it will have; None where there is none, or they were not read."""
        return (self.accounts or {}).get((one.namespace, self.account_of(one)))

    def told_by_account(self, one: Candidate) -> str:
        """The client id that the account tells which it will have."""
        return str(annotations_of(self.account(one) or {}).get(CLIENT_ID) or "")

    def misses_client_id(self, one: Candidate) -> bool:
        """Whether that account has to be annotated."""
        return bool(one.client_id) and self.told_by_account(one).lower() != one.client_id.lower()

    # identities and their credentials

    @cached_property
    def replaced(self) -> t.Mapping[str, Identity]:
        """What takes the place of AzureIdentities by choice, by their namespace and name.

        Raises Failure where there is no AzureIdentity that the operator has named, though there are others.
        """
        known = {full_name(one): one for one in self.observed.inventory.cluster.identities}
        for name in sorted(self.choices.replacements if known else ()):
            if name not in known:
                raise Failure(f"There is no AzureIdentity {name}, which replacements names: correct it.")
        return {
            name: Identity(
                known[name].namespace,
                known[name].name,
                USER_ASSIGNED,
                identity,
                self.observed.client_ids.get(arm_id.normal(identity), ""),
            )
            for name, identity in self.choices.replacements.items()
            if name in known
        }

    @cached_property
    def _identities(self) -> tuple[Identity, ...]:
        """Those that Workload ID may give, and AzureIdentities; what the operator has named goes first."""
        every = sorted(self.observed.inventory.cluster.identities, key=lambda one: (one.namespace, one.name))
        return (*self.replaced.values(), *every)

    @cached_property
    def managed(self) -> t.Mapping[str, Identity]:
        """Managed identities with a possible resource id, by the lower-case one."""
        found: dict[str, Identity] = {}
        for one in self._identities:
            if one.type == USER_ASSIGNED and arm_id.is_user_assigned_identity(one.resource_id):
                found.setdefault(arm_id.normal(one.resource_id), one)
        return found

    @cached_property
    def applications(self) -> t.Mapping[str, Identity]:
        """Service principals whose applications may have federated credentials, by the lower-case client id."""
        found: dict[str, Identity] = {}
        for one in self._identities:
            if one.type != USER_ASSIGNED and not self.why_not_federable(one):
                found.setdefault(one.client_id.lower(), one)
        return found

    @cached_property
    def holders(self) -> t.Mapping[str, Identity]:
        """Who may have federated credentials, by ``holder``."""
        return {**self.managed, **self.applications}

    def holder(self, identity: Identity) -> str:
        """What tells apart who has the federated credentials of an identity; '' where nobody can have any."""
        if identity.type == USER_ASSIGNED:
            key = arm_id.normal(identity.resource_id)
        else:
            key = "" if self.why_not_federable(identity) else identity.client_id.lower()
        return key if key in self.holders else ""

    def why_not_federable(self, identity: Identity) -> str:
        """Why no federated credential gives what NMI gives for a service principal; '' where one does."""
        return service_principals.why_not_federable(identity, self.observed.tenant)

    @cached_property
    def _by_client_id(self) -> t.Mapping[str, Identity]:
        every = (*self.managed.values(), *self.applications.values())
        return {one.client_id.lower(): one for one in reversed(every) if one.client_id}

    def holder_with(self, client_id: str) -> Identity | None:
        """Who may have federated credentials and has that client id; None where no AzureIdentity tells it."""
        return self._by_client_id.get(client_id.lower()) if client_id else None

    def _holders_of(self, one: Candidate) -> tuple[Identity, ...]:
        """Those of the identities that it is to get, or that its service account names."""
        found = [each for each in one.targets if self.holder(each)]
        named = self.holder_with(one.annotated)
        if not one.identities and named:
            found = [named]
        return tuple({self.holder(each): each for each in found}.values())

    @cached_property
    def _trusts(self) -> t.Mapping[tuple[str, str], tuple[Trust, ...]]:
        return {
            one.key: tuple({each.key: each for each in (*self._needed(one), *self._former(one))}.values())
            for one in self.candidates
            if one.moves and not one.is_bound
        }

    def _needed(self, one: Candidate) -> list[Trust]:
        return [self.judged(identity, self.subject(one)) for identity in self._holders_of(one)]

    def _former(self, one: Candidate) -> list[Trust]:
        """Of those that it got before it left, who trust it: its service account tells one of several."""
        if not one.former_selector:
            return []
        matches = self.observed.inventory.matching.matches(one.namespace, one.former_selector)
        given = [pair.identity for match in matches for pair in match.choices]
        targets = [self.replaced.get(full_name(each), each) for each in given]
        every = [self.judged(each, self.subject(one)) for each in targets if self.holder(each)]
        return [each for each in every if each.state in (trust.EXISTS, trust.UNKNOWN)]

    def judged(self, identity: Identity, subject: str) -> Trust:
        """Whether an identity, or the application of a service principal, trusts it."""
        known = (self.observed.credentials or {}).get(self.holder(identity))
        return trust.judge(identity, subject, self.observed.issuer, self.observed.cloud.audience, known)

    def lacks_credentials(self, one: Candidate, trust: Trust) -> bool:
        """Whether nobody could read what an identity trusts that it is to use and does not yet, though Azure was asked.

        Where no issuer is known either, Azure told nothing at all.
        """
        asked = self.observed.credentials is not None and self.observed.issuer is not None
        return asked and trust.key not in (self.observed.credentials or {}) and not self.is_served(one)

    def subject(self, one: Candidate) -> str:
        return _SUBJECT.format(one.namespace, self.account_of(one))

    def trusts(self, one: Candidate) -> tuple[Trust, ...]:
        """One for each managed identity or application that it may ask for."""
        return self._trusts.get(one.key, ())

    @cached_property
    def slots(self) -> t.Mapping[str, Slots]:
        """By ``holder``."""
        wanted: dict[str, list[Trust]] = {}
        for several in self._trusts.values():
            for each in several:
                wanted.setdefault(each.key, []).append(each)
        found = {}
        for key in self.holders:
            credentials = (self.observed.credentials or {}).get(key)
            told = None if credentials is None else tuple(credentials)
            found[key] = Slots(told, tuple(sorted(wanted.get(key, ()), key=lambda each: each.subject)))
        return found

    # what others told

    def dry_run(self, one: Candidate) -> DryRun | None:
        """Of a pod as it will be: with the proxy where it is to have it."""
        return self.observed.dry_runs.get(one.key)

    def exchanges(self, one: Candidate, *, in_pod: bool) -> tuple[Exchange, ...]:
        """Those of the account that it will have, or of pods like its own."""
        key = (one.label, "") if in_pod else ("", f"{one.namespace}/{self.account_of(one)}")
        return tuple(self._exchanges.get(key, ()))

    @cached_property
    def _exchanges(self) -> t.Mapping[tuple[str, str], list[Exchange]]:
        """By the workload whose pod asked, or else by the service account."""
        found: dict[tuple[str, str], list[Exchange]] = {}
        for each in self.observed.exchanges:
            key = (each.workload, "") if each.workload else ("", each.service_account)
            found.setdefault(key, []).append(each)
        return found

    # others that take tokens

    @cached_property
    def consumers(self) -> tuple[Consumer, ...]:
        return tuple(consumers.find(self))
