#!/usr/bin/env bash
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Prints the Python >= 3.11 that the project's own programs run on, or says what to install.
set -euo pipefail
for candidate in python3 python3.14 python3.13 python3.12 python3.11 \
    "$HOME"/.pyenv/versions/3.1[1-9]*/bin/python3; do
    if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit
    fi
done
echo "No Python 3.11 or newer with venv was found; on Debian: apt-get install python3-venv" >&2
exit 1
