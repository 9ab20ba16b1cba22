# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every check and every level of test: `nox -l` lists them, `nox -s wire -- -k throttled` runs one.

`make check` runs the sessions with the tag `check`, `make test` those with the tags `static` and `level`.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nox

CHECKOUT = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "azureops-pod-identity"
COLLECTION = Path("ansible_collections/azureops/pod_identity")
RESULTS = CHECKOUT / ".build/test"
SANDBOX = "tests/sandbox/sandbox"
# ansible-core lines that are supported, oldest first, each with the Python that its controller runs on here.
LANES = (("2.19", "3.11"), ("2.20", "3.12"), ("2.21", "3.13"))
# Pythons of managed nodes that modules must compile and import on.
TARGETS = ("3.9", "3.10", "3.11", "3.12", "3.13")
# Tests that look at how a plugin fits ansible-core; the others look at files, and say the same in every lane. That each
# file is imported there, the tests of units of that lane tell in the usual run, and `sanity_of_pythons` in a soak.
SANITY_OF_A_LANE = ("ansible-doc", "validate-modules")
# Files of tests/unit with plays. In an older lane those of FEW_PLAYS stand for all: a playbook from its command line to
# the results of its modules. `make soak` runs all.
PLAYS = ("tests/unit/roles/test_*.py", "tests/unit/plugins/action/test_*.py")
FEW_PLAYS = ("test_players.py",)
# What most tests of tests/sandbox use; what few use is built by the first of them.
SANDBOX_PARTS = ("sandbox", "az")
KUBE_PARTS = ("sandbox", "workload-identity", "flux")


def _requirements_key() -> str:
    folders = ("tests/requirements/**/*.txt", "tests/sandbox/requirements.txt", "requirements.txt")
    files = [file for folder in folders for file in sorted(CHECKOUT.glob(folder))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _interpreters() -> Path:
    """A folder that has those of pyenv under their names; its shims also stand for those that are not switched on."""
    folder = CACHE / "interpreters"
    folder.mkdir(parents=True, exist_ok=True)
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for name, python in {python.name: python for python in sorted(versions.glob("3.*/bin/python3.*[0-9]"))}.items():
        link = folder / name
        if not (link.is_symlink() and link.readlink() == python):
            link.unlink(missing_ok=True)
            link.symlink_to(python)
    return folder


def _found(versions: tuple[str, ...]) -> list[str]:
    return [version for version in versions if shutil.which(f"python{version}")]


os.environ["PATH"] = f"{_interpreters()}:{os.environ['PATH']}"
# The newest lane that this machine can run; without any, its sessions are skipped and tell so.
NEWEST, NEWEST_PYTHON = next((lane for lane in reversed(LANES) if _found((lane[1],))), LANES[-1])
nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False  # that is told under `not run`, in the continuous integration too
nox.options.tags = ["check"]
# Another requirement makes other environments; all checkouts share them.
nox.options.envdir = CACHE / "nox" / _requirements_key()


def checked(level: bool = False, **options: Any) -> Callable[[Callable[..., None]], Any]:
    """Make a session of `make test`, which leaves the seconds of processor that it took for tests/tally.py.

    A session with the tag `static` is a process of its own, whose children are counted. A level has the machine to
    itself; what its sandboxes do is nobody's child, so the machine is counted.
    """

    def make(run: Callable[..., None]) -> Any:
        @functools.wraps(run)
        def measured(session: nox.Session, *arguments: Any, **named: Any) -> None:
            before = _processor_seconds(level)
            try:
                run(session, *arguments, **named)
            finally:
                RESULTS.mkdir(parents=True, exist_ok=True)
                (RESULTS / f"{session.name}.processor").write_text(f"{_processor_seconds(level) - before:.1f}")

        own: dict[str, Any] = {"tags": ["level"]} if level else {"tags": ["static"], "allow_parallel": True}
        return nox.session(**{**own, **options})(measured)

    return make


def _processor_seconds(machine: bool) -> float:
    if machine:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
        return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@checked(tags=["check", "static"])
def ruff(session: nox.Session) -> None:
    """Format and lint of all Python."""
    install(session, "checkers")
    session.run("ruff", "format", "--check", "--diff", ".")
    session.run("ruff", "check", ".")


@checked(tags=["check", "static"])
def mypy(session: nox.Session) -> None:
    """Types, strict."""
    install(session, "checkers")
    root, collection = staged(session)
    session.env["MYPYPATH"] = f"{root}:{collection}/tests/sandbox"
    session.chdir(root)
    session.run(
        *("mypy", "--config-file", f"{COLLECTION}/pyproject.toml", "--cache-dir", str(CACHE / "mypy")),
        *(f"{COLLECTION}/{part}" for part in ("plugins", "tests", "noxfile.py")),
    )


@checked(tags=["check", "static"])
def imports(session: nox.Session) -> None:
    """The arrows between plugins and the parts of module_utils."""
    install(session, "checkers")
    root, collection = staged(session)
    session.env["PYTHONPATH"] = str(root)
    session.chdir(root)
    session.run("lint-imports", "--no-logo", "--no-cache", str(collection / "pyproject.toml"))


@checked(python=NEWEST_PYTHON, tags=["check", "static"])
def unit(session: nox.Session) -> None:
    """tests/unit: decisions, parsers, the plan, our own tools."""
    # Plays are in few of its files, and some tests share one.
    _pytest(session, f"core-{NEWEST}", ["tests/unit"], "--numprocesses=3", "--dist=worksteal")


@checked()
def reuse(session: nox.Session) -> None:
    """Copyright and license of every file."""
    install(session, "checkers")
    session.run("reuse", "--root", str(CHECKOUT), "lint", "--lines")


@checked()
def workflows(session: nox.Session) -> None:
    """actionlint, shellcheck and zizmor on .github."""
    install(session, "workflows")
    actionlint = Path(session.bin) / "actionlint"
    session.run(
        *("go", "-C", "tests/requirements/workflows", "build", "-o", str(actionlint)),
        "github.com/rhysd/actionlint/cmd/actionlint",
        env={"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": ""},
    )
    session.run(str(actionlint))
    session.run("zizmor", "--offline", "--no-progress", ".github")


@checked()
def docs(session: nox.Session) -> None:
    """Documentation of plugins and roles, guides, changelog, what an execution environment would install."""
    install(session, "docs")
    collection = ansible(session)
    session.chdir(collection)
    session.run(
        *("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=all"),
        *("--disallow-unknown-collection-refs", "."),
    )
    session.run("antsibull-changelog", "lint")
    session.run("python", str(CHECKOUT / "tests/docsite.py"), str(RESULTS.parent / "docsite"))
    root = str(collection.parents[2])
    said = str(session.run("ansible-builder", "introspect", "--sanitize", root, silent=True))
    session.log(said)
    if "from collection azureops.pod_identity" not in said:
        session.error("an execution environment would install nothing that this collection needs")


@checked()
def lint(session: nox.Session) -> None:
    """ansible-lint, profile production."""
    install(session, "importer")
    session.chdir(ansible(session))
    session.run("ansible-lint", "--profile", "production", "--offline", "--strict")


@checked()
def importer(session: nox.Session) -> None:
    """Build the collection and import it as Galaxy does."""
    install(session, "importer")
    collection = ansible(session)
    session.env["GALAXY_IMPORTER_CONFIG"] = str(CHECKOUT / "tests/galaxy-importer.cfg")
    built = RESULTS.parent / "dist"
    shutil.rmtree(built, ignore_errors=True)
    session.run("ansible-galaxy", "collection", "build", "--force", "--output-path", str(built), str(collection))
    (artifact,) = built.glob("azureops-pod_identity-*.tar.gz")
    session.chdir(built)
    said = str(session.run("python", "-m", "galaxy_importer.main", str(artifact), silent=True))
    session.log(said)
    # It ends well where one of its own tools has not.
    if errors := re.findall(r"^(?:ERROR|CRITICAL)\b.*", said, re.MULTILINE):
        session.error(*errors)


# With pip, which the workflow asks what the collection gets.
@checked(python=NEWEST_PYTHON, venv_params=["--seed"])
def release(session: nox.Session) -> None:
    """tests/release: what the workflow of a release makes of a copy, and what somebody has who installs it."""
    _what_releases(session)
    _pytest(session, "release", ["tests/release"])


@nox.session(python=NEWEST_PYTHON, default=False)
def changelog(session: nox.Session) -> None:
    """Make the fragments part of the release that galaxy.yml names, before its tag."""
    _what_releases(session)
    ansible(session)
    session.run("python", "-m", "tests.release.fold")


def _what_releases(session: nox.Session) -> None:
    locked = ("--requirement", "tests/requirements/release/requirements.txt")
    session.install("--require-hashes", "--only-binary", ":all:", *locked)


@checked()
@nox.parametrize(["core", "python"], LANES[::-1], ids=[core for core, _python in LANES[::-1]])
def sanity(session: nox.Session, core: str) -> None:
    """ansible-test sanity: all of it in the newest lane, in the others what a lane can change."""
    newest = core == NEWEST
    # Modules on the oldest and on the newest Python of a node: what lies between, `make soak` tells.
    pythons = _found((TARGETS[0], str(session.python))) if newest else [str(session.python)]
    _sanity(session, core, pythons, () if newest else SANITY_OF_A_LANE)
    if newest and TARGETS[0] not in pythons:
        session.skip(f"it passed, but not on Python {TARGETS[0]}, which this machine does not have")


@nox.session(default=False)
@nox.parametrize(["core", "python"], LANES[::-1], ids=[core for core, _python in LANES[::-1]])
def sanity_of_pythons(session: nox.Session, core: str) -> None:
    """What is imported, in each lane and on each Python of a node; a part of each soak."""
    if session.posargs:
        session.skip("its tests are no cases of a soak")
    pythons = _found(TARGETS) if core == NEWEST else [str(session.python)]
    _sanity(session, core, pythons, ("compile", "import"))


def _sanity(session: nox.Session, core: str, pythons: list[str], tests: tuple[str, ...]) -> None:
    """Run those tests, or all."""
    install(session, f"core-{core}")
    session.chdir(ansible(session))
    session.env["HOME"] = str(_home_of_ansible_test(session, core))
    session.run(
        *("ansible-test", "sanity", "--color", "no", "--controller", f"origin:python={session.python}"),
        # They lie beside the collection, not in what is published; ruff and mypy hold them.
        *(word for each in _folders_of_tests(session) for word in ("--exclude", each)),
        *(word for each in pythons for word in ("--target-python", each)),
        *(word for each in tests for word in ("--test", each)),
        *session.posargs,
    )


@checked()
@nox.parametrize(["core", "python"], LANES[:-1], ids=[core for core, _python in LANES[:-1]])
def unit_of_a_lane(session: nox.Session, core: str) -> None:
    """What of tests/unit an older ansible-core can change, with few plays."""
    plays = sorted(file for pattern in PLAYS for file in CHECKOUT.glob(pattern) if file.name not in FEW_PLAYS)
    _unit_of_a_lane(session, core, *(str(file.relative_to(CHECKOUT)) for file in plays))


def _unit_of_a_lane(session: nox.Session, core: str, *others: str) -> None:
    folders = [f"tests/unit/{folder}" for folder in ("project", "plugins/module_utils/_domain")]
    _pytest(session, f"core-{core}", ["tests/unit"], *(f"--ignore={each}" for each in (*folders, *others)))


@checked(python=TARGETS[0])
def target(session: nox.Session) -> None:
    """What runs on nodes, on the oldest Python: the standard library and a test runner."""
    install(session, "target")
    # Ansible puts its own module_utils beside a module. No ansible-core that we support installs on this Python.
    beside = session.create_tmp()
    session.install(f"ansible-core~={NEWEST}.0", "--no-deps", "--python-version", NEWEST_PYTHON, "--target", beside)
    session.env["PYTHONPATH"] = beside
    _run_pytest(session, ["tests/unit/plugins/module_utils"], "--ignore-glob=*/_azure/*", "--ignore-glob=*/_kube/*")


@checked(level=True, python=NEWEST_PYTHON)
def wire(session: nox.Session) -> None:
    """tests/wire: Azure clients against the simulated Azure on loopback."""
    # Half of the time its tests wait: for operations, and before requests that are sent again.
    _pytest(session, f"core-{NEWEST}", ["tests/wire"], "--numprocesses=4", "--dist=worksteal")


@checked(level=True, python=NEWEST_PYTHON)
def node(session: nox.Session) -> None:
    """tests/node: nat tables of nodes with real iptables, in network namespaces."""
    _build(session, "debian")
    _pytest(session, f"core-{NEWEST}", ["tests/node"], "--numprocesses=auto")


@checked(level=True, python=NEWEST_PYTHON)
def molecule(session: nox.Session) -> None:
    """tests/molecule: scenarios of roles, two of those with a cluster."""
    _build(session, "sandbox", "az")
    # One for each scenario, because the longest would come behind another.
    _pytest(session, "molecule", ["tests/molecule"], "--numprocesses=3")


@checked(level=True, python=NEWEST_PYTHON)
def browser(session: nox.Session) -> None:
    """tests/browser: the page of a report in headless Chromium."""
    _build(session, "browser")
    _pytest(session, "browser", ["tests/browser"], "--numprocesses=2", "--dist=worksteal")


@nox.session(python=NEWEST_PYTHON, default=False)
def screenshots(session: nox.Session) -> None:
    """Make docs/images anew: how the page of a report looks."""
    _build(session, "browser")
    install(session, "browser")
    session.run("python", "-m", "tests.browser.screenshots", *session.posargs)


@checked(level=True, python=NEWEST_PYTHON)
def kube(session: nox.Session) -> None:
    """tests/kube: the Kubernetes side against a real API server, MIC, NMI and the webhook of Workload ID."""
    _build(session, *KUBE_PARTS)
    # Many of its tests wait, for MIC or for nodes, and some take a minute.
    _pytest(session, f"core-{NEWEST}", ["tests/kube"], "--numprocesses=3", "--dist=worksteal")


@checked(level=True, python=NEWEST_PYTHON)
def sandbox(session: nox.Session) -> None:
    """tests/sandbox: roles and playbooks as people run them, on real nodes."""
    _build(session, *SANDBOX_PARTS)
    # Three clusters at a time, because each mostly waits. The order is that of the collection, see
    # tests/sandbox/conftest.py; else it is that of the numbers of tests.
    options = ("--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder")
    _pytest(session, f"core-{NEWEST}", ["tests/sandbox"], *options)


@nox.session(python=NEWEST_PYTHON, default=False)
def golden(session: nox.Session) -> None:
    """Compare what playbooks do in the worlds of tests/golden with the record; `-- --record [PAIR...]` writes it."""
    _build(session, "sandbox", "workload-identity")
    install(session, f"core-{NEWEST}")
    ansible(session)
    session.env["PYTHONPATH"] = str(CHECKOUT / "tests/sandbox")
    session.run("python", "-m", "tests.golden", *session.posargs)


@nox.session(python=NEWEST_PYTHON, default=False)
def soak(session: nox.Session) -> None:
    """Every case with the marker soak that has not passed yet in the soak SOAK (see make soak), but for stories."""
    _soak(session, "soak and not story", "--dist=worksteal")


@nox.session(python=NEWEST_PYTHON, default=False)
def stories(session: nox.Session) -> None:
    """The same of stories, whose cases follow each other in one process."""
    _soak(session, "story", "--dist=loadfile", "--no-loadscope-reorder")


def _soak(session: nox.Session, mark: str, *options: str) -> None:
    _build(session, *SANDBOX_PARTS)
    session.env["SOAK"] = os.environ.get("SOAK") or "soak"
    levels = [f"tests/{level}" for level in ("unit", "wire", "node", "molecule", "kube", "sandbox")]
    # 5: no case is left
    _pytest(session, "molecule", levels, "-v", "-m", mark, "--numprocesses=3", *options, accepted=(5,))


@nox.session(python=NEWEST_PYTHON, default=False)
def forks(session: nox.Session) -> None:
    """The cases of the fixed set that call modules, with each in a fork as tasks run it; a part of each soak."""
    if session.posargs:
        session.skip("its tests are no cases of a soak")
    _build(session, *KUBE_PARTS)
    session.env["MODULES_IN_FORKS"] = "1"
    of_kube = sorted(CHECKOUT.glob("tests/kube/test_*.py"))
    paths = [str(file.relative_to(CHECKOUT)) for file in of_kube if "Runner" in file.read_text()]
    _pytest(session, "molecule", ["tests/wire/modules", *paths], "--numprocesses=2")


@nox.session(default=False)
@nox.parametrize(["core", "python"], LANES[:-1], ids=[core for core, _python in LANES[:-1]])
def plays_of_a_lane(session: nox.Session, core: str) -> None:
    """The session `unit_of_a_lane` with all plays; a part of each soak (see make soak)."""
    if session.posargs:
        session.skip("its tests are no cases of a soak")
    _unit_of_a_lane(session, core)


@nox.session(python=NEWEST_PYTHON, default=False)
def defects(session: nox.Session) -> None:
    """Which planted defects the tests catch (tests/defects), those that are not yet known in the soak SOAK."""
    if any(argument.startswith(("tests/", "@")) for argument in session.posargs):
        session.skip("its defects are no cases of a soak")
    _build(session, "debian", *KUBE_PARTS)
    install(session, f"core-{NEWEST}")
    ansible(session)
    session.run("python", "-m", "tests.defects", *session.posargs)


@nox.session(python=NEWEST_PYTHON, default=False, venv_params=["--seed"])  # with pip, whose work is measured
def bench(session: nox.Session) -> None:
    """What ours costs beside its peers, as a table (see make bench)."""
    _build(session, "sandbox", "browser")
    install(session, f"core-{NEWEST}")
    install(session, "browser")
    ansible(session)
    session.env["PYTHONPATH"] = str(CHECKOUT / "tests/sandbox")
    session.run("python", "-m", "tests.bench", *session.posargs)
    session.log((CHECKOUT / ".build/bench/table.txt").read_text())


def _folders_of_tests(session: nox.Session) -> list[str]:
    """As ansible-test names folders."""
    listed = str(session.run("git", "-C", str(CHECKOUT), "ls-files", "tests", external=True, silent=True)).split()
    return sorted({f"tests/{place.split('/')[1]}/" for place in listed if place.count("/") > 1})


def _build(session: nox.Session, *parts: str) -> None:
    """What tests with nodes need; `tests/sandbox/sandbox build --help` lists the parts."""
    if os.geteuid() != 0:
        session.error("its nodes are namespaces, which only root may make: run it as root")
    session.run(SANDBOX, "build", *parts, external=True)


def install(session: nox.Session, requirements: str) -> None:
    """Install tests/requirements/<requirements>.txt."""
    session.install("--requirement", f"tests/requirements/{requirements}.txt")


def staged(session: nox.Session) -> tuple[Path, Path]:
    """The folder that holds `ansible_collections`, and the copy of the checkout in it."""
    root = Path(str(session.run("python", str(CHECKOUT / "tests/stage.py"), silent=True)).strip())
    return root, root / COLLECTION


def ansible(session: nox.Session) -> Path:
    """Let Ansible find the copy of the checkout, the collections that it depends on, and nothing else; the copy."""
    root, collection = staged(session)
    session.env.update(
        ANSIBLE_COLLECTIONS_PATH=f"{root}:{_dependencies(session)}",
        ANSIBLE_HOME=str(CACHE / "ansible"),
        # Compiled once, and not beside the sources: what lies in the copy is checked and packed.
        PYTHONPYCACHEPREFIX=str(CACHE / "compiled"),
        PYTHONDONTWRITEBYTECODE="",
        NO_COLOR="1",
        TARGET_PYTHONS=" ".join(TARGETS),
    )
    return collection


def _pytest(
    session: nox.Session, requirements: str, paths: list[str], *options: str, accepted: tuple[int, ...] = ()
) -> None:
    install(session, requirements)
    ansible(session)
    _run_pytest(session, paths, *options, accepted=accepted)


def _run_pytest(session: nox.Session, paths: list[str], *options: str, accepted: tuple[int, ...] = ()) -> None:
    """Run pytest on `paths`, or on the folders, files and cases of `tests/` among the arguments of the session."""
    report = RESULTS / f"{session.name}.xml"
    if any(argument.startswith(("tests/", "@")) for argument in session.posargs):
        paths = []
    arguments = ("-ra", f"--junitxml={report}", *options, *paths, *session.posargs)
    session.run("python", "-m", "pytest", *arguments, success_codes=[0, *accepted])


def _dependencies(session: nox.Session) -> str:
    """The folder in which kubernetes.core lies (`ansible_collections/kubernetes/core`)."""
    session.run(str(CHECKOUT / SANDBOX), "build", "collections", external=True)
    question = "from azsandbox import paths; print(paths.COLLECTIONS)"
    env = {"PYTHONPATH": str(CHECKOUT / "tests/sandbox")}
    return str(session.run("python", "-c", question, env=env, silent=True)).strip()


def _home_of_ansible_test(session: nox.Session, core: str) -> Path:
    """A home of its own for ansible-test of a lane, which keeps virtual environments and downloads there.

    It fetches get-pip.py from a host that not every machine reaches; a file of that name that is already there is
    used instead, and Python's own ensurepip does the same job.
    """
    question = (
        "import sys, types\n"
        "from ansible_test._internal.python_requirements import get_venv_packages\n"
        "print(get_venv_packages(types.SimpleNamespace(version='%d.%d' % sys.version_info[:2]))['pip'])"
    )
    version = str(session.run("python", "-c", question, silent=True)).strip()
    home = CACHE / "ansible-test" / core
    script = home / f".ansible/test/cache/get_pip_{version.replace('.', '_')}.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("import ensurepip\nensurepip.bootstrap(upgrade=True, default_pip=True)\n")
    return home
