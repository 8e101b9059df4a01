// Commands that change something else than keys.
#include "store/apply_batch.h"
#include "store/coding.h"
#include "store/meta_keys.h"

namespace balsa {

ErrorCode ApplyBatch::Compact(std::string_view bytes, std::string* response) {
  int64_t revision = 0;
  if (!DecodeCompaction(bytes, &revision)) return ErrorCode::kInvalidArgument;
  if (revision <= compact_revision_) return ErrorCode::kCompacted;
  if (revision > begin_revision_) return ErrorCode::kFutureRevision;
  std::string value;
  AppendLittle64(&value, static_cast<uint64_t>(revision));
  batch_.Put(store_->database_->meta(), rocksdb::Slice(meta_key::kCompact), value);
  compact_revision_ = revision;
  Header(begin_revision_).AppendTo(response);
  return ErrorCode::kOk;
}

ErrorCode ApplyBatch::GrantLease(std::string_view bytes, std::string* response) {
  int64_t id = 0;
  int64_t ttl = 0;
  if (!DecodeLeaseGrant(bytes, &id, &ttl)) return ErrorCode::kInvalidArgument;
  int64_t granted = 0;
  ErrorCode error = store_->lessor_.Grant(id, ttl, &granted);
  if (error != ErrorCode::kOk) return error;
  std::string value;
  AppendLittle64(&value, static_cast<uint64_t>(granted));
  AppendLittle64(&value, 0);
  batch_.Put(store_->database_->meta(), meta_key::Lease(id), value);
  Header(begin_revision_).AppendTo(response);
  AppendIntField(response, 2, static_cast<uint64_t>(id));
  AppendIntField(response, 3, static_cast<uint64_t>(granted));
  return ErrorCode::kOk;
}

ErrorCode ApplyBatch::RevokeLease(std::string_view bytes, std::string* response) {
  int64_t id = 0;
  if (!DecodeLeaseRevoke(bytes, &id)) return ErrorCode::kInvalidArgument;
  if (!store_->lessor_.Exists(id)) return ErrorCode::kLeaseNotFound;
  // All its keys go in one revision, in order of key, so that every member numbers them alike.
  for (KeyEntry* entry : store_->lessor_.Keys(id)) DeleteKey(entry);
  store_->lessor_.Remove(id);
  batch_.Delete(store_->database_->meta(), meta_key::Lease(id));
  Header(read_revision()).AppendTo(response);
  return ErrorCode::kOk;
}

ErrorCode ApplyBatch::CheckpointLeases(std::string_view bytes, std::string* response) {
  std::vector<LeaseCheckpoint> checkpoints;
  if (!DecodeLeaseCheckpoint(bytes, &checkpoints)) return ErrorCode::kInvalidArgument;
  for (const LeaseCheckpoint& checkpoint : checkpoints) {
    int64_t ttl = 0;
    // Revoked meanwhile: nothing to keep.
    if (!store_->lessor_.Checkpoint(checkpoint.id, checkpoint.remaining_ttl, &ttl)) continue;
    std::string value;
    AppendLittle64(&value, static_cast<uint64_t>(ttl));
    AppendLittle64(&value, static_cast<uint64_t>(checkpoint.remaining_ttl));
    batch_.Put(store_->database_->meta(), meta_key::Lease(checkpoint.id), value);
  }
  Header(begin_revision_).AppendTo(response);
  return ErrorCode::kOk;
}

ErrorCode ApplyBatch::Alarm(std::string_view bytes, std::string* response) {
  AlarmRequest request;
  if (!DecodeAlarm(bytes, &request)) return ErrorCode::kInvalidArgument;
  std::vector<std::pair<uint64_t, AlarmType>> answer;
  std::lock_guard<std::mutex> lock(store_->alarm_lock_);
  std::pair<uint64_t, AlarmType> alarm(request.member, request.alarm);
  std::string key = meta_key::Alarm(request.member, static_cast<uint32_t>(request.alarm));
  switch (request.action) {
    case AlarmRequest::Action::kGet:
      for (const auto& active : store_->alarms_) {
        if (request.alarm == AlarmType::kNone || active.second == request.alarm) answer.push_back(active);
      }
      break;
    case AlarmRequest::Action::kActivate:
      if (request.alarm == AlarmType::kNone) break;
      if (store_->alarms_.insert(alarm).second) batch_.Put(store_->database_->meta(), key, rocksdb::Slice());
      answer.push_back(alarm);
      break;
    case AlarmRequest::Action::kDeactivate:
      if (store_->alarms_.erase(alarm) == 0) break;
      batch_.Delete(store_->database_->meta(), key);
      answer.push_back(alarm);
      break;
  }
  Header(begin_revision_).AppendTo(response);
  for (const auto& active : answer) {
    std::string member;
    AppendIntField(&member, 1, active.first);
    AppendIntField(&member, 2, static_cast<uint64_t>(active.second));
    AppendMessageField(response, 2, member);
  }
  return ErrorCode::kOk;
}

void ApplyBatch::WriteMeta(const std::vector<MetaWrite>& writes) {
  for (const MetaWrite& write : writes) {
    if (write.is_delete) {
      batch_.Delete(store_->database_->meta(), meta_key::User(write.key));
    } else {
      batch_.Put(store_->database_->meta(), meta_key::User(write.key), rocksdb::Slice(write.value.data(), write.value.size()));
    }
  }
}

}  // namespace balsa
