#include "store/coding.h"
#include "store/store.h"

#include "store/apply_batch.h"

namespace balsa {

namespace {

constexpr size_t kResultHeader = 32;

/// One result as JavaScript reads it (daemon/store/native-packing.ts).
void PackResult(uint64_t index, const Command& command, bool mine, ErrorCode error, std::string_view response,
                std::string* out) {
  char header[kResultHeader] = {};
  WriteDouble(header, static_cast<double>(index));
  WriteDouble(header + 8, static_cast<double>(command.proposal));
  WriteLittle32(header + 16, mine ? 1 : 0);
  WriteLittle32(header + 20, static_cast<uint32_t>(error));
  WriteLittle32(header + 24, static_cast<uint32_t>(response.size()));
  out->append(header, sizeof(header));
  out->append(response);
  out->append((8 - response.size() % 8) % 8, '\0');
}

}  // namespace

rocksdb::Status Store::Apply(const std::vector<LogEntryView>& entries, uint64_t raft_term,
                             const std::vector<MetaWrite>& meta, std::string* packed_results) {
  std::lock_guard<std::mutex> writer(writer_lock_);
  std::shared_lock<std::shared_mutex> hold(state_lock_);
  rocksdb::Status status = database_->health();
  if (!status.ok()) return status;
  uint64_t applied = applied_index_.load(std::memory_order_relaxed);
  uint64_t term = applied_term_.load(std::memory_order_relaxed);
  ApplyBatch batch(this, raft_term);
  std::string response;
  for (const LogEntryView& entry : entries) {
    if (entry.index <= applied) continue;
    if (entry.index != applied + 1) {
      // Refused before anything of the batch was written; but the index has moved, so nothing may follow.
      status = rocksdb::Status::InvalidArgument("entry " + std::to_string(entry.index) + " cannot follow applied entry " +
                                                std::to_string(applied));
      return applied == applied_index_.load() ? status : database_->Check(status);
    }
    applied = entry.index;
    term = entry.term;
    if (entry.type != 0 || entry.data.empty()) continue;
    Command command;
    ErrorCode error = ErrorCode::kOk;
    response.clear();
    if (!DecodeCommand(entry.data, &command)) {
      // The same bytes on every member, so the same refusal.
      command = Command();
      error = ErrorCode::kInvalidArgument;
    } else {
      status = batch.Run(command, &error, &response);
      if (!status.ok()) return database_->Check(status);
      if (error != ErrorCode::kOk) response.clear();
    }
    bool mine = command.proposer == member_id_.load(std::memory_order_relaxed);
    PackResult(entry.index, command, mine, error, response, packed_results);
  }
  if (applied == applied_index_.load(std::memory_order_relaxed) && meta.empty()) return status;
  batch.WriteMeta(meta);
  return batch.Commit(applied, term);
}

StoreState Store::state() const {
  StoreState state;
  state.compact_revision = compact_revision_.load(std::memory_order_acquire);
  state.revision = revision_.load(std::memory_order_acquire);
  state.applied_index = applied_index_.load(std::memory_order_acquire);
  state.applied_term = applied_term_.load(std::memory_order_acquire);
  return state;
}

ResponseHeader Store::Header(uint64_t raft_term) const {
  ResponseHeader header;
  header.cluster_id = cluster_id_.load(std::memory_order_relaxed);
  header.member_id = member_id_.load(std::memory_order_relaxed);
  header.revision = revision_.load(std::memory_order_acquire);
  header.raft_term = raft_term;
  return header;
}

}  // namespace balsa
