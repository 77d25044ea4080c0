# Builds the flow of a folder. The makefile in that folder says where the SDK is, and includes this file:
#
#     FAAS_FLOW_SDK ?= ../faas-flow/guest-sdk/c
#     include $(FAAS_FLOW_SDK)/flow.mk
#
#     make         builds flow.wasm from all files *.c, *.cpp and *.zig but those whose names end in _test
#     make test    runs the tests in *_test.c and *_test.cpp natively; `make test TEST=NAME` those whose names contain NAME
#     make clean   removes what was built
#
# A makefile, or the command line, may set what follows.

# The compiler for WebAssembly: Zig, which compiles C and C++ and has their libraries.
#     python3 -m pip install ziglang==0.17.0
ZIG ?= $(shell if python3 -c 'import ziglang' 2>/dev/null; then echo python3 -m ziglang; else echo zig; fi)
# To use another one, set both: WASM_CC='clang --target=wasm32-wasi', WASM_CXX='clang++ --target=wasm32-wasi'.
WASM_CC ?= $(ZIG) cc --target=wasm32-wasi
WASM_CXX ?= $(ZIG) c++ --target=wasm32-wasi
# The folder of what is built, and the module.
BUILD ?= build
MODULE ?= flow.wasm
# What is compiled, and what is only part of the tests.
TESTS ?= $(wildcard *_test.c *_test.cpp)
SOURCES ?= $(filter-out %_test.c %_test.cpp,$(wildcard *.c *.cpp *.zig))
# Flags for the author's files. A function that lacks a `return` does not compile.
CFLAGS ?= -std=c2x -Wall -Wextra -Werror=return-type
CXXFLAGS ?= -std=c++20 -Wall -Wextra -Werror=return-type
# `assert` stays on.
OPTIMIZE ?= -Os -g0 -UNDEBUG

FLOW_CPPFLAGS := -I $(FAAS_FLOW_SDK)/include
# crash.c comes first, so that its `abort` takes the place of the one in the C library.
FLOW_SDK := $(FAAS_FLOW_SDK)/src/crash.c $(filter-out %/crash.c,$(wildcard $(FAAS_FLOW_SDK)/src/*.c))
FLOW_HEADERS := $(wildcard $(FAAS_FLOW_SDK)/include/*.h* $(FAAS_FLOW_SDK)/include/*/*.h $(FAAS_FLOW_SDK)/src/*.h *.h *.hpp) $(FAAS_FLOW_SDK)/flow.mk
# A stack that grows past its end traps, since nothing is below it.
FLOW_LDFLAGS := -mexec-model=reactor -Wl,--strip-debug -Wl,-z,stack-size=131072

objects = $(patsubst $(FAAS_FLOW_SDK)/src/%,$(BUILD)/$(1)/sdk/%.o,$(FLOW_SDK)) $(patsubst %,$(BUILD)/$(1)/%.o,$(2))
FLOW_OBJECTS := $(call objects,wasm,$(SOURCES))
TEST_OBJECTS := $(call objects,native,$(filter-out %.zig,$(SOURCES)) $(TESTS))
# Only flows in C++ need its library.
FLOW_LINK = $(if $(filter %.cpp,$(SOURCES)),$(WASM_CXX),$(WASM_CC))
TEST_LINK = $(if $(filter %.cpp,$(SOURCES) $(TESTS)),$(CXX),$(CC))

.PHONY: all test clean flow-compiler
all: $(MODULE)

$(MODULE): $(FLOW_OBJECTS)
	$(FLOW_LINK) $(OPTIMIZE) $(FLOW_LDFLAGS) $^ -o $@.part
	@mv $@.part $@

flow-compiler:
	@$(WASM_CC) --version >/dev/null 2>&1 || { \
	  echo 'There is no compiler for WebAssembly. Install one with' >&2; \
	  echo '    python3 -m pip install ziglang==0.17.0' >&2; \
	  echo 'or set ZIG to the program `zig`.' >&2; exit 1; }

$(BUILD)/wasm/%.c.o: %.c $(FLOW_HEADERS) | flow-compiler
	@mkdir -p $(@D)
	$(WASM_CC) $(FLOW_CPPFLAGS) $(CFLAGS) $(OPTIMIZE) -c $< -o $@

$(BUILD)/wasm/%.cpp.o: %.cpp $(FLOW_HEADERS) | flow-compiler
	@mkdir -p $(@D)
	$(WASM_CXX) $(FLOW_CPPFLAGS) $(CXXFLAGS) $(OPTIMIZE) -c $< -o $@

$(BUILD)/wasm/%.zig.o: %.zig $(BUILD)/faas_flow.zig | flow-compiler
	@mkdir -p $(@D)
	$(ZIG) build-obj -target wasm32-wasi -lc -O ReleaseSmall -femit-bin=$@ --dep faas_flow -Mroot=$< -Mfaas_flow=$(BUILD)/faas_flow.zig

# The header as Zig reads it.
$(BUILD)/faas_flow.zig: $(FLOW_HEADERS) | flow-compiler
	@mkdir -p $(@D)
	$(ZIG) translate-c -target wasm32-wasi -lc -DFF_NO_PLACES $(FLOW_CPPFLAGS) $(FAAS_FLOW_SDK)/include/faas_flow.h > $@.part
	@mv $@.part $@

$(BUILD)/wasm/sdk/%.c.o: $(FAAS_FLOW_SDK)/src/%.c $(FLOW_HEADERS) | flow-compiler
	@mkdir -p $(@D)
	$(WASM_CC) -std=c11 -Wall -Wextra $(OPTIMIZE) -c $< -o $@

test: $(BUILD)/tests
	$(abspath $(BUILD)/tests) $(TEST)

$(BUILD)/tests: $(TEST_OBJECTS)
	$(TEST_LINK) $(SANITIZE) $^ -o $@

$(BUILD)/native/%.c.o: %.c $(FLOW_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(FLOW_CPPFLAGS) $(CFLAGS) $(SANITIZE) -g -c $< -o $@

$(BUILD)/native/%.cpp.o: %.cpp $(FLOW_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(FLOW_CPPFLAGS) $(CXXFLAGS) $(SANITIZE) -g -c $< -o $@

$(BUILD)/native/sdk/%.c.o: $(FAAS_FLOW_SDK)/src/%.c $(FLOW_HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=c11 -Wall -Wextra $(SANITIZE) -g -c $< -o $@

clean:
	rm -rf $(BUILD) $(MODULE) $(MODULE).part
