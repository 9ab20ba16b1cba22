# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which URL a token may be shown to, and what its answer means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import target, token
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token_request import Answer
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

URL = "https://billing.vault.azure.net/secrets/db?api-version=7.4"
OK = token.Verdict("ok", "", "nmi", "NMI handed out a token of a/b.")


@for_each(
    URL,
    "https://management.azure.com/subscriptions/s?api-version=2022-12-01",
    "https://MANAGEMENT.azure.com:443/",
    "https://acc.blob.core.windows.net/c?restype=container&comp=list",
    "https://billing.vault.azure.cn/secrets",
    "https://management.usgovcloudapi.net/",
    "https://own.example/",
)
def test_where_a_token_may_go(url: str) -> None:
    target.check(url, ["Own.example"])


@for_each(
    *(
        (url, "no plain https URL")
        for url in ("http://management.azure.com/", "https://[::1", "", "https:///x", "-o/x")
    ),
    *(
        (f"https://{url}", "no plain https URL")
        for url in ("u:p@management.azure.com/", "management.azure.com@evil.example/", "management.azure.com:x/")
    ),
    *(
        (f"https://management.azure.com{url}", "no plain https URL")
        for url in ("/#x", "/a b", '/"', "\\@evil.example/")
    ),
    *(
        (f"https://{host}/", "name it in target_hosts")
        for host in ("management.azure.com.evil.example", "evilmanagement.azure.com", "evilvault.azure.net")
    ),
    *((f"https://{host}/", "name it in target_hosts") for host in ("vault.azure.net", "10.0.0.1")),
)
def test_where_a_token_may_not_go(url: str, words: str) -> None:
    with pytest.raises(Failure, match=words):
        target.check(url, ())


@given(st.text(max_size=40))
def test_no_text_leads_a_token_elsewhere(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}.example/vault.azure.net"):
        try:
            target.check(url, ())
        except Failure:
            continue
        host = url.removeprefix("https://").partition("/")[0].partition("?")[0].partition(":")[0].lower()
        assert url.startswith("https://") and not set(host) & set("%@[]{}\\")
        assert any(host == each or (each.startswith(".") and host.endswith(each)) for each in target._OF_AZURE)


def said(status: int, body: str = "") -> Answer:
    return Answer(exit_code=0, status=status, body=body)


ARM = "AuthorizationFailed The client does not have authorization to perform action"


@for_each(
    (said(200), "ok", "", "token of a/b. https://billing.vault.azure.net/secrets/db?api-"),
    (said(403, ARM), "role_missing", "V8", "assign a/b a role"),
    (said(403, "ForbiddenByRbac"), "role_missing", "V8", "assign a/b a role"),
    (said(403, "ForbiddenByPolicy"), "role_missing", "V8", "access policies of the vault"),
    (said(403, "AuthorizationPermissionMismatch"), "role_missing", "V8", "assign a/b"),
    (said(403, "ForbiddenByFirewall"), "target_refused", "", "firewall"),
    (said(403, "AuthorizationFailure: no"), "target_refused", "", "firewall"),
    (said(401, "invalid audience"), "target_refused", "", "does not take this token"),
    (said(302), "target_refused", "", "redirects, which is not followed"),
    (said(404), "target_refused", "", "nothing is there"),
    (said(400), "target_refused", "", "correct the URL"),
    (said(503), "target_refused", "", "try again later"),
    (Answer(exit_code=60, body="curl: (60) SSL certificate problem"), "target_unreached", "", "certificates"),
    (None, "not_verified", "", "neither curl nor python3"),
)
def test_what_the_answer_means(answer: Answer | None, verdict: str, code: str, words: str) -> None:
    found = target.judge(OK, Answer(status=200, target=answer), URL, "a/b")
    assert (found.verdict, found.code) == (verdict, code)
    assert words in found.message and found.message.endswith(".")


def test_a_token_that_is_wrong_stays_wrong() -> None:
    wrong = token.Verdict("wrong_identity", "V6", "nmi", "No.")
    assert target.judge(wrong, Answer(target=Answer(status=200)), URL, "a/b") is wrong
    assert target.judge(OK, Answer(), "", "a/b") is OK
