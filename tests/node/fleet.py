# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes with a pod each, and the metadata service behind them: ``fleet.py FILE NAME...``, as root.

A node is a set of namespaces: network, mounts, processes and host name. What its pod sends to 169.254.169.254 is
forwarded by the node's kernel, through the node's nat tables, to a server in the network namespace of this program.
FILE appears when all is there: ``{"node": 4711}``, the process by which each node is entered. The nodes live as long as
FILE, and at most an hour.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

IMDS = "169.254.169.254"
LIFETIME = 3600

# A node of its own has none of the machine's state: empty where the clean-up saves, and where Ansible keeps files.
INIT = """
for folder in /run /tmp /var/lib; do mount -t tmpfs none $folder; done
hostname "$1"
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
echo ready
exec cat
"""
OUTSIDE = """
ip link add node{number} type veth peer name eth0 netns {node}
ip addr add 10.240.{number}.1 peer 10.240.{number}.4 dev node{number}
ip link set node{number} up
ip route add 10.244.{number}.0/24 via 10.240.{number}.4
"""
# Begins in the node and ends in the network of the pod. The kernel knows a pod's first process as "pause".
POD = """
ip addr add 10.240.{number}.4 peer 10.240.{number}.1 dev eth0
ip link set eth0 up
ip route add default via 10.240.{number}.1
ln -s /bin/sleep /run/pause
exec unshare --net sh -ec '
ip link add eth0 type veth peer name pod netns 1
nsenter --target=1 --net sh -ec "ip addr add 10.244.{number}.1/24 dev pod; ip link set pod up"
ip addr add 10.244.{number}.2/24 dev eth0
ip link set eth0 up
ip route add default via 10.244.{number}.1
echo ready
exec /run/pause infinity'
"""


class Imds(BaseHTTPRequestHandler):
    """A request that names no resource is refused, as the service does."""

    protocol_version = "HTTP/1.1"

    def version_string(self) -> str:
        return "IMDS/150.870.65.1852"

    def do_GET(self) -> None:
        body = b'{"error":"invalid_request","error_description":"Required query variable \'resource\' is missing"}'
        self.send_response(400)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    keeper: Path

    def service_actions(self) -> None:
        if not self.keeper.exists():
            sys.exit()


def entrance(node: int) -> list[str]:
    """What stands before a command that runs in the node, with the environment of a login there."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    namespaces = ["--net", "--mount", "--pid", "--uts"]
    return ["nsenter", f"--target={node}", *namespaces, "env", "-i", f"PATH={path}", "HOME=/root", "LANG=C.UTF-8"]


def _ready(*argv: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said == "ready\n", (argv, said)
    return process


def _node(name: str, number: int) -> tuple[int, list[subprocess.Popen[str]]]:
    """The first process of a new node, and what has to stay for it to live."""
    namespaces = ["--net", "--mount", "--propagation", "private", "--uts", "--pid", "--fork", "--mount-proc"]
    holder = _ready("unshare", *namespaces, "sh", "-ec", INIT, "sh", name)
    node = int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text())
    subprocess.run(["sh", "-ec", OUTSIDE.format(number=number, node=node)], check=True)
    pod = _ready(*entrance(node), "sh", "-ec", POD.format(number=number))
    return node, [holder, pod]


def _serve(file: Path, names: Sequence[str]) -> None:
    signal.alarm(LIFETIME)
    subprocess.run(["sh", "-ec", f"ip link set lo up; ip addr add {IMDS}/32 dev lo"], check=True)
    server = Server((IMDS, 80), Imds)
    server.keeper = file
    made = {name: _node(name, number) for number, name in enumerate(names)}
    file.with_suffix(".new").write_text(json.dumps({name: node for name, (node, _kept) in made.items()}))
    file.with_suffix(".new").rename(file)
    print("ready", flush=True)
    server.serve_forever()


@contextmanager
def fleet(file: Path, names: Sequence[str]) -> Iterator[dict[str, int]]:
    """Such nodes for as long as the block."""
    process = _ready(sys.executable, __file__, str(file), *names)
    try:
        yield json.loads(file.read_text())
    finally:
        file.unlink()
        process.communicate()


if __name__ == "__main__":
    if os.environ.get("FLEET") != "unshared":
        os.environ["FLEET"] = "unshared"
        own = ["unshare", "--net", "--mount", "--propagation", "private"]
        os.execvp("unshare", [*own, sys.executable, *sys.argv])
    _serve(Path(sys.argv[1]), sys.argv[2:])
