# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with exchange_options() in module_utils/_federation.py
    DOCUMENTATION = r"""
options:
  exchange_samples:
    description:
      - How many exchanges of a token of the service account are made by each federated credential.
      - One that is granted proves little, because Entra refuses about 2 % of the exchanges by credentials that are
        right. 50 over some minutes tell both.
      - Where so many are refused that O(exchange_min_rate) cannot be reached any more, no further ones are made.
    type: int
    default: 1
  exchange_min_rate:
    description: Which share of the exchanges has to be granted, above 0 and at most 1.
    type: float
    default: 0.95
  exchange_seconds:
    description: Over how many seconds the exchanges are spread; V(0) makes them one after the other.
    type: float
    default: 0
"""
