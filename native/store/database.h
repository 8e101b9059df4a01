#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "store/options.h"

namespace balsa {

/// The RocksDB instance below a store, and the one place where its failures poison it: after the first failed write or read
/// nothing is written any more, since what is in memory may no longer be what is on disk.
class Database {
 public:
  static rocksdb::Status Open(const std::string& directory, const StoreOptions& options, std::unique_ptr<Database>* opened);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::Status Write(rocksdb::WriteBatch* batch);
  /// Makes everything written before the call durable. Other writers go on meanwhile.
  rocksdb::Status Sync();
  rocksdb::Status Get(rocksdb::ColumnFamilyHandle* family, const rocksdb::Slice& key, rocksdb::PinnableSlice* value) const;
  std::unique_ptr<rocksdb::Iterator> NewIterator(rocksdb::ColumnFamilyHandle* family,
                                                 const rocksdb::ReadOptions& options = rocksdb::ReadOptions()) const;

  rocksdb::DB* db() const { return db_; }
  rocksdb::ColumnFamilyHandle* log() const { return families_[1]; }
  rocksdb::ColumnFamilyHandle* revisions() const { return families_[2]; }
  rocksdb::ColumnFamilyHandle* meta() const { return families_[3]; }

  uint64_t DiskBytes() const;
  uint64_t LiveBytes() const;
  uint64_t Property(const char* name) const;
  uint64_t BlockCacheBytes() const { return cache_->GetUsage(); }

  /// The first failure; ok while healthy.
  rocksdb::Status health() const;
  /// Passes `status` on, remembering a failure of the disk (not NotFound).
  rocksdb::Status Check(const rocksdb::Status& status) const;

 private:
  Database() = default;

  rocksdb::DB* db_ = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  std::shared_ptr<rocksdb::Cache> cache_;
  mutable std::atomic<bool> failed_{false};
  mutable std::mutex failure_lock_;
  mutable rocksdb::Status failure_;
};

}  // namespace balsa
