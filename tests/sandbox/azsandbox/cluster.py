# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One managed cluster: its control plane and the nodes of its scale sets, as running processes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import yaml

from . import (
    addons,
    cgroups,
    commands,
    network,
    network_policies,
    node,
    pki,
    pod_identity_addon,
    workload_identity_addon,
)
from .azure.compute import DISCOVERY, KEYS, ClusterSpec, ComputeError
from .azure.tokens import AKS_SERVER
from .state import State

_TIMEOUT = 180.0
"""Seconds for a control plane or a node to become ready; ten times what it takes on two idle cores."""

_AUDITED: dict[str, object] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
        {
            "level": "None",
            "users": [
                *(f"system:{each}" for each in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns")),
                "system:apiserver",
            ],
        },
        {"level": "None", "nonResourceURLs": ["/readyz"]},
        {
            "level": "Metadata",
            "resources": [
                {"group": "", "resources": ["secrets", "serviceaccounts/token"]},
                {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
            ],
        },
        {"level": "Request"},
    ],
}
"""What people and programs ask of the API server, without what secrets hold and what the cluster does by itself."""

_COREFILE = """\
.:53 {{
  bind {address}
  errors
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {kubeconfig}
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
  }}
  forward . {resolver}
  cache 5
  loadbalance
}}
"""


class Cluster:
    """A cluster that is started once and stopped once."""

    def __init__(self, state: State, spec: ClusterSpec, subnet: network.Subnet) -> None:
        self.state = state
        self.spec = spec
        self.subnet = subnet
        self.directory = state.world / "clusters" / str(subnet.number)
        self.ca = pki.authority("ca")
        self.admin = pki.issue(self.ca, "masterclient", organization="system:masters")
        self.nodes = [
            node.Node(spec, each, subnet, index, self.directory / "nodes" / each.name)
            for index, each in enumerate(spec.nodes)
        ]
        self._engine: asyncio.Task[None] | None = None
        """Of NetworkPolicies."""
        self._processes: dict[str, Process] = {}
        """The control plane's programs and, by their names, the nodes."""
        self._changing = asyncio.Lock()
        self.halted = False
        self._published: dict[str, dict[str, object]] = {}
        """Documents of its issuer by their paths, as Azure has them: also while its API server does not run."""
        self._since = ""
        """What nodes say of themselves counts from here on."""

    # Life

    async def start(self, progress: Callable[[str], None]) -> None:
        """Return when every node is Ready; ComputeError when a part ends or it takes too long."""
        self._pki.mkdir(parents=True)
        (self.directory / "etcd").mkdir(mode=0o700)
        os.chown(self.directory / "etcd", self.state.user(self.subnet.number), -1)
        self._logs.mkdir(parents=True, exist_ok=True)
        await network.add_cluster(self.subnet, len(self.nodes))
        await asyncio.to_thread(self._write_pki)
        await self._program("etcd", *self._etcd())
        await self._program("kube-apiserver", *self._api_server())
        await asyncio.gather(*(self._start_node(each) for each in self.nodes))
        progress("control plane and nodes are starting")
        await self._wait("its API server to become ready", self._api_ready)
        await self._publish_issuer()
        progress("API server is ready")
        await self._program("kube-controller-manager", *self._controller_manager())
        await self._program("kube-scheduler", *self._scheduler())
        await self._program("coredns", *self._dns())
        await self._apply_defaults()
        await self._wait("its service accounts", self._accounts_ready)
        await self._wait("its DNS server to become ready", self._dns_ready)
        await self._wait("its nodes to become Ready", self._nodes_ready)
        progress(f"{len(self.nodes)} nodes are Ready")
        self._start_engine()
        await self._deploy_addons(self.spec)

    async def stop(self) -> None:
        """Kill everything and remove every trace."""
        if self._engine is not None:
            self._engine.cancel()
        async with self._changing:
            await asyncio.gather(*(commands.kill(process) for process in self._processes.values()))
            await asyncio.gather(*(asyncio.to_thread(cgroups.remove, self._subtree(each), 30.0) for each in self.nodes))
            await network.remove_cluster(self.subnet)
            for file in self._announced:
                file.unlink(missing_ok=True)
            if self.directory.exists():
                await asyncio.to_thread(shutil.rmtree, self.directory)

    async def halt(self) -> None:
        """End everything but the data base; nodes lose their systems. Once more, it does nothing."""
        async with self._changing:
            if self.halted:
                return
            self.halted = True
            kept = {"etcd": self._processes["etcd"]}
            ended = [process for name, process in self._processes.items() if name not in kept]
            self._processes = kept
            await asyncio.gather(*(commands.kill(process) for process in ended))
            for machine in self.nodes:
                await asyncio.to_thread(cgroups.remove, self._subtree(machine), 30.0)
                await network.remove_node(self.subnet, machine.index)
                await asyncio.to_thread(shutil.rmtree, machine.root)

    async def resume(self, progress: Callable[[str], None], publish: Callable[[], None]) -> None:
        """Start it again, as one whose name ``publish`` tells; return when every node is Ready."""
        async with self._changing:
            if self.halted:
                self.halted = False
                publish()  # kubelets go by the name
                self._since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                await self._program("kube-apiserver", *self._api_server())
                await asyncio.gather(*(self._start_node(each) for each in self.nodes))
            await self._wait("its API server to become ready", self._api_ready)
            progress("API server is ready")
            others = (
                ("kube-controller-manager", self._controller_manager),
                ("kube-scheduler", self._scheduler),
                ("coredns", self._dns),
            )
            for name, arguments in others:
                if name not in self._processes:
                    await self._program(name, *arguments())
            await self._wait("its DNS server to become ready", self._dns_ready)
            await self._wait("its nodes to become Ready", self._nodes_ready)

    async def reimage(self, name: str) -> None:
        """Put a new node in the place of one, under its name and addresses; it goes on when nobody waits any more."""
        await asyncio.shield(self._replace(next(each for each in self.nodes if each.spec.name == name)))

    async def _replace(self, machine: node.Node) -> None:
        async with self._changing:
            if not self.directory.exists():
                raise ComputeError(f"Cluster {self.spec.name} is not running.")
            await commands.kill(self._processes.pop(machine.spec.name))
            await asyncio.to_thread(cgroups.remove, self._subtree(machine), 30.0)
            await network.remove_node(self.subnet, machine.index)
            await asyncio.to_thread(shutil.rmtree, machine.root)
            await self._start_node(machine)

    @property
    def _announced(self) -> tuple[Path, Path]:
        number = self.subnet.number
        return self.state.clusters / f"{number}.json", self.state.clusters / f"{number}.kubeconfig"

    def announce(self) -> None:
        """Leave on file what `status` and the kubectl of `exec` need to know."""
        facts, config = self._announced
        config.touch(mode=0o600)
        config.write_bytes(self.user_kubeconfig(admin=True))
        nodes = {machine.spec.name: machine.address for machine in self.nodes}
        spec = self.spec
        facts.write_text(
            json.dumps(
                {
                    "name": spec.name,
                    "resource_group": spec.resource_group,
                    "fqdn": spec.fqdn,
                    "api_server": self.subnet.api_server,
                    "nodes": nodes,
                }
            )
        )

    def add_script(self, name: str, script: str) -> str:
        """Put a script on a node where the guest agent would, and return its path there."""
        machine = next(each for each in self.nodes if each.spec.name == name)
        downloads = machine.root / "var/lib/waagent/run-command/download"
        downloads.mkdir(parents=True, exist_ok=True)
        directory = downloads / str(len(list(downloads.iterdir())))
        directory.mkdir(mode=0o700)
        (directory / "script.sh").write_text(script)
        return f"/{(directory / 'script.sh').relative_to(machine.root)}"

    async def update(self, spec: ClusterSpec) -> None:
        """Change what the API server says about itself and whom it admits (it restarts), its engine and add-ons."""
        old, self.spec = self.spec, spec
        if (spec.issuer_url, spec.admin_groups) != (old.issuer_url, old.admin_groups):
            await commands.kill(self._processes.pop("kube-apiserver"))
            await self._program("kube-apiserver", *self._api_server())
            await self._wait("its API server to become ready", self._api_ready)
            await self._publish_issuer()
            await self._apply_administrators()
        self._start_engine()
        await self._deploy_addons(old)

    def _start_engine(self) -> None:
        if self.spec.network_policies and self._engine is None:
            netns = [network.node_netns(self.subnet, each.index) for each in self.nodes]
            engine = network_policies.Engine(self._call, netns, lambda: self.spec.network_policies)
            self._engine = asyncio.create_task(engine.run())

    async def _deploy_addons(self, old: ClusterSpec) -> None:
        """Bring the add-ons to what is desired."""
        spec = self.spec
        if spec.workload_identity:
            await workload_identity_addon.deploy(self._call, spec.tenant_id)
        elif old.workload_identity:
            await workload_identity_addon.remove(self._call, spec.tenant_id)
        if spec.pod_identity is not None:
            await pod_identity_addon.deploy(self._call, spec.pod_identity)
        elif old.pod_identity is not None:
            await pod_identity_addon.remove(self._call)

    def init_of(self, name: str) -> int:
        """The process id of a node's init; ComputeError when the node is not running."""
        process = self._processes.get(name)
        found: list[str] = []
        if process is not None and process.returncode is None:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            found = children.read_text().split() if children.exists() else []
        if not found:
            raise ComputeError(f"Node {name} is not running.")
        return int(found[0])

    def running(self) -> dict[str, bool]:
        """Which of the cluster's processes are alive."""
        return {name: process.returncode is None for name, process in self._processes.items()}

    async def _wait(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait for a condition; ComputeError when a part of the cluster has ended meanwhile or time is up."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                while not await condition():
                    for name, process in self._processes.items():
                        if process.returncode is not None:
                            raise ComputeError(
                                f"Cluster {self.spec.name}: {name} ended with {process.returncode}:"
                                f" {commands.tail(self._logs / f'{name}.log')}"
                            )
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise ComputeError(f"Cluster {self.spec.name} waited {_TIMEOUT:.0f} s in vain for {what}.") from None

    # Processes

    @property
    def _logs(self) -> Path:
        return self.state.logs / f"cluster-{self.subnet.number}"

    @property
    def _pki(self) -> Path:
        return self.directory / "pki"

    def _subtree(self, machine: node.Node) -> str:
        return f"node-{self.subnet.number}-{machine.index}"

    async def _program(self, name: str, *arguments: str) -> None:
        """Start a program of the control plane in the control plane's network namespace."""
        netns = network.NETNS / network.control_plane_netns(self.subnet)
        user = self.state.user(self.subnet.number)
        self._processes[name] = await commands.start(
            "nsenter",
            f"--net={netns}",
            *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig=KILL"),
            str(self.state.programs / name),
            *arguments,
            log=self._logs / f"{name}.log",
        )

    async def _start_node(self, machine: node.Node) -> None:
        netns = await network.add_node(self.subnet, machine.index)
        access = node.Access(
            cluster_ca=self.ca,
            azure_ca=(self.state.pki / "ca.crt").read_bytes(),
            ssh_host_key=pki.Pair(b"", (self.state.pki / "ssh_host_key").read_bytes()),
            operator_key=(self.state.home / ".ssh" / "id_ed25519.pub").read_bytes(),
        )
        await asyncio.to_thread(node.prepare, machine, access, self.state.images)
        name = machine.spec.name
        self._processes[name] = await commands.start(
            sys.executable,
            "-m",
            "azsandbox.node",
            str(machine.root),
            name,
            self._subtree(machine),
            netns,
            log=self._logs / f"{name}.log",
        )

    def _write_pki(self) -> None:
        token_key = pki.token_key()
        pairs = {
            "ca": self.ca,
            "token": token_key,
            "admin": self.admin,
            "front-proxy": pki.issue(self.ca, "front-proxy-client"),
            "api-server": pki.issue(
                self.ca,
                "apiserver",
                names=(
                    self.spec.fqdn,
                    "kubernetes",
                    "kubernetes.default",
                    "kubernetes.default.svc",
                    "kubernetes.default.svc.cluster.local",
                    "localhost",
                    self.subnet.api_server,
                    network.API_SERVICE,
                ),
            ),
        }
        for name, pair in pairs.items():
            self._write(f"{name}.crt", pair.certificate)
            self._write(f"{name}.key", pair.key)
        for component in ("kube-controller-manager", "kube-scheduler", "coredns"):
            client = pki.issue(self.ca, f"system:{component}")
            text = node.kubeconfig(f"https://{self.subnet.api_server}:443", self.ca.certificate, client)
            self._write(f"{component}.kubeconfig", text.encode())

    def _write(self, name: str, data: bytes) -> None:
        path = self._pki / name
        path.touch(mode=0o600)
        path.write_bytes(data)
        os.chown(path, self.state.user(self.subnet.number), -1)

    def _etcd(self) -> list[str]:
        # A cluster lives as long as its memory, so its data base need not reach a disk.
        return [
            f"--data-dir={self.directory / 'etcd'}",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_server(self) -> list[str]:
        files = self._pki
        self._write("audit.json", json.dumps(_AUDITED).encode())
        (self._logs / "audit.log").touch(mode=0o600)
        os.chown(self._logs / "audit.log", self.state.user(self.subnet.number), -1)
        own_issuer = f"https://{self.spec.fqdn}"
        issuers = [f"--service-account-issuer={own_issuer}"]
        if self.spec.issuer_url is not None:
            # The first one signs; tokens of the other, issued before, stay valid.
            issuers = [
                f"--service-account-issuer={self.spec.issuer_url}",
                *issuers,
                f"--service-account-jwks-uri={self.spec.issuer_url.rstrip('/')}/openid/v1/jwks",
            ]
        entra: list[str] = []
        if self.spec.admin_groups is not None:
            self._write("entra.json", json.dumps(self._entra_login()).encode())
            entra = [f"--authentication-config={files / 'entra.json'}"]
        return [
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=0.0.0.0",
            "--secure-port=443",
            f"--advertise-address={self.subnet.api_server}",
            f"--service-cluster-ip-range={network.SERVICES}",
            f"--tls-cert-file={files / 'api-server.crt'}",
            f"--tls-private-key-file={files / 'api-server.key'}",
            f"--client-ca-file={files / 'ca.crt'}",
            *issuers,
            *entra,
            f"--service-account-key-file={files / 'token.crt'}",
            f"--service-account-signing-key-file={files / 'token.key'}",
            "--authorization-mode=Node,RBAC",
            "--anonymous-auth=false",
            "--allow-privileged=true",
            "--enable-admission-plugins=NodeRestriction",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-client-certificate={files / 'admin.crt'}",
            f"--kubelet-client-key={files / 'admin.key'}",
            f"--kubelet-certificate-authority={files / 'ca.crt'}",
            # Webhooks are called at the addresses of their pods: nothing here translates those of services.
            "--enable-aggregator-routing=true",
            f"--requestheader-client-ca-file={files / 'ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={files / 'front-proxy.crt'}",
            f"--proxy-client-key-file={files / 'front-proxy.key'}",
            f"--audit-policy-file={files / 'audit.json'}",
            f"--audit-log-path={self._logs / 'audit.log'}",
        ]

    def _entra_login(self) -> dict[str, object]:
        """Users and groups go by their object ids."""
        tenant = self.spec.tenant_id
        return {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [
                {
                    "issuer": {
                        "url": f"https://sts.windows.net/{tenant}/",
                        "discoveryURL": f"https://login.microsoftonline.com/{tenant}/.well-known/openid-configuration",
                        "audiences": [AKS_SERVER],
                        "certificateAuthority": (self.state.pki / "ca.crt").read_text(),
                    },
                    "claimMappings": {
                        "username": {"claim": "oid", "prefix": ""},
                        "groups": {"claim": "groups", "prefix": ""},
                    },
                }
            ],
        }

    def _controller_manager(self) -> list[str]:
        files = self._pki
        return [
            f"--kubeconfig={files / 'kube-controller-manager.kubeconfig'}",
            f"--service-account-private-key-file={files / 'token.key'}",
            f"--root-ca-file={files / 'ca.crt'}",
            f"--cluster-signing-cert-file={files / 'ca.crt'}",
            f"--cluster-signing-key-file={files / 'ca.key'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--allocate-node-cidrs=false",
        ]

    def _scheduler(self) -> list[str]:
        return [f"--kubeconfig={self._pki / 'kube-scheduler.kubeconfig'}", "--leader-elect=false"]

    def _dns(self) -> list[str]:
        """The cluster's names are the API server's, all others those of Azure's resolver."""
        corefile = self.directory / "Corefile"
        corefile.write_text(
            _COREFILE.format(
                address=self.subnet.control_plane,
                kubeconfig=self._pki / "coredns.kubeconfig",
                resolver=network.DNS_ADDRESS,
            )
        )
        return [f"-conf={corefile}"]

    # The Kubernetes API

    async def _call(self, method: str, path: str, body: object = None, kind: str = "application/json") -> object:
        """One request as administrator; aiohttp.ClientError when it fails."""
        context = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
        context.load_cert_chain(self._pki / "admin.crt", self._pki / "admin.key")
        url = f"https://{self.subnet.api_server}:443{path}"
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.request(
                method,
                url,
                ssl=context,
                data=None if body is None else json.dumps(body),
                headers={} if body is None else {"Content-Type": kind},
            ) as response,
        ):
            text = await response.text()
            return json.loads(text) if "json" in response.content_type else text

    async def _api_ready(self) -> bool:
        try:
            return await self._call("GET", "/readyz") == "ok"
        except aiohttp.ClientError:
            return False

    async def _accounts_ready(self) -> bool:
        """Whether pods may be created."""
        answer = await self._call("GET", "/api/v1/namespaces/default/serviceaccounts")
        assert isinstance(answer, dict)
        return bool(answer["items"])

    async def _dns_ready(self) -> bool:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{self.subnet.control_plane}:8181/ready") as response,
            ):
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def _nodes_ready(self) -> bool:
        answer = await self._call("GET", "/api/v1/nodes")
        assert isinstance(answer, dict)
        found = {item["metadata"]["name"]: item for item in answer["items"]}
        ready = True
        for machine in self.nodes:
            item = found.get(machine.spec.name)
            if item is None:
                ready = False
                continue
            if "podCIDR" not in item["spec"]:
                cidr = self.subnet.node_pods(machine.index)
                await self._call(
                    "PATCH",
                    f"/api/v1/nodes/{machine.spec.name}",
                    {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}},
                    "application/strategic-merge-patch+json",
                )
            conditions = {
                each["type"]: each["status"]
                for each in item["status"].get("conditions", [])
                if each["lastHeartbeatTime"] >= self._since
            }
            ready = ready and conditions.get("Ready") == "True"
        return ready

    async def _apply_defaults(self) -> None:
        """Cluster DNS under its usual name; its server is a process of the control plane instead of a deployment."""
        rules = [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ]
        rbac, name = "rbac.authorization.k8s.io", "system:coredns"
        role = {"metadata": {"name": name}, "rules": rules}
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": name}],
        }
        await self._call("POST", f"/apis/{rbac}/v1/clusterroles", role)
        await self._call("POST", f"/apis/{rbac}/v1/clusterrolebindings", binding)

        ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
        service = {"metadata": {"name": "kube-dns"}, "spec": {"clusterIP": network.CLUSTER_DNS, "ports": ports}}
        endpoints = {
            "metadata": {"name": "kube-dns", "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [self.subnet.control_plane], "conditions": {"ready": True}}],
            "ports": ports,
        }
        await self._call("POST", "/api/v1/namespaces/kube-system/services", service)
        await self._call("POST", "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices", endpoints)

        # The marks of AKS's own namespace, which its webhooks leave out.
        own = {"metadata": {"labels": {**addons.MANAGED, "control-plane": "true"}}}
        await self._call("PATCH", "/api/v1/namespaces/kube-system", own, "application/merge-patch+json")

        await self._apply_administrators()

    async def _apply_administrators(self) -> None:
        """The groups whose members may do everything."""
        if self.spec.admin_groups is None:
            return
        rbac, name = "rbac.authorization.k8s.io", "aks-cluster-admin-binding-aad"
        binding = {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": rbac, "kind": "Group", "name": each} for each in self.spec.admin_groups],
        }
        path = f"/apis/{rbac}/v1/clusterrolebindings/{name}?fieldManager=aks&force=true"
        await self._call("PATCH", path, binding, "application/apply-patch+yaml")

    async def _publish_issuer(self) -> None:
        """Hand the documents of its issuer to Azure."""
        for path in (DISCOVERY, KEYS):
            document = await self._call("GET", path)
            assert isinstance(document, dict)
            self._published[path] = document

    def published(self, path: str) -> dict[str, object]:
        """A document of its issuer; ComputeError before there is any."""
        if path not in self._published:
            raise ComputeError(f"The API server of cluster {self.spec.name} has not started yet.")
        return self._published[path]

    def user_kubeconfig(self, admin: bool) -> bytes:
        """What Azure hands out: YAML with the names that `az aks get-credentials` expects."""
        role = "Admin" if admin else "User"
        user = f"cluster{role}_{self.spec.resource_group}_{self.spec.name}"
        document = json.loads(node.kubeconfig(f"https://{self.spec.fqdn}:443", self.ca.certificate, self.admin))
        context = self.spec.name  # `az` itself appends -admin
        document["clusters"][0]["name"] = self.spec.name
        document["users"][0]["name"] = user
        if self.spec.admin_groups is not None and not admin:
            document["users"][0]["user"] = {"exec": self._kubelogin()}
        document["contexts"] = [{"name": context, "context": {"cluster": self.spec.name, "user": user}}]
        document["current-context"] = context
        return yaml.safe_dump(document, sort_keys=False).encode()

    def _kubelogin(self) -> dict[str, object]:
        """How people log in to a cluster with Entra login."""
        options = {
            "--environment": "AzurePublicCloud",
            "--server-id": AKS_SERVER,
            "--client-id": "80faf920-1908-4b52-b5ef-a8e7bedfc67a",
            "--tenant-id": self.spec.tenant_id,
            "--login": "devicecode",
        }
        return {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "kubelogin",
            "args": ["get-token", *(word for option in options.items() for word in option)],
            "env": None,
            "provideClusterInfo": False,
        }
