# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the modules of federated credentials share, whoever holds these: an identity or an application."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass, replace

from ansible.module_utils.basic import AnsibleModule

from ._argspec import ArgumentSpec
from ._azure import exchanges, managed_clusters
from ._azure.client import Arm
from ._azure.errors import Refused
from ._domain.azure import federated
from ._domain.azure.exchanges import Record, Sampling
from ._domain.errors import Failure
from ._kube.client import Client, connect
from ._kube.errors import ApiFailure
from ._plan import KNOWN_AFTER_APPLY, Need, Plan, Step, behind_write, known, predicting

T = t.TypeVar("T")

_TEXT = {"type": "str"}
_ENTRY = {
    "issuer": _TEXT,
    "subject": _TEXT,
    "namespace": _TEXT,
    "service_account": _TEXT,
    "audiences": {"type": "list", "elements": "str"},
}


class HolderService(t.Protocol):
    """Where the credentials of one holder are written."""

    @property
    def holder(self) -> federated.Holder: ...

    def about(self) -> dict[str, t.Any]:
        """What a result says of the holder."""

    def credentials(self) -> tuple[federated.Credential, ...] | None:
        """None where the holder does not exist."""

    def principal(self) -> tuple[str, str] | None:
        """Tenant and client id; None where the holder does not exist."""

    def needs_of(self, write: federated.Write) -> tuple[Need, ...]: ...

    def carry_out(self, write: federated.Write) -> None: ...


def exchange_options() -> ArgumentSpec:
    """How often exchanges are tried; twin of ``doc_fragments/_exchanges.py``."""
    return ArgumentSpec(
        options={
            "exchange_samples": {"type": "int", "default": 1},
            "exchange_min_rate": {"type": "float", "default": 0.95},
            "exchange_seconds": {"type": "float", "default": 0},
        }
    )


def credential_options() -> ArgumentSpec:
    """What federated credentials a holder has; twin of ``doc_fragments/_federated_credentials.py``."""
    return ArgumentSpec(
        options={
            "name": _TEXT,
            **_ENTRY,
            "cluster_resource_group": _TEXT,
            "cluster_name": _TEXT,
            "credentials": {
                "type": "list",
                "elements": "dict",
                "options": {"name": {"type": "str", "required": True}, **_ENTRY},
                "mutually_exclusive": [("subject", "service_account")],
                "required_together": [("namespace", "service_account")],
            },
            "purge_credentials": {"type": "bool", "default": False},
            "purge_allow_empty": {"type": "bool", "default": False},
            "wait_exchange": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        mutually_exclusive=(
            ("issuer", "cluster_name"),
            ("subject", "service_account"),
            ("name", "credentials"),
            ("subject", "credentials"),
            ("service_account", "credentials"),
        ),
        required_together=(("cluster_resource_group", "cluster_name"), ("namespace", "service_account")),
        required_one_of=(("name", "credentials"),),
        required_if=(("purge_credentials", True, ("credentials",)),),
    )


class Wishes:
    """The options of a task about the credentials of one holder; what cannot be right fails here."""

    def __init__(self, module: AnsibleModule) -> None:
        options = module.params
        self._module = module
        self.absent = options["state"] == "absent"
        self.purge = options["purge_credentials"] and not self.absent
        self._entries = [options] if options["credentials"] is None else options["credentials"]
        self.sampling = Sampling.parse(options, options["wait_timeout"])
        self.proves = options["wait_exchange"] and not self.absent and not predicting(module)
        federated.refuse_empty(self._entries, purge=self.purge, allowed=options["purge_allow_empty"])

    def desired(self, arm: Arm) -> tuple[tuple[federated.Desired, ...], tuple[str, ...]]:
        """The entries, and what a prediction says of their issuer."""
        options = self._module.params
        issuer, warnings = (None, ()) if self.absent else self._default_issuer(arm)
        wanted = federated.desired_list(self._entries, issuer, options["audiences"])
        for one in wanted:
            known(self._module, one.issuer)
            known(self._module, one.name)
        return wanted, warnings

    def _default_issuer(self, arm: Arm) -> tuple[str | None, tuple[str, ...]]:
        options = self._module.params
        group, name = options["cluster_resource_group"], options["cluster_name"]
        if not name:
            return options["issuer"], ()
        try:
            return federated.cluster_issuer(name, group, managed_clusters.get(arm, group, name)), ()
        except Failure as failure:
            if not predicting(self._module):
                raise
            return KNOWN_AFTER_APPLY, (failure.sentence,)


def plan(
    module: AnsibleModule,
    arm: Arm,
    wishes: Wishes,
    service: HolderService,
    read: t.Callable[[], tuple[federated.Credential, ...] | None],
) -> Plan:
    """``read`` returns the credentials of the holder, None where it does not exist or is still to come."""
    wanted, warnings = wishes.desired(arm)
    found = read()
    if wishes.absent:
        decision = federated.decide_absent(service.holder, found or (), wanted)
    else:
        decision = federated.decide_present(
            service.holder,
            found or (),
            wanted,
            default_audience=arm.cloud.exchange_audience,
            purge=wishes.purge,
            unknown=KNOWN_AFTER_APPLY,
        )
    steps = tuple(
        Step(
            write.summary,
            write.change(service.holder, KNOWN_AFTER_APPLY),
            functools.partial(service.carry_out, write),
            needs=service.needs_of(write),
        )
        for write in decision.writes
    )
    proof = Proof(module, arm, wishes.sampling)
    if wishes.proves:
        names = {desired.key for desired in wanted}
        steps = proof.behind(steps, service, [one for one in decision.after if one.key in names])
    before = {} if found is None else view(service, found)
    return Plan(
        before,
        view(service, decision.after) if steps else before,
        steps,
        warnings=(*warnings, *decision.warnings),
        watch=proof,
        extra_results={"kept_credentials": decision.kept_view()},
    )


def view(service: HolderService, credentials: t.Iterable[federated.Credential]) -> dict[str, t.Any]:
    return {**service.about(), "credentials": [one.view() for one in credentials]}


class Proof:
    """The exchanges that the end of a task waits for, and what it says of them."""

    def __init__(self, module: AnsibleModule, arm: Arm, sampling: Sampling) -> None:
        self._module, self._arm, self._sampling = module, arm, sampling
        self.results: dict[str, t.Any] = {}
        self.warnings: list[str] = []

    def behind(
        self, steps: tuple[Step, ...], service: HolderService, credentials: t.Sequence[federated.Credential]
    ) -> tuple[Step, ...]:
        """The steps with the proof at the end of the last; without a step it is made at once."""
        trusting = [one for one in credentials if federated.service_account(one.subject)]
        make = functools.partial(self._make, connect(self._module.params), service, trusting)
        if not steps:
            make()
            return ()

        def write_and_prove() -> None:
            steps[-1].apply()
            behind_write(make)

        return (*steps[:-1], replace(steps[-1], apply=write_and_prove))

    def _make(self, client: Client, service: HolderService, credentials: t.Sequence[federated.Credential]) -> None:
        principal = service.principal()
        trusts = [exchanges.Trust(service.holder, *principal, one) for one in credentials] if principal else []
        assertion = functools.partial(assertion_of, client)
        records = exchanges.wait(self._arm, trusts, assertion)
        records = exchanges.sample(self._arm, records, assertion, self._sampling)
        self.results["exchanges"] = exchanges.view(records, self._sampling)
        failure = exchanges.unproved(records, self._sampling)
        if failure:
            failure.results.update(self.results)
            raise failure


def assertion_of(client: Client, credential: federated.Credential) -> str:
    """A token of the service account that a credential is for, as the kubelet would project it."""
    account = federated.service_account(credential.subject)
    if account is None or not credential.audiences:
        raise Failure(
            f"The federated credential {credential.name} names no service account, or no audience, so that no token "
            "can be asked for; write it anew."
        )
    return client.service_account_token(*account, credential.audiences[0])


@dataclass(frozen=True)
class _Row:
    """A credential that is tried, or the ``code`` of why it is not."""

    service: HolderService
    credential: federated.Credential
    trust: exchanges.Trust | None = None
    code: str = ""

    def view(self, record: Record, sampling: Sampling, issuer: str) -> dict[str, t.Any]:
        """``issuer`` is that of the cluster, as far as it is known."""
        one, holder, code, message = self.credential, self.service.holder, self.code, ""
        if code:
            code = federated.FOREIGN_ISSUER if issuer and one.issuer != issuer else code
            message = federated.untried(code, one, holder, issuer)
        elif not record.proves(sampling):
            code = federated.EXCHANGE_REFUSED
            message = record.complaint(one, holder, sampling).sentence
        about = self.service.about()
        names = {name: str(about.get(name, "")) for name in ("identity_id", "app_id")}
        return {**names, **record.view(one, sampling), "code": code, "message": message}


class Trial:
    """Tries the credentials of several holders that are for service accounts of one cluster; ``only`` for these.

    What may not be read, or does not exist, is told in ``unread``, and the rest is tried. Nothing is written.
    """

    def __init__(self, arm: Arm, client: Client, only: t.Container[tuple[str, str]] | None) -> None:
        self.unread: list[str] = []
        self._arm, self._client, self._only = arm, client, only
        self._issuer = ""
        self._tokens: dict[federated.Credential, str] = {}
        self._rows: list[_Row] = []
        self._seen: set[str] = set()

    def readable(self, read: t.Callable[[], T | None], what: str) -> T | None:
        """None where Azure or Graph says that it may not be read, or that it does not exist."""
        try:
            found = read()
        except Refused as refused:
            if not refused.forbids():
                raise
            self.unread.append(refused.sentence)
            return None
        if found is None:
            self.unread.append(f"The {what} does not exist, so nothing was tried for it.")
        return found

    def add(self, service: HolderService) -> None:
        """The credentials of one holder; one that was added already counts once."""
        holder = service.holder
        if holder.credentials.lower() in self._seen:
            return
        self._seen.add(holder.credentials.lower())
        rows = [self._row(service, one) for one in self.readable(service.credentials, str(holder)) or ()]
        tried = [row for row in rows if row is not None]
        principal = self.readable(service.principal, str(holder)) if any(not row.code for row in tried) else None
        for row in tried:
            if row.code:
                self._rows.append(row)
            elif principal:
                self._rows.append(replace(row, trust=exchanges.Trust(holder, *principal, row.credential)))

    def _row(self, service: HolderService, one: federated.Credential) -> _Row | None:
        """None where it is for none of the service accounts."""
        account = federated.service_account(one.subject)
        if account is None or (self._only is not None and account not in self._only):
            return None
        return _Row(service, one, code=self._obstacle(one))

    def _obstacle(self, one: federated.Credential) -> str:
        """Why a credential cannot be tried; '' where it can."""
        if self._issuer and one.issuer != self._issuer:
            return federated.FOREIGN_ISSUER
        try:
            token = assertion_of(self._client, one)
        except ApiFailure as failure:
            if failure.object_missing or failure.namespace_missing:
                return federated.SUBJECT_MISSING
            if failure.forbidden:
                return federated.TOKEN_FORBIDDEN
            raise
        self._issuer = federated.issuer_of(token) or one.issuer
        if one.issuer != self._issuer:
            return federated.FOREIGN_ISSUER
        self._tokens[one] = token
        return ""

    def _assertion(self, one: federated.Credential) -> str:
        """The token that was asked for already, and after that new ones."""
        return self._tokens.pop(one, "") or assertion_of(self._client, one)

    def outcome(self, sampling: Sampling) -> list[dict[str, t.Any]]:
        records = {row.trust: Record() for row in self._rows if row.trust}
        records = exchanges.sample(self._arm, records, self._assertion, sampling)
        return [row.view(records[row.trust] if row.trust else Record(), sampling, self._issuer) for row in self._rows]
