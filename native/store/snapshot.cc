#include "store/snapshot.h"

#include "store/coding.h"
#include "store/directory.h"
#include "store/load.h"
#include "store/meta_keys.h"

namespace balsa {

namespace {

constexpr std::string_view kMagic = "BALSASNP";
constexpr size_t kPieceBytes = size_t{1} << 20;

enum PieceKind : char { kHeadPiece = 'H', kRecordsPiece = 'R', kEndPiece = 'E' };

/// Records of `meta` that belong to this member alone, not to the replicated state.
bool Local(std::string_view key) {
  return key == meta_key::kHardState || key == meta_key::kLogStart || key == meta_key::kFormat;
}

void Seal(std::string* piece) { WriteLittle32(piece->data(), Crc32c(0, std::string_view(*piece).substr(4))); }

std::string BeginPiece(PieceKind kind) {
  std::string piece(4, '\0');
  piece.push_back(kind);
  return piece;
}

rocksdb::Status Bad(const char* what) { return rocksdb::Status::Corruption(std::string("the snapshot ") + what); }

}  // namespace

SnapshotReader::SnapshotReader(Store* store) : database_(store->database()) {
  snapshot_ = database_->db()->GetSnapshot();
  // What the view itself says; the store may have moved on since the line above.
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  rocksdb::PinnableSlice value;
  if (database_->db()->Get(options, database_->meta(), rocksdb::Slice(meta_key::kApplied), &value).ok() && value.size() == 24) {
    state_.applied_index = ReadLittle64(value.data());
    state_.applied_term = ReadLittle64(value.data() + 8);
    state_.revision = static_cast<int64_t>(ReadLittle64(value.data() + 16));
  }
  value.Reset();
  if (database_->db()->Get(options, database_->meta(), rocksdb::Slice(meta_key::kCompact), &value).ok() && value.size() == 8) {
    state_.compact_revision = static_cast<int64_t>(ReadLittle64(value.data()));
  }
}

SnapshotReader::~SnapshotReader() {
  iterator_.reset();
  database_->db()->ReleaseSnapshot(snapshot_);
}

void SnapshotReader::Append(char family, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string* piece) {
  piece->push_back(family);
  AppendLittle32(piece, static_cast<uint32_t>(key.size()));
  AppendLittle32(piece, static_cast<uint32_t>(value.size()));
  piece->append(key.data(), key.size());
  piece->append(value.data(), value.size());
  records_++;
}

rocksdb::Status SnapshotReader::Read(std::string* piece) {
  piece->clear();
  if (stage_ == Stage::kDone) return rocksdb::Status::OK();
  if (stage_ == Stage::kHead) {
    *piece = BeginPiece(kHeadPiece);
    piece->append(kMagic);
    AppendLittle32(piece, kFormatVersion);
    AppendLittle64(piece, state_.applied_index);
    AppendLittle64(piece, state_.applied_term);
    AppendLittle64(piece, static_cast<uint64_t>(state_.revision));
    Seal(piece);
    stage_ = Stage::kRevisions;
    return rocksdb::Status::OK();
  }
  *piece = BeginPiece(kRecordsPiece);
  while (stage_ == Stage::kRevisions || stage_ == Stage::kMeta) {
    if (!iterator_) {
      rocksdb::ReadOptions options;
      options.snapshot = snapshot_;
      options.fill_cache = false;
      iterator_ = database_->NewIterator(stage_ == Stage::kMeta ? database_->meta() : database_->revisions(), options);
      iterator_->SeekToFirst();
    }
    for (; iterator_->Valid(); iterator_->Next()) {
      if (piece->size() >= kPieceBytes) {
        Seal(piece);
        return rocksdb::Status::OK();
      }
      if (stage_ == Stage::kMeta && Local(iterator_->key().ToStringView())) continue;
      Append(stage_ == Stage::kMeta ? 'm' : 'r', iterator_->key(), iterator_->value(), piece);
    }
    rocksdb::Status status = database_->Check(iterator_->status());
    if (!status.ok()) return status;
    iterator_.reset();
    stage_ = stage_ == Stage::kRevisions ? Stage::kMeta : Stage::kEnd;
  }
  if (piece->size() > 5) {
    Seal(piece);
    return rocksdb::Status::OK();
  }
  *piece = BeginPiece(kEndPiece);
  AppendLittle64(piece, records_);
  Seal(piece);
  stage_ = Stage::kDone;
  return rocksdb::Status::OK();
}

bool NextSnapshotRecord(std::string_view* records, bool* meta, std::string_view* key, std::string_view* value) {
  if (records->size() < 9) return false;
  char family = (*records)[0];
  uint64_t key_size = ReadLittle32(records->data() + 1);
  uint64_t value_size = ReadLittle32(records->data() + 5);
  records->remove_prefix(9);
  if (records->size() < key_size + value_size || (family != 'r' && family != 'm')) return false;
  *meta = family == 'm';
  *key = records->substr(0, key_size);
  *value = records->substr(key_size, value_size);
  records->remove_prefix(key_size + value_size);
  return !(*meta && Local(*key));
}

rocksdb::Status SnapshotWriter::Begin(std::string_view head) {
  if (head.size() != kMagic.size() + 4 + 24 || head.substr(0, kMagic.size()) != kMagic) return Bad("is none of this store's");
  const char* at = head.data() + kMagic.size();
  if (ReadLittle32(at) > kFormatVersion) return rocksdb::Status::NotSupported("the snapshot is of a newer format");
  state_.applied_index = ReadLittle64(at + 4);
  state_.applied_term = ReadLittle64(at + 12);
  state_.revision = static_cast<int64_t>(ReadLittle64(at + 20));
  rocksdb::Status status = store_->PrepareInstall(&directory_);
  if (!status.ok()) return status;
  StoreOptions options = store_->options();
  options.create = true;
  return Database::Open(directory_, options, &database_);
}

rocksdb::Status SnapshotWriter::Write(std::string_view piece) {
  if (piece.size() < 5 || ReadLittle32(piece.data()) != Crc32c(0, piece.substr(4))) return Bad("is damaged");
  char kind = piece[4];
  piece.remove_prefix(5);
  if (complete_) return Bad("goes on after its end");
  if (kind == kHeadPiece) return database_ ? Bad("begins twice") : Begin(piece);
  if (!database_) return Bad("has no beginning");
  if (kind == kEndPiece) {
    if (piece.size() != 8 || ReadLittle64(piece.data()) != records_) return Bad("is incomplete");
    complete_ = true;
    return rocksdb::Status::OK();
  }
  if (kind != kRecordsPiece) return Bad("has a piece of an unknown kind");
  rocksdb::WriteBatch batch;
  while (!piece.empty()) {
    bool meta = false;
    std::string_view key;
    std::string_view value;
    if (!NextSnapshotRecord(&piece, &meta, &key, &value)) return Bad("is malformed");
    batch.Put(meta ? database_->meta() : database_->revisions(), rocksdb::Slice(key.data(), key.size()),
              rocksdb::Slice(value.data(), value.size()));
    records_++;
  }
  return database_->Write(&batch);
}

rocksdb::Status SnapshotWriter::Finish(const HardState& hard_state) {
  if (!database_ || !complete_) return Bad("is incomplete");
  rocksdb::WriteBatch batch;
  std::string format;
  AppendLittle32(&format, kFormatVersion);
  batch.Put(database_->meta(), rocksdb::Slice(meta_key::kFormat), format);
  HardState state = hard_state;
  // The log is empty after the snapshot; what it holds was committed.
  state.commit = state_.applied_index;
  RaftLog::WriteStart(database_.get(), &batch, state_.applied_index, state_.applied_term, state);
  rocksdb::Status status = database_->Write(&batch);
  if (status.ok()) {
    status = database_->Check(database_->db()->Flush(
        rocksdb::FlushOptions(), {database_->log(), database_->revisions(), database_->meta()}));
  }
  if (status.ok()) status = database_->Sync();
  if (!status.ok()) return status;
  database_.reset();
  return store_->SwitchTo(directory_);
}

void SnapshotWriter::Abort() {
  database_.reset();
  // A leftover is removed by the next installation or start.
  if (!directory_.empty()) RemoveDirectory(directory_).PermitUncheckedError();
  directory_.clear();
}

rocksdb::Status Store::PrepareInstall(std::string* directory) {
  std::string active = active_directory_.substr(path_.size() + 1);
  *directory = path_ + "/" + NextStateName(active);
  return RemoveDirectory(*directory);
}

rocksdb::Status Store::SwitchTo(const std::string& directory) {
  StoreOptions options = options_;
  options.create = false;
  std::unique_ptr<Database> opened;
  rocksdb::Status status = Database::Open(directory, options, &opened);
  if (!status.ok()) return status;
  std::shared_ptr<Database> database(std::move(opened));
  Loaded loaded;
  status = Load(database.get(), options_, &loaded);
  if (!status.ok()) return status;

  std::lock_guard<std::mutex> writer(writer_lock_);
  std::unique_lock<std::shared_mutex> alone(state_lock_);
  status = log_.Open(database.get());
  if (status.ok()) status = WriteActive(path_, directory.substr(path_.size() + 1));
  if (!status.ok()) {
    // The old state goes on.
    log_.Open(database_.get()).PermitUncheckedError();
    return status;
  }
  std::shared_ptr<Database> old = this->database();
  std::string old_directory = active_directory_;
  active_directory_ = directory;
  int64_t revision = loaded.state.revision;
  Adopt(std::move(database), &loaded);
  alone.unlock();
  watch_->Reset(revision);
  if (compact_revision_.load() > compaction_done_) ScheduleCompaction();
  // A snapshot being read from it keeps the old one open; then the next start removes its files.
  if (old.use_count() == 1) {
    old.reset();
    RemoveDirectory(old_directory).PermitUncheckedError();
  }
  return status;
}

}  // namespace balsa
