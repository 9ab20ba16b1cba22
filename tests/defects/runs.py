# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of pytest in processes that have what takes longest to import from the process that forks them."""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_MODULES = (
    "pytest",
    "hypothesis",
    "xdist.plugin",
    "pytest_timeout",
    "yaml",
    "jinja2",
    "kubernetes.client",
    "azure.core",
)
"""Nothing of ansible-core, which reads its environment when it is imported."""
_WHICH = re.compile(r"^(?:FAILED|ERROR) (tests/\S+?\.py(?:::.*?)?)(?: - |$)", re.MULTILINE)
_LONGEST = 600  # seconds of a test: a defect can let one wait forever
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([*_MODULES, __name__])


def pytest_in(checkout: Path, environment: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """How pytest ended, the first test that failed, and the end of what it said."""
    with tempfile.NamedTemporaryFile(prefix="defect-") as output:
        process = _FORKS.Process(target=_run, args=(str(checkout), dict(environment), arguments, output.name))
        process.start()
        process.join()
        said = Path(output.name).read_text(errors="replace")
    found = _WHICH.search(said)
    return process.exitcode or 0, found[1] if found else "", said[-2000:]


def _run(checkout: str, environment: Mapping[str, str], arguments: Sequence[str], output: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(checkout)
    sys.path[:] = [checkout, *(each for each in sys.path if each and not Path(each, "galaxy.yml").exists())]
    sys.pycache_prefix = environment["PYTHONPYCACHEPREFIX"]
    for name in [each for each in sys.modules if each == "tests" or each.startswith("tests.")]:
        del sys.modules[name]
    with open(os.devnull) as nothing, open(output, "wb", buffering=0) as file:
        for number, descriptor in enumerate((nothing.fileno(), file.fileno(), file.fileno())):
            os.dup2(descriptor, number)
    import pytest

    options = ("-x", "-q", "-rfE", "--no-header", "--color=no", f"--timeout={_LONGEST}")
    status = pytest.main([*options, *arguments])
    sys.stdout.flush()
    os._exit(int(status))
