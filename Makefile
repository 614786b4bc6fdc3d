# flatnet. `make` builds into build/bin/, `make help` lists the targets.
#   O=DIR     build folder      V=1   show commands         WERROR=0  warnings do not stop
#   SAN=1     ASan and UBSan    COVER=1  gcov               STATIC=1  one static program
VERSION := 0.1.0
WERROR ?= 1
O ?= $(if $(SAN),build-san,build)
DIST ?= dist
PREFIX ?= /usr/local
SHARE = $(DESTDIR)$(PREFIX)/share/flatnet

CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
PKG_CONFIG ?= pkg-config
OBJCOPY ?= objcopy
MAKEFLAGS += $(if $(filter 0,$(MAKELEVEL)),-j$(shell nproc))
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2);)

# --- flags ---
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
	-Wimplicit-fallthrough -Wundef -Wpointer-arith $(if $(filter 1,$(WERROR)),-Werror)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# Relocations are packed, because a short call of the plugin would spend a part of its time on reading
# half a megabyte of them.
STATIC_LD := -Wl,--build-id=none,-z,pack-relative-relocs,--wrap=dlopen,--wrap=CONF_modules_load_file_ex
ifneq ($(or $(SAN),$(FUZZ)),)
MODE := -O1 -g $(SANITIZE) $(if $(FUZZ),-fsanitize=fuzzer-no-link)
MODE_LD := $(SANITIZE)
else ifneq ($(COVER),)
MODE := -O0 -g --coverage
MODE_LD := --coverage
else
MODE := -O2 $(if $(STATIC),,-g) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-ffunction-sections -fdata-sections -fPIE
MODE_LD := $(if $(STATIC),-static-pie $(STATIC_LD),-pie) -Wl,-z,relro,-z,now -Wl,--gc-sections,--as-needed
endif

# Asked once, and only when something is compiled, so that `make deps` works without pkg-config.
PKGS := libarchive libcurl libcjson yaml-0.1 libcrypto libzstd zlib libnl-3.0 libevent libevent_openssl libssl
pkg = $(shell $(PKG_CONFIG) $(1) $(PKGS))$(if $(filter 0,$(.SHELLSTATUS)),,$(error libraries are missing, run 'make deps'))
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(call pkg,--cflags))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(call pkg,$(if $(STATIC),--static) --libs))$(PKG_LIBS)

# -iquote: <archive.h> is libarchive's, "archive.h" would be ours.
CPPFLAGS += -iquote lib -iquote installer -iquote images -iquote controller -iquote cni \
	-D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFLATNET_VERSION='"$(VERSION)"'
ALL_CFLAGS = -std=gnu11 -pthread -fno-common $(MODE) $(WARN) -ffile-prefix-map=$(CURDIR)/= \
	$(PKG_CFLAGS) $(CFLAGS)
ALL_LIBS = $(PKG_LIBS) -lresolv -lm -pthread

# --- what is built ---
objects = $(patsubst %,$(O)/obj/%.o,$(1))
objects_in = $(call objects,$(filter-out %/main.c,$(wildcard $(1:%=%/*.[cS]))))
STATIC_OBJ := $(if $(STATIC),$(call objects_in,lib/static))
# The plugin's parts that a call runs lie together (tests/bench/cni_order.py).
ORDER := cni/order.ld
ARCHIVES := $(O)/libinstaller.a $(O)/libcontroller.a $(O)/libcni.a $(O)/libflatnet.a
PROGRAMS := $(addprefix $(O)/bin/,flatnet network-controller static-macvlan-cni)
UNIT := $(patsubst %.c,$(O)/%,$(wildcard tests/unit/test_*.c))
FUZZERS := $(patsubst %.c,$(O)/%,$(wildcard tests/fuzz/fuzz_*.c))
TOOLS := $(patsubst %.c,$(O)/%,$(wildcard tests/tools/*.c))
SOURCE_DIRS := $(wildcard lib installer images cni controller tests)
# Left out of those runs is what tests another program than these flags build or only the data in it, what
# runs in a guest too small for a sanitizer, and what takes minutes against a whole control plane.
PLAIN_BATS := dist images_build readme lab host_guest host_systemd cni_vlan cni_hosts cni_faults \
	cni_callers cni_reference addons_cluster addons_copy_kube deploy deploy_merge undeploy chaos
BATS := $(filter-out $(if $(or $(SAN),$(COVER)),tests/e2e/% $(PLAIN_BATS:%=tests/bats/%.bats)), \
	$(wildcard tests/bats/*.bats) $(patsubst %,tests/e2e/%.bats,walk faults))

.PHONY: all tests check check-run check-unit e2e e2e-run asan cover fuzz fuzz-run demo chaos bench dist images lint fmt \
	deps install clean help
.SECONDARY:
.DELETE_ON_ERROR:

all: $(PROGRAMS)
$(PROGRAMS) $(O)/bin/image-layout: $(STATIC_OBJ)

$(O)/bin/flatnet: $(O)/obj/installer/main.c.o $(O)/libinstaller.a $(O)/libflatnet.a
$(O)/bin/network-controller: $(O)/obj/controller/main.c.o $(O)/libcontroller.a $(O)/libflatnet.a
$(O)/bin/static-macvlan-cni: $(O)/obj/cni/main.c.o $(O)/libcni.a $(O)/libflatnet.a $(if $(STATIC),$(ORDER))
$(O)/bin/image-layout: $(call objects,$(wildcard images/*.c)) $(O)/libinstaller.a $(O)/libflatnet.a
$(foreach dir,installer controller cni,$(eval $(O)/lib$(dir).a: $(call objects_in,$(dir))))
$(O)/libflatnet.a: $(call objects_in,lib lib/kube lib/macvlan lib/netlink)

# In a static program our names would meet the inner names of the libraries (libcrypto has an
# err_cleanup of its own), so that there our part becomes one object that shows only main.
$(O)/bin/%:
	@mkdir -p $(@D)
ifneq ($(STATIC),)
	$(call say,LD,$@)$(CC) -r -nostdlib -o $(O)/$*.o $(filter-out $(STATIC_OBJ) %.ld,$^)
	$(Q)$(OBJCOPY) --keep-global-symbol=main $(O)/$*.o
	$(Q)$(CC) $(MODE_LD) $(LDFLAGS) $(addprefix -T,$(filter %.ld,$^)) -o $@ $(O)/$*.o $(STATIC_OBJ) $(ALL_LIBS)
else
	$(call say,LD,$@)$(CC) $(MODE_LD) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)
endif

# Made anew, so that no object of a file that is gone stays inside.
$(O)/%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@ && $(AR) rcsD $@ $^

$(O)/obj/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# These take in files with .incbin, which the dependency files do not know of.
$(O)/obj/%.S.o: %.S Makefile $(wildcard images/*.list addons/templates/*)
	@mkdir -p $(@D)
	$(call say,AS,$<)$(CC) $(CPPFLAGS) $(MODE) -Wa,--noexecstack -MMD -MP -c -o $@ $<

$(UNIT): TEST_LIBS := -lcmocka
FUZZ_MAIN := $(if $(FUZZ),-fsanitize=fuzzer,$(O)/obj/tests/fuzz/replay.c.o)
$(FUZZERS): $(filter %.o,$(FUZZ_MAIN))
$(FUZZERS): TEST_LIBS := $(filter -%,$(FUZZ_MAIN))
$(UNIT) $(FUZZERS) $(TOOLS): $(O)/%: $(O)/obj/%.c.o $(STATIC_OBJ) $(ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(MODE_LD) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(TEST_LIBS) $(ALL_LIBS)

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

# --- targets ---
RUN_ENV = FLATNET=$(abspath $(O)/bin/flatnet) FLATNET_BUILD=$(abspath $(O)) \
	FLATNET_STATIC=$(abspath $(DIST)/linux-amd64/flatnet)
SUB = $(MAKE) --no-print-directory

# The packages of a group (tests/lab/packages.sh).
need-%:
	$(Q)tests/lab/packages.sh build $*

## check       install what tests need, build, run all tests; asan, SAN=1: with ASan and UBSan
## e2e         from a registry and bare hosts to a network that is proved, in both modes, and its faults
check e2e: images need-check
	$(Q)tests/lab/kubernetes-from-debian.sh >/dev/null
	+$(Q)$(SUB) $@-run

## tests       build what tests need, without running it
tests: all $(UNIT) $(FUZZERS) $(TOOLS)

check-run: tests
	$(Q)$(RUN_ENV) tests/run $(UNIT) $(FUZZERS) $(BATS)

e2e-run: tests
	$(Q)$(RUN_ENV) tests/run $(wildcard tests/e2e/*.bats)

## check-unit  only the unit tests and the fuzzers' corpora
check-unit: $(UNIT) $(FUZZERS)
	$(Q)$(RUN_ENV) tests/run $(UNIT) $(FUZZERS)

asan: ; +$(Q)$(SUB) SAN=1 check

## cover       line coverage of all tests, per file
cover: need-check need-cover
	+$(Q)$(SUB) O=$(O)/cover COVER=1 check
	$(Q)gcovr --root . --object-directory $(O)/cover --filter lib/ --filter installer/ --filter controller/ --filter cni/

## fuzz        every fuzzer for FUZZ_SECONDS (30), from a copy of its corpus; findings stay in O
fuzz: need-fuzz
	+$(Q)$(SUB) O=$(O)/fuzz CC=clang FUZZ=1 SAN= COVER= fuzz-run

fuzz-run: $(FUZZERS) ; $(Q)scripts/fuzz.sh $(O) $(or $(FUZZ_SECONDS),30) $(FUZZERS)

## demo        the whole way from a registry to a loaded host, on real parts
demo: ARCH ?= amd64
demo: images need-demo
	$(Q)$(RUN_ENV) FLATNET=$(abspath $(DIST)/linux-amd64/flatnet) tests/lab/demo.sh

## chaos       network-controller under every kind of fault, for CHAOS_SECONDS (600)
chaos: tests need-check
	$(Q)$(RUN_ENV) tests/lab/chaos.sh

## bench       measure against other tools; prints ratios
bench: images need-check
	+$(Q)MAKE='$(SUB)' scripts/dist.sh bench $(O) $(DIST)
	+$(Q)$(SUB) tests
	$(Q)for b in $(wildcard tests/bench/*.sh); do $(RUN_ENV) $$b || exit 1; done

## dist        dist/linux-amd64: static programs, the same bytes from any folder; or of ARCH=arm64
## images      dist/images: an OCI layout of our own images for amd64 and arm64; and dist for both
dist images:
	+$(Q)MAKE='$(SUB)' scripts/dist.sh $@ $(if $(or $(SAN),$(COVER)),build,$(O)) $(DIST) $(ARCH)

## lint, fmt   formatting, banned calls, shell scripts, static analysis; fmt formats
lint: need-lint
	$(Q)scripts/lint.sh

fmt: ; $(Q)clang-format -i $(shell find $(SOURCE_DIRS) -name '*.[ch]')

## install     programs, manual pages and images (if made) below DESTDIR and PREFIX (/usr/local)
install: all
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(PROGRAMS)
	$(foreach n,1 8,install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$(n) $(wildcard docs/*.$(n)) &&) :
	$(if $(wildcard $(DIST)/images),mkdir -p $(SHARE) && rm -rf $(SHARE)/images && cp -r $(DIST)/images $(SHARE))

## deps, clean install what building needs (Debian 12); remove what was built
deps: need-build
clean:
	rm -rf $(O) $(DIST)
help:
	@echo 'all         build into $(O)/bin'
	@sed -n 's/^## //p' Makefile
