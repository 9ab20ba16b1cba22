#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ansible_builtin
short_description: Run a module of ansible.builtin without secrets of its environment in lists of processes
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Ansible writes C(environment) before the command that runs a module. There it stands in lists of processes, and in
    the output at C(-vvv). Here the command inherits those variables that look like secrets, where it is started by
    C(ansible-playbook) itself and as the same user. Elsewhere the module runs as Ansible runs it.
  - Takes the options of that module beside those named here, and returns what it returns. C(module_defaults) of
    C(ansible.builtin) count.
  - It serves the roles of this collection.
extends_documentation_fragment:
  - azureops.pod_identity._attributes
attributes:
  check_mode:
    support: full
    details:
      - As the module that it runs.
  diff_mode:
    support: full
    details:
      - As the module that it runs.
  idempotent:
    support: full
    details:
      - As the module that it runs.
options:
  module:
    description: Name of the module in the collection C(ansible.builtin), such as V(copy).
    type: str
    required: true
seealso:
  - module: azureops.pod_identity.kubernetes_core
  - module: ansible.builtin.copy
"""

EXAMPLES = r"""
- name: Write a file
  azureops.pod_identity.ansible_builtin:
    module: copy
    content: "text"
    dest: /run/user/1000/run/file
    mode: "0600"
"""

RETURN = r"""
result:
  description: What the module returns stands under its own names; see its documentation.
  returned: as that module does
  type: dict
  sample: {}
"""
