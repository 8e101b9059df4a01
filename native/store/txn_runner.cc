#include "store/txn_runner.h"

namespace balsa {

namespace {

class TxnRun {
 public:
  explicit TxnRun(TxnState* state) : state_(state) {}

  rocksdb::Status ChoosePaths(const TxnRequest& request) {
    size_t at = paths_.size();
    paths_.push_back(false);
    bool holds = true;
    for (const Compare& compare : request.compare) {
      rocksdb::Status status = Holds(compare, &holds);
      if (!status.ok()) return status;
      if (!holds) break;
    }
    paths_[at] = holds;
    for (const RequestOp& op : holds ? request.success : request.failure) {
      if (op.kind != RequestOp::Kind::kTxn) continue;
      rocksdb::Status status = ChoosePaths(*op.txn);
      if (!status.ok()) return status;
    }
    return rocksdb::Status::OK();
  }

  /// What could fail is found before anything changes.
  rocksdb::Status Check(const TxnRequest& request, size_t* path, ErrorCode* error) {
    for (const RequestOp& op : Branch(request, path)) {
      rocksdb::Status status;
      switch (op.kind) {
        case RequestOp::Kind::kRange:
          *error = CheckRevision(op.range.revision);
          break;
        case RequestOp::Kind::kPut:
          status = CheckPutOp(op.put, error);
          break;
        case RequestOp::Kind::kTxn:
          status = Check(*op.txn, path, error);
          break;
        default:
          break;
      }
      if (!status.ok() || *error != ErrorCode::kOk) return status;
    }
    return rocksdb::Status::OK();
  }

  rocksdb::Status Run(const TxnRequest& request, size_t* path, std::string* response) {
    bool succeeded = paths_[*path];
    AppendIntField(response, 2, succeeded ? 1 : 0);
    for (const RequestOp& op : Branch(request, path)) {
      std::string answer;
      rocksdb::Status status;
      uint32_t field = 0;
      switch (op.kind) {
        case RequestOp::Kind::kRange: {
          field = 1;
          RangeOutcome outcome;
          status = state_->Read(op.range, &outcome);
          if (status.ok()) {
            ResponseHeader header;
            header.revision = outcome.revision;
            AppendRangeResponse(&answer, header, outcome, op.range.keys_only);
          }
          break;
        }
        case RequestOp::Kind::kPut:
          field = 2;
          status = state_->Put(op.put, &answer);
          break;
        case RequestOp::Kind::kDeleteRange:
          field = 3;
          status = state_->DeleteRange(op.delete_range, &answer);
          break;
        case RequestOp::Kind::kTxn:
          field = 4;
          ResponseHeader().AppendTo(&answer);
          status = Run(*op.txn, path, &answer);
          break;
        case RequestOp::Kind::kNone:
          AppendMessageField(response, 3, {});
          continue;
      }
      if (!status.ok()) return status;
      std::string wrapped;
      AppendMessageField(&wrapped, field, answer);
      AppendMessageField(response, 3, wrapped);
    }
    return rocksdb::Status::OK();
  }

 private:
  const std::vector<RequestOp>& Branch(const TxnRequest& request, size_t* path) {
    return paths_[(*path)++] ? request.success : request.failure;
  }

  ErrorCode CheckRevision(int64_t revision) {
    if (revision == 0) return ErrorCode::kOk;
    if (revision > state_->revision()) return ErrorCode::kFutureRevision;
    if (revision < state_->compact_revision()) return ErrorCode::kCompacted;
    return ErrorCode::kOk;
  }

  rocksdb::Status CheckPutOp(const PutRequest& put, ErrorCode* error) {
    if (put.key.empty()) *error = ErrorCode::kEmptyKey;
    if (put.ignore_value || put.ignore_lease) {
      RangeRequest range;
      range.key = put.key;
      RangeOutcome outcome;
      rocksdb::Status status = state_->Read(range, &outcome);
      if (!status.ok()) return status;
      if (outcome.records.empty()) *error = ErrorCode::kKeyNotFound;
    }
    if (*error == ErrorCode::kOk && put.lease != 0 && !state_->LeaseExists(put.lease)) *error = ErrorCode::kLeaseNotFound;
    return rocksdb::Status::OK();
  }

  rocksdb::Status Holds(const Compare& compare, bool* holds) {
    RangeRequest range;
    range.key = compare.key;
    range.range_end = compare.range_end;
    RangeOutcome outcome;
    rocksdb::Status status = state_->Read(range, &outcome);
    if (!status.ok()) return status;
    if (outcome.records.empty()) {
      // A missing key has version and revisions 0, but no value: not even an empty one.
      *holds = compare.target != Compare::Target::kValue && HoldsFor(compare, KeyValueView());
      return status;
    }
    *holds = true;
    for (const RecordRef& record : outcome.records) {
      if (!HoldsFor(compare, record->view())) {
        *holds = false;
        break;
      }
    }
    return status;
  }

  static bool HoldsFor(const Compare& compare, const KeyValueView& kv) {
    int order = 0;
    auto number = [&](int64_t value) { order = value < compare.number ? -1 : value > compare.number ? 1 : 0; };
    switch (compare.target) {
      case Compare::Target::kVersion:
        number(kv.version);
        break;
      case Compare::Target::kCreate:
        number(kv.create_revision);
        break;
      case Compare::Target::kMod:
        number(kv.mod_revision);
        break;
      case Compare::Target::kLease:
        number(kv.lease);
        break;
      case Compare::Target::kValue:
        order = kv.value.compare(compare.value);
        break;
    }
    switch (compare.result) {
      case Compare::Result::kEqual:
        return order == 0;
      case Compare::Result::kNotEqual:
        return order != 0;
      case Compare::Result::kGreater:
        return order > 0;
      case Compare::Result::kLess:
        return order < 0;
    }
    return false;
  }

  TxnState* state_;
  std::vector<bool> paths_;
};

}  // namespace

bool TxnIsReadOnly(const TxnRequest& request) {
  for (const auto* ops : {&request.success, &request.failure}) {
    for (const RequestOp& op : *ops) {
      if (op.kind == RequestOp::Kind::kPut || op.kind == RequestOp::Kind::kDeleteRange) return false;
      if (op.kind == RequestOp::Kind::kTxn && !TxnIsReadOnly(*op.txn)) return false;
    }
  }
  return true;
}

bool TxnPuts(const TxnRequest& request) {
  for (const auto* ops : {&request.success, &request.failure}) {
    for (const RequestOp& op : *ops) {
      if (op.kind == RequestOp::Kind::kPut) return true;
      if (op.kind == RequestOp::Kind::kTxn && TxnPuts(*op.txn)) return true;
    }
  }
  return false;
}

rocksdb::Status RunTxn(const TxnRequest& request, TxnState* state, ErrorCode* error, std::string* response) {
  *error = ErrorCode::kOk;
  TxnRun run(state);
  rocksdb::Status status = run.ChoosePaths(request);
  if (!status.ok()) return status;
  size_t path = 0;
  status = run.Check(request, &path, error);
  if (!status.ok() || *error != ErrorCode::kOk) return status;
  path = 0;
  return run.Run(request, &path, response);
}

}  // namespace balsa
