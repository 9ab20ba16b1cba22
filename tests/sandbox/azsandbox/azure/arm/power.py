# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that are stopped, started, and whose operations are canceled.

That a stopped cluster keeps its kubeconfig, that its provisioningState stays Succeeded, and the refusals of a second
stop and start are reported by users; nothing of it is recorded.
"""

from __future__ import annotations

from ..core import Azure
from ..operations import Operation
from ..routing import Call, Route
from ..state import INSTANCE, Resource
from ..wire import Answer, aks_error
from . import cluster_body, containerservice, scale_sets
from .containerservice import ACTION, ITEM, carry_out, is_stopped, states


async def stop(call: Call) -> Answer:
    return _switch(call, stopped=True)


async def start(call: Call) -> Answer:
    return _switch(call, stopped=False)


def _switch(call: Call, *, stopped: bool) -> Answer:
    cluster = containerservice.require(call)
    containerservice.check_not_busy(cluster)
    if is_stopped(cluster) is stopped or not cluster.hidden.get("running"):
        word = "stopping" if stopped else "starting"
        raise aks_error(400, "BadRequest", f"managed cluster is in {states(cluster)}, {word} cannot be performed")
    operation, headers = containerservice.start_operation(call, cluster.body["location"])
    operation.located = True
    begin(call.azure, cluster, operation, stopped=stopped)
    return Answer(202, headers={**headers, "Location": containerservice.results_url(call, operation)})


def begin(azure: Azure, cluster: Resource, operation: Operation, *, stopped: bool) -> None:
    """Stop or start the machines of a cluster in the background."""
    cluster_body.in_progress(cluster.body, "Stopping" if stopped else "Starting")
    settings = azure.state.settings

    async def work() -> None:
        await azure.pause(settings.cluster_stop if stopped else settings.cluster_start)
        if stopped:
            await azure.compute.halt(cluster.id)
        else:
            await azure.compute.resume(cluster.id, operation.progress)
        for instance in azure.state.within(scale_sets.node_group(cluster), INSTANCE):
            instance.hidden["deallocated"] = stopped
        cluster_body.set_power(cluster.body, "Stopped" if stopped else "Running")
        cluster_body.settled(cluster.body)

    cluster.hidden["operation"] = operation
    cluster.hidden["work"] = azure.spawn(carry_out(cluster, operation, work))


async def abort(call: Call) -> Answer:
    """End what is in progress; nothing to end is no error."""
    cluster = containerservice.require(call)
    state = cluster.properties["provisioningState"]
    if state == "Deleting":
        raise aks_error(
            409, "OperationNotAllowed", f"The operation of the managed cluster is {state}; it is not canceled."
        )
    if state not in containerservice.BUSY:
        return Answer(204)
    operation, headers = containerservice.start_operation(call, cluster.body["location"])

    async def work() -> None:
        await _cancel(cluster)
        operation.succeed()

    operation.located = True
    call.azure.spawn(work())
    headers["Location"] = containerservice.results_url(call, operation)
    return containerservice.answer(call, 202, cluster, headers)


async def _cancel(cluster: Resource) -> None:
    """End the work on a cluster; without any, leave it as one whose last operation was canceled."""
    work = cluster.hidden.get("work")
    if cluster.properties["provisioningState"] not in containerservice.BUSY or work is None or work.done():
        cluster_body.in_progress(cluster.body, "Canceled")
        return
    cluster_body.in_progress(cluster.body, "Canceling")
    work.cancel()
    await containerservice.ended(work)


ROUTES = (
    Route("POST", ITEM + "/stop", stop, f"{ACTION}/stop/action"),
    Route("POST", ITEM + "/start", start, f"{ACTION}/start/action"),
    Route("POST", ITEM + "/abort", abort, f"{ACTION}/abort/action"),
)
