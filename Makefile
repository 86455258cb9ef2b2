# Two commands for a newcomer: `make demo` and `make test`. Each installs what it needs and says so.
# `make test PYTHON=python3.12` tries another Python, in virtual environments of its own.
PYTHON ?= python3
OWN    := $(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
VENV   ?= .venv$(OWN)
NODE   ?= .venv-node$(OWN)
BIN    := $(VENV)/bin
# A file's tests stay together, so that what they share is made once; long files come first.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder
# root needs no sudo, and a container often has none
SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# what the tests run for real: a broker, the firmware's compilers and emulators
APT := mosquitto mosquitto-clients openssl \
       gcc libc6-dev gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm \
       gcc-avr avr-libc libsimavr-dev libelf-dev clang libclang-rt-dev cppcheck

.PHONY: help demo setup apt check format test test-fast golden bench soak arm64-smoke systemd-smoke clean

help:
	@echo 'make demo    a node without TensorFlow picks the embedded sample (under two minutes)'
	@echo 'make test    set everything up, check the code, run all tests, on all processors'
	@echo 'make test-fast  the tests that take less than a minute: no TensorFlow, firmware build or broker'
	@echo 'make setup   only set up: Debian packages, a virtual environment with all extras'
	@echo 'make check   ruff, its formatter, mypy --strict, import-linter'
	@echo 'make format  format the code'
	@echo 'make golden  write the messages of the demo that tests compare with anew'
	@echo 'make bench   what each stage and a whole node cost on this machine (90 s)'
	@echo 'make soak    simulated days with faults: make soak HOURS=168 SPEED=100 SEED=1 (default 24 h)'
	@echo 'make arm64-smoke  the node on Debian arm64 under qemu-user: same picks, size, memory (as root)'
	@echo 'make systemd-smoke  the service under a real systemd in a virtual machine: power cut, freeze, kill (as root)'
	@echo 'make clean   remove virtual environments and caches'

demo: $(NODE)/.installed
	@echo '== eqedge run --sim: twelve synthetic records through the wire, the network and the trigger'
	$(NODE)/bin/eqedge --version -v
	$(NODE)/bin/eqedge run --sim edge/replay/samples/demo.hdf5 --speed max --output demo.jsonl
	@echo '== eqedge events: what demo.jsonl contains'
	$(NODE)/bin/eqedge events demo.jsonl

$(NODE)/.installed: pyproject.toml
	@echo '== installing the node (numpy, ai-edge-litert, h5py, pyserial, click, paho-mqtt) into $(NODE)'
	$(PYTHON) -m venv $(NODE)
	$(NODE)/bin/pip install --quiet --quiet --disable-pip-version-check --editable .
	@touch $@

setup: apt $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@echo '== installing the workstation (TensorFlow) and the tools for tests into $(VENV)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable '.[convert,tflm,plot,mseed,dev]'
	@touch $@

apt:
	@missing=''; for p in $(APT); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  echo "== installing Debian packages:$$missing"; \
	  $(SUDO) apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup check
	$(BIN)/python -m pytest -q $(PARALLEL)

test-fast: $(VENV)/.installed
	$(BIN)/python -m pytest -q $(PARALLEL) -m 'not slow'

golden: $(VENV)/.installed
	$(BIN)/eqedge run --sim edge/replay/samples/demo.hdf5 --speed max --output tests/vectors/triggers.jsonl

bench: $(NODE)/.installed
	$(NODE)/bin/eqedge bench

HOURS ?= 24
SPEED ?= 100
SEED  ?= 1
soak: setup
	$(BIN)/python -m tests.soak --hours $(HOURS) --speed $(SPEED) --seed $(SEED)

arm64-smoke: $(NODE)/.installed
	$(NODE)/bin/python -m tests.smoke.arm64

ACCEL ?= tcg
systemd-smoke: APT += mmdebstrap e2fsprogs qemu-system-x86
systemd-smoke: setup
	$(BIN)/python -m tests.smoke.systemd --accel $(ACCEL)

clean:
	rm -rf .venv .venv-* build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
