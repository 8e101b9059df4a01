#include <algorithm>

#include "store/apply_batch.h"
#include "store/store.h"
#include "store/txn_runner.h"

namespace balsa {

namespace {

struct SortKey {
  KeyValueView view;
  size_t position;
};

template <typename Value>
int Order(const Value& a, const Value& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int OrderBy(SortTarget target, const KeyValueView& a, const KeyValueView& b) {
  switch (target) {
    case SortTarget::kKey:
      return Order(a.key, b.key);
    case SortTarget::kVersion:
      return Order(a.version, b.version);
    case SortTarget::kCreate:
      return Order(a.create_revision, b.create_revision);
    case SortTarget::kMod:
      return Order(a.mod_revision, b.mod_revision);
    case SortTarget::kValue:
      return Order(a.value, b.value);
  }
  return 0;
}

void Sort(SortOrder order, SortTarget target, std::vector<RecordRef>* records) {
  std::vector<SortKey> keys;
  keys.reserve(records->size());
  for (size_t i = 0; i < records->size(); i++) keys.push_back({(*records)[i]->view(), i});
  std::stable_sort(keys.begin(), keys.end(), [&](const SortKey& a, const SortKey& b) {
    int found = OrderBy(target, a.view, b.view);
    return order == SortOrder::kDescend ? found > 0 : found < 0;
  });
  std::vector<RecordRef> sorted;
  sorted.reserve(records->size());
  for (const SortKey& key : keys) sorted.push_back(std::move((*records)[key.position]));
  records->swap(sorted);
}

bool HasBounds(const RangeRequest& request) {
  return request.min_mod_revision != 0 || request.max_mod_revision != 0 || request.min_create_revision != 0 ||
         request.max_create_revision != 0;
}

void Prune(const RangeRequest& request, std::vector<RecordRef>* records) {
  auto outside = [&](const RecordRef& record) {
    KeyValueView kv = record->view();
    return (request.max_mod_revision != 0 && kv.mod_revision > request.max_mod_revision) ||
           (request.min_mod_revision != 0 && kv.mod_revision < request.min_mod_revision) ||
           (request.max_create_revision != 0 && kv.create_revision > request.max_create_revision) ||
           (request.min_create_revision != 0 && kv.create_revision < request.min_create_revision);
  };
  records->erase(std::remove_if(records->begin(), records->end(), outside), records->end());
}

}  // namespace

rocksdb::Status Store::LoadRecords(const std::vector<Revision>& revisions, const ApplyBatch* pending,
                                   std::vector<RecordRef>* records) const {
  records->resize(revisions.size());
  std::vector<size_t> missing;
  for (size_t i = 0; i < revisions.size(); i++) {
    if (pending != nullptr && revisions[i].main > revision_.load(std::memory_order_relaxed)) {
      (*records)[i] = pending->Find(revisions[i]);
    } else {
      (*records)[i] = cache_.Find(revisions[i]);
    }
    if (!(*records)[i]) missing.push_back(i);
  }
  if (missing.empty()) return rocksdb::Status::OK();
  // In the order they lie on disk, so that neighbours share a block.
  std::sort(missing.begin(), missing.end(), [&](size_t a, size_t b) { return revisions[a] < revisions[b]; });
  constexpr size_t kAtOnce = 64;
  char keys[kAtOnce][kRevisionKeySize];
  rocksdb::Slice slices[kAtOnce];
  rocksdb::PinnableSlice values[kAtOnce];
  rocksdb::Status statuses[kAtOnce];
  for (size_t start = 0; start < missing.size(); start += kAtOnce) {
    size_t count = std::min(kAtOnce, missing.size() - start);
    for (size_t i = 0; i < count; i++) {
      EncodeRevisionKey(revisions[missing[start + i]], keys[i]);
      slices[i] = rocksdb::Slice(keys[i], kRevisionKeySize);
    }
    database_->db()->MultiGet(rocksdb::ReadOptions(), database_->revisions(), count, slices, values, statuses, true);
    for (size_t i = 0; i < count; i++) {
      size_t at = missing[start + i];
      // What the index holds is there: its absence is damage like any other.
      if (statuses[i].IsNotFound()) {
        statuses[i] = rocksdb::Status::Corruption("revision " + std::to_string(revisions[at].main) + " is missing");
      }
      if (!statuses[i].ok()) return database_->Check(statuses[i]);
      Record* record = Record::FromStored(values[i].ToStringView());
      if (record == nullptr) {
        return database_->Check(
            rocksdb::Status::Corruption("revision " + std::to_string(revisions[at].main) + " is malformed"));
      }
      (*records)[at] = RecordRef(record);
      cache_.Insert(revisions[at], (*records)[at]);
      values[i].Reset();
    }
  }
  return rocksdb::Status::OK();
}

rocksdb::Status Store::RangeAt(const RangeRequest& request, int64_t current, int64_t compact, const ApplyBatch* pending,
                               RangeOutcome* outcome) const {
  outcome->revision = current;
  int64_t at = request.revision <= 0 ? current : request.revision;
  if (at > current) {
    outcome->error = ErrorCode::kFutureRevision;
    return rocksdb::Status::OK();
  }
  if (at < compact) {
    outcome->error = ErrorCode::kCompacted;
    return rocksdb::Status::OK();
  }
  if (request.count_only) {
    outcome->count = static_cast<int64_t>(index_.Count(request.key, request.range_end, at));
    return rocksdb::Status::OK();
  }
  // Sorting and bounds need all of the range, a limit applies after them. (etcd sorts by another target than the key even when
  // no order is asked for, but then cuts first.)
  bool whole = request.sort_order != SortOrder::kNone || HasBounds(request);
  size_t limit = whole || request.limit <= 0 ? 0 : static_cast<size_t>(request.limit) + 1;
  std::vector<Revision> found;
  outcome->count = static_cast<int64_t>(index_.Collect(request.key, request.range_end, at, limit, &found));
  // Keys come in order already: the tail beyond the limit need not be loaded.
  bool by_key = request.sort_target == SortTarget::kKey && !HasBounds(request);
  if (by_key && request.sort_order == SortOrder::kDescend) std::reverse(found.begin(), found.end());
  if (by_key && request.limit > 0 && found.size() > static_cast<size_t>(request.limit)) {
    found.resize(static_cast<size_t>(request.limit));
    outcome->more = true;
  }
  rocksdb::Status status = LoadRecords(found, pending, &outcome->records);
  if (!status.ok() || by_key) return status;
  Prune(request, &outcome->records);
  SortOrder order = request.sort_order;
  if (order == SortOrder::kNone && request.sort_target != SortTarget::kKey) order = SortOrder::kAscend;
  if (order != SortOrder::kNone) Sort(order, request.sort_target, &outcome->records);
  if (request.limit > 0 && outcome->records.size() > static_cast<size_t>(request.limit)) {
    outcome->records.resize(static_cast<size_t>(request.limit));
    outcome->more = true;
  }
  return status;
}

rocksdb::Status Store::Range(const RangeRequest& request, RangeOutcome* outcome) {
  std::shared_lock<std::shared_mutex> hold(state_lock_);
  rocksdb::Status status = database_->health();
  if (!status.ok()) return status;
  for (;;) {
    int64_t compact = compact_revision_.load(std::memory_order_acquire);
    int64_t current = revision_.load(std::memory_order_acquire);
    *outcome = RangeOutcome();
    status = RangeAt(request, current, compact, nullptr, outcome);
    if (compact_revision_.load(std::memory_order_acquire) == compact) return status;
    // Compacted since: what was read may have been missing from the index already. (A failed load of such is no damage: compaction deletes
    // only after this read lets go of the lock.)
  }
}

rocksdb::Status Store::Get(std::string_view key, RecordRef* record) {
  std::shared_lock<std::shared_mutex> hold(state_lock_);
  rocksdb::Status status = database_->health();
  if (!status.ok()) return status;
  for (;;) {
    int64_t compact = compact_revision_.load(std::memory_order_acquire);
    int64_t current = revision_.load(std::memory_order_acquire);
    Revision found;
    bool exists = index_.At(key, current, &found);
    if (compact_revision_.load(std::memory_order_acquire) != compact) continue;
    if (!exists) return rocksdb::Status::OK();
    *record = cache_.Find(found);
    if (*record) return status;
    std::vector<RecordRef> records;
    status = LoadRecords({found}, nullptr, &records);
    if (status.ok()) *record = std::move(records[0]);
    return status;
  }
}

rocksdb::Status Store::LoadRecord(Revision revision, RecordRef* record) {
  *record = cache_.Find(revision);
  if (*record) return rocksdb::Status::OK();
  char key[kRevisionKeySize];
  EncodeRevisionKey(revision, key);
  rocksdb::PinnableSlice value;
  rocksdb::Status status = database_->Get(database_->revisions(), rocksdb::Slice(key, sizeof(key)), &value);
  if (!status.ok()) return status;
  Record* loaded = Record::FromStored(value.ToStringView());
  if (loaded == nullptr) {
    return database_->Check(
        rocksdb::Status::Corruption("revision " + std::to_string(revision.main) + " is malformed"));
  }
  *record = RecordRef(loaded);
  return status;
}

namespace {

/// A transaction's view when it only reads: every operation sees the same revision.
class ReadOnlyState final : public TxnState {
 public:
  using Reader = std::function<rocksdb::Status(const RangeRequest&, RangeOutcome*)>;
  ReadOnlyState(int64_t revision, int64_t compact, Reader reader)
      : revision_(revision), compact_(compact), reader_(std::move(reader)) {}

  rocksdb::Status Read(const RangeRequest& request, RangeOutcome* outcome) override { return reader_(request, outcome); }
  rocksdb::Status Put(const PutRequest&, std::string*) override { return rocksdb::Status::NotSupported(); }
  rocksdb::Status DeleteRange(const DeleteRangeRequest&, std::string*) override {
    return rocksdb::Status::NotSupported();
  }
  bool LeaseExists(int64_t) override { return false; }
  int64_t revision() override { return revision_; }
  int64_t compact_revision() override { return compact_; }

 private:
  int64_t revision_;
  int64_t compact_;
  Reader reader_;
};

}  // namespace

rocksdb::Status Store::ReadTxn(const TxnRequest& request, uint64_t raft_term, ErrorCode* error,
                               std::string* response) {
  if (!TxnIsReadOnly(request)) {
    *error = ErrorCode::kInvalidArgument;
    return rocksdb::Status::OK();
  }
  std::shared_lock<std::shared_mutex> hold(state_lock_);
  rocksdb::Status status = database_->health();
  if (!status.ok()) return status;
  for (;;) {
    int64_t compact = compact_revision_.load(std::memory_order_acquire);
    int64_t current = revision_.load(std::memory_order_acquire);
    ReadOnlyState state(current, compact, [&](const RangeRequest& range, RangeOutcome* outcome) {
      return RangeAt(range, current, compact, nullptr, outcome);
    });
    response->clear();
    ResponseHeader header = Header(raft_term);
    header.revision = current;
    header.AppendTo(response);
    status = RunTxn(request, &state, error, response);
    if (compact_revision_.load(std::memory_order_acquire) == compact) return status;
  }
}

}  // namespace balsa
