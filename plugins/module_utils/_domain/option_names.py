# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Messages of a module for the operator of a role, who sets variables of the role and no options of the module."""

from __future__ import annotations

import re
import typing as t

# What is part of a path, an address or a longer name is none. One word without "_" would be found in any sentence; it
# is an option where it gets a value or none: "force: true", "accept: [...]", "set owner to" or "leave location out".
_OPTION = re.compile(
    r"(?<![\w./-])(?:[a-z]+(?:_[a-z]+)+(?![\w/-])|[a-z]+(?=: (?:true\b|false\b|\[))|(?<=\b[Ss]et )[a-z]+(?= to\b)"
    r"|(?<=\b[Ll]eave )[a-z]+(?= out\b))"
)


def of_role(message: str, variables: t.Mapping[str, str]) -> str:
    """The message with variables of a role in the place of options; ``variables`` by the names of options."""
    return _OPTION.sub(lambda found: variables.get(found[0], found[0]), message)
