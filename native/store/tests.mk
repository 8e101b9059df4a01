# The store's native tests and fuzzers, without Node: make -f native/store/tests.mk VARIANT=plain|asan|tsan|fuzz (from the project's root).
VARIANT ?= plain
OUT := native/build/tests/$(VARIANT)
CXX := clang++
FLAGS_plain :=
FLAGS_asan := -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan := -fsanitize=thread
FLAGS_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer
CXXFLAGS := -std=c++17 -O1 -g1 -Wall -Wextra -Werror -fno-exceptions -fno-rtti -Inative -MMD -MP $(FLAGS_$(VARIANT))

SOURCES := $(filter-out %_test.cc %_fuzz.cc native/store/binding_% native/store/addon.cc,$(wildcard native/store/*.cc native/watch/*.cc))
TESTS := $(wildcard native/store/*_test.cc native/watch/*_test.cc)
FUZZERS := $(wildcard native/store/*_fuzz.cc)
object = $(patsubst native/%.cc,$(OUT)/%.o,$(1))

.PHONY: all
ifeq ($(VARIANT),fuzz)
all: $(patsubst native/store/%.cc,$(OUT)/%,$(FUZZERS))
else
all: $(OUT)/store_test
endif

$(OUT)/store_test: $(call object,$(SOURCES) $(TESTS))
	$(CXX) $(FLAGS_$(VARIANT)) -o $@ $^ -lrocksdb -labsl_raw_logging_internal -lpthread

$(OUT)/%_fuzz: $(OUT)/store/%_fuzz.o $(call object,$(SOURCES))
	$(CXX) -fsanitize=fuzzer,address,undefined -o $@ $^ -lrocksdb -labsl_raw_logging_internal -lpthread

$(OUT)/%.o: native/%.cc
	@mkdir -p $(dir $@)
	$(CXX) $(CXXFLAGS) -c -o $@ $<

.SECONDARY:
-include $(patsubst %.o,%.d,$(call object,$(SOURCES) $(TESTS) $(FUZZERS)))
