# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the image of execution-environment.yml holds, as the root of a file system, made without a container engine.

Everything comes from the context that `ansible-builder create` writes: its Containerfile names the packages of pip, its
introspect.py finds what the collections need, and its go.mod is that of the helm that the sandbox has built. The base
image alone is made up: the essential packages of this machine's Debian, and a Python of the image's version with the
libraries that it is linked to. Nothing is asked of a network from inside the root. The collection itself is no part of
it, because it changes with each commit: who enters the root brings it, see ENTER.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from azsandbox import images, paths, programs, toolenvs
from azsandbox.progress import BuildError, Item, Work, output, run, whole

DEFINITION = paths.CHECKOUT / "execution-environment.yml"
COLLECTIONS = Path("usr/share/ansible/collections")
"""Where the image has its collections."""
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
ENTRYPOINT = ("/opt/builder/bin/entrypoint", "dumb-init")
USER = "1000:0"
_READ = ("execution-environment.yml", "meta/execution-environment.yml", "requirements.txt", "bindep.txt")
ENTER = """
set -eu
root=$1
shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot --userspec="${USERSPEC:-0:0}" "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 "$@"
"""
"""A command in a root, as the user and group USERSPEC. A shell runs it in a mount namespace of its own."""
RUN = f"""
set -eu
image=$1 scratch=$2 collections=$3 private=$4 bundle=$5
shift 5
mount -t tmpfs none "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
root=$scratch/root
mount -t overlay overlay -o "lowerdir=$image,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mkdir -p "$root{BUNDLE.rpartition("/")[0]}" "$root/{COLLECTIONS}"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp "$bundle" "$root{BUNDLE}"
chown -R {USER} "$private"
mount --bind "$private" "$root/runner"
mount --bind "$collections" "$root/{COLLECTIONS}"
export USERSPEC={USER}
exec sh -c "$ENTER" sh "$root" HOME=/runner {" ".join(ENTRYPOINT)} "$@"
"""
"""A command as a container of the image runs it, with ENTER in the environment and a folder for what it writes.

`private` is mounted as /runner, as ansible-runner and AWX do.
"""
_UNPACK = """
set -eu -o pipefail
for package in "$1"/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$2"; done
"""


def python_version() -> str:
    """That of the base image, as in 3.13."""
    found = re.search(r"/python:(\d+\.\d+)-", DEFINITION.read_text())
    if found is None:
        raise BuildError(f"{DEFINITION} names no Python image as its base.")
    return found[1]


def python() -> str | None:
    """The Python of this machine that stands for the one of the base image; None where there is none."""
    return toolenvs.interpreter(python_version())


def root() -> Path:
    """Where it lies once it is built."""
    read = [(paths.CHECKOUT / name).read_bytes() for name in _READ]
    others = (str(python()), programs.built("helm").name, toolenvs.collections_key(), _release())
    return paths.CACHE / "execution-environments" / paths.digest(*read, Path(__file__).read_bytes(), *others)


def item() -> Item:
    return Item("execution environment", lambda: root().is_dir(), _make)


def create(context: Path, log: Path) -> None:
    """Write the context of the image."""
    builder = toolenvs.BUILDER.path / "bin/ansible-builder"
    given = ["--file", str(DEFINITION), "--context", str(context), "--output-filename", "Containerfile"]
    run([builder, "create", *given], log)


def arguments(containerfile: str) -> dict[str, str]:
    """The values of its build arguments."""
    return dict(re.findall(r'^ARG (\w+)="(.*)"$', containerfile, re.MULTILINE))


@functools.cache
def _release() -> str:
    return Path("/etc/os-release").read_text()


def _make(work: Work) -> None:
    with tempfile.TemporaryDirectory() as temporary, whole(root()) as directory:
        scratch = Path(temporary)
        context = scratch / "context"
        create(context, work.log)
        needs = _Needs.of(context, scratch, work.log)
        _debian(directory, [*_essential(), *needs.packages], scratch, work.log)
        _python(directory, work.log)
        _install(directory, needs.of_python, scratch, work.log)
        for source, place, mode in (
            (context / "_build/scripts/entrypoint", "opt/builder/bin/entrypoint", 0o755),
            (programs.built("helm") / "bin/helm", "usr/local/bin/helm", 0o755),
        ):
            (directory / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, directory / place)
            (directory / place).chmod(mode)
        (directory / "etc/passwd").chmod(0o664)
        (directory / "runner").mkdir()
        (directory / "runner").chmod(0o775)


class _Needs:
    """Of the image: packages of Debian, and requirements of pip."""

    def __init__(self, packages: list[str], of_python: list[str]) -> None:
        self.packages = packages
        self.of_python = of_python

    @classmethod
    def of(cls, context: Path, scratch: Path, log: Path) -> _Needs:
        collections = scratch / "collections/ansible_collections"
        shutil.copytree(paths.COLLECTIONS / "ansible_collections/kubernetes", collections / "kubernetes")
        for name in ("galaxy.yml", *_READ[1:]):
            place = collections / "azureops/pod_identity" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(paths.CHECKOUT / name, place)
        tools = toolenvs.BUILDER.path / "bin"
        bindep, pip = scratch / "bindep.txt", scratch / "requirements.txt"
        introspect = context / "_build/scripts/introspect.py"
        written = (f"--write-bindep={bindep}", f"--write-pip={pip}")
        run([tools / "python", introspect, "introspect", scratch / "collections", *written], log)
        # It ends with 1 where a package is missing on this machine, which does not matter here.
        told = subprocess.run(
            [tools / "bindep", "--file", bindep, "-l", "newline"], capture_output=True, text=True, check=False
        )
        if told.returncode not in (0, 1) or not told.stdout.split():
            raise BuildError(f"bindep does not understand what the collections need: {told.stdout}{told.stderr}")
        containerfile = (context / "Containerfile").read_text()
        init = re.findall(r"pip install --no-cache-dir '(\S+)'", containerfile)
        references = arguments(containerfile)["ANSIBLE_INSTALL_REFS"].split()
        required = toolenvs.lines(pip.read_text())
        return cls(told.stdout.split(), [*references, *init, *required])


def _essential() -> list[str]:
    listed = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${Essential}\n"], capture_output=True, text=True, check=True
    )
    return [line.split()[0] for line in listed.stdout.splitlines() if line.endswith(" yes")]


def _debian(root: Path, packages: list[str], scratch: Path, log: Path) -> None:
    """Unpack the packages with all that they depend on, as if nothing were installed on this machine."""
    status, archives = scratch / "status", scratch / "archives"
    status.touch()
    (archives / "partial").mkdir(parents=True)
    settings = {
        "Dir::State::status": status,
        "Dir::Cache::archives": archives,
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    run(["apt-get", "update", "-q"], log)
    run(["apt-get", *options, "install", "-y", "--no-install-recommends", "--download-only", *packages], log)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    run(["bash", "-c", _UNPACK, "bash", archives, root], log)
    # What scripts of these packages would do.
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    if not (root / "usr/bin/sh").exists():
        (root / "usr/bin/sh").symlink_to("dash")
    for name in ("dev", "proc", "run", "tmp"):
        (root / name).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def _python(root: Path, log: Path) -> None:
    """The interpreter in /usr/local, which it takes for its own place, with the libraries that it is linked to."""
    version, interpreter = python_version(), python()
    if interpreter is None:
        raise BuildError(f"This machine has no Python {version}, which the image of {DEFINITION.name} has.")
    question = [interpreter, "-c", "import sys, sysconfig; print(sys.base_prefix, sysconfig.get_path('stdlib'))"]
    prefix, standard = (Path(each) for each in output(question, log, cwd=root, env={}).split())
    target = root / f"usr/local/lib/python{version}"
    left_out = shutil.ignore_patterns("__pycache__", "site-packages", "test", "tests", "idlelib", "tkinter")
    shutil.copytree(standard, target, ignore=left_out, symlinks=True, dirs_exist_ok=True)
    (target / "site-packages").mkdir()
    binaries = root / "usr/local/bin"
    binaries.mkdir(parents=True, exist_ok=True)
    shutil.copyfile((prefix / f"bin/python{version}").resolve(), binaries / f"python{version}")
    (binaries / f"python{version}").chmod(0o755)
    (binaries / "python3").symlink_to(f"python{version}")
    shared = [str(each) for each in (binaries / f"python{version}", *target.rglob("*.so"))]
    for library in map(Path, images.libraries(shared)):
        place = root / (f"usr/local/lib/{library.name}" if library.is_relative_to(prefix) else str(library)[1:])
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(library.resolve(), place)
    run(["/sbin/ldconfig", "-r", root], log)  # /usr/local/lib is known by its cache alone


def _install(root: Path, requirements: list[str], scratch: Path, log: Path) -> None:
    """Have pip inside install the requirements, from wheels that come from outside."""
    interpreter, wheels = python(), root / "wheels"
    assert interpreter
    pip: list[str | Path] = [scratch / "pip/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    run([interpreter, "-m", "venv", scratch / "pip"], log)
    run([*pip, "wheel", "--progress-bar=off", "--wheel-dir", wheels, *requirements], log)
    options = ("--no-index", "--find-links=/wheels", "--no-cache-dir", "--root-user-action=ignore")
    for command in (("ensurepip",), ("pip", "install", *options, *requirements)):
        run(["unshare", "--mount", "sh", "-c", ENTER, "sh", root, "python3", "-m", *command], log)
    shutil.rmtree(wheels)
