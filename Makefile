# `make help` lists the targets. Everything is compiled in the release profile, tests too: one compilation of the dependencies
# (minutes) instead of two, and the tests exercise what users run.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Sourced in each recipe: LIBTORCH, ORTHANC_SDK_INCLUDE, CARGO_TARGET_DIR, …
ENV := . scripts/env.sh &&
CARGO_OUT := $$CARGO_TARGET_DIR/release

# Named by the user (command line or environment), the golden folder must be there and complete; without the default one the tests
# say SKIPPED.
ifneq ($(strip $(GOLDEN_DIR)),)
export GOLDEN_DIR
CHECK_GOLDEN := scripts/check_golden.sh "$$GOLDEN_DIR"
else
unexport GOLDEN_DIR
CHECK_GOLDEN := [ -d ../shared/golden ] || echo "SKIPPED: the parity tests, as there is no ../shared/golden; name the folder with GOLDEN_DIR=…" >&2
endif

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done

## Using it

.PHONY: demo run build setup setup-build setup-demo setup-test
demo: setup-demo build ## start Orthanc, analyse a synthetic exam (or STUDY=dir), print findings and addresses
	@STUDY="$(STUDY)" scripts/demo.sh

run: setup-demo build ## Orthanc with the plugin in the foreground (PORT=8042, CONFIG=file); data in build/run
	@scripts/run.sh

build: setup-build ## build/libOrthancAi.so (Orthanc loads it) and build/orthanc-ai (the tool)
	@$(ENV) cargo build --release --lib --bins --locked
	@$(ENV) install -D "$(CARGO_OUT)/liborthanc_ai.so" build/libOrthancAi.so && install -D "$(CARGO_OUT)/orthanc-ai" build/orthanc-ai

setup: setup-test ## install and download everything, tests' needs included (setup-build, setup-demo: less)
setup-build setup-demo setup-test: setup-%:
	@scripts/setup.sh $*

## Testing it

.PHONY: test lint fault-plugin test-live test-browser test-ohif fuzz-rest parity bench deny
test: setup-test lint fault-plugin build ## everything: format, clippy, unit, integration, parity, live (Orthanc 1.10.1 and 1.13.0), browser, OHIF
	@$(CHECK_GOLDEN)
	@$(ENV) cargo test --release --locked --no-fail-fast
	@scripts/test_browser.sh
	@scripts/test_ohif.sh

lint: setup-build ## format and clippy, warnings are errors
	@$(ENV) cargo fmt --check
	@$(ENV) cargo clippy --release --locked --all-targets --features fault-injection -- -D warnings

# The same plugin with routes that panic on purpose: the live tests prove with it that the server survives.
fault-plugin: setup-build
	@$(ENV) cargo build --release --lib --locked --features fault-injection
	@$(ENV) install -D "$(CARGO_OUT)/liborthanc_ai.so" build/fault-injection/libOrthancAi.so

test-live: setup-test fault-plugin build ## tests against running Orthancs only (FILTER=v1_13_0 or a test's name)
	@$(ENV) cargo test --release --locked --test orthanc -- $(FILTER)

test-browser: setup-test build ## Explorer's buttons and the page in headless Chromium
	@scripts/test_browser.sh

test-ohif: setup-test build ## the results in the OHIF viewer, both Orthancs (STUDY=dir, MODEL=name, ORTHANC_VERSIONS=…, SHOTS=dir)
	@STUDY="$(STUDY)" scripts/test_ohif.sh

fuzz-rest: setup-test build ## schemathesis against a live Orthanc, by docs/openapi.json (SEED=number, SECONDS_EACH=120)
	@scripts/fuzz_rest.sh

parity: setup-build ## networks and pre-processing against the references in GOLDEN_DIR (default ../shared/golden)
	@$(CHECK_GOLDEN)
	@$(ENV) cargo test --release --locked --test 'parity*' -- --nocapture

bench: setup-build ## criterion benches, two threads
	@$(ENV) OMP_NUM_THREADS=2 RAYON_NUM_THREADS=2 cargo bench --locked

deny: setup-build ## licences, advisories and sources of the dependencies (installs cargo-deny on first use)
	@$(ENV) command -v cargo-deny >/dev/null || cargo install --locked --quiet --root "$$ORTHANC_AI_CACHE/tools" cargo-deny
	@$(ENV) PATH="$$ORTHANC_AI_CACHE/tools/bin:$$PATH" cargo deny check

## Making its parts anew

.PHONY: train schema openapi clean
train: build ## train the demonstration weights again, on synthetic exams
	build/orthanc-ai train models/mammography-4view-demo
	@# glibc's malloc gives large blocks back at once and faults them in again: half the time of a volume's training.
	MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8000000000 build/orthanc-ai train models/breast-dce-swinunetr-demo

schema: build ## models/schema.json from the manifest's Rust types
	@build/orthanc-ai schema > build/schema.json && mv build/schema.json models/schema.json

openapi: build ## docs/openapi.json from the route table
	@build/orthanc-ai openapi > build/openapi.json && mv build/openapi.json docs/openapi.json

clean: ## build/ and our own crate's compilation; the cache (downloads, dependencies) stays
	@rm -rf build tests/browser/node_modules tests/ohif/node_modules
	@$(ENV) for profile in dev release; do cargo clean --quiet --package orthanc-ai --profile $$profile; done
