# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python tests/readmes.py`: write the table of permissions of each role into its README, and all of them into the page
of permissions, the page of codes, of the guide of the migration what it says of products that take tokens for others,
the JSON Schema of reports, and what all modules document alike in their RETURN.

A table stands in the last section, and is that of the map PERMISSIONS of the role's plan. The page of codes,
docs/codes.md, is that of the tables of causes, problems, findings, residue and verdicts, and of the failures that users
reported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
DOMAIN = "plugins.module_utils._domain"
PAGE = CHECKOUT / "docs/codes.md"
GUIDE = CHECKOUT / "docs/migration.md"
PERMITTED = CHECKOUT / "docs/permissions.md"
COMMAND = "python tests/readmes.py"
SECTION = "\n## Permissions\n"
# Files of causes, with the section of each.
CAUSES = {
    "of_installation": "Causes in the installation",
    "of_mic": "Causes in MIC",
    "of_azure": "Causes in Azure",
    "of_identities": "Causes in AzureIdentities, bindings and labels",
    "of_network": "Causes in network and nodes",
    "of_workload_id": "Causes in Workload ID",
    "of_requests": "Answers to requests for tokens",
}
ITSELF = "Azure/aad-pod-identity"
INTRODUCTION = """# Codes

What the collection says of what is wrong: causes of a diagnosis, problems of a migration, findings of the inventory,
what is left after an uninstallation, verdicts over tokens, dry runs of pods. Each code is one word for one thing,
wherever it is told. This page is written by `python tests/readmes.py`. Issues without a repository are those of AAD Pod
Identity.

A cause is *proved* where the present state of an object or of Azure is the cause itself, or an answer to a request that
was made now says so; *likely* where a log or an event names it and nothing contradicts; *possible* where the state
would lead to what is seen, and nothing shows that it did. An answer proves what it says, and, where it is just the one
that a present state leads to, that this state is in effect; what it only hints at is likely."""
EXPLAINED = {
    "Problems of a migration": "Told by `workload_identity_info`, for each workload that is to move to Workload ID.",
    "Findings": "Told by the objects of the cluster (`pod_identity_info`), and part of every diagnosis.",
    "Residue": "Told by the objects of the cluster (`pod_identity_info`) where AAD Pod Identity is to be gone.",
    "Uninstallation": "Told by the role `pod_identity_uninstall` beside the residue of the cluster.",
    "Federated credentials": "Told by the modules of federated credentials.",
    "Verdicts": "Told by `pod_token_info`, with what to do.",
    "Dry runs": "Told by `workload_identity_webhook_info`, of what the webhook of Workload ID would do to a pod.",
    "Groups of nodes": "The inventory `aks_nodes` puts nodes into groups; these codes tell why.",
    "Reported failures": "Failures that users reported, and the codes that tell them.",
    "What no code tells": "What a person must look at, because it cannot be told from outside, or not all of it.",
}
PRODUCTS_HEADING = "| Product | Found by | Asks with | Workload ID from |\n|---|---|---|---|\n"
HEADING = "| Phase | Where | Permission |\n|---|---|---|\n"


def roles(domain: str = DOMAIN) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """README and permissions of each role that tells what it needs."""
    for path in sorted(CHECKOUT.glob("roles/*/README.md")):
        plan = importlib.import_module(f"{domain}.roles.{path.parent.name}")
        if hasattr(plan, "PERMISSIONS"):
            yield path, plan.PERMISSIONS


def rows(permissions: Mapping[str, Any]) -> Iterator[str]:
    for each in permissions.values():
        phase = each.phase if each.phase == "always" else f"`{each.phase}`"
        yield f"| {phase} | {each.where} | {_permission(each)} |\n"


def _permission(each: Any) -> str:
    if hasattr(each, "actions"):
        return ", ".join(f"`{action}`" for action in each.actions)
    if hasattr(each, "permission"):
        return f"`{each.permission}` of Microsoft Graph"
    resource = "/".join(filter(None, (each.resource, each.subresource)))
    return f"{', '.join(each.verbs)} {resource}" + (f" ({each.api_group})" if each.api_group else "")


def written(text: str, permissions: Mapping[str, Any]) -> str:
    """The README with the table as it has to be; the section on permissions is its last."""
    before, _section, rest = text.partition(SECTION)
    explained, _heading, table = rest.partition(HEADING)
    behind = table.partition("\n\n")[2]
    others = "\n\n".join(filter(None, (before.rstrip(), behind.strip())))
    return f"{others}\n{SECTION}{explained}{HEADING}{''.join(rows(permissions))}"


def permitted(text: str, domain: str = DOMAIN) -> str:
    """The page of permissions: what is written by hand, and behind it the table of each role."""
    found = [(path.parent.name, permissions) for path, permissions in roles(domain)]
    before = text.partition(f"\n## {found[0][0]}\n")[0].rstrip()
    tables = (f"## {name}\n\n{HEADING}{''.join(rows(permissions))}".rstrip() for name, permissions in found)
    return "\n\n".join((before, *tables)) + "\n"


@dataclass(frozen=True)
class Word:
    """A code, with what the page says of it."""

    code: str
    meaning: str
    severity: str = ""
    told_by: str = ""
    looks_at: tuple[str, ...] = ()
    remedy: str = ""
    references: tuple[str, ...] = ()
    effect: str = ""
    accepted_by: str = ""


def vocabulary(domain: str = DOMAIN) -> dict[str, list[Word]]:
    """Every code by its section of the page."""

    def module(name: str) -> Any:
        return importlib.import_module(f"{domain}.{name}")

    catalogue, found = module("diagnosis.catalogue"), {}
    for name, title in CAUSES.items():
        found[title] = [
            Word(row.code, row.meaning, row.severity, row.told_by, row.sources, row.remedy, row.references)
            for row in module(f"diagnosis.{name}").TABLE.rows
        ]
    found["Problems of a migration"] = [
        Word(
            row.code,
            row.meaning,
            told_by=row.told_by,
            remedy=row.remedy,
            references=row.references,
            effect=f"{row.effect} ({row.step or row.stage})",
            accepted_by=row.accepted_by,
        )
        for row in module("migration.plan").TABLE
    ]
    checks = module("findings.findings")
    for title, several in (("Findings", checks.checks()), ("Residue", checks.residue_checks())):
        found[title] = [Word(one.code, one.meaning, one.severity, remedy=one.remedy) for one in several]
    for title, name in (
        ("Federated credentials", "azure.federated"),
        ("Verdicts", "tokens.verdicts"),
        ("Dry runs", "migration.dry_run"),
        ("Uninstallation", "roles.pod_identity_uninstall"),
    ):
        found[title] = [Word(code, meaning) for code, meaning in module(name).MEANINGS.items()]
    return {
        title: [
            replace(one, references=tuple(dict.fromkeys((*one.references, *catalogue.issues_of(one.code)))))
            for one in words
        ]
        for title, words in found.items()
    }


def page(domain: str = DOMAIN) -> str:
    """The page of codes, in Markdown; each code is a heading, so that it is an anchor too."""
    catalogue = importlib.import_module(f"{domain}.diagnosis.catalogue")
    parts = [INTRODUCTION]
    for title, words in vocabulary(domain).items():
        parts += [f"## {title}", *filter(None, [EXPLAINED.get(title, "")]), *map(_entry, words)]
    rows = [
        f"| `{group}` | {', '.join(map(_anchor, codes)) or 'the group itself'} |"
        for group, codes in catalogue.OF_NODE_GROUPS.items()
    ]
    parts += ["## Groups of nodes", EXPLAINED["Groups of nodes"], "\n".join(("| Group | Codes |", "|---|---|", *rows))]
    parts += ["## Reported failures", EXPLAINED["Reported failures"]]
    for title, several in catalogue.GROUPS.items():
        rows = [
            f"| {', '.join(map(_link, one.issues))} | {one.symptom} | {', '.join(map(_anchor, one.codes)) or 'none'} |"
            for one in several
        ]
        parts += [f"### {title}", "\n".join(("| Issues | Symptom | Codes |", "|---|---|---|", *rows))]
    looks = [
        f"- {one.symptom} ({', '.join(map(_link, one.issues))}): {one.look}"
        for several in catalogue.GROUPS.values()
        for one in several
        if one.look
    ]
    parts += ["## What no code tells", EXPLAINED["What no code tells"], "\n".join(looks)]
    return "\n\n".join(parts) + "\n"


def _entry(word: Word) -> str:
    about = (
        ("Severity", word.severity),
        ("Effect", word.effect),
        ("Told by", word.told_by),
        ("Looks at", ", ".join(word.looks_at)),
        ("Remedy", word.remedy),
        ("Accepted by", word.accepted_by and f"`{word.accepted_by}`"),
        ("See", ", ".join(map(_link, word.references))),
    )
    lines = "\n".join(f"- {name}: {text}" for name, text in about if text)
    return "\n\n".join(filter(None, (f"### {word.code}", word.meaning.replace("``", "`"), lines)))


def guided(text: str, domain: str = DOMAIN) -> str:
    """The guide with what it says of the products, which ends its section."""
    before, heading, rest = text.partition(PRODUCTS_HEADING)
    after = rest[rest.index("\n## ") :]
    several = importlib.import_module(f"{domain}.migration.products").PRODUCTS
    rows = [
        f"| [{one.name}]({one.page}) | {_found_by(one)} | {one.asker} | "
        f"{', '.join(each.label for each in one.versioned)} |\n"
        for one in several
    ]
    steps = [
        "\n".join((f"### {one.name}", "", *(f"{number}. {step}" for number, step in enumerate(one.steps, 1)), ""))
        + f"\nProof: {one.proof}\n"
        for one in several
    ]
    return f"{before}{heading}{''.join(rows)}\n" + "\n".join(steps) + after


def _found_by(product: Any) -> str:
    """Its objects, and how images of its pods end."""
    charts = [f"chart `{each}`" for each in product.charts]
    images = product.asks.replace("(^|/)", "").replace("$", "").replace("|", "\\|")
    return ", ".join((*product.kinds, *charts, f"image `{images}`"))


def _anchor(code: str) -> str:
    return f"[{code}](#{code})"


def _link(reference: str) -> str:
    """An address, or an issue as owner/repository#number."""
    if reference.startswith("https://"):
        return f"<{reference}>"
    repository, dummy, number = reference.rpartition("#")
    return f"[{reference.replace(ITSELF, '')}](https://github.com/{repository}/issues/{number})"


def main() -> None:
    sys.path.insert(0, str(CHECKOUT))
    for path, permissions in roles():
        path.write_text(written(path.read_text(), permissions))
    PAGE.write_text(page())
    GUIDE.write_text(guided(GUIDE.read_text()))
    PERMITTED.write_text(permitted(PERMITTED.read_text()))
    report_schema = importlib.import_module("tests.support.report_schema")
    report_schema.SCHEMA.write_text(report_schema.text(DOMAIN))
    returns = importlib.import_module("tests.returns")
    for path in returns.modules():
        path.write_text(returns.written(path.stem, path.read_text()))


if __name__ == "__main__":
    main()
