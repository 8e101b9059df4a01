#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/key_index.h"
#include "store/lessor.h"
#include "store/options.h"
#include "store/raft_log.h"
#include "store/record_cache.h"
#include "store/requests.h"
#include "store/responses.h"
#include "store/worker.h"
#include "watch/watch_engine.h"

namespace balsa {

class ApplyBatch;

struct StoreState {
  int64_t revision = 1;
  int64_t compact_revision = -1;
  uint64_t applied_index = 0;
  uint64_t applied_term = 0;
};

struct StoreStats {
  uint64_t disk_bytes = 0;
  uint64_t live_bytes = 0;
  uint64_t quota_bytes = 0;
  size_t keys = 0;
  size_t leases = 0;
  WatchStats watch;
  uint64_t block_cache_bytes = 0;
  uint64_t memtable_bytes = 0;
  uint64_t table_reader_bytes = 0;
  size_t index_bytes = 0;
  size_t record_cache_bytes = 0;
};

struct HashResult {
  uint32_t hash = 0;
  int64_t revision = 0;
  int64_t compact_revision = -1;
};

using Done = std::function<void(const rocksdb::Status&)>;

/// etcd v3's state machine on RocksDB, one per directory and process, used by any number of threads: one appends to the log and
/// applies, all others read. See docs/store-format.md for what is on disk and docs of each method for its thread.
class Store : public std::enable_shared_from_this<Store> {
 public:
  /// Opens, or joins what this process has open already. A failure's message is one line for the operator.
  static rocksdb::Status Open(const std::string& path, const StoreOptions& options, std::shared_ptr<Store>* store);
  ~Store();

  void SetIdentity(uint64_t cluster_id, uint64_t member_id);

  // The Raft log.
  rocksdb::Status AppendLog(const std::vector<LogEntryView>& entries, const HardState* hard_state, Done done);
  RaftLog& log() { return log_; }
  rocksdb::Status CompactLog(uint64_t index);

  // Applying (apply.cc).
  rocksdb::Status Apply(const std::vector<LogEntryView>& entries, uint64_t raft_term,
                        const std::vector<MetaWrite>& meta, std::string* packed_results);
  StoreState state() const;

  // Reading (range.cc): any thread.
  rocksdb::Status Range(const RangeRequest& request, RangeOutcome* outcome);
  rocksdb::Status Get(std::string_view key, RecordRef* record);
  /// A transaction that only reads, answered from one revision; kInvalidArgument if it would write.
  rocksdb::Status ReadTxn(const TxnRequest& request, uint64_t raft_term, ErrorCode* error, std::string* response);
  /// A change by its revision: from the cache, or from disk. NotFound when compacted away.
  rocksdb::Status LoadRecord(Revision revision, RecordRef* record);
  ResponseHeader Header(uint64_t raft_term) const;

  // Records of the layer above.
  rocksdb::Status GetMeta(std::string_view key, std::string* value) const;
  rocksdb::Status ScanMeta(std::string_view prefix, std::vector<std::pair<std::string, std::string>>* found) const;
  rocksdb::Status WriteMeta(const std::vector<MetaWrite>& writes, Done done);
  std::vector<std::pair<uint64_t, AlarmType>> Alarms() const;

  Lessor& lessor() { return lessor_; }
  WatchEngine& watch() { return *watch_; }

  // Maintenance (compaction.cc, maintenance.cc): `done` is called on the store's own thread.
  void CompactionFinished(int64_t revision, Done done);
  void HashKv(int64_t revision, std::function<void(const rocksdb::Status&, const HashResult&)> done);
  void Checkpoint(const std::string& directory, Done done);
  void Defragment(Done done);
  void Flush(Done done);
  StoreStats stats() const;
  /// Runs `task` on the maintenance thread.
  void PostMaintenance(std::function<void()> task) { maintenance_.Post(std::move(task)); }

  // Snapshots (snapshot.cc).
  std::shared_ptr<Database> database() const;
  /// Where an installed snapshot is written; removes a leftover.
  rocksdb::Status PrepareInstall(std::string* directory);
  /// Makes `directory` (complete, closed) the store's state. Called on the maintenance thread.
  rocksdb::Status SwitchTo(const std::string& directory);
  const StoreOptions& options() const { return options_; }

  /// For the watch engine's catch-up, which reads history: no compaction removes records while it is held.
  std::shared_lock<std::shared_mutex> HoldState() const { return std::shared_lock<std::shared_mutex>(state_lock_); }
  bool PreviousOf(std::string_view key, int64_t revision, Revision* found) const {
    return index_.At(key, revision - 1, found);
  }

 private:
  friend class ApplyBatch;

  Store(std::string path, const StoreOptions& options);
  rocksdb::Status OpenDirectory();
  struct Loaded;
  static rocksdb::Status Load(Database* database, const StoreOptions& options, Loaded* loaded);
  void Adopt(std::shared_ptr<Database> database, Loaded* loaded);

  rocksdb::Status RangeAt(const RangeRequest& request, int64_t current, int64_t compact, const ApplyBatch* pending,
                          RangeOutcome* outcome) const;
  rocksdb::Status LoadRecords(const std::vector<Revision>& revisions, const ApplyBatch* pending,
                              std::vector<RecordRef>* records) const;
  void ScheduleCompaction();
  void CompactStep(int64_t revision, std::string cursor);

  const std::string path_;
  std::string active_directory_;
  const StoreOptions options_;
  std::atomic<uint64_t> cluster_id_;
  std::atomic<uint64_t> member_id_;

  // Held shared by every read from looking into the index until the records are fetched; held alone for a moment by compaction
  // before it deletes what it dropped from the index, and by SwitchTo.
  mutable std::shared_mutex state_lock_;
  // One of: apply, a step of the index's compaction, SwitchTo.
  std::mutex writer_lock_;
  mutable std::mutex database_lock_;
  std::shared_ptr<Database> database_;

  KeyIndex index_;
  mutable RecordCache cache_;
  Lessor lessor_;
  RaftLog log_;
  std::atomic<int64_t> revision_{1};
  std::atomic<int64_t> compact_revision_{-1};
  std::atomic<uint64_t> applied_index_{0};
  std::atomic<uint64_t> applied_term_{0};
  mutable std::mutex alarm_lock_;
  std::set<std::pair<uint64_t, AlarmType>> alarms_;

  std::mutex compaction_lock_;
  int64_t compaction_running_ = -1;
  int64_t compaction_done_ = -1;
  std::vector<std::pair<int64_t, Done>> compaction_waiters_;

  std::mutex sync_lock_;
  std::vector<Done> sync_waiters_;
  bool sync_posted_ = false;

  std::unique_ptr<WatchEngine> watch_;
  // Last: their threads use everything above.
  Worker maintenance_;
  Worker sync_;
};

}  // namespace balsa
