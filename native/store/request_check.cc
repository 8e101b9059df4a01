#include <set>
#include <string_view>

#include "store/requests.h"

namespace balsa {

namespace {

ErrorCode CheckShape(const TxnRequest& request, int64_t allowance) {
  auto operations = static_cast<int64_t>(
      std::max(request.compare.size(), std::max(request.success.size(), request.failure.size())));
  if (operations > allowance) return ErrorCode::kTooManyOps;
  for (const Compare& compare : request.compare) {
    if (compare.key.empty()) return ErrorCode::kEmptyKey;
  }
  for (const auto* ops : {&request.success, &request.failure}) {
    for (const RequestOp& op : *ops) {
      ErrorCode code = ErrorCode::kOk;
      switch (op.kind) {
        case RequestOp::Kind::kRange:
          code = CheckRange(op.range);
          break;
        case RequestOp::Kind::kPut:
          code = CheckPut(op.put);
          break;
        case RequestOp::Kind::kDeleteRange:
          code = CheckDeleteRange(op.delete_range);
          break;
        case RequestOp::Kind::kTxn:
          code = CheckShape(*op.txn, allowance - operations);
          break;
        case RequestOp::Kind::kNone:  // An operation this store does not know.
          code = ErrorCode::kKeyNotFound;
          break;
      }
      if (code != ErrorCode::kOk) return code;
    }
  }
  return ErrorCode::kOk;
}

struct Deletion {
  std::string_view key;
  std::string_view end;

  bool Covers(std::string_view point) const {
    if (end.empty()) return point == key;
    return point >= key && ((end.size() == 1 && end[0] == '\0') || point < end);
  }
};

struct Writes {
  std::set<std::string_view> puts;
  std::vector<Deletion> deletions;

  bool Deletes(std::string_view key) const {
    for (const Deletion& deletion : deletions) {
      if (deletion.Covers(key)) return true;
    }
    return false;
  }
};

/// No key may be put twice, or put and deleted, by what can happen in one transaction. The two branches of a nested one exclude each other.
ErrorCode CollectWrites(const std::vector<RequestOp>& ops, Writes* writes) {
  for (const RequestOp& op : ops) {
    if (op.kind == RequestOp::Kind::kDeleteRange) {
      writes->deletions.push_back({op.delete_range.key, op.delete_range.range_end});
    }
  }
  for (const RequestOp& op : ops) {
    if (op.kind != RequestOp::Kind::kTxn) continue;
    Writes success;
    Writes failure;
    if (ErrorCode code = CollectWrites(op.txn->success, &success); code != ErrorCode::kOk) return code;
    if (ErrorCode code = CollectWrites(op.txn->failure, &failure); code != ErrorCode::kOk) return code;
    for (const auto* branch : {&success, &failure}) {
      writes->deletions.insert(writes->deletions.end(), branch->deletions.begin(), branch->deletions.end());
    }
    for (std::string_view key : success.puts) {
      if (writes->puts.count(key) != 0 || writes->Deletes(key)) return ErrorCode::kDuplicateKey;
      writes->puts.insert(key);
    }
    for (std::string_view key : failure.puts) {
      if (writes->puts.count(key) != 0 && success.puts.count(key) == 0) return ErrorCode::kDuplicateKey;
      if (writes->Deletes(key)) return ErrorCode::kDuplicateKey;
      writes->puts.insert(key);
    }
  }
  for (const RequestOp& op : ops) {
    if (op.kind != RequestOp::Kind::kPut) continue;
    if (writes->puts.count(op.put.key) != 0 || writes->Deletes(op.put.key)) return ErrorCode::kDuplicateKey;
    writes->puts.insert(op.put.key);
  }
  return ErrorCode::kOk;
}

}  // namespace

ErrorCode CheckRange(const RangeRequest& request) {
  return request.key.empty() ? ErrorCode::kEmptyKey : ErrorCode::kOk;
}

ErrorCode CheckPut(const PutRequest& request) {
  if (request.key.empty()) return ErrorCode::kEmptyKey;
  if (request.ignore_value && !request.value.empty()) return ErrorCode::kValueProvided;
  if (request.ignore_lease && request.lease != 0) return ErrorCode::kLeaseProvided;
  return ErrorCode::kOk;
}

ErrorCode CheckDeleteRange(const DeleteRangeRequest& request) {
  return request.key.empty() ? ErrorCode::kEmptyKey : ErrorCode::kOk;
}

ErrorCode CheckTxn(const TxnRequest& request, int64_t max_operations) {
  if (ErrorCode code = CheckShape(request, max_operations); code != ErrorCode::kOk) return code;
  for (const auto* ops : {&request.success, &request.failure}) {
    Writes writes;
    if (ErrorCode code = CollectWrites(*ops, &writes); code != ErrorCode::kOk) return code;
  }
  return ErrorCode::kOk;
}

}  // namespace balsa
