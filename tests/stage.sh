#!/usr/bin/env bash
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Copies the checkout to where Ansible's tools want a collection (.../ansible_collections/azureops/pod_identity,
# real directories) and prints the folder that holds ansible_collections/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "${PYTHON:-python3}" -m tests.gates.stage
