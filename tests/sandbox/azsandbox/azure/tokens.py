# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access tokens: minted by Entra and IMDS, verified by ARM and Graph."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .state import Principal, PrincipalKind
from .wire import JsonObject, utcnow

AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"
"""The AKS Entra server application: what a token for a cluster's API server is for."""
LIFETIME = 3599
MANAGED_IDENTITY_LIFETIME = 86400


class InvalidToken(Exception):
    """Why a token was not accepted."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(public: rsa.RSAPublicKey, kid: str) -> JsonObject:
    """An RSA public key as JWK."""
    numbers = public.public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": kid,
        "n": b64url(numbers.n.to_bytes(size, "big")),
        "e": b64url(numbers.e.to_bytes(3, "big")),
    }


class Signer:
    """Entra's signing key; a new one per start, as tokens do not outlive the server."""

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accounts.accesscontrol.windows.net")])
        now = utcnow()
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now.replace(year=now.year + 5, day=1))
            .sign(self._key, hashes.SHA256())
        )
        der = self._certificate.public_bytes(Encoding.DER)
        self._kid = b64url(hashlib.sha1(der, usedforsecurity=False).digest())
        self._x5c = base64.b64encode(der).decode()

    @property
    def certificate(self) -> str:
        """Base64url DER; also the ``c`` of signed operation URLs."""
        return self._x5c.replace("+", "-").replace("/", "_").rstrip("=")

    def keys(self) -> JsonObject:
        """The JWKS document."""
        key = jwk(self._key.public_key(), self._kid)
        del key["alg"]
        return {"keys": [{**key, "x5t": self._kid, "x5c": [self._x5c]}]}

    @property
    def issuer(self) -> str:
        return f"https://sts.windows.net/{self._tenant_id}/"

    def mint(
        self,
        principal: Principal,
        audience: str,
        *,
        proof: str = "2",
        lifetime: int = LIFETIME,
        azure_resource: str | None = None,
    ) -> str:
        """A version 1.0 token, as Azure's own APIs get it from either endpoint version.

        proof: ``1`` for a secret, ``2`` for a certificate, an assertion or a managed identity.
        azure_resource: the machine that IMDS answered for.
        """
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now - 300,
            "nbf": now - 300,
            "exp": now + lifetime,
            "aio": b64url(uuid.uuid4().bytes),
            "appid": principal.app_id,
            "appidacr": proof,
            "idp": self.issuer,
            "idtyp": "app",
            "oid": principal.object_id,
            "rh": "1.A" + b64url(uuid.uuid4().bytes) + ".",
            "sub": principal.object_id,
            "tid": self._tenant_id,
            "uti": b64url(uuid.uuid4().bytes),
            "ver": "1.0",
        }
        if audience == AKS_SERVER and principal.groups:
            claims["groups"] = principal.groups
        if azure_resource is not None:
            claims["xms_az_rid"] = azure_resource
        if principal.kind is PrincipalKind.MANAGED_IDENTITY and principal.resource_id is not None:
            claims["xms_mirid"] = principal.resource_id
        return jwt.encode(claims, self._key, "RS256", headers={"kid": self._kid, "x5t": self._kid})

    def verify(self, token: str, audiences: frozenset[str]) -> JsonObject:
        """Claims of a token of ours for one of the audiences (without trailing slashes); raises InvalidToken."""
        try:
            claims: JsonObject = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                issuer=self.issuer,
                options={"verify_aud": False, "require": ["exp", "iss", "aud", "oid"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise InvalidToken("ExpiredAuthenticationToken", "The access token expiry UTC time has passed.") from None
        except jwt.InvalidTokenError:
            raise InvalidToken("InvalidAuthenticationToken", "The access token is invalid.") from None
        if str(claims["aud"]).rstrip("/") not in audiences:
            raise InvalidToken(
                "InvalidAuthenticationTokenAudience",
                "The access token has been obtained for wrong audience or resource"
                f" '{claims['aud']}'. It should exactly match with one of the allowed audiences.",
            )
        return claims
