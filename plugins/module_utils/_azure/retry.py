# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which requests are sent again, as policies of the pipeline of azure-core."""

from __future__ import annotations

import datetime
import typing as t

from .. import _progress
from .._domain.azure import arm_answers

if t.TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

# Answers that say nothing about the request itself.
TRANSIENT = (408, 429, 500, 502, 503, 504)
# A PUT, a PATCH or a DELETE that took effect has no other effect when it comes again; a POST may have.
_METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE")

NO_TOKEN = "Entra has not answered the request for a token yet"


def after_faults(left: t.Callable[[], float]) -> t.Any:
    """Sends again after throttling, errors of the server and lost connections, as long as ``left`` has seconds.

    Each pause is told with its cause.
    A POST is sent once, whatever comes of it, unless its caller says ``retry_on_methods``.
    """
    from azure.core.pipeline.policies import RetryPolicy

    class AfterFaults(RetryPolicy[t.Any, t.Any]):
        def configure_retries(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
            options.setdefault("retry_on_methods", _METHODS)
            return super().configure_retries(options)

        def is_retry(self, settings: dict[str, t.Any], response: t.Any) -> bool:
            # Not what else has a Retry-After, which the base sends again whatever it is.
            method, status = response.http_request.method, response.http_response.status_code
            return method in settings["methods"] and status in TRANSIENT and settings["total"] > 0

        def get_retry_after(self, response: t.Any) -> float | None:
            return asked_pause(response.http_response)  # the base fails on what is neither a number nor a date

        def increment(self, settings: dict[str, t.Any], response: t.Any = None, error: t.Any = None) -> bool:
            if not super().increment(settings, response, error):
                return False
            asked = None if error else self.get_retry_after(response)
            pause = asked or self.get_backoff_time(settings)
            if left() <= pause:
                return False
            request = response.http_request
            path = _place(request)
            cause = "got no answer" if error else f"was answered {response.http_response.status_code}"
            _progress.tell(f"{request.method} {path} {cause}, it is sent again in {pause:.0f} s")
            return True

    return AfterFaults(retry_total=5, retry_status=5, retry_backoff_max=60)


def telling() -> t.Any:
    """Tells which request is not answered yet, each time that it is sent."""
    from azure.core.pipeline.policies import HTTPPolicy

    class Telling(HTTPPolicy[t.Any, t.Any]):
        def send(self, request: t.Any) -> t.Any:
            sent = request.http_request
            with _progress.waiting(f"{sent.method} {_place(sent)} is not answered yet"):
                return self.next.send(request)

    return Telling()


def _place(request: t.Any) -> str:
    """What follows may be a signature."""
    return str(request.url).partition("?")[0]


def asked_pause(response: t.Any) -> float:
    """Seconds after which a response wants its request sent again; 0 where it does not say."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return arm_answers.retry_after(response.headers.get("Retry-After") or "", now)


def with_new_tokens(credential: TokenCredential, renewed: t.Callable[[], TokenCredential], scope: str) -> t.Any:
    """Authenticates; where a token is refused before its time, sends again with one of the ``renewed`` credential.

    The old credential would give the refused token again, from its cache.
    """
    from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

    class WithNewTokens(ARMChallengeAuthenticationPolicy):
        def on_challenge(self, request: t.Any, response: t.Any) -> bool:
            if not super().on_challenge(request, response):
                self._credential = renewed()
                self.authorize_request(request, scope)
            return True

        def on_request(self, request: t.Any) -> None:
            with _progress.waiting(NO_TOKEN):
                super().on_request(request)

    return WithNewTokens(credential, scope)
