# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container images of the sandbox under their real names, put together from built programs and Debian's files.

Entry points, users and what a shell in the image can do follow the Dockerfiles of the real images. Every image is a
docker-archive of a few layers; all but the layer that holds the trusted CAs are made once and kept. Archives depend on
their contents alone: no times, no owners but root and those that are named.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from azsandbox import paths, programs, toolenvs
from azsandbox.progress import whole

_DEBIAN_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_UNUSED = 3600.0  # seconds

TOKEN_APP = "contoso.azurecr.io/tests/token-app:1"
"""An application of somebody who uses azure-identity; see token_app.py."""
_TOKEN_APP = paths.SANDBOX / "token_app.py"


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Folder:
    """A directory of its own mode; the directories above a file need not be named."""

    mode: int = 0o755
    owner: int = 0


Content = Path | bytes | Link | Folder  # a Path's contents are copied
Tree = Mapping[str, Content]  # by the path in the image, without a leading slash


@dataclass(frozen=True)
class Image:
    reference: str
    layers: tuple[str, ...]  # names of layers; the one of the trusted CAs comes on top
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    directory: str = ""
    environment: tuple[str, ...] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)


def images() -> tuple[Image, ...]:
    """The images of every sandbox, their tags from the versions of the built programs."""
    place, tag = "mcr.microsoft.com/oss/azure/aad-pod-identity", programs.version("aad-pod-identity")
    trust = f"SSL_CERT_FILE=/{_BUNDLE}"
    distroless = {"user": "65532", "directory": "/home/nonroot", "environment": (*Image("", ()).environment, trust)}
    return (
        Image("mcr.microsoft.com/oss/kubernetes/pause:3.6", ("pause",), ("/pause",), user="65535:65535"),
        Image("mcr.microsoft.com/azurelinux/base/core:3.0", ("shell", "curl"), command=("/bin/bash",)),
        Image(f"{place}/nmi:{tag}", ("shell", "iptables", "nmi"), ("nmi",), user="nonroot"),
        Image(f"{place}/mic:{tag}", ("distroless", "mic"), ("mic",), **distroless),  # type: ignore[arg-type]
        Image(f"{place}/demo:{tag}", ("distroless", "demo"), ("demo",), **distroless),  # type: ignore[arg-type]
    )


def workload_identity_images() -> tuple[Image, ...]:
    """The images of Workload ID, for sandboxes that have it."""
    place, tag = "mcr.microsoft.com/oss/azure/workload-identity", programs.version("workload-identity")
    return (
        Image(f"{place}/webhook:{tag}", ("distroless", "webhook"), ("/manager",), user="65532:65532"),
        Image(f"{place}/proxy:{tag}", ("distroless", "proxy"), ("/proxy",), user="1501:1501"),
        Image(
            f"{place}/proxy-init:{tag}",
            ("shell", "iptables", "proxy-init"),
            ("./bin/init-iptables.sh",),
            user="65532:65532",
            directory="/",
        ),
        Image(
            TOKEN_APP,
            ("distroless", "python", "token-app"),
            ("/usr/local/bin/python3", "/app/token_app.py"),
            user="65532:65532",
            environment=(
                *Image("", ()).environment,
                f"SSL_CERT_FILE=/{_BUNDLE}",
                f"REQUESTS_CA_BUNDLE=/{_BUNDLE}",
                "LD_LIBRARY_PATH=/usr/local/lib",
                "PYTHONPATH=/app/packages",
                "PYTHONDONTWRITEBYTECODE=1",
            ),
        ),
    )


def build(ca_pem: bytes, wanted: Sequence[Image]) -> Path:
    """The directory with one docker-archive per image, in which ca_pem is trusted beside Debian's CAs.

    Nothing else lies in it. What nobody has asked for within an hour is removed. Sandboxes that start at the same time
    wait for each other.
    """
    with (paths.CACHE / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(ca_pem, wanted)


def _build(ca_pem: bytes, wanted: Sequence[Image]) -> Path:
    layers = _layers({name for image in wanted for name in image.layers})
    bundle = _DEBIAN_BUNDLE.read_bytes() + b"\n" + ca_pem
    target = paths.IMAGES / paths.digest(bundle, *map(repr, wanted), *(file.name for file in layers.values()))
    if target.is_dir():
        os.utime(target)
        return target
    _forget_unused()
    trust = _tar({_BUNDLE: bundle})
    with whole(target) as directory:
        for image in wanted:
            with (directory / (re.sub(r"[/:]", "_", image.reference) + ".tar")).open("wb") as out:
                _archive(out, image, layers, trust)
    return target


def _layers(names: Iterable[str]) -> dict[str, Path]:
    """The layers but the CAs' as files, each made anew when its program, a package or this file changed."""
    query = "dpkg-query --show bash coreutils conntrack curl dash grep ipset iptables sed".split()
    installed = subprocess.run(query, capture_output=True, check=True).stdout
    folder = paths.IMAGES / "layers"
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in sorted(names):
        source = _source(name) or installed
        files[name] = folder / f"{name}-{paths.digest(source, Path(__file__).read_bytes())}.tar"
        if files[name].exists():
            os.utime(files[name])
            continue
        new = folder / f".new.{name}"
        new.write_bytes(_tar(_tree(name)))
        new.rename(files[name])
    return files


def _source(name: str) -> str | bytes:
    """What a layer is made of, where that is not Debian's files alone."""
    if name in _PROGRAMS:
        return programs.built(_PROGRAMS[name][0]).name
    if name == "token-app":
        return _TOKEN_APP.read_bytes()
    return toolenvs.TOKEN_APP.path.name if name == "python" else ""


def _forget_unused() -> None:
    for each in (*paths.IMAGES.glob("[!.]*"), *paths.IMAGES.glob("layers/[!.]*")):
        if each.name == "layers" or each.stat().st_mtime > time.time() - _UNUSED:
            continue
        if each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink()


# Layers of one program: the row that builds it, its name there, and its place in the image.
_PROGRAMS = {
    "pause": ("kubernetes", "pause", "pause"),
    "nmi": ("aad-pod-identity", "nmi", "usr/bin/nmi"),
    "mic": ("aad-pod-identity", "mic", "usr/bin/mic"),
    "demo": ("aad-pod-identity", "demo", "usr/bin/demo"),
    "webhook": ("workload-identity", "azure-wi-webhook", "manager"),
    "proxy": ("workload-identity", "azwi-proxy", "proxy"),
}


def _tree(name: str) -> Tree:
    """What a layer holds."""
    if name in _PROGRAMS:
        row, program, place = _PROGRAMS[name]
        return {place: programs.built(row) / "bin" / program}
    return _python() if name == "python" else _trees()[name]


@functools.cache
def _trees() -> dict[str, Tree]:
    """What the layers hold that are made of Debian's files."""
    nonroot = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    merged = {
        name: Link(f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin")
    }  # as Debian and Azure Linux have it
    base: Tree = {
        **merged,
        "tmp": Folder(0o1777),
        "run": Folder(),
        "var/run": Link("/run"),
        "root": Folder(0o700),
        "usr/bin": Folder(),
        "usr/lib": Folder(),
        "usr/lib64": Folder(),
        "usr/sbin": Folder(),
        "etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files dns\n",
        "etc/group": b"root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n",
    }

    def passwd(uid: int) -> bytes:
        return nonroot + f"nonroot:x:{uid}:{uid}:nonroot:/home/nonroot:/usr/sbin/nologin\n".encode()

    coreutils = [path for path in _files_of("coreutils") if PurePosixPath(path).parent.name in ("bin", "sbin")]
    shell = _with_libraries([*coreutils, "/bin/bash", "/bin/dash", "/bin/grep", "/bin/sed"])
    xtables = sorted(str(path) for path in Path("/usr/lib").glob("*/xtables/*.so"))
    multi = ["/usr/sbin/xtables-nft-multi", "/usr/sbin/xtables-legacy-multi"]
    return {
        "shell": {**base, **shell, "usr/bin/sh": Link("dash"), "etc/passwd": passwd(65532)},
        "curl": _with_libraries(["/usr/bin/curl"]),
        "iptables": {
            **_with_libraries([*multi, *xtables, "/usr/sbin/conntrack", "/usr/sbin/ipset"]),
            **_iptables_names(),
            "etc/passwd": passwd(10001),
        },
        "distroless": {**base, "etc/passwd": passwd(65532), "home/nonroot": Folder(0o700, 65532)},
        "proxy-init": {"usr/bin/init-iptables.sh": _PROXY_INIT},
        "token-app": {"app/token_app.py": _TOKEN_APP},
    }


_LEFT_OUT = re.compile(
    r"__pycache__|(site|dist)-packages|config-.*|tests?|idlelib|lib2to3|tkinter|ensurepip|pip|setuptools|pkg_resources"
)
"""Folders of an interpreter and its packages that no application needs."""


def _python() -> Tree:
    """This interpreter in /usr/local, which it takes for its own place, and the packages of the token-app."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter, standard = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    packages = toolenvs.TOKEN_APP.path / "lib" / version / "site-packages"
    tree: dict[str, Content] = {"usr/local/bin/python3": interpreter}
    for root, place in ((standard, f"usr/local/lib/{version}"), (packages, "app/packages")):
        for directory, folders, names in os.walk(root):
            folders[:] = [each for each in folders if not _LEFT_OUT.fullmatch(each)]
            for file in (Path(directory, each) for each in names):
                tree[f"{place}/{file.relative_to(root)}"] = file
    own = Path(sys.base_prefix).resolve()
    shared = [str(each) for each in tree.values() if str(each).endswith(".so")]
    for library in libraries([str(interpreter), *shared]):
        within = Path(library).resolve().is_relative_to(own)
        tree[f"usr/local/lib/{Path(library).name}" if within else _place(library)] = Path(library).resolve()
    return tree


# The images with iptables start with names that lead to this script. At its first call it finds out which back end the
# node's kubelet writes to, lets the names lead there from then on, and goes on as the program it was called as. As in
# the real images: kubelet's own chains decide; where there are none, the back end that has more rules.
_IPTABLES_WRAPPER = b"""#!/bin/sh
kubelet_chains() { grep -cE '^:(KUBE-IPTABLES-HINT|KUBE-KUBELET-CANARY) '; }
rules() { grep -c '^-'; }
saved() {
    back_end=$1
    shift
    for family in iptables ip6tables; do
        "/usr/sbin/$family-$back_end-save" "$@" 2>/dev/null
    done
}
# iptables-legacy-save is not told a table: asking for one that does not exist would create it.
if [ "$(saved nft -t mangle | kubelet_chains)" -gt 0 ]; then
    chosen=nft
elif [ "$(saved legacy | kubelet_chains)" -gt 0 ]; then
    chosen=legacy
elif [ "$(saved legacy | rules)" -gt "$(saved nft | rules)" ]; then
    chosen=legacy
else
    chosen=nft
fi
for family in iptables ip6tables; do
    for kind in '' -save -restore; do
        ln -sf "xtables-$chosen-multi" "/usr/sbin/$family$kind" 2>/dev/null ||
            exec "/usr/sbin/xtables-$chosen-multi" "${0##*/}" "$@"  # not root, or a read-only root
    done
done
exec "/usr/sbin/${0##*/}" "$@"
"""

# Sends what a pod asks of IMDS to the proxy beside it, except for what the proxy itself asks.
_PROXY_INIT = b"""#!/bin/sh
set -e
imds="-p tcp -d ${METADATA_IP:-169.254.169.254} --dport ${METADATA_PORT:-80}"
iptables -t nat -N AZWI_PROXY_OUTPUT
iptables -t nat -N AZWI_PROXY_REDIRECT
iptables -t nat -A AZWI_PROXY_REDIRECT -p tcp -j REDIRECT --to-port "${PROXY_PORT:-8000}"
iptables -t nat -A OUTPUT $imds -j AZWI_PROXY_OUTPUT
iptables -t nat -A AZWI_PROXY_OUTPUT -m owner --uid-owner "${PROXY_UID:-1501}" -j ACCEPT
iptables -t nat -A AZWI_PROXY_OUTPUT -j AZWI_PROXY_REDIRECT
iptables -t nat --list
"""


def _iptables_names() -> Tree:
    names: dict[str, Content] = {"usr/sbin/iptables-wrapper": _IPTABLES_WRAPPER}
    for family in ("iptables", "ip6tables"):
        for kind in ("", "-save", "-restore"):
            names[f"usr/sbin/{family}{kind}"] = Link("iptables-wrapper")
            for back_end in ("nft", "legacy"):
                names[f"usr/sbin/{family}-{back_end}{kind}"] = Link(f"xtables-{back_end}-multi")
    return names


def _files_of(package: str) -> list[str]:
    listed = subprocess.run(["dpkg", "--listfiles", package], capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if os.path.isfile(path)]


def _with_libraries(files: Iterable[str]) -> dict[str, Content]:
    """The files and the shared libraries that they need, in the places where the machine has them."""
    files = list(files)
    return {_place(file): Path(file).resolve() for file in (*files, *libraries(files))}


def libraries(files: Sequence[str]) -> list[str]:
    listed = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    return re.findall(r"^\t(?:\S+ => )?(/\S+) \(0x", listed, re.MULTILINE)


def _place(file: str) -> str:
    """Where the machine has a file, without a link in the directories on the way: /bin/ls -> usr/bin/ls."""
    directory, name = os.path.split(file)
    return os.path.join(os.path.realpath(directory), name).lstrip("/")


def _tar(tree: Tree) -> bytes:
    """A layer. Directories come before what is in them."""
    full: dict[str, Content] = {
        str(parent): Folder() for path in tree for parent in PurePosixPath(path).parents if parent.name
    }
    full.update(tree)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(full):
            _add(archive, path, full[path])
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, path: str, content: Content) -> None:
    entry = tarfile.TarInfo(path)
    match content:
        case Link(target):
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            archive.addfile(entry)
        case Folder(mode, owner):
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, owner
            archive.addfile(entry)
        case _:
            data = content if isinstance(content, bytes) else content.read_bytes()
            entry.size, entry.mode = len(data), 0o755 if data.startswith((b"\x7fELF", b"#!")) else 0o644
            archive.addfile(entry, io.BytesIO(data))


def _archive(out: BinaryIO, image: Image, layers: Mapping[str, Path], trust: bytes) -> None:
    blobs = [*(layers[name].read_bytes() for name in image.layers), trust]
    digests = [hashlib.sha256(blob).hexdigest() for blob in blobs]
    configuration = {
        "User": image.user,
        "Env": list(image.environment),
        "Entrypoint": list(image.entrypoint) or None,
        "Cmd": list(image.command) or None,
        "WorkingDir": image.directory,
    }
    description = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {name: value for name, value in configuration.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": "1970-01-01T00:00:00Z"} for _ in digests],
        }
    ).encode()
    name = f"{hashlib.sha256(description).hexdigest()}.json"
    files = {f"{digest}/layer.tar": blob for digest, blob in zip(digests, blobs, strict=True)}
    manifest = [{"Config": name, "RepoTags": [image.reference], "Layers": list(files)}]
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, data in {**files, name: description, "manifest.json": json.dumps(manifest).encode()}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
