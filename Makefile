# myqueue - `make help` lists the targets.
#
# One Makefile for the whole tree; every object's headers are tracked by the compiler.
# File targets (build/...) only compile. The targets with a name install what is
# missing first (tools/deps).
#
#   BUILD=build         where everything that is made goes
#   SANITIZE=           e.g. address,undefined or thread
#   CRASH_POINTS=       1: the broker has its crash points (common/crashpoint.h), for tests
#   RUNTIME=auto        docker | process | auto: where scenarios run
#   STORE=              postgres | sqlite | memory: where their broker keeps the messages;
#                       if not given, as scenario.conf says, or postgres
#   LOGS= CONSUMERS=    for `make scenario`
#   SEED= SEEDS= MINUTES= FAULTS= JOBS=   for `make faults` and `make soak`
#   SUT= LOGS= QUICK= MUTANTS=   for `make judge`
#   FUZZ_SECONDS=60     of `make fuzz`, all targets together
#   V=1                 show the commands

BUILD     ?= build
SANITIZE  ?=
CRASH_POINTS ?=
RUNTIME   ?= auto
STORE     ?=
FUZZ_SECONDS ?= 60
VERSION   := 0.1.0

CC       ?= gcc
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
            -Wwrite-strings -Wundef -Werror
CPPFLAGS += -D_GNU_SOURCE -DMYQUEUE_VERSION='"$(VERSION)"' -I. -Imyqueue/include -isystem /usr/include/postgresql
CFLAGS   ?= -O2 -g
CFLAGS   += -std=c11 -fPIC -fvisibility=hidden -fno-omit-frame-pointer $(WARNINGS)
LDFLAGS  += -pthread
ifneq ($(SANITIZE),)
CFLAGS   += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
CPPFLAGS += -DMUTEX_CHECK
LDFLAGS  += -fsanitize=$(SANITIZE)
endif
ifneq ($(CRASH_POINTS),)
CPPFLAGS += -DCRASH_POINTS
endif

# ---- what there is -----------------------------------------------------------------

PROGRAMS  := $(addprefix $(BUILD)/,myqueue-broker myqueue-produce myqueue-consume myqueue-harness \
               myqueue-proxy myqueue-powercut) $(BUILD)/libpowercut.so \
               $(BUILD)/libstepclock.so
BENCH     := $(addprefix $(BUILD)/bench/,load bare)
LIBRARIES := $(BUILD)/libmyqueue.so $(BUILD)/libmyqueue.a
EXAMPLES  := $(patsubst myqueue/examples/%.c,$(BUILD)/examples/%,$(wildcard myqueue/examples/*.c))
SCENARIOS := $(patsubst scenarios/%/scenario.conf,%,$(wildcard scenarios/*/scenario.conf))

Q := $(if $(V),,@)
say = printf '  %-5s %s\n' $(1) $(2:$(BUILD)/%=%)
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

COMMON_OBJECTS   := $(call objects,$(wildcard common/*.c))
CORE_OBJECTS     := $(call objects,$(wildcard broker/core/*.c))
STORE_OBJECTS    := $(call objects,$(wildcard broker/store/*.c)) $(BUILD)/obj/broker/store/schema.o \
                    $(BUILD)/obj/broker/store/sqlite_schema.o
API_OBJECTS      := $(call objects,$(wildcard broker/api/*.c))
LIBRARY_OBJECTS  := $(call objects,$(wildcard myqueue/src/*.c))
SCENARIO_OBJECTS := $(call objects,$(filter-out scenarios/produce.c scenarios/consume.c,$(wildcard scenarios/*.c)))
BENCH_OBJECTS    := $(call objects,$(filter-out bench/load.c bench/bare.c,$(wildcard bench/*.c)))
HARNESS_FOLDERS  := run runtime scenario faults history check report
HARNESS_OBJECTS  := $(call objects,$(filter-out harness/main.c,$(wildcard harness/*.c $(HARNESS_FOLDERS:%=harness/%/*.c))))
POWERCUT_OBJECTS := $(patsubst %,$(BUILD)/obj/harness/powercut/%.o,disk names cut main)
SHIM_OBJECTS     := $(patsubst %,$(BUILD)/shim/harness/powercut/%.o,disk names shim)
PROXY_OBJECTS    := $(call objects,$(wildcard harness/proxy/*.c) harness/memory.c)
FUZZ_OBJECTS     := $(call objects,$(filter-out fuzz/main.c,$(wildcard fuzz/*.c)) scenarios/logfile.c)
FUZZ_TARGETS     := json http calls logfile
FAULTY_OBJECTS   := $(call objects,$(filter-out broker/store/tests/test_%,$(wildcard broker/store/tests/*.c)))

BROKER_LIBS  := -lmicrohttpd -lpq -lsqlite3 -lm
LIBRARY_LIBS := -lcurl -lcjson -lm
HARNESS_LIBS := -lsqlite3 $(LIBRARY_LIBS)

# Test programs: every tests/test_*.c is one, linked with its folder and what that may use.
TEST_SOURCES := $(wildcard common/tests/test_*.c broker/tests/test_*.c broker/*/tests/test_*.c myqueue/tests/test_*.c \
                  scenarios/tests/test_*.c harness/tests/test_*.c bench/tests/test_*.c fuzz/tests/test_*.c)
TESTS        := $(patsubst %.c,$(BUILD)/tests/%,$(TEST_SOURCES))

.PHONY: all
all: $(PROGRAMS) $(LIBRARIES) $(EXAMPLES) $(BENCH) ## Build the programs, the library and the examples

.PHONY: programs
programs: $(PROGRAMS)

# ---- how it is made ----------------------------------------------------------------

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The schemas are SQL that a person reads; the broker carries them as strings.
$(BUILD)/gen/%.c: broker/store/%.sql
	@mkdir -p $(@D)
	@{ echo '#include "broker/store/schema.h"'; echo 'const char $*_sql[] ='; \
	   sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$/\\n"/' $<; echo ';'; } > $@

$(BUILD)/obj/broker/store/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	@$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libmyqueue.a: $(LIBRARY_OBJECTS)
	@rm -f $@
	@$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

$(BUILD)/libmyqueue.so: $(LIBRARY_OBJECTS) myqueue/src/libmyqueue.map
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libmyqueue.so -Wl,--version-script=myqueue/src/libmyqueue.map \
	    -o $@ $(LIBRARY_OBJECTS) $(LIBRARY_LIBS)

$(BUILD)/myqueue-broker: $(BUILD)/obj/broker/main.o $(API_OBJECTS) $(CORE_OBJECTS) $(STORE_OBJECTS) $(COMMON_OBJECTS)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(BROKER_LIBS)

$(BUILD)/myqueue-produce: $(BUILD)/obj/scenarios/produce.o $(SCENARIO_OBJECTS) $(BUILD)/libmyqueue.a
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBRARY_LIBS)

$(BUILD)/myqueue-consume: $(BUILD)/obj/scenarios/consume.o $(SCENARIO_OBJECTS) $(BUILD)/libmyqueue.a
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBRARY_LIBS)

# The harness needs no broker parts: of common/ it takes what it uses.
$(BUILD)/libcommon.a: $(COMMON_OBJECTS)
	@rm -f $@
	@$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

$(BUILD)/myqueue-harness: $(BUILD)/obj/harness/main.o $(HARNESS_OBJECTS) $(BUILD)/obj/scenarios/logfile.o \
                          $(BUILD)/libmyqueue.a $(BUILD)/libcommon.a
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(HARNESS_LIBS)

$(BUILD)/myqueue-proxy: $(PROXY_OBJECTS) $(BUILD)/libcommon.a
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/myqueue-powercut: $(POWERCUT_OBJECTS)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

# Preloaded into any program, so without sanitizers, whatever the rest is built with.
unsanitized = $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(1))

$(BUILD)/shim/%.o: %.c
	@mkdir -p $(@D)
	@$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(call unsanitized,$(CFLAGS)) -MMD -MP -c -o $@ $<

$(BUILD)/libpowercut.so: $(SHIM_OBJECTS)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(call unsanitized,$(LDFLAGS)) -shared -Wl,-soname,libpowercut.so -o $@ $^

$(BUILD)/libstepclock.so: $(BUILD)/shim/harness/clock/shim.o
	@$(call say,LINK,$@)
	$(Q)$(CC) $(call unsanitized,$(LDFLAGS)) -shared -Wl,-soname,libstepclock.so -o $@ $^

$(BUILD)/bench/load: $(BUILD)/obj/bench/load.o $(BENCH_OBJECTS) $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lm

$(BUILD)/bench/bare: $(BUILD)/obj/bench/bare.o $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lmicrohttpd

$(BUILD)/examples/%: $(BUILD)/obj/myqueue/examples/%.o $(BUILD)/libmyqueue.so
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -L$(BUILD) -lmyqueue -Wl,-rpath,'$$ORIGIN/..'

TEST_LIBS := -lcunit
$(BUILD)/tests/common/%: $(BUILD)/obj/common/%.o $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(BROKER_LIBS) $(TEST_LIBS)

$(BUILD)/tests/broker/%: $(BUILD)/obj/broker/%.o $(API_OBJECTS) $(CORE_OBJECTS) $(STORE_OBJECTS) $(FAULTY_OBJECTS) $(COMMON_OBJECTS)
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(BROKER_LIBS) $(TEST_LIBS)

$(BUILD)/tests/myqueue/%: $(BUILD)/obj/myqueue/%.o $(BUILD)/libmyqueue.a
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBRARY_LIBS) $(TEST_LIBS)

$(BUILD)/tests/scenarios/%: $(BUILD)/obj/scenarios/%.o $(SCENARIO_OBJECTS)
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(BUILD)/tests/bench/%: $(BUILD)/obj/bench/%.o $(BENCH_OBJECTS) $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lm $(TEST_LIBS)

$(BUILD)/tests/fuzz/%: $(BUILD)/obj/fuzz/%.o $(FUZZ_OBJECTS) $(API_OBJECTS) $(CORE_OBJECTS) $(STORE_OBJECTS) $(COMMON_OBJECTS)
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(BROKER_LIBS) -lcjson $(TEST_LIBS)

# By `make fuzz`, with clang: the objects are instrumented, libFuzzer comes with the last step.
$(BUILD)/fuzz-%: fuzz/main.c $(FUZZ_OBJECTS) $(API_OBJECTS) $(CORE_OBJECTS) $(STORE_OBJECTS) $(COMMON_OBJECTS)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -DFUZZ_TARGET=fuzz_$* $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(BROKER_LIBS) -lcjson

$(BUILD)/tests/harness/%: $(BUILD)/obj/harness/%.o $(HARNESS_OBJECTS) $(BUILD)/obj/scenarios/logfile.o \
                          $(BUILD)/libmyqueue.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(HARNESS_LIBS) $(TEST_LIBS)

.PRECIOUS: $(BUILD)/obj/%.o $(BUILD)/gen/%.c
-include $(shell find $(BUILD)/obj $(BUILD)/shim -name '*.d' 2>/dev/null)

# ---- what a person calls -------------------------------------------------------------

export BUILD RUNTIME
# tools/engine puts wrappers there for a user who reaches the engine by sudo only.
export PATH := $(abspath $(BUILD))/bin:$(PATH)

.PHONY: help
help: ## List the targets
	@echo "Targets (BUILD=$(BUILD), RUNTIME=$(RUNTIME), STORE=postgres|sqlite|memory; V=1 shows the commands):"
	@sed -n 's/^\([a-zA-Z%][a-zA-Z0-9%_-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	    while IFS='|' read -r name words; do printf '  %-23s %s\n' "$$name" "$$words"; done
	@for s in $(SCENARIOS); do printf '  %-23s %s\n' "scenario-$$s" \
	    "$$(sed -n 's/^title *= *//p' scenarios/$$s/scenario.conf)"; done

.PHONY: deps
deps: ## Install what is missing (Debian, Ubuntu) or name it
	@tools/deps build test engine

# The programs, built after what they need has been installed.
.PHONY: scenario-programs
scenario-programs:
	@tools/deps build engine
	@$(MAKE) -s --no-print-directory -j$(shell nproc) $(PROGRAMS)

run_scenario = $(BUILD)/myqueue-harness run --root $(CURDIR) --runtime $(RUNTIME) $(if $(STORE),--store "$(STORE)")

scenario-%: scenario-programs ## Run scenarios/%, faults and all, and write its report
	@$(run_scenario) scenarios/$*

.PHONY: scenario
scenario: scenario-programs ## Run your own log files: make scenario LOGS=DIR [CONSUMERS=N] [NAME=REPORT]
	@test -n "$(LOGS)" || { echo "make scenario: LOGS=DIR is needed: the folder with producer_1.txt, …" >&2; exit 2; }
	@$(run_scenario) $(if $(CONSUMERS),--consumers "$(CONSUMERS)") \
	    $(if $(NAME),--name "$(NAME)") "$(LOGS)"

.PHONY: images
images: ## Build the container images, where the sources have changed
	@tools/deps build engine
	@tools/image

.PHONY: crash-recovery
crash-recovery: scenario-crash-recovery ## Run 5p3c with ten kills, of PostgreSQL as well [STORE=sqlite]

.PHONY: faults
faults: scenario-programs ## Every fault on every store: make faults [SEED=1] [SEEDS=1] [FAULTS="cut store,…"]
	@harness/matrix/faults.py --reports reports/faults $(call option,--seed,$(SEED)) \
	    $(call option,--seeds,$(SEEDS)) $(matrix_choice)

.PHONY: soak
soak: scenario-programs ## Mixed faults until one fails: make soak [MINUTES=60] [SEED=N] [STORE=sqlite]
	@harness/matrix/soak.py --reports reports/soak $(call option,--seed,$(SEED)) \
	    $(call option,--minutes,$(MINUTES)) $(matrix_choice)

# A build of its own: the product has no crash points.
.PHONY: crash-points
crash-points: ## The broker dies at every step of its code: make crash-points [STORE=sqlite] [STEPS=commit.sent,…]
	@tools/deps build
	@$(MAKE) -s --no-print-directory -j$(shell nproc) BUILD=$(BUILD)/crash CRASH_POINTS=1 \
	    $(addprefix $(BUILD)/crash/,$(notdir $(PROGRAMS)))
	@BUILD=$(BUILD)/crash harness/crashpoints/crash_points.py --reports reports/crash-points \
	    $(call option,--stores,$(STORE)) $(call option,--steps,$(STEPS))

.PHONY: mutants
mutants: ## One deliberate bug at a time: each must be found [SEEDS=20 of the unchanged one]
	@tools/deps mutants
	@harness/mutants/run.py $(call option,--seed,$(SEED)) $(call option,--seeds,$(SEEDS))

.PHONY: mutants-readme
mutants-readme: ## Put the last run's table into the README
	@harness/mutants/run.py --readme README.md

# A variable that was given is the program's option; harness/matrix/options.py says what fits.
option = $(if $(2),$(1)="$(2)")
switch = $(if $(2),$(1)$(if $(filter-out 1,$(2)),="$(2)"))
matrix_choice = $(call option,--stores,$(STORE)) $(call option,--faults,$(FAULTS)) $(call option,--jobs,$(JOBS))

.PHONY: judge
judge: scenario-programs ## Any implementation: make judge SUT="a.conf b.conf" [LOGS=DIR] [QUICK=1] [MUTANTS=NAME]
	@test -n "$(SUT)" || { echo "make judge: SUT=FILE is needed: how the system is started," \
	    "and what it claims (docs/judging.md)" >&2; exit 2; }
	@$(if $(MUTANTS),harness/mutants/run.py --build $(MUTANTS) >/dev/null)
	@harness/judging/judge.py $(call option,--logs,$(LOGS)) $(call switch,--quick,$(QUICK)) $(SUT) \
	    $(MUTANTS:%=myqueue-postgres@$(BUILD)/mutants/programs/%)

.PHONY: bench
bench: bench-programs ## Measure everything beside its ceilings and peers (10 minutes)
	@bench/run.py
	@bench/draw.py

.PHONY: bench-quick
bench-quick: bench-programs ## The same in a minute: one repeat, no long log, no peers
	@bench/run.py --quick --no-peers
	@bench/draw.py

.PHONY: bench-readme
bench-readme: ## Put the last run's table into the README
	@tools/deps bench
	@bench/draw.py --readme README.md

.PHONY: bench-peers
bench-peers: ## Install the peers that `make bench` compares with
	@tools/deps peers

.PHONY: bench-programs
bench-programs:
	@tools/deps build bench
	@$(MAKE) -s --no-print-directory -j$(shell nproc) $(BENCH) $(BUILD)/myqueue-broker

.PHONY: scenarios-generate
scenarios-generate: ## Write the scenarios' log files anew (they come out the same)
	@python3 scenarios/generate.py

.PHONY: test
test: ## Build, lint and run every suite; ends with `N passed, N failed`
	@tools/deps build test engine
	@$(MAKE) -s --no-print-directory -j$(shell nproc) all $(TESTS)
	@tools/run-tests lint suites api scenarios

# Suites and API driver on an instrumented build, and a scenario with a kill.
.PHONY: asan
asan: ## The suites under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/deps build test
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined sanitized

.PHONY: tsan
tsan: ## The suites under ThreadSanitizer
	@tools/deps build test
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan SANITIZE=thread sanitized

.PHONY: sanitized
sanitized:
	@$(MAKE) -s --no-print-directory -j$(shell nproc) all $(TESTS)
	@RUNTIME=process tools/run-tests suites api scenario

# The instrumented build apart from the others; what is found is kept in $(BUILD)/fuzz.
.PHONY: fuzz
fuzz: ## Fuzz JSON, requests, calls and log files for FUZZ_SECONDS, from the corpus in fuzz/corpus
	@tools/deps build fuzz
	@$(MAKE) -s --no-print-directory -j$(shell nproc) BUILD=$(BUILD)/fuzz CC=clang \
	    SANITIZE=fuzzer-no-link,address,undefined $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz-%)
	@tools/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: tests
tests: all $(TESTS) ## Build the test programs

SOURCES := $(wildcard common/*.[ch] common/tests/*.[ch] broker/*.[ch] broker/*/*.[ch] broker/*/tests/*.[ch] \
             myqueue/include/*.h myqueue/*/*.[ch] scenarios/*.[ch] scenarios/tests/*.[ch] \
             harness/*.[ch] harness/*/*.[ch] bench/*.[ch] bench/tests/*.[ch] \
             fuzz/*.[ch] fuzz/tests/*.[ch])

.PHONY: lint
lint: ## Include directions, headers, format, static analysis, scripts
	@tools/lint $(SOURCES)

.PHONY: format
format: ## Format the C sources
	@clang-format -i $(SOURCES)

.PHONY: clean
clean: ## Remove everything that was built in BUILD; reports stay
	@tools/clean "$(BUILD)"
