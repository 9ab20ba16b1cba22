# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node with pods, in network namespaces."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from ansible_collections.azureops.pod_identity.tests.node.lab import Node, running

PODS = "10.244.0.0/24"


# Answers as the metadata service does, or not at all.
IMDS = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def version_string(self):
        return "IMDS/150.870.65.1853"
    def log_message(self, *words):
        pass
    def do_GET(self):
        print("asked by " + self.client_address[0], flush=True)
        time.sleep(float(sys.argv[1]))
        self.send_response(400)
        self.send_header("Content-Length", "0")
        self.end_headers()
server = http.server.ThreadingHTTPServer(("169.254.169.254", 80), Handler)
print("listening", flush=True)
server.serve_forever()
"""


@contextmanager
def node_of_azure(*, way_back: bool = True, seconds: int = 0) -> Iterator[tuple[Node, IO[str]]]:
    """A node that routes as nodes do, with its link to Azure, and what the metadata service there says.

    It answers after so many seconds.
    """
    with Node() as node, Node() as azure:
        peer = ("peer", "name", "eth0", "netns", str(azure.pid))
        node.run("ip", "link", "add", "eth0", "type", "veth", *peer)
        for namespace, address in ((node, "10.240.0.4/16"), (azure, "10.240.0.1/16")):
            namespace.run("ip", "address", "add", address, "dev", "eth0")
            namespace.run("ip", "link", "set", "eth0", "up")
            namespace.run("sh", "-c", "for all in all default; do echo 0 >/proc/sys/net/ipv4/conf/$all/rp_filter; done")
        node.run("ip", "route", "add", "default", "via", "10.240.0.1")
        node.run(
            "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet"
        )
        azure.run("ip", "address", "add", "169.254.169.254/32", "dev", "lo")
        if way_back:
            azure.run("ip", "route", "add", PODS, "via", "10.240.0.4")
        with running(azure, sys.executable, "-c", IMDS, str(seconds)) as imds:
            assert imds.readline() == "listening\n"
            yield node, imds


def everything(node: Node) -> dict[str, str]:
    """What of a node's network can be changed; what it learned of its neighbour is its own."""
    found = {what: node.run("ip", "-4", "-oneline", what, "show") for what in ("address", "link", "rule")}
    found["neighbours"] = node.run("ip", "neighbour", "show", "to", PODS)
    found["routes"] = node.run("ip", "-4", "route", "show", "table", "all")
    found["settings"] = node.run("sh", "-c", "grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv4/ip_forward")
    return {**found, **node.saves()}
