# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a task when Azure falters: success, or one sentence that a second run makes good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure

ONE = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
DEMO = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo"
SOMEBODY = "somebody"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


def tags(azure: SimulatedAzure, path: str) -> Any:
    return azure.arm("GET", path).json().get("tags")


def state_of(azure: SimulatedAzure, path: str) -> str:
    answer = azure.arm("GET", path)
    return str(answer.json()["properties"].get("provisioningState", "there")) if answer.ok else "absent"


def roles_of_somebody(azure: SimulatedAzure) -> list[str]:
    listed = azure.arm("GET", "/resourceGroups/rg/providers/Microsoft.Authorization/roleAssignments").json()["value"]
    known = azure.in_loop(lambda: list(azure.server.azure.state.principals.values()))
    (who,) = (one.object_id for one in known if one.name == SOMEBODY)
    found = [one["properties"] for one in listed]
    return [one["roleDefinitionId"][-36:] for one in found if one["principalId"] == who]


@dataclass(frozen=True)
class Job:
    """A task, and how Azure looks when it is done. It starts from ``has``: nothing, group, identity or cluster."""

    module: str
    options: dict[str, Any]
    has: str
    done: Callable[[SimulatedAzure], bool]

    def arrange(self, azure: SimulatedAzure) -> dict[str, Any]:
        """Make what it starts from; its options."""
        options = dict(self.options)
        if self.has == "cluster":
            azure.cluster(name="demo")
        elif self.has == "group":
            azure.group()
        elif self.has == "identity":
            azure.identity("one")
        if self.module == "role_assignment":
            options["scope"] = f"/subscriptions/{azure.subscription_id}/resourceGroups/rg"
            options["principal_id"] = azure.principal(SOMEBODY).object_id
        return options


QUICK = {"poll_interval": 0.1}
CLUSTER: dict[str, Any] = {"resource_group": "rg", "name": "demo", **QUICK}
IDENTITY: dict[str, Any] = {"resource_group": "rg", "name": "one"}

MAKE_GROUP = Job(
    "resource_group",
    {"name": "rg", "location": "westeurope", "tags": {"a": "b"}},
    "nothing",
    lambda azure: tags(azure, "/resourceGroups/rg") == {"a": "b"},
)
DROP_GROUP = Job(
    "resource_group",
    {"name": "rg", "state": "absent", **QUICK},
    "group",
    lambda azure: azure.arm("GET", "/resourceGroups/rg").status_code == 404,
)
MAKE_IDENTITY = Job("user_assigned_identity", IDENTITY, "group", lambda azure: state_of(azure, ONE) == "there")
TAG_IDENTITY = Job(
    "user_assigned_identity", {**IDENTITY, "tags": {"a": "b"}}, "identity", lambda azure: tags(azure, ONE) == {"a": "b"}
)
DROP_IDENTITY = Job(
    "user_assigned_identity",
    {**IDENTITY, "state": "absent"},
    "identity",
    lambda azure: state_of(azure, ONE) == "absent",
)
GRANT = Job("role_assignment", {"role": "Reader", **QUICK}, "group", lambda azure: roles_of_somebody(azure) == [READER])
MAKE_CLUSTER = Job(
    "aks_cluster", {**CLUSTER, "location": "westeurope"}, "group", lambda azure: state_of(azure, DEMO) == "Succeeded"
)
TAG_CLUSTER = Job(
    "aks_cluster",
    {**CLUSTER, "tags": {"a": "b"}},
    "cluster",
    lambda azure: (state_of(azure, DEMO), tags(azure, DEMO)) == ("Succeeded", {"a": "b"}),
)
DROP_CLUSTER = Job(
    "aks_cluster", {**CLUSTER, "state": "absent"}, "cluster", lambda azure: state_of(azure, DEMO) == "absent"
)
JOBS = {name: job for name, job in globals().items() if isinstance(job, Job)}


@dataclass(frozen=True)
class Row:
    """What a request of a job meets, and the pieces of the sentence that it ends with; none means success."""

    kind: str
    """Of REQUESTS, or else its method."""
    fault: dict[str, Any]
    sentence: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    request: tuple[str, str] = ("", "")
    """Its job and path, where it is none of REQUESTS."""
    prepare: Callable[[SimulatedAzure], Any] = lambda _azure: None


def says(code: str, message: str = "It is said.", status: int = 400, **more: Any) -> dict[str, Any]:
    return {"status": status, "body": {"error": {"code": code, "message": message}}, **more}


HANG = {"delay": 60, "status": 503}
THROTTLED = says("TooManyRequests", "Slow down.", 429)
FOREVER = {"count": 0}
IMPATIENT = {"wait_timeout": 1}
# Each request of every kind: a look, a list, writes of each method, and both kinds of polls.
REQUESTS = {
    "GET": ("MAKE_GROUP", "GET", "/resourcegroups/rg"),
    "GET by an SDK": ("TAG_CLUSTER", "GET", "managedClusters/demo"),
    "list": ("GRANT", "GET", "roleAssignments.*filter"),
    "PUT": ("MAKE_GROUP", "PUT", "/resourcegroups/rg"),
    "PUT by an SDK": ("MAKE_IDENTITY", "PUT", "userAssignedIdentities/one"),
    "PUT of a role": ("GRANT", "PUT", "roleAssignments/"),
    "PUT of a new cluster": ("MAKE_CLUSTER", "PUT", "managedClusters/demo"),
    "PUT of a cluster": ("TAG_CLUSTER", "PUT", "managedClusters/demo"),
    "PATCH": ("TAG_IDENTITY", "PATCH", "userAssignedIdentities/one"),
    "DELETE": ("DROP_IDENTITY", "DELETE", "userAssignedIdentities/one"),
    "DELETE of a group": ("DROP_GROUP", "DELETE", "/resourcegroups/rg"),
    "DELETE of a cluster": ("DROP_CLUSTER", "DELETE", "managedClusters/demo"),
    "poll": ("MAKE_CLUSTER", "GET", "/operations/"),
    "poll of an update": ("TAG_CLUSTER", "GET", "/operations/"),
    "poll of a deletion": ("DROP_CLUSTER", "GET", "/operations/"),
    "poll of a result": ("DROP_GROUP", "GET", "/operationresults/"),
}
PASSING: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "throttled": ({**THROTTLED, "headers": {"Retry-After": "1"}}, ("GET", "PUT", "poll")),
    "throttled for an odd time": ({**THROTTLED, "headers": {"Retry-After": "soon"}}, ("GET", "poll")),
    "throttled without a time": (THROTTLED, ("GET", "PUT", "PATCH", "poll", "PUT of a cluster")),
    "500": ({"status": 500}, ("GET by an SDK", "PUT of a role", "poll of a result")),
    "502": ({"status": 502}, ("GET", "PATCH", "poll")),
    "503": ({"status": 503}, ("list", "PUT by an SDK", "DELETE")),
    "500 after the effect": (
        {"status": 500, "after": True},
        ("PUT of a role", "PATCH", "PUT of a new cluster", "DELETE of a group"),
    ),
    "reset": ({"reset": True}, ("GET", "PUT", "PATCH", "DELETE", "poll", "poll of a result")),
    "reset after the effect": (
        {"reset": True, "after": True},
        ("PUT", "PUT by an SDK", "PUT of a role", "PUT of a cluster", "PATCH")
        + ("DELETE", "DELETE of a group", "DELETE of a cluster"),
    ),
    "cut off": ({"cut": True}, ("GET", "GET by an SDK", "list", "PUT", "PUT of a new cluster", "PATCH", "poll")),
    "no answer": (HANG, ("GET", "PUT of a cluster", "poll")),
    "not found for a while": (says("NotFound", "No.", 404, count=2), ("poll",)),
    "401": (
        says(
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than current UTC time.",
            401,
            headers={"WWW-Authenticate": 'Bearer authorization_uri="https://127.0.0.2/", error="invalid_token"'},
        ),
        ("GET", "PUT by an SDK", "poll"),
    ),
    "error while it runs": (
        {
            "status": 200,
            "body": {"status": "CreatingAgentPools: 0/1 nodes completed", "error": {"code": "NotLatestOperation"}},
            "count": 2,
        },
        ("poll",),
    ),
}


@pytest.mark.parametrize(
    ("request_kind", "fault"),
    [
        pytest.param(
            kind,
            {**fault, **({"wait": 20} if fault is HANG else {})},
            id=f"{name}-{kind}",
            # Each fault meets the first of its requests, and half of the others, by turns.
            marks=() if place == 0 or (number + place) % 2 else pytest.mark.soak,
        )
        for number, (name, (fault, kinds)) in enumerate(PASSING.items())
        for place, kind in enumerate(kinds)
    ],
)
def test_what_passes_is_overcome(
    modules: Modules, azure: SimulatedAzure, request_kind: str, fault: dict[str, Any]
) -> None:
    name, method, path = REQUESTS[request_kind]
    job = JOBS[name]
    options = job.arrange(azure)
    patience = {"wait_timeout": fault.pop("wait")} if "wait" in fault else {}
    modules.fault(method, path, **fault)
    assert modules.succeed(job.module, **options, **patience)["changed"]
    (rule,) = azure.control("GET", "/faults")
    assert rule["hits"] == fault.get("count", 1)
    assert job.done(azure)
    assert not modules.succeed(job.module, **options)["changed"]


def test_an_operation_is_asked_for_three_intervals_before_it_counts_as_forgotten(
    modules: Modules, azure: SimulatedAzure
) -> None:
    """After pauses of 1, 2, 2 and 2 seconds."""
    name, method, path = REQUESTS["poll"]
    job = JOBS[name]
    options = job.arrange(azure)
    modules.fault(method, path, **says("NotFound", "No.", 404, count=9))
    assert modules.succeed(job.module, **{**options, "poll_interval": 2})["changed"]
    (rule,) = azure.control("GET", "/faults")
    assert rule["hits"] == 5
    assert job.done(azure)


DENIED = (
    "The client 'a' with object id 'b' does not have authorization to perform action 'Microsoft.X/y/write' over scope "
    "'/subscriptions/s' or the scope is invalid. If access was recently granted, please refresh your credentials."
)
DENIAL = (
    "The client 'a' with object id 'b' has permission to perform action 'c' on scope '/d'; however, the access is "
    "denied because of the deny assignment with name 'e' and Id 'f' at scope '/g'."
)
RUNS = "Operation is not allowed: Another operation (nodepool1 - Updating) is in progress, please wait."
BUSY = {"status": 409, "body": {"code": "OperationNotAllowed", "details": None, "message": RUNS}}
OUTDATED = {"status": 409, "body": {"code": "EtagMismatch", "details": None, "message": RUNS}}
NOBODY = says("PrincipalNotFound", "Principal x does not exist in the directory y.")
VANISHED = says("NotFound", "No.", 404, **FOREVER)
FORBIDDEN = says("AuthorizationFailed", DENIED, 403)
GROUP = "Could not write the resource group rg:"
NEW_CLUSTER = "Could not create the cluster demo in the resource group rg:"


def throttled(until: str) -> dict[str, Any]:
    return {**THROTTLED, "headers": {"Retry-After": until}}


def answers(**body: Any) -> dict[str, Any]:
    """Of an operation; its resource goes on in the simulated Azure."""
    return {"status": 200, "body": body}


def unregister(azure: SimulatedAzure) -> None:
    missing = (azure.subscription_id, "microsoft.managedidentity")
    azure.in_loop(lambda: azure.server.azure.state.unregistered.add(missing))


TABLE = {
    "throttled for long": Row(
        "PUT", throttled("3700"), (f"{GROUP} Slow down (TooManyRequests)", "requests, run again in 3700 seconds.")
    ),
    "throttled until a date": Row(
        "PUT", throttled("Fri, 01 Jan 2100 00:00:00 GMT"), (f"{GROUP} Slow down", "requests, run again in 2")
    ),
    "throttled for ever": Row(
        "GET by an SDK", {**THROTTLED, **FOREVER}, ("read the cluster demo in", "run again in some minutes."), IMPATIENT
    ),
    "500 for ever": Row(
        "GET", {"status": 500, **FOREVER}, ("read the resource group rg:", "quote the request id to"), IMPATIENT
    ),
    "502 for ever": Row(
        "PUT of a new cluster", {"status": 502, **FOREVER}, (NEW_CLUSTER, "quote the request id"), IMPATIENT
    ),
    "503 for ever on polls": Row(
        "poll", {"status": 503, **FOREVER}, ("create the cluster demo in", "(HTTP503); run again, and quote"), IMPATIENT
    ),
    "reset for ever": Row(
        "PUT of a role",
        {"reset": True, **FOREVER},
        ("assign the role Reader", "Azure did not answer", "check network, proxy and cloud_environment."),
        IMPATIENT,
    ),
    "reset for ever after the effect": Row(
        "PATCH", {"reset": True, "after": True, "count": 4}, ("change the tags of the identity one", "did not answer")
    ),
    "no answer for ever": Row(
        "PUT", {**HANG, **FOREVER}, (f"{GROUP} Azure did not answer (", "Read timed out", "check network"), IMPATIENT
    ),
    "cut off for ever": Row(
        "GET by an SDK", {"cut": True, **FOREVER}, ("the answer of Azure was cut off; run again, and",), IMPATIENT
    ),
    "no JSON on a poll": Row(
        "poll",
        {"status": 200, "body": "<html>please log in</html>"},
        ("not Azure but a proxy, a gateway or another service answered; check proxy",),
    ),
    "principal not known yet": Row("PUT of a role", {**NOBODY, "count": 3}),
    "principal never known": Row(
        "PUT of a role",
        {**NOBODY, **FOREVER},
        ("(PrincipalNotFound); check that this is the object id of", "not its client id, or run again in a minute."),
        IMPATIENT,
    ),
    "assignment of the same name": Row(
        "PUT of a role", says("RoleAssignmentExists", "The role assignment already exists.", 409, after=True)
    ),
    "cluster busy": Row("PUT of a cluster", {**BUSY, "count": 3}),
    "cluster busy for deletion": Row("DELETE of a cluster", {**BUSY, "count": 3}),
    "cluster busy for ever": Row(
        "PUT of a cluster",
        {**BUSY, **FOREVER},
        ("AKS has been busy with the cluster demo for 1 seconds; run again later, or end the other operation with az",),
        IMPATIENT,
    ),
    "cluster changed by somebody else": Row("PUT of a cluster", {**OUTDATED, "count": 3}),
    "operation failed": Row(
        "poll",
        answers(status="Failed", error={"code": "Quota", "message": "None is left."}),
        (f"{NEW_CLUSTER} None is left (Quota); correct what the message",),
    ),
    "operation canceled": Row(
        "poll of an update",
        answers(status="Canceled"),
        ("ended as Canceled (Canceled); run again, and look for the cause in the resource's activity",),
    ),
    "operation vanished": Row("poll", VANISHED),
    "operation of an update vanished": Row("poll of an update", VANISHED),
    "operation of a deletion vanished": Row("poll of a deletion", VANISHED),
    "result of a deletion vanished": Row("poll of a result", VANISHED),
    "operation forbidden": Row(
        "poll", FORBIDDEN, ("the principal b may not perform Microsoft.X/y/write at /subscriptions/s; somebody who",)
    ),
    "operation that does not end": Row(
        "poll",
        {**answers(status="CreatingAgentPools: 0/1 nodes completed"), **FOREVER},
        (
            "within 1 seconds (the operation says 'CreatingAgentPools: 0/1 nodes completed')",
            "it goes on in Azure, so run again to wait for it, or raise wait_timeout.",
        ),
        IMPATIENT,
    ),
    "token refused for ever": Row(
        "PUT",
        {**PASSING["401"][0], **FOREVER},
        ("(ExpiredAuthenticationToken); check that the credential belongs to the subscription's tenant",),
    ),
    "token endpoint down for a moment": Row("POST", {"status": 503}, request=("MAKE_GROUP", "/oauth2/v2.0/token")),
    "forbidden": Row(
        "PUT by an SDK",
        FORBIDDEN,
        ("Could not create the identity one in the resource group rg: the principal b may not perform Microsoft.X/y/",),
    ),
    "deny assignment": Row(
        "PUT by an SDK",
        says("DenyAssignmentAuthorizationFailed", DENIAL, 403),
        ("deny assignment with name 'e'", "such as that of a locked-down node resource group, must be lifted first."),
    ),
    "provider not to be registered": Row(
        "POST",
        FORBIDDEN,
        ("(MissingSubscriptionRegistration); register it with az provider register, or ask somebody who may.",),
        request=("MAKE_IDENTITY", "/register"),
        prepare=unregister,
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))
def test_what_stays_is_told_and_made_good(modules: Modules, azure: SimulatedAzure, row: Row) -> None:
    name, path = row.request
    name, method, path = (name, row.kind, path) if name else REQUESTS[row.kind]
    job = JOBS[name]
    options = job.arrange(azure)
    row.prepare(azure)
    modules.fault(method, path, **row.fault)
    if row.sentence:
        failed = modules.fail(job.module, **options, **row.options)
        for piece in row.sentence:
            assert piece in failed["msg"], failed
        assert failed["msg"].startswith(("Could not ", "AKS has been busy with the cluster demo "))
        azure.control("DELETE", "/faults")
        modules.succeed(job.module, **options)
    else:
        modules.succeed(job.module, **options, **row.options)
        azure.control("DELETE", "/faults")
    assert job.done(azure)
    assert not modules.succeed(job.module, **options)["changed"]


@pytest.mark.parametrize("fault", [{"reset": True}, {"status": 500}, {"status": 502}, {"status": 503}], ids=str)
@pytest.mark.parametrize("after", [False, True])
def test_what_may_not_happen_twice_is_sent_once(
    modules: Modules, azure: SimulatedAzure, fault: dict[str, Any], after: bool
) -> None:
    azure.cluster()
    instance = str(azure.first_instance()["id"])
    modules.fault("POST", "/reimage", **fault, after=after, headers={"Retry-After": "1"})
    failed = modules.fail("vmss_instance_reimage", instance=instance, **QUICK)
    assert failed["started"]
    assert len(modules.requests(method="POST", path="/reimage")) == 1
