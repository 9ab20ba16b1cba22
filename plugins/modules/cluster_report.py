#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_report
short_description: Write a report of what was observed of clusters, for people and for machines
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Writes what the filter P(azureops.pod_identity.report#filter) makes of an observation into files on the controller.
    They are written as a whole or not at all, and only those that differ. A new file is for its owner alone; one that
    is replaced keeps its mode.
  - Where the page of all clusters would be larger than a browser opens at once, it leads to a page for each cluster.
    Pages of clusters that are no longer among O(clusters) stay.
  - It is internal to the role C(pod_identity_report), and may change with any release.
extends_documentation_fragment:
  - azureops.pod_identity._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Of each file its SHA-256.
  idempotent:
    support: full
    details:
      - The same observation gives the same files, byte by byte; the time of an observation is part of it.
options:
  target:
    description:
      - A path that ends in V(.html), V(.json), V(.xml), V(.prom) or V(.csv) is the one file, any other a folder, which
        is made for its owner alone where there is none.
    type: path
    required: true
  formats:
    description: The files in the folder. By default V(html) and V(json).
    type: list
    elements: str
    choices: [html, json, junit, prometheus, csv]
    default: []
  title:
    description: What the page is called.
    type: str
    default: ""
  fail_on:
    description: The least severity that is a failure.
    type: str
    choices: [error, warning, never]
    default: never
  previous:
    description:
      - A report in JSON that an earlier run wrote, to compare this one with. Where there is none, nothing is. Where it
        has the same observation, what was new of it stays.
    type: path
  hosts:
    description: Names of all clusters, in their order.
    type: list
    elements: str
    required: true
  clusters:
    description:
      - What was observed of each, as an entry of C(clusters) of the filter; an empty dictionary where nothing is known.
    type: list
    elements: dict
    required: true
seealso:
  - plugin: azureops.pod_identity.report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write the report
  azureops.pod_identity.cluster_report:
    target: /var/reports
    formats: [html, json, prometheus]
    hosts: [east, west]
    clusters:
      - name: east
        sources:
          inventory: {observed_at: "2026-03-01T12:00:00Z", result: "{{ inventory }}"}
      - name: west
        failure: "The user of this connection may not list pods: grant it with a Role or ClusterRole and a binding."
  register: report
"""

RETURN = r"""
result:
  description: What the report says, and where it is.
  returned: success
  type: dict
  contains:
    files:
      description: Its files.
      returned: always
      type: list
      elements: str
      sample: [/var/reports/pod-identity-report.html, /var/reports/pod-identity-report.json]
    verdict:
      description: V(broken), V(suspect), V(healthy) or V(unknown).
      returned: always
      type: str
      sample: broken
    sentence:
      description: The verdict in one sentence.
      returned: always
      type: str
      sample: "2 clusters: 1 broken and 1 unknown."
    clusters:
      description: One entry for each cluster.
      returned: always
      type: list
      elements: dict
      contains:
        cluster:
          description: Name of the cluster.
          returned: always
          type: str
          sample: east
        verdict:
          description: V(broken), V(suspect), V(healthy) or V(unknown).
          returned: always
          type: str
          sample: broken
        sentence:
          description: The verdict in one sentence.
          returned: always
          type: str
          sample: "east is broken: 1 error."
        errors:
          description: How many causes and findings with the severity V(error) it has.
          returned: always
          type: int
          sample: 1
        warnings:
          description: How many with the severity V(warning).
          returned: always
          type: int
          sample: 0
        workloads:
          description: How many workloads have to do with identities.
          returned: always
          type: int
          sample: 40
        observed_at:
          description: When the oldest of it was observed; empty where nothing was.
          returned: always
          type: str
          sample: "2026-03-01T12:00:00Z"
        failure:
          description: Why it could not be looked at; else empty.
          returned: always
          type: str
          sample: ""
    failures:
      description: Why the run fails by O(fail_on), by the clusters for which it does.
      returned: always
      type: dict
      sample:
        east: east has 1 problem of severity error.
    differences:
      description: What is new, gone or changed since O(previous); the page and the JSON have it too.
      returned: always
      type: list
      elements: dict
      contains:
        cluster:
          description: Name of the cluster.
          returned: always
          type: str
          sample: east
        change:
          description: V(new), V(gone) or V(changed).
          returned: always
          type: str
          sample: new
        kind:
          description: V(cluster), V(problem), V(workload), V(phase), V(token) or V(leftover).
          returned: always
          type: str
          sample: problem
        what:
          description: What it is.
          returned: always
          type: str
          sample: nothing_matches Deployment shop/web
        before:
          description: Its severity, verdict, phase or state in the earlier report; empty where it was not there.
          returned: always
          type: str
          sample: ""
        after:
          description: The same in this one; empty where it is not there.
          returned: always
          type: str
          sample: error
permissions:
  description: Always empty, because nothing of Azure or Kubernetes is changed.
  returned: in check mode
  type: list
  elements: dict
  sample: []
actions:
  description: What was done; empty in check mode.
  returned: always
  type: list
  elements: str
  sample: [write /var/reports/pod-identity-report.html and pod-identity-report.json]
changes:
  description: RV(actions) as data, in the same order.
  returned: always
  type: list
  elements: dict
  contains:
    verb:
      description: V(create) or V(change).
      returned: always
      type: str
      sample: create
    kind:
      description: V(file).
      returned: always
      type: str
      sample: file
    id:
      description: Path of the first file that is written.
      returned: always
      type: str
      sample: /var/reports/pod-identity-report.html
    why:
      description: The others.
      returned: always
      type: str
      sample: with pod-identity-report.json
  sample:
    - verb: create
      kind: file
      id: /var/reports/pod-identity-report.html
      why: with pod-identity-report.json
"""
