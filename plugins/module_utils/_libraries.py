# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Python libraries that are missing where a module runs: all of them in one sentence, with one command."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import shlex
import sys
import typing as t

from ._domain.errors import Failure

# As requirements.txt has them, each with what is imported of it.
REQUIREMENTS: t.Mapping[str, tuple[str, str]] = {
    "azure-identity": ("azure.identity", ">=1.19.0"),
    "azure-mgmt-authorization": ("azure.mgmt.authorization", ">=4.0.0"),
    "azure-mgmt-core": ("azure.mgmt.core", ">=1.6.0"),
    "azure-mgmt-msi": ("azure.mgmt.msi", ">=7.0.0"),
    "kubernetes": ("kubernetes", ">=31.0.0,<36"),
}


@contextlib.contextmanager
def library(distribution: str) -> t.Iterator[None]:
    """Wrap the imports of one distribution; a missing one becomes a Failure that says how to install all that are."""
    try:
        yield
    except ImportError as error:
        missing = sorted({distribution, *(name for name in REQUIREMENTS if not _is_there(name))})
        wanted = " ".join(shlex.quote(f"{name}{REQUIREMENTS.get(name, ('', ''))[1]}") for name in missing)
        several = len(missing) > 1
        what = f"{'libraries' if several else 'library'} {', '.join(missing)} {'are' if several else 'is'}"
        raise Failure(
            f"The Python {what} missing "
            f"for {sys.executable} on {platform.node()} ({error}); install {'them' if several else 'it'} there with: "
            f"{sys.executable} -m pip install {wanted}"
        ) from error


def _is_there(distribution: str) -> bool:
    try:
        return importlib.util.find_spec(REQUIREMENTS[distribution][0]) is not None
    except ImportError:  # of a package that it lies in
        return False
