# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Federated credentials of an identity or an application: what is desired, what must be written, and in which order.

Names are compared without regard to case, as ARM does; issuer, subject and audience exactly, as Entra does.
"""

from __future__ import annotations

import base64
import json
import re
import typing as t
from dataclasses import dataclass, field, replace

from ..change import Change, Verb
from ..errors import Failure
from ..sessions import KNOWN_AFTER_APPLY
from . import arm_id, identities

LIMIT = 20
# Azure lets one identity be written to this rarely; a burst is answered with 429.
SECONDS_PER_WRITE = 4
SEGMENT = "federatedIdentityCredentials"
KIND = f"{identities.KIND}/{SEGMENT}"
OF_APPLICATIONS = f"Microsoft.Graph/applications/{SEGMENT}"
# With ownership of the application.
LEAST_OF_APPLICATIONS = "Application.ReadWrite.OwnedBy"
# AKS writes it, one for each identity with an identity binding, and never removes it.
_BINDING_NAME, _BINDING_AUDIENCE = "aks-identity-binding", "api://AKSIdentityBinding"
_LONGEST = 600
_WORTH_SAYING = 20  # seconds
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}")
_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:(?P<namespace>[^:]+):(?P<name>[^:]+)")


@dataclass(frozen=True)
class Holder:
    """Whose federated credentials they are: an ``identity`` or an ``application``, and its name.

    ``kind`` is that of its credentials; ``credentials`` is the path of all of them, '' while that is unknown.
    """

    noun: str
    name: str
    kind: str
    credentials: str

    def __str__(self) -> str:
        return f"{self.noun} {self.name}"

    @property
    def short(self) -> str:
        """Where identities are meant anyway."""
        return str(self) if self.kind == OF_APPLICATIONS else self.name

    @classmethod
    def identity(cls, resource_id: str) -> Holder:
        """``resource_id`` may be a text that stands for an id that is still to come."""
        known = path(resource_id) if resource_id.startswith("/") else ""
        return cls("identity", arm_id.last_segment(resource_id), KIND, known)

    @classmethod
    def application(cls, object_id: str, name: str) -> Holder:
        """``object_id`` is '' while it is not known."""
        known = f"applications/{object_id}/{SEGMENT}" if object_id else ""
        return cls("application", name, OF_APPLICATIONS, known)


@dataclass(frozen=True)
class Credential:
    """A federated credential. ``raw`` is what Azure reports of it, so that unknown fields survive an update.

    One that matches an expression has the subject ''.
    """

    name: str
    issuer: str
    subject: str
    audiences: tuple[str, ...]
    raw: t.Mapping[str, t.Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def key(self) -> str:
        return _key(self.name, self.subject)

    @property
    def trusted(self) -> tuple[str, str]:
        """What is unique within an identity."""
        return self.issuer, self.subject

    @property
    def protection(self) -> str:
        """Why it is neither changed nor removed; '' where it may be."""
        if self.key == _BINDING_NAME or _BINDING_AUDIENCE in self.audiences:
            return IDENTITY_BINDING
        return "" if self.subject else FLEXIBLE

    def view(self) -> dict[str, t.Any]:
        account = service_account(self.subject)
        return {
            "name": self.name,
            "issuer": self.issuer,
            "subject": self.subject,
            "audiences": list(self.audiences),
            "namespace": account[0] if account else "",
            "service_account": account[1] if account else "",
        }

    def properties(self) -> dict[str, t.Any]:
        """For a PUT."""
        return {**self.raw, "issuer": self.issuer, "subject": self.subject, "audiences": list(self.audiences)}


@dataclass(frozen=True)
class Desired:
    """One entry; what is None stays as it is."""

    name: str
    issuer: str | None = None
    subject: str | None = None
    audience: str | None = None

    @property
    def key(self) -> str:
        return _key(self.name, self.subject or "")


def _key(name: str, subject: str) -> str:
    """Of a credential among those of its holder; several may have a name that is still to come."""
    return f"{name} {subject}" if name == KNOWN_AFTER_APPLY else name.lower()


@dataclass(frozen=True)
class Write:
    """``verb`` is create, change or delete."""

    verb: Verb
    credential: Credential

    @property
    def summary(self) -> str:
        return f"{self.verb} federated credential {self.credential.name}"

    def change(self, holder: Holder, unknown: str) -> Change:
        """``unknown`` stands for an id that is still to come."""
        known = holder.credentials and self.credential.name != unknown
        return Change(self.verb, holder.kind, f"{holder.credentials}/{self.credential.name}" if known else unknown)


def path(identity: str, name: str = "") -> str:
    """Of a credential of an identity, which is given by its id, or of all of them."""
    return f"{identity}/{SEGMENT}" + (f"/{name}" if name else "")


@dataclass(frozen=True)
class Decision:
    """``kept`` are those that would have gone, and stay because they are protected."""

    after: tuple[Credential, ...]
    writes: tuple[Write, ...]
    warnings: tuple[str, ...] = ()
    kept: tuple[Credential, ...] = ()

    def kept_view(self) -> list[dict[str, str]]:
        return [{"name": one.name, "reason": one.protection} for one in self.kept]


def parse(body: t.Mapping[str, t.Any]) -> Credential:
    """A credential as Azure reports it."""
    properties = body.get("properties") or {}
    return Credential(
        name=str(body.get("name") or arm_id.last_segment(str(body["id"]))),
        issuer=str(properties.get("issuer") or ""),
        subject=str(properties.get("subject") or ""),
        audiences=tuple(properties.get("audiences") or ()),
        raw=dict(properties),
    )


def ordered(credentials: t.Iterable[Credential]) -> tuple[Credential, ...]:
    return tuple(sorted(credentials, key=lambda one: one.key))


def service_account(subject: str) -> tuple[str, str] | None:
    """Namespace and name of the service account that a subject stands for; None where it stands for something else."""
    match = _SERVICE_ACCOUNT.fullmatch(subject)
    return (match["namespace"], match["name"]) if match else None


def spelled(text: str) -> str:
    """An issuer, subject or audience without what people get wrong in it: case, spaces around it, a slash at the end.

    For telling why Entra does not take a credential; Entra itself compares letter by letter.
    """
    return text.strip().rstrip("/").lower()


def desired_list(
    entries: t.Iterable[t.Mapping[str, t.Any]], issuer: str | None, audiences: t.Sequence[str] | None
) -> tuple[Desired, ...]:
    """The entries of a user; ``issuer`` and ``audiences`` are for those that name none."""
    found = tuple(_desired(entry, issuer, audiences) for entry in entries)
    names = [desired.key for desired in found]
    for desired in found:
        if names.count(desired.key) > 1:
            raise Failure(f"The federated credential {desired.name} is listed more than once; name each only once.")
    return found


def _desired(entry: t.Mapping[str, t.Any], issuer: str | None, audiences: t.Sequence[str] | None) -> Desired:
    name, subject = str(entry["name"]), entry.get("subject")
    if not _NAME.fullmatch(name) and name != KNOWN_AFTER_APPLY:
        raise Failure(
            f"{name!r} cannot be the name of a federated credential; use 3 to 120 letters, digits, hyphens and "
            "underscores that begin with a letter or a digit."
        )
    if entry.get("service_account"):
        subject = f"system:serviceaccount:{entry['namespace']}:{entry['service_account']}"
    if entry.get("issuer") is not None:
        issuer = entry["issuer"]
    for part, value in (("issuer", issuer), ("subject", subject)):
        if value is not None and not 0 < len(value) <= _LONGEST:
            raise Failure(f"The {part} of the federated credential {name} must have 1 to {_LONGEST} characters.")
    chosen = audiences if entry.get("audiences") is None else entry["audiences"]
    if chosen is not None and len(set(chosen)) != 1:
        raise Failure(
            f"The federated credential {name} is to have {len(set(chosen))} audiences, but Azure takes exactly one; "
            "leave audiences out for that of the cloud."
        )
    return Desired(name, issuer, subject, chosen[0] if chosen else None)


def decide_absent(holder: Holder, current: t.Sequence[Credential], wanted: t.Sequence[Desired]) -> Decision:
    names = {desired.key for desired in wanted}
    named = [one for one in current if one.key in names]
    kept = tuple(one for one in named if one.protection)
    return Decision(
        after=tuple(one for one in current if one.key not in names or one.protection),
        writes=tuple(Write("delete", one) for one in named if not one.protection),
        warnings=tuple(
            f"The federated credential {one.name} of the {holder} stays, because {_WHOSE[one.protection]}."
            for one in kept
        ),
        kept=kept,
    )


def decide_present(
    holder: Holder,
    current: t.Sequence[Credential],
    wanted: t.Sequence[Desired],
    *,
    default_audience: str,
    purge: bool,
    unknown: str,
) -> Decision:
    """``unknown`` stands for an issuer that Azure will assign only later."""
    names = {desired.key for desired in wanted}
    existing = {one.key: one for one in current}
    spared = tuple(one for one in current if purge and one.key not in names and one.protection)
    kept = {one.key: one for one in current if not purge or one.key in names or one in spared}
    after = {
        **kept,
        **{desired.key: _fulfilled(desired, existing.get(desired.key), default_audience) for desired in wanted},
    }
    removals = tuple(Write("delete", one) for one in current if one.key not in kept)
    writes = [
        Write("change" if desired.key in kept else "create", after[desired.key])
        for desired in wanted
        if after[desired.key] != kept.get(desired.key)
    ]
    for write in writes:
        one = existing.get(write.credential.key)
        if one is not None and one.protection:
            raise Failure(
                f"The federated credential {one.name} of the {holder} cannot be changed, because "
                f"{_WHOSE[one.protection]}; choose another name."
            )
    _refuse_doubles(holder, after.values(), {write.credential.key for write in writes}, unknown)
    _refuse_too_many(holder, len(kept), len(after), len(removals))
    return Decision(
        after=ordered(after.values()),
        writes=(*removals, *_in_order(holder, kept.values(), writes, unknown)),
        warnings=_slowness(holder, len(writes)),
        kept=spared,
    )


def _fulfilled(desired: Desired, existing: Credential | None, default_audience: str) -> Credential:
    if existing is not None:
        return replace(
            existing,
            issuer=existing.issuer if desired.issuer is None else desired.issuer,
            subject=existing.subject if desired.subject is None else desired.subject,
            audiences=existing.audiences if desired.audience is None else (desired.audience,),
        )
    if desired.issuer is None or desired.subject is None:
        raise Failure(
            f"The federated credential {desired.name} does not exist yet, and a new one needs an issuer (issuer, or "
            "cluster_name) and a subject (subject, or namespace and service_account)."
        )
    return Credential(desired.name, desired.issuer, desired.subject, (desired.audience or default_audience,))


def _refuse_doubles(holder: Holder, after: t.Iterable[Credential], written: t.Container[str], unknown: str) -> None:
    """Azure takes an issuer and subject only once per holder."""
    firsts: dict[tuple[str, str], Credential] = {}
    for one in sorted(after, key=lambda one: one.key in written):  # those that stay come first
        first = firsts.setdefault(one.trusted, one) if one.subject else one
        if first is not one and one.issuer != unknown:
            raise Failure(
                f"The federated credential {one.name} cannot be written, because {first.name} of the {holder} has the "
                f"same issuer and subject ({one.issuer}, {one.subject}) and Azure takes a pair only once; use the name "
                f"{first.name}, or remove that one first."
            )


def _refuse_too_many(holder: Holder, kept: int, total: int, removed: int) -> None:
    if total <= LIMIT or total == kept:
        return
    has = f"{kept + removed} federated credentials" + (f", {kept} without those to be removed" if removed else "")
    raise Failure(
        f"The {holder} has {has}, and {total - kept} more make {total}, but Azure takes {LIMIT} at most; "
        f"remove some, let workloads of a namespace share a service account, or use a second {holder.noun}."
    )


def refuse_full(
    holder: Holder, refused: Credential, current: t.Sequence[Credential], error: t.Mapping[str, t.Any]
) -> None:
    """Say so where others have taken the room of a credential since it was decided; ``error``: Azure's refusal."""
    if len(current) >= LIMIT and refused.key not in {one.key for one in current}:
        raise Failure(
            f"Could not create the federated credential {refused.name} of the {holder}: others have written meanwhile, "
            f"and it has {len(current)}, of which Azure takes {LIMIT} at most; remove some, let workloads of a "
            f"namespace share a service account, or use a second {holder.noun}.",
            error=error,
        )


def _in_order(
    holder: Holder, kept: t.Iterable[Credential], writes: t.Sequence[Write], unknown: str
) -> tuple[Write, ...]:
    """The writes so that each finds its issuer and subject free."""
    holders = {one.trusted: one.key for one in kept if one.subject}
    waiting, done = list(writes), []
    while waiting:
        for write in waiting:
            one = write.credential
            if one.issuer == unknown or holders.get(one.trusted, one.key) == one.key:
                break
        else:
            names = " and ".join(write.credential.name for write in waiting)
            raise Failure(
                f"The federated credentials {names} of the {holder} are to exchange their subjects, which Azure does "
                "not take in any order; remove one of them first."
            )
        waiting.remove(write)
        done.append(write)
        holders = {pair: key for pair, key in holders.items() if key != one.key}
        holders[one.trusted] = one.key
    return tuple(done)


def _slowness(holder: Holder, writes: int) -> tuple[str, ...]:
    seconds = writes * SECONDS_PER_WRITE
    if holder.kind != KIND or seconds < _WORTH_SAYING:
        return ()
    return (
        f"Azure takes one write in {SECONDS_PER_WRITE} seconds for an identity, so the {writes} federated credentials "
        f"of {holder.name} need about {seconds} seconds.",
    )


def refuse_empty(entries: t.Sequence[t.Any], *, purge: bool, allowed: bool) -> None:
    if purge and not entries and not allowed:
        raise Failure(
            "The list of credentials is empty, so purge_credentials would remove all of them; if that is meant, set "
            "purge_allow_empty."
        )


def cluster_issuer(name: str, group: str, body: t.Mapping[str, t.Any] | None) -> str:
    """The issuer of a cluster, exactly as AKS reports it."""
    if body is None:
        raise Failure(f"The cluster {name} does not exist in the resource group {group}, so it has no issuer yet.")
    profile = (body.get("properties") or {}).get("oidcIssuerProfile") or {}
    if not profile.get("issuerURL"):
        raise Failure(
            f"The cluster {name} has no OIDC issuer; enable it first, with oidc_issuer_enabled of "
            "azureops.pod_identity.aks_cluster or az aks update --enable-oidc-issuer."
        )
    return str(profile["issuerURL"])


def issuer_of(token: str) -> str:
    """Who issued a token, as it says itself; '' where that cannot be read. Its signature is not looked at."""
    try:
        part = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["iss"])
    except (ValueError, IndexError, KeyError, TypeError):
        return ""


def require_issuer(credential: Credential, token: str) -> None:
    """Refuse a token of another cluster, which could never be exchanged."""
    issuer = issuer_of(token)
    if issuer and issuer != credential.issuer:
        raise Failure(
            f"The federated credential {credential.name} trusts the issuer {credential.issuer}, but the API server "
            f"issues tokens as {issuer}; use the kubeconfig of the cluster that the credential is for."
        )


FOREIGN_ISSUER, SUBJECT_MISSING = "foreign_issuer", "subject_missing"
IDENTITY_BINDING, FLEXIBLE = "identity_binding_credential", "flexible_credential"
EXCHANGE_REFUSED, TOKEN_FORBIDDEN = "exchange_refused", "token_forbidden"
# For the page of codes.
MEANINGS = {
    FOREIGN_ISSUER: "A federated credential trusts another issuer than that of the cluster.",
    SUBJECT_MISSING: "A federated credential is for a service account that does not exist.",
    IDENTITY_BINDING: "A federated credential is that of AKS for identity bindings, and is neither changed nor "
    "removed.",
    FLEXIBLE: "A federated credential matches an expression in the place of a subject, and is neither changed nor "
    "removed.",
    EXCHANGE_REFUSED: "Entra granted fewer exchanges by a federated credential than asked for.",
    TOKEN_FORBIDDEN: "The user of the connection may not ask for tokens of a service account, so nothing was tried.",
}
_WHOSE = {
    IDENTITY_BINDING: "it is that of AKS for identity bindings, which all clusters of the identity share",
    FLEXIBLE: "it matches an expression in the place of a subject, which this module does not manage",
}


def untried(code: str, credential: Credential, holder: Holder, issuer: str) -> str:
    """Why a credential was not tried with a token of its service account; ``issuer`` is that of the cluster."""
    account = "/".join(service_account(credential.subject) or ())
    why = {
        FOREIGN_ISSUER: f"trusts {credential.issuer}, which is not the issuer of the connected cluster ({issuer})",
        SUBJECT_MISSING: f"is for the service account {account}, which does not exist in the connected cluster",
        TOKEN_FORBIDDEN: f"is for the service account {account}, whose tokens the user of the connection may not ask "
        "for (create on serviceaccounts/token)",
    }[code]
    return f"The federated credential {credential.name} of the {holder} {why}, so it was not tried."


def findings(
    credential: Credential, *, issuer: str | None, accounts: t.Container[tuple[str, str]] | None
) -> list[dict[str, str]]:
    """What is wrong with a credential, seen from one cluster: its issuer, and its service accounts where known."""
    if issuer is not None and credential.issuer != issuer:
        return [
            {
                "code": FOREIGN_ISSUER,
                "credential": credential.name,
                "message": f"The federated credential {credential.name} trusts {credential.issuer}, which is not the "
                f"issuer of the cluster ({issuer}); remove it if no other cluster uses it.",
            }
        ]
    account = service_account(credential.subject)
    if accounts is not None and account is not None and account not in accounts:
        return [
            {
                "code": SUBJECT_MISSING,
                "credential": credential.name,
                "message": f"The federated credential {credential.name} is for the service account "
                f"{'/'.join(account)}, which does not exist; remove it if nothing will create that.",
            }
        ]
    return []
