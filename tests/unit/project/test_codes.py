# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One vocabulary: each code is one thing, is explained on one page, and tells what users reported."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import catalogue, diagnose
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import dry_run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import cluster_nodes
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import verdicts
from ansible_collections.azureops.pod_identity.plugins.modules import pod_token_info, workload_identity_webhook_info
from ansible_collections.azureops.pod_identity.tests import readmes

CHECKOUT = Path(__file__).resolve().parents[3]
DOMAIN = "ansible_collections.azureops.pod_identity.plugins.module_utils._domain"
WORDS = [word for words in readmes.vocabulary(DOMAIN).values() for word in words]
# pod_identity.md section 4.7, group by group.
POD_IDENTITY = """
    780 473 730 761 947
    497 1039 1255 472 279 509 323 503 977 671 678 585 556 773 799 531 175 723 1013 1199 484 1267 1065 1280 388 475 212
    607 245
    443 613 636 1279 339 544 692 752 753 635 778 838 1054 1220 553 987 1308 898 515 521 1327 487 217 1192 1139 676 677
    988 1012 633 639 813 637 760 535 227 533 644 1151 366
    681 1380 880 606 436 725 74 148 1154 629
    716 821 417 1195 1092 249 294 728 877 740 875 892 1050 1070 1157 113 154 1242 1243 563 920 1388 968
    1085 193 182 980
"""
WORKLOAD_ID = "720 725 1115 773 774 647 790 863 1608 977 1200 995 1009 1424 1050 1270 1363"
AKS = "1650 3897 4139 5472 5686 3982 5541"
OTHERS = {
    *("kedacore/keda#2178", "kedacore/keda#8152", "Azure/aks-engine#4013", "cilium/cilium#20103"),
    *("MicrosoftDocs/azure-aks-docs#11", "Azure/Microsoft.Azure.StackExchangeRedis#79"),
}


def test_the_page_is_that_of_the_tables() -> None:
    assert readmes.PAGE.read_text() == readmes.page(DOMAIN), f"run {readmes.COMMAND}"


def test_the_guide_says_what_the_table_of_products_says() -> None:
    assert readmes.GUIDE.read_text() == readmes.guided(readmes.GUIDE.read_text(), DOMAIN), f"run {readmes.COMMAND}"


def test_no_two_tables_use_one_code() -> None:
    assert [code for code, times in Counter(word.code for word in WORDS).items() if times > 1] == []


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.code)
def test_a_code_is_explained_in_a_sentence(word: readmes.Word) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", word.code)
    assert re.fullmatch(r"[A-Z].{20,}\.", word.meaning), word.meaning


def test_the_address_of_a_code_is_a_heading_of_the_page_in_the_repository() -> None:
    repository = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["repository"]
    headings = set(re.findall(r"^### ([a-z_]+)$", readmes.PAGE.read_text(), re.MULTILINE))
    assert headings == {word.code for word in WORDS}
    for word in WORDS:
        address, dummy, anchor = catalogue.address(word.code).partition("#")
        assert address == f"{repository}/blob/main/{readmes.PAGE.relative_to(readmes.CHECKOUT)}"
        assert anchor in headings


def test_a_cause_leads_to_its_code_first() -> None:
    for row in diagnose.TABLE:
        assert catalogue.references(row.code, row.references)[0] == catalogue.address(row.code)


def test_every_verdict_that_is_documented_is_explained() -> None:
    (returned,) = (
        each["contains"]["verdict"]
        for each in yaml.safe_load(pod_token_info.RETURN).values()
        if "verdict" in (each.get("contains") or {})
    )
    assert set(re.findall(r"V\((\w+)\)", " ".join(returned["description"]))) == set(verdicts.MEANINGS)


def test_every_code_of_a_dry_run_is_documented() -> None:
    returned = yaml.safe_load(workload_identity_webhook_info.RETURN)["templates"]["contains"]["with_label"]["contains"]
    told = set(re.findall(r"V\((\w+)\)", " ".join(returned["code"]["description"])))
    assert told == set(dry_run.MEANINGS)


def test_every_group_of_nodes_is_explained() -> None:
    assert set(catalogue.OF_NODE_GROUPS) == set(cluster_nodes.GROUPS)


def test_every_reported_failure_has_a_code_or_is_for_a_person() -> None:
    reported = {issue for several in catalogue.GROUPS.values() for one in several for issue in one.issues}
    wanted = {f"Azure/aad-pod-identity#{number}" for number in POD_IDENTITY.split()}
    wanted |= {f"Azure/azure-workload-identity#{number}" for number in WORKLOAD_ID.split()}
    wanted |= {f"Azure/AKS#{number}" for number in AKS.split()}
    assert reported == wanted | OTHERS
    assert [one for several in catalogue.GROUPS.values() for one in several if not (one.codes or one.look)] == []


def test_every_code_that_is_told_for_a_failure_exists() -> None:
    told = {code for several in catalogue.GROUPS.values() for one in several for code in one.codes}
    told |= {code for codes in catalogue.OF_NODE_GROUPS.values() for code in codes}
    assert sorted(told - {word.code for word in WORDS}) == []
