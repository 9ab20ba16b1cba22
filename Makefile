# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

PYTHON := $(shell bash tests/python.sh)
export PYTHON
NOX := tests/nox
RESULTS := .build/test
SANDBOX := tests/sandbox/sandbox

.PHONY: help demo demo-migrate check test bench live soak sandbox-build sandbox-up sandbox-status sandbox-exec sandbox-azure sandbox-reset sandbox-down

help:  ## this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { n = split($$1, name, " "); for (i = 1; i <= n; i++) printf "  %-16s %s\n", name[i], i == 1 ? $$2 : "" }' $(MAKEFILE_LIST)

demo: python  ## from an empty simulated subscription to verified tokens, then again without a change
	tests/sandbox/demo

demo-migrate: python  ## the demo, then its workloads moved to Workload ID and AAD Pod Identity removed, without a failed request
	tests/sandbox/demo-migrate

# What has the tag `static` runs side by side; a level of test has the machine to itself. All run, whatever fails.
check: python  ## what to run while writing: format, lint, types, imports, unit tests
	@rm -rf $(RESULTS) && mkdir -p $(RESULTS)
	-@$(NOX) --parallel 2 --tags check --report $(RESULTS)/check.json
	@$(PYTHON) tests/tally.py $(RESULTS)/check.json

test: python  ## every check and every level of test: the same cases for the same files, in about 30 minutes
	@rm -rf $(RESULTS) && mkdir -p $(RESULTS)
	-@$(NOX) --parallel 3 --tags static --report $(RESULTS)/static.json
	-@$(NOX) --tags level --report $(RESULTS)/levels.json
	@$(PYTHON) tests/tally.py $(RESULTS)/static.json $(RESULTS)/levels.json

bench: python  ## what ours costs beside its peers, as a table; some of it: make bench FIGURES=node_task
	@$(NOX) --session bench -- $(FIGURES)

live: python  ## the guides on real AKS, for money, then nothing is left: make live SUBSCRIPTION=ID
	@$(PYTHON) -m tests.live $(if $(SUBSCRIPTION),--subscription $(SUBSCRIPTION)) $(if $(LOCATION),--location $(LOCATION)) $(if $(ACCEPT_USD),--accept-usd $(ACCEPT_USD)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(GUIDES),--guides $(GUIDES))

soak: python  ## the long cases of tests, all of them; SOAK=name goes on with the soak of that name
	@SOAK=$(or $(SOAK),soak) $(NOX) --session soak stories forks plays_of_a_lane sanity_of_pythons defects -- $(CASES)

sandbox-build sandbox-up sandbox-status sandbox-reset sandbox-down: sandbox-%: python  ## build, start, show, empty or stop the sandbox
	$(SANDBOX) $*

sandbox-exec: python  ## a command at its workstation: make sandbox-exec COMMAND="az group list"
	$(SANDBOX) exec -- $(COMMAND)

sandbox-azure: python  ## faults, requests and principals of its Azure: make sandbox-azure COMMAND="log --host graph.microsoft.com"
	$(SANDBOX) azure $(COMMAND)

.PHONY: python
python:
	@test -n "$(PYTHON)"
