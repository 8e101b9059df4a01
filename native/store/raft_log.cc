#include "store/raft_log.h"

#include <algorithm>
#include <cassert>

#include "store/coding.h"
#include "store/meta_keys.h"

namespace balsa {

namespace {

constexpr size_t kStoredHeader = 4 + 8 + 4;
constexpr size_t kPackedHeader = 24;

std::string LogKey(uint64_t index) {
  std::string key;
  AppendBig64(&key, index);
  return key;
}

uint32_t Checksum(uint64_t index, std::string_view rest) {
  char bytes[8];
  WriteLittle64(bytes, index);
  return Crc32c(Crc32c(0, {bytes, sizeof(bytes)}), rest);
}

rocksdb::Status Damaged(uint64_t index) {
  return rocksdb::Status::Corruption("raft log entry " + std::to_string(index) + " fails its checksum");
}

std::string EncodeHardState(const HardState& state) {
  std::string bytes;
  AppendLittle64(&bytes, state.term);
  AppendLittle64(&bytes, state.vote);
  AppendLittle64(&bytes, state.commit);
  return bytes;
}

}  // namespace

void EncodeLogRecord(const LogEntryView& entry, std::string* out) {
  out->clear();
  AppendLittle32(out, 0);
  AppendLittle64(out, entry.term);
  AppendLittle32(out, entry.type);
  out->append(entry.data);
  WriteLittle32(out->data(), Checksum(entry.index, std::string_view(*out).substr(4)));
}

bool DecodeLogRecord(uint64_t index, std::string_view stored, LogEntryView* entry) {
  if (stored.size() < kStoredHeader) return false;
  if (ReadLittle32(stored.data()) != Checksum(index, stored.substr(4))) return false;
  entry->index = index;
  entry->term = ReadLittle64(stored.data() + 4);
  entry->type = ReadLittle32(stored.data() + 12);
  entry->data = stored.substr(kStoredHeader);
  return true;
}

bool UnpackEntries(std::string_view packed, std::vector<LogEntryView>* entries) {
  while (!packed.empty()) {
    if (packed.size() < kPackedHeader) return false;
    double index = ReadDouble(packed.data());
    double term = ReadDouble(packed.data() + 8);
    uint32_t size = ReadLittle32(packed.data() + 16);
    if (!(index >= 1 && index < 9007199254740992.0) || !(term >= 0 && term < 9007199254740992.0)) return false;
    if (packed.size() - kPackedHeader < size) return false;
    LogEntryView entry;
    entry.index = static_cast<uint64_t>(index);
    entry.term = static_cast<uint64_t>(term);
    entry.type = ReadLittle32(packed.data() + 20);
    entry.data = packed.substr(kPackedHeader, size);
    if (!entries->empty() && entry.index != entries->back().index + 1) return false;
    entries->push_back(entry);
    packed.remove_prefix(kPackedHeader + size);
  }
  return true;
}

void PackEntry(const LogEntryView& entry, std::string* out) {
  char header[kPackedHeader];
  WriteDouble(header, static_cast<double>(entry.index));
  WriteDouble(header + 8, static_cast<double>(entry.term));
  WriteLittle32(header + 16, static_cast<uint32_t>(entry.data.size()));
  WriteLittle32(header + 20, entry.type);
  out->append(header, sizeof(header));
  out->append(entry.data);
}

rocksdb::Status RaftLog::Open(Database* database) {
  std::lock_guard<std::mutex> lock(lock_);
  database_ = database;
  state_ = LogState();
  rocksdb::PinnableSlice value;
  rocksdb::Status status = database->Get(database->meta(), rocksdb::Slice(meta_key::kHardState), &value);
  if (status.ok() && value.size() == 24) {
    state_.hard_state = {ReadLittle64(value.data()), ReadLittle64(value.data() + 8), ReadLittle64(value.data() + 16)};
  } else if (!status.IsNotFound()) {
    return status.ok() ? rocksdb::Status::Corruption("the hard state is malformed") : status;
  }
  value.Reset();
  status = database->Get(database->meta(), rocksdb::Slice(meta_key::kLogStart), &value);
  if (status.ok() && value.size() == 16) {
    state_.compacted_index = ReadLittle64(value.data());
    state_.compacted_term = ReadLittle64(value.data() + 8);
  } else if (!status.IsNotFound()) {
    return status.ok() ? rocksdb::Status::Corruption("the start of the raft log is malformed") : status;
  }
  state_.last_index = state_.compacted_index;
  auto it = database->NewIterator(database->log());
  it->SeekToLast();
  if (it->Valid()) {
    if (it->key().size() != 8) return rocksdb::Status::Corruption("the raft log holds a malformed key");
    state_.last_index = std::max(state_.last_index, ReadBig64(it->key().data()));
  }
  if (!it->status().ok()) return database->Check(it->status());
  if (state_.hard_state.commit > state_.last_index) {
    return rocksdb::Status::Corruption("the raft log ends at entry " + std::to_string(state_.last_index) +
                                       " but entry " + std::to_string(state_.hard_state.commit) + " was committed");
  }
  return rocksdb::Status::OK();
}

rocksdb::Status RaftLog::Append(const std::vector<LogEntryView>& entries, const HardState* hard_state) {
  std::lock_guard<std::mutex> lock(lock_);
  rocksdb::WriteBatch batch;
  LogState next = state_;
  if (!entries.empty()) {
    uint64_t first = entries.front().index;
    if (first > state_.last_index + 1 || first <= state_.compacted_index) {
      return rocksdb::Status::InvalidArgument("raft log append at " + std::to_string(first) + " to a log of " +
                                              std::to_string(state_.compacted_index + 1) + " to " +
                                              std::to_string(state_.last_index));
    }
    std::string value;
    for (const LogEntryView& entry : entries) {
      EncodeLogRecord(entry, &value);
      batch.Put(database_->log(), LogKey(entry.index), value);
    }
    next.last_index = entries.back().index;
    for (uint64_t index = next.last_index + 1; index <= state_.last_index; index++) {
      batch.Delete(database_->log(), LogKey(index));
    }
  }
  if (hard_state != nullptr) {
    next.hard_state = *hard_state;
    batch.Put(database_->meta(), rocksdb::Slice(meta_key::kHardState), EncodeHardState(*hard_state));
  }
  rocksdb::Status status = database_->Write(&batch);
  if (status.ok()) state_ = next;
  return status;
}

rocksdb::Status RaftLog::Read(uint64_t from, uint64_t to, uint64_t max_bytes, std::string* packed) const {
  LogState state = this->state();
  if (from <= state.compacted_index || to > state.last_index + 1 || from > to) {
    return rocksdb::Status::InvalidArgument("raft log read of " + std::to_string(from) + " to " + std::to_string(to) +
                                            " from a log of " + std::to_string(state.compacted_index + 1) + " to " +
                                            std::to_string(state.last_index));
  }
  if (from == to) return rocksdb::Status::OK();
  auto it = database_->NewIterator(database_->log());
  uint64_t bytes = 0;
  uint64_t index = from;
  for (it->Seek(LogKey(from)); it->Valid() && index < to; it->Next(), index++) {
    LogEntryView entry;
    if (it->key().size() != 8 || ReadBig64(it->key().data()) != index) break;
    if (!DecodeLogRecord(index, it->value().ToStringView(), &entry)) return database_->Check(Damaged(index));
    bytes += entry.data.size();
    if (index != from && bytes > max_bytes) return rocksdb::Status::OK();
    PackEntry(entry, packed);
  }
  if (!it->status().ok()) return database_->Check(it->status());
  // The log is continuous; a gap is damage, unless the log was cut while it was read.
  if (index < to && index > this->state().compacted_index && index <= this->state().last_index) {
    return database_->Check(rocksdb::Status::Corruption("raft log entry " + std::to_string(index) + " is missing"));
  }
  return rocksdb::Status::OK();
}

rocksdb::Status RaftLog::Term(uint64_t index, uint64_t* term) const {
  LogState state = this->state();
  if (index == state.compacted_index) {
    *term = state.compacted_term;
    return rocksdb::Status::OK();
  }
  if (index < state.compacted_index || index > state.last_index) return rocksdb::Status::NotFound();
  rocksdb::PinnableSlice value;
  LogEntryView entry;
  rocksdb::Status status = ReadEntry(index, &value, &entry);
  if (status.ok()) *term = entry.term;
  return status;
}

rocksdb::Status RaftLog::ReadEntry(uint64_t index, rocksdb::PinnableSlice* value, LogEntryView* entry) const {
  rocksdb::Status status = database_->Get(database_->log(), LogKey(index), value);
  if (status.ok() && !DecodeLogRecord(index, value->ToStringView(), entry)) return database_->Check(Damaged(index));
  return status;
}

void RaftLog::WriteStart(Database* database, rocksdb::WriteBatch* batch, uint64_t index, uint64_t term,
                         const HardState& hard_state) {
  std::string start;
  AppendLittle64(&start, index);
  AppendLittle64(&start, term);
  batch->Put(database->meta(), rocksdb::Slice(meta_key::kLogStart), start);
  batch->Put(database->meta(), rocksdb::Slice(meta_key::kHardState), EncodeHardState(hard_state));
}

rocksdb::Status RaftLog::Compact(uint64_t index) {
  uint64_t term = 0;
  rocksdb::Status status = Term(index, &term);
  if (status.IsNotFound()) {
    return index < state().compacted_index
               ? rocksdb::Status::OK()
               : rocksdb::Status::InvalidArgument("raft log compaction beyond its end, at " + std::to_string(index));
  }
  if (!status.ok()) return status;
  std::lock_guard<std::mutex> lock(lock_);
  if (index <= state_.compacted_index) return rocksdb::Status::OK();
  rocksdb::WriteBatch batch;
  std::string start;
  AppendLittle64(&start, index);
  AppendLittle64(&start, term);
  batch.Put(database_->meta(), rocksdb::Slice(meta_key::kLogStart), start);
  batch.DeleteRange(database_->log(), LogKey(state_.compacted_index), LogKey(index + 1));
  status = database_->Write(&batch);
  if (status.ok()) {
    state_.compacted_index = index;
    state_.compacted_term = term;
  }
  return status;
}

LogState RaftLog::state() const {
  std::lock_guard<std::mutex> lock(lock_);
  return state_;
}

}  // namespace balsa
