# loci: see README.md. `make` builds ./loci; `make demo` and `make test` also set the machine up.
#
# Kinds of build, each in build/KIND: release, f64 (double precision, for gradient checks), debug,
# asan (ASan + UBSan), tsan, fuzz (the same by clang, with what libFuzzer needs), bare (fuzz without sanitizers: several times as
# many inputs, of which only crashes and failed CHECKs are found), cover (bare that counts lines, for
# tools/fuzz_coverage.sh). For example: make KIND=asan test-binary
KIND  ?= release
BUILD ?= build/$(KIND)
ifeq ($(origin CC),default)
CC := gcc
endif
MARCH ?= $(if $(filter x86_64,$(shell uname -m)),x86-64-v3,native)
PREFIX ?= /usr/local

PACKAGES := openblas yaml-0.1 sqlite3 jansson zlib nettle libutf8proc
CPPFLAGS := -I. -D_GNU_SOURCE $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null) $(CPPFLAGS)
LDLIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lsentencepiece -lstdc++ -lpthread -lm $(LDLIBS)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wstrict-prototypes \
            -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wpointer-arith -Wundef -Wvla \
            -Wformat=2 -Wno-pass-failed # clang: a simd loop that a debug build does not vectorise
# Never -ffast-math: a NaN must stay visible. A product and a sum may be one multiply-add, which rounds once;
# where, each compiler chooses.
FLOAT    := -fno-math-errno -fno-trapping-math -fopenmp-simd -ffp-contract=fast
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# What a damaged or a stranger's file could make of a fault of ours ends the program instead.
FORTIFY  = $(if $(shell printf '\043if __has_builtin(__builtin_dynamic_object_size)\nyes\n\043endif\n' | \
             $(CC) -E -P -x c - 2>/dev/null),3,2)
HARDEN  := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY) -fstack-protector-strong -fPIE
# -g1: places for reports, and up to a third less to compile than with all that a debugger may ask.
CFLAGS_release := -O3 -g1 -march=$(MARCH) $(HARDEN)
LINK_release   := -pie -Wl,-z,relro,-z,now
CFLAGS_f64     := -O2 -g1 -march=$(MARCH) -DLOCI_DOUBLE
CFLAGS_debug   := -O1 -g -march=$(MARCH) -DLOCI_DEBUG
CFLAGS_asan    := -O1 -g1 -march=$(MARCH) -DLOCI_DEBUG $(SANITIZE)
CFLAGS_tsan    := -O1 -g1 -march=$(MARCH) -fsanitize=thread
CFLAGS_fuzz    := -O0 -g1 -march=$(MARCH) -DLOCI_DEBUG $(SANITIZE) -fsanitize=fuzzer-no-link
# Nothing to relocate: a sixth less for each of the thousands of times that suites start the program.
LINK_fuzz      := -no-pie
CFLAGS_bare    := -O2 -g1 -march=$(MARCH) -DLOCI_DEBUG -fsanitize=fuzzer-no-link
CFLAGS_cover   := -O1 -g1 -march=$(MARCH) -DLOCI_DEBUG -fsanitize=fuzzer-no-link \
                  -fprofile-instr-generate -fcoverage-mapping
CFLAGS   ?= $(CFLAGS_$(KIND))
ALL_CFLAGS := -std=gnu11 $(WARNINGS) $(WERROR) $(FLOAT) $(CFLAGS)
LDFLAGS := $(if $(filter file,$(origin CFLAGS)),$(LINK_$(KIND))) $(LDFLAGS)
# gcc 12 for 64-bit ARM fails in its vectoriser at loops of some tests.
ifneq ($(filter aarch64%,$(shell $(CC) -dumpmachine)),)
$(BUILD)/tests/%.o: ALL_CFLAGS += -fno-tree-vectorize
endif
# Of kernels written in intrinsics, -O3 makes nothing faster (measured) and takes three times as long; where
# nobody waits for a product, -O0 takes a fifth of -O2. Of tests nothing needs -O3.
ifeq ($(origin CFLAGS),file)
ifneq ($(filter release,$(KIND)),)
$(addprefix $(BUILD)/core/ops/gemm_avx512,.o _few.o _tiles.o): ALL_CFLAGS += -O2
endif
ifneq ($(filter f64 tsan cover,$(KIND)),)
$(BUILD)/core/ops/gemm_avx51%.o: ALL_CFLAGS += -O0
endif
ifneq ($(filter release f64,$(KIND)),)
$(BUILD)/tests/%.o: ALL_CFLAGS += -O1
endif
endif
# Under sanitizers -O1 takes clang three times as long to compile as -O0, and only arithmetic is faster for it,
# operations and what learns while it is evaluated; -O0 also leaves them all there is to look at. Clang takes
# a minute of a core for each file of these kernels under sanitizers; gcc's build has them. What is fuzzed need
# not look for ways through operations and tests. What tests themselves do with a null pointer or beside an
# object ASan sees as well.
ifeq ($(KIND),fuzz)
$(BUILD)/core/%.o $(BUILD)/harness/evaluate/%.o: ALL_CFLAGS += -O1
$(BUILD)/core/ops/%.o $(BUILD)/tests/%.o: ALL_CFLAGS += -fno-sanitize=fuzzer-no-link
$(BUILD)/tests/%.o: ALL_CFLAGS += -fno-sanitize=null,object-size
$(BUILD)/tests/fuzz/%.o: ALL_CFLAGS += -fsanitize=fuzzer-no-link
$(BUILD)/core/ops/gemm_avx51%.o: ALL_CFLAGS += -fno-sanitize=all
endif
# In loops over arrays ASan sees what is read beside them; these four kinds of check, at every element, take
# gcc up to three times as long to compile, and the suites a fifth longer. Clang's build has them.
ifeq ($(KIND),asan)
$(BUILD)/core/ops/%.o: ALL_CFLAGS += -fno-sanitize=null,alignment,object-size,pointer-overflow
endif
# The door to a C++ library; none of C's own warnings.
# Checks of dynamic types need the C++ runtime of the sanitizer, which a program in C does not link.
COMPILE_CXX = $(CC) $(CPPFLAGS) -std=gnu++17 -Wall -Wextra $(WERROR) $(CFLAGS) -fno-sanitize=vptr \
              -MMD -MP -c $< -o $@
COMPILE   = $(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@
# What a compiler said of a file stays beside its object, so that a gate against warnings need not
# compile again what a build has compiled: see `said`.
KEEP_SAID = 2>$@.said || { cat $@.said >&2; exit 1; }; cat $@.said >&2
# What a run records about how its program was built.
COMPILER := $(shell $(CC) --version 2>/dev/null | head -n1)
DEFINES   = -DLOCI_COMPILER='"$(COMPILER)"' -DLOCI_FLAGS='"$(ALL_CFLAGS)"'
Q := $(if $(V),,@)
# What objects depend on beside their sources: other flags, or another compiler, make them again. Sorted,
# since a make within this one gets CPPFLAGS of the environment with ours in front. Without WERROR, which
# changes no object. What single files or rooms get beside it counts as the lines that say so.
BUILT_WITH := $(COMPILER) $(sort $(CPPFLAGS) $(LDFLAGS) $(LDLIBS)) $(filter-out $(WERROR),$(ALL_CFLAGS)) \
              $(shell sed -nE '/\.o.?: [A-Z_]+ \+=|^COMPILE_CXX/p' Makefile)
# A file that is made anew each time has its old date where it says the same.
RENEW = cmp -s $@.new $@ || mv $@.new $@; rm -f $@.new

# A room is a folder of files, or of wings that hold them. WITHOUT: rooms that what is built of TEST
# does not need, with / at the end. ARITHMETIC=1: only the suites that are arithmetic, and what they need.
ifneq ($(ARITHMETIC),)
WITHOUT := $(filter-out harness/evaluate/ harness/inspect/,$(wildcard results/*/ harness/*/)) tools/
TEST    := $(filter-out %/test_option_effect.c,$(wildcard tests/core/*.c tests/layers/*.c tests/models/*.c)) \
             tests/tools/test_reference.c
endif
ROOMS   := $(wildcard core/*/) layers/ models/ data/ $(wildcard results/*/) $(wildcard harness/*/) tools/
SOURCES := $(filter-out tools/main.c core/train/ranks_mpi.c, \
             $(wildcard $(addsuffix *.c,$(filter-out $(WITHOUT),$(ROOMS)))))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(patsubst %.cc,$(BUILD)/%.o,$(wildcard data/*.cc))
# Those that take longest first: short ones fill what is left of the cores at the end.
TESTS   := $(foreach room,tools harness results models layers data core,$(wildcard tests/$(room)/test_*.c))
# Mains of their own: the suites' runner and the reference runner.
MAINS   := tests/main.c tests/reference/reference_main.c
HELPERS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAINS),$(wildcard tests/support/*.c tests/reference/*.c)))
FUZZERS := $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))
ALL_C   := $(SOURCES) $(if $(ARITHMETIC),$(TEST) tests/main.c $(HELPERS:$(BUILD)/%.o=%.c), \
             $(wildcard tools/main.c tests/*.c tests/*/*.c))
ALL_H   := $(wildcard $(addsuffix *.h,$(ROOMS) tests/ tests/*/))

# Everything is built on all granted cores unless -j says otherwise; a make within this one shares
# its job server.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

.PHONY: all setup demo test unit test-binary check tidy format fuzz fuzzers reference bench clean \
        distclean install uninstall warnings said loci torture many-runs
all: loci

# make MPI=1: a program that knows the ranks of mpirun, by Open MPI or MPICH; MPI=ompi or MPI=mpich says
# which, by the name that pkg-config has for it. Only one file differs.
MPI_PACKAGE := $(if $(MPI),$(firstword $(foreach p,$(if $(filter 1,$(MPI)),mpi ompi mpich,$(MPI)), \
                 $(shell pkg-config --exists $p && echo $p))))
ifneq ($(MPI),)
ifeq ($(MPI_PACKAGE),)
$(error MPI=$(MPI): pkg-config does not know it; tools/setup.sh cluster installs Open MPI and MPICH)
endif
endif
MPI_NAME := $(if $(MPI),$(if $(filter 1,$(MPI)),mpi,$(MPI)))
PROGRAM := $(BUILD)/bin/loci$(MPI_NAME:%=-%)

# ./loci is always the release build, whatever else KIND asks for.
loci: $(PROGRAM)
	$(Q)test $(BUILD) != build/release || ln -sf $< $@

# Ranks come first: the archive's own, of one process, are then not looked at.
ifneq ($(MPI),)
$(PROGRAM): $(BUILD)/tools/main.o $(BUILD)/$(MPI_NAME)/ranks_mpi.o $(BUILD)/libloci.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(shell pkg-config --libs $(MPI_PACKAGE))
# What MPICH has for "no statuses" looks to gcc like a place that is too small.
$(BUILD)/$(MPI_NAME)/ranks_mpi.o: ALL_CFLAGS += -Wno-stringop-overflow
$(BUILD)/$(MPI_NAME)/ranks_mpi.o: CPPFLAGS += $(shell pkg-config --cflags $(MPI_PACKAGE))
$(BUILD)/$(MPI_NAME)/ranks_mpi.o: core/train/ranks_mpi.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(KEEP_SAID)
endif

$(BUILD)/bin/loci: $(BUILD)/tools/main.o $(BUILD)/libloci.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libloci.a: $(OBJECTS)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(KEEP_SAID)

$(BUILD)/%.o: %.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(COMPILE_CXX) $(KEEP_SAID)

$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(BUILT_WITH))' >$@.new; $(RENEW)

$(BUILD)/core/base/host.o: CPPFLAGS += $(DEFINES) -include $(BUILD)/revision.h
$(BUILD)/core/base/host.o: $(BUILD)/revision.h

# The commit that is built, and whether the tree differs from it: of this checkout alone, never of a
# repository that a copy without its own happens to lie in.
$(BUILD)/revision.h: FORCE
	@mkdir -p $(@D)
	@revision= dirty=false; \
	if [ "$$(git rev-parse --show-toplevel 2>/dev/null)" = "$$(pwd -P)" ]; then \
	    revision=$$(git rev-parse HEAD 2>/dev/null); \
	    [ -z "$$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || dirty=true; \
	fi; \
	printf '#define LOCI_REVISION "%s"\n#define LOCI_REVISION_DIRTY %s\n' "$$revision" $$dirty >$@.new; \
	$(RENEW)

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
	   echo '    NULL};'; } > $@.new; $(RENEW)
FORCE:

$(BUILD)/suites.o: $(BUILD)/suites.c $(BUILD)/flags
	$(Q)$(COMPILE)

$(BUILD)/test: $(TEST:%.c=$(BUILD)/%.o) $(BUILD)/tests/main.o $(BUILD)/suites.o \
               $(BUILD)/libtests.a $(BUILD)/libloci.a
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(TEST_LDLIBS)

# Loaded into the program by tests of a full disk, a power cut and their like. Without a sanitizer's
# runtime, which would want to be the first.
$(BUILD)/faults.so: tests/preload/faults.c tests/support/faults.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(WARNINGS) $(WERROR) -O1 -g -fPIC -shared \
	    $(if $(filter asan tsan fuzz,$(KIND)),-DWITHOUT_MEMORY) -o $@ $<

$(BUILD)/no_locks.so: tests/preload/no_locks.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(WARNINGS) $(WERROR) -O1 -g -fPIC -shared -o $@ $<

PRELOADS := $(BUILD)/faults.so $(BUILD)/no_locks.so
test-binary: $(BUILD)/test $(PRELOADS)
unit: $(BUILD)/test $(PRELOADS) $(BUILD)/bin/loci
	LOCI_PROGRAM=$(abspath $(BUILD)/bin/loci) $(BUILD)/test

# An archive, so that only the helpers are linked that suites and checkers call.
$(BUILD)/libtests.a: $(HELPERS)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/reference: $(BUILD)/tests/reference/reference_main.o $(BUILD)/libtests.a $(BUILD)/libloci.a
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# make KIND=fuzz CC=clang fuzzers
FUZZ_HELPERS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/fuzz/fuzz_%,$(wildcard tests/fuzz/*.c)))
$(BUILD)/libfuzz.a: $(FUZZ_HELPERS)
	$(Q)rm -f $@ && ar rcs $@ $^
$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/libfuzz.a $(BUILD)/libloci.a
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)
fuzzers: $(addprefix $(BUILD)/,$(FUZZERS))
.SECONDARY: $(FUZZERS:%=$(BUILD)/tests/fuzz/%.o)

# ---- What people call. Setting up comes first and may bring the libraries that this file asks
# pkg-config for, so the building is done by a make of its own.

setup:
	@tools/setup.sh build demo

demo: setup
	@[ -e loci ] || echo "compiling loci: a minute or two"
	@$(MAKE) --no-print-directory KIND=release loci
	./loci run experiments/quickstart.yaml
	./loci compare quickstart
	./loci claims quickstart
	@tools/plot.sh quickstart
	@echo "To look further: ./loci report quickstart"

# The suites in float and double, the reference vectors, the fuzz targets for FUZZ_SECONDS each.
# FULL=1: every layer at every option, of which a third are drawn otherwise.
test:
	@tools/setup.sh build demo test
	+@tools/test.sh

# Format, warnings as errors under gcc and clang, shell scripts, the suites under ASan and UBSan,
# those of threads under TSan.
check:
	@tools/setup.sh build demo test check
	+@tools/check.sh

# clang's static analyser and what else .clang-tidy names, a file at a time: what was read without a
# finding is read again only when it or a header of it has changed.
TIDIED ?= $(SOURCES) tools/main.c
tidy: $(TIDIED:%.c=$(BUILD)/%.tidy)
$(BUILD)/%.tidy: %.c $(BUILD)/%.o .clang-tidy
	$(Q)clang-tidy --quiet $< -- -std=gnu11 $(CPPFLAGS) $(DEFINES) $(FLOAT)
	@touch $@

format:
	clang-format -i $(ALL_C) $(ALL_H)

# Reads everything for its warnings only: make warnings CC=clang WERROR=-Werror
# gcc finds some only while it optimises: those are `said` while a kind is built, and fail here.
WARNED ?= $(ALL_C)
warnings: $(WARNED:%=%.warnings)
%.warnings: %
	$(Q)$(CC) $(CPPFLAGS) $(DEFINES) $(ALL_CFLAGS) -fsyntax-only $<
said: $(WARNED:%.c=$(BUILD)/%.o)
	@! cat $(^:%=%.said) 2>&1 | grep .

FUZZ_SECONDS ?= 60
fuzz:
	@tools/setup.sh build test
	+@tools/fuzz.sh $(FUZZ_SECONDS)

# A sweep of TORTURE_RUNS runs whose workers and supervisors are killed at random; every TORTURE-th
# call of a run's life that writes or reads fails or is killed, the power is cut behind it. All must end
# as if undisturbed.
TORTURE_RUNS ?= 600
TORTURE ?= 1
torture:
	@tools/setup.sh build
	@$(MAKE) --no-print-directory KIND=release loci test-binary
	LOCI_TORTURE=$(TORTURE) LOCI_TORTURE_RUNS=$(TORTURE_RUNS) \
	    LOCI_PROGRAM=$(abspath build/release/bin/loci) \
	    build/release/test harness/torture harness/faults harness/power_cut tools/stale_database tools/full_disk

# How long the verbs take in a folder of MANY_RUNS runs.
MANY_RUNS ?= 10000
many-runs:
	@tools/setup.sh build
	@$(MAKE) --no-print-directory KIND=release loci test-binary
	LOCI_MANY_RUNS=$(MANY_RUNS) LOCI_PROGRAM=$(abspath build/release/bin/loci) \
	    build/release/test results/many_runs

# Runs every case below a folder of reference vectors (tests/vectors by default).
REFERENCE ?= tests/vectors
reference:
	@$(MAKE) --no-print-directory KIND=release build/release/reference
	@build/release/reference $(REFERENCE)

bench: loci
	./loci bench experiments/benchmarks/tiny.yaml
	./loci bench experiments/benchmarks/small.yaml
	./loci bench experiments/benchmarks/medium.yaml
	./loci bench experiments/benchmarks/large.yaml

BASH_COMPLETIONS = $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS = $(PREFIX)/share/zsh/site-functions
FISH_COMPLETIONS = $(PREFIX)/share/fish/vendor_completions.d
install: loci
	install -D -m 755 build/release/bin/loci $(DESTDIR)$(PREFIX)/bin/loci
	$(Q)build/release/bin/loci completion bash >build/loci.bash
	$(Q)build/release/bin/loci completion zsh >build/loci.zsh
	$(Q)build/release/bin/loci completion fish >build/loci.fish
	install -D -m 644 build/loci.bash $(DESTDIR)$(BASH_COMPLETIONS)/loci
	install -D -m 644 build/loci.zsh $(DESTDIR)$(ZSH_COMPLETIONS)/_loci
	install -D -m 644 build/loci.fish $(DESTDIR)$(FISH_COMPLETIONS)/loci.fish
	$(Q)for page in loci $$(build/release/bin/loci complete ''); do \
	    [ $$page = loci ] && verb= name=loci || { verb=$$page; name=loci-$$page; }; \
	    build/release/bin/loci help --man $$verb >build/$$name.1 && \
	    install -D -m 644 build/$$name.1 $(DESTDIR)$(PREFIX)/share/man/man1/$$name.1 || exit 1; \
	done
	cd experiments && find . -name '*.yaml' -exec \
	    install -D -m 644 {} $(DESTDIR)$(PREFIX)/share/loci/experiments/{} \;

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/bin/loci $(DESTDIR)$(PREFIX)/share/loci
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/loci.1 $(DESTDIR)$(PREFIX)/share/man/man1/loci-*.1
	rm -f $(DESTDIR)$(BASH_COMPLETIONS)/loci $(DESTDIR)$(ZSH_COMPLETIONS)/_loci \
	    $(DESTDIR)$(FISH_COMPLETIONS)/loci.fish

clean:
	rm -rf build loci
# Also what runs and preparation made: results, cached token shards. Corpora are kept.
distclean: clean
	rm -rf results/out data/cache

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
