# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file system and the processes of one node.

A node has a root directory of its own (the host's /usr read-only, everything else its own) and all namespaces of its
own. `prepare` lays its files down, `main` becomes the node.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from . import cgroups, linux, network, paths, pki
from .azure.compute import ClusterSpec, NodeSpec

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "kubelet", "kube-proxy")
PAUSE_IMAGE = "mcr.microsoft.com/oss/kubernetes/pause:3.6"

_COPIED_FROM_ETC = tuple(
    (
        "alternatives bash.bashrc debian_version group ld.so.cache ld.so.conf ld.so.conf.d localtime login.defs "
        "nsswitch.conf os-release pam.d passwd profile protocols security services ssl/openssl.cnf sudo.conf "
        "sudoers"
    ).split()
)

# kubelet insists on these settings of the whole machine. It finds them set, and the machine keeps its own.
_SYSCTLS = {
    "kernel/keys/root_maxbytes": "25000000",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}

_CONTAINERD = """\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "/usr/sbin/runc"
        SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "/etc/cni/net.d"
"""

_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
UsePAM no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Access:
    """What a node gets from the cluster and the sandbox that it belongs to."""

    cluster_ca: pki.Pair
    azure_ca: bytes
    ssh_host_key: pki.Pair
    operator_key: bytes
    """The line for authorized_keys."""


@dataclass(frozen=True)
class Node:
    cluster: ClusterSpec
    spec: NodeSpec
    subnet: network.Subnet
    index: int
    root: Path
    """Directory that becomes its root."""

    @property
    def address(self) -> str:
        return self.subnet.node(self.index)

    @property
    def scale_set(self) -> str:
        parts = self.spec.instance_id.split("/")
        return parts[[part.lower() for part in parts].index("virtualmachinescalesets") + 1]

    def labels(self) -> dict[str, str]:
        return {
            "agentpool": self.spec.pool,
            "kubernetes.azure.com/agentpool": self.spec.pool,
            "kubernetes.azure.com/cluster": self.cluster.node_resource_group,
            "kubernetes.azure.com/mode": "system",
            "kubernetes.azure.com/role": "agent",
            "node.kubernetes.io/instance-type": "Standard_D2s_v5",
            "topology.kubernetes.io/region": self.cluster.location,
            "topology.kubernetes.io/zone": "0",
        }

    def azure_json(self) -> dict[str, object]:
        """The cloud provider's configuration, as AKS puts it on nodes; MIC reads it."""
        return {
            "cloud": "AzurePublicCloud",
            "tenantId": self.cluster.tenant_id,
            "subscriptionId": self.cluster.subscription_id,
            "aadClientId": self.cluster.service_principal_client_id or "msi",
            "aadClientSecret": self.cluster.service_principal_secret or "msi",
            "resourceGroup": self.cluster.node_resource_group,
            "location": self.cluster.location,
            "vmType": "vmss",
            "primaryScaleSetName": self.scale_set,
            "primaryAvailabilitySetName": "",
            "useManagedIdentityExtension": not self.cluster.service_principal_client_id,
            "userAssignedIdentityID": self.cluster.kubelet_client_id,
            "useInstanceMetadata": True,
            "loadBalancerSku": "Standard",
        }

    def kubelet(self) -> dict[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "0.0.0.0",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": "/etc/kubernetes/certs/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": "/etc/kubernetes/certs/kubeletserver.crt",
            "tlsPrivateKeyFile": "/etc/kubernetes/certs/kubeletserver.key",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "clusterDNS": [network.CLUSTER_DNS],
            "clusterDomain": "cluster.local",
            "providerID": f"azure://{self.spec.instance_id}",
            "resolvConf": "/etc/resolv.conf",
            "podPidsLimit": -1,
            "serializeImagePulls": False,
            # Nodes share one machine: its memory is nobody's to reserve, and its swap and disk nobody's to refuse.
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "localStorageCapacityIsolation": False,
            "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%", "memory.available": "10Mi"},
            # Changes reach pods in seconds rather than a minute.
            "syncFrequency": "10s",
            "configMapAndSecretChangeDetectionStrategy": "Watch",
            "nodeStatusUpdateFrequency": "5s",
        }

    def kube_proxy(self) -> dict[str, object]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "bindAddress": "0.0.0.0",
            "hostnameOverride": self.spec.name,
            "clusterCIDR": self.subnet.pods,
            "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig"},
            # These settings belong to the whole machine.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "oomScoreAdj": 0,
        }

    @property
    def kubenet(self) -> bool:
        return self.cluster.network_plugin == "kubenet"

    def cni(self) -> dict[str, object]:
        """Azure CNI routes: a packet between two pods of a node passes its iptables like any other. Kubenet bridges."""
        interface: dict[str, object] = (
            {"type": "bridge", "bridge": "cbr0", "isGateway": True, "promiscMode": True}
            if self.kubenet
            else {"type": "ptp"}
        )
        addresses = {
            "type": "host-local",
            "ranges": [[{"subnet": self.subnet.node_pods(self.index)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        return {
            "cniVersion": "0.4.0",
            "name": "kubenet" if self.kubenet else "azure",
            "plugins": [
                {**interface, "ipMasq": False, "ipam": addresses},
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }


def kubeconfig(server: str, ca: bytes, client: pki.Pair) -> str:
    """A kubeconfig for a component; the PEM texts are inside."""

    def data(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": {"server": server, "certificate-authority-data": data(ca)}}],
            "users": [
                {
                    "name": "client",
                    "user": {
                        "client-certificate-data": data(client.certificate),
                        "client-key-data": data(client.key),
                    },
                }
            ],
            "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "client"}}],
            "current-context": "context",
        },
        indent=1,
    )


def prepare(node: Node, access: Access, images: Path) -> None:
    """Lay down the node's file system; `images` is a containerd root directory with all images imported."""
    root = node.root
    for directory in ("dev", "opt/bin", "proc", "root", "run", "sys", "tmp", "usr", "var/lib/kubelet", "var/log"):
        (root / directory).mkdir(parents=True)
    for directory in ("mnt", "media", "srv", "home", "var/tmp", "var/cache", "var/spool", "etc/default"):
        (root / directory).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "var/tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    (root / "var/run").symlink_to("/run")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if Path("/", name).is_symlink():
            (root / name).symlink_to(Path("/", name).readlink())
        elif Path("/", name).is_dir():
            (root / name).mkdir()

    _write_etc(node, access)
    _write_kubernetes(node, access)
    _link_tree(images, root / "var/lib/containerd")
    for program in PROGRAMS:
        (root / "opt/bin" / program).touch()
    shutil.copy(Path(__file__).with_name("node-init.sh"), root / "opt/bin/node-init")
    (root / "opt/bin/node-init").chmod(0o755)


def _write(path: Path, text: str | bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)


def _write_etc(node: Node, access: Access) -> None:
    etc = node.root / "etc"
    for name in _COPIED_FROM_ETC:
        source = Path("/etc", name)
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, etc / name, symlinks=True)
        elif source.exists():
            shutil.copy(source, etc / name, follow_symlinks=source.is_symlink() and name != "os-release")
    # The accounts of the system, none of the host's people.
    passwd, group = (
        [line for line in (etc / name).read_text().splitlines() if not 1000 <= int(line.split(":")[2]) < 65534]
        for name in ("passwd", "group")
    )
    passwd.append("azureuser:x:1000:1000::/home/azureuser:/bin/bash")
    group.append("azureuser:x:1000:")
    users = [line.split(":")[0] for line in passwd]
    _write(etc / "passwd", "\n".join([*passwd, ""]))
    _write(etc / "group", "\n".join([*group, ""]))
    # No password fits, yet no account is locked, which sshd would refuse.
    _write(etc / "shadow", "".join(f"{user}:*:19000:0:99999:7:::\n" for user in users), 0o600)
    _write(etc / "sudoers.d/azureuser", "azureuser ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    _write(etc / "hostname", f"{node.spec.name}\n")
    _write(etc / "hosts", f"127.0.0.1 localhost\n{node.address} {node.spec.name}\n")
    _write(etc / "resolv.conf", f"nameserver {network.DNS_ADDRESS}\n")
    _write(etc / "machine-id", f"{os.urandom(16).hex()}\n")
    _write(etc / "ssl/certs/ca-certificates.crt", access.azure_ca)
    _write(etc / "ssh/sshd_config", _SSHD)
    _write(etc / "ssh/ssh_host_ed25519_key", access.ssh_host_key.key, 0o600)
    for home, owner in (("root", 0), ("home/azureuser", 1000)):
        _write(node.root / home / ".ssh/authorized_keys", access.operator_key, 0o600)
        (node.root / home / ".ssh").chmod(0o700)
        for path in (node.root / home, node.root / home / ".ssh", node.root / home / ".ssh/authorized_keys"):
            os.chown(path, owner, owner)


def _write_kubernetes(node: Node, access: Access) -> None:
    root, ca = node.root, access.cluster_ca
    server = f"https://{node.cluster.fqdn}:443"
    serving = pki.issue(ca, node.spec.name, names=(node.spec.name, node.address))
    kubelet = pki.issue(ca, f"system:node:{node.spec.name}", organization="system:nodes")
    proxy = pki.issue(ca, "system:kube-proxy")
    _write(root / "etc/kubernetes/azure.json", json.dumps(node.azure_json(), indent=4), 0o600)
    _write(root / "etc/kubernetes/certs/ca.crt", ca.certificate)
    _write(root / "etc/kubernetes/certs/kubeletserver.crt", serving.certificate)
    _write(root / "etc/kubernetes/certs/kubeletserver.key", serving.key, 0o600)
    _write(root / "var/lib/kubelet/kubeconfig", kubeconfig(server, ca.certificate, kubelet), 0o600)
    _write(root / "var/lib/kube-proxy/kubeconfig", kubeconfig(server, ca.certificate, proxy), 0o600)
    _write(root / "etc/kubernetes/kubelet.json", json.dumps(node.kubelet(), indent=1))
    _write(root / "etc/kubernetes/kube-proxy.json", json.dumps(node.kube_proxy(), indent=1))
    _write(root / "etc/containerd/config.toml", _CONTAINERD.format(pause=PAUSE_IMAGE))
    _write(root / "etc/cni/net.d/10-azure.conflist", json.dumps(node.cni(), indent=1))
    settings = {
        "KUBELET_NODE_IP": node.address,
        "KUBELET_NODE_LABELS": ",".join(f"{key}={value}" for key, value in node.labels().items()),
        "KUBELET_NODE_NAME": node.spec.name,
    }
    if node.kubenet:
        # As kubelets had it until Kubernetes 1.23. NMI looks for it, and ends unless it is told that this is meant.
        settings["KUBELET_FLAGS"] = "--network-plugin=kubenet"
    _write(root / "etc/default/kubelet", "".join(f"{name}={value}\n" for name, value in settings.items()))


def _link_tree(source: Path, target: Path) -> None:
    """Copy a containerd root by hard links: its contents are never changed in place, only its data bases are."""
    shutil.copytree(source, target, symlinks=True, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    if source.endswith(".db"):
        shutil.copy2(source, target)
    else:
        os.link(source, target, follow_symlinks=False)


def main(root: Path, name: str, subtree: str, netns: str) -> int:
    handle = os.open(network.NETNS / netns, os.O_RDONLY)
    linux.setns(handle, linux.CLONE_NEWNET)
    os.close(handle)
    namespaces = linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWPID
    linux.unshare(namespaces)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        linux.die_with_parent(parent)
        _become(root, name, subtree)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _become(root: Path, name: str, subtree: str) -> None:
    """As process 1 of the new namespaces: make `root` the root and run the node's init in it."""
    shown = cgroups.here()
    cgroups.create(subtree)
    cgroups.join(subtree)
    linux.unshare(linux.CLONE_NEWCGROUP)
    linux.mount("none", Path("/"), flags=linux.MS_REC | linux.MS_PRIVATE)
    linux.sethostname(name)
    linux.bind(root, root)
    for directory in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if Path("/", directory).is_dir() and not Path("/", directory).is_symlink():
            linux.bind(Path("/", directory), root / directory, read_only=True)
    for program in PROGRAMS:
        linux.bind((paths.BIN / program).resolve(), root / "opt/bin" / program, read_only=True)
    _mount_dev(root / "dev")
    linux.mount("tmpfs", root / "run", "tmpfs", options="mode=755")
    linux.mount("tmpfs", root / "tmp", "tmpfs", options="mode=1777")
    linux.mount("sysfs", root / "sys", "sysfs")
    linux.mount("proc", root / "proc", "proc")
    # A node has a kernel of its own, which counts its starts.
    for sysctl, value in {**_SYSCTLS, "kernel/random/boot_id": str(uuid.uuid4())}.items():
        fake = root / "run/sysctl" / sysctl
        _write(fake, f"{value}\n")
        linux.bind(fake, root / "proc/sys" / sysctl, read_only=True)

    old = root / "mnt"
    linux.pivot_root(root, old)
    os.chdir("/")
    linux.detach(Path("/mnt"))
    cgroups.mount_own(shown)
    cgroups.join_leaf("init")
    linux.mount("none", Path("/"), flags=linux.MS_REC | linux.MS_SHARED)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    environment = {
        "PATH": "/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
    }
    os.execve("/opt/bin/node-init", ["/opt/bin/node-init"], environment)


def _mount_dev(dev: Path) -> None:
    """A /dev without the machine's disks."""
    linux.mount("tmpfs", dev, "tmpfs", flags=linux.MS_NOSUID, options="mode=755")
    for device in ("null", "zero", "full", "random", "urandom", "tty", "kmsg"):
        (dev / device).touch()
        linux.bind(Path("/dev", device), dev / device)
    for directory, fstype, options in (
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5"),
        ("shm", "tmpfs", "mode=1777"),
        ("mqueue", "mqueue", ""),
    ):
        (dev / directory).mkdir()
        linux.mount(fstype, dev / directory, fstype, linux.MS_NOSUID | linux.MS_NOEXEC, options)
    for name, link in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1")):
        (dev / name).symlink_to(link)
    (dev / "stderr").symlink_to("fd/2")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]))
