# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers to a request for a token, and images of pods that ask for one."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

RESOURCE = "https://management.azure.com/"
Image = tuple[list[str], dict[str, str]]
"""The command of a shell and its environment."""
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
SIGNATURE = "c2lnbmF0dXJlLXRoYXQtbXVzdC1zdGF5"


def jwt(**changes: Any) -> str:
    claims = {
        "aud": RESOURCE,
        "tid": "5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10",
        "appid": CLIENT_ID,
        "oid": "b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21",
        "iat": int(time.time()),
        "exp": int(time.time()) + 3600,
        "name": 'Zoë "quoted" \\ back~~~???>>>',
        **changes,
    }
    header, payload = (
        base64.urlsafe_b64encode(json.dumps(part, ensure_ascii=False).encode()).decode().rstrip("=")
        for part in ({"alg": "RS256", "typ": "JWT"}, claims)
    )
    return f"{header}.{payload}.{SIGNATURE}"


def success(**changes: Any) -> bytes:
    answer = {"access_token": jwt(**changes), "expires_in": "3600", "resource": RESOURCE, "token_type": "Bearer"}
    return json.dumps(answer).encode()


# How an image may be made: which shell it has, and which of the clients.
COREUTILS = ("tr", "base64", "head", "date", "env", "timeout", "cat", "sleep")


IMAGES = {
    "bash with curl": (["bash"], "curl"),
    "dash with curl": (["dash"], "curl"),
    "busybox with curl": (["busybox", "sh"], "curl"),
    "busybox with its own wget": (["busybox", "sh"], "busybox wget"),
    "dash with GNU wget": (["dash"], "wget"),
    "dash with python3": (["dash"], "python3"),
    "dash with bash": (["dash"], "bash"),
}


@pytest.fixture(params=list(IMAGES))
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Image:
    """The command of the shell and the environment of a container with few programs."""
    shell, tool = IMAGES[request.param]
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in {shell[0], tool.split()[0], *(COREUTILS if shell[0] != "busybox" else ())}:
        found = sys.executable if program == "python3" else shutil.which(program)
        assert found, f"this machine has no {program}: run tests/sandbox/sandbox build debian"
        (folder / program).symlink_to(found)
    if shell[0] != "busybox":
        (folder / "sh").symlink_to(str(shutil.which(shell[0])))
    else:
        for applet in (*COREUTILS, "sh", *(["wget"] if tool == "busybox wget" else [])):
            (folder / applet).symlink_to(str(shutil.which("busybox")))
    return [str(folder / shell[0]), *shell[1:]], {"PATH": str(folder), "http_proxy": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of 127.0.0.1 in one file, by which it can be trusted, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@contextmanager
def noting(image: Image, folder: Path) -> Iterator[tuple[Path, Image]]:
    """Every program that a script starts notes its arguments first; no token may be among them."""
    log, wrapped = folder / "arguments", folder / "wrapped"
    wrapped.mkdir()
    for program in sorted(Path(image[1]["PATH"]).iterdir()):
        if program.name in ("bash", "dash", "busybox", "sh"):
            (wrapped / program.name).symlink_to(os.path.realpath(program))
            continue
        script = f'#!/bin/sh\nfor each; do printf "%s\\n" "$each" >>{log}; done\nexec {program} "$@"\n'
        (wrapped / program.name).write_text(script)
        (wrapped / program.name).chmod(0o755)
    yield log, (image[0], {**image[1], "PATH": str(wrapped)})
    assert SIGNATURE not in log.read_text() and "eyJ" not in log.read_text()


CAPABLE = [name for name in IMAGES if "curl" in name or "python3" in name]
