#include "store/database.h"

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>

namespace balsa {

namespace {

rocksdb::ColumnFamilyOptions FamilyOptions(const std::shared_ptr<rocksdb::Cache>& cache, size_t write_buffer) {
  rocksdb::ColumnFamilyOptions options;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 16 << 10;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = write_buffer;
  options.max_write_buffer_number = 3;
  // The arena's first block would otherwise be an eighth of the buffer, for each family, also when idle.
  options.arena_block_size = std::min<size_t>(256 << 10, write_buffer / 8);
  options.compression = rocksdb::kLZ4Compression;
  options.level_compaction_dynamic_level_bytes = true;
  return options;
}

}  // namespace

rocksdb::Status Database::Open(const std::string& directory, const StoreOptions& options,
                               std::unique_ptr<Database>* opened) {
  std::unique_ptr<Database> database(new Database());
  database->cache_ = rocksdb::NewLRUCache(options.block_cache_bytes, 2);

  rocksdb::DBOptions db;
  db.create_if_missing = options.create;
  db.create_missing_column_families = options.create;
  db.paranoid_checks = true;
  db.max_open_files = 512;
  db.max_background_jobs = 2;
  db.max_total_wal_size = 8 * options.write_buffer_bytes;
  db.bytes_per_sync = 1 << 20;
  db.keep_log_file_num = 2;
  db.max_log_file_size = 1 << 20;
  db.info_log_level = rocksdb::WARN_LEVEL;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.recycle_log_file_num = 0;
  // A torn last record after a power cut is expected and was never acknowledged. What such a cut must not lose is found by comparing the log's end
  // with the hard state (RaftLog::Open).
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;

  std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, FamilyOptions(database->cache_, 64 << 10)},
      {"log", FamilyOptions(database->cache_, options.write_buffer_bytes)},
      {"revisions", FamilyOptions(database->cache_, options.write_buffer_bytes)},
      {"meta", FamilyOptions(database->cache_, 1 << 20)},
  };
  rocksdb::Status status = rocksdb::DB::Open(db, directory, families, &database->families_, &database->db_);
  if (status.ok()) *opened = std::move(database);
  return status;
}

Database::~Database() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
  // Its status says what Sync would have said; whoever needed it has called that.
  db_->Close().PermitUncheckedError();
  delete db_;
}

rocksdb::Status Database::health() const {
  if (!failed_.load(std::memory_order_acquire)) return rocksdb::Status::OK();
  std::lock_guard<std::mutex> lock(failure_lock_);
  return failure_;
}

rocksdb::Status Database::Check(const rocksdb::Status& status) const {
  if (status.ok() || status.IsNotFound()) return status;
  std::lock_guard<std::mutex> lock(failure_lock_);
  if (failure_.ok()) failure_ = status;
  failed_.store(true, std::memory_order_release);
  return status;
}

rocksdb::Status Database::Write(rocksdb::WriteBatch* batch) {
  rocksdb::Status status = health();
  if (!status.ok()) return status;
  return Check(db_->Write(rocksdb::WriteOptions(), batch));
}

rocksdb::Status Database::Sync() {
  rocksdb::Status status = health();
  if (!status.ok()) return status;
  return Check(db_->SyncWAL());
}

rocksdb::Status Database::Get(rocksdb::ColumnFamilyHandle* family, const rocksdb::Slice& key,
                              rocksdb::PinnableSlice* value) const {
  return Check(db_->Get(rocksdb::ReadOptions(), family, key, value));
}

std::unique_ptr<rocksdb::Iterator> Database::NewIterator(rocksdb::ColumnFamilyHandle* family,
                                                         const rocksdb::ReadOptions& options) const {
  return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(options, family));
}

uint64_t Database::Property(const char* name) const {
  uint64_t total = 0;
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    uint64_t value = 0;
    if (db_->GetIntProperty(family, name, &value)) total += value;
  }
  return total;
}

uint64_t Database::DiskBytes() const {
  return Property(rocksdb::DB::Properties::kTotalSstFilesSize.c_str()) +
         Property(rocksdb::DB::Properties::kCurSizeAllMemTables.c_str());
}

uint64_t Database::LiveBytes() const {
  return Property(rocksdb::DB::Properties::kEstimateLiveDataSize.c_str()) +
         Property(rocksdb::DB::Properties::kCurSizeAllMemTables.c_str());
}

}  // namespace balsa
