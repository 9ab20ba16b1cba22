# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.parsing.vault import VaultLib, VaultSecretsContext, match_best_secret


def to_vault(text: t.Any, vault_id: str) -> str:
    """Encrypt with a password that the run itself was given, so that it stands in no variable."""
    if not isinstance(text, str):
        raise AnsibleFilterError("The filter azureops.pod_identity.to_vault needs a text.")
    context = VaultSecretsContext.current(optional=True)
    secrets = context.secrets if context else []
    found = match_best_secret(secrets, [vault_id])
    if not found:
        names = ", ".join(sorted({name for name, dummy in secrets})) or "none"
        raise AnsibleFilterError(
            f"There is no vault password with the id {vault_id!r} in this run (there is {names}): give it with "
            f"--vault-id {vault_id}@prompt, or with a file instead of prompt."
        )
    name, secret = found
    return str(VaultLib(secrets).encrypt(text, secret, vault_id=name).decode())


class FilterModule:
    def filters(self) -> dict[str, t.Any]:
        return {"to_vault": to_vault}
