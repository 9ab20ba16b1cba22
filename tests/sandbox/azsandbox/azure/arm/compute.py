# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft.Compute: scale sets of node resource groups, single machines, their identities; run-command, reimage."""

from __future__ import annotations

import asyncio
import re
import shlex
import uuid
from typing import Any

from .. import ids
from ..compute import ComputeError
from ..operations import Operation
from ..routing import Call, Route
from ..state import INSTANCE, SCALE_SET, VIRTUAL_MACHINE, Resource
from ..wire import Answer, AzureError, JsonObject, arm_error, compute_timestamp, not_served
from . import scale_sets
from .linked import check_linked, require_group, resource_missing
from .resources import RG, SUB

COLLECTION = "/providers/Microsoft.Compute/virtualMachineScaleSets"
ITEM = RG + COLLECTION + "/{name}"
SINGLE_COLLECTION = f"/providers/{VIRTUAL_MACHINE}"
SINGLE = RG + SINGLE_COLLECTION + "/{name}"
MACHINES = ITEM + "/virtualMachines"
MACHINE = MACHINES + "/{instance}"
IDENTITY_LIMIT = 150
OUTPUT_LIMIT = 4096
SCRIPT_LIMIT = 256 * 1024
SCRIPT_TIMEOUT = 90 * 60.0
# One value per subscription: the partition that compute's operation URLs carry.
PARTITION = str(uuid.uuid4())


def _answer(
    status: int, body: Any = None, headers: dict[str, str] | None = None, cost: str = "GetVMScaleSet"
) -> Answer:
    remaining = f"Microsoft.Compute/{cost}3Min;398,Microsoft.Compute/{cost}30Min;2598"
    common = {"Server": "Microsoft-HTTPAPI/2.0", "x-ms-ratelimit-remaining-resource": remaining}
    return Answer(status, body, {**common, **(headers or {})})


def _require(call: Call, kind: str = SCALE_SET) -> Resource:
    group = require_group(call)
    found = call.state.get(f"{group.id}/providers/{kind}/{call.params['name']}")
    if found is None:
        raise resource_missing(kind, call.params["name"], call.params["group"])
    return found


def _require_instance(call: Call) -> Resource:
    scale_set = _require(call)
    found = call.state.get(f"{scale_set.id}/virtualMachines/{call.params['instance']}")
    if found is None:
        message = (
            f"The entity was not found in this Azure location: instance '{call.params['instance']}' of scale set"
            f" '{scale_set.name}'."
        )
        raise arm_error(404, "NotFound", message)
    return found


# operations


def _start_operation(call: Call, location: str) -> tuple[Operation, dict[str, str], str]:
    """The operation, its headers and the URL for a Location header."""
    path = f"/subscriptions/{call.subscription}/providers/Microsoft.Compute/locations/{location}"
    operation = call.azure.operations.start(path)
    where = f"{path}/operations/{operation.id}"
    url = call.azure.operations.url(where, call.api_version, before=f"p={PARTITION}&")
    monitor = call.azure.operations.url(where, call.api_version, before=f"p={PARTITION}&monitor=true&")
    return operation, {"Azure-AsyncOperation": url, "Azure-AsyncNotification": "Enabled"}, monitor


async def get_operation(call: Call) -> Answer:
    """The status; with ``monitor=true`` (the Location header) the result, and 202 until there is one."""
    operation = call.azure.operations.find(call.params["operation"], call.query, call.path)
    if call.query.get("monitor") == "true":
        if not operation.done:
            before = f"p={PARTITION}&monitor=true&"
            location = call.azure.operations.url(call.path, call.api_version, before=before)
            return _answer(202, None, {"Location": location, **call.azure.poll_headers()}, "GetOperation")
        return _answer(200, operation.output, cost="GetOperation")
    body: JsonObject = {"startTime": compute_timestamp(operation.started)}
    if operation.ended is not None:
        body["endTime"] = compute_timestamp(operation.ended)
    body["status"] = operation.status
    if operation.output is not None:
        body["properties"] = {"output": operation.output}
    if operation.error is not None:
        body["error"] = operation.error
    body["name"] = operation.id
    return _answer(200, body, {} if operation.done else call.azure.poll_headers(), "GetOperation")


# scale sets


async def get_scale_set(call: Call) -> Answer:
    return _answer(200, _require(call).body)


async def list_in_group(call: Call) -> Answer:
    return _list(call, require_group(call).id, SCALE_SET)


async def list_in_subscription(call: Call) -> Answer:
    return _list(call, f"/subscriptions/{call.subscription}", SCALE_SET)


def _list(call: Call, scope: str, kind: str) -> Answer:
    cost = "GetVMScaleSet" if kind == SCALE_SET else "GetVM"
    return _answer(200, {"value": [each.body for each in call.state.within(scope, kind)]}, cost=cost)


async def patch_scale_set(call: Call) -> Answer:
    return _patch(call, _require(call), "VMScaleSetActions")


def _patch(call: Call, scale_set: Resource, cost: str) -> Answer:
    """Identity (merged, null removes) and tags; the rest of the model does not change here."""
    given = call.json()
    foreign = set(given) - {"identity", "tags", "id", "name", "type", "location"}
    if foreign:
        raise not_served(f"Of a machine only identity and tags are changed, not {', '.join(sorted(foreign))}")
    if given.get("identity") is not None:
        _change_identity(call, scale_set, given["identity"])
    if given.get("tags") is not None:
        scale_set.body["tags"] = given["tags"]
    operation, headers, _ = _start_operation(call, scale_set.body["location"])
    scale_set.properties["provisioningState"] = "Updating"
    scale_set.hidden["operation"] = operation
    azure = call.azure

    async def work() -> None:
        await azure.pause(azure.state.settings.scale_set_update)
        _fill_identities(call, scale_set)
        if scale_set.hidden["operation"] is operation:
            scale_set.properties["provisioningState"] = "Succeeded"
        operation.succeed()

    answer = _answer(200, _copy(scale_set.body), headers, cost)
    azure.spawn(work())
    return answer


def _copy(body: JsonObject) -> JsonObject:
    """The identity is still to change behind this answer."""
    copied = {**body, "properties": dict(body["properties"])}
    if "identity" in body:
        identity = copied["identity"] = dict(body["identity"])
        if "userAssignedIdentities" in identity:
            identity["userAssignedIdentities"] = dict(identity["userAssignedIdentities"])
    return copied


def _change_identity(call: Call, scale_set: Resource, given: JsonObject) -> None:
    kind = str(given.get("type") or "").replace(" ", "").lower()
    kinds = {"none": "None", "systemassigned": "SystemAssigned", "userassigned": "UserAssigned"}
    kinds["systemassigned,userassigned"] = "SystemAssigned, UserAssigned"
    if kind not in kinds:
        raise arm_error(400, "InvalidIdentityType", f"The identity type '{given.get('type')}' is invalid.")
    asked: JsonObject = given.get("userAssignedIdentities") or {}
    added = [resource_id for resource_id, value in asked.items() if value is not None]
    removed = {ids.key(resource_id) for resource_id, value in asked.items() if value is None}
    user = "userassigned" in kind.split(",")
    if added and not user:
        message = f"The identity type '{given['type']}' does not allow userAssignedIdentities to be assigned."
        raise arm_error(400, "InvalidIdentityType", message)
    _check_number(scale_set, asked)
    check_linked(call, f"{scale_set.type}/write", added)
    _check_existence(call, scale_set, added)
    identity: JsonObject = dict(scale_set.body.get("identity") or {})
    carried: JsonObject = dict(identity.get("userAssignedIdentities") or {}) if user else {}
    carried = {key: value for key, value in carried.items() if ids.key(key) not in removed}
    present = {ids.key(key) for key in carried}
    for resource_id in added:
        if ids.key(resource_id) not in present:
            made = scale_sets.entry(call.state, resource_id)
            # Empty until the operation ends, as recorded.
            carried[made[0] if made else resource_id] = {}
    if user and not carried:
        message = f"The identity type '{given['type']}' needs at least one user-assigned identity."
        raise arm_error(400, "InvalidIdentityType", message)
    identity["type"] = kinds[kind]
    if "systemassigned" in kind.split(","):
        _system_identity(call, scale_set, identity)
    else:
        identity = {key: value for key, value in identity.items() if key not in ("principalId", "tenantId")}
    scale_sets.set_carried(scale_set, identity, carried)


def _system_identity(call: Call, scale_set: Resource, identity: JsonObject) -> None:
    if "principalId" not in identity:
        principal = call.state.new_managed_identity(scale_set.name, scale_set.id)
        scale_set.hidden["principal"] = principal.object_id
        identity["principalId"] = principal.object_id
        identity["tenantId"] = call.state.tenant_id


def _check_existence(call: Call, scale_set: Resource, wanted: list[str]) -> None:
    missing = [resource_id for resource_id in wanted if call.state.get(resource_id) is None]
    if missing:
        raise _failed_identity_operation(scale_set, f"Resource '{','.join(missing)}' was not found.")


def _check_number(scale_set: Resource, asked: JsonObject) -> None:
    if len(asked) > IDENTITY_LIMIT:
        found = f"User Assigned Identities Number '{len(asked)}' Assign exceed limit '{IDENTITY_LIMIT}' in one request."
        raise _failed_identity_operation(scale_set, found)


def _failed_identity_operation(scale_set: Resource, message: str) -> AzureError:
    inner = '{"error":{"code":"BadRequest","message":"' + message + '"}}'
    return arm_error(
        400,
        "FailedIdentityOperation",
        f"Identity operation for resource '{scale_set.id}' failed with error 'Failed to perform resource identity"
        f" operation. Status: 'BadRequest'. Response: '{inner}'.'.",
    )


def _fill_identities(call: Call, scale_set: Resource) -> None:
    carried = (scale_set.body.get("identity") or {}).get("userAssignedIdentities") or {}
    for key, value in list(carried.items()):
        made = scale_sets.entry(call.state, key)
        if not value and made is not None:
            carried[key] = made[1]


# machines in no scale set: nothing of them is recorded, they answer as scale sets do


async def get_machine(call: Call) -> Answer:
    return _answer(200, _require(call, VIRTUAL_MACHINE).body, cost="GetVM")


async def list_machines(call: Call) -> Answer:
    return _list(call, require_group(call).id, VIRTUAL_MACHINE)


async def list_machines_in_subscription(call: Call) -> Answer:
    return _list(call, f"/subscriptions/{call.subscription}", VIRTUAL_MACHINE)


async def patch_machine(call: Call) -> Answer:
    return _patch(call, _require(call, VIRTUAL_MACHINE), "PutVM")


async def manual_upgrade(call: Call) -> Answer:
    """Instances take over the model; there is nothing to take over here but time."""
    scale_set = _require(call)
    operation, headers, monitor = _start_operation(call, scale_set.body["location"])
    azure = call.azure

    async def work() -> None:
        await azure.pause(1)
        operation.succeed()

    azure.spawn(work())
    return _answer(202, None, {**headers, "Location": monitor}, "VMScaleSetActions")


# instances


async def list_instances(call: Call) -> Answer:
    scale_set = _require(call)
    found = []
    for instance in scale_sets.instances(call.state, scale_set):
        view = _with_view(instance) if "instanceview" in call.query.get("$expand", "").lower() else instance.body
        found.append(view)
    return _answer(200, {"value": found}, cost="HighCostGetVMScaleSet")


def _with_view(instance: Resource) -> JsonObject:
    properties = {**instance.properties, "instanceView": _view(instance)}
    return {**instance.body, "properties": properties}


def _view(instance: Resource) -> JsonObject:
    ready = [
        ("ProvisioningState/succeeded", "Provisioning succeeded"),
        ("PowerState/deallocated", "VM deallocated")
        if instance.hidden.get("deallocated")
        else ("PowerState/running", "VM running"),
    ]
    agent = {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Ready",
        "message": "Guest Agent is running",
    }
    return {
        "placementGroupId": str(uuid.UUID(int=0)),
        "computerName": instance.properties["osProfile"]["computerName"],
        "osName": "ubuntu",
        "osVersion": "22.04",
        "vmAgent": {"vmAgentVersion": "2.9.1.1", "statuses": [agent], "extensionHandlers": []},
        "disks": [],
        "statuses": [{"code": code, "level": "Info", "displayStatus": text} for code, text in ready],
    }


async def get_instance(call: Call) -> Answer:
    instance = _require_instance(call)
    expanded = "instanceview" in call.query.get("$expand", "").lower()
    return _answer(200, _with_view(instance) if expanded else instance.body)


async def instance_view(call: Call) -> Answer:
    return _answer(200, _view(_require_instance(call)))


async def list_interfaces(call: Call) -> Answer:
    """Of an instance; Microsoft.Network answers, in api-versions of its own."""
    instance = _require_instance(call)
    address = call.azure.compute.address_of(instance.id)
    name = instance.body["properties"]["networkProfile"]["networkInterfaces"][0]["id"].rpartition("/")[2]
    interface_id = f"{instance.id}/networkInterfaces/{name}"
    configuration = {
        "name": "ipconfig1",
        "id": f"{interface_id}/ipConfigurations/ipconfig1",
        "properties": {
            "provisioningState": "Succeeded",
            "privateIPAllocationMethod": "Dynamic",
            "primary": True,
            "privateIPAddressVersion": "IPv4",
            **({"privateIPAddress": address} if address else {}),
        },
    }
    properties = {
        "provisioningState": "Succeeded",
        "ipConfigurations": [configuration],
        "primary": True,
        "enableIPForwarding": True,
        "virtualMachine": {"id": instance.id},
    }
    return _answer(200, {"value": [{"name": name, "id": interface_id, "properties": properties}]})


# run-command


async def run_command(call: Call) -> Answer:
    """Runs on the machine behind the instance; one at a time, last bytes of the output only."""
    instance = _require_instance(call)
    script = _script(call.json())
    _check_free([instance])
    if instance.hidden.get("running"):
        raise arm_error(
            409,
            "Conflict",
            "Run command extension execution is in progress. Please wait for completion before invoking a run command.",
        )
    operation, headers, monitor = _start_operation(call, instance.body["location"])
    instance.hidden["running"] = True
    azure = call.azure

    async def work() -> None:
        try:
            status, out, err = await azure.compute.run_command(instance.id, script, SCRIPT_TIMEOUT)
        except ComputeError as error:
            operation.fail(
                "VMAgentStatusCommunicationError",
                f"VM '{instance.name}' has not reported status for VM agent or extensions. Verify that the OS is up and"
                f" healthy and the VM has a running VM agent. ({error})",
            )
            return
        except Exception:
            operation.fail("InternalExecutionError", "An internal execution error occurred. Please retry later.")
            raise
        finally:
            instance.hidden["running"] = False
        operation.succeed({"value": [_result(status, out, err)]})

    azure.spawn(work())
    return _answer(202, None, {**headers, "Location": monitor}, "VMScaleSetActions")


def _result(status: int, out: bytes, err: bytes) -> JsonObject:
    head = (
        "Enable succeeded: "
        if status == 0
        else f"Enable failed: failed to execute command: command terminated with exit status={status}"
    )
    return {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Provisioning succeeded",
        "message": f"{head}\n[stdout]\n{_tail(out)}\n[stderr]\n{_tail(err)}",
    }


def _tail(output: bytes) -> str:
    return output[-OUTPUT_LIMIT:].decode(errors="replace")


def _script(given: JsonObject) -> str:
    command = given.get("commandId")
    if command != "RunShellScript":
        raise arm_error(400, "InvalidParameter", f"The value of parameter commandId '{command}' is invalid on Linux.")
    script = "\n".join(given.get("script") or [])
    if not script.strip():
        raise arm_error(400, "InvalidParameter", "Required parameter 'script' is missing (null).")
    if len(script.encode()) > SCRIPT_LIMIT:
        raise _too_long(len(script.encode()))
    lines = [f"set -- {' '.join(shlex.quote(str(p.get('value', ''))) for p in given.get('parameters') or [])}"]
    for parameter in given.get("parameters") or []:
        if re.fullmatch(r"[A-Za-z_]\w*", str(parameter.get("name", ""))):
            lines.append(f"export {parameter['name']}={shlex.quote(str(parameter.get('value', '')))}")
    return "\n".join([*lines, script]) if given.get("parameters") else script


def _too_long(size: int) -> AzureError:
    return arm_error(
        400,
        "InvalidParameter",
        f"The script has {size} bytes; a run command takes at most {SCRIPT_LIMIT} bytes.",
    )


# reimage


async def reimage_instance(call: Call) -> Answer:
    return _reimage(call, [_require_instance(call)])


async def reimage_scale_set(call: Call) -> Answer:
    """The instances that are named; without names all of them."""
    scale_set = _require(call)
    named = call.json().get("instanceIds")
    found = {instance.name: instance for instance in scale_sets.instances(call.state, scale_set)}
    unknown = [str(each) for each in named or () if str(each) not in found]
    if unknown:
        message = f"The provided instanceId {unknown[0]} is not an active Virtual Machine Scale Set VM instanceId."
        raise arm_error(400, "InvalidParameter", message)
    return _reimage(call, list(found.values()) if named is None else [found[str(each)] for each in named])


def _reimage(call: Call, instances: list[Resource]) -> Answer:
    """New systems on the machines behind the instances, all at once, as Azure does it."""
    _check_free(instances)
    if any(instance.hidden.get("running") for instance in instances):
        raise _concurrent()
    operation, headers, monitor = _start_operation(call, _require(call).body["location"])
    azure = call.azure
    for instance in instances:
        instance.properties["provisioningState"] = "Updating"
        instance.hidden["reimaging"] = True

    async def work() -> None:
        state = "Failed"
        try:
            await azure.pause(azure.state.settings.instance_reimage)
            await asyncio.gather(*(azure.compute.reimage(instance.id) for instance in instances))
            state = "Succeeded"
            operation.succeed()
        except ComputeError as error:
            operation.fail(
                "OSProvisioningTimedOut",
                f"OS Provisioning for VM did not finish in the allotted time. ({error})",
            )
        except Exception:
            operation.fail("InternalExecutionError", "An internal execution error occurred. Please retry later.")
            raise
        finally:
            for instance in instances:
                instance.properties["provisioningState"] = state
                instance.hidden.pop("reimaging")

    azure.spawn(work())
    return _answer(202, None, {**headers, "Location": monitor}, "VMScaleSetVMActions")


def _check_free(instances: list[Resource]) -> None:
    """Other updates of an instance do not stand against a command: Azure was recorded to take one meanwhile."""
    if any(instance.hidden.get("deallocated") for instance in instances):
        raise arm_error(409, "OperationNotAllowed", "Cannot modify extensions in the VM when the VM is not running.")
    if any(instance.hidden.get("reimaging") for instance in instances):
        raise _concurrent()


def _concurrent() -> AzureError:
    return arm_error(
        409,
        "Conflict",
        "The request failed due to conflict with a concurrent request. To resolve it, please refer to"
        " https://aka.ms/activitylog to get more details on the conflicting requests.",
    )


ROUTES = (
    Route("GET", SUB + "/providers/Microsoft.Compute/locations/{location}/operations/{operation}", get_operation),
    Route("GET", SUB + COLLECTION, list_in_subscription, f"{SCALE_SET}/read"),
    Route("GET", RG + COLLECTION, list_in_group, f"{SCALE_SET}/read"),
    Route("GET", ITEM, get_scale_set, f"{SCALE_SET}/read"),
    Route("PATCH", ITEM, patch_scale_set, f"{SCALE_SET}/write"),
    Route("POST", ITEM + "/manualupgrade", manual_upgrade, f"{SCALE_SET}/manualUpgrade/action"),
    Route("POST", ITEM + "/reimage", reimage_scale_set, f"{SCALE_SET}/reimage/action"),
    # With data disks, which nodes have none of; what az sends where instances are named.
    Route("POST", ITEM + "/reimageall", reimage_scale_set, f"{SCALE_SET}/reimageAll/action"),
    Route("GET", SUB + SINGLE_COLLECTION, list_machines_in_subscription, f"{VIRTUAL_MACHINE}/read"),
    Route("GET", RG + SINGLE_COLLECTION, list_machines, f"{VIRTUAL_MACHINE}/read"),
    Route("GET", SINGLE, get_machine, f"{VIRTUAL_MACHINE}/read"),
    Route("PATCH", SINGLE, patch_machine, f"{VIRTUAL_MACHINE}/write"),
    Route("GET", MACHINES, list_instances, f"{INSTANCE}/read"),
    Route("GET", MACHINE, get_instance, f"{INSTANCE}/read"),
    Route("GET", MACHINE + "/instanceView", instance_view, f"{INSTANCE}/instanceView/read"),
    Route("GET", MACHINE + "/networkInterfaces", list_interfaces, f"{INSTANCE}/networkInterfaces/read"),
    Route("POST", MACHINE + "/runCommand", run_command, f"{INSTANCE}/runCommand/action"),
    Route("POST", MACHINE + "/reimage", reimage_instance, f"{INSTANCE}/reimage/action"),
)
