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
    ("http://management.azure.com/", "no plain https URL"),
    ("https://u:p@management.azure.com/", "no plain https URL"),
    ("https://management.azure.com@evil.example/", "no plain https URL"),
    ("https://management.azure.com/#x", "no plain https URL"),
    ("https://management.azure.com/a b", "no plain https URL"),
    ('https://management.azure.com/"', "no plain https URL"),
    ("https://management.azure.com\\@evil.example/", "no plain https URL"),
    ("https://management.azure.com:x/", "no plain https URL"),
    ("https://[::1", "no plain https URL"),
    ("", "no plain https URL"),
    ("https:///x", "no plain https URL"),
    ("-o/tmp/x", "no plain https URL"),
    ("https://management.azure.com.evil.example/", "name it in target_hosts"),
    ("https://evilmanagement.azure.com/", "name it in target_hosts"),
    ("https://evilvault.azure.net/", "name it in target_hosts"),
    ("https://vault.azure.net/", "name it in target_hosts"),
    ("https://10.0.0.1/", "name it in target_hosts"),
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


ARM = "AuthorizationFailed The client does not have authorization to perform action"


@for_each(
    (Answer(exit_code=0, status=200), "ok", "", "token of a/b. https://billing.vault.azure.net/secrets/db?api-"),
    (Answer(exit_code=0, status=403, body=ARM), "role_missing", "V8", "assign a/b a role"),
    (Answer(exit_code=0, status=403, body="ForbiddenByRbac"), "role_missing", "V8", "assign a/b a role"),
    (Answer(exit_code=0, status=403, body="ForbiddenByPolicy"), "role_missing", "V8", "access policies of the vault"),
    (Answer(exit_code=0, status=403, body="AuthorizationPermissionMismatch"), "role_missing", "V8", "assign a/b"),
    (Answer(exit_code=0, status=403, body="ForbiddenByFirewall"), "target_refused", "", "firewall"),
    (Answer(exit_code=0, status=403, body="AuthorizationFailure: no"), "target_refused", "", "firewall"),
    (Answer(exit_code=0, status=401, body="invalid audience"), "target_refused", "", "does not take this token"),
    (Answer(exit_code=0, status=302), "target_refused", "", "redirects, which is not followed"),
    (Answer(exit_code=0, status=404), "target_refused", "", "nothing is there"),
    (Answer(exit_code=0, status=400), "target_refused", "", "correct the URL"),
    (Answer(exit_code=0, status=503), "target_refused", "", "try again later"),
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
