# The C interface: what `make install` puts where, and the C tests against what was installed.
#
# PREFIX and DESTDIR as everywhere; LIBDIR for distributions that have lib64.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DOCDIR ?= $(PREFIX)/share/doc/dht
DESTDIR ?=
LICENCES := LICENSE LICENSE-APACHE LICENSE-MIT
# What the header refers to.
MANUALS := docs/configuration.md docs/statistics.md
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
ABI := $(shell sed -n 's/^pub const DHT_ABI_VERSION: u32 = \(.*\);/\1/p' dht-capi/src/version.rs)
# What a static library of Rust needs from the system.
STATIC_LIBS := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
CYCLES ?= 500
C_BUILD := $(TARGET_DIR)/c-tests
C_STAGE := $(abspath $(C_BUILD))/stage
C_FLAGS := -std=c11 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -Wall -Wextra -pedantic -Werror -O1 -g -pthread
C_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
PKG = PKG_CONFIG_PATH=$(C_STAGE)$(LIBDIR)/pkgconfig PKG_CONFIG_SYSROOT_DIR=$(C_STAGE) pkg-config

.PHONY: capi header install uninstall c-stage c-header c-symbols c-licences c-shared c-static c-sanitized c-cmake test-c cpp-shared cpp-sanitized test-cpp test-go

# Written last, so it is also the sign that the libraries were built.
THIRD_PARTY := $(TARGET_DIR)/release/THIRD-PARTY

capi: ## build libdht.so and libdht.a
	$(CARGO) build --locked --release -p dht-capi --lib
	$(CARGO) build --locked --release -p dht-capi --lib --quiet --message-format=json | scripts/third-party > $(THIRD_PARTY).new
	mv $(THIRD_PARTY).new $(THIRD_PARTY)

header: ## write include/dht.h anew from dht-capi
	DHT_WRITE_HEADER=1 $(CARGO) test --locked -p dht-capi --test header

define INSTALL_FILES
install -d $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(LIBDIR)/cmake/DHT $(DESTDIR)$(DOCDIR)
install -m 644 $(LICENCES) $(MANUALS) $(THIRD_PARTY) $(DESTDIR)$(DOCDIR)/
install -m 644 include/dht.h $(DESTDIR)$(INCLUDEDIR)/
if [ -e include/dht.hpp ]; then install -m 644 include/dht.hpp $(DESTDIR)$(INCLUDEDIR)/; fi
install -m 755 $(TARGET_DIR)/release/libdht.so $(DESTDIR)$(LIBDIR)/libdht.so.$(ABI).$(VERSION:0.%=%)
ln -sf libdht.so.$(ABI).$(VERSION:0.%=%) $(DESTDIR)$(LIBDIR)/libdht.so.$(ABI)
ln -sf libdht.so.$(ABI) $(DESTDIR)$(LIBDIR)/libdht.so
install -m 644 $(TARGET_DIR)/release/libdht.a $(DESTDIR)$(LIBDIR)/
sed -e 's|@PREFIX@|$(PREFIX)|g; s|@LIBDIR@|$(LIBDIR)|g; s|@INCLUDEDIR@|$(INCLUDEDIR)|g' \
	-e 's|@VERSION@|$(VERSION)|g; s|@STATIC_LIBS@|$(STATIC_LIBS)|g' mk/dht.pc.in \
	> $(DESTDIR)$(LIBDIR)/pkgconfig/dht.pc
sed -e 's|@VERSION@|$(VERSION)|g; s|@ABI@|$(ABI)|g; s|@STATIC_LIBS@|$(STATIC_LIBS)|g' \
	-e "s|@TO_INCLUDE@|$$(realpath -m --relative-to=$(LIBDIR) $(INCLUDEDIR))|g" mk/DHTConfig.cmake.in \
	> $(DESTDIR)$(LIBDIR)/cmake/DHT/DHTConfig.cmake
sed -e 's|@VERSION@|$(VERSION)|g' mk/DHTConfigVersion.cmake.in > $(DESTDIR)$(LIBDIR)/cmake/DHT/DHTConfigVersion.cmake
endef

# Builds nothing after `make capi`: root often has no cargo, and what root builds its owner cannot build again.
install: $(THIRD_PARTY) ## header, libraries, dht.pc, the CMake package and licences under PREFIX (DESTDIR before it)
	$(INSTALL_FILES)

$(THIRD_PARTY): $(shell find dht-capi/src dht-capi/Cargo.toml dht-core/src dht-core/Cargo.toml Cargo.toml Cargo.lock scripts/third-party -type f)
	$(MAKE) --no-print-directory capi

uninstall: ## take away what install put there
	rm -f $(DESTDIR)$(INCLUDEDIR)/dht.h $(DESTDIR)$(INCLUDEDIR)/dht.hpp $(DESTDIR)$(LIBDIR)/libdht.a
	rm -f $(DESTDIR)$(LIBDIR)/libdht.so $(DESTDIR)$(LIBDIR)/libdht.so.$(ABI) $(DESTDIR)$(LIBDIR)/libdht.so.$(ABI).$(VERSION:0.%=%)
	rm -f $(DESTDIR)$(LIBDIR)/pkgconfig/dht.pc
	rm -rf $(DESTDIR)$(LIBDIR)/cmake/DHT
	rm -f $(patsubst %,$(DESTDIR)$(DOCDIR)/%,$(LICENCES) $(notdir $(MANUALS)) THIRD-PARTY)
	if [ -d $(DESTDIR)$(DOCDIR) ]; then rmdir --ignore-fail-on-non-empty $(DESTDIR)$(DOCDIR); fi

# Built once into a tree of its own; all C tests use only that.
c-stage: override DESTDIR := $(C_STAGE)
c-stage: capi
	rm -rf $(C_STAGE)
	$(INSTALL_FILES)

c-header: c-stage
	printf '#include <dht.h>\nint main(void) { return 0; }\n' > $(C_BUILD)/header.c
	for std in "$(CC) -std=c99" "$(CC) -std=c11" "$(CXX) -std=c++17 -x c++"; do \
		$$std -Wall -Wextra -pedantic -Werror $$($(PKG) --cflags dht) -c $(C_BUILD)/header.c -o $(C_BUILD)/header.o; \
	done

# Exactly the functions of the header are exported, under the name that programs look for.
c-symbols: c-stage
	nm -D --defined-only $(C_STAGE)$(LIBDIR)/libdht.so | awk '{print $$3}' | sort > $(C_BUILD)/exported
	grep -E '^[a-z].*\(' include/dht.h | sed -E 's/\(.*//; s/.*[ *]//' | sort > $(C_BUILD)/declared
	diff $(C_BUILD)/declared $(C_BUILD)/exported
	readelf -d $(C_STAGE)$(LIBDIR)/libdht.so | grep -q 'SONAME.*\[libdht.so.$(ABI)\]'

# What is linked in is installed with its licences, and what the header refers to.
c-licences: c-stage
	for file in $(LICENCES) $(MANUALS); do cmp $$file $(C_STAGE)$(DOCDIR)/$$(basename $$file); done
	scripts/check-third-party dht-capi $(C_STAGE)$(DOCDIR)/THIRD-PARTY

c-shared: c-stage
	$(CC) $(C_FLAGS) $$($(PKG) --cflags dht) tests/c/*.c -o $(C_BUILD)/shared $$($(PKG) --libs dht)
	DHT_CYCLES=$(CYCLES) LD_LIBRARY_PATH=$(C_STAGE)$(LIBDIR) $(C_BUILD)/shared

c-static: c-stage
	$(CC) $(C_FLAGS) $$($(PKG) --cflags dht) tests/c/*.c -o $(C_BUILD)/static \
		$$($(PKG) --static --libs dht | sed 's|-ldht |$(C_STAGE)$(LIBDIR)/libdht.a |')
	! readelf -d $(C_BUILD)/static | grep -q 'NEEDED.*libdht'
	DHT_CYCLES=20 $(C_BUILD)/static

# Whether the compiler has the runtime of the sanitizers; if not, that is said.
define IF_SANITIZED
@printf 'int main(void) { return 0; }\n' > $(C_BUILD)/probe.c; \
if ! $(CC) $(C_SANITIZE) $(C_BUILD)/probe.c -o $(C_BUILD)/probe 2> /dev/null; then \
	echo "skipped: $@: the compiler has no runtime for its sanitizers"; test "$${CI:-}" != true; exit; fi; \
set -x; $(1)
endef

c-sanitized: c-stage
	$(call IF_SANITIZED,$(CC) $(C_FLAGS) $(C_SANITIZE) $$($(PKG) --cflags dht) tests/c/*.c -o $(C_BUILD)/sanitized \
		$$($(PKG) --libs dht) && \
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 DHT_CYCLES=50 \
		LD_LIBRARY_PATH=$(C_STAGE)$(LIBDIR) $(C_BUILD)/sanitized)

# The CMake package finds the shared and the static library.
c-cmake: c-stage
	@if ! command -v cmake > /dev/null; then echo "skipped: the CMake package: no cmake"; test "$${CI:-}" != true; else \
		cmake -S tests/c -B $(C_BUILD)/cmake -DCMAKE_PREFIX_PATH=$(C_STAGE)$(PREFIX) > $(C_BUILD)/cmake.log && \
		cmake --build $(C_BUILD)/cmake >> $(C_BUILD)/cmake.log && \
		LD_LIBRARY_PATH=$(C_STAGE)$(LIBDIR) $(C_BUILD)/cmake/life-shared life && $(C_BUILD)/cmake/life-static life; fi

test-c: c-header c-symbols c-licences c-shared c-static c-sanitized c-cmake ## the C tests, against an installed tree (CYCLES=n lives)

CXX_FLAGS := -std=c++17 -Wall -Wextra -pedantic -Werror -O1 -g -pthread

# The reader of the vectors is that of the C tests.
$(C_BUILD)/json.o: tests/c/json.c tests/c/json.h | c-stage
	$(CC) $(C_FLAGS) $$($(PKG) --cflags dht) -c tests/c/json.c -o $@

cpp-shared: c-stage $(C_BUILD)/json.o
	$(CXX) $(CXX_FLAGS) $$($(PKG) --cflags dht) tests/cpp/*.cpp $(C_BUILD)/json.o -o $(C_BUILD)/cpp-shared $$($(PKG) --libs dht)
	LD_LIBRARY_PATH=$(C_STAGE)$(LIBDIR) $(C_BUILD)/cpp-shared

cpp-sanitized: c-stage $(C_BUILD)/json.o
	$(call IF_SANITIZED,$(CXX) $(CXX_FLAGS) $(C_SANITIZE) $$($(PKG) --cflags dht) tests/cpp/*.cpp $(C_BUILD)/json.o \
		-o $(C_BUILD)/cpp-sanitized $$($(PKG) --libs dht) && \
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
		LD_LIBRARY_PATH=$(C_STAGE)$(LIBDIR) $(C_BUILD)/cpp-sanitized)

test-cpp: cpp-shared cpp-sanitized ## the C++ tests, against an installed tree

GO ?= go
# What cgo needs; also for programs that use go/dht.
GO_ENV = CGO_ENABLED=1 CGO_CFLAGS="$$($(PKG) --cflags dht)" CGO_LDFLAGS="$$($(PKG) --libs dht)" \
	LD_LIBRARY_PATH=$(C_STAGE)$(LIBDIR)

test-go: c-stage ## the Go tests, under the race detector, against an installed tree
	test -z "$$(gofmt -l go)"
	cd go/dht && $(GO_ENV) $(GO) vet ./... && $(GO_ENV) $(GO) test -count=1 -race ./...
