#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace balsa {

/// Protobuf's wire format, forward only. Written here rather than taken from protozero because that library reports malformed
/// input by throwing, and the addon is built without exceptions: a bad byte from a peer must be an error value.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// Moves to the next field; false at the end and after malformed input (see `ok`).
  bool Next() {
    if (!ok_ || at_ == end_) return false;
    uint64_t tag = RawVarint();
    field_ = static_cast<uint32_t>(tag >> 3);
    type_ = static_cast<uint32_t>(tag & 7);
    if (field_ == 0 || tag > UINT32_MAX) ok_ = false;
    return ok_;
  }

  uint32_t field() const { return field_; }
  bool ok() const { return ok_; }

  uint64_t Varint() {
    if (type_ != 0) return Fail();
    return RawVarint();
  }
  int64_t Int64() { return static_cast<int64_t>(Varint()); }
  bool Bool() { return Varint() != 0; }

  uint64_t Fixed64() {
    if (type_ != 1 || end_ - at_ < 8) return Fail();
    uint64_t value;
    std::memcpy(&value, at_, 8);
    at_ += 8;
    return value;
  }

  std::string_view Bytes() {
    if (type_ != 2) {
      Fail();
      return {};
    }
    uint64_t size = RawVarint();
    if (!ok_ || size > static_cast<uint64_t>(end_ - at_)) {
      Fail();
      return {};
    }
    std::string_view bytes(at_, size);
    at_ += size;
    return bytes;
  }

  void Skip() {
    switch (type_) {
      case 0:
        RawVarint();
        break;
      case 1:
        Advance(8);
        break;
      case 2:
        Bytes();
        break;
      case 5:
        Advance(4);
        break;
      default:  // Groups are no longer written by anyone.
        Fail();
    }
  }

 private:
  uint64_t Fail() {
    ok_ = false;
    return 0;
  }

  void Advance(std::ptrdiff_t size) {
    if (end_ - at_ < size) {
      Fail();
    } else {
      at_ += size;
    }
  }

  uint64_t RawVarint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at_ == end_) return Fail();
      auto byte = static_cast<uint8_t>(*at_++);
      value |= static_cast<uint64_t>(byte & 0x7f) << (shift < 64 ? shift : 63);
      if ((byte & 0x80) == 0) return value;
    }
    return Fail();
  }

  const char* at_;
  const char* end_;
  uint32_t field_ = 0;
  uint32_t type_ = 0;
  bool ok_ = true;
};

inline size_t VarintSize(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    size++;
  }
  return size;
}

inline void AppendVarint(std::string* out, uint64_t value) {
  char bytes[10];
  size_t size = 0;
  while (value >= 0x80) {
    bytes[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes[size++] = static_cast<char>(value);
  out->append(bytes, size);
}

/// Proto3 rules: a zero or an empty string is not written.
inline void AppendIntField(std::string* out, uint32_t field, uint64_t value) {
  if (value == 0) return;
  AppendVarint(out, field << 3);
  AppendVarint(out, value);
}

/// A sub-message (or a repeated element), written also when empty.
inline void AppendMessageField(std::string* out, uint32_t field, std::string_view bytes) {
  AppendVarint(out, (field << 3) | 2);
  AppendVarint(out, bytes.size());
  out->append(bytes.data(), bytes.size());
}

inline void AppendBytesField(std::string* out, uint32_t field, std::string_view bytes) {
  if (!bytes.empty()) AppendMessageField(out, field, bytes);
}

}  // namespace balsa
