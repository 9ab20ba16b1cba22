# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What each verdict over a request for a token means, for the page of codes; ``token`` gives them."""

from __future__ import annotations

import typing as t

MEANINGS: t.Mapping[str, str] = {
    "ok": "A token of the right identity came by the right way.",
    "not_verified": "No verdict was obtained; never a success.",
    "raw_imds": "The metadata service itself answered: the node has no rule of NMI for the pod.",
    "nmi_dead": "The connection was refused at once: NMI does not run on the node, or a firewall rejects its port.",
    "path_blocked": "Nothing answered: something between the pod and NMI, or the login host, drops the packets.",
    "no_answer": "The connection was accepted, and no answer came in time.",
    "not_assigned": "NMI knows no assignment of an identity to the pod.",
    "assignment_stuck": "The assignment stays Created: MIC has not brought the identity to the scale set.",
    "wrong_identity": "The token is of another identity, or the pod has none with the client id that was asked for.",
    "identity_missing": "The metadata service knows no such identity on the scale set.",
    "wrong_tenant": "The token, or the identity, belongs to another tenant.",
    "wrong_audience": "The token is for another resource than was asked for.",
    "ambiguous_identity": "The pod has several identities, and a request that names none gets any of them.",
    "federation_refused": "Entra refuses the token of the service account for the identity.",
    "stale_token": "The token has expired, or comes from a cache, so that it proves no way.",
    "token_refused": "NMI knows the identity, and Entra or the metadata service gives it no token.",
    "pod_unknown": "NMI does not know which pod asks.",
    "request_refused": "Resource or headers of the request are refused.",
    "throttled": "The metadata service or Entra has too many requests.",
    "server_error": "Whoever answered failed; its log tells more.",
    "unreadable_token": "The answer holds no token that can be read.",
    "unknown_responder": "A server of another name answered, such as a service mesh.",
    "unclear": "The marks of who answered contradict each other.",
    "intermittent": "Some of several answers are right and some are not.",
    "policy_refused": "A policy of the tenant, such as Conditional Access, forbids the token.",
    "wrong_path": "The token is right, but came by another way than was expected.",
    "not_mutated": "The webhook of Workload ID has not changed the pod, so it has no token of its service account.",
    "exchange_incomplete": "The pod lacks what it takes to ask Entra: client id, tenant, login host, or a token of its "
    "service account.",
    "role_missing": "The token is right, and the service that it is for answers that its identity may not.",
    "target_refused": "The token is right, and the service that it is for answers another error.",
    "target_unreached": "The token is right, and the service that it is for could not be asked.",
}
