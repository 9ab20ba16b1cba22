# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a module is waiting for, where the controller can read it meanwhile.

Ansible shows nothing of a module before it ends, so the module leaves one line in a file of the task's temporary
directory, which only its user can enter, and the action plugin of the same name looks there.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Tell = t.Callable[[str], None]

FILE = "azureops-progress"


def silent(line: str) -> None:
    """Tells nobody."""


def teller(module: AnsibleModule) -> Tell:
    """Tells the controller, if option ``progress`` says so; each line replaces the one before."""

    def tell(line: str) -> None:
        with contextlib.suppress(OSError):  # the work matters more than its being seen
            path = os.path.join(module.tmpdir, FILE)
            with open(path + ".new", "w", encoding="utf-8") as new:
                new.write(line)
            os.replace(path + ".new", path)

    return tell if module.params["progress"] else silent
