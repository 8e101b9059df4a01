#include "store/model_test.h"

#include <algorithm>

namespace balsa::testing {

namespace {

bool Covers(std::string_view key, std::string_view end, std::string_view point) {
  if (end.empty()) return point == key;
  return point >= key && (end == std::string_view("\0", 1) || point < end);
}

int Compare3(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

bool Holds(const Compare& compare, const Model::Version& version) {
  int order = 0;
  switch (compare.target) {
    case Compare::Target::kVersion:
      order = Compare3(version.version, compare.number);
      break;
    case Compare::Target::kCreate:
      order = Compare3(version.create_revision, compare.number);
      break;
    case Compare::Target::kMod:
      order = Compare3(version.main, compare.number);
      break;
    case Compare::Target::kLease:
      order = Compare3(version.lease, compare.number);
      break;
    case Compare::Target::kValue:
      order = std::string_view(version.value).compare(compare.value);
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

}  // namespace

void Model::Write(const std::string& key, Version version) {
  auto& versions = keys_[key];
  if (!versions.empty() && !versions.back().tombstone && versions.back().lease != 0) {
    leases[versions.back().lease].erase(key);
  }
  if (version.lease != 0) leases[version.lease].insert(key);
  versions.push_back(std::move(version));
  changed_ = true;
}

std::vector<Model::Found> Model::At(std::string_view key, std::string_view end, int64_t revision_at) const {
  std::vector<Found> found;
  for (const auto& [name, versions] : keys_) {
    if (!Covers(key, end, name)) continue;
    const Version* newest = nullptr;
    for (const Version& version : versions) {
      if (version.main <= revision_at) newest = &version;
    }
    if (newest != nullptr && !newest->tombstone) found.push_back({name, *newest});
  }
  return found;
}

ErrorCode Model::CheckPut(const PutRequest& request) const {
  if ((request.ignore_value || request.ignore_lease) && At(request.key, {}, INT64_MAX).empty()) {
    return ErrorCode::kKeyNotFound;
  }
  if (request.lease != 0 && leases.count(request.lease) == 0) return ErrorCode::kLeaseNotFound;
  return ErrorCode::kOk;
}

ErrorCode Model::Put(const PutRequest& request) {
  ErrorCode error = CheckPut(request);
  // A lease is looked at first when the put stands alone.
  if (request.lease != 0 && leases.count(request.lease) == 0) error = ErrorCode::kLeaseNotFound;
  if (error != ErrorCode::kOk) return error;
  RequestOp op;
  op.kind = RequestOp::Kind::kPut;
  op.put = request;
  std::vector<RequestOp> ops;
  ops.push_back(std::move(op));
  size_t path = 0;
  Execute(ops, {}, &path);
  End();
  return ErrorCode::kOk;
}

int64_t Model::DeleteRange(std::string_view key, std::string_view end) {
  auto found = At(key, end, INT64_MAX);
  for (const Found& one : found) Write(one.key, {revision + 1, true, {}, 0, 0, 0});
  End();
  return static_cast<int64_t>(found.size());
}

bool Model::Compares(const TxnRequest& request) const {
  for (const Compare& compare : request.compare) {
    auto found = At(compare.key, compare.range_end, INT64_MAX);
    if (found.empty()) {
      if (compare.target == Compare::Target::kValue || !Holds(compare, Version{0, false, {}, 0, 0, 0})) return false;
    }
    for (const Found& one : found) {
      if (!Holds(compare, one.version)) return false;
    }
  }
  return true;
}

void Model::Choose(const TxnRequest& request, std::vector<bool>* paths) const {
  bool holds = Compares(request);
  paths->push_back(holds);
  for (const RequestOp& op : holds ? request.success : request.failure) {
    if (op.kind == RequestOp::Kind::kTxn) Choose(*op.txn, paths);
  }
}

ErrorCode Model::Check(const TxnRequest& request, const std::vector<bool>& paths, size_t* path) const {
  for (const RequestOp& op : paths[(*path)++] ? request.success : request.failure) {
    ErrorCode error = ErrorCode::kOk;
    if (op.kind == RequestOp::Kind::kPut) error = CheckPut(op.put);
    if (op.kind == RequestOp::Kind::kTxn) error = Check(*op.txn, paths, path);
    if (op.kind == RequestOp::Kind::kRange && op.range.revision != 0) {
      if (op.range.revision > revision) error = ErrorCode::kFutureRevision;
      if (op.range.revision < compact_revision) error = ErrorCode::kCompacted;
    }
    if (error != ErrorCode::kOk) return error;
  }
  return ErrorCode::kOk;
}

void Model::Execute(const std::vector<RequestOp>& ops, const std::vector<bool>& paths, size_t* path) {
  for (const RequestOp& op : ops) {
    if (op.kind == RequestOp::Kind::kTxn) {
      bool holds = paths[(*path)++];
      Execute(holds ? op.txn->success : op.txn->failure, paths, path);
    } else if (op.kind == RequestOp::Kind::kDeleteRange) {
      for (const Found& one : At(op.delete_range.key, op.delete_range.range_end, INT64_MAX)) {
        Write(one.key, {revision + 1, true, {}, 0, 0, 0});
      }
    } else if (op.kind == RequestOp::Kind::kPut) {
      Version version{revision + 1, false, std::string(op.put.value), revision + 1, 1, op.put.lease};
      auto found = At(op.put.key, {}, INT64_MAX);
      if (!found.empty()) {
        version.create_revision = found[0].version.create_revision;
        version.version = found[0].version.version + 1;
        if (op.put.ignore_value) version.value = found[0].version.value;
        if (op.put.ignore_lease) version.lease = found[0].version.lease;
      }
      Write(std::string(op.put.key), std::move(version));
    }
  }
}

ErrorCode Model::Txn(const TxnRequest& request) {
  std::vector<bool> paths;
  Choose(request, &paths);
  size_t path = 0;
  ErrorCode error = Check(request, paths, &path);
  if (error != ErrorCode::kOk) return error;
  path = 1;
  Execute(paths[0] ? request.success : request.failure, paths, &path);
  End();
  return ErrorCode::kOk;
}

ErrorCode Model::Compact(int64_t at) {
  if (at <= compact_revision) return ErrorCode::kCompacted;
  if (at > revision) return ErrorCode::kFutureRevision;
  compact_revision = at;
  return ErrorCode::kOk;
}

ErrorCode Model::Grant(int64_t id) {
  if (id == 0) return ErrorCode::kLeaseNotFound;
  return leases.try_emplace(id).second ? ErrorCode::kOk : ErrorCode::kLeaseExists;
}

ErrorCode Model::Revoke(int64_t id) {
  auto it = leases.find(id);
  if (it == leases.end()) return ErrorCode::kLeaseNotFound;
  std::set<std::string> keys = it->second;
  for (const std::string& key : keys) Write(key, {revision + 1, true, {}, 0, 0, 0});
  leases.erase(id);
  End();
  return ErrorCode::kOk;
}

std::vector<Model::Found> Model::Range(const RangeRequest& request, ErrorCode* error, int64_t* count,
                                       bool* more) const {
  *error = ErrorCode::kOk;
  *count = 0;
  *more = false;
  int64_t at = request.revision <= 0 ? revision : request.revision;
  if (at > revision) *error = ErrorCode::kFutureRevision;
  if (*error == ErrorCode::kOk && at < compact_revision) *error = ErrorCode::kCompacted;
  if (*error != ErrorCode::kOk) return {};
  std::vector<Found> found = At(request.key, request.range_end, at);
  *count = static_cast<int64_t>(found.size());
  if (request.count_only) return {};
  bool bounded = request.min_mod_revision != 0 || request.max_mod_revision != 0 || request.min_create_revision != 0 ||
                 request.max_create_revision != 0;
  if (request.limit > 0 && request.sort_order == SortOrder::kNone && !bounded &&
      found.size() > static_cast<size_t>(request.limit) + 1) {
    found.resize(static_cast<size_t>(request.limit) + 1);
  }
  auto outside = [&](const Found& one) {
    return (request.max_mod_revision != 0 && one.version.main > request.max_mod_revision) ||
           (request.min_mod_revision != 0 && one.version.main < request.min_mod_revision) ||
           (request.max_create_revision != 0 && one.version.create_revision > request.max_create_revision) ||
           (request.min_create_revision != 0 && one.version.create_revision < request.min_create_revision);
  };
  found.erase(std::remove_if(found.begin(), found.end(), outside), found.end());
  SortOrder order = request.sort_order;
  if (order == SortOrder::kNone && request.sort_target != SortTarget::kKey) order = SortOrder::kAscend;
  if (order != SortOrder::kNone) {
    std::stable_sort(found.begin(), found.end(), [&](const Found& a, const Found& b) {
      const Found& left = order == SortOrder::kDescend ? b : a;
      const Found& right = order == SortOrder::kDescend ? a : b;
      switch (request.sort_target) {
        case SortTarget::kKey:
          return left.key < right.key;
        case SortTarget::kVersion:
          return left.version.version < right.version.version;
        case SortTarget::kCreate:
          return left.version.create_revision < right.version.create_revision;
        case SortTarget::kMod:
          return left.version.main < right.version.main;
        case SortTarget::kValue:
          return left.version.value < right.version.value;
      }
      return false;
    });
  }
  if (request.limit > 0 && found.size() > static_cast<size_t>(request.limit)) {
    found.resize(static_cast<size_t>(request.limit));
    *more = true;
  }
  return found;
}

}  // namespace balsa::testing
