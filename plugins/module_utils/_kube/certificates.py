# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the public certificates of a webhook say; no key is looked at."""

from __future__ import annotations

import base64
import binascii
import typing as t
from datetime import datetime, timezone

from .._domain.errors import Failure
from .._domain.installation.workload_identity_installation import BUNDLE, SERVING, Certificate
from .._libraries import library

if t.TYPE_CHECKING:
    from cryptography import x509


def read(bundle: str, serving: str, place: str) -> tuple[Certificate, ...]:
    """``bundle`` and ``serving``: certificates in PEM, encoded in base64; the first of the latter is the server's own.

    ``place``: where they are, for the Failure that is raised where they cannot be read.
    """
    with library("cryptography"):
        authorities, own = _parse(bundle, f"caBundle of {place}"), _parse(serving, f"certificate of {place}")[:1]
    return (
        *(Certificate(BUNDLE, each.subject.rfc4514_string(), _end(each)) for each in authorities),
        *(
            Certificate(SERVING, each.subject.rfc4514_string(), _end(each), _is_signed(each, authorities))
            for each in own
        ),
    )


def _parse(encoded: str, what: str) -> list[x509.Certificate]:
    from cryptography import x509

    if not encoded:
        return []
    try:
        return x509.load_pem_x509_certificates(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error) as error:
        raise Failure(f"The {what} cannot be read as certificates: let the webhook write it anew.") from error


def _end(certificate: x509.Certificate) -> datetime:
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=timezone.utc)


def _is_signed(certificate: x509.Certificate, authorities: t.Sequence[x509.Certificate]) -> bool:
    """Also where nothing is known of who must have signed it."""
    return not authorities or any(_is_issuer(each, certificate) for each in authorities)


def _is_issuer(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
