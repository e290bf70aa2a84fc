# Rebeco: `make` builds it, `make check` tests it, `make demo` shows it. `make help` lists the rest.
#
#   CC=clang       another compiler          SAN=asan   with AddressSanitizer and UBSan
#   BUILD=folder   where to build            CI=1       warnings are errors
#   V=1            show the commands         PREFIX, DESTDIR  where `make install` puts things
#   TESTS=unit K=word   of `make check` only this part, and of that only what matches

BUILD ?= build
SAN ?=
V ?=
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(filter $(SAN),asan),$(SAN))
else
$(error SAN is "asan" or empty, not "$(SAN)")
endif

OUT := $(BUILD)$(if $(SAN),/$(SAN))
GEN := $(BUILD)/gen
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

WARNINGS := -Wall -Wextra -Wshadow -Wformat=2 -Wundef -Wvla -Wpointer-arith -Wwrite-strings \
    -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
# libev's watchers are structs that share their first members; it asks for no strict aliasing.
CODEGEN := -std=gnu11 -g -fno-strict-aliasing
ifeq ($(SAN),asan)
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined
CODEGEN += -O1 -fno-omit-frame-pointer $(SANFLAGS)
LINKFLAGS := $(SANFLAGS)
else
# With a sanitizer's own branches in the code, this one warns of paths that do not exist.
WARNINGS += -Wnull-dereference
CODEGEN += -O2 $(HARDENING)
LINKFLAGS := -pie -Wl,-z,relro,-z,now
endif
ifneq ($(filter-out 0,$(CI)),)
WARNINGS += -Werror
endif

PQ_INCLUDE := $(shell pg_config --includedir 2>/dev/null || echo /usr/include/postgresql)
PQ_LIB := $(shell pg_config --libdir 2>/dev/null)
INCLUDES := -isystem $(PQ_INCLUDE) $(shell pkg-config --cflags jansson yaml-0.1 libmicrohttpd 2>/dev/null)
LIBS := $(if $(PQ_LIB),-L$(PQ_LIB)) -lpq -lev -lm \
    $(or $(shell pkg-config --libs jansson yaml-0.1 libmicrohttpd 2>/dev/null),-ljansson -lyaml -lmicrohttpd)

# CPPFLAGS, CFLAGS, LDFLAGS and LDLIBS are the caller's.
ALL_CPPFLAGS := -D_GNU_SOURCE -DREBECO_VERSION='"$(VERSION)"' -Ireplicator -I$(GEN) $(INCLUDES) $(CPPFLAGS)
ALL_CFLAGS := $(CODEGEN) $(WARNINGS) $(CFLAGS)
COMPILE = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP
LINK = $(CC) $(ALL_CFLAGS) $(LINKFLAGS) $(LDFLAGS)

SOURCES := $(sort $(wildcard replicator/*.c))
OBJECTS := $(SOURCES:replicator/%.c=$(OUT)/obj/%.o) $(OUT)/obj/sql_list.o $(OUT)/obj/page.o
ARCHIVED := $(filter-out $(OUT)/obj/main.o,$(OBJECTS))
SQL_FILES := $(sort $(wildcard sql/*.sql)) $(sort $(wildcard schema/*.sql))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all objects unit check soak crash image-check analyze fuzz-config fuzz-schema check-roles check-versions demo bench setup install deb format clean help FORCE

all: $(OUT)/rebeco $(OUT)/rebeco.1 $(OUT)/rebeco.bash

objects: $(OBJECTS)

unit: $(UNIT_TESTS)

$(OUT)/rebeco: $(OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $(OBJECTS) $(LIBS) $(LDLIBS)

$(OUT)/rebeco.1: $(OUT)/rebeco
	$(Q)$< help --man > $@

$(OUT)/rebeco.bash: $(OUT)/rebeco
	$(Q)$< help --bash > $@

# Everything but main, as an archive: a unit test takes from it only what it calls.
$(OUT)/parts.a: $(ARCHIVED)
	$(Q)rm -f $@; ar rcs $@ $(ARCHIVED)

$(OUT)/obj/%.o: replicator/%.c $(OUT)/flags | $(GEN)/sql_list.h $(BUILD)/has-libraries
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

$(OUT)/obj/sql_list.o: $(GEN)/sql_list.c $(GEN)/sql_list.h $(OUT)/flags
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

# The page that the daemon serves, as one C string.
$(GEN)/page.c: replicator/page2c.awk replicator/page.html
	$(Q)mkdir -p $(@D)
	$(Q)LC_ALL=C awk -f replicator/page2c.awk replicator/page.html >$@

$(OUT)/obj/page.o: $(GEN)/page.c $(OUT)/flags
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

$(OUT)/unit/%: tests/unit/%.c $(OUT)/parts.a
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) -MF $@.d -Itests/unit $(LINKFLAGS) $(LDFLAGS) -o $@ $< $(OUT)/parts.a $(LIBS) -lcmocka $(LDLIBS)

# Generated anew whenever a file of sql/ or schema/ comes, goes or changes; the header is touched
# only when the set of statements changes, so that editing one statement compiles one file.
$(GEN)/sql_list.c: sql/sql2c.awk $(SQL_FILES) $(GEN)/sql_files
	$(call say,SQL,$@)
	$(Q)for f in $(SQL_FILES); do test -s "$$f" || { echo "$$f: this file is empty" >&2; exit 1; }; done
	$(Q)LC_ALL=C awk -v header=$(GEN)/sql_list.h.new -v source=$@ -f sql/sql2c.awk $(SQL_FILES) </dev/null
	$(Q)cmp -s $(GEN)/sql_list.h.new $(GEN)/sql_list.h 2>/dev/null || cp $(GEN)/sql_list.h.new $(GEN)/sql_list.h

$(GEN)/sql_list.h: $(GEN)/sql_list.c
	$(Q)test -f $@ || cp $(GEN)/sql_list.h.new $@

$(GEN)/sql_files: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(SQL_FILES)' | cmp -s - $@ || echo '$(SQL_FILES)' > $@

# Other flags or another compiler: everything is compiled again.
$(OUT)/flags: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(subst ','"'"',$(COMPILE) $(LINKFLAGS))' | cmp -s - $@ || echo '$(subst ','"'"',$(COMPILE) $(LINKFLAGS))' > $@

$(BUILD)/has-libraries:
	$(Q)mkdir -p $(@D)
	$(Q)for h in libpq-fe.h ev.h jansson.h yaml.h microhttpd.h; do \
	    echo "#include <$$h>" | $(CC) $(ALL_CPPFLAGS) -E -x c - >/dev/null 2>&1 || \
	    { echo "$$h is not installed: \`make setup\` installs what is needed (on Debian)" >&2; exit 1; }; done
	$(Q)touch $@

setup:
	@tests/setup

check:
	@tests/setup
	@BUILD='$(BUILD)' TESTS='$(TESTS)' K='$(K)' tests/run

# The long forms: more seeds, longer outages, a hundred kills.
soak crash:
	@tests/setup
	@BUILD='$(BUILD)' TESTS='$(if $(filter crash,$@),crash,integration crash)' K='$(K)' REBECO_LONG=1 tests/run

# The tests of two-way syncs with every mix of ends that grant session_replication_role; ROLES="neither both" takes some.
check-roles:
	@tests/setup
	@BUILD='$(BUILD)' TESTS=integration K='$(K)' REBECO_ROLES='$(or $(ROLES),neither source target both)' tests/run

# The images also from another Debian release, with pg_dump of two majors.
image-check:
	@tests/setup
	@BUILD='$(BUILD)' TESTS=integration K=test_image REBECO_LONG=1 tests/run

# Left out are those that only ask for other words.
TIDY := -*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-macro-parentheses,-bugprone-sizeof-expression,-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result

# The fidelity tests between servers of several versions: PAIRS="13:15 15:17"; see the head of tests/versions.
check-versions:
	@tests/setup
	$(Q)$(MAKE) --no-print-directory SAN=asan BUILD=$(BUILD) all
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD) all
	@REBECO='$(abspath $(BUILD))/asan/rebeco' REBECO_RELEASE='$(abspath $(BUILD))/rebeco' K='$(K)' tests/versions

# What a compiler does not say: slower, and with opinions, so not a part of `make check`.
analyze:
	@tests/setup
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/analyzer CC=gcc CFLAGS='-fanalyzer -Wno-analyzer-too-complex' objects
	cppcheck --quiet --enable=warning,performance,portability --inline-suppr --std=c11 -Ireplicator \
	    -I$(BUILD)/analyzer/gen --suppress=missingIncludeSystem --suppress=varFuncNullUB --error-exitcode=1 replicator
	clang-tidy --quiet --warnings-as-errors='*' --checks='$(TIDY)' \
	    $(SOURCES) -- -std=gnu11 -D_GNU_SOURCE -DREBECO_VERSION='"x"' -Ireplicator -I$(BUILD)/analyzer/gen $(INCLUDES)

# libFuzzer on what parses bytes from outside: FUZZ_SECONDS of it, from the seeds in tests/fuzz/config.
FUZZ_SECONDS ?= 60
fuzz-config: $(GEN)/sql_list.h
	$(Q)mkdir -p $(BUILD)/fuzz/config
	clang $(ALL_CPPFLAGS) -std=gnu11 -g -O1 -fno-strict-aliasing -fsanitize=fuzzer,address,undefined \
	    -fno-sanitize-recover=undefined -o $(BUILD)/fuzz/fuzz_config tests/fuzz/fuzz_config.c \
	    $(wildcard replicator/config*.c) $(addprefix replicator/,mem.c buf.c error.c log.c address.c words.c) $(LIBS)
	cd $(BUILD)/fuzz && ./fuzz_config -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 \
	    config '$(CURDIR)/tests/fuzz/config'

# Random schemas and workloads: SEEDS=200 of them, from SEED on, TWO_WAY=1 with writers at both ends; see the head of tests/fuzz/schema.
fuzz-schema:
	@tests/setup
	$(Q)$(MAKE) --no-print-directory all
	@REBECO='$(abspath $(OUT))/rebeco' OUT='$(abspath $(BUILD))/fuzz' SEED='$(SEED)' SEEDS='$(SEEDS)' PLAN='$(PLAN)' \
	    TWO_WAY='$(TWO_WAY)' SHRINK='$(SHRINK)' SHOW='$(SHOW)' tests/fuzz/schema

demo:
	@tests/setup
	$(Q)$(MAKE) --no-print-directory all
	@REBECO='$(abspath $(OUT))/rebeco' tests/demo/run

# Beside its peers and floors: PARTS, ROUNDS, SCALE and more are in the head of tests/bench/bench.py.
bench:
	@tests/setup
	@tests/bench/setup
	$(Q)$(MAKE) --no-print-directory all
	@BUILD='$(BUILD)' REBECO_RELEASE='$(abspath $(OUT))/rebeco' tests/bench/bench.py

# The manual page and the completion are printed by the program, from its tables of commands and options.
install: all
	install -D -m 755 $(OUT)/rebeco '$(DESTDIR)$(PREFIX)/bin/rebeco'
	install -D -m 644 $(OUT)/rebeco.1 '$(DESTDIR)$(PREFIX)/share/man/man1/rebeco.1'
	install -D -m 644 $(OUT)/rebeco.bash '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/rebeco'

# A Debian package; needs dpkg-dev, and no root. Set MAINTAINER for one that others will install.
MAINTAINER ?= Rebeco authors <rebeco@localhost.localdomain>
deb: all
	$(Q)conf/debian/build '$(OUT)' '$(VERSION)' '$(MAINTAINER)'

format:
	clang-format -i replicator/*.[ch] $(wildcard tests/unit/*.[ch])

clean:
	rm -rf $(BUILD)

help:
	@sed -n 's/^# \?//p;/^$$/q' Makefile
	@echo 'Targets: all objects unit check soak crash image-check analyze fuzz-config fuzz-schema check-roles check-versions demo bench setup install deb format clean'

-include $(OBJECTS:.o=.d) $(UNIT_TESTS:%=%.d)
