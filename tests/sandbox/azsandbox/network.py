# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses and routes of the sandbox.

The outer network namespace is the fabric of the simulated Azure. It routes between

- ``public``: a bridge with the services of Azure and the API servers of all clusters,
- ``vnet<n>``: a bridge per cluster with its nodes,
- ``workstation``: the link to the operator's machine, which a filter holds to what an operator may reach,

and answers itself on Azure's two link-local-like addresses, instance metadata and DNS. There is no uplink. Everything
else is a network namespace with an ``eth0`` into one of these and a default route to the fabric. Handles of namespaces
are in a private /run/netns.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from .commands import run

NETNS = Path("/run/netns")

IMDS_ADDRESS = "169.254.169.254"
DNS_ADDRESS = "168.63.129.16"
AZURE_ADDRESS = "203.0.113.10"
"""All services of Azure that have a public name."""
AZURE_NAMES = tuple(
    (
        "management.azure.com login.microsoftonline.com login.microsoft.com login.windows.net sts.windows.net "
        "graph.microsoft.com raw.githubusercontent.com"
    ).split()
)
"""Those names, but for the issuers of clusters."""
REGISTRY_ADDRESS = "203.0.113.11"
REGISTRY_NAME = "contoso.azurecr.io"
"""A registry for OCI artifacts, such as somebody's mirror of charts."""
PUBLIC_GATEWAY = "203.0.113.1"
WORKSTATION_ADDRESS = "198.51.100.10"
WORKSTATION_GATEWAY = "198.51.100.1"

CLUSTERS = 12
"""How many clusters the address plan has room for at a time."""
NODES = 200
"""How many nodes a cluster may have."""

SERVICES = "10.0.0.0/16"
CLUSTER_DNS = "10.0.0.10"
API_SERVICE = "10.0.0.1"


@dataclass(frozen=True)
class Subnet:
    """The addresses of the cluster with a given number (0..11); those of the first are AKS's defaults."""

    number: int

    @property
    def bridge(self) -> str:
        return f"vnet{self.number}"

    @property
    def nodes(self) -> str:
        return f"10.{224 + self.number}.0.0/16"

    @property
    def gateway(self) -> str:
        return f"10.{224 + self.number}.0.1"

    @property
    def control_plane(self) -> str:
        """The control plane's second leg, by which it reaches kubelets, pods and services."""
        return f"10.{224 + self.number}.0.2"

    @property
    def api_server(self) -> str:
        """The public address of the API server."""
        return f"203.0.113.{64 + self.number}"

    @property
    def pods(self) -> str:
        return f"10.{244 + self.number}.0.0/16"

    def node(self, index: int) -> str:
        return f"10.{224 + self.number}.0.{4 + index}"

    def node_pods(self, index: int) -> str:
        return f"10.{244 + self.number}.{index}.0/24"


def node_at(address: str) -> tuple[int, int] | None:
    """Cluster number and node index that an address of a node or of one of its pods belongs to."""
    try:
        first, second, third, fourth = ipaddress.IPv4Address(address).packed
    except ValueError:
        return None
    if first == 10 and 244 <= second < 244 + CLUSTERS:
        return second - 244, third
    if first == 10 and 224 <= second < 224 + CLUSTERS and third == 0 and fourth >= 4:
        return second - 224, fourth - 4
    return None


async def links(*commands: str, netns: str | None = None) -> None:
    """Run ``ip`` commands in one process, in the fabric or in a namespace of the sandbox."""
    where = ["-n", netns] if netns else []
    await run("ip", *where, "-batch", "-", stdin="\n".join(commands).encode())


async def settings(netns: str | None = None) -> None:
    """Make the namespace route, and believe what arrives: paths through the fabric are not symmetric."""
    script = (
        "cd /proc/sys/net/ipv4; echo 1 >ip_forward; echo 0 >ip_unprivileged_port_start; for d in all default; do"
        " echo 0 >conf/$d/rp_filter; echo 0 >conf/$d/send_redirects; echo 0 >conf/$d/accept_redirects; done;"
        " for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e $f ] || echo 1 >$f; done"
    )
    where = ["nsenter", f"--net={NETNS / netns}"] if netns else []
    await run(*where, "sh", "-ec", script)


async def fabric() -> None:
    """Set up the outer namespace and the workstation's."""
    await settings()
    await links(
        "link set lo up",
        f"addr add {IMDS_ADDRESS}/32 dev lo",
        f"addr add {DNS_ADDRESS}/32 dev lo",
        "link add public type bridge",
        f"addr add {PUBLIC_GATEWAY}/24 dev public",
        f"addr add {AZURE_ADDRESS}/24 dev public",
        f"addr add {REGISTRY_ADDRESS}/24 dev public",
        "link set public up",
    )
    await attach("workstation", "workstation", None, f"{WORKSTATION_ADDRESS}/24", WORKSTATION_GATEWAY)
    await links(f"addr add {WORKSTATION_GATEWAY}/24 dev workstation")
    rules = [
        "*filter",
        ":INPUT ACCEPT",
        ":FORWARD ACCEPT",
        ":OUTPUT ACCEPT",
        f"-A INPUT -i workstation -d {DNS_ADDRESS} -p udp --dport 53 -j ACCEPT",
        f"-A INPUT -i workstation -d {DNS_ADDRESS} -p tcp --dport 53 -j ACCEPT",
        f"-A INPUT -i workstation -d {AZURE_ADDRESS} -p tcp --dport 443 -j ACCEPT",
        f"-A INPUT -i workstation -d {REGISTRY_ADDRESS} -p tcp --dport 443 -j ACCEPT",
        "-A INPUT -i workstation -j REJECT",
        "-A FORWARD -i workstation -o public -p tcp --dport 443 -j ACCEPT",
        "-A FORWARD -i workstation -d 10.224.0.0/12 -p tcp --dport 22 -j ACCEPT",
        "-A FORWARD -i workstation -j REJECT",
        "COMMIT",
        "",
    ]
    await run("iptables-restore", stdin="\n".join(rules).encode())


async def attach(netns: str, link: str, bridge: str | None, address: str, gateway: str | None, mac: str = "") -> None:
    """Make the namespace if need be, and a link to it; `link` is the fabric's end, ``eth<n>`` the other."""
    exists = (NETNS / netns).exists()
    if not exists:
        await run("ip", "netns", "add", netns)
        await settings(netns)
    name = "eth1" if exists else "eth0"
    await links(
        f"link add {link} type veth peer name {name} {f'address {mac}' if mac else ''} netns {netns}",
        *([f"link set {link} master {bridge}"] if bridge else []),
        f"link set {link} up",
    )
    await links(
        "link set lo up",
        f"addr add {address} dev {name}",
        f"link set {name} up",
        *([f"route add default via {gateway}"] if gateway else []),
        netns=netns,
    )


def control_plane_netns(subnet: Subnet) -> str:
    return f"control-plane-{subnet.number}"


async def add_cluster(subnet: Subnet, nodes: int) -> None:
    """Set up the virtual network of a cluster and the namespace of its control plane."""
    await links(
        f"link add {subnet.bridge} type bridge",
        f"addr add {subnet.gateway}/16 dev {subnet.bridge}",
        f"link set {subnet.bridge} up",
        *(f"route add {subnet.node_pods(index)} via {subnet.node(index)}" for index in range(nodes)),
    )
    netns = control_plane_netns(subnet)
    await attach(netns, f"api{subnet.number}", "public", f"{subnet.api_server}/24", PUBLIC_GATEWAY)
    await attach(netns, f"cp{subnet.number}", subnet.bridge, f"{subnet.control_plane}/16", None)
    # The API server calls webhooks, and passes on aggregated requests, to the addresses of pods.
    await links(
        *(f"route add {subnet.node_pods(index)} via {subnet.node(index)}" for index in range(nodes)),
        netns=netns,
    )


async def add_node(subnet: Subnet, index: int) -> str:
    """Set up the namespace of a node, whose name is returned."""
    netns, link = node_netns(subnet, index), _node_link(subnet, index)
    # A network interface of Azure outlives its machine's system, so what its neighbors know of it stays true.
    mac = f"00:0d:3a:00:{subnet.number:02x}:{index:02x}"
    await attach(netns, link, subnet.bridge, f"{subnet.node(index)}/16", subnet.gateway, mac)
    return netns


async def remove_node(subnet: Subnet, index: int) -> None:
    """Remove what `add_node` set up, after the node's processes have ended."""
    netns, link = node_netns(subnet, index), _node_link(subnet, index)
    # The link first: that of a deleted namespace goes later, and its name would be taken until then.
    await links(f"link delete {link}")
    await run("ip", "netns", "delete", netns)


def node_netns(subnet: Subnet, index: int) -> str:
    return f"node-{subnet.number}-{index}"


def _node_link(subnet: Subnet, index: int) -> str:
    """The fabric's end of the link to a node."""
    return f"n{subnet.number}-{index}"


async def remove_cluster(subnet: Subnet) -> None:
    """Remove what the functions above set up, whole or in part, after its processes have ended."""
    number = subnet.number
    names = {f"api{number}", f"cp{number}", subnet.bridge}
    # Links first: those of a deleted namespace go later, and their names would be taken until then.
    existing = [link.name for link in Path("/sys/class/net").iterdir()]
    await links(*(f"link delete {name}" for name in existing if name in names or name.startswith(f"n{number}-")))
    for handle in sorted(NETNS.iterdir()):
        if handle.name == control_plane_netns(subnet) or handle.name.startswith(f"node-{number}-"):
            await run("ip", "netns", "delete", handle.name)
