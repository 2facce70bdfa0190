# Containers from scratch, one layer at a time. What stands behind two # is the help.

STEPS    := $(sort $(patsubst steps/%/main.cpp,%,$(wildcard steps/*/main.cpp)))
NUMBERS  := $(foreach step,$(STEPS),$(firstword $(subst -, ,$(step))))
BUILD    := build$(if $(SANITIZE),/sanitize)
ROOTFS   := build/rootfs
# Without sudo, a program itself reports what it cannot do.
SUDO     := $(if $(filter-out 0,$(shell id -u)),$(shell command -v sudo))
MY       ?= my
PROCESSORS := $(shell nproc 2>/dev/null || echo 1)
# If the caller gave -j, that number of jobs holds.
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

test-programs: $(BUILD)/step-tests $(BUILD)/tests $(BUILD)/hog $(PROBES) \
               $(BUILD)/rootfs-new
	@:

$(STEPS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/steps/%/main.o $(BUILD)/common.a
$(BUILD)/08-all: $(call objects,$(LAYERS))
# A part that is too long for main.cpp is a separate file in the first step that has it.
# This step and the later ones link it.
since     = $(foreach step,$(wordlist $(1),8,$(STEPS)),$(BUILD)/$(step) $(BUILD)/$(MY)/$(step))
$(call since,5): $(call objects,steps/05-mountns/binds.cpp)
$(call since,6): $(call objects,steps/06-netns-veth/nat.cpp)
$(call since,7): $(call objects,steps/07-cgroup-memory/callers_limits.cpp)
$(BUILD)/enter: $(BUILD)/steps/08-all/enter.o \
                $(BUILD)/steps/08-all/member.o $(call objects,$(LAYERS)) \
                $(BUILD)/common.a
$(BUILD)/inspect: $(BUILD)/steps/08-all/inspect.o $(BUILD)/common.a
$(BUILD)/step-tests: $(call objects,$(PROMISES))
$(BUILD)/tests: $(call objects,$(TESTS) steps/05-mountns/binds.cpp \
                  steps/07-cgroup-memory/callers_limits.cpp)
$(BUILD)/step-tests $(BUILD)/tests: $(BUILD)/steps/tests/host.o $(BUILD)/common.a
$(BUILD)/step-tests: $(BUILD)/steps/tests/reporter.o

# The program of a learner has the name of the step, because its messages begin with it.
$(foreach step,$(STEPS),$(eval $(BUILD)/$(MY)/$(step): \
  $(BUILD)/$(MY)/$(firstword $(subst -, ,$(step))).o $(BUILD)/common.a))
$(BUILD)/$(MY)/08-all: $(call objects,$(LAYERS))
# The tests of the checker build only these programs with other flags.
$(BUILD)/$(MY)/%.o: CXXFLAGS := $(or $(MY_FLAGS),$(CXXFLAGS))

$(PROGRAMS) $(MINE):
	$(CXX) $(INSTRUMENT) $(LINK) -s -o $@ $(filter %.o,$^) $(filter %.a,$^)

# Compiling a test takes longer than running it.
$(call objects,$(PROMISES) $(TESTS) steps/tests/host.cpp steps/tests/reporter.cpp): CXXFLAGS := -O0

$(BUILD)/step-tests $(BUILD)/tests:
	$(CXX) $(INSTRUMENT) -o $@ $(filter %.o,$^) $(filter %.a,$^)

# The attacks run in containers without libraries, so they are static and not sanitized.
$(BUILD)/probe-%: steps/%/probe.cpp steps/probe.hpp
	@mkdir -p $(@D)
	$(CXX) $(BASE) $(WARNINGS) -O1 -static -s -o $@ $<
$(BUILD)/hog: steps/08-all/tests/hog.cpp
	@mkdir -p $(@D)
	$(CXX) $(BASE) $(WARNINGS) -O1 -static -s -o $@ $<

$(BUILD)/common.a: $(call objects,$(COMMON))
	@rm -f $@
	$(AR) rcs $@ $^

# Another compiler or other flags make other objects. This file holds the command that made
# the existing objects, and is written again if the command has changed.
COMPILE  := $(CXX) $(BASE) $(WARNINGS) $(CXXFLAGS) $(INSTRUMENT)
$(shell [ ! -e $(BUILD)/compile ] || echo '$(COMPILE)' | cmp -s - $(BUILD)/compile || \
  echo '$(COMPILE)' >$(BUILD)/compile)
$(BUILD)/compile:
	@mkdir -p $(@D)
	@echo '$(COMPILE)' >$@

$(BUILD)/%.o: %.cpp $(BUILD)/compile
	@mkdir -p $(@D)
	$(CXX) $(BASE) $(WARNINGS) $(CXXFLAGS) $(INSTRUMENT) -MMD -MP -c -o $@ $<

# Not made as root for an ordinary user, because the container of this user needs files
# that belong to the user.
rootfs: $(ROOTFS)
	@:
# A rootfs of ours that has lost a part is made again.
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

# The tools must be there before the rest is made, so the rest is a second make.
setup-%:
	@scripts/setup $(subst +, ,$*)

run: setup-run  ## make run         set up, build, and open a shell in the container of step 08
	@$(MAKE) $(PARALLEL) build rootfs
	@scripts/run $(BUILD)/08-all $(ROOTFS)

test: setup-test$(if $(ALL),+docs+slides+lab+arm64)  ## make test        set up, build, and run the tests
##                  (ALL=yes: also the tests that take long; ALL=ci: those that CI runs)
	@$(MAKE) $(PARALLEL) build test-programs rootfs
	@ALL=$(ALL) scripts/test $(BUILD)/step-tests $(BUILD)/tests

##
## make 03          open a shell in the container of step 03 (COMMAND="ps" runs ps instead)
# 03 to 05 need no root. From 06 on, an ordinary user gets only a part of the step.
01 02 06 07 08: WITH := $(SUDO)
01 02 03 04 05 06 07 08: %: build rootfs
	@$(WITH) $(filter $(BUILD)/$*-%,$(PROGRAMS)) $(ROOTFS) $(COMMAND)

## make diff-03     show what step 03 adds to step 02
$(patsubst %,diff-%,$(filter-out 01,$(NUMBERS))): diff-%:
	@git --no-pager diff --no-index --stat=72 -p \
	  $$(ls -d steps/0*/ | grep -B1 '/$*-' | sed 's,$$,main.cpp,') || true

##
## make start-03    begin your own version of step 03, in my/03.cpp
## make check-03    test and attack your version (ONLY=bind: a part of the tests)
## make watch-03    test it at each save: the piece of the task at hand, and its hints at a key
## make hint-03     print the next hint, beginning with the mildest
## make catch-up-03 copy the finished step 02 to my/02.cpp (yours is kept in another file)
## make solution-03 compare your version with the one of the course
$(foreach verb,start check watch hint catch-up solution,$(NUMBERS:%=$(verb)-%)): setup-test
	@scripts/learn/learn $(subst -0, 0,$@)

progress: setup-test  ## make progress    list the steps that you have finished
	@scripts/learn/learn progress

# The checker needs these when the program of the learner has been compiled.
checker: build $(BUILD)/step-tests $(BUILD)/hog $(PROBES) rootfs
	@:

# A number of no step, or no number. (A pattern 0% would also match build/my/01.d.)
VERBS    := diff start check watch hint catch-up solution demo
refuse    = @echo 'make $@: the steps are $(if $(findstring diff,$@),02,01) to 08' >&2; exit 2
$(VERBS) $(VERBS:%=%-) $(filter-out $(NUMBERS),$(filter 0% 1% 2% 3% 4% 5% 6% 7% 8% 9%,$(MAKECMDGOALS))):
	$(refuse)
$(VERBS:%=%-%):
	$(refuse)

inspect: $(BUILD)/inspect  ## make inspect PID=123   show what the process shares with the host
	@$(SUDO) $(BUILD)/inspect $(PID)

##
## make build       build all programs, into build/
## make rootfs      make the root filesystem of the containers, build/rootfs
setup: setup-test  ## make setup       install the tools that are missing, and list them

# sh runs it even on a file system that is mounted noexec, which it then reports.
doctor:  ## make doctor      find out which steps work on this machine, and why others do not
	@sh scripts/doctor

## make docs        run all commands of the texts, and compare their outputs
## make docs-update write the new outputs into the texts
docs docs-update: setup-docs
	@$(MAKE) $(PARALLEL) build rootfs
	@$(SUDO) scripts/docs $(if $(filter docs,$@),check,update) $(TEXT)

# STEP=05 PROBE=chroot2 picks a column and a row, and one cell is explained; V=1
# explains any. (make keeps -v for itself.)
matrix: setup-test  ## make matrix      run every attack in every step, and print what each step stops
	@$(MAKE) $(PARALLEL) build $(PROBES) rootfs
	@$(SUDO) scripts/matrix/matrix --build $(BUILD) $(if $(STEP),--step $(STEP)) \
	  $(if $(PROBE),--probe $(PROBE)) $(if $(V),--verbose)

# Compiled on this machine, because everything takes three times as long in the lab. This
# includes the steps of a learner, if they compile, and the checker.
## make lab         open a root shell in a virtual machine (COMMAND="..." runs that instead)
## make test-lab    run the tests in virtual machines with two kernels, as root and as a user
lab: WITH := scripts/lab/boot
test-lab: WITH := scripts/ci/lab
lab: setup-lab
test-lab: setup-lab+docs
lab test-lab:
	@$(MAKE) $(PARALLEL) build test-programs rootfs
	@$(if $(STARTED),$(MAKE) -s -k $(PARALLEL) $(STARTED) || true)
	@$(WITH) $(COMMAND)

test-arm64: setup-arm64  ## make test-arm64  compile for arm64, and run in an emulator what it can run
	@scripts/ci/arm64

test-compilers: setup-test  ## make test-compilers  compile with every compiler that is installed, without a warning
	@$(MAKE) $(PARALLEL) rootfs
	@scripts/ci/compilers

test-distributions: setup-distributions  ## make test-distributions  set up, build and test on other releases of Debian
	@$(MAKE) $(PARALLEL) build rootfs
	@$(SUDO) scripts/ci/distributions

## make slides      build the slides, a page for any browser; make pdf prints them
slides pdf: setup-slides
	@scripts/slides build
	@$(if $(filter pdf,$@),scripts/slides pdf)

book: setup-book  ## make book        make the course as files for any browser, in build/book
	@scripts/book

kit: pdf  ## make kit         make build/kit: all of it for a stick, and a room without a network
	@$(MAKE) $(PARALLEL) build rootfs
	@scripts/record check
	@scripts/slides kit

rehearse: slides  ## make rehearse    count the minutes of a talk that you give to nobody
	@scripts/slides rehearse

# The shell belongs to the user, so this does not use sudo.
live: slides  ## make live        show the slides with a shell in them, on this machine only
	@$(MAKE) $(PARALLEL) build rootfs
	@scripts/live

## make demo-03     show step 03 live: a key press types the next command of its text
$(NUMBERS:%=demo-%): demo-%: setup-slides
	@$(MAKE) $(PARALLEL) build rootfs
	@$(SUDO) scripts/demo $*

## make record      run all demos, and compare them with the recordings in the slides
record record-update: setup-test
	@$(MAKE) $(PARALLEL) build rootfs
	@$(SUDO) scripts/record $(if $(filter record,$@),check,update)

preflight: setup-slides  ## make preflight   test before a talk whether everything works on this machine
	@$(MAKE) $(PARALLEL) build rootfs
	@scripts/preflight

lint: setup-lint  ## make lint        check format and style
	@scripts/lint '$(BASE)' $(SOURCES)

bench: setup-test  ## make bench       measure the speed, also of runc, crun and bubblewrap if installed
	@$(MAKE) $(PARALLEL) build rootfs
	@$(SUDO) scripts/bench

## make mutants     break each layer, and test that its test fails
##                  (TEXTS=yes: that its text fails)
## make mistakes    break each layer, and test that the checker for learners notices
mutants mistakes: setup-test
	@$(MAKE) $(PARALLEL) checker $(BUILD)/rootfs-new
	@$(SUDO) scripts/ci/$@

# make --dry-run calls the script with --dry-run, which lists what it would remove.
reset:  ## make reset       remove what killed containers left on this machine
##                  (make reset --dry-run: only list it)
	+@$(SUDO) scripts/reset $(if $(findstring n,$(firstword -$(MAKEFLAGS))),--dry-run)

# rm would remove files of the host through a mount that was left in build/.
clean:  ## make clean       remove build/
	@! grep -F ' $(CURDIR)/build/' /proc/self/mountinfo || \
	  { echo 'still mounted: make reset removes that' >&2; exit 1; }
	rm -rf build

##
## With SANITIZE=address,undefined, these commands build separately, in build/sanitize.
## CXX=clang++ chooses the compiler.
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help build test-programs rootfs setup doctor run test lab test-lab test-arm64 \
        test-compilers test-distributions docs docs-update slides pdf kit rehearse live book record \
        record-update preflight lint bench matrix mutants mistakes progress inspect \
        checker reset clean 01 02 03 04 05 06 07 08
-include $(patsubst %.o,%.d,$(call objects,$(SOURCES) $(wildcard $(MY)/*.cpp)))
