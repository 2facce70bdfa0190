# Containers from scratch, one layer at a time. What stands behind two # is the help.
STEPS    := $(sort $(patsubst steps/%/main.cpp,%,$(wildcard steps/*/main.cpp)))
NUMBERS  := $(foreach step,$(STEPS),$(firstword $(subst -, ,$(step))))
BUILD    := build$(if $(SANITIZE),/sanitize)
ROOTFS   := build/rootfs
# Without sudo, a program itself reports what it cannot do.
SUDO     := $(if $(filter-out 0,$(shell id -u)),$(shell command -v sudo))
MY       ?= my
# If the caller gave -j, that number of jobs holds.
PARALLEL  = --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
CXXFLAGS ?= $(if $(SANITIZE),-O1,-O2)
BASE     := -std=c++20 -I. -DFMT_HEADER_ONLY
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
            -Wold-style-cast -Wnon-virtual-dtor -Wno-missing-field-initializers
INSTRUMENT := $(if $(SANITIZE),-g -fsanitize=$(SANITIZE) -fno-sanitize-recover=all)
SOURCES  := $(wildcard $(addsuffix /*.cpp,common common/* steps/* steps/*/tests))
COMMON   := $(filter-out %_test.cpp,$(filter common/%,$(SOURCES)))
LAYERS   := $(filter-out $(addprefix %/,$(addsuffix .cpp,main enter member inspect test probe)), \
              $(wildcard steps/08-all/*.cpp))
# The promises of the steps, which the checker for learners runs; and all other tests.
PROMISES := $(wildcard steps/*/test.cpp) steps/tests/contract_test.cpp steps/tests/reporter.cpp
TESTS    := $(filter-out $(PROMISES),$(filter %_test.cpp,$(SOURCES)))
PROGRAMS := $(addprefix $(BUILD)/,$(STEPS) enter inspect)
MINE     := $(STEPS:%=$(BUILD)/$(MY)/%)
PROBES   := $(patsubst steps/%/probe.cpp,$(BUILD)/probe-%,$(wildcard steps/*/probe.cpp))
objects   = $(patsubst %.cpp,$(BUILD)/%.o,$(1))
help: ; @sed -n 's/^[^@]*## \{0,1\}/  /p' $(firstword $(MAKEFILE_LIST))
# ---- Programs ---------------------------------------------------------------
build: $(PROGRAMS) ; @:
test-programs: $(addprefix $(BUILD)/,step-tests tests hog rootfs-new heavy.hpp.gch) $(PROBES) ; @:
checker: build $(BUILD)/step-tests $(BUILD)/hog $(BUILD)/heavy.hpp.gch $(PROBES) rootfs ; @:
# The steps that a learner has begun, if they compile.
STARTED  := $(foreach file,$(wildcard $(MY)/*.cpp),$(filter $(BUILD)/$(file:.cpp=)-%,$(MINE)))
my-programs: build ; @$(if $(STARTED),$(MAKE) -s -k $(PARALLEL) $(STARTED) || true,:)
$(STEPS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/steps/%/main.o
# The program of a learner has the name of the step, because its messages begin with it.
$(foreach step,$(STEPS),$(eval $(BUILD)/$(MY)/$(step): \
  $(BUILD)/$(MY)/$(firstword $(subst -, ,$(step))).o))
# A part that is too long for main.cpp stands beside it. This step and the later ones link it.
since     = $(foreach step,$(wordlist $(1),8,$(STEPS)),$(BUILD)/$(step) $(BUILD)/$(MY)/$(step))
$(call since,5): $(call objects,steps/05-mountns/binds.cpp)
$(call since,6): $(call objects,steps/06-netns-veth/nat.cpp)
$(call since,7): $(call objects,steps/07-cgroup-memory/callers_limits.cpp)
$(call since,8) $(BUILD)/enter: $(call objects,$(LAYERS))
$(BUILD)/enter: $(call objects,steps/08-all/enter.cpp steps/08-all/member.cpp)
$(BUILD)/inspect: $(call objects,steps/08-all/inspect.cpp)
$(BUILD)/step-tests: $(call objects,$(PROMISES) steps/tests/host.cpp)
$(BUILD)/tests: $(call objects,$(TESTS) steps/tests/host.cpp steps/05-mountns/binds.cpp \
                  steps/07-cgroup-memory/callers_limits.cpp)
# A dynamic program spends more time in the loader than the kernel needs to make the container.
# The sanitizers' libraries exist only as shared ones.
$(PROGRAMS) $(MINE): LINK := -s $(if $(SANITIZE),,-static)
$(PROGRAMS) $(MINE) $(BUILD)/step-tests $(BUILD)/tests: $(BUILD)/common.a
	$(CXX) $(INSTRUMENT) $(LINK) -o $@ $(filter %.o,$^) $(filter %.a,$^)
# The attacks run in containers without libraries, so they are static and not sanitized.
$(PROBES): $(BUILD)/probe-%: steps/%/probe.cpp steps/probe.hpp
$(BUILD)/hog: steps/08-all/tests/hog.cpp
$(PROBES) $(BUILD)/hog: | $(BUILD)/compile
	$(CXX) $(BASE) $(WARNINGS) -O1 -static -s -o $@ $<
$(BUILD)/common.a: $(call objects,$(COMMON)) ; rm -f $@ && $(AR) rcs $@ $^
# Not optimized, and with the large headers compiled before: tests, and what a learner waits for.
AT_O0    := $(call objects,$(PROMISES) $(TESTS) steps/tests/host.cpp)
$(AT_O0): CXXFLAGS := -O0 -include $(BUILD)/heavy.hpp
$(BUILD)/$(MY)/%.o: CXXFLAGS := $(or $(MY_FLAGS),-O0) -include $(BUILD)/heavy.hpp
$(AT_O0) $(NUMBERS:%=$(BUILD)/$(MY)/%.o): $(BUILD)/heavy.hpp.gch
# Two checks can do this at the same time, and mv(1) replaces the file at once.
$(BUILD)/heavy.hpp.gch: steps/tests/heavy.hpp $(BUILD)/compile
	cp $< $(BUILD)/heavy.hpp && new=$$(mktemp -u $@.XXXXXX) && \
	  $(CXX) $(BASE) $(WARNINGS) -O0 $(INSTRUMENT) -x c++-header -o $$new $< && mv $$new $@
# The file holds the command of the existing objects. If it has changed, they are made again.
COMPILE  := $(strip $(CXX) $(BASE) $(WARNINGS) $(CXXFLAGS) $(INSTRUMENT))
.PHONY: $(if $(findstring <$(COMPILE)>,<$(file <$(BUILD)/compile)>),,$(BUILD)/compile)
$(BUILD)/compile: ; @mkdir -p $(@D) && echo '$(COMPILE)' >$@
$(BUILD)/%.o: %.cpp $(BUILD)/compile
	@mkdir -p $(@D)
	$(CXX) $(BASE) $(WARNINGS) $(CXXFLAGS) $(INSTRUMENT) -MMD -MP -c -o $@ $<
rootfs: $(ROOTFS) ; @:
# If rootfs/build has made it and it has lost a part, or all, it is made again.
PARTS    := $(addprefix $(ROOTFS)/,bin/busybox bin/sh etc/passwd proc sys dev tmp)
IS_OTHER := $(if $(wildcard $(ROOTFS)/etc/rootfs-mark),,$(wildcard $(ROOTFS)/*))
LOST     := $(if $(IS_OTHER),,$(filter-out $(wildcard $(PARTS)),$(PARTS)))
.PHONY: $(LOST)
$(ROOTFS): $(LOST)
# Made without sudo, because the container of an ordinary user needs files of this user.
# The tests copy rootfs-new, in which no container runs.
$(ROOTFS) $(BUILD)/rootfs-new: rootfs/build
	rootfs/build $@
	@touch $@
include steps/oci/oci.mk
# ---- What people type -------------------------------------------------------
# setup-WORD installs tools. ready-WORD then builds with them, in a second make, what is in NEEDS.
NEEDS     = build rootfs
setup-%: ; @scripts/setup $(subst +, ,$*)
ready-%: setup-% ; @$(MAKE) $(PARALLEL) $(NEEDS)
## make run         set up, build, and open a shell in the container of step 08
run: ready-run ; @scripts/run $(BUILD)/08-all $(ROOTFS)
## make test        set up, build, and run the tests
##                  (ALL=yes: also the tests that take long; ALL=ci: those that CI runs)
test: NEEDS += test-programs $(if $(ALL),$(BUILD)/oci)
test: ready-test$(if $(ALL),+docs+slides+lab+arm64+oci)
	@scripts/test $(BUILD)/step-tests $(BUILD)/tests
##
## make 03          open a shell in the container of step 03 (COMMAND="ps" runs ps instead)
01 02 06 07 08: WITH := $(SUDO)  # From 06 on, an ordinary user gets only a part of the step.
$(NUMBERS): build rootfs ; @$(WITH) $(filter $(BUILD)/$@-%,$(PROGRAMS)) $(ROOTFS) $(COMMAND)
## make diff-03     show what step 03 adds to step 02
$(patsubst %,diff-%,$(filter-out 01,$(NUMBERS))): diff-%:
	@git --no-pager diff --no-index --stat=72 -p $$(ls steps/*/main.cpp | grep -B1 /$*-) || true
##
## make start-03    begin your own version of step 03, in my/03.cpp
## make check-03    test and attack your version (ONLY=bind: a part of the tests)
## make watch-03    test it at each save: the piece of the task at hand, and its hints at a key
## make hint-03     print the next hint, beginning with the mildest
## make catch-up-03 copy the finished step 02 to my/02.cpp (yours is kept in another file)
## make solution-03 compare your version with the one of the course
## make progress    list the steps that you have finished
LEARN    := start check watch hint catch-up solution
$(foreach verb,$(LEARN),$(NUMBERS:%=$(verb)-%)) progress: setup-test
	@scripts/learn/learn $(subst -0, 0,$@)
# The other numbers. (As a pattern, 0% would also match build/my/01.d.)
VERBS    := $(LEARN) diff demo
REFUSED  := $(filter-out $(NUMBERS),$(filter 0% 1% 2% 3% 4% 5% 6% 7% 8% 9%,$(MAKECMDGOALS)))
refuse    = @echo 'make $@: the steps are $(if $(findstring diff,$@),02,01) to 08' >&2; exit 2
$(VERBS) $(VERBS:%=%-) $(REFUSED): ; $(refuse)
$(VERBS:%=%-%): ; $(refuse)
## make inspect PID=123   show what the process shares with the host
inspect: $(BUILD)/inspect ; @$(SUDO) $(BUILD)/inspect $(PID)
##
## make build       build all programs, into build/
## make rootfs      make the root filesystem of the containers, build/rootfs
## make oci         build the OCI runtime of steps/oci (make test-oci tests it with engines)
## make setup       install the tools that are missing, and list them
setup: setup-test
## make doctor      find out which steps work on this machine, and why others do not
doctor: ; @sh scripts/doctor
## make docs        run all commands of the texts, and compare their outputs
## make docs-update write the new outputs into the texts
docs docs-update: ready-docs ; @$(SUDO) scripts/docs $(if $(filter docs,$@),check,update) $(TEXT)
## make matrix      run every attack in every step, and print what each step stops
# STEP=05 PROBE=chroot2 picks a column and a row, and one cell is explained; V=1 explains any.
matrix: NEEDS += $(PROBES)
matrix: ready-test
	@$(SUDO) scripts/matrix/matrix --build $(BUILD) $(if $(STEP),--step $(STEP)) \
	  $(if $(PROBE),--probe $(PROBE)) $(if $(V),--verbose)
## make lab         open a root shell in a virtual machine (COMMAND="..." runs that instead)
lab test-lab: NEEDS += test-programs my-programs
lab: ready-lab ; @scripts/lab/boot $(COMMAND)
## make test-lab    run the tests in virtual machines with two kernels, as root and as a user
test-lab: ready-lab+docs ; @scripts/ci/lab $(COMMAND)
## make test-arm64  compile for arm64, and run in an emulator what it can run
test-arm64: setup-arm64 ; @scripts/ci/arm64
## make test-compilers  compile with every compiler that is installed, without a warning
test-compilers: ready-test ; @scripts/ci/compilers
## make test-distributions  set up, build and test on other releases of Debian
test-distributions: setup-distributions ; @$(SUDO) scripts/ci/distributions
## make slides      build the slides, a page for any browser; make pdf prints them
slides: setup-slides ; @scripts/slides build
pdf: slides ; @scripts/slides pdf $(PLAN)
## make book        make the course as files for any browser, in build/book
book: setup-book ; @scripts/book
## make course      read the course in a browser, with terminals (LAB=yes: in a virtual machine)
course: ready-course$(if $(LAB),+lab) ; @scripts/serve $(if $(LAB),--lab)
## make kit         make build/kit: all of it for a stick, and a room without a network
kit: pdf ready-slides ; @scripts/slides kit
## make rehearse    count the minutes of a talk that you give to nobody
rehearse: slides ; @scripts/slides rehearse
## make live        show the slides with a shell in them, on this machine only
live: slides ready-slides ; @scripts/serve --slides
## make demo-03     show step 03 live: a key press types the next command of its text
$(NUMBERS:%=demo-%): demo-%: ready-slides ; @$(SUDO) scripts/demo $*
## make record      run all demos, and compare them with the recordings in the slides
record record-update: ready-test ; @$(SUDO) scripts/record $(if $(filter record,$@),check,update)
## make preflight   test before a talk whether everything works on this machine
preflight: ready-slides ; @scripts/preflight
## make lint        check format and style
lint: setup-lint ; @scripts/lint '$(BASE)' $(SOURCES)
## make bench       measure the speed, also of runc, crun and bubblewrap if installed
bench: ready-test ; @$(SUDO) scripts/bench
## make mutants     break each layer, and test that its test fails
##                  (TEXTS=yes: that its text fails)
## make mistakes    break each layer, and test that the checker for learners notices
mutants mistakes: NEEDS = checker $(BUILD)/rootfs-new
mutants mistakes: ready-test ; @$(SUDO) scripts/ci/$@
## make reset       remove what killed containers left on this machine
##                  (make reset --dry-run: only list it)
reset: ; +@$(SUDO) scripts/reset $(if $(findstring n,$(firstword -$(MAKEFLAGS))),--dry-run)
## make clean       remove build/
clean: # rm would remove files of the host through a mount that was left in build/.
	@! grep -F ' $(CURDIR)/build/' /proc/self/mountinfo || \
	  { echo 'still mounted: make reset removes that' >&2; exit 1; }
	rm -rf build
##
## With SANITIZE=address,undefined, these commands build separately, in build/sanitize.
## CXX=clang++ chooses the compiler.
.DELETE_ON_ERROR:
.PHONY: help build test-programs checker my-programs rootfs setup doctor run test docs docs-update \
  matrix lab test-lab test-arm64 test-compilers test-distributions slides pdf kit rehearse book \
  course live record record-update preflight lint bench mutants mistakes progress inspect reset clean $(NUMBERS)
-include $(patsubst %.o,%.d,$(call objects,$(SOURCES) $(wildcard $(MY)/*.cpp)))
