# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every check and every level of test that ``make test`` runs, in order.

The light ones run side by side, the longest of them first; they keep one processor busy, and need no other quiet.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import environments
from .runner import LOGS, Runner
from .stage import CACHE, CHECKOUT

# ansible-core lines that are supported, oldest first, each with the Python that its controller runs on here.
LANES = (("2.19", "3.11"), ("2.20", "3.12"), ("2.21", "3.13"))
# Pythons of managed nodes that modules must compile and import on.
TARGETS = ("3.9", "3.10", "3.11", "3.12", "3.13")
SANDBOX = CHECKOUT / "tests/sandbox/sandbox"
# Three sandboxes at a time: each mostly waits for its cluster.
SIDE_BY_SIDE = ("--numprocesses=3", "--dist=loadfile")


@dataclass(frozen=True)
class Step:
    name: str
    about: str
    run: Callable[[Runner], None]
    needs: str = ""
    light: bool = False
    """Runs beside others."""
    long: bool = False
    """Runs only when it is named."""


def ruff(run: Runner) -> None:
    tool = _checkers(run) / "ruff"
    cache = ["--cache-dir", CACHE / "ruff"]
    run.gate("ruff-format", [tool, "format", "--check", "--diff", *cache, "."])
    run.gate("ruff-check", [tool, "check", *cache, "."])


def mypy(run: Runner) -> None:
    tool = _checkers(run) / "mypy"
    collection = run.collection.relative_to(run.root)
    run.gate(
        "mypy",
        [tool, "--config-file", collection / "pyproject.toml", "--cache-dir", os.devnull]
        + [collection / "plugins", collection / "tests"],
        cwd=run.root,
        env={"MYPYPATH": f"{run.root}:{run.collection / 'tests/sandbox'}"},
    )


def imports(run: Runner) -> None:
    tool = _checkers(run) / "lint-imports"
    run.gate(
        "imports",
        [tool, "--no-logo", "--no-cache", run.collection / "pyproject.toml"],
        cwd=run.root,
        env={"PYTHONPATH": str(run.root)},
    )


def reuse(run: Runner) -> None:
    run.gate("reuse", [_checkers(run) / "reuse", "--root", CHECKOUT, "lint", "--lines"])


def changelog(run: Runner) -> None:
    run.gate("changelog", [_checkers(run) / "antsibull-changelog", "lint"], cwd=run.collection)


def environment(run: Runner) -> None:
    tool = _checkers(run) / "ansible-builder"
    run.gate("execution-environment", [tool, "introspect", "--sanitize", run.collection], cwd=run.root)


def docs(run: Runner) -> None:
    checkers = _checkers(run)
    run.gate(
        "docs",
        [checkers / "antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=all"]
        + ["--disallow-unknown-collection-refs", "."],
        cwd=run.collection,
        env=_ansible(run, checkers),
    )


def lint(run: Runner) -> None:
    tools = run.environment("importer", Path(sys.executable))
    run.gate(
        "ansible-lint",
        [tools / "ansible-lint", "--profile", "production", "--offline", "--strict"],
        cwd=run.collection,
        env=_ansible(run, tools),
    )


def importer(run: Runner) -> None:
    tools = run.environment("importer", Path(sys.executable))
    built = LOGS.parent / "dist"
    env = {**_ansible(run, tools), "GALAXY_IMPORTER_CONFIG": str(CHECKOUT / "tests/gates/galaxy-importer.cfg")}
    build = [tools / "ansible-galaxy", "collection", "build", "--force", "--output-path", built]
    if run.gate("build", build, cwd=run.collection, env=env):
        (artifact,) = built.glob("azureops-pod_identity-*.tar.gz")
        run.gate("galaxy-importer", [tools / "python", "-m", "galaxy_importer.main", artifact], cwd=built, env=env)


def sanity(run: Runner) -> None:
    for core, python in LANES:
        lane = _lane(run, f"sanity-{core}", core, python)
        if lane is None:
            continue
        targets = [target for target in TARGETS if environments.interpreter(target)]
        run.gate(
            f"sanity-{core}",
            # The sandbox is a program beside the collection, not in what is published; ruff and mypy hold it.
            [lane / "ansible-test", "sanity", "--color", "no", "--exclude", "tests/sandbox/"]
            + ["--controller", f"origin:python={python}"]
            + [word for target in targets for word in ("--target-python", target)],
            cwd=run.collection,
            env={**_ansible(run, lane), "HOME": str(_ansible_test_home(lane))},
        )
    for target in TARGETS:
        if not environments.interpreter(target):
            run.skip(f"sanity-target-{target}", f"no Python {target} on this machine")


def unit(run: Runner) -> None:
    """Plugins in every lane, the longer plays of roles in the oldest and the newest, our own tools in the newest."""
    for core, python in LANES:
        if lane := _lane(run, f"unit-{core}", core, python):
            left_out = [] if (core, python) == LANES[-1] else ["project"]
            left_out += [] if (core, python) in (LANES[0], LANES[-1]) else ["roles"]
            paths = ["tests/unit", *(f"--ignore=tests/unit/{folder}" for folder in left_out)]
            run.pytest(f"unit-{core}", lane / "python", paths, env=_ansible(run, lane))


def target(run: Runner) -> None:
    """What reaches nodes, on the oldest Python: nothing is installed there but a test runner.

    Ansible puts its own module_utils beside a module, so they come from the newest lane.
    """
    version = TARGETS[0]
    python = environments.interpreter(version)
    if python is None:
        run.skip(f"target-{version}", f"no Python {version} on this machine")
        return
    tests = run.environment("target", python)
    lane = _newest_lane(run)
    beside = CACHE / "target"
    beside.mkdir(parents=True, exist_ok=True)
    (beside / "ansible").unlink(missing_ok=True)
    (beside / "ansible").symlink_to(next(lane.parent.glob("lib/python*/site-packages/ansible")))
    run.pytest(
        f"target-{version}",
        tests / "python",
        ["tests/unit/plugins/module_utils", "--ignore-glob=*/_azure/*", "--ignore-glob=*/_kube/*"],
        env={"PYTHONPATH": str(beside)},
    )


def wire(run: Runner) -> None:
    _pytest_newest(run, "wire", "tests/wire", "--numprocesses=auto")  # each test has a simulated Azure of its own


def build(run: Runner) -> None:
    run.gate("build", [SANDBOX, "build"], limit=3600)


def node(run: Runner) -> None:
    if _can_make_nodes(run, "node"):
        _pytest_newest(run, "node", "tests/node", "--numprocesses=auto")


def molecule(run: Runner) -> None:
    if _can_make_nodes(run, "molecule"):
        tools = run.environment("molecule", Path(sys.executable))
        # Below this Molecule keeps what belongs to a scenario, under a name that is the same for every checkout.
        env = {**_ansible(run, tools), "ANSIBLE_HOME": str(LOGS.parent / "molecule")}
        run.gate("molecule", [tools / "molecule", "test", "--all"], cwd=run.collection, env=env)


def kube(run: Runner) -> None:
    # Many of its tests wait, for MIC or for nodes, and some take a minute.
    _pytest_newest(run, "kube", "tests/kube", "--numprocesses=3", "--dist=worksteal")


def sandbox(run: Runner) -> None:
    # In the order of the collection, see tests/sandbox/conftest.py; else it is that of the numbers of tests.
    _pytest_newest(run, "sandbox", "tests/sandbox", *SIDE_BY_SIDE, "--no-loadscope-reorder")


def soak(run: Runner) -> None:
    lane = _newest_lane(run)
    env = {**_ansible(run, lane), "SOAK": "1"}
    cases = ["tests/node", "tests/kube", "tests/sandbox", "-m", "soak", *SIDE_BY_SIDE]
    run.pytest("soak", lane / "python", cases, env=env, limit=6 * 3600)


def bench(run: Runner) -> None:
    """FIGURES names some of the figures. Plays on nodes in network namespaces, so it needs what they need."""
    if not _can_make_nodes(run, "bench"):
        return
    lane = _newest_lane(run)
    figures = os.environ.get("FIGURES", "").split()
    env = {**_ansible(run, lane), "PYTHONPATH": str(SANDBOX.parent)}
    if run.gate("bench", [lane / "python", "-m", "tests.bench", *figures], env=env, limit=7200):
        print(f"\n{(LOGS.parent / 'bench/table.txt').read_text()}")


STEPS = (
    Step("sanity", "ansible-test sanity in every lane of ansible-core", sanity, light=True),
    Step("unit", "tests/unit in the lanes of ansible-core", unit, light=True),
    Step("ruff", "format and lint of all Python", ruff, light=True),
    Step("imports", "the arrows between plugins/modules and the parts of module_utils", imports, light=True),
    Step("reuse", "copyright and license of every file", reuse, light=True),
    Step("changelog", "antsibull-changelog lint", changelog, light=True),
    Step("ee", "what an execution environment would install", environment, light=True),
    Step("mypy", "types, strict", mypy, light=True),
    Step("docs", "documentation of modules and roles (antsibull-docs)", docs, light=True),
    Step("lint", "ansible-lint, profile production", lint, light=True),
    Step("importer", "build the collection and import it as Galaxy does", importer, light=True),
    Step("target", "what runs on nodes, on the oldest Python", target, light=True),
    Step("wire", "tests/wire: Azure clients against the simulated Azure on loopback", wire),
    Step("node", "tests/node: nat tables of nodes with real iptables, in network namespaces", node),
    Step("molecule", "molecule test of the roles whose nodes can be network namespaces", molecule),
    Step("build", "programs of the sandbox", build),
    Step("kube", "tests/kube: Kubernetes side against a real API server, MIC and NMI", kube, needs="build"),
    Step("sandbox", "tests/sandbox: roles and playbooks on real nodes", sandbox, needs="build"),
    Step("bench", "what ours costs beside its peers; see make bench", bench, long=True),
    Step("soak", "every case of the tests of which `sandbox` runs a sample; see make soak", soak, "build", long=True),
)


def _checkers(run: Runner) -> Path:
    return run.environment("checkers", Path(sys.executable))


def _lane(run: Runner, step: str, core: str, version: str) -> Path | None:
    """The ``bin`` of a lane's environment; None, and said so, where the machine lacks its Python."""
    if python := environments.interpreter(version):
        return run.environment(f"core-{core}", python)
    run.skip(step, f"no Python {version} on this machine for ansible-core {core}")
    return None


def _newest_lane(run: Runner) -> Path:
    """The ``bin`` of the newest lane that the machine can run."""
    for core, version in reversed(LANES):
        if python := environments.interpreter(version):
            return run.environment(f"core-{core}", python)
    raise RuntimeError(f"no Python of {', '.join(version for _core, version in LANES)} on this machine")


def _can_make_nodes(run: Runner, step: str) -> bool:
    """Whether there can be real iptables in network namespaces here; where not, that is said."""
    programs = ("unshare", "nsenter", "iptables-nft", "iptables-legacy", "conntrack")
    missing = [program for program in programs if not shutil.which(program)]
    if os.geteuid() != 0 or missing:
        run.skip(step, f"no {', '.join(missing)} on this machine" if missing else "needs root")
        return False
    return True


def _pytest_newest(run: Runner, name: str, *arguments: str) -> None:
    """Run a level of test once, in the newest lane that the machine has."""
    lane = _newest_lane(run)
    run.pytest(name, lane / "python", arguments, env=_ansible(run, lane))


def _ansible(run: Runner, tools: Path) -> dict[str, str]:
    """Ansible's programs of one environment, our collection as staged, and the collections that it depends on."""
    interpreters = environments.interpreter_links(list(TARGETS))
    return {
        "PATH": f"{tools}:{interpreters}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": f"{run.root}:{_dependencies()}",
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
    }


@functools.cache
def _dependencies() -> str:
    """The folder in which kubernetes.core lies (``ansible_collections/kubernetes/core``)."""
    question = (
        "from azsandbox import paths, progress, toolenvs\n"
        "progress.build([toolenvs.collections_item()])\n"
        "print(paths.COLLECTIONS)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", question],
        env={**os.environ, "PYTHONPATH": str(SANDBOX.parent)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise RuntimeError("the collections that this one depends on could not be unpacked")
    return answer.stdout.splitlines()[-1]


def _ansible_test_home(lane: Path) -> Path:
    """A home of its own for ansible-test, which keeps virtual environments and downloads there.

    It fetches get-pip.py from a host that not every machine reaches; a file of that name that is already there is
    used instead, and Python's own ensurepip does the same job.
    """
    home = CACHE / "ansible-test"
    question = (
        "import sys, types\n"
        "from ansible_test._internal.python_requirements import get_venv_packages\n"
        "print(get_venv_packages(types.SimpleNamespace(version='%d.%d' % sys.version_info[:2]))['pip'])"
    )
    version = subprocess.run(
        [lane / "python", "-c", question], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    script = home / f".ansible/test/cache/get_pip_{version.replace('.', '_')}.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("import ensurepip\nensurepip.bootstrap(upgrade=True, default_pip=True)\n")
    return home
