// Removing what a compaction leaves out: a few thousand keys of the index at a time, on the store's maintenance thread.
#include "store/coding.h"
#include "store/meta_keys.h"
#include "store/store.h"

namespace balsa {

namespace {

/// Keys looked at under the writer's lock at once: some hundred microseconds.
constexpr size_t kKeysPerStep = 2000;

}  // namespace

void Store::ScheduleCompaction() {
  std::lock_guard<std::mutex> lock(compaction_lock_);
  if (compaction_running_ >= 0) return;  // Its end looks for a newer one.
  compaction_running_ = compact_revision_.load();
  maintenance_.Post([this, revision = compaction_running_] { CompactStep(revision, std::string()); });
}

void Store::CompactStep(int64_t revision, std::string cursor) {
  std::vector<Revision> dropped;
  bool more;
  std::shared_ptr<Database> database;
  {
    std::lock_guard<std::mutex> writer(writer_lock_);
    database = this->database();
    more = index_.CompactSome(revision, kKeysPerStep, &cursor, &dropped);
  }
  // Reads that found these in the index before they were dropped from it have fetched them once this lock was had.
  { std::unique_lock<std::shared_mutex> barrier(state_lock_); }
  rocksdb::WriteBatch batch;
  for (const Revision& gone : dropped) {
    char key[kRevisionKeySize];
    EncodeRevisionKey(gone, key);
    batch.Delete(database->revisions(), rocksdb::Slice(key, sizeof(key)));
    cache_.Erase(gone);
  }
  if (!more) {
    std::string value;
    AppendLittle64(&value, static_cast<uint64_t>(revision));
    batch.Put(database->meta(), rocksdb::Slice(meta_key::kCompacted), value);
  }
  rocksdb::Status status = database->Write(&batch);
  // At the store's end the rest is left for the next start, which finds it asked for and not done.
  if (status.ok() && more && !maintenance_.stopping()) {
    maintenance_.Post([this, revision, cursor = std::move(cursor)] { CompactStep(revision, cursor); });
    return;
  }
  std::vector<Done> finished;
  {
    std::lock_guard<std::mutex> lock(compaction_lock_);
    compaction_running_ = -1;
    if (status.ok() && !more) compaction_done_ = std::max(compaction_done_, revision);
    std::vector<std::pair<int64_t, Done>> waiting;
    for (auto& [wanted, done] : compaction_waiters_) {
      if (!status.ok() || more || wanted <= compaction_done_) {
        finished.push_back(std::move(done));
      } else {
        waiting.emplace_back(wanted, std::move(done));
      }
    }
    compaction_waiters_ = std::move(waiting);
  }
  if (more && status.ok()) status = rocksdb::Status::Incomplete("the store closed before the compaction was done");
  for (const Done& done : finished) done(status);
  if (status.ok() && compact_revision_.load() > revision) ScheduleCompaction();
}

void Store::CompactionFinished(int64_t revision, Done done) {
  {
    std::lock_guard<std::mutex> lock(compaction_lock_);
    int64_t wanted = revision > 0 ? revision : compact_revision_.load();
    if (wanted > compaction_done_) {
      compaction_waiters_.emplace_back(wanted, std::move(done));
      return;
    }
  }
  done(rocksdb::Status::OK());
}

}  // namespace balsa
