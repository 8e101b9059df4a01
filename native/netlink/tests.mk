# The netlink addon's native tests, without Node: make -f native/netlink/tests.mk VARIANT=plain|asan|tsan (from the project's root).
VARIANT ?= plain
OUT := native/build/tests/$(VARIANT)
FLAGS_plain :=
FLAGS_asan := -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan := -fsanitize=thread
CXXFLAGS := -std=c++17 -O1 -g1 -Wall -Wextra -Werror -fno-exceptions -fno-rtti -Inative -MMD -MP $(FLAGS_$(VARIANT))
OBJECTS := $(OUT)/netlink/message_test.o $(OUT)/netlink/socket.o

$(OUT)/netlink_test: $(OBJECTS)
	$(CXX) $(FLAGS_$(VARIANT)) -o $@ $^

$(OUT)/netlink/%.o: native/netlink/%.cc
	@mkdir -p $(dir $@)
	$(CXX) $(CXXFLAGS) -c -o $@ $<

-include $(OBJECTS:.o=.d)
