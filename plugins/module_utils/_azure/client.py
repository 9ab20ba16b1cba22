# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The connection to ARM that every resource provider's file uses, over the pipeline of azure-mgmt-core."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import time
import typing as t
import warnings
from dataclasses import dataclass, field, replace

from .. import _progress
from .._domain.azure import arm_answers, arm_errors, long_running
from .._domain.azure.arm_answers import NotAzure
from .._domain.errors import Failure
from .._libraries import library
from . import clouds, credentials, retry
from .errors import Refused, Unreachable, missing_is_fine, refusals, text_of
from .paging import all_items

if t.TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpRequest, HttpResponse

Body = dict[str, t.Any]
Client = t.TypeVar("Client")

_USER_AGENT = "azureops.pod_identity"
_LOGGING = ("azure", "msal", "msal_extensions", "urllib3")
# How many looks in a row at a running operation may fail, each after the retries of the pipeline, and for how long: as
# long as so many looks take at the full interval.
_LOST_AFTER = 4
_PASSING = (404, *retry.TRANSIENT)
# How long (seconds) an answer may take. ARM itself gives up after one minute.
_SLOWEST_ANSWER, _SHORTEST_WAIT = 120, 5
_FIRST_PAUSE = 1


@dataclass(frozen=True)
class Patience:
    """How long (seconds) all waits of a task may take together, and how long they pause at most between two looks."""

    timeout: float = 3600
    interval: float = 10
    began: float = field(default_factory=time.monotonic)

    def anew(self) -> Patience:
        """The same for what begins now."""
        return replace(self, began=time.monotonic())

    def left(self) -> float:
        return max(self.began + self.timeout - time.monotonic(), 0)

    @property
    def longest_pause(self) -> float:
        return max(self.interval, 0.05)

    def looks(self, waiting: str, at_most: float | None = None) -> t.Iterator[None]:
        """Yield at once and then after pauses, as long as patience lasts, or ``at_most`` seconds of it.

        Much is seen soon, so pauses are short at first and double until they are the interval. ``waiting`` says for
        what, where the look itself does not tell.
        """
        end = time.monotonic() + min(self.left(), self.timeout if at_most is None else at_most)
        pause = min(_FIRST_PAUSE, self.longest_pause)
        while True:
            yield
            left = end - time.monotonic()
            if left <= 0:
                return
            if waiting:
                _progress.tell(waiting)
            time.sleep(min(pause, left))
            pause = min(2 * pause, self.longest_pause)


class Arm:
    """One Azure Resource Manager, one credential, and the patience of the task."""

    def __init__(
        self,
        cloud: clouds.Cloud,
        login: t.Callable[[], TokenCredential],
        *,
        entra: t.Mapping[str, t.Any],
        verify: bool,
        tenant: str,
        subscription: str,
        patience: Patience,
    ) -> None:
        """``tenant`` is that of the credential, '' where it does not say one."""
        with library("azure-mgmt-core"):
            from azure.core.pipeline.transport import RequestsTransport
            from azure.mgmt.core import ARMPipelineClient
        self.cloud = cloud
        self.tenant = tenant
        self.patience = patience
        self._login = login
        self._credential = login()
        self._entra = entra
        self._subscription = subscription
        # Less than all of the patience, so that there is some left to ask again.
        longest = min(max(patience.timeout / 4, _SHORTEST_WAIT), _SLOWEST_ANSWER)
        self._transport = RequestsTransport(connection_verify=verify, read_timeout=longest)
        self._clients: dict[t.Any, t.Any] = {}
        self._pipeline: t.Any = ARMPipelineClient(base_url=cloud.resource_manager, **self._plumbing())

    @classmethod
    def connect(cls, options: t.Mapping[str, t.Any], run_command: credentials.RunCommand) -> Arm:
        """Log in as the module's options, the environment, the credentials file or ``az`` say.

        ``run_command`` is the module's own.
        """
        for library_name in _LOGGING:  # they would write to stderr what is raised anyway
            logging.getLogger(library_name).addHandler(logging.NullHandler())
        login = credentials.choose(options, os.environ, credentials.read_profiles())
        verify = login.setting("cert_validation_mode", options) != "ignore"
        if not verify:  # asked for by name, so urllib3 need not repeat it for each request
            warnings.filterwarnings("ignore", message="Unverified HTTPS request")
        account = credentials.cli_account(run_command) if login.source == "cli" else {}
        setting = login.setting("cloud_environment", options) or account.get("environmentName") or clouds.DEFAULT
        cloud = clouds.find(str(setting), lambda url: _fetch(url, verify=verify))
        entra = credentials.entra(login, cloud, options, verify=verify)
        return cls(
            cloud,
            lambda: credentials.create(login, entra),
            entra=entra,
            verify=verify,
            tenant=login.values.get("tenant") or str(account.get("tenantId", "")),
            subscription=login.values.get("subscription_id") or str(account.get("id", "")),
            patience=Patience(options.get("wait_timeout", 3600), options.get("poll_interval", 10)),
        )

    @property
    def subscription(self) -> str:
        """The subscription to work in; where none was named, the only one that the credential sees."""
        if not self._subscription:
            seen = self.list("/subscriptions", "2022-12-01", doing="list the subscriptions")
            if len(seen) != 1:
                raise Failure(
                    f"The credential sees {len(seen)} subscriptions; say in subscription_id or AZURE_SUBSCRIPTION_ID "
                    "which one to work in."
                )
            self._subscription = arm_answers.needed(seen[0], "subscriptionId")
        return self._subscription

    def typed(self, client: t.Callable[..., Client], subscription: str | None = None) -> Client:
        """A typed SDK client over the same credential, policies and connections."""
        if client not in self._clients:
            self._clients[client] = client(
                self._credential,
                self.subscription if subscription is None else subscription,
                base_url=self.cloud.resource_manager,
                credential_scopes=[self.cloud.scope],
                **self._plumbing(),
            )
        return t.cast(Client, self._clients[client])

    def token(self, scope: str, doing: str) -> tuple[str, int]:
        """A token of the task's credential and when it expires (seconds since the epoch)."""
        with refusals(doing), _progress.waiting(retry.NO_TOKEN):
            token = self._credential.get_token(scope)
        return token.token, token.expires_on

    def exchange(self, tenant: str, client_id: str, assertion: str, *, doing: str) -> None:
        """Exchange a token of another issuer for one of Entra, which is thrown away."""
        credential = credentials.asserted(self._entra, tenant, client_id, assertion)
        with refusals(doing), _progress.waiting(retry.NO_TOKEN):
            credential.get_token(self.cloud.scope)

    def get(self, path: str, api_version: str, *, doing: str) -> Body | None:
        """GET one resource; None where it, or what it would be in, does not exist."""
        with missing_is_fine:
            return resource_of(self.send("GET", path, api_version, doing=doing), doing, path)
        return None

    def list(
        self,
        path: str,
        api_version: str,
        *,
        doing: str,
        method: str = "GET",
        query: t.Mapping[str, str] | None = None,
        named: bool = True,
        kind: str | None = None,
    ) -> list[Body]:
        """All pages of a list, each item once; also of one that is asked for by a POST.

        ``named``: that its items have ids. ``kind``: the last part of the type that these say; if unset, as the path
        says, where that names a type, and '' for any.
        """
        if kind is None:
            kind = arm_answers.kind_of_list(path) if method == "GET" else ""
        return all_items(
            self.send(method, path, api_version, doing=doing, query=query, only_reads=method == "POST"),
            doing,
            page=functools.partial(arm_answers.page, doing, named=named, kind=kind),
            at=lambda url: arm_answers.at_endpoint(doing, url, self.cloud.resource_manager),
            read=functools.partial(self._look, doing=doing),
        )

    def put(self, path: str, api_version: str, body: t.Mapping[str, t.Any], *, doing: str) -> Body:
        """PUT one resource that is there at once; what Azure answers of it."""
        return resource_of(self.send("PUT", path, api_version, doing=doing, body=body), doing, path)

    def delete(self, path: str, api_version: str, *, doing: str) -> HttpResponse:
        """DELETE one resource; raises NotAzure for an answer that says neither that it is gone nor that it goes."""
        response = self.send("DELETE", path, api_version, doing=doing)
        if response.status_code == 202:
            _require_operation(response, doing)
        elif text_of(response).strip():  # of some resources Azure shows what was there
            resource_of(response, doing, path)
        return response

    def send(
        self,
        method: str,
        path: str,
        api_version: str,
        *,
        doing: str,
        body: t.Mapping[str, t.Any] | None = None,
        query: t.Mapping[str, str] | None = None,
        headers: t.Mapping[str, str] | None = None,
        only_reads: bool = False,
    ) -> HttpResponse:
        """One request; an answer of 400 and above raises Refused.

        ``only_reads``: that a POST changes nothing, so that it may be sent again.
        """
        from azure.core.rest import HttpRequest

        url, params = self.cloud.resource_manager + path, {**(query or {}), "api-version": api_version}
        request = HttpRequest(method, url, params=params, json=body, headers=dict(headers or {}))
        return run(self._pipeline, request, doing=doing, **({"retry_on_methods": [method]} if only_reads else {}))

    def follow(self, response: HttpResponse, *, doing: str) -> Body:
        """Wait for the operation that ``response`` started; raises Failure where it fails or takes too long.

        Returns what was said of it at the end, {} where there was nothing to wait for.
        The operation's URLs are signed: they are used exactly as they came.
        """
        try:
            return self._follow(response, doing=doing)
        except Failure as failure:  # Azure has begun, and what it leaves is in the state Failed
            if response.request.method != "POST":
                failure.results["changed"] = True
            raise

    def _follow(self, response: HttpResponse, *, doing: str) -> Body:
        operation = response.headers.get("Azure-AsyncOperation")
        request, url = response.request, _operation_of(response)
        if url:
            of_location = _status_of_deletion if request.method == "DELETE" else _status_of_location
            try:
                return self._poll(url, doing, _status_of_operation if operation else of_location)
            except Refused as refused:
                if not refused.is_missing() or request.method == "POST":
                    raise
                # Azure has forgotten the operation: the resource tells how it ended.
        elif request.method == "POST":
            if response.status_code != 200 or text_of(response).strip():
                _require_operation(response, doing)
            return {}
        elif request.method == "PATCH":
            return {}
        elif request.method == "PUT" and long_running.ended(provisioning_state(json_of(response))):
            return {}
        if request.method == "DELETE":
            with missing_is_fine:
                return self._poll(request.url, doing, _status_of_going)
            return {}
        return self._poll(request.url, doing, _status_of_resource)

    def _poll(self, url: str, doing: str, status_of: t.Callable[[HttpResponse], str]) -> Body:
        lost, lost_since, state = 0, 0.0, "unknown"
        lost_to: Failure | None = None
        for _look in self.patience.looks(""):
            try:
                response = self._look(url, doing=doing)
            except (Refused, Unreachable) as failure:
                lost_since = lost_since if lost else time.monotonic()
                lost += 1
                for_long = time.monotonic() - lost_since >= (_LOST_AFTER - 1) * self.patience.longest_pause
                passing = isinstance(failure, Unreachable) or failure.service.status in _PASSING
                if not passing or (lost >= _LOST_AFTER and for_long):
                    raise
                lost_to = failure
                continue
            lost, lost_to, state = 0, None, status_of(response)
            if long_running.succeeded(state):
                return json_of(response)
            if long_running.unsuccessful(state):
                raise Refused(doing, _failed_operation(response, state))
            _progress.tell(f"{doing}: {state}")
            url = response.headers.get("Location", url) if response.status_code == 202 else url
        raise lost_to or Failure(
            f"Could not {doing} within {self.patience.timeout:g} seconds (the operation says {state!r}); it goes on in "
            "Azure, so run again to wait for it, or raise wait_timeout."
        )

    def _look(self, url: str, *, doing: str) -> HttpResponse:
        """GET what Azure named."""
        from azure.core.rest import HttpRequest

        url = arm_answers.at_endpoint(doing, url, self.cloud.resource_manager)
        return run(self._pipeline, HttpRequest("GET", url), doing=doing)

    def _left(self) -> float:
        return self.patience.left()  # of now: whoever holds this may get patience anew

    def _renewed(self) -> TokenCredential:
        self._credential = self._login()
        return self._credential

    def _plumbing(self) -> dict[str, t.Any]:
        from azure.mgmt.core.policies import ARMAutoResourceProviderRegistrationPolicy

        return self.plumbing(self.cloud.scope, ARMAutoResourceProviderRegistrationPolicy())

    def plumbing(self, scope: str, *own: t.Any) -> dict[str, t.Any]:
        """Policies and transport of one client, with tokens for ``scope`` and policies of its ``own``.

        Policies are linked to each other, so each client has its own.
        """
        from azure.core.pipeline import policies

        return {
            "policies": [
                policies.RequestIdPolicy(),
                policies.HeadersPolicy(),
                policies.UserAgentPolicy(_USER_AGENT),
                policies.ProxyPolicy(),
                policies.ContentDecodePolicy(),
                *own,
                policies.RedirectPolicy(permit_redirects=False),  # ARM has none, nor has Graph
                retry.after_faults(self._left),
                retry.with_new_tokens(self._credential, self._renewed, scope),
                retry.telling(),
                policies.SensitiveHeaderCleanupPolicy(),
            ],
            "transport": self._transport,
        }


def run(pipeline: t.Any, request: HttpRequest, *, doing: str, **how: t.Any) -> HttpResponse:
    """The answer to a request, which is JSON or empty; one of 400 and above raises Refused."""
    with refusals(doing):
        response: HttpResponse = pipeline.send_request(request, **how)
        response.raise_for_status()
        if response.status_code >= 300:
            raise NotAzure(doing, "the answer redirects to somewhere else")
        arm_answers.decoded(doing, text_of(response))
        return response


def payload(body: t.Mapping[str, t.Any]) -> bytes:
    """A body for a typed client, which would drop from a dict what its models do not know."""
    return json.dumps(body).encode()


def raw(doing: str, wanted: str) -> t.Callable[[t.Any, object, object], Body]:
    """For ``cls`` of a typed client: the answer as it came, instead of a model that knows some of its fields."""
    return lambda response, _model, _headers: resource_of(response.http_response, doing, wanted)


def provisioning_state(body: t.Mapping[str, t.Any]) -> str:
    """``properties.provisioningState``; a resource without one is there as it is."""
    return str((body.get("properties") or {}).get("provisioningState") or "Succeeded")


def resource_of(response: HttpResponse, doing: str, wanted: str) -> Body:
    """The resource with the id ``wanted`` that an answer holds; raises NotAzure where it holds none."""
    return arm_answers.resource(doing, text_of(response), wanted)


def json_of(response: HttpResponse) -> Body:
    """The JSON object of an answer; {} where there is none."""
    body = arm_answers.decoded(f"read the answer of {response.request.url.partition('?')[0]}", text_of(response))
    return body if isinstance(body, dict) else {}


def _operation_of(response: HttpResponse) -> str:
    """URL of the operation that a request started; '' where the answer names none."""
    location = response.headers.get("Location") if response.status_code == 202 else None
    return response.headers.get("Azure-AsyncOperation") or location or ""


def _require_operation(response: HttpResponse, doing: str) -> None:
    if not _operation_of(response):
        raise NotAzure(doing, "the answer names no operation that was started")


def _status_of_operation(response: HttpResponse) -> str:
    return str(json_of(response).get("status") or "unknown")


def _status_of_location(response: HttpResponse) -> str:
    return "InProgress" if response.status_code == 202 else "Succeeded"


def _status_of_deletion(response: HttpResponse) -> str:
    """At a Location; of what is gone Azure says nothing more than the status."""
    if response.status_code != 202 and text_of(response).strip():
        raise NotAzure("see how a deletion ended", "the answer is not empty")
    return _status_of_location(response)


def _status_of_resource(response: HttpResponse) -> str:
    path = arm_answers.path_of(response.request.url)
    return provisioning_state(resource_of(response, f"see how the change of {path} ended", path))


def _status_of_going(response: HttpResponse) -> str:
    """Of what is to be deleted; where nobody deletes it any more, that has failed."""
    state = _status_of_resource(response)
    return "Failed" if long_running.succeeded(state) else state


def _failed_operation(response: HttpResponse, state: str) -> arm_errors.ServiceError:
    request_id = response.headers.get("x-ms-request-id", "")
    body = json_of(response)
    if body.get("error"):
        return arm_errors.parse(response.status_code, body, request_id)
    return arm_errors.ServiceError(response.status_code, state, f"the operation ended as {state}", request_id)


def _fetch(url: str, *, verify: bool) -> t.Any:
    """A public JSON document."""
    with library("azure-core"):
        from azure.core import PipelineClient
        from azure.core.pipeline import policies
        from azure.core.pipeline.transport import RequestsTransport
        from azure.core.rest import HttpRequest
    doing = f"read the description of the cloud at {url}"
    client: t.Any = PipelineClient(
        url, policies=[policies.RetryPolicy(retry_total=3)], transport=RequestsTransport(connection_verify=verify)
    )
    with contextlib.closing(client), refusals(doing):
        response = client.send_request(HttpRequest("GET", url))
        response.raise_for_status()
        try:
            return response.json()
        except ValueError as error:
            raise Failure(f"Could not {doing}: the answer is not JSON; check cloud_environment.") from error
