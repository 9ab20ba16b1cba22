# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The Azure SDKs are imported where they are used, so that documentation and sanity checks need none of them."""

from __future__ import annotations

import contextlib
import platform
import sys
import typing as t

from .._domain.errors import Failure


@contextlib.contextmanager
def library(distribution: str) -> t.Iterator[None]:
    """Wrap the imports of one distribution; a missing one becomes a Failure that says how to install it."""
    try:
        yield
    except ImportError as error:
        raise Failure(
            f"The Python library {distribution} is missing for {sys.executable} on {platform.node()} ({error}); "
            f"install it there with: {sys.executable} -m pip install {distribution}"
        ) from error
