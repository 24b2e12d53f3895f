# The commands people type; Meson and Ninja do the work. `make` and `git` are all that must be there before.
#   make run      build, then a plan of a 70B model over two cards
#   make test     all tests: gcc, sanitizers, clang       (test-unit, test-integration, test-coverage, test-engine)
#   make bench    how exact and how fast                   make fuzz FUZZ_SECONDS=600 [FUZZ_TARGET=gguf]
#   make install  to PREFIX (/usr/local), below DESTDIR    make check-clang: clang-tidy over src/
PREFIX       ?= /usr/local
FUZZ_SECONDS ?= 600
ENGINE       ?=

.PHONY: build run test test-all test-unit test-integration test-coverage test-engine bench fuzz install \
	check-clang check-format clean
.NOTPARALLEL:

build:
	@scripts/install-deps build
	@PREFIX=$(PREFIX) scripts/setup gcc >/dev/null
	@ninja -C build --quiet

run: build
	@scripts/run

test test-all:
	@rm -f build/test-result
	@scripts/install-deps test
	@scripts/test all

test-unit test-integration:
	@scripts/install-deps build
	@scripts/test $(@:test-%=%)

test-coverage:
	@scripts/install-deps coverage
	@scripts/coverage

# ENGINE: a folder with llama.cpp's programs, or one of them; without it they are looked for on PATH
test-engine: build
	@$(if $(ENGINE),DUALGPUOPT_TEST_ENGINE=$(ENGINE)) meson test -C build --no-rebuild --suite engine-real --print-errorlogs --verbose

bench: build
	@meson test -C build --no-rebuild --benchmark --verbose

fuzz:
	@scripts/install-deps fuzz
	@scripts/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGET)

install: build
	@meson configure build --prefix $(abspath $(PREFIX))
	@meson install -C build $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

check-clang:
	@scripts/setup clang >/dev/null
	@ninja -C build/clang --quiet
	@find src tools -name '*.c' | xargs -P 2 -n 4 clang-tidy -p build/clang --quiet

check-format:
	@find src tests tools -name '*.[ch]' | xargs clang-format --dry-run --Werror

clean:
	rm -rf build
