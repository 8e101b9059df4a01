#pragma once

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <vector>

#include "store/store.h"

namespace balsa {

/// One batch of committed commands on its way into the store: what it has changed so far, readable before it is written.
class ApplyBatch {
 public:
  ApplyBatch(Store* store, uint64_t raft_term);

  /// Runs one command; appends its response. An error of the disk fails the whole batch.
  rocksdb::Status Run(const Command& command, ErrorCode* error, std::string* response);
  /// Records of the layer above, outside any command.
  void WriteMeta(const std::vector<MetaWrite>& writes);
  /// Writes everything, with the applied index, as one RocksDB batch, and then lets it be seen.
  rocksdb::Status Commit(uint64_t applied_index, uint64_t applied_term);

  /// The store's revision before the command that runs.
  int64_t begin_revision() const { return begin_revision_; }
  /// The revision a read within the command sees.
  int64_t read_revision() const { return begin_revision_ + (Changed() ? 1 : 0); }
  int64_t compact_revision() const { return compact_revision_; }

  /// The record of a change made in this batch; empty when it was made earlier.
  RecordRef Find(Revision revision) const {
    auto it = std::lower_bound(changes_.begin(), changes_.end(), revision,
                               [](const WatchChange& change, const Revision& at) { return change.revision < at; });
    return it != changes_.end() && it->revision == revision ? it->record : RecordRef();
  }

 private:
  friend class TxnRunner;

  bool Changed() const { return changes_.size() != command_start_; }
  Revision NextRevision() const {
    return {begin_revision_ + 1, static_cast<uint32_t>(changes_.size() - command_start_)};
  }
  void EndCommand();

  // Changes to keys.
  void PutKey(std::string_view key, std::string_view value, int64_t lease);
  void DeleteKey(KeyEntry* entry);
  void AddChange(Revision revision, Revision previous, Record* record);

  // Commands. Each checks first and changes nothing when it fails.
  rocksdb::Status Put(const PutRequest& request, ErrorCode* error, std::string* response);
  rocksdb::Status DeleteRange(const DeleteRangeRequest& request, std::string* response);
  rocksdb::Status Txn(const TxnRequest& request, ErrorCode* error, std::string* response);
  rocksdb::Status Read(const RangeRequest& request, RangeOutcome* outcome) const;
  ErrorCode Compact(std::string_view bytes, std::string* response);
  ErrorCode GrantLease(std::string_view bytes, std::string* response);
  ErrorCode RevokeLease(std::string_view bytes, std::string* response);
  ErrorCode CheckpointLeases(std::string_view bytes, std::string* response);
  ErrorCode Alarm(std::string_view bytes, std::string* response);

  ResponseHeader Header(int64_t revision) const;
  bool HasAlarm(AlarmType type) const;
  bool LeaseExists(int64_t id) const { return store_->lessor_.Exists(id); }

  Store* store_;
  uint64_t raft_term_;
  rocksdb::WriteBatch batch_;
  std::vector<WatchChange> changes_;
  size_t command_start_ = 0;
  int64_t begin_revision_;
  int64_t compact_revision_;
  int64_t compact_before_;
  bool inner_ = false;  // An operation of a transaction runs: its response's header carries the revision alone.
};

}  // namespace balsa
