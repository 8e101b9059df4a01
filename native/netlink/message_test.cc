// Tests of the message writer and the attribute reader, and of the socket against the running kernel. Exits with 1 on the first failure.
#include "message.h"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "socket.h"

using balsa::netlink::Attribute;
using balsa::netlink::AttributeList;
using balsa::netlink::AttributesOf;
using balsa::netlink::Error;
using balsa::netlink::MessageWriter;
using balsa::netlink::Socket;

namespace {

void Check(bool holds, const char* what, int line) {
  if (holds) return;
  std::fprintf(stderr, "message_test.cc:%d: %s\n", line, what);
  std::exit(1);
}
#define CHECK(condition) Check((condition), #condition, __LINE__)

const nlmsghdr* HeaderOf(const MessageWriter& writer) { return reinterpret_cast<const nlmsghdr*>(writer.bytes().data()); }

void WhatIsWrittenIsRead() {
  MessageWriter writer;
  writer.BeginMessage(7, NLM_F_REQUEST, 42);
  writer.Append(ifinfomsg{});
  writer.U8(1, 200);
  writer.Be16(2, 0x1234);
  writer.Be32(3, 0x12345678);
  writer.Be64(4, 0x1122334455667788);
  writer.String(5, "balsa");
  const size_t nest = writer.BeginNested(6);
  writer.Bytes(1, "abc", 3);
  writer.Bytes(2, "", 0);
  writer.EndNested(nest);
  writer.EndMessage();
  CHECK(!writer.overflow());
  const nlmsghdr* header = HeaderOf(writer);
  CHECK(header->nlmsg_len == writer.size());
  CHECK(header->nlmsg_type == 7 && header->nlmsg_seq == 42);
  const AttributeList fields = AttributesOf(header, sizeof(ifinfomsg));
  CHECK(fields.Find(1).As<uint8_t>() == 200);
  CHECK(fields.Find(2).Be16() == 0x1234);
  CHECK(fields.Find(3).Be32() == 0x12345678);
  CHECK(fields.Find(4).Be64() == 0x1122334455667788);
  CHECK(fields.Find(5).String() == "balsa");
  const AttributeList inner(fields.Find(6));
  CHECK(inner.Find(1).size == 3 && std::memcmp(inner.Find(1).data, "abc", 3) == 0);
  CHECK(inner.Find(2).present() && inner.Find(2).size == 0);
  CHECK(!fields.Find(9).present());
}

void SeveralMessagesShareABuffer() {
  MessageWriter writer;
  for (uint32_t i = 0; i < 3; i++) {
    writer.BeginMessage(1, 0, i);
    writer.Bytes(1, "x", i);
    writer.EndMessage();
  }
  const auto* message = HeaderOf(writer);
  size_t left = writer.size();
  uint32_t count = 0;
  for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) CHECK(message->nlmsg_seq == count++);
  CHECK(count == 3);
}

void TooLongIsNoticed() {
  const std::vector<uint8_t> big(70'000);
  MessageWriter attribute;
  attribute.BeginMessage(1, 0, 0);
  attribute.Bytes(1, big.data(), big.size());
  CHECK(attribute.overflow());
  MessageWriter nested;
  nested.BeginMessage(1, 0, 0);
  const size_t nest = nested.BeginNested(1);
  for (int i = 0; i < 3; i++) nested.Bytes(1, big.data(), 30'000);
  nested.EndNested(nest);
  CHECK(nested.overflow());
}

// Whatever the bytes are, every attribute that comes out lies within them.
void DamageIsNeverReadPast(uint32_t seed) {
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; round++) {
    MessageWriter writer;
    writer.BeginMessage(1, 0, 0);
    const size_t nest = writer.BeginNested(1);
    writer.String(2, "some text");
    writer.Be32(3, random());
    writer.EndNested(nest);
    writer.U16(4, 1);
    writer.EndMessage();
    // An exact copy on the heap, so that a sanitizer sees a read past its end.
    std::vector<uint8_t> bytes(writer.bytes().begin() + NLMSG_HDRLEN, writer.bytes().end());
    for (uint32_t change = random() % 5; change > 0; change--) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    bytes.resize(random() % (bytes.size() + 1));
    bytes.shrink_to_fit();
    const auto inside = [&](const Attribute& attribute) {
      return attribute.data >= bytes.data() && attribute.data + attribute.size <= bytes.data() + bytes.size();
    };
    AttributeList(bytes.data(), bytes.size()).ForEach([&](const Attribute& outer) {
      CHECK(inside(outer));
      (void)outer.Be64();
      (void)outer.String();
      AttributeList(outer).ForEach([&](const Attribute& inner) { CHECK(inside(inner)); });
    });
  }
}

void TheKernelAnswers() {
  Socket socket;
  CHECK(socket.Open(NETLINK_ROUTE).ok());
  MessageWriter dump;
  dump.BeginMessage(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1);
  dump.Append(ifinfomsg{});
  dump.EndMessage();
  bool loopback = false;
  CHECK(socket
            .Dump(dump,
                  [&](const nlmsghdr* message) {
                    const Attribute name = AttributesOf(message, sizeof(ifinfomsg)).Find(IFLA_IFNAME);
                    loopback = loopback || (name.present() && name.String() == "lo");
                  })
            .ok());
  CHECK(loopback);
  MessageWriter request;
  request.BeginMessage(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, 1);
  ifinfomsg unknown{};
  unknown.ifi_index = 1 << 30;
  request.Append(unknown);
  request.EndMessage();
  const Error error = socket.Request(request);
  CHECK(error.code == ENODEV);
}

}  // namespace

int main(int argc, char** argv) {
  const auto seed = static_cast<uint32_t>(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : std::random_device{}());
  std::printf("seed %u\n", seed);
  WhatIsWrittenIsRead();
  SeveralMessagesShareABuffer();
  TooLongIsNoticed();
  DamageIsNeverReadPast(seed);
  TheKernelAnswers();
  std::printf("ok\n");
  return 0;
}
