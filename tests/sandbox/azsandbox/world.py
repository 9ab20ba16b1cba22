# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside the sandbox: its init, and the supervisor that sets everything up and takes orders.

Process 1 of the outer namespaces only reaps; when it ends, the kernel ends everything else. Its one child, the
supervisor, runs the resolver, the registry and the simulated Azure. Clusters are children of the simulated Azure and
end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from asyncio.subprocess import Process
from pathlib import Path

from . import azure_process, cgroups, commands, linux, network, paths, registry, resolver, workstation
from .state import SandboxError, State

_TIMEOUT = 60.0
_NOT_FOR_IMPORT = ("grpc.v1.cri", "cri.v1.images", "cri.v1.runtime")


def init(state: State, report: int) -> int:
    """Process 1. `report` is a file descriptor for progress lines, closed when everything is up."""
    shown = cgroups.here()
    linux.mount("none", Path("/"), flags=linux.MS_REC | linux.MS_PRIVATE)
    _own_run(state)
    linux.mount("proc", Path("/proc"), "proc")
    linux.mount("sysfs", Path("/sys"), "sysfs")
    cgroups.mount_own(shown)
    cgroups.join_leaf("init")
    linux.sethostname("azure")

    supervisor = os.fork()
    if supervisor == 0:
        linux.die_with_parent(1)
        try:
            asyncio.run(_supervise(state, report))
        except (SandboxError, commands.CommandError, OSError, TimeoutError) as error:
            os.write(report, f"error {error}\n".encode())
        os._exit(1)
    os.close(report)
    while os.wait()[0] != supervisor:
        pass
    return 1


def _own_run(state: State) -> None:
    """Give the sandbox a /run of its own, for its network namespaces, that shares only the states with the host."""
    linux.mount("tmpfs", state.world, "tmpfs", options="mode=711,size=8g")
    run = state.world / "run"
    shared = run / paths.STATE.relative_to("/run")
    shared.mkdir(parents=True)
    (run / "netns").mkdir()
    run.chmod(0o755)
    state.programs.mkdir()
    linux.bind(paths.BIN, state.programs, read_only=True)
    linux.mount(str(paths.STATE), shared, flags=linux.MS_BIND | linux.MS_REC)
    linux.mount(str(run), Path("/run"), flags=linux.MS_BIND | linux.MS_REC)


async def _supervise(state: State, report: int) -> None:
    def progress(line: str) -> None:
        os.write(report, f"progress {line}\n".encode())

    parts: dict[str, Process] = {}
    workstation.furnish(state)
    await network.fabric()
    parts["resolver"] = await resolver.start(state)
    parts["registry"] = await registry.start(state)
    progress("network, resolver and registry are up")
    await import_images(state)
    progress("container images are imported")
    parts["azure"] = await azure_process.start(state)
    progress("the simulated Azure answers")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One order per connection: `reset`, answered by `ok`, or `status`, answered by the parts that are running."""
        try:
            order = (await reader.readline()).decode().strip()
            if order == "reset":
                await _reset(state, parts)
                answer = "ok"
            elif order == "status":
                answer = " ".join(name for name, part in parts.items() if part.returncode is None)
            else:
                answer = f"There is no order {order!r}."
        except (SandboxError, commands.CommandError, OSError, TimeoutError) as error:
            answer = str(error)
        writer.write(f"{answer}\n".encode())
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, state.control)
    os.write(report, b"ready\n")
    os.close(report)
    async with server:
        await server.serve_forever()


async def import_images(state: State) -> None:
    """Import every image once, by a containerd that ends again: nodes start from copies of its root directory."""
    directory = state.images.parent
    directory.mkdir()
    config = directory / "config.toml"
    socket = directory / "containerd.sock"
    config.write_text(
        f'version = 3\nroot = "{state.images}"\nstate = "{directory / "state"}"\n'
        f"disabled_plugins = {json.dumps([f'io.containerd.{plugin}' for plugin in _NOT_FOR_IMPORT])}\n"
        f'[grpc]\n  address = "{socket}"\n'
    )
    environment = {"PATH": f"{state.programs}:{os.environ['PATH']}"}
    daemon = await commands.start(
        str(state.programs / "containerd"), "--config", str(config), log=state.logs / "images.log", env=environment
    )
    async with asyncio.timeout(_TIMEOUT):
        while not socket.exists():
            if daemon.returncode is not None:
                raise SandboxError(f"containerd ended: {commands.tail(state.logs / 'images.log')}")
            await asyncio.sleep(0.05)
    for archive in sorted((state.directory / "archives").iterdir()):
        await commands.run(
            str(state.programs / "ctr"),
            f"--address={socket}",
            "--namespace=k8s.io",
            "images",
            "import",
            "--local",
            "--discard-unpacked-layers",
            str(archive),
        )
    daemon.send_signal(signal.SIGTERM)
    await daemon.wait()


async def _reset(state: State, parts: dict[str, Process]) -> None:
    """End the simulated Azure, with all clusters, and the registry, and start them anew; the resolver, if it ended."""
    for name in ("azure", "registry"):
        await commands.kill(parts[name])
    for group in [each for each in cgroups.children() if each.startswith("node-")]:
        await asyncio.to_thread(cgroups.remove, group, 30.0)
    for number in range(network.CLUSTERS):
        await network.remove_cluster(network.Subnet(number))
    for directory in (state.world / "clusters", state.clusters, state.azure):
        if directory.exists():
            await asyncio.to_thread(shutil.rmtree, directory)
    for directory in (state.clusters, state.azure):
        directory.mkdir(mode=0o700)
    if (state.home / ".azure-cli").exists():  # holds tokens that the new Azure did not sign
        await asyncio.to_thread(shutil.rmtree, state.home / ".azure-cli")
    for account in state.principals.iterdir():
        if account.stem != azure_process.OPERATOR:
            account.unlink()
    if parts["resolver"].returncode is None:
        resolver.publish(state, {})
    else:
        parts["resolver"] = await resolver.start(state)
    parts["registry"] = await registry.start(state)
    parts["azure"] = await azure_process.start(state)
