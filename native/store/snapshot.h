#pragma once

#include <memory>
#include <string>

#include "store/store.h"

namespace balsa {

/// A consistent view of a store as a series of pieces (docs/store-format.md): a head, records, an end that counts them. Each piece has its
/// own checksum.
class SnapshotReader {
 public:
  explicit SnapshotReader(Store* store);
  ~SnapshotReader();

  const StoreState& state() const { return state_; }
  /// The next piece; empty after the last.
  rocksdb::Status Read(std::string* piece);

 private:
  void Append(char family, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string* piece);

  std::shared_ptr<Database> database_;
  const rocksdb::Snapshot* snapshot_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  enum class Stage { kHead, kRevisions, kMeta, kEnd, kDone } stage_ = Stage::kHead;
  StoreState state_;
  uint64_t records_ = 0;
};

/// Takes the next record off a piece's; false when it is malformed.
bool NextSnapshotRecord(std::string_view* records, bool* meta, std::string_view* key, std::string_view* value);

/// Writes a snapshot's pieces into a new database beside the store's own.
class SnapshotWriter {
 public:
  explicit SnapshotWriter(Store* store) : store_(store) {}

  rocksdb::Status Write(std::string_view piece);
  /// On the store's maintenance thread: everything is there and on disk; now it is the store's state.
  rocksdb::Status Finish(const HardState& hard_state);
  void Abort();

 private:
  rocksdb::Status Begin(std::string_view head);

  Store* store_;
  std::string directory_;
  std::unique_ptr<Database> database_;
  StoreState state_;
  uint64_t records_ = 0;
  bool complete_ = false;
};

}  // namespace balsa
