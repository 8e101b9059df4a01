// Netlink messages: a writer of headers and attributes, and a bounds-checked reader of attributes.
#pragma once

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace balsa::netlink {

// Appends messages to one buffer. Offsets, not pointers, are kept while a message or nest is open, since the buffer moves.
class MessageWriter {
 public:
  void BeginMessage(uint16_t type, uint16_t flags, uint32_t sequence) {
    message_ = bytes_.size();
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    header.nlmsg_seq = sequence;
    Append(header);
  }

  void EndMessage() {
    const auto length = static_cast<uint32_t>(bytes_.size() - message_);
    std::memcpy(&bytes_[message_], &length, sizeof length);
    Pad();
  }

  // The family's own header that follows the netlink header (nfgenmsg, ifinfomsg, genlmsghdr...).
  template <typename Header>
  void Append(const Header& header) {
    const auto* first = reinterpret_cast<const uint8_t*>(&header);
    bytes_.insert(bytes_.end(), first, first + sizeof header);
    Pad();
  }

  void Bytes(uint16_t type, const void* data, size_t size) {
    if (size + NLA_HDRLEN > UINT16_MAX) {
      overflow_ = true;
      return;
    }
    nlattr attribute{};
    attribute.nla_type = type;
    attribute.nla_len = static_cast<uint16_t>(NLA_HDRLEN + size);
    Append(attribute);
    const auto* first = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
    Pad();
  }

  void U8(uint16_t type, uint8_t value) { Bytes(type, &value, sizeof value); }
  void U16(uint16_t type, uint16_t value) { Bytes(type, &value, sizeof value); }
  void U32(uint16_t type, uint32_t value) { Bytes(type, &value, sizeof value); }
  void Be16(uint16_t type, uint16_t value) { U16(type, htobe16(value)); }
  void Be32(uint16_t type, uint32_t value) { U32(type, htobe32(value)); }
  void Be64(uint16_t type, uint64_t value) {
    const uint64_t wire = htobe64(value);
    Bytes(type, &wire, sizeof wire);
  }
  // With the terminating zero, as the kernel's string attributes have it.
  void String(uint16_t type, const std::string& value) { Bytes(type, value.c_str(), value.size() + 1); }

  size_t BeginNested(uint16_t type) {
    const size_t start = bytes_.size();
    nlattr attribute{};
    attribute.nla_type = static_cast<uint16_t>(type | NLA_F_NESTED);
    Append(attribute);
    return start;
  }

  void EndNested(size_t start) {
    const size_t length = bytes_.size() - start;
    if (length > UINT16_MAX) {
      overflow_ = true;
      return;
    }
    const auto wire = static_cast<uint16_t>(length);
    std::memcpy(&bytes_[start], &wire, sizeof wire);
  }

  // True when something did not fit the 16-bit length of an attribute: the buffer must not be sent.
  bool overflow() const { return overflow_; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }

 private:
  void Pad() { bytes_.resize((bytes_.size() + NLMSG_ALIGNTO - 1) & ~static_cast<size_t>(NLMSG_ALIGNTO - 1)); }

  std::vector<uint8_t> bytes_;
  size_t message_ = 0;
  bool overflow_ = false;
};

// A view of one attribute's payload.
struct Attribute {
  uint16_t type = 0;
  const uint8_t* data = nullptr;
  size_t size = 0;

  bool present() const { return data != nullptr; }

  template <typename Number>
  Number As() const {
    Number value{};
    if (size >= sizeof value) std::memcpy(&value, data, sizeof value);
    return value;
  }
  uint16_t Be16() const { return be16toh(As<uint16_t>()); }
  uint32_t Be32() const { return be32toh(As<uint32_t>()); }
  uint64_t Be64() const { return be64toh(As<uint64_t>()); }
  std::string String() const {
    return std::string(reinterpret_cast<const char*>(data), strnlen(reinterpret_cast<const char*>(data), size));
  }
};

// The attributes in a stretch of bytes. Malformed lengths end the walk; they are never read past.
class AttributeList {
 public:
  AttributeList(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  explicit AttributeList(const Attribute& nest) : AttributeList(nest.data, nest.size) {}

  template <typename Visit>
  void ForEach(Visit visit) const {
    size_t offset = 0;
    while (data_ != nullptr && offset + NLA_HDRLEN <= size_) {
      nlattr header;
      std::memcpy(&header, data_ + offset, sizeof header);
      if (header.nla_len < NLA_HDRLEN || header.nla_len > size_ - offset) return;
      visit(Attribute{static_cast<uint16_t>(header.nla_type & NLA_TYPE_MASK), data_ + offset + NLA_HDRLEN,
                      static_cast<size_t>(header.nla_len - NLA_HDRLEN)});
      offset += NLA_ALIGN(header.nla_len);
    }
  }

  Attribute Find(uint16_t type) const {
    Attribute found;
    ForEach([&](const Attribute& attribute) {
      if (attribute.type == type && !found.present()) found = attribute;
    });
    return found;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

// The attributes that follow a message's family header of `header_size` bytes.
inline AttributeList AttributesOf(const nlmsghdr* message, size_t header_size) {
  const size_t skip = NLMSG_HDRLEN + NLMSG_ALIGN(header_size);
  if (message->nlmsg_len < skip) return AttributeList(nullptr, 0);
  return AttributeList(reinterpret_cast<const uint8_t*>(message) + skip, message->nlmsg_len - skip);
}

}  // namespace balsa::netlink
