#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "store/coding.h"

namespace balsa::meta_key {

/// Keys of the `meta` column family (docs/store-format.md).
inline constexpr std::string_view kFormat = "format";            // u32
inline constexpr std::string_view kApplied = "applied";          // u64 index, u64 term, i64 revision
inline constexpr std::string_view kHardState = "hard_state";     // u64 term, u64 vote, u64 commit
inline constexpr std::string_view kLogStart = "log_start";       // u64 index, u64 term of the entry before the first
inline constexpr std::string_view kCompact = "compact";          // i64 revision: asked for
inline constexpr std::string_view kCompacted = "compacted";      // i64 revision: done
inline constexpr std::string_view kLeasePrefix = "lease/";       // + big endian id: i64 ttl, i64 remaining ttl
inline constexpr std::string_view kAlarmPrefix = "alarm/";       // + big endian member, u8 alarm type: nothing
inline constexpr std::string_view kUserPrefix = "user/";         // + key of the layer above: its bytes

inline std::string Lease(int64_t id) {
  std::string key(kLeasePrefix);
  AppendBig64(&key, static_cast<uint64_t>(id));
  return key;
}

inline std::string Alarm(uint64_t member, uint32_t type) {
  std::string key(kAlarmPrefix);
  AppendBig64(&key, member);
  key.push_back(static_cast<char>(type));
  return key;
}

inline std::string User(std::string_view name) { return std::string(kUserPrefix).append(name); }

}  // namespace balsa::meta_key
