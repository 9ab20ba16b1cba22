# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks of the golden record, with their variables; each function makes one what the site plays next."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.tests.golden.recording import Raw
from ansible_collections.azureops.pod_identity.tests.golden.site import Site, playbook
from ansible_collections.azureops.pod_identity.tests.support import api_server as server

MIGRATION = "workload_identity_migration"
SHOP = "shop"
"""The namespace of workloads."""
IDENTITIES = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
MIC_CREDENTIAL = {
    "useMSI": "false",
    "userAssignedMSIClientID": "",
    **dict.fromkeys(
        ("cloud", "subscriptionID", "resourceGroup", "vmType", "tenantID", "clientID", "clientSecret"), "x"
    ),
}
"""Of MIC, among the values of the chart; each part is a letter, which no record can tell as a secret."""


def install(site: Site, *, mode: str = "chart", names: tuple[str, ...] = ("billing",), **more: Any) -> None:
    """``names``: of the identities that are handed out."""
    site.playbook = playbook("site")
    site.arguments = ("--skip-tags", "pod_identity_chart_wait")
    entries = [{"name": each, "namespace": SHOP, "selector": each, "roles": [{"role": "Reader"}]} for each in names]
    site.variables.update(
        pod_identity_mode=mode,
        pod_identity_bindings_create_namespaces=True,
        pod_identity_bindings_list=entries,
        pod_identity_bindings_exceptions=[{"name": "agents", "namespace": SHOP, "pod_labels": {"app": "agent"}}],
        pod_identity_bindings_wait=False,
        pod_identity_verify_fail=False,
        **_chart(),
        **more,
    )


def _chart() -> Raw:
    programs, charts = server.programs()
    return {
        "pod_identity_chart_ref": str(charts / server.CHART),
        "pod_identity_chart_helm_binary": str(programs / "helm"),
        "pod_identity_chart_values": {"adminsecret": MIC_CREDENTIAL},
    }


def bindings(site: Site, mode: str) -> None:
    """One entry is new, one changes, one goes; an exception comes and one goes."""
    site.playbook = [{"ansible.builtin.import_role": {"name": "azureops.pod_identity.pod_identity_bindings"}}]

    def entry(name: str, **more: Any) -> Raw:
        return {"name": name, "namespace": SHOP, "selector": name, "roles": [{"role": "Reader"}], **more}

    agents = {"name": "agents", "namespace": SHOP, "pod_labels": {"app": "agent"}}
    site.variables.update(
        pod_identity_mode=mode,
        pod_identity_bindings_list=[entry("going"), entry("changing")],
        pod_identity_bindings_exceptions=[{**agents, "name": "leaving"}],
        pod_identity_bindings_wait=False,
    )
    site.succeed()
    site.variables.update(
        pod_identity_bindings_list=[
            entry("new", namespace="new"),
            entry("changing", selector="other"),
            entry("going", state="absent"),
        ],
        pod_identity_bindings_exceptions=[
            {**agents, "name": "leaving", "state": "absent", "allow_in_use": True},
            {**agents, "name": "coming"},
        ],
        pod_identity_bindings_create_namespaces=True,
    )


def uninstall(site: Site, **more: Any) -> None:
    site.playbook = playbook("uninstall")
    site.variables.update(
        pod_identity_uninstall_owner="shop",
        pod_identity_artifact_target=f"secret:{SHOP}/bundle",
        pod_identity_uninstall_wait_timeout=20,
        pod_identity_uninstall_confirm="demo",
        pod_identity_uninstall_helm_binary=str(server.programs()[0] / "helm"),
        pod_identity_uninstall_remove_role_assignments=True,
    )
    site.variables.update({f"pod_identity_uninstall_{name}": value for name, value in more.items()})


def uninstall_all(site: Site) -> None:
    """Whoever owns it, and whoever uses it."""
    uninstall(site, allow_in_use=True, scope="all")


def delete_identity(site: Site) -> None:
    billing = f"/subscriptions/{site.azure.subscription_id}{IDENTITIES}/billing"
    uninstall(site, delete_identities=[billing])


def restore(site: Site) -> None:
    site.playbook = playbook("restore")
    site.arguments = ("--skip-tags", "pod_identity_chart_wait")
    site.variables.update(_chart())


def leftovers(site: Site, **more: Any) -> None:
    site.playbook = playbook("leftovers")
    known = [{"id": f"/subscriptions/{site.azure.subscription_id}{IDENTITIES}/old", "source": "my list"}]
    site.variables.update(
        pod_identity_leftovers_known_identities=known,
        pod_identity_artifact_target=str(site.folder / "saved"),
        _pod_identity_bundle_marks=[],
        **more,
    )


def detach(site: Site) -> None:
    leftovers(site, pod_identity_leftovers_remove=True, pod_identity_leftovers_confirm="demo")


def detach_unconfirmed(site: Site) -> None:
    leftovers(site, pod_identity_leftovers_remove=True)


def destroy(site: Site, confirm: str = "demo", *, force: bool = False) -> None:
    site.playbook = playbook("destroy")
    billing = {"name": "billing", "namespace": SHOP, "selector": "billing"}
    site.variables.update(
        pod_identity_cluster_confirm_absent=confirm,
        pod_identity_cluster_force_delete_nonempty=force,
        pod_identity_bindings_list=[billing],
    )


def inventory(site: Site) -> None:
    site.playbook = playbook("inventory")
    site.variables.update(pod_identity_inventory_file=str(site.folder / "inventory"))


def report(site: Site) -> None:
    site.playbook = playbook("report")
    site.variables.update(pod_identity_report_target=str(site.folder / "report"))


def diagnose(site: Site) -> None:
    site.playbook = playbook("diagnose")


def verify(site: Site, *selectors: str) -> None:
    site.playbook = playbook("verify")
    workload = {"namespace": SHOP, "allow_detach": True, "timeout": 30, "start_timeout": 30}
    given = [{"selector": selector, "expect": expect, **workload} for selector, expect in ((SHOP, "money"), ("no", ""))]
    site.variables.update(
        pod_identity_verify_workloads=[{key: each for key, each in one.items() if each != ""} for one in given],
        pod_identity_verify_fail=False,
    )


def migrate(site: Site, **options: Any) -> None:
    site.playbook = playbook("migrate")
    usual = {"namespaces": [SHOP], "exchange_samples": 1}
    site.variables.update({f"{MIGRATION}_{name}": value for name, value in {**usual, **options}.items()})


def leave(site: Site) -> None:
    migrate(site, until="leave", confirm="demo", soak_seconds=1, shorten_soak=True)


def move(site: Site) -> None:
    migrate(site, until="switch", confirm="demo")


def undo(site: Site) -> None:
    migrate(site, undo=True)


def credentials(site: Site) -> None:
    migrate(site, until="credential")


def create(site: Site, mode: str) -> None:
    install(site, mode=mode, pod_identity_cluster_create=True)
