#include "store/apply_batch.h"

#include <cassert>

#include "store/coding.h"
#include "store/meta_keys.h"
#include "store/txn_runner.h"

namespace balsa {

ApplyBatch::ApplyBatch(Store* store, uint64_t raft_term)
    : store_(store),
      raft_term_(raft_term),
      begin_revision_(store->revision_.load(std::memory_order_relaxed)),
      compact_revision_(store->compact_revision_.load(std::memory_order_relaxed)),
      compact_before_(compact_revision_) {}

ResponseHeader ApplyBatch::Header(int64_t revision) const {
  ResponseHeader header;
  if (!inner_) header = store_->Header(raft_term_);
  header.revision = revision;
  return header;
}

bool ApplyBatch::HasAlarm(AlarmType type) const {
  std::lock_guard<std::mutex> lock(store_->alarm_lock_);
  for (const auto& alarm : store_->alarms_) {
    if (alarm.second == type) return true;
  }
  return false;
}

rocksdb::Status ApplyBatch::Run(const Command& command, ErrorCode* error, std::string* response) {
  rocksdb::Status status;
  // A corrupt cluster changes no keys; a full one adds none.
  if (command.kind <= Command::Kind::kLeaseRevoke && HasAlarm(AlarmType::kCorrupt)) {
    *error = ErrorCode::kCorrupt;
    return status;
  }
  switch (command.kind) {
    case Command::Kind::kPut: {
      PutRequest request;
      if (!DecodePut(command.request, &request)) {
        *error = ErrorCode::kInvalidArgument;
      } else if (HasAlarm(AlarmType::kNoSpace)) {
        *error = ErrorCode::kNoSpace;
      } else {
        status = Put(request, error, response);
      }
      break;
    }
    case Command::Kind::kDeleteRange: {
      DeleteRangeRequest request;
      if (!DecodeDeleteRange(command.request, &request) || request.key.empty()) {
        *error = ErrorCode::kInvalidArgument;
      } else {
        status = DeleteRange(request, response);
      }
      break;
    }
    case Command::Kind::kTxn: {
      TxnRequest request;
      if (DecodeTxn(command.request, &request)) {
        status = Txn(request, error, response);
      } else {
        *error = ErrorCode::kInvalidArgument;
      }
      break;
    }
    case Command::Kind::kCompaction:
      *error = Compact(command.request, response);
      break;
    case Command::Kind::kLeaseGrant:
      *error = HasAlarm(AlarmType::kNoSpace) ? ErrorCode::kNoSpace : GrantLease(command.request, response);
      break;
    case Command::Kind::kLeaseRevoke:
      *error = RevokeLease(command.request, response);
      break;
    case Command::Kind::kLeaseCheckpoint:
      *error = CheckpointLeases(command.request, response);
      break;
    case Command::Kind::kAlarm:
      *error = Alarm(command.request, response);
      break;
    case Command::Kind::kMeta: {
      std::vector<MetaWrite> writes;
      if (DecodeMetaUpdate(command.request, &writes)) {
        WriteMeta(writes);
      } else {
        *error = ErrorCode::kInvalidArgument;
      }
      break;
    }
    case Command::Kind::kOpaque:
      response->assign(command.request);
      break;
    case Command::Kind::kNone:
      *error = ErrorCode::kInvalidArgument;
      break;
  }
  EndCommand();
  return status;
}

void ApplyBatch::EndCommand() {
  if (Changed()) begin_revision_++;
  command_start_ = changes_.size();
}

void ApplyBatch::AddChange(Revision revision, Revision previous, Record* record) {
  char key[kRevisionKeySize];
  EncodeRevisionKey(revision, key);
  std::string_view stored = record->stored();
  batch_.Put(store_->database_->revisions(), rocksdb::Slice(key, sizeof(key)),
             rocksdb::Slice(stored.data(), stored.size()));
  changes_.push_back({revision, previous, RecordRef(record)});
}

void ApplyBatch::PutKey(std::string_view key, std::string_view value, int64_t lease) {
  Revision revision = NextRevision();
  int64_t old_lease = 0;
  KeyValueView view;
  view.key = key;
  view.value = value;
  view.lease = lease;
  view.mod_revision = revision.main;
  view.create_revision = revision.main;
  view.version = 1;
  KeyEntry* entry = store_->index_.Find(key);
  Revision previous;
  if (entry != nullptr) {
    // What was in force before this transaction, whatever it did to the key already.
    if (!entry->At(revision.main - 1, &previous)) previous = Revision();
    if (entry->live()) {
      view.create_revision = entry->create_revision();
      view.version = entry->version() + 1;
      old_lease = entry->lease();
    }
  }
  // The record first: `value` may be a view into one that only the index keeps reachable.
  Record* record = Record::Make(RecordKind::kPut, view);
  entry = store_->index_.Put(key, revision, lease);
  AddChange(revision, previous, record);
  if (old_lease != lease) {
    if (old_lease != 0) store_->lessor_.Detach(old_lease, entry);
    if (lease != 0) store_->lessor_.Attach(lease, entry);
  }
}

void ApplyBatch::DeleteKey(KeyEntry* entry) {
  Revision revision = NextRevision();
  Revision previous;
  if (!entry->At(revision.main - 1, &previous)) previous = Revision();
  KeyValueView view;
  view.key = entry->key();
  view.mod_revision = revision.main;
  if (entry->lease() != 0) store_->lessor_.Detach(entry->lease(), entry);
  store_->index_.Tombstone(entry, revision);
  AddChange(revision, previous, Record::Make(RecordKind::kTombstone, view));
}

rocksdb::Status ApplyBatch::Read(const RangeRequest& request, RangeOutcome* outcome) const {
  return store_->RangeAt(request, read_revision(), compact_revision_, this, outcome);
}

rocksdb::Status ApplyBatch::Put(const PutRequest& request, ErrorCode* error, std::string* response) {
  *error = CheckPut(request);
  if (*error != ErrorCode::kOk) return rocksdb::Status::OK();
  // Within a transaction this was checked before it began; there a lease of an earlier put of it is as good.
  if (request.lease != 0 && !store_->lessor_.Exists(request.lease)) {
    *error = ErrorCode::kLeaseNotFound;
    return rocksdb::Status::OK();
  }
  RangeOutcome existing;
  if (request.prev_kv || request.ignore_value || request.ignore_lease) {
    RangeRequest range;
    range.key = request.key;
    rocksdb::Status status = Read(range, &existing);
    if (!status.ok()) return status;
  }
  std::string_view value = request.value;
  int64_t lease = request.lease;
  if (request.ignore_value || request.ignore_lease) {
    if (existing.records.empty()) {
      *error = ErrorCode::kKeyNotFound;
      return rocksdb::Status::OK();
    }
    KeyValueView kv = existing.records[0]->view();
    if (request.ignore_value) value = kv.value;
    if (request.ignore_lease) lease = kv.lease;
  }
  PutKey(request.key, value, lease);
  Header(begin_revision_ + 1).AppendTo(response);
  if (request.prev_kv && !existing.records.empty()) AppendRecordField(response, 2, *existing.records[0], false);
  return rocksdb::Status::OK();
}

rocksdb::Status ApplyBatch::DeleteRange(const DeleteRangeRequest& request, std::string* response) {
  RangeOutcome existing;
  if (request.prev_kv) {
    RangeRequest range;
    range.key = request.key;
    range.range_end = request.range_end;
    rocksdb::Status status = Read(range, &existing);
    if (!status.ok()) return status;
  }
  std::vector<KeyEntry*> entries;
  store_->index_.CollectLive(request.key, request.range_end, &entries);
  for (KeyEntry* entry : entries) DeleteKey(entry);
  Header(read_revision()).AppendTo(response);
  AppendIntField(response, 2, entries.size());
  for (const RecordRef& record : existing.records) AppendRecordField(response, 3, *record, false);
  return rocksdb::Status::OK();
}

/// The applying batch as a transaction sees it. Inner responses carry the revision alone in their headers, as etcd's do.
class TxnRunner final : public TxnState {
 public:
  explicit TxnRunner(ApplyBatch* batch) : batch_(batch) {}

  rocksdb::Status Read(const RangeRequest& request, RangeOutcome* outcome) override {
    return batch_->Read(request, outcome);
  }
  rocksdb::Status Put(const PutRequest& request, std::string* response) override {
    ErrorCode error = ErrorCode::kOk;
    Inner inner(batch_);
    rocksdb::Status status = batch_->Put(request, &error, response);
    // Checked before the transaction began. What is left is a key that the transaction itself deleted before; requests are refused
    // for that before they are proposed (CheckTxn), and here it is an operation without effect.
    if (error != ErrorCode::kOk) inner.AppendHeader(response);
    return status;
  }
  rocksdb::Status DeleteRange(const DeleteRangeRequest& request, std::string* response) override {
    Inner inner(batch_);
    return batch_->DeleteRange(request, response);
  }
  bool LeaseExists(int64_t id) override { return batch_->LeaseExists(id); }
  int64_t revision() override { return batch_->begin_revision_; }
  int64_t compact_revision() override { return batch_->compact_revision_; }

 private:
  class Inner {
   public:
    explicit Inner(ApplyBatch* batch) : batch_(batch) { batch_->inner_ = true; }
    ~Inner() { batch_->inner_ = false; }
    void AppendHeader(std::string* response) { batch_->Header(batch_->read_revision()).AppendTo(response); }

   private:
    ApplyBatch* batch_;
  };
  ApplyBatch* batch_;
};

rocksdb::Status ApplyBatch::Txn(const TxnRequest& request, ErrorCode* error, std::string* response) {
  if (HasAlarm(AlarmType::kNoSpace) && TxnPuts(request)) {
    *error = ErrorCode::kNoSpace;
    return rocksdb::Status::OK();
  }
  TxnRunner runner(this);
  std::string body;
  rocksdb::Status status = RunTxn(request, &runner, error, &body);
  if (!status.ok() || *error != ErrorCode::kOk) return status;
  Header(read_revision()).AppendTo(response);
  response->append(body);
  return status;
}

rocksdb::Status ApplyBatch::Commit(uint64_t applied_index, uint64_t applied_term) {
  assert(!Changed());
  std::string applied;
  AppendLittle64(&applied, applied_index);
  AppendLittle64(&applied, applied_term);
  AppendLittle64(&applied, static_cast<uint64_t>(begin_revision_));
  batch_.Put(store_->database_->meta(), rocksdb::Slice(meta_key::kApplied), applied);
  rocksdb::Status status = store_->database_->Write(&batch_);
  if (!status.ok()) return status;
  for (const WatchChange& change : changes_) store_->cache_.Insert(change.revision, change.record);
  store_->applied_index_.store(applied_index, std::memory_order_release);
  store_->applied_term_.store(applied_term, std::memory_order_release);
  store_->revision_.store(begin_revision_, std::memory_order_release);
  if (compact_revision_ != compact_before_) {
    store_->compact_revision_.store(compact_revision_, std::memory_order_release);
    store_->ScheduleCompaction();
  }
  store_->watch_->Notify(changes_, begin_revision_);
  return status;
}

}  // namespace balsa
