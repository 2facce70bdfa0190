# Containers from scratch, one layer at a time. What stands behind two # is the help.

STEPS    := $(sort $(patsubst steps/%/main.cpp,%,$(wildcard steps/*/main.cpp)))
NUMBERS  := $(foreach step,$(STEPS),$(firstword $(subst -, ,$(step))))
BUILD    := build$(if $(SANITIZE),/sanitize)
ROOTFS   := build/rootfs
# Where there is none, a program says itself what it lacks.
SUDO     := $(if $(filter-out 0,$(shell id -u)),$(shell command -v sudo))
MY       ?= my
PROCESSORS := $(shell nproc 2>/dev/null || echo 1)
# Who says -j has said it.
PARALLEL = --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(PROCESSORS))

CXXFLAGS ?= $(if $(SANITIZE),-O1,-O2)
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
            -Wold-style-cast -Wnon-virtual-dtor -Wno-missing-field-initializers
BASE     := -std=c++20 -I. -DFMT_HEADER_ONLY
INSTRUMENT := $(if $(SANITIZE),-g -fsanitize=$(SANITIZE) -fno-sanitize-recover=all)
# A dynamic program spends more time in the loader than the kernel needs to make
# the container. The sanitizers' libraries exist only as shared ones.
LINK     := $(if $(SANITIZE),,-static)

COMMON   := $(filter-out %_test.cpp,$(wildcard common/*.cpp common/*/*.cpp))
LAYERS   := $(filter-out $(addprefix %/,main.cpp enter.cpp member.cpp \
              inspect.cpp test.cpp probe.cpp),$(wildcard steps/08-all/*.cpp))
# The promises of the steps, which the checker for learners runs; and all other tests.
PROMISES := $(wildcard steps/*/test.cpp) steps/tests/contract_test.cpp
TESTS    := $(filter-out $(PROMISES),$(wildcard common/*_test.cpp common/*/*_test.cpp \
              steps/*/*_test.cpp steps/*/tests/*_test.cpp))
PROGRAMS := $(STEPS:%=$(BUILD)/%) $(BUILD)/enter $(BUILD)/inspect
MINE     := $(STEPS:%=$(BUILD)/$(MY)/%)
STARTED  := $(foreach file,$(wildcard $(MY)/*.cpp),$(filter \
              $(BUILD)/$(MY)/$(basename $(notdir $(file)))-%,$(MINE)))
PROBES   := $(patsubst steps/%/probe.cpp,$(BUILD)/probe-%,$(wildcard steps/*/probe.cpp))
SOURCES  := $(wildcard common/*.cpp common/*/*.cpp steps/*/*.cpp steps/*/tests/*.cpp \
              scripts/ci/*.cpp)
objects   = $(patsubst %.cpp,$(BUILD)/%.o,$(1))

help:
	@sed -n 's/^[^@]*## \{0,1\}/  /p' $(firstword $(MAKEFILE_LIST))

# ---- Programs ---------------------------------------------------------------

build: $(PROGRAMS)
	@:

test-programs: $(BUILD)/step-tests $(BUILD)/tests $(BUILD)/floor $(BUILD)/hog $(PROBES) \
               $(BUILD)/rootfs-new
	@:

$(STEPS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/steps/%/main.o $(BUILD)/common.a
$(BUILD)/08-all: $(call objects,$(LAYERS))
# What is too long for main.cpp stands once, beside that of the step which brings it.
# This step links it, and the later ones do, too.
since     = $(foreach step,$(wordlist $(1),8,$(STEPS)),$(BUILD)/$(step) $(BUILD)/$(MY)/$(step))
$(call since,5): $(call objects,steps/05-mountns/binds.cpp)
$(call since,6): $(call objects,steps/06-netns-veth/nat.cpp)
$(call since,7): $(call objects,steps/07-cgroup-memory/callers_limits.cpp)
$(BUILD)/enter: $(BUILD)/steps/08-all/enter.o \
                $(BUILD)/steps/08-all/member.o $(call objects,$(LAYERS)) \
                $(BUILD)/common.a
$(BUILD)/inspect: $(BUILD)/steps/08-all/inspect.o $(BUILD)/common.a
$(BUILD)/floor: $(BUILD)/scripts/ci/floor.o $(BUILD)/common.a
$(BUILD)/step-tests: $(call objects,$(PROMISES))
$(BUILD)/tests: $(call objects,$(TESTS) steps/05-mountns/binds.cpp \
                  steps/07-cgroup-memory/callers_limits.cpp)
$(BUILD)/step-tests $(BUILD)/tests: $(BUILD)/steps/tests/host.o $(BUILD)/common.a

# What a learner writes has the step's name: its messages begin with it.
$(foreach step,$(STEPS),$(eval $(BUILD)/$(MY)/$(step): \
  $(BUILD)/$(MY)/$(firstword $(subst -, ,$(step))).o $(BUILD)/common.a))
$(BUILD)/$(MY)/08-all: $(call objects,$(LAYERS))
# The tests of the checker build those, and nothing else, with other flags.
$(BUILD)/$(MY)/%.o: CXXFLAGS := $(or $(MY_FLAGS),$(CXXFLAGS))

$(PROGRAMS) $(MINE) $(BUILD)/floor:
	$(CXX) $(INSTRUMENT) $(LINK) -s -o $@ $(filter %.o,$^) $(filter %.a,$^)

# Nobody waits for a test to run, but everybody for it to be compiled.
$(call objects,$(PROMISES) $(TESTS) steps/tests/host.cpp): CXXFLAGS := -O0

$(BUILD)/step-tests $(BUILD)/tests:
	$(CXX) $(INSTRUMENT) -o $@ $(filter %.o,$^) $(filter %.a,$^)

# What attacks runs inside, where no library is: never dynamic, nor sanitized.
$(BUILD)/probe-%: steps/%/probe.cpp steps/probe.hpp
	@mkdir -p $(@D)
	$(CXX) $(BASE) $(WARNINGS) -O1 -static -s -o $@ $<
$(BUILD)/hog: steps/08-all/tests/hog.cpp
	@mkdir -p $(@D)
	$(CXX) $(BASE) $(WARNINGS) -O1 -static -s -o $@ $<

$(BUILD)/common.a: $(call objects,$(COMMON))
	@rm -f $@
	$(AR) rcs $@ $^

# Another compiler or other flags make other objects: this file holds what made the ones
# that are there. It is written again here if that has changed.
COMPILE  := $(CXX) $(BASE) $(WARNINGS) $(CXXFLAGS) $(INSTRUMENT)
$(shell [ ! -e $(BUILD)/compile ] || echo '$(COMPILE)' | cmp -s - $(BUILD)/compile || \
  echo '$(COMPILE)' >$(BUILD)/compile)
$(BUILD)/compile:
	@mkdir -p $(@D)
	@echo '$(COMPILE)' >$@

$(BUILD)/%.o: %.cpp $(BUILD)/compile
	@mkdir -p $(@D)
	$(CXX) $(BASE) $(WARNINGS) $(CXXFLAGS) $(INSTRUMENT) -MMD -MP -c -o $@ $<

# Never made as root for somebody else: an ordinary user's container needs files
# that belong to that user.
rootfs: $(ROOTFS)
	@:
# One of ours that has lost a part is made anew.
PARTS    := $(addprefix $(ROOTFS)/,bin/busybox etc/passwd proc sys dev tmp)
ifneq ($(wildcard $(ROOTFS)/etc/rootfs-mark),)
ifneq ($(words $(PARTS)),$(words $(wildcard $(PARTS))))
.PHONY: $(ROOTFS)
endif
endif
$(ROOTFS): rootfs/build
	rootfs/build $@
	@touch $@

# The tests copy this rootfs, and no container runs in it.
$(BUILD)/rootfs-new: rootfs/build
	rootfs/build $@
	@touch $@

# ---- What people type -------------------------------------------------------

# The tools come before anything that needs them, and so the rest is a make of its own.
setup-%:
	@scripts/setup $(subst +, ,$*)

run: setup-run  ## make run         set up, build, and open a shell in the finished container
	@$(MAKE) $(PARALLEL) build rootfs
	@scripts/run $(BUILD)/08-all $(ROOTFS)

test: setup-test$(if $(ALL),+docs+slides+lab+arm64)  ## make test        set up, build, and run the tests
##                  (ALL=yes: also what takes long; ALL=ci: what CI runs of that)
	@$(MAKE) $(PARALLEL) build test-programs rootfs
	@ALL=$(ALL) scripts/test $(BUILD)/step-tests $(BUILD)/tests

##
## make 03          a shell in step 03 (01 to 08; COMMAND="ps" runs that instead)
# 03 to 05 need no root. Of 06 on, an ordinary user has the inner half only.
01 02 06 07 08: WITH := $(SUDO)
01 02 03 04 05 06 07 08: %: build rootfs
	@$(WITH) $(filter $(BUILD)/$*-%,$(PROGRAMS)) $(ROOTFS) $(COMMAND)

## make diff-03     what step 03 adds to step 02: the lesson
$(patsubst %,diff-%,$(filter-out 01,$(NUMBERS))): diff-%:
	@git --no-pager diff --no-index --stat=72 -p \
	  $$(ls -d steps/0*/ | grep -B1 '/$*-' | sed 's,$$,main.cpp,') || true

##
## make start-03    begin step 03 yourself, in my/03.cpp
## make check-03    which of its promises your step keeps (ONLY=bind: some of them)
## make hint-03     the next hint, mildest first
## make catch-up-03 the finished step 02 into my/02.cpp (yours is kept)
## make solution-03 how yours differs from the course's
$(foreach verb,start check hint catch-up solution,$(NUMBERS:%=$(verb)-%)): setup-test
	@scripts/learn/learn $(subst -0, 0,$@)

progress: setup-test  ## make progress    the walls that you have built
	@scripts/learn/learn progress

# What the checker takes, once the learner's own builds.
checker: build $(BUILD)/step-tests $(BUILD)/hog $(PROBES) rootfs
	@:

# A number that no step has, or none. (A pattern 0% would also take build/my/01.d.)
VERBS    := diff start check hint catch-up solution demo
refuse    = @echo 'make $@: the steps are $(if $(findstring diff,$@),02,01) to 08' >&2; exit 2
$(VERBS) $(VERBS:%=%-) $(filter-out $(NUMBERS),$(filter 0% 1% 2% 3% 4% 5% 6% 7% 8% 9%,$(MAKECMDGOALS))):
	$(refuse)
$(VERBS:%=%-%):
	$(refuse)

inspect: $(BUILD)/inspect  ## make inspect PID=123   what stands between that process and the host
	@$(SUDO) $(BUILD)/inspect $(PID)

##
## make build       build all programs, into build/
## make rootfs      make the root filesystem they run in, build/rootfs
setup: setup-test  ## make setup       install what is missing, and say what

# A file system may be mounted so that nothing on it can be run: it tells.
doctor:  ## make doctor      which steps work on this machine, and if not, why not
	@sh scripts/doctor

## make docs        run what the texts show, and compare
## make docs-update write into the texts what comes out today
docs docs-update: setup-docs
	@$(MAKE) $(PARALLEL) build rootfs
	@$(SUDO) scripts/docs $(if $(filter docs,$@),check,update) $(TEXT)

# STEP=05 PROBE=chroot2 picks a column and a row, and one cell is explained; V=1
# explains any. (make keeps -v for itself.)
matrix: setup-test  ## make matrix      what each step stops: every attack in every step
	@$(MAKE) $(PARALLEL) build $(PROBES) rootfs
	@$(SUDO) scripts/matrix/matrix --build $(BUILD) $(if $(STEP),--step $(STEP)) \
	  $(if $(PROBE),--probe $(PROBE)) $(if $(V),--verbose)

# Compiled out here, run in there, where everything takes three times as long: also
# a learner's steps, if they compile, and what checks them.
## make lab         a shell in a throw-away Linux, where one is root (COMMAND: that)
## make test-lab    the tests in there, on two kernels, as root and as a user
lab: WITH := scripts/lab/boot
test-lab: WITH := scripts/ci/lab
lab: setup-lab
test-lab: setup-lab+docs
lab test-lab:
	@$(MAKE) $(PARALLEL) build test-programs rootfs
	@$(if $(STARTED),$(MAKE) -s -k $(PARALLEL) $(STARTED) || true)
	@$(WITH) $(COMMAND)

test-arm64: setup-arm64  ## make test-arm64  all compiled for arm64, and what an emulator can run of it
	@scripts/ci/arm64

test-compilers: setup-test  ## make test-compilers  no warning from any compiler that is installed
	@$(MAKE) $(PARALLEL) rootfs
	@scripts/ci/compilers

test-distributions: setup-distributions  ## make test-distributions  set up, build and test in other releases of Debian
	@$(MAKE) $(PARALLEL) build rootfs
	@$(SUDO) scripts/ci/distributions

## make slides      the talk, as one page for any browser; make pdf prints it
slides pdf: setup-slides
	@scripts/slides build
	@$(if $(filter pdf,$@),scripts/slides pdf)

# The user's own shell, whoever that is: never by sudo.
live: slides  ## make live        the slides with a shell in them, for this machine only
	@$(MAKE) $(PARALLEL) build rootfs
	@scripts/live

## make demo-03     show step 03 live: types its text, at a key, in two panes
$(NUMBERS:%=demo-%): demo-%: setup-slides
	@$(MAKE) $(PARALLEL) build rootfs
	@$(SUDO) scripts/demo $*

## make record      run all demos, and compare with what the slides play
record record-update: setup-test
	@$(MAKE) $(PARALLEL) build rootfs
	@$(SUDO) scripts/record $(if $(filter record,$@),check,update)

preflight: setup-slides  ## make preflight   the night before: will it all work on this machine?
	@$(MAKE) $(PARALLEL) build rootfs
	@scripts/preflight

lint: setup-lint  ## make lint        check format and style
	@scripts/lint '$(BASE)' $(SOURCES)

bench: setup-test  ## make bench       how fast, beside runc, crun and bubblewrap if installed
	@$(MAKE) $(PARALLEL) build $(BUILD)/floor rootfs
	@$(SUDO) scripts/bench

## make mutants     break each layer in turn, and see its test fail
##                  (TEXTS=yes: see its text fail)
## make mistakes    the same with the checker for learners
mutants mistakes: setup-test
	@$(MAKE) $(PARALLEL) checker $(BUILD)/rootfs-new
	@$(SUDO) scripts/ci/$@

# With make's own --dry-run, ours: it says what it would remove.
reset:  ## make reset       remove what killed containers left anywhere on this machine
##                  (make reset --dry-run: only say what)
	+@$(SUDO) scripts/reset $(if $(findstring n,$(firstword -$(MAKEFLAGS))),--dry-run)

# A mount that leaked into build/ would let rm reach the host through it.
clean:  ## make clean       remove everything built
	@! grep -F ' $(CURDIR)/build/' /proc/self/mountinfo || \
	  { echo 'still mounted: make reset removes that' >&2; exit 1; }
	rm -rf build

##
## SANITIZE=address,undefined with any of these builds apart, in build/sanitize;
## CXX=clang++ chooses the compiler.
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help build test-programs rootfs setup doctor run test lab test-lab test-arm64 \
        test-compilers test-distributions docs docs-update slides pdf live record \
        record-update preflight lint bench matrix mutants mistakes progress inspect \
        checker reset clean 01 02 03 04 05 06 07 08
-include $(patsubst %.o,%.d,$(call objects,$(SOURCES) $(wildcard $(MY)/*.cpp)))
