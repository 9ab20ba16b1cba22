# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ansible.module_utils
import ansible.modules
import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import hidden_arguments
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

SOURCES = {
    "m.py": "spec = dict(password=dict(type='str', no_log=True), state=dict(type='str', no_log=False))\n",
    "util.py": "spec = {'token': {'type': 'str', 'no_log': True}, 'key': _env({'no_log': True}, 'K')}\n",
    "alias.py": "spec = {'word': {'no_log': True, 'aliases': ['words', 'pass']}, 'place': {'aliases': ['where']}}\n",
    "later.py": "spec['token']['aliases'] = ['tok']\nspec['place']['aliases'] = ['there']\n",
    "nested.py": "spec = {'auth': {'type': 'dict', 'options': {'pin': {'no_log': True}}}}\n",
}


def payload(arguments: dict[str, Any], sources: Mapping[str, str] = MappingProxyType(SOURCES)) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in sources.items():
            archive.writestr(name, source)
    packed = base64.b64encode(buffer.getvalue()).decode()
    params = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
    return (
        "_ANSIBALLZ_WRAPPER = True\ndef _ansiballz_main(**_): ...\n"
        f"if __name__ == '__main__':\n    _ansiballz_main(zip_data={packed!r}, params={params!r})\n"
    ).encode()


@table(
    "arguments, expected",
    ({"state": "x", "name": "password"}, ()),
    ({"password": "x"}, ("password",)),
    ({"password": None}, ()),
    ({"token": "x", "key": "y", "state": "z"}, ("key", "token")),
    ({"auth": {"pin": "1"}}, ("pin",)),
    ({"list": [{"pin": "1"}]}, ("pin",)),
    ({"pass": "x", "where": "y"}, ("pass",)),
    ({"tok": "x", "there": "y"}, ("tok",)),
    ({"_ansible_no_log": True}, ("no_log",)),
    ({"_ansible_no_log": False}, ()),
)
def test_arguments_of_a_module(arguments: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert hidden_arguments.hidden(payload(arguments)) == expected


def test_other_data_has_no_arguments() -> None:
    assert hidden_arguments.hidden(b"") == hidden_arguments.hidden(b"password=x no_log=True") == ()


def test_a_payload_that_cannot_be_read_is_secret() -> None:
    assert hidden_arguments.hidden(b"_ANSIBALLZ_WRAPPER = True\nother(zip_data='')\n") == ("unknown",)


@pytest.mark.parametrize("module", ["uri", "get_url"])
def test_aliases_of_modules_of_ansible(module: str) -> None:
    files = (ansible.modules, f"{module}.py"), (ansible.module_utils, "urls.py")
    sources = {name: (Path(next(iter(package.__path__))) / name).read_text() for package, name in files}
    arguments = {"url": "https://h", "url_username": "x", "dest": "/d"}
    assert hidden_arguments.hidden(payload({**arguments, "password": "x"}, sources)) == ("password",)
    assert hidden_arguments.hidden(payload(arguments, sources)) == ()


@table(
    "name",
    *("AZURE_SECRET", "PGPASSWORD", "MYSQL_PWD", "K8S_AUTH_API_KEY", "githubToken", "PASS"),
    *("DB_CONNECTION_STRING", "apikey", "K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH"),
)
def test_a_variable_with_such_a_name_is_secret(name: str) -> None:
    assert hidden_arguments.hidden_variables({name: "x", "LANG": "C"}) == (name,)
    assert hidden_arguments.hidden_variables({name: ""}) == hidden_arguments.hidden_variables({name: None}) == ()


@table(
    "value",
    *("http://u:p@proxy:3128", "-----BEGIN RSA PRIVATE KEY-----", "eyJhbGci.eyJhdWQi.x"),
    *("a;AccountKey=x", "https://h/?sig=x"),
)
def test_a_variable_with_such_a_value_is_secret(value: str) -> None:
    assert hidden_arguments.hidden_variables([{"LANG": "C"}, {"X": value}]) == ("X",)


@pytest.mark.parametrize(
    "name",
    ["PWD", "PATH", "HTTPS_PROXY", "SSH_AUTH_SOCK", "K8S_AUTH_KUBECONFIG", "VAULT_PASSWORD_FILE", "AZURE_CLIENT_ID"]
    + ["GIT_ASKPASS", "KEYMAP", "TOKENIZERS_PARALLELISM", "", "1", "SECRET_NAME"],
)
def test_other_variables_are_not(name: str) -> None:
    assert hidden_arguments.hidden_variables({name: "http://proxy:3128"}) == ()


@pytest.mark.parametrize("odd", [None, "TOKEN=x", 5, [None], [["TOKEN"]]])
def test_what_is_no_environment_has_none(odd: Any) -> None:
    assert hidden_arguments.hidden_variables(odd) == ()
