# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft Graph: applications and their federated credentials.

A credential is written by its name with an upsert, which may be sent again, where a POST may not:
https://learn.microsoft.com/graph/api/federatedidentitycredential-upsert
The least rights are the permission Application.ReadWrite.OwnedBy of an owner of the application.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from .._domain.azure import arm_answers, federated, graph_answers
from .._domain.errors import Failure
from .._domain.needs import GraphNeed
from .._libraries import library
from .busy_wait import in_turn
from .client import Arm, run
from .errors import MissingIsFine, Refused, text_of
from .paging import all_items

if t.TYPE_CHECKING:
    from azure.core.rest import HttpRequest, HttpResponse

_VERSION = "/v1.0"
_NAME = "Microsoft Graph"
_missing_is_fine = MissingIsFine(graph_answers.is_missing)


class Graph:
    """Microsoft Graph of the cloud, with the credential, the transport and the patience of ``arm``."""

    def __init__(self, arm: Arm) -> None:
        with library("azure-core"):
            from azure.core import PipelineClient
        self.arm = arm
        self._root = arm.cloud.graph
        if not self._root:
            raise Failure(
                f"The cloud {arm.cloud.name} does not say where its Microsoft Graph is, which knows the applications; "
                "name it as microsoftGraphResourceId in the document at cloud_environment."
            )
        self._pipeline: t.Any = PipelineClient(self._root, **arm.plumbing(f"{self._root}/.default"))

    def application(self, app_id: str) -> graph_answers.Application | None:
        """By its client id; None where the tenant has no such application."""
        doing = f"read the application {app_id}"
        query = {"$select": "id,appId,displayName"}
        with _missing_is_fine:
            answer = self._send("GET", f"/applications(appId='{app_id}')", doing=doing, query=query)
            return graph_answers.application(doing, text_of(answer), app_id)
        return None

    def credentials(self, application: graph_answers.Application) -> tuple[federated.Credential, ...] | None:
        """The federated credentials of an application; None where it does not exist any more."""
        doing = f"list the federated credentials of the application {application.name}"
        with _missing_is_fine:
            found = all_items(
                self._send("GET", f"/{_path(application)}", doing=doing),
                doing,
                page=functools.partial(graph_answers.credentials, doing),
                at=lambda url: arm_answers.at_endpoint(doing, url, self._root, _NAME),
                read=lambda url: run(self._pipeline, _request("GET", url), doing=doing),
            )
            return federated.ordered(graph_answers.credential(body) for body in found)
        return None

    def _send(self, method: str, path: str, *, doing: str, **more: t.Any) -> HttpResponse:
        query = more.pop("query", None)
        return run(self._pipeline, _request(method, self._root + _VERSION + path, params=query, **more), doing=doing)

    def write(self, application: graph_answers.Application, write: federated.Write, *, doing: str) -> None:
        credential = write.credential
        if write.verb == "delete":
            path = f"/{_path(application)}/{credential.raw['id']}"
            with _missing_is_fine:
                answer = self._in_turn(lambda: self._send("DELETE", path, doing=doing), doing)
                graph_answers.require_done(doing, answer.status_code, text_of(answer))
            return
        path = f"/{_path(application)}(name='{credential.name}')"
        body = {"issuer": credential.issuer, "subject": credential.subject, "audiences": list(credential.audiences)}
        upsert = functools.partial(
            self._send, "PATCH", path, doing=doing, json=body, headers={"Prefer": "create-if-missing"}
        )
        try:
            answer = self._in_turn(upsert, doing)
        except Refused as refused:
            if graph_answers.is_missing(refused.service):
                raise Failure(
                    f"Could not {doing}: the application {application.app_id} does not exist; create it first.",
                    error=refused.error,
                ) from None
            raise
        graph_answers.require_done(doing, answer.status_code, text_of(answer), credential.name)

    def _in_turn(self, attempt: t.Callable[[], HttpResponse], doing: str) -> HttpResponse:
        """Graph too refuses some writes while others run (Directory_ConcurrencyViolation)."""
        return in_turn(self.arm, attempt, doing, other="another write", timeout=self.arm.patience.timeout)


def _request(method: str, url: str, **more: t.Any) -> HttpRequest:
    from azure.core.rest import HttpRequest

    return HttpRequest(method, url, **more)


def _path(application: graph_answers.Application) -> str:
    return f"applications/{application.object_id}/{federated.SEGMENT}"


@dataclass(frozen=True)
class ApplicationHolder:
    """An application as holder of federated credentials. ``tenant``: where its tokens are asked for."""

    graph: Graph
    application: graph_answers.Application
    tenant: str

    @property
    def holder(self) -> federated.Holder:
        return federated.Holder.application(self.application.object_id, self.application.name)

    def about(self) -> dict[str, t.Any]:
        one = self.application
        return {"app_id": one.app_id, "object_id": one.object_id, "name": one.name}

    def credentials(self) -> tuple[federated.Credential, ...] | None:
        return self.graph.credentials(self.application)

    def principal(self) -> tuple[str, str] | None:
        """Tenant and client id."""
        if not self.tenant:
            raise Failure(
                f"The credential of this task does not say its tenant, in which tokens of the {self.holder} would be "
                "asked for; name that in exchange_tenant."
            )
        return self.tenant, self.application.app_id

    def needs_of(self, write: federated.Write) -> tuple[GraphNeed, ...]:
        return (GraphNeed(self.application.object_id, federated.LEAST_OF_APPLICATIONS),)

    def carry_out(self, write: federated.Write) -> None:
        doing = f"{write.verb} the federated credential {write.credential.name} of the {self.holder}"
        self.graph.write(self.application, write, doing=doing)
