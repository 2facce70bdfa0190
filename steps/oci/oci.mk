# build/oci: see README.md. It needs nlohmann-json, and nothing else here does.

OCI      := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard steps/oci/*.cpp))
OCI_LISTS := $(addprefix $(BUILD)/oci-,calls.inc capabilities.inc resources.inc refused.inc)

oci test-oci: NEEDS = $(BUILD)/oci rootfs
oci test-oci: ready-oci

$(BUILD)/oci: $(OCI) $(addprefix $(BUILD)/steps/08-all/,capabilities.o descriptors.o hidden_paths.o keys.o) \
              $(BUILD)/common.a
	$(CXX) $(INSTRUMENT) $(if $(SANITIZE),,-static) -s -o $@ $^
$(OCI): | $(OCI_LISTS)
$(OCI) lint: BASE += -I$(BUILD)

# The names that config.json uses, out of the headers of the compiler: {"openat", 257}.
names     = @mkdir -p $(@D); echo '\#include <$(1)>' | $(CXX) -E -dM -x c++ - | \
            sed -nE 's/^\#define $(2)$$/{"$(3)\1", $(4)\1},/p' | sort >$@
$(BUILD)/oci-calls.inc:
	$(call names,sys/syscall.h,__NR_([a-z0-9_]+) .*,,__NR_)
$(BUILD)/oci-capabilities.inc:
	$(call names,linux/capability.h,CAP_([A-Z_]+) +[0-9]+,CAP_,CAP_)
$(BUILD)/oci-resources.inc:
	$(call names,asm-generic/resource.h,RLIMIT_([A-Z]+) +[0-9]+,RLIMIT_,RLIMIT_)
$(BUILD)/oci-refused.inc: steps/oci/keys.txt
	@mkdir -p $(@D)
	@sed -nE 's/^refused +([^ :]+)$$/"\1",/p' $< >$@

test-oci:
	@$(SUDO) scripts/ci/shards $(wildcard steps/oci/tests/*_test.py)

lint: $(OCI_LISTS)
.PHONY: oci test-oci
