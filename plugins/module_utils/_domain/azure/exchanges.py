# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Exchanges of tokens of service accounts by federated credentials: how many are made, when, and what they prove.

One that is granted proves little: Entra refuses about 2 % by credentials that are right (kedacore/keda#8152).
"""

from __future__ import annotations

import math
import typing as t
from collections import Counter
from dataclasses import dataclass

from ..errors import Failure
from . import aadsts
from .federated import Credential, Holder, service_account

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Sampling:
    """``samples`` exchanges over ``seconds``, of which the share ``least_rate`` has to be granted."""

    samples: int = 1
    least_rate: float = 1
    seconds: float = 0

    @classmethod
    def parse(cls, options: t.Mapping[str, t.Any], patience: float) -> Sampling:
        """The options of a user; ``patience`` is how long (seconds) the task waits at all."""
        samples, rate, seconds = (options[f"exchange_{name}"] for name in ("samples", "min_rate", "seconds"))
        if samples < 1:
            raise Failure(f"exchange_samples is {samples}, and must be 1 or more.")
        if not 0 < rate <= 1:
            raise Failure(f"exchange_min_rate is {rate:g}, and must be above 0 and at most 1.")
        if not 0 <= seconds <= patience:
            raise Failure(
                f"exchange_seconds is {seconds:g}, and must be 0 or more and at most wait_timeout, which is "
                f"{patience:g}."
            )
        return cls(samples, rate, seconds)

    @property
    def allowed(self) -> int:
        """How many may be refused."""
        return math.floor(self.samples * (1 - self.least_rate) + _ROUNDING)

    def due(self, number: int) -> float:
        """How long (seconds) after the first sample this one is made; the first has number 0."""
        return number * self.seconds / max(self.samples - 1, 1)


def accounts(given: t.Sequence[str] | None) -> frozenset[tuple[str, str]] | None:
    """Service accounts that are given as ``namespace/name``; None for all."""
    if given is None:
        return None
    found = [tuple(each.split("/")) for each in given]
    for each, parts in zip(given, found):
        if len(parts) != 2 or not all(parts):
            raise Failure(f"{each!r} in service_accounts is no service account; write namespace/name.")
    return frozenset((namespace, name) for namespace, name in found)


@dataclass(frozen=True)
class Exchange:
    """An exchange that Entra granted, or refused with a code. ``at``: when it was asked, in UTC.

    ``message`` is Entra's own, ``sentence`` says what was refused, why, and what to do.
    """

    at: str
    code: str = ""
    message: str = ""
    sentence: str = ""

    @property
    def error(self) -> dict[str, str]:
        """As the data of a Failure."""
        return {"code": self.code, "message": self.message}

    @property
    def may_come(self) -> bool:
        """Whether it was refused, and may be granted a moment later."""
        return aadsts.may_come(self.code)

    def view(self) -> dict[str, str]:
        return {"at": self.at, **self.error}


@dataclass(frozen=True)
class Record:
    """The samples of one credential, oldest first, and how many refusals were waited through before them."""

    samples: tuple[Exchange, ...] = ()
    waited: int = 0

    def with_one(self, exchange: Exchange) -> Record:
        return Record((*self.samples, exchange), self.waited)

    @property
    def refused(self) -> tuple[Exchange, ...]:
        return tuple(one for one in self.samples if one.code)

    @property
    def codes(self) -> dict[str, int]:
        """How often each code came, the most frequent first."""
        return dict(Counter(one.code for one in self.refused).most_common())

    def lost(self, sampling: Sampling) -> bool:
        """Whether so many were refused that the rate cannot be reached any more."""
        return len(self.refused) > sampling.allowed

    def proves(self, sampling: Sampling) -> bool:
        return len(self.samples) >= sampling.samples and not self.lost(sampling)

    def view(self, credential: Credential, sampling: Sampling) -> dict[str, t.Any]:
        asked, refused = len(self.samples), self.refused
        namespace, name = service_account(credential.subject) or ("", "")
        return {
            "credential": credential.name,
            "namespace": namespace,
            "service_account": name,
            "proved": self.proves(sampling),
            "asked": asked,
            "granted": asked - len(refused),
            "rate": round((asked - len(refused)) / asked, 4) if asked else 0.0,
            "waited": self.waited,
            "codes": self.codes,
            "first_failure": refused[0].view() if refused else {},
            "last_failure": refused[-1].view() if refused else {},
        }

    def complaint(self, credential: Credential, holder: Holder, sampling: Sampling) -> Failure:
        """What is wrong where it proves nothing: one sentence."""
        asked, refused = len(self.samples), self.refused
        codes = ", ".join(f"{code} {number} times" for code, number in self.codes.items())
        code = next(iter(self.codes))
        known = aadsts.find(code)
        look_up = f"look up {aadsts.lookup(code[len(aadsts.PREFIX) :])}"
        remedy = known.remedy(aadsts.SERVICE_ACCOUNT) if known else look_up
        return Failure(
            f"Entra granted {asked - len(refused)} of {asked} exchanges by the federated credential {credential.name} "
            f"of the {holder} and refused the others ({codes}), but at least {sampling.least_rate * 100:g} % have to "
            f"be granted; {remedy}, then run again.",
            error=refused[-1].error,
        )
