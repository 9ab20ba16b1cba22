# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Who calls Azure. Names and order are those of azure.azcollection: options, environment, file, ``az`` login."""

from __future__ import annotations

import configparser
import json
import os
import typing as t
from dataclasses import dataclass, field

from .._domain.errors import Failure
from .._libraries import library
from .clouds import Cloud

if t.TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

Values = t.Mapping[str, str]
RunCommand = t.Callable[..., "tuple[int, str, str]"]  # AnsibleModule.run_command: status, output, errors

PROFILES = "~/.azure/credentials"
_PROOFS = ("secret", "x509_certificate_path", "oidc_token", "oidc_token_file_path")
_ENVIRONMENT = {
    "subscription_id": ("AZURE_SUBSCRIPTION_ID",),
    "client_id": ("AZURE_CLIENT_ID",),
    "secret": ("AZURE_SECRET",),
    "tenant": ("AZURE_TENANT", "AZURE_TENANT_ID"),
    "x509_certificate_path": ("AZURE_X509_CERTIFICATE_PATH",),
    "thumbprint": ("AZURE_THUMBPRINT",),
    "oidc_token": ("AZURE_FEDERATED_TOKEN",),
    "oidc_token_file_path": ("AZURE_FEDERATED_TOKEN_FILE",),
}
# The SDKs of Azure read another name of the secret.
_VARIABLES = "AZURE_CLIENT_ID, AZURE_TENANT and AZURE_SECRET (AZURE_CLIENT_SECRET is not read)"
_SETTINGS = ("cloud_environment", "cert_validation_mode", "adfs_authority_url", "disable_instance_discovery")


@dataclass(frozen=True)
class Login:
    """Where the credential comes from (``options``, ``env``, ``credential_file``, ``msi``, ``cli``) and its values.

    ``values`` also holds the cloud settings of a profile, and the subscription where the source names one.
    """

    source: str
    values: Values = field(repr=False)

    def setting(self, name: str, options: t.Mapping[str, t.Any]) -> t.Any:
        """A cloud setting: the option (or its variable) first, then the profile."""
        value = options.get(name)
        return self.values.get(name) if value in (None, "") else value


def choose(
    options: t.Mapping[str, t.Any], environ: t.Mapping[str, str], profiles: t.Mapping[str, t.Mapping[str, str]]
) -> Login:
    """Decide which source is used; raises Failure where the chosen one is not complete."""
    given = {name: str(options[name]) for name in _ENVIRONMENT if options.get(name)}
    environment = from_environment(environ)
    source = options.get("auth_source") or "auto"
    subscription = given.get("subscription_id") or environment.get("subscription_id", "")
    if source == "msi":
        client_id = given.get("client_id") or environment.get("client_id", "")
        identity = {"client_id": client_id} if client_id else {}
        return Login("msi", {**identity, "subscription_id": subscription})
    if source == "cli":
        return Login("cli", {"subscription_id": subscription, "tenant": given.get("tenant", "")})
    if source == "env":
        return _complete("env", environment, given)
    if source == "credential_file":
        return _from_profile(profiles, options.get("profile") or "default", given)
    if options.get("profile"):
        return _from_profile(profiles, str(options["profile"]), given)
    if "client_id" in given or any(proof in given for proof in _PROOFS):
        return _complete("options", {"subscription_id": subscription, **given}, given)
    if any(proof in environment for proof in _PROOFS):
        return _complete("env", environment, given)
    if any(proof in profiles.get("default", {}) for proof in _PROOFS):
        return _from_profile(profiles, "default", given)
    return Login("cli", {"subscription_id": subscription, "tenant": given.get("tenant", "")})


def from_environment(environ: t.Mapping[str, str]) -> dict[str, str]:
    found = {name: next((environ[v] for v in names if environ.get(v)), "") for name, names in _ENVIRONMENT.items()}
    return {name: value for name, value in found.items() if value}


def read_profiles(path: str = PROFILES) -> dict[str, dict[str, str]]:
    """The sections of the credentials file; a missing file has none."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(os.path.expanduser(path))
    except configparser.Error as error:
        raise Failure(f"{path} cannot be read ({type(error).__name__}); it must be an INI file.") from error
    known = (*_ENVIRONMENT, *_SETTINGS)
    return {
        section: {name: value for name, value in parser.items(section) if name in known and value}
        for section in parser.sections()
    }


def _from_profile(profiles: t.Mapping[str, Values], name: str, given: Values) -> Login:
    if name not in profiles:
        raise Failure(f"{PROFILES} has no section [{name}]; add it, or name another profile.")
    return _complete("credential_file", profiles[name], given)


def _complete(source: str, values: Values, given: Values) -> Login:
    missing = [name for name in ("client_id", "tenant") if not values.get(name)]
    if not any(values.get(proof) for proof in _PROOFS):
        missing.append(" or ".join(_PROOFS))
    if missing:
        where = {"options": "the module's options", "env": "the environment", "credential_file": PROFILES}[source]
        hint = f" It is read from {_VARIABLES}." if source == "env" else ""
        raise Failure(f"The Azure credential from {where} is not complete; it lacks {', '.join(missing)}.{hint}")
    if given.get("subscription_id"):  # the option chooses the subscription, whoever calls
        values = {**values, "subscription_id": given["subscription_id"]}
    return Login(source, dict(values))


def entra(login: Login, cloud: Cloud, options: t.Mapping[str, t.Any], *, verify: bool) -> dict[str, t.Any]:
    """How Entra is reached, for every credential that asks it itself."""
    return {
        "authority": login.setting("adfs_authority_url", options) or cloud.authority,
        "disable_instance_discovery": cloud.vouched or _true(login.setting("disable_instance_discovery", options)),
        "connection_verify": verify,
        "retry_total": 4,
        "permit_redirects": False,  # a secret or an assertion would go with it
    }


def asserted(way: t.Mapping[str, t.Any], tenant: str, client_id: str, assertion: str) -> TokenCredential:
    """The credential of whom a federated credential lets this assertion be; ``way`` is what ``entra`` returned."""
    with library("azure-identity"):
        from azure.identity import ClientAssertionCredential
    return ClientAssertionCredential(tenant, client_id, lambda: assertion, **way)


def create(login: Login, way: t.Mapping[str, t.Any]) -> TokenCredential:
    """The credential object for a login; ``way`` is what ``entra`` returned."""
    with library("azure-identity"):
        from azure.identity import (
            AzureCliCredential,
            CertificateCredential,
            ClientAssertionCredential,
            ClientSecretCredential,
            ManagedIdentityCredential,
        )
    values = login.values
    if login.source == "msi":
        return ManagedIdentityCredential(client_id=values.get("client_id"))
    if login.source == "cli":
        return AzureCliCredential(tenant_id=values.get("tenant", ""), process_timeout=60)
    who = {"tenant_id": values["tenant"], "client_id": values["client_id"]}
    if values.get("secret"):
        return ClientSecretCredential(client_secret=values["secret"], **who, **way)
    if values.get("x509_certificate_path"):
        path = values["x509_certificate_path"]
        try:
            return CertificateCredential(certificate_path=os.path.expanduser(path), **who, **way)
        except (OSError, ValueError) as error:
            raise Failure(
                f"The certificate {path} cannot be used ({type(error).__name__}); it must be a readable PEM file that "
                "holds the certificate and its private key."
            ) from error
    return ClientAssertionCredential(func=_assertion(values), **who, **way)


def _assertion(values: Values) -> t.Callable[[], str]:
    if values.get("oidc_token"):
        return lambda: values["oidc_token"]
    path = values["oidc_token_file_path"]

    def read() -> str:  # for each exchange anew, because the kubelet renews the file
        try:
            with open(os.path.expanduser(path), encoding="utf-8") as file:
                return file.read().strip()
        except OSError as error:
            raise Failure(f"The federated token file {path} cannot be read ({error.strerror}).") from error

    return read


def cli_account(run_command: RunCommand) -> dict[str, t.Any]:
    """What ``az account show`` says about the logged-in account (``id`` is the subscription)."""
    try:
        status, output, _errors = run_command(["az", "account", "show", "--output", "json"], handle_exceptions=False)
    except OSError as error:
        raise Failure(
            "No Azure credential was found in the module's options, the environment or ~/.azure/credentials, and the "
            f"az command could not be run ({type(error).__name__}); set {_VARIABLES}, or run az login."
        ) from error
    if status != 0:
        raise Failure(
            "No Azure credential was found in the module's options, the environment or ~/.azure/credentials, and az "
            f"has no login; set {_VARIABLES}, or run az login."
        )
    account = json.loads(output)
    return account if isinstance(account, dict) else {}


def _true(value: t.Any) -> bool:
    return str(value).lower() in ("true", "yes", "1", "on")
