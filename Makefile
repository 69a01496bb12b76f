# finetune.c: make; make demo; make test; make help
#
# Knobs: CC, ARCH=native|x86-64|x86-64-v3|x86-64-v4|generic, OPT=-O3, OPENMP=0. Each combination has a build folder of its own.

CC ?= gcc
ifeq ($(origin CC),default)
CC = gcc
endif
ARCH ?= native
OPT ?= -O3
OPENMP ?= 1

# The tier is chosen here, once, by explicit flags: what a tier computes never depends on -march's other ideas.
V3 = -mavx -mavx2 -mfma -mbmi -mbmi2 -mf16c
V4 = $(V3) -mavx512f -mavx512bw -mavx512dq -mavx512vl
ifeq ($(ARCH),native)
  PROBE := $(shell echo | $(CC) -march=native -dM -E - 2>/dev/null)
  ifneq ($(findstring __AVX512VL__,$(PROBE)),)
    override ARCH := x86-64-v4
  else ifneq ($(findstring __AVX2__,$(PROBE)),)
    override ARCH := x86-64-v3
  else ifneq ($(findstring __x86_64__,$(PROBE)),)
    override ARCH := x86-64
  else
    override ARCH := generic
  endif
endif
TIER_x86-64-v3 = $(V3)
TIER_x86-64-v4 = $(V4)
TIER = $(TIER_$(ARCH))

# What the compiler knows of these. (Never -o /dev/null: tcc removes its output before it writes, and root would lose the device.)
known = $(shell $(CC) $(1) -E -x c - </dev/null >/dev/null 2>&1 && echo "$(1)")
# gcc fuses a*b+c across statements unless told not to.
STRICT := $(call known,-std=c11 -ffp-contract=off -fno-math-errno)
WARN := $(call known,-Wall -Wextra -Wshadow -Wdouble-promotion -Wstrict-prototypes -Wmissing-prototypes)
# Dependencies on headers; tcc knows -MD only.
DEPS := $(if $(filter tcc%,$(notdir $(CC))),-MD,-MMD -MP)
ifneq ($(OPENMP),0)
  OMP := $(shell t=$$(mktemp) && printf '\043include <omp.h>\nint main(void){return omp_get_max_threads()==0;}' | \
    $(CC) -fopenmp -x c -o $$t - 2>/dev/null && echo -fopenmp; rm -f $$t)
endif
CFLAGS ?=
ifeq ($(MAKELEVEL),0)
  MAKEFLAGS += --jobs=$(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
endif
ALL_CFLAGS = $(OPT) $(STRICT) $(WARN) $(OMP) $(CFLAGS)
LDLIBS = -lm

DIR = build/$(notdir $(CC))-$(ARCH)-$(OPT)-$(if $(OMP),openmp,serial)$(if $(SAN),-$(SAN))
SOURCES := $(wildcard *.c tinystories/*.c)
LIBRARY = $(filter-out $(DIR)/main.o,$(SOURCES:%.c=$(DIR)/%.o))
LIBRARY64 = $(filter-out $(DIR)/f64/main.o,$(SOURCES:%.c=$(DIR)/f64/%.o))
TESTS := $(patsubst tests/%.c,$(DIR)/%,$(wildcard tests/test_*.c))
TESTS64 := $(patsubst tests/%.c,$(DIR)/f64/%,$(wildcard tests/grad_*.c))

all: finetune finetune-f64

# Copied whenever they differ, so that the last ARCH, CC or OPT that was asked for is the one that stands here.
finetune: $(DIR)/finetune FORCE
	@cmp -s $< $@ || cp -f $< $@
finetune-f64: $(DIR)/f64/finetune FORCE
	@cmp -s $< $@ || cp -f $< $@
FORCE:

# The main job, whole; base is the longer run that the claims and the README's figures stand on.
OUT =
demo: finetune   ## stories, tokenizer, a model, what it writes and knows: four minutes
	sh tinystories/demo.sh demo $(or $(OUT),demo-out)
base: finetune   ## the same, larger: twenty minutes
	sh tinystories/demo.sh base $(or $(OUT),base-out)
# Finished cells stand in docs/claims.jsonl and are not run again. SEEDS=5: all orders and intervals, hours; BASE=DIR: another model.
BASE =
SEEDS =
claims: finetune   ## what is said about fine-tuning, tried out: docs/claims.md
	sh tinystories/claims.sh $(or $(BASE),base-out/base) $(or $(OUT),claims-out) $(or $(SEEDS),1)

# main runs before the CPU is known to have the tier, so it is compiled for the baseline.
$(DIR)/main.o: main.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DBUILT_FOR='"$(ARCH)"' $(DEPS) -c -o $@ $<
$(DIR)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(TIER) $(DEPS) -c -o $@ $<
$(DIR)/f64/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DREAL_F64 $(DEPS) -c -o $@ $<
$(DIR)/finetune: $(DIR)/main.o $(LIBRARY)
	$(CC) $(ALL_CFLAGS) -o $@ $(filter %.c %.o,$^) $(LDLIBS)
$(DIR)/f64/finetune: $(DIR)/f64/main.o $(LIBRARY64)
	$(CC) $(ALL_CFLAGS) -o $@ $(filter %.c %.o,$^) $(LDLIBS)
$(DIR)/test_%: tests/test_%.c $(LIBRARY)
	$(CC) $(ALL_CFLAGS) $(TIER) $(DEPS) -o $@ $(filter %.c %.o,$^) $(LDLIBS)
$(DIR)/f64/grad_%: tests/grad_%.c $(LIBRARY64)
	$(CC) $(ALL_CFLAGS) -DREAL_F64 $(DEPS) -o $@ $(filter %.c %.o,$^) $(LDLIBS)

$(DIR)/golden: tests/golden.c $(LIBRARY)
	$(CC) $(ALL_CFLAGS) $(TIER) $(DEPS) -o $@ $(filter %.c %.o,$^) $(LDLIBS)
$(DIR)/bench_%: tests/bench_%.c $(LIBRARY)
	$(CC) $(ALL_CFLAGS) $(TIER) $(DEPS) -o $@ $(filter %.c %.o,$^) $(LDLIBS) -ldl
# As ./finetune has it: check grad finds its double build beside it.
$(DIR)/finetune-f64: $(DIR)/f64/finetune
	cp $< $@

-include $(wildcard $(DIR)/*.d $(DIR)/tinystories/*.d $(DIR)/f64/*.d $(DIR)/f64/tinystories/*.d)

# ---- what people type: "make help" prints the lines with two # ----

BENCHES := $(patsubst tests/%.c,$(DIR)/%,$(wildcard tests/bench_*.c))

tests: finetune finetune-f64 $(DIR)/finetune $(DIR)/finetune-f64 $(TESTS) $(TESTS64) $(DIR)/golden
test:   ## every test, under 90 seconds on two cores; no network, no Python
	@$(MAKE) --no-print-directory -s tests
	@sh tests/run.sh $(DIR)

# A build that stops at the first wrong address, overflow or undefined operation, in a folder of its own.
DEBUG = OPT=-O1 SAN=debug CFLAGS="-g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all $(CFLAGS)"
debug:  ## ./finetune-debug with AddressSanitizer and UndefinedBehaviorSanitizer, and its tests built
	@$(MAKE) --no-print-directory -s $(DEBUG) finetune-debug tests-debug
finetune-debug: $(DIR)/finetune
	cp $< $@
tests-debug: $(DIR)/finetune $(DIR)/finetune-f64 $(TESTS) $(TESTS64) $(DIR)/golden
debug-test: debug   ## every test in that build
	@$(MAKE) --no-print-directory $(DEBUG) run-tests
run-tests:
	@sh tests/run.sh $(DIR)

golden: ## writes tests/golden.txt anew: only with a reason, a higher bits_version and a line in CHANGELOG.md
	@$(MAKE) --no-print-directory -s $(DIR)/golden
	$(DIR)/golden --print > $(DIR)/golden.txt
	cp $(DIR)/golden.txt tests/golden.txt
golden-program: $(DIR)/golden
golden-path:
	@echo $(DIR)/golden
bits:   ## the golden runs under every compiler, level, tier and system that is here (about 20 minutes)
	@sh tests/bits.sh
tsan:   ## a training step of each family under ThreadSanitizer (needs clang, libomp and its libarcher.so)
	@sh tests/tsan.sh
# libFuzzer on each parser: what it finds stands in build/fuzz-found/. Needs clang.
SECONDS = 60
FUZZ_TARGETS = $(notdir $(wildcard tests/fuzz/corpus/*))
FUZZ = CC=clang OPT=-O1 OPENMP=0 SAN=fuzz CFLAGS="-g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all $(CFLAGS)"
fuzz:   ## every parser against libFuzzer, SECONDS=60 each
	@$(MAKE) --no-print-directory -s $(FUZZ) run-fuzz SECONDS=$(SECONDS)
run-fuzz: $(DIR)/fuzz
	@for target in $(FUZZ_TARGETS); do \
	    mkdir -p build/fuzz-new/$$target build/fuzz-found && echo "fuzz: $$target" && \
	    FUZZ_TARGET=$$target FUZZ_DIR=$(or $(wildcard /dev/shm),build)/finetune-fuzz-$$target $(DIR)/fuzz -max_total_time=$(SECONDS) -timeout=20 -rss_limit_mb=2048 \
	        -max_len=65536 -print_final_stats=1 -artifact_prefix=build/fuzz-found/$$target- build/fuzz-new/$$target tests/fuzz/corpus/$$target 2>build/fuzz-new/$$target.log || \
	        { tail -n 40 build/fuzz-new/$$target.log; exit 1; }; \
	    grep -E "number_of_executed|new_units" build/fuzz-new/$$target.log; done
$(DIR)/fuzz: tests/fuzz/fuzz.c $(LIBRARY)
	$(CC) $(ALL_CFLAGS) $(TIER) $(DEPS) -fsanitize=fuzzer -o $@ $(filter %.c %.o,$^) $(LDLIBS)

bench:  ## speed of the products and of training, beside OpenBLAS and PyTorch where they are here
	@$(MAKE) --no-print-directory -s $(BENCHES)
	@for bench in $(BENCHES); do $$bench || exit 1; done

help:   ## this list
	@echo "make                ./finetune and ./finetune-f64"
	@sed -n 's/^\([a-z-]*\):[^#]*## *\(.*\)/\1\t\2/p' Makefile | while IFS="	" read -r name text; do printf 'make %-14s %s\n' "$$name" "$$text"; done
	@echo "knobs: CC=gcc|clang|tcc ARCH=native|x86-64|x86-64-v3|x86-64-v4 OPT=-O3 OPENMP=0"

clean:  ## removes what make made
	rm -rf build finetune finetune-f64

.PHONY: all demo base claims clean FORCE
.SECONDARY:
