# loci: see README.md. `make` builds ./loci; `make demo` and `make test` also set the machine up.
#
# Kinds of build, each in build/KIND: release, f64 (double precision, for gradient checks), debug,
# asan (ASan + UBSan), tsan.  make KIND=asan test-binary
KIND  ?= release
BUILD ?= build/$(KIND)
CC    ?= gcc
MARCH ?= $(if $(filter x86_64,$(shell uname -m)),x86-64-v3,native)

PACKAGES := openblas yaml-0.1 sqlite3 jansson
CPPFLAGS += -I. -D_GNU_SOURCE $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LDLIBS   += $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lpthread -lm

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wstrict-prototypes \
            -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wpointer-arith -Wundef -Wvla \
            -Wformat=2
# Never -ffast-math: a NaN must stay visible. The contraction is chosen so that compilers agree.
FLOAT    := -fno-math-errno -fno-trapping-math -fopenmp-simd -ffp-contract=fast
CFLAGS_release := -O3 -g -march=$(MARCH)
CFLAGS_f64     := -O2 -g -march=$(MARCH) -DLOCI_DOUBLE
CFLAGS_debug   := -O1 -g -march=$(MARCH) -DLOCI_DEBUG
CFLAGS_asan    := -O1 -g -march=$(MARCH) -DLOCI_DEBUG -fsanitize=address,undefined \
                  -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_tsan    := -O1 -g -march=$(MARCH) -fsanitize=thread
CFLAGS   ?= $(CFLAGS_$(KIND))
ALL_CFLAGS := -std=gnu11 $(WARNINGS) $(WERROR) $(FLOAT) $(CFLAGS)
COMPILE   = $(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@
# What a run records about how its program was built.
DEFINES   = -DLOCI_COMPILER='"$(shell $(CC) --version | head -n1)"' -DLOCI_FLAGS='"$(ALL_CFLAGS)"'
Q := $(if $(V),,@)

ROOMS   := core layers models data results experiments
SOURCES := $(filter-out %/main.c,$(wildcard $(addsuffix /*.c,$(ROOMS))))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
TOOLS   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/*.c))
TESTS   := $(wildcard tests/*/test_*.c)
HELPERS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/main.c,$(wildcard tests/*.c)))

.PHONY: all setup demo test test-binary check format fuzz reference bench clean distclean install \
        uninstall
all: loci

loci: build/release/bin/loci
	$(Q)ln -sf $< $@

$(BUILD)/bin/loci: $(TOOLS) $(BUILD)/libloci.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libloci.a: $(OBJECTS)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(COMPILE)

# One suite per test file, collected here, so that adding a test is adding a file. A single suite for
# quick work: make BUILD=/tmp/x unit TEST=tests/core/test_ops.c
TEST ?= $(TESTS)
$(BUILD)/suites.c: $(TEST) FORCE
	@mkdir -p $(@D)
	@{ echo '#include "tests/test.h"'; \
	   for s in $(basename $(notdir $(TEST))); do echo "extern const test_suite $$s;"; done; \
	   echo 'extern const test_suite *const ALL_SUITES[];'; \
	   echo 'const test_suite *const ALL_SUITES[] = {'; \
	   for s in $(basename $(notdir $(TEST))); do echo "    &$$s,"; done; \
	   echo '    NULL};'; } > $@.new; cmp -s $@.new $@ || mv $@.new $@; rm -f $@.new
FORCE:

$(BUILD)/suites.o: $(BUILD)/suites.c
	$(Q)$(COMPILE)

$(BUILD)/test: $(TEST:%.c=$(BUILD)/%.o) $(BUILD)/tests/main.o $(BUILD)/suites.o $(HELPERS) \
               $(BUILD)/libloci.a
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

test-binary: $(BUILD)/test
unit: $(BUILD)/test
	$(BUILD)/test

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
