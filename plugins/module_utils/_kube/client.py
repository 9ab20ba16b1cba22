# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Requests to an API server: plain objects in and out, one request per call, nothing discovered."""

from __future__ import annotations

import json
import threading
import time
import typing as t
from concurrent.futures import Future, wait
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from .. import _progress
from .._domain.errors import UNEXPECTED, Failure
from .._domain.names import FIELD_MANAGER
from .config import Settings, load_configuration
from .errors import READ_TIMEOUT, SOMEBODY_ELSE, ApiFailure, odd, parse_status, refused, unreachable
from .kinds import EVENT, POD, SELF_SUBJECT_ACCESS_REVIEW, SERVICE_ACCOUNT, Kind, Object, label

AT_ONCE = 10  # requests of a module; so many connections are kept
_PAGE = 1000
_PAGES = 10_000
_CONNECT_SECONDS = 15
_READ_SECONDS = 60
_BUSY_SECONDS = 60
_TOKEN_SECONDS = 600  # the shortest that the API server gives
_REDIRECT = "Redirect limit exhausted"  # as websocket-client says it
_REVIEW = frozenset(("apiVersion", "kind", "metadata", "spec", "status"))

Query = t.Sequence[tuple[str, str]]


def connect(
    params: t.Mapping[str, t.Any],
    temporary_directory: str | None = None,
    *,
    timeout: float | None = None,
    at_once: int = AT_ONCE,
) -> Client:
    """A client for the options of ``_argspec.kubernetes_auth``; no request is sent yet.

    ``timeout``: seconds until the server must answer, where that is less than usual. ``at_once``: requests that are
    sent at the same time.
    """
    settings = Settings.parse(params)
    return Client(load_configuration(settings, temporary_directory), settings, timeout=timeout, at_once=at_once)


class Client:
    """One API server, one user."""

    def __init__(
        self, configuration: t.Any, settings: Settings, *, timeout: float | None = None, at_once: int = AT_ONCE
    ) -> None:
        import urllib3
        from kubernetes.client import rest

        # Whoever says validate_certs=false knows; a module says nothing beside its result.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._connect_seconds = min(_CONNECT_SECONDS, timeout or _CONNECT_SECONDS)
        self._read_seconds = min(_READ_SECONDS, timeout or _READ_SECONDS)
        self._configuration = configuration
        self._settings = settings
        # The library keeps five per processor, and each request beyond them would open one of its own.
        configuration.connection_pool_maxsize = at_once
        self._pool = rest.RESTClientObject(configuration).pool_manager
        self.host = str(configuration.host)
        self._told_time = ""

    def server_time(self) -> datetime:
        """The time by the clock of the API server, as its last answer told it; else by the one of this machine."""
        try:
            return parsedate_to_datetime(self._told_time).astimezone(timezone.utc)
        except (TypeError, ValueError):
            return datetime.now(timezone.utc)

    # reading

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """The object, or None where it does not exist; a kind that the server does not know is a Failure."""
        status, body = self._request("GET", kind.path(namespace, name))
        if status == 200:
            return self._object("get", kind, namespace, name, status, body)
        failure = self._refusal("get", kind, namespace, name, status, body)
        if failure.object_missing:
            return None
        raise failure

    def list_all(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = "", most: int = 0
    ) -> tuple[Object, ...]:
        """Every object of a kind, in pages; without ``namespace`` those of the whole cluster.

        ``most``: with so many or more it is enough.
        """
        query = [("limit", str(_PAGE))]
        query += [(key, value) for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value]
        items: dict[tuple[str, str], Object] = {}
        token, used = "", {""}
        while True:
            page = [*query, ("continue", token)] if token else query
            status, body = self._request("GET", kind.path(namespace), page)
            if status == 410 and token:  # the snapshot behind the pages expired: take the list in one piece
                query, items, token = [pair for pair in query if pair[0] != "limit"], {}, ""
                continue
            if status != 200:
                raise self._refusal("list", kind, namespace, None, status, body)
            answer = self._list(kind, namespace, body)
            # Where pages overlap, an object counts once.
            items.update((_place(each), each) for each in answer["items"])
            token = str(_inner(answer, "metadata").get("continue") or "")
            if not token or 0 < most <= len(items):
                return tuple(items.values())
            if token in used or len(used) > _PAGES:
                raise Failure(
                    f"Cannot list {kind.resource}: {self.host} leads from page to page without an end; check what "
                    "stands between here and the API server, and run again."
                )
            used.add(token)

    def has_any(self, kind: Kind) -> bool:
        """Whether there is an object of a kind anywhere; none of a kind that the server does not know."""
        status, body = self._request("GET", kind.path(None), [("limit", "1")])
        if status == 200:
            return bool(self._list(kind, None, body)["items"])
        failure = self._refusal("list", kind, None, None, status, body)
        if failure.kind_missing:
            return False
        raise failure

    def kinds_of(self, api_version: str) -> frozenset[str]:
        """What the server knows in a version of a group; nothing where it says that it does not serve that."""
        return frozenset(str(each.get("kind")) for each in self._resources(api_version))

    def _resources(self, api_version: str) -> t.Sequence[Object]:
        """What the server lists in a version of a group; nothing where its list of groups is without that."""
        group, dummy, version = api_version.rpartition("/")
        kind = Kind(group, version, "resources", "APIResourceList")
        status, body = self._request("GET", f"/apis/{api_version}" if group else f"/api/{api_version}")
        if status == 404 and group and not self._serves(api_version):
            return ()
        answer = _parsed(body)
        listed = answer.get("resources")
        if status != 200:
            raise refused("list", kind, None, None, status, body, host=self.host)
        told = (answer.get("kind"), answer.get("groupVersion"))
        if told != (kind.name, api_version) or not _is_list_of_objects(listed):
            raise odd("list", kind, None, None, status, body, host=self.host)
        return t.cast("t.Sequence[Object]", listed)

    def _serves(self, api_version: str) -> bool:
        """Whether the server's list of groups has that version of a group."""
        return api_version in self.served_versions()

    def served_versions(self) -> frozenset[str]:
        """Every version of a group that the server's list of groups has, as ``apps/v1``."""
        kind = Kind("", "", "groups", "APIGroupList")
        status, body = self._request("GET", "/apis")
        if status != 200:
            raise refused("list", kind, None, None, status, body, host=self.host)
        answer = _parsed(body)
        groups = answer.get("groups")
        if answer.get("kind") != kind.name or not _is_list_of_objects(groups):
            raise odd("list", kind, None, None, status, body, host=self.host)
        versions = [each for group in groups or () for each in group.get("versions") or ()]
        return frozenset(str(each.get("groupVersion")) for each in versions if isinstance(each, dict))

    def _lacks(self, kind: Kind) -> bool:
        """Whether the server says that it does not know the kind. Each one knows those of the core group."""
        if not kind.group:
            return False
        if not self._serves(kind.api_version):
            return True
        return kind.plural not in {each.get("name") for each in self._resources(kind.api_version)}

    def log(self, namespace: str, pod: str, container: str, **only: t.Any) -> bytes:
        """What a container has written so far. ``only``: parameters of the API, such as ``tailLines``."""
        query = [("container", container), *((name, str(value)) for name, value in only.items())]
        status, body = self._request("GET", POD.path(namespace, pod, "log"), query)
        if status != 200:
            raise self._refusal("get the log of", POD, namespace, pod, status, body)
        return body

    def ask_pod(self, namespace: str, pod: str, port: int, path: str) -> str:
        """What a pod answers to an HTTP GET that the API server passes on; the reason where it does not answer."""
        try:
            status, body = self._request("GET", POD.path(namespace, f"{pod}:{port}", f"proxy/{path}"))
        except Failure as failure:
            if failure.error.get("code") != READ_TIMEOUT:
                raise
            return f"nothing within {self._read_seconds:g} seconds"  # which the API server passed on all the while
        text = body.decode("utf-8", "replace").strip()
        if status in (401, 403):
            raise self._refusal("proxy to", POD, namespace, pod, status, body)
        return text if status == 200 else f"{status} {parse_status(body).get('message', '')}".strip()

    def events(self, namespace: str, name: str) -> tuple[Object, ...]:
        """The events about the object of that name, oldest first."""
        found = self.list_all(EVENT, namespace, fields=f"involvedObject.name={name}")
        return tuple(sorted(found, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or "")))

    def may(self, verb: str, kind: Kind, namespace: str | None = None, subresource: str = "") -> bool:
        """Whether the user of this connection has a permission, asked from the server itself."""
        attributes = {"verb": verb, "group": kind.group, "resource": kind.plural, "subresource": subresource}
        attributes["namespace"] = namespace or ""
        return self.allows(SELF_SUBJECT_ACCESS_REVIEW, {"resourceAttributes": attributes})

    def allows(self, kind: Kind, spec: Object) -> bool:
        """What an access review of that kind answers."""
        answer = self.create(kind, None, {"apiVersion": kind.api_version, "kind": kind.name, "spec": spec})
        allowed = _inner(answer, "status").get("allowed")
        if not isinstance(allowed, bool) or not _REVIEW.issuperset(answer):
            raise odd("create", kind, None, None, 200, b"", host=self.host)
        return allowed

    def service_account_token(self, namespace: str, name: str, audience: str) -> str:
        """A token such as the kubelet would project into a pod of that service account."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": _TOKEN_SECONDS},
        }
        status, body = self._request("POST", SERVICE_ACCOUNT.path(namespace, name, "token"), body=request)
        if status not in (200, 201):
            raise self._refusal("create a token of", SERVICE_ACCOUNT, namespace, name, status, body)
        token = _inner(_parsed(body), "status").get("token")
        if not token or not isinstance(token, str):  # the body is not quoted: who knows what it holds
            raise odd("create a token of", SERVICE_ACCOUNT, namespace, name, status, b"", host=self.host)
        return token

    # writing

    def create(self, kind: Kind, namespace: str | None, body: Object, *, dry_run: bool = False) -> Object:
        query = [("fieldManager", FIELD_MANAGER), *_dry(dry_run)]
        status, answer = self._request("POST", kind.path(namespace), query, body)
        if status not in (200, 201, 202):
            raise self._refusal("create", kind, namespace, _name(body), status, answer)
        return self._object("create", kind, namespace, (body.get("metadata") or {}).get("name"), status, answer)

    def apply(self, kind: Kind, body: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply; ``force`` takes contested fields from other managers."""
        namespace, name = body["metadata"].get("namespace"), _name(body)
        query = [("fieldManager", FIELD_MANAGER), ("force", "true" if force else "false"), *_dry(dry_run)]
        status, answer = self._request(
            "PATCH", kind.path(namespace, name), query, body, content_type="application/apply-patch+yaml"
        )
        if status not in (200, 201):
            raise self._refusal("apply", kind, namespace, name, status, answer)
        return self._object("apply", kind, namespace, name, status, answer)

    def merge(self, kind: Kind, namespace: str | None, name: str, body: Object, *, dry_run: bool = False) -> Object:
        """JSON merge patch, for what server-side apply cannot do: taking away what another manager wrote."""
        status, answer = self._request(
            "PATCH",
            kind.path(namespace, name),
            [("fieldManager", FIELD_MANAGER), *_dry(dry_run)],
            body,
            content_type="application/merge-patch+json",
        )
        if status != 200:
            raise self._refusal("patch", kind, namespace, name, status, answer)
        return self._object("patch", kind, namespace, name, status, answer)

    def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        preconditions: t.Mapping[str, str] | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> None:
        """Delete the object; one that is gone already is fine. ``preconditions``: uid and resourceVersion."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if dry_run:  # beside a body the server does not look at the query
            options["dryRun"] = ["All"]
        if preconditions:
            options["preconditions"] = dict(preconditions)
        status, answer = self._request("DELETE", kind.path(namespace, name), (), options)
        if status in (200, 202):
            if not _is_success(_parsed(answer), name):  # then it is the object, which goes
                self._object("delete", kind, namespace, name, status, answer)
            return
        failure = self._refusal("delete", kind, namespace, name, status, answer)
        if not failure.object_missing:
            raise failure

    def evict(self, namespace: str, pod: str, uid: str) -> bool:
        """Let a pod end, unless it is gone by now; False where a PodDisruptionBudget stands against it."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": namespace, "name": pod},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        status, answer = self._request("POST", POD.path(namespace, pod, "eviction"), (), body)
        if status in (200, 201) and _is_success(_parsed(answer)):
            return True
        failure = self._refusal("evict", POD, namespace, pod, status, answer)
        if failure.status == 429:
            return False
        if not failure.object_missing and not failure.conflict:
            raise failure
        return True

    def start(
        self, namespace: str, pod: str, container: str, command: t.Sequence[str], *, stdin: bool = False
    ) -> t.Any:
        """Start a command in a running container; the ``WSClient`` (binary) of its streams, to be closed."""
        from kubernetes.client import ApiException
        from kubernetes.stream import ws_client

        if self._settings.impersonate_user or self._settings.impersonate_groups:
            raise Failure(
                "Commands in pods cannot be run as an impersonated user, because the kubernetes package does not send "
                "its name there: connect as that user."
            )
        query = [("container", container), ("stdout", "true"), ("stderr", "true")]
        query += [("stdin", "true")] if stdin else []
        query += [("command", part) for part in command]
        url = f"{self.host}{POD.path(namespace, pod, 'exec')}?{urlencode(query)}"
        _follow_no_redirects(ws_client)
        options = {"headers": self._credentials(), "_preload_content": False, "capture_all": False, "binary": True}
        try:
            with _progress.waiting(f"the kubelet of {label(POD, namespace, pod)} has not started a command yet"):
                return _within(
                    self._read_seconds, lambda: ws_client.websocket_call(self._configuration, "GET", url, **options)
                )
        except ApiException as error:
            raise _exec_failure(namespace, pod, str(error.reason)) from error
        except TimeoutError as error:
            raise Failure(
                f"No command could be run in {label(POD, namespace, pod)}, because neither the API server nor the "
                f"kubelet answered within {self._read_seconds:g} seconds: are they up?",
                error={"code": "ExecTimeout", "message": str(error)},
            ) from error

    # what answers mean

    def _refusal(
        self, verb: str, kind: Kind, namespace: str | None, name: str | None, status: int, body: bytes
    ) -> ApiFailure:
        """The Failure for an answer with an error status. Whether a kind is unknown is asked from the server."""
        failure = refused(verb, kind, namespace, name, status, body, host=self.host)
        if status != 404 or failure.missing or not self._lacks(kind):
            return failure
        return refused(verb, kind, namespace, name, status, body, host=self.host, unserved=True)

    def _object(
        self, verb: str, kind: Kind, namespace: str | None, name: str | None, status: int, body: bytes
    ) -> Object:
        """The object in an answer, which must be the one that was asked for."""
        answer = _parsed(body)
        metadata = answer.get("metadata")
        if (
            (answer.get("apiVersion"), answer.get("kind")) != (kind.api_version, kind.name)
            or not isinstance(metadata, dict)
            or (name and metadata.get("name") != name)
            or (namespace and kind.namespaced and metadata.get("namespace") != namespace)
        ):
            raise odd(verb, kind, namespace, name, status, body, host=self.host)
        return answer

    def _list(self, kind: Kind, namespace: str | None, body: bytes) -> Object:
        answer = _parsed(body)
        told, items = (answer.get("apiVersion"), answer.get("kind")), answer.get("items")
        if told != (kind.api_version, f"{kind.name}List") or not _is_list_of_objects(items):
            raise odd("list", kind, namespace, None, 200, body, host=self.host)
        if not all(isinstance(each.get("metadata"), dict) and each["metadata"].get("name") for each in items or ()):
            raise odd("list", kind, namespace, None, 200, body, host=self.host)
        return answer

    # transport

    def _credentials(self) -> dict[str, str]:
        settings = self._configuration.auth_settings().values()
        return {entry["key"]: entry["value"] for entry in settings if entry.get("value")}

    def _headers(self, content_type: str) -> t.Any:
        from urllib3 import HTTPHeaderDict

        headers = HTTPHeaderDict({"Accept": "application/json", "User-Agent": FIELD_MANAGER, **self._credentials()})
        headers["Content-Type"] = content_type
        if self._settings.impersonate_user:
            headers["Impersonate-User"] = self._settings.impersonate_user
        for group in self._settings.impersonate_groups:
            headers.add("Impersonate-Group", group)
        return headers

    def _request(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, bytes]:
        """One request; repeated only when the server itself asks for that (429 with Retry-After)."""
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        url = f"{self.host}{path}" + (f"?{urlencode(query)}" if query else "")
        give_up = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                with _progress.waiting(f"{method} {self.host}{path} is not answered yet"):
                    answer = self._pool.request(
                        method,
                        url,
                        body=None if body is None else json.dumps(body).encode(),
                        headers=self._headers(content_type),
                        timeout=Timeout(connect=self._connect_seconds, read=self._read_seconds),
                        retries=False,
                        redirect=False,
                    )
            except HTTPError as error:
                raise unreachable(self.host, error) from error
            except (OSError, ValueError) as error:  # an unreadable certificate file, a URL that is none
                raise unreachable(self.host, error) from error
            self._told_time = answer.headers.get("Date", "")
            pause = _retry_after(answer)
            if answer.status != 429 or pause is None or time.monotonic() + pause > give_up:
                return int(answer.status), bytes(answer.data or b"")
            _progress.tell(f"{method} {self.host}{path} was answered 429, it is sent again in {pause:.0f} s")
            time.sleep(pause)


def _within(seconds: float, connect: t.Callable[[], t.Any]) -> t.Any:
    """The stream that ``connect`` opens, or a TimeoutError: the library itself waits for ever.

    A stream that opens later is closed.
    """
    waited: Future[t.Any] = Future()

    def work() -> None:
        try:
            stream = connect()
        except Exception as error:
            if waited.set_running_or_notify_cancel():
                waited.set_exception(error)
            return
        if waited.set_running_or_notify_cancel():
            waited.set_result(stream)
        else:
            stream.close()

    threading.Thread(target=work, daemon=True).start()
    if not wait((waited,), timeout=seconds).done and waited.cancel():
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    return waited.result()


def _follow_no_redirects(ws_client: t.Any) -> None:
    """The websocket of ``kubernetes.stream`` would send token and command to whatever host a redirect names.

    Its versions differ in what they make of one that is not followed, so the status is looked at.
    """
    plain = ws_client.WebSocket
    if hasattr(plain, "connect_plainly"):
        return

    def connect(self: t.Any, url: str, **options: t.Any) -> None:
        self.connect_plainly(url, **{**options, "redirect_limit": 0})
        if self.getstatus() != 101:
            self.shutdown()
            raise ValueError(_REDIRECT)

    ws_client.WebSocket = type(plain.__name__, (plain,), {"connect_plainly": plain.connect, "connect": connect})


def _exec_failure(namespace: str, pod: str, reason: str) -> Failure:
    what = label(POD, namespace, pod)
    if reason.startswith(_REDIRECT):
        return Failure(
            f"No command could be run in {what}, because the answer was a redirect, which no API server gives to that; "
            f"{SOMEBODY_ELSE}",
            error={"code": UNEXPECTED, "message": reason[:500]},
        )
    if "403" in reason:
        return Failure(
            f"The user of this connection may not run commands in {what}: grant create on pods/exec.",
            error={"status": 403, "code": "Forbidden", "message": reason[:500]},
        )
    if "dialing backend" in reason:
        return Failure(
            f"No command could be run in {what}, because the kubelet of its node does not answer: is the node up?",
            error={"code": "KubeletUnreachable", "message": reason[:500]},
        )
    return Failure(
        f"No command could be run in {what}: is it still running?",
        error={"code": "ExecFailed", "message": reason[:500]},
    )


def _retry_after(answer: t.Any) -> float | None:
    try:
        return float(answer.headers.get("Retry-After"))
    except (TypeError, ValueError):
        return None


def _parsed(body: bytes) -> Object:
    """The object in a body; an empty one where there is none."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _inner(answer: Object, name: str) -> Object:
    """The object under that name; an empty one where there is none."""
    found = answer.get(name)
    return found if isinstance(found, dict) else {}


def _is_success(answer: Object, name: str | None = None) -> bool:
    """Whether it is the Status of a request that succeeded; one about an object names it, that of an eviction none."""
    told = (answer.get("apiVersion"), answer.get("kind"), answer.get("status"), _inner(answer, "details").get("name"))
    return told == ("v1", "Status", "Success", name) and isinstance(answer.get("metadata"), dict)


def _is_list_of_objects(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _place(raw: Object) -> tuple[str, str]:
    return str(raw["metadata"].get("namespace") or ""), str(raw["metadata"]["name"])


def _name(body: Object) -> str | None:
    metadata = body.get("metadata") or {}
    return metadata.get("name") or metadata.get("generateName")


def _dry(dry_run: bool) -> list[tuple[str, str]]:
    return [("dryRun", "All")] if dry_run else []
