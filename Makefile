# Two commands for a fresh machine: `make demo` and `make test`. Both set up what they need.
# DEBIAN: what labs and shipped scenarios use from Debian or Ubuntu, and what tests use besides;
# installed only where missing.
DEBIAN_LAB   := python3-venv libnftables1 nftables iproute2 iputils-ping busybox curl bind9-dnsutils
DEBIAN_TESTS := apache2-utils bind9 chromium conntrack coturn dnsmasq-base dnsperf ethtool fish git graphviz \
	iperf3 knot-dnsutils man-db netcat-openbsd nginx-light openssh-client openssh-server postgresql procps socat \
	stun-client stun-server tcpdump tmux tshark unbound util-linux wget wrk zsh

SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
VENV   := .venv
BIN    := $(VENV)/bin
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo test test-user soak vm vm-short docs site check check-vagrant bench clean \
	deb dist vendor

help: ## what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

install: $(VENV)/.installed ## set up: Debian packages, .venv, and `netlab` in /usr/local/bin

$(VENV)/.installed: pyproject.toml Makefile
	@scripts/install-debian "$(SUDO)" $(DEBIAN_LAB)
	python=$$(scripts/find-python $(PYTHON)) && $$python -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@scripts/link-commands "$(SUDO)"
	@touch $@

install-dev: $(VENV)/.installed-dev ## set up what tests and checks need besides

$(VENV)/.installed-dev: $(VENV)/.installed
	@scripts/install-debian "$(SUDO)" $(DEBIAN_TESTS)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: install ## build topologies/nat.yaml, send three packets, tell what happened
	@$(BIN)/python scripts/demo.py

test: install-dev ## the whole test suite; as root also its rootless part as an ordinary user
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
	@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory test-user

test-user: install-dev ## the kernel tests as an ordinary user
	scripts/test-as-user

soak: install-dev ## what the suite tries in seconds, for minutes
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m soak -o timeout=1200 -o faulthandler_timeout=1320

KERNEL ?= 6.1 6.12

vm: ## all of it on Debian's kernels, in QEMU; KERNEL=6.1, 6.12 or running (this one)
	$(SUDO) $$(scripts/find-python $(PYTHON)) scripts/vm $(KERNEL)

vm-short: ## the same in minutes: the demo, six scenarios, the README's examples
	$(SUDO) $$(scripts/find-python $(PYTHON)) scripts/vm $(KERNEL) --short

VENDOR := netlab/serve/static/vendor

vendor: ## fetch xterm.js for the page's terminals from npm, at the versions named here
	scripts/vendor-xterm $(VENDOR) @xterm/xterm@6.0.0 @xterm/addon-fit@0.11.0

$(VENV)/.installed-docs: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

docs: $(VENV)/.installed-docs ## write what the program makes of docs/: reference, catalogue, pictures
	$(BIN)/python scripts/reference.py > docs/commands.md
	$(BIN)/python scripts/architecture.py > docs/architecture.md.new && mv docs/architecture.md.new docs/architecture.md
	$(SUDO) $(BIN)/python scripts/measured.py
	$(BIN)/python scripts/middleboxes.py > docs/middleboxes.md
	$(SUDO) $(BIN)/python scripts/pictures.py
	$(SUDO) $(BIN)/python scripts/recording.py docs/pictures/recording.cast
	$(BIN)/termtosvg render docs/pictures/recording.cast docs/pictures/recording.svg -t window_frame -D 4000
	$(SUDO) rm docs/pictures/recording.cast

site: $(VENV)/.installed-docs ## docs/ as a site in build/site: a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: install-dev ## ruff, mypy, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install-dev ## every benchmark, side by side with its peers
	$(BIN)/python -m benchmarks all

clean: ## remove .venv, its commands in PATH, and caches
	scripts/link-commands "$(SUDO)" --remove
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

check-vagrant: ## the Vagrantfile, without starting a machine
	@scripts/install-debian "$(SUDO)" vagrant ruby
	ruby -c Vagrantfile
	vagrant validate --ignore-provider

DEBIAN_DEB := build-essential ca-certificates debhelper dh-python lintian python3-venv

deb: ## the Debian package, in dist/, and what lintian says of it
	@scripts/install-debian "$(SUDO)" $(DEBIAN_DEB)
	scripts/build-deb dist

dist: install-dev ## the sdist and the wheel of a release, in dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
