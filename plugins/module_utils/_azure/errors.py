# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Exceptions of the Azure SDKs become Failures: the one place that knows both."""

from __future__ import annotations

import contextlib
import re
import typing as t

from .._domain.azure import arm_answers, arm_errors
from .._domain.azure.arm_answers import NotAzure
from .._domain.errors import Failure
from .._libraries import library
from . import retry

if t.TYPE_CHECKING:
    from azure.core.exceptions import AzureError, HttpResponseError

# How azure-identity words it when Entra could not be asked at all.
_NO_ANSWER = re.compile(r"ConnectionPool|Connection aborted|CERTIFICATE_VERIFY_FAILED|timed out|Failed to resolve")


class Refused(Failure):
    """Azure answered, and the answer is an error. ``service`` is that answer."""

    def __init__(self, doing: str, service: arm_errors.ServiceError) -> None:
        super().__init__(arm_errors.explain(doing, service), error=service.as_dict())
        self.service = service

    def forbids(self) -> bool:
        """Whether Azure itself says that the caller may not; the page of a proxy with that status does not."""
        return self.service.status == 403 and not self.service.foreign

    def is_missing(self) -> bool:
        """Whether the resource, or what it would be in, does not exist."""
        return arm_answers.is_missing(self.service)


class Unreachable(Failure):
    """No whole answer came: no such host, connection refused, reset or cut, certificate not trusted."""


@contextlib.contextmanager
def refusals(doing: str) -> t.Iterator[None]:
    """Translate what the SDKs raise; ``doing`` is a verb phrase that names the resource."""
    with library("azure-core"):
        from azure.core.exceptions import (
            AzureError,
            ClientAuthenticationError,
            DecodeError,
            DeserializationError,
            HttpResponseError,
        )
    try:
        yield
    except ClientAuthenticationError as error:
        if error.response is not None and error.response.status_code == 401 and not _from_entra(error):
            raise Refused(doing, _service_error(error)) from error
        if error.response is None and _NO_ANSWER.search(str(error.message)):
            raise _unreachable(doing, error) from error
        message = str(error.message)
        raise Failure(arm_errors.explain_login(doing, message), error=arm_errors.login_error(message)) from error
    except HttpResponseError as error:
        if error.response is None:
            raise _cut_off(doing, error) from error
        if isinstance(error, DecodeError) and (error.response.status_code or 0) < 400:
            raise NotAzure(doing, "the answer is not JSON") from error
        raise Refused(doing, _service_error(error)) from error
    except AzureError as error:
        raise _unreachable(doing, error) from error
    except (DeserializationError, UnicodeError, RecursionError) as error:  # what the SDKs leave to their callers
        raise NotAzure(doing, "the answer is not JSON") from error


class MissingIsFine(contextlib.AbstractContextManager[None]):
    """Ends a block early, without an error, where what it asks for does not exist; ``says`` tells by the refusal."""

    def __init__(self, says: t.Callable[[arm_errors.ServiceError], bool]) -> None:
        self._says = says

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        return isinstance(error, Refused) and self._says(error.service)


missing_is_fine = MissingIsFine(arm_answers.is_missing)


def _from_entra(error: HttpResponseError) -> bool:
    return "AADSTS" in str(error.message)


def _service_error(error: HttpResponseError) -> arm_errors.ServiceError:
    response: t.Any = error.response  # its headers are missing in the type
    request_id = response.headers.get("x-ms-request-id") or response.headers.get("x-ms-correlation-request-id") or ""
    return arm_errors.parse(response.status_code, text_of(response), request_id, retry.asked_pause(response))


def text_of(response: t.Any) -> str:
    """The text of an answer; what is no text is spelled out, so that it is no JSON either."""
    try:
        return str(response.text())
    except (UnicodeError, LookupError):
        return repr(response.content)


def _cut_off(doing: str, error: AzureError) -> Failure:
    return Unreachable(
        f"Could not {doing}: the answer of Azure was cut off; run again, and check network and proxy if it stays.",
        error={"code": type(error).__name__, "message": str(error.message)},
    )


def _unreachable(doing: str, error: AzureError) -> Failure:
    text = " ".join(str(error.message).split())
    if type(error).__name__ == "CredentialUnavailableError":
        return Failure(arm_errors.explain_login(doing, text))
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Unreachable(
            f"Could not {doing}: the certificate of the server is not trusted; name its CA in REQUESTS_CA_BUNDLE, "
            "or set cert_validation_mode to ignore.",
            error={"code": "CertificateNotTrusted", "message": text},
        )
    return Unreachable(
        f"Could not {doing}: Azure did not answer ({text[:300]}); check network, proxy and cloud_environment.",
        error={"code": type(error).__name__, "message": text},
    )
