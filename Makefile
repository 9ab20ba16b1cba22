# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

PYTHON := $(shell bash tests/python.sh)
export PYTHON
SANDBOX := tests/sandbox/sandbox
STEPS :=

.PHONY: help demo test bench soak steps sandbox-build sandbox-up sandbox-status sandbox-exec sandbox-azure sandbox-reset sandbox-down

help:  ## this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { n = split($$1, name, " "); for (i = 1; i <= n; i++) printf "  %-16s %s\n", name[i], i == 1 ? $$2 : "" }' $(MAKEFILE_LIST)

demo: python  ## from an empty simulated subscription to verified tokens, then again without a change
	tests/sandbox/demo

test: python  ## every check and test; some of them: make test STEPS="ruff unit"
	@$(PYTHON) -m tests.gates $(STEPS)

bench: python  ## what ours costs beside its peers, as a table; some of it: make bench FIGURES=node_task
	@FIGURES="$(FIGURES)" $(PYTHON) -m tests.gates bench

soak: python  ## the long forms of tests, all of them; a rerun at the same commit, or with the same SEED=, goes on
	@$(PYTHON) -m tests.gates soak

steps: python  ## the steps that STEPS can name
	@$(PYTHON) -m tests.gates --list

sandbox-build sandbox-up sandbox-status sandbox-reset sandbox-down: sandbox-%: python  ## build, start, show, empty or stop the sandbox
	$(SANDBOX) $*

sandbox-exec: python  ## a command at its workstation: make sandbox-exec COMMAND="az group list"
	$(SANDBOX) exec -- $(COMMAND)

sandbox-azure: python  ## faults, requests and principals of its Azure: make sandbox-azure COMMAND="log --host graph.microsoft.com"
	$(SANDBOX) azure $(COMMAND)

.PHONY: python
python:
	@test -n "$(PYTHON)"
