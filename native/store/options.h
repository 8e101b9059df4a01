#pragma once

#include <cstddef>
#include <cstdint>

namespace balsa {

struct StoreOptions {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  bool create = true;
  bool sync_log = true;
  size_t block_cache_bytes = size_t{16} << 20;
  size_t write_buffer_bytes = size_t{8} << 20;
  size_t record_cache_bytes = size_t{16} << 20;
  int64_t min_lease_ttl = 2;
  uint64_t quota_bytes = uint64_t{2} << 30;
};

/// The layout of what is on disk (docs/store-format.md). A directory with a higher number is refused.
inline constexpr uint32_t kFormatVersion = 1;

}  // namespace balsa
