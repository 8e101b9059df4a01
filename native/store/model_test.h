#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/requests.h"
#include "store/responses.h"

namespace balsa::testing {

/// etcd's state machine as simply as it can be said: every version of every key, and nothing clever.
class Model {
 public:
  struct Version {
    int64_t main;
    bool tombstone;
    std::string value;
    int64_t create_revision;
    int64_t version;
    int64_t lease;
  };
  struct Found {
    std::string key;
    Version version;
  };

  int64_t revision = 1;
  int64_t compact_revision = -1;
  std::map<int64_t, std::set<std::string>> leases;

  ErrorCode Put(const PutRequest& request);
  int64_t DeleteRange(std::string_view key, std::string_view end);
  ErrorCode Txn(const TxnRequest& request);
  ErrorCode Compact(int64_t revision);
  ErrorCode Grant(int64_t id);
  ErrorCode Revoke(int64_t id);

  /// The range at its revision, before sorting, bounds and limit.
  std::vector<Found> At(std::string_view key, std::string_view end, int64_t revision) const;
  /// What etcd answers, in order.
  std::vector<Found> Range(const RangeRequest& request, ErrorCode* error, int64_t* count, bool* more) const;

 private:
  void Write(const std::string& key, Version version);
  void Execute(const std::vector<RequestOp>& ops, const std::vector<bool>& paths, size_t* path);
  bool Compares(const TxnRequest& request) const;
  void Choose(const TxnRequest& request, std::vector<bool>* paths) const;
  ErrorCode Check(const TxnRequest& request, const std::vector<bool>& paths, size_t* path) const;
  ErrorCode CheckPut(const PutRequest& request) const;
  void End() {
    if (changed_) revision++;
    changed_ = false;
  }

  std::map<std::string, std::vector<Version>> keys_;
  bool changed_ = false;
};

}  // namespace balsa::testing
