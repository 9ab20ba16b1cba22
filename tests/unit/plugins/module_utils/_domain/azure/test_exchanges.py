# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import exchanges
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.exchanges import (
    Exchange,
    Record,
    Sampling,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import Credential, Holder
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

ONE = Credential("pods", "https://issuer/", "system:serviceaccount:ns:sa", ("api://AzureADTokenExchange",))
BILLING = Holder.application("0d1b5a3e", "billing")


def options(samples: int = 50, rate: float = 0.95, seconds: float = 0) -> dict[str, Any]:
    return {"exchange_samples": samples, "exchange_min_rate": rate, "exchange_seconds": seconds}


def record(*codes: str) -> Record:
    """Samples with these codes, '' for one that was granted."""
    found = Record()
    for number, code in enumerate(codes):
        found = found.with_one(Exchange(f"t{number}", code, f"{code}: no." if code else ""))
    return found


def of_every(samples: int, every: int) -> Record:
    """Each so manieth of the samples is refused."""
    return record(*("AADSTS700213" if number % every == 0 else "" for number in range(1, samples + 1)))


@for_each(
    (options(samples=0), "exchange_samples is 0, and must be 1 or more."),
    (options(rate=0), "exchange_min_rate is 0, and must be above 0 and at most 1."),
    (options(rate=1.01), "exchange_min_rate is 1.01, and must be above 0 and at most 1."),
    (options(rate=float("nan")), "exchange_min_rate is nan, and must be above 0 and at most 1."),
    (options(seconds=float("nan")), "exchange_seconds is nan, and must be 0 or more and at most wait_timeout, "),
    (options(seconds=-1), "exchange_seconds is -1, and must be 0 or more and at most wait_timeout, which is 300."),
    (options(seconds=301), "exchange_seconds is 301, and must be 0 or more and at most wait_timeout, which is"),
)
def test_what_cannot_be_asked_for(given: dict[str, Any], message: str) -> None:
    with pytest.raises(Failure) as refused:
        Sampling.parse(given, 300)
    assert refused.value.sentence.startswith(message)


@for_each(
    (1, 0.95, 0), (19, 0.95, 0), (20, 0.95, 1), (50, 0.95, 2), (50, 0.98, 1), (50, 1, 0), (10, 0.9, 1), (100, 0.93, 7)
)
def test_how_many_may_be_refused(samples: int, rate: float, allowed: int) -> None:
    assert Sampling.parse(options(samples, rate), 300).allowed == allowed


def test_samples_are_spread() -> None:
    sampling = Sampling(5, 1, 120)
    assert [sampling.due(number) for number in range(5)] == [0, 30, 60, 90, 120]
    assert Sampling(1, 1, 120).due(0) == 0


@for_each(
    (of_every(50, 50), True, False),
    (of_every(50, 25), True, False),
    (of_every(15, 5), False, True),
    (of_every(14, 5), False, False),
    (of_every(49, 50), False, False),
    (record(), False, False),
)
def test_what_is_proved(found: Record, proves: bool, lost: bool) -> None:
    sampling = Sampling(50, 0.95)
    assert (found.proves(sampling), found.lost(sampling)) == (proves, lost)


def test_what_is_told() -> None:
    found = Record(record("", "AADSTS700213", "AADSTS90033", "", "AADSTS700213").samples, waited=2)
    told = {"credential": "pods", "namespace": "ns", "service_account": "sa"}
    counted = {"proved": True, "asked": 5, "granted": 2, "rate": 0.4, "waited": 2}
    assert found.view(ONE, Sampling(5, 0.4)) == {
        **told,
        **counted,
        "codes": {"AADSTS700213": 2, "AADSTS90033": 1},
        "first_failure": {"at": "t1", "code": "AADSTS700213", "message": "AADSTS700213: no."},
        "last_failure": {"at": "t4", "code": "AADSTS700213", "message": "AADSTS700213: no."},
    }
    nothing = record().view(ONE, Sampling(5))
    assert (nothing["asked"], nothing["rate"], nothing["proved"], nothing["first_failure"]) == (0, 0.0, False, {})


def test_what_is_wrong() -> None:
    failure = of_every(15, 5).complaint(ONE, BILLING, Sampling(50, 0.95))
    assert failure.sentence == (
        "Entra granted 12 of 15 exchanges by the federated credential pods of the application billing and refused the "
        "others (AADSTS700213 3 times), but at least 95 % have to be granted; create a federated identity credential "
        "with this subject, or wait a minute if it is new, then run again."
    )
    assert failure.error == {"code": "AADSTS700213", "message": "AADSTS700213: no."}
    unknown = record("AADSTS999").complaint(ONE, BILLING, Sampling())
    assert unknown.sentence.endswith("look up https://login.microsoftonline.com/error?code=999, then run again.")


@for_each(
    *((code, True) for code in ("AADSTS70021", "AADSTS70025", "AADSTS700213", "AADSTS50166", "AADSTS90033")),
    *((code, False) for code in ("AADSTS700016", "AADSTS7002138", "AADSTS1", "")),
)
def test_what_may_come(code: str, may: bool) -> None:
    assert Exchange("t", code).may_come == may


@pytest.mark.parametrize("text", ["web", "shop/", "/web", "shop/web/more", ""])
def test_what_names_no_service_account(text: str) -> None:
    with pytest.raises(Failure, match="in service_accounts is no service account; write namespace/name."):
        exchanges.accounts(["shop/web", text])


def test_service_accounts() -> None:
    assert exchanges.accounts(None) is None
    assert exchanges.accounts(["shop/web"]) == frozenset({("shop", "web")})
    assert exchanges.accounts([]) == frozenset()
