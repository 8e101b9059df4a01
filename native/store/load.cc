#include "store/load.h"

#include "store/coding.h"
#include "store/meta_keys.h"

namespace balsa {

namespace {

rocksdb::Status Malformed(std::string_view what) {
  return rocksdb::Status::Corruption("the record `" + std::string(what) + "` is malformed");
}

/// Reads a record of fixed-size numbers; NotFound leaves them as they are.
rocksdb::Status ReadNumbers(Database* database, std::string_view key, std::initializer_list<uint64_t*> numbers) {
  rocksdb::PinnableSlice value;
  rocksdb::Status status = database->Get(database->meta(), rocksdb::Slice(key.data(), key.size()), &value);
  if (status.IsNotFound()) return rocksdb::Status::OK();
  if (!status.ok()) return status;
  if (value.size() != numbers.size() * 8) return Malformed(key);
  const char* at = value.data();
  for (uint64_t* number : numbers) {
    *number = ReadLittle64(at);
    at += 8;
  }
  return status;
}

/// Visits the records of `meta` below a prefix.
template <typename Visitor>
rocksdb::Status VisitMeta(Database* database, std::string_view prefix, Visitor visit) {
  auto it = database->NewIterator(database->meta());
  for (it->Seek(rocksdb::Slice(prefix.data(), prefix.size())); it->Valid(); it->Next()) {
    std::string_view key = it->key().ToStringView();
    if (key.substr(0, prefix.size()) != prefix) break;
    rocksdb::Status status = visit(key.substr(prefix.size()), it->value().ToStringView());
    if (!status.ok()) return status;
  }
  return database->Check(it->status());
}

}  // namespace

rocksdb::Status Store::Load(Database* database, const StoreOptions&, Loaded* loaded) {
  uint64_t revision = 1;
  uint64_t compact = static_cast<uint64_t>(-1);
  uint64_t compacted = static_cast<uint64_t>(-1);
  rocksdb::Status status =
      ReadNumbers(database, meta_key::kApplied, {&loaded->state.applied_index, &loaded->state.applied_term, &revision});
  if (status.ok()) status = ReadNumbers(database, meta_key::kCompact, {&compact});
  if (status.ok()) status = ReadNumbers(database, meta_key::kCompacted, {&compacted});
  if (!status.ok()) return status;
  loaded->state.revision = static_cast<int64_t>(revision);
  loaded->state.compact_revision = static_cast<int64_t>(compact);
  loaded->compacted = static_cast<int64_t>(compacted);

  rocksdb::ReadOptions scan;
  scan.fill_cache = false;
  scan.readahead_size = 2 << 20;
  auto it = database->NewIterator(database->revisions(), scan);
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    Revision at;
    KeyValueView view;
    std::string_view stored = it->value().ToStringView();
    if (!DecodeRevisionKey(it->key().ToStringView(), &at) || stored.empty() ||
        (stored[0] != static_cast<char>(RecordKind::kPut) && stored[0] != static_cast<char>(RecordKind::kTombstone)) ||
        !ParseKeyValue(stored.substr(1), &view) || view.key.empty()) {
      return rocksdb::Status::Corruption("a record of the revisions is malformed");
    }
    if (at.main > loaded->state.revision) {
      return rocksdb::Status::Corruption("revision " + std::to_string(at.main) + " is newer than the store's, " +
                                         std::to_string(loaded->state.revision));
    }
    loaded->index.Restore(view, at, stored[0] == static_cast<char>(RecordKind::kTombstone));
  }
  status = database->Check(it->status());
  if (!status.ok()) return status;
  loaded->index.VisitLeased([&](int64_t lease, KeyEntry* entry) { loaded->attachments.push_back({lease, entry}); });

  status = VisitMeta(database, meta_key::kLeasePrefix, [&](std::string_view key, std::string_view value) {
    if (key.size() != 8 || value.size() != 16) return Malformed("lease");
    loaded->leases.push_back({static_cast<int64_t>(ReadBig64(key.data())),
                              static_cast<int64_t>(ReadLittle64(value.data())),
                              static_cast<int64_t>(ReadLittle64(value.data() + 8))});
    return rocksdb::Status::OK();
  });
  if (!status.ok()) return status;
  return VisitMeta(database, meta_key::kAlarmPrefix, [&](std::string_view key, std::string_view) {
    if (key.size() != 9 || static_cast<uint8_t>(key[8]) > 2) return Malformed("alarm");
    loaded->alarms.emplace(ReadBig64(key.data()), static_cast<AlarmType>(key[8]));
    return rocksdb::Status::OK();
  });
}

void Store::Adopt(std::shared_ptr<Database> database, Loaded* loaded) {
  {
    std::lock_guard<std::mutex> lock(database_lock_);
    database_ = std::move(database);
  }
  index_.Swap(&loaded->index);
  cache_.Clear();
  lessor_.Clear();
  for (const Loaded::Lease& lease : loaded->leases) lessor_.Restore(lease.id, lease.ttl, lease.remaining);
  for (const Loaded::Attachment& attachment : loaded->attachments) {
    lessor_.Attach(attachment.lease, attachment.entry);
  }
  {
    std::lock_guard<std::mutex> lock(alarm_lock_);
    alarms_ = std::move(loaded->alarms);
  }
  applied_index_.store(loaded->state.applied_index);
  applied_term_.store(loaded->state.applied_term);
  revision_.store(loaded->state.revision);
  compact_revision_.store(loaded->state.compact_revision);
  std::lock_guard<std::mutex> lock(compaction_lock_);
  compaction_done_ = loaded->compacted;
}

}  // namespace balsa
