# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The golden record: what its comparison finds and what it lets pass, and that nothing of one run is in a record."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.golden import comparison, pairs
from ansible_collections.azureops.pod_identity.tests.golden.recording import Took, record
from ansible_collections.azureops.pod_identity.tests.stage import CHECKOUT

RECORDS = CHECKOUT / "tests/golden/records"
SUBSCRIPTION = "8c4f2a7e-1d3b-4e5f-9a6b-7c8d9e0f1a2b"
OTHER = "11111111-1d3b-4e5f-9a6b-7c8d9e0f1a2b"
LONGEST = 4000
Raw = dict[str, Any]


def asked(verb: str, resource: str, name: str, body: Any = None, *, second: int = 0, **more: Any) -> Raw:
    """An event of the audit log."""
    return {
        "verb": verb,
        "requestURI": more.pop("uri", f"/api/v1/namespaces/shop/{resource}/{name}"),
        "objectRef": {"resource": resource, "namespace": "shop", "name": name},
        "userAgent": "azureops.pod_identity",
        "requestReceivedTimestamp": f"2026-03-01T10:00:{second:02}.000000Z",
        "responseStatus": {"code": 200},
        **({"requestObject": body} if body is not None else {}),
        **more,
    }


def of_azure(method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Raw:
    return {"method": method, "host": "arm", "path": path, "query": "", "status": status, "body": body, **more}


def run(*, subscription: str = SUBSCRIPTION, stamp: str = "20260301T100000Z", port: int = 10001) -> Took:
    """A small run that has all that a record keeps."""
    group = f"/subscriptions/{subscription}/resourceGroups/rg"
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
    binding = {"spec": {"azureIdentity": "billing"}, "metadata": {"uid": OTHER, "resourceVersion": str(port)}}
    table = [
        "WHERE    STATE    WHAT              REASON",
        "cluster  removed  Binding shop/web  -",
        "Azure    kept     identity billing  Set pod_identity_uninstall_force to remove it.",
    ]
    change = {"verb": "delete", "kind": "AzureIdentityBinding", "id": "shop/web", "why": ""}
    told: list[Raw] = [
        {"host": "localhost", "changes": [change, {**change, "id": "shop/api"}]},
        {"host": "localhost", "shown": table},
        {
            "host": "localhost",
            "failed": f"{stamp} is of another: set pod_identity_restore_accept, code not_ours",
        },
        {"host": "localhost", "ended": {"changed": 2, "failures": 1, "unreachable": 0}},
    ]
    azure = [
        of_azure("GET", identity),
        of_azure("GET", f"{group}/providers/Microsoft.ContainerService/operations/{OTHER}"),
        of_azure("PUT", identity, {"location": "westeurope", "password": "hidden"}, 201),
        of_azure("DELETE", identity),
        of_azure("PUT", f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/other", {"tags": {}}),
    ]
    bundle = base64.b64encode(json.dumps({"written": stamp, "objects": ["one"]}).encode()).decode()
    secret = {"kind": "Secret", "data": {"bundle.json": bundle, "key": "aGlkZGVu"}, "metadata": {"name": stamp}}
    kubernetes = [
        asked("list", "azureidentitybindings", "", second=1),
        asked("patch", "azureidentitybindings", "web", binding, second=2),
        asked("create", "secrets", f"bundle-{stamp}", secret, second=3),
        asked("patch", "azureidentitybindings", "api", binding, second=4),
        asked("delete", "azureidentitybindings", "web", second=5),
    ]
    return Took(2, f"https://127.0.0.1:{port}", told, azure, {"demo": kubernetes})


def lines(took: Took, subscription: str = SUBSCRIPTION) -> list[str]:
    return ["== for real", *record(took, {subscription: "SUBSCRIPTION"}, waits=True)]


def compared(change: Callable[[Took], object]) -> list[str]:
    """What is found after a change of the run."""
    after = run()
    change(after)
    return comparison.differences(lines(run()), lines(after))


def test_another_run_of_the_same_is_no_difference() -> None:
    """With other ids, times and ports."""
    other = run(subscription=OTHER, stamp="20270401T115959Z", port=20002)
    assert comparison.differences(lines(run()), lines(other, OTHER)) == []


def swap(found: list[Raw], one: int, other: int) -> None:
    found[one], found[other] = found[other], found[one]


def later(took: Took, one: int, other: int) -> None:
    """Two requests to the API server change places."""
    events = took.kubernetes["demo"]
    swap(events, one, other)
    for second, each in enumerate(events):
        each["requestReceivedTimestamp"] = f"2026-03-01T10:00:{second:02}.000000Z"


def drop_refusal(took: Took) -> None:
    """The run goes on and ends well."""
    took.status = 0
    took.told = [each for each in took.told if "failed" not in each]
    took.told[-1]["ended"]["failures"] = 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda took: took.kubernetes["demo"].pop(1), "web: 2 before, 1 now", id="step in the cluster"),
        pytest.param(lambda took: took.kubernetes["demo"].pop(3), "api: gone", id="object of the cluster left out"),
        pytest.param(lambda took: took.azure.pop(3), "billing: 2 before, 1 now", id="step in Azure"),
        pytest.param(
            lambda took: took.kubernetes["demo"].insert(4, took.kubernetes["demo"][3]),
            "api: 1 before, 2 now",
            id="twice",
        ),
        pytest.param(lambda took: took.azure.insert(4, took.azure[4]), "other: 1 before, 2 now", id="twice to Azure"),
        pytest.param(drop_refusal, "exit status: different", id="refusal lost"),
        pytest.param(drop_refusal, "localhost: gone", id="failure lost"),
        pytest.param(lambda took: swap(took.azure, 2, 3), "billing: in another order", id="order of one in Azure"),
        pytest.param(lambda took: later(took, 1, 4), "web: in another order", id="order of one in the cluster"),
        pytest.param(
            lambda took: took.kubernetes["demo"][1]["requestObject"]["spec"].update(azureIdentity="other"),
            "web: different",
            id="body",
        ),
        pytest.param(lambda took: took.azure[2].update(status=403), "billing: different", id="answer"),
        pytest.param(
            lambda took: took.told[1]["shown"].__setitem__(1, "cluster  kept     Binding shop/web  -"),
            "where | state | what | reason: different",
            id="row of a table",
        ),
        pytest.param(lambda took: took.told[1]["shown"].pop(), "where | state | what | reason: ", id="row gone"),
        pytest.param(
            lambda took: took.told[1]["shown"].__setitem__(
                2, "Azure    kept     identity billing  Set pod_identity_uninstall_scope to remove it."
            ),
            "where | state | what | reason: different",
            id="option that a row names",
        ),
        pytest.param(
            lambda took: took.told[2].update(failed="set pod_identity_restore_sha256, code not_ours"),
            "localhost: different",
            id="option that a refusal names",
        ),
        pytest.param(lambda took: took.told[0]["changes"].pop(), "shop/api: gone", id="change not told"),
        pytest.param(
            lambda took: took.azure.insert(0, of_azure("GET", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg")),
            "resourceGroups/*: 0 before, 1 now",
            id="read more",
        ),
    ],
)
def test_a_difference_is_found(change: Callable[[Took], object], told: str) -> None:
    found = compared(change)
    assert [line for line in found if told in line], found


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda took: swap(took.azure, 3, 4), id="order of different objects in Azure"),
        pytest.param(lambda took: later(took, 1, 2), id="order of different objects in the cluster"),
        pytest.param(lambda took: took.azure.insert(1, took.azure[1]), id="polls"),
        pytest.param(lambda took: took.kubernetes["demo"].insert(1, took.kubernetes["demo"][0]), id="looks again"),
        pytest.param(
            lambda took: took.told[2].update(failed="accept it by pod_identity_restore_accept (not_ours)"),
            id="sentence",
        ),
    ],
)
def test_what_is_no_difference(change: Callable[[Took], object]) -> None:
    assert compared(change) == []


def test_a_renewed_lease_counts_once() -> None:
    renewal = asked(
        "patch", "leases", "lock", {"spec": {"renewTime": "2026-03-01T10:00:00.000000Z"}}, uri="/x/leases/lock"
    )
    once, often = (Took(0, "", [], [], {"demo": [renewal] * number}) for number in (1, 5))
    assert lines(once) == lines(often)


def test_the_page_names_pairs() -> None:
    told = lines(run())
    page = comparison.page({"one": told, "gone": told}, {"one": [*told, "# hosts", "other ok, changed"], "new": told})
    assert page.splitlines()[0] == "gone: there is no such pair any more; its record is to be deleted"
    assert "new: it has no record; make one with --record new" in page
    assert "      +other ok, changed" in page
    assert comparison.page({"one": told}, {"one": list(told)}) == ""


def test_no_secret_is_recorded() -> None:
    told = "\n".join(lines(run()))
    assert "hidden" not in told and "aGlkZGVu" not in told and "one" in told


def records() -> list[Path]:
    return sorted(RECORDS.glob("*.txt"))


def test_each_pair_has_a_record_that_people_can_read() -> None:
    assert sorted(path.stem for path in records()) == sorted(pairs.PAIRS)
    assert sum(len(path.read_text().splitlines()) for path in records()) < LONGEST


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"eyJ[\w-]{10}|-----BEGIN|client-key-data|certificate-authority-data", id="credential"),
        pytest.param(r"(?i)\b[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\b(?<!-000000000001)", id="id"),
        pytest.param(r"\d{4}-\d\d-\d\dT\d\d:|127\.0\.0\.\d+:\d|/tmp/|/root/|/home/", id="time or place"),
    ],
)
def test_nothing_of_one_run_is_in_a_record(pattern: str) -> None:
    found = [f"{path.name}: {match[0]}" for path in records() for match in re.finditer(pattern, path.read_text())]
    assert found == []
