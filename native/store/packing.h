#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "store/responses.h"

namespace balsa {

/// Key-value records as JavaScript reads them (KeyValueTable in daemon/store/native-packing.ts): rows of 64 bytes, then the bytes they point
/// into.
class KeyValuePacker {
 public:
  static constexpr size_t kRow = 64;

  void Reserve(size_t rows, size_t bytes);
  /// Returns the row's number. `previous`: the row of what was there before (watch events).
  uint32_t Add(const Record& record, uint32_t previous, bool keys_only = false);

  uint32_t count() const { return static_cast<uint32_t>(rows_.size() / kRow); }
  size_t rows_size() const { return rows_.size(); }
  size_t bytes_size() const { return bytes_.size(); }
  /// `bytes_at`: where the bytes will begin in the whole buffer.
  void AppendRows(uint32_t bytes_at, std::string* out);
  void AppendBytes(std::string* out) const { out->append(bytes_); }

 private:
  std::string rows_;
  std::string bytes_;
};

/// Memory handed to JavaScript as it is. Not a string: that would be cleared before it is filled.
struct Block {
  struct Free {
    void operator()(char* data) const { std::free(data); }
  };
  std::unique_ptr<char, Free> data;
  size_t size = 0;
};

/// A range's answer: header (revision, count, more, rows), rows, bytes.
Block PackRange(const RangeOutcome& outcome, bool keys_only);
/// The same as an encoded RangeResponse.
Block EncodeRange(const ResponseHeader& header, const RangeOutcome& outcome, bool keys_only);

}  // namespace balsa
