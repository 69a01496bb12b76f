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

# gcc fuses a*b+c across statements unless told not to; tcc knows neither flag.
STRICT := $(shell echo 'int x;' | $(CC) -std=c11 -ffp-contract=off -fno-math-errno -x c -c -o /dev/null - 2>/dev/null && echo -std=c11 -ffp-contract=off -fno-math-errno)
WARN := $(shell echo 'int x;' | $(CC) -Wall -Wextra -Wshadow -Wdouble-promotion -Wstrict-prototypes -Wmissing-prototypes -x c -c -o /dev/null - 2>/dev/null && echo -Wall -Wextra -Wshadow -Wdouble-promotion -Wstrict-prototypes -Wmissing-prototypes)
ifneq ($(OPENMP),0)
  OMP := $(shell printf '\043include <omp.h>\nint main(void){return omp_get_max_threads()==0;}' | $(CC) -fopenmp -x c -o /dev/null - 2>/dev/null && echo -fopenmp)
endif
CFLAGS ?=
MAKEFLAGS += --jobs=$(shell nproc 2>/dev/null || echo 2)
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
	@cmp -s $< $@ || cp $< $@
finetune-f64: $(DIR)/f64/finetune FORCE
	@cmp -s $< $@ || cp $< $@
FORCE:

# The main job, whole; base is the longer run that the claims and the README's figures stand on.
OUT =
demo: finetune
	sh tinystories/demo.sh demo $(or $(OUT),demo-out)
base: finetune
	sh tinystories/demo.sh base $(or $(OUT),base-out)

# main runs before the CPU is known to have the tier, so it is compiled for the baseline.
$(DIR)/main.o: main.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DBUILT_FOR='"$(ARCH)"' -MMD -MP -c -o $@ $<
$(DIR)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(TIER) -MMD -MP -c -o $@ $<
$(DIR)/f64/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DREAL_F64 -MMD -MP -c -o $@ $<
$(DIR)/finetune: $(DIR)/main.o $(LIBRARY)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LDLIBS)
$(DIR)/f64/finetune: $(DIR)/f64/main.o $(LIBRARY64)
	$(CC) $(ALL_CFLAGS) -o $@ $^ $(LDLIBS)
$(DIR)/test_%: tests/test_%.c $(LIBRARY)
	$(CC) $(ALL_CFLAGS) $(TIER) -MMD -MP -o $@ $^ $(LDLIBS)
$(DIR)/f64/grad_%: tests/grad_%.c $(LIBRARY64)
	$(CC) $(ALL_CFLAGS) -DREAL_F64 -MMD -MP -o $@ $^ $(LDLIBS)

-include $(wildcard $(DIR)/*.d $(DIR)/tinystories/*.d $(DIR)/f64/*.d $(DIR)/f64/tinystories/*.d)

clean:
	rm -rf build finetune finetune-f64

.PHONY: all demo base clean FORCE
.SECONDARY:
