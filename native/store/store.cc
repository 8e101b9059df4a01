#include "store/store.h"

#include <condition_variable>
#include <filesystem>
#include <map>
#include <system_error>

#include "store/coding.h"
#include "store/directory.h"
#include "store/load.h"
#include "store/meta_keys.h"

namespace balsa {

namespace {

/// What this process has open, by canonical path. An entry goes when its store has closed for good.
struct Registry {
  std::mutex lock;
  std::condition_variable closed;
  std::map<std::string, std::weak_ptr<Store>> stores;
};

Registry& GetRegistry() {
  static Registry* registry = new Registry();  // Never destroyed: threads may outlive the statics.
  return *registry;
}

/// One line for the operator, from what RocksDB or the system said.
rocksdb::Status Explain(const std::string& path, const rocksdb::Status& status) {
  std::string reason = status.ToString();
  std::string what = "cannot open the store in " + path + ": ";
  if (reason.find("Read-only file system") != std::string::npos || reason.find("Permission denied") != std::string::npos) {
    return rocksdb::Status::IOError(what + "it cannot be written to (" + reason + ")");
  }
  if (reason.find("lock") != std::string::npos && reason.find("LOCK") != std::string::npos) {
    return rocksdb::Status::IOError(what + "another process uses it (" + reason + ")");
  }
  if (status.IsNotSupported()) return rocksdb::Status::NotSupported(what + reason);
  if (status.IsCorruption()) return rocksdb::Status::Corruption(what + "it is damaged (" + reason + ")");
  return rocksdb::Status::IOError(what + reason);
}

}  // namespace

rocksdb::Status Store::Open(const std::string& path, const StoreOptions& options, std::shared_ptr<Store>* store) {
  if (options.create) {
    rocksdb::Status made = MakeDirectory(path);
    if (!made.ok()) return Explain(path, made);
  }
  std::error_code error;
  std::string canonical = std::filesystem::weakly_canonical(path, error).string();
  if (error) canonical = path;
  Registry& registry = GetRegistry();
  std::unique_lock<std::mutex> lock(registry.lock);
  for (;;) {
    auto it = registry.stores.find(canonical);
    if (it == registry.stores.end()) break;
    *store = it->second.lock();
    if (*store) return rocksdb::Status::OK();
    // Its last handle is gone and it is closing.
    registry.closed.wait(lock);
  }
  // Opened under the lock: a second caller waits and joins.
  std::shared_ptr<Store> opened(new Store(canonical, options));
  rocksdb::Status status = opened->OpenDirectory();
  if (!status.ok()) {
    lock.unlock();
    opened.reset();
    return Explain(path, status);
  }
  registry.stores[canonical] = opened;
  *store = std::move(opened);
  return status;
}

Store::Store(std::string path, const StoreOptions& options)
    : path_(std::move(path)),
      options_(options),
      cluster_id_(options.cluster_id),
      member_id_(options.member_id),
      cache_(options.record_cache_bytes),
      lessor_(options.min_lease_ttl) {}

Store::~Store() {
  if (watch_) watch_->Stop();
  maintenance_.Stop();
  sync_.Stop();
  watch_.reset();
  database_.reset();
  Registry& registry = GetRegistry();
  std::lock_guard<std::mutex> lock(registry.lock);
  auto it = registry.stores.find(path_);
  if (it != registry.stores.end() && it->second.expired()) registry.stores.erase(it);
  registry.closed.notify_all();
}

rocksdb::Status Store::OpenDirectory() {
  std::string active;
  rocksdb::Status status = ReadActive(path_, &active);
  bool fresh = status.IsNotFound();
  if (fresh) {
    if (!options_.create) return rocksdb::Status::NotFound("there is no store");
    active = NextStateName("");
    // What is there without `active` was never opened successfully.
    status = RemoveDirectory(path_ + "/" + active);
  }
  if (!status.ok()) return status;
  RemoveStale(path_, active);
  active_directory_ = path_ + "/" + active;
  std::unique_ptr<Database> database;
  StoreOptions options = options_;
  options.create = fresh;
  status = Database::Open(active_directory_, options, &database);
  if (!status.ok()) return status;
  if (fresh) {
    rocksdb::WriteBatch batch;
    std::string format;
    AppendLittle32(&format, kFormatVersion);
    batch.Put(database->meta(), rocksdb::Slice(meta_key::kFormat), format);
    status = database->Write(&batch);
    if (status.ok()) status = database->Sync();
    if (status.ok()) status = WriteActive(path_, active);
    if (!status.ok()) return status;
  }
  Loaded loaded;
  status = Load(database.get(), options_, &loaded);
  if (status.ok()) status = log_.Open(database.get());
  if (!status.ok()) return status;
  LogState log = log_.state();
  if (loaded.state.applied_index > log.last_index || loaded.state.applied_index < log.compacted_index) {
    return rocksdb::Status::Corruption("entry " + std::to_string(loaded.state.applied_index) +
                                       " is applied, but the raft log goes from " +
                                       std::to_string(log.compacted_index + 1) + " to " + std::to_string(log.last_index));
  }
  Adopt(std::move(database), &loaded);
  watch_ = std::make_unique<WatchEngine>(this, revision_.load());
  if (compact_revision_.load() > compaction_done_) ScheduleCompaction();
  return status;
}

void Store::SetIdentity(uint64_t cluster_id, uint64_t member_id) {
  cluster_id_.store(cluster_id);
  member_id_.store(member_id);
}

std::shared_ptr<Database> Store::database() const {
  std::lock_guard<std::mutex> lock(database_lock_);
  return database_;
}

rocksdb::Status Store::AppendLog(const std::vector<LogEntryView>& entries, const HardState* hard_state, Done done) {
  auto hold = HoldState();
  rocksdb::Status status = log_.Append(entries, hard_state);
  if (!status.ok()) return status;
  if (!options_.sync_log) {
    done(status);
    return status;
  }
  std::lock_guard<std::mutex> lock(sync_lock_);
  sync_waiters_.push_back(std::move(done));
  if (sync_posted_) return status;
  sync_posted_ = true;
  sync_.Post([this] {
    std::vector<Done> waiters;
    {
      // Whoever comes after this moment waits for the next sync; all up to here share this one.
      std::lock_guard<std::mutex> lock(sync_lock_);
      waiters.swap(sync_waiters_);
      sync_posted_ = false;
    }
    rocksdb::Status synced = database()->Sync();
    for (const Done& waiter : waiters) waiter(synced);
  });
  return status;
}

rocksdb::Status Store::CompactLog(uint64_t index) {
  if (index > applied_index_.load()) {
    return rocksdb::Status::InvalidArgument("raft log entry " + std::to_string(index) + " is not applied yet");
  }
  auto hold = HoldState();
  return log_.Compact(index);
}

rocksdb::Status Store::GetMeta(std::string_view key, std::string* value) const {
  auto database = this->database();
  rocksdb::PinnableSlice found;
  rocksdb::Status status = database->Get(database->meta(), meta_key::User(key), &found);
  if (status.ok()) value->assign(found.data(), found.size());
  return status;
}

rocksdb::Status Store::ScanMeta(std::string_view prefix,
                                std::vector<std::pair<std::string, std::string>>* found) const {
  auto database = this->database();
  std::string from = meta_key::User(prefix);
  auto it = database->NewIterator(database->meta());
  for (it->Seek(from); it->Valid() && it->key().starts_with(from); it->Next()) {
    found->emplace_back(it->key().ToStringView().substr(meta_key::kUserPrefix.size()), it->value().ToStringView());
  }
  return database->Check(it->status());
}

rocksdb::Status Store::WriteMeta(const std::vector<MetaWrite>& writes, Done done) {
  auto database = this->database();
  rocksdb::WriteBatch batch;
  for (const MetaWrite& write : writes) {
    std::string key = meta_key::User(write.key);
    if (write.is_delete) {
      batch.Delete(database->meta(), key);
    } else {
      batch.Put(database->meta(), key, rocksdb::Slice(write.value.data(), write.value.size()));
    }
  }
  rocksdb::Status status = database->Write(&batch);
  if (!status.ok()) return status;
  sync_.Post([this, done = std::move(done)] { done(options_.sync_log ? this->database()->Sync() : rocksdb::Status::OK()); });
  return status;
}

std::vector<std::pair<uint64_t, AlarmType>> Store::Alarms() const {
  std::lock_guard<std::mutex> lock(alarm_lock_);
  return {alarms_.begin(), alarms_.end()};
}

}  // namespace balsa
