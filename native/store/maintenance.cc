#include <rocksdb/convenience.h>
#include <rocksdb/utilities/checkpoint.h>

#include "store/coding.h"
#include "store/directory.h"
#include "store/store.h"

namespace balsa {

void Store::HashKv(int64_t revision, std::function<void(const rocksdb::Status&, const HashResult&)> done) {
  // On the thread that compacts, so that no step of a compaction comes between.
  maintenance_.Post([this, revision, done = std::move(done)] {
    HashResult result;
    result.compact_revision = compact_revision_.load(std::memory_order_acquire);
    result.revision = revision_.load(std::memory_order_acquire);
    int64_t upto = revision > 0 ? revision : result.revision;
    auto database = this->database();
    rocksdb::ReadOptions scan;
    scan.fill_cache = false;
    auto it = database->NewIterator(database->revisions(), scan);
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      Revision at;
      KeyValueView view;
      if (!DecodeRevisionKey(it->key().ToStringView(), &at) || it->value().empty() ||
          !ParseKeyValue(it->value().ToStringView().substr(1), &view)) {
        done(database->Check(rocksdb::Status::Corruption("a record of the revisions is malformed")), result);
        return;
      }
      if (at.main > upto) break;
      if (!index_.Keeps(view.key, at, result.compact_revision)) continue;
      result.hash = Crc32c(Crc32c(result.hash, it->key().ToStringView()), it->value().ToStringView());
    }
    done(database->Check(it->status()), result);
  });
}

void Store::Checkpoint(const std::string& directory, Done done) {
  maintenance_.Post([this, directory, done = std::move(done)] {
    auto database = this->database();
    rocksdb::Checkpoint* created = nullptr;
    rocksdb::Status status = rocksdb::Checkpoint::Create(database->db(), &created);
    std::unique_ptr<rocksdb::Checkpoint> checkpoint(created);
    std::string name = NextStateName("");
    std::string unused;
    if (status.ok() && !ReadActive(directory, &unused).IsNotFound()) {
      status = rocksdb::Status::InvalidArgument(directory + " holds a store already");
    }
    if (status.ok()) status = MakeDirectory(directory);
    if (status.ok()) status = checkpoint->CreateCheckpoint(directory + "/" + name);
    if (status.ok()) status = WriteActive(directory, name);
    done(status);
  });
}

void Store::Defragment(Done done) {
  maintenance_.Post([this, done = std::move(done)] {
    auto database = this->database();
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    rocksdb::Status status;
    for (rocksdb::ColumnFamilyHandle* family : {database->revisions(), database->log(), database->meta()}) {
      if (status.ok()) status = database->Check(database->db()->CompactRange(options, family, nullptr, nullptr));
    }
    done(status);
  });
}

void Store::Flush(Done done) {
  maintenance_.Post([this, done = std::move(done)] {
    auto database = this->database();
    done(database->Check(database->db()->Flush(rocksdb::FlushOptions(),
                                               {database->log(), database->revisions(), database->meta()})));
  });
}

StoreStats Store::stats() const {
  auto database = this->database();
  StoreStats stats;
  stats.disk_bytes = database->DiskBytes();
  stats.live_bytes = database->LiveBytes();
  stats.quota_bytes = options_.quota_bytes;
  stats.keys = index_.size();
  stats.leases = lessor_.size();
  stats.watch = watch_->stats();
  stats.block_cache_bytes = database->BlockCacheBytes();
  stats.memtable_bytes = database->Property(rocksdb::DB::Properties::kSizeAllMemTables.c_str());
  stats.table_reader_bytes = database->Property(rocksdb::DB::Properties::kEstimateTableReadersMem.c_str());
  stats.index_bytes = index_.memory_bytes();
  stats.record_cache_bytes = cache_.memory_bytes();
  return stats;
}

}  // namespace balsa
