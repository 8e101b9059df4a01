#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"

namespace balsa {

struct LogEntryView {
  uint64_t index = 0;
  uint64_t term = 0;
  uint32_t type = 0;
  std::string_view data;
};

struct HardState {
  uint64_t term = 0;
  uint64_t vote = 0;
  uint64_t commit = 0;
};

struct LogState {
  uint64_t last_index = 0;
  uint64_t compacted_index = 0;
  uint64_t compacted_term = 0;
  HardState hard_state;
};

/// Values of the `log` column family: CRC-32C of the rest and the index, term, type, data.
void EncodeLogRecord(const LogEntryView& entry, std::string* out);
bool DecodeLogRecord(uint64_t index, std::string_view stored, LogEntryView* entry);

/// Entries as they come from JavaScript (daemon/store/native-packing.ts): consecutive indexes.
bool UnpackEntries(std::string_view packed, std::vector<LogEntryView>* entries);
void PackEntry(const LogEntryView& entry, std::string* out);

/// Raft's log and hard state. Its owner appends from one thread; any may read.
class RaftLog {
 public:
  /// Finds the log's ends, and fails when entries that were known to be committed are missing.
  rocksdb::Status Open(Database* database);

  /// Writes, not yet durably: Database::Sync follows. Replaces what conflicts, from the first entry's index on.
  rocksdb::Status Append(const std::vector<LogEntryView>& entries, const HardState* hard_state);
  /// Packed entries [from, to), at least one, then at most `max_bytes` of data.
  rocksdb::Status Read(uint64_t from, uint64_t to, uint64_t max_bytes, std::string* packed) const;
  /// NotFound when there is no such entry.
  rocksdb::Status Term(uint64_t index, uint64_t* term) const;
  rocksdb::Status Compact(uint64_t index);
  LogState state() const;

  /// For an installed snapshot: what a log that starts after `index` looks like in `meta`.
  static void WriteStart(Database* database, rocksdb::WriteBatch* batch, uint64_t index, uint64_t term,
                         const HardState& hard_state);

 private:
  rocksdb::Status ReadEntry(uint64_t index, rocksdb::PinnableSlice* value, LogEntryView* entry) const;

  Database* database_ = nullptr;
  mutable std::mutex lock_;
  LogState state_;
};

}  // namespace balsa
