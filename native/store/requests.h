#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "store/error_code.h"

namespace balsa {

/// etcd's requests, decoded as views into the bytes they came in.

enum class SortOrder : uint8_t { kNone = 0, kAscend = 1, kDescend = 2 };
enum class SortTarget : uint8_t { kKey = 0, kVersion = 1, kCreate = 2, kMod = 3, kValue = 4 };

struct RangeRequest {
  std::string_view key;
  std::string_view range_end;
  int64_t limit = 0;
  int64_t revision = 0;
  SortOrder sort_order = SortOrder::kNone;
  SortTarget sort_target = SortTarget::kKey;
  bool keys_only = false;
  bool count_only = false;
  int64_t min_mod_revision = 0;
  int64_t max_mod_revision = 0;
  int64_t min_create_revision = 0;
  int64_t max_create_revision = 0;
};

struct PutRequest {
  std::string_view key;
  std::string_view value;
  int64_t lease = 0;
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;
};

struct DeleteRangeRequest {
  std::string_view key;
  std::string_view range_end;
  bool prev_kv = false;
};

struct Compare {
  enum class Result : uint8_t { kEqual = 0, kGreater = 1, kLess = 2, kNotEqual = 3 };
  enum class Target : uint8_t { kVersion = 0, kCreate = 1, kMod = 2, kValue = 3, kLease = 4 };
  Result result = Result::kEqual;
  Target target = Target::kVersion;
  std::string_view key;
  std::string_view range_end;
  int64_t number = 0;       // What a version, revision or lease is compared with.
  std::string_view value;
};

struct TxnRequest;

struct RequestOp {
  enum class Kind : uint8_t { kNone, kRange, kPut, kDeleteRange, kTxn };
  Kind kind = Kind::kNone;
  RangeRequest range;
  PutRequest put;
  DeleteRangeRequest delete_range;
  std::unique_ptr<TxnRequest> txn;
};

struct TxnRequest {
  std::vector<Compare> compare;
  std::vector<RequestOp> success;
  std::vector<RequestOp> failure;
};

struct MetaWrite {
  std::string_view key;
  std::string_view value;
  bool is_delete = false;
};

struct LeaseCheckpoint {
  int64_t id = 0;
  int64_t remaining_ttl = 0;
};

enum class AlarmType : uint32_t { kNone = 0, kNoSpace = 1, kCorrupt = 2 };

struct AlarmRequest {
  enum class Action : uint32_t { kGet = 0, kActivate = 1, kDeactivate = 2 };
  Action action = Action::kGet;
  uint64_t member = 0;
  AlarmType alarm = AlarmType::kNone;
};

/// proto/balsa/store/store.proto
struct Command {
  enum class Kind : uint8_t {
    kNone = 0,
    kPut = 10,
    kDeleteRange = 11,
    kTxn = 12,
    kCompaction = 13,
    kLeaseGrant = 14,
    kLeaseRevoke = 15,
    kLeaseCheckpoint = 16,
    kAlarm = 17,
    kMeta = 18,
    kOpaque = 19,
  };
  uint64_t proposal = 0;
  uint64_t proposer = 0;
  Kind kind = Kind::kNone;
  std::string_view request;
};

bool DecodeRange(std::string_view bytes, RangeRequest* request);
bool DecodePut(std::string_view bytes, PutRequest* request);
bool DecodeDeleteRange(std::string_view bytes, DeleteRangeRequest* request);
bool DecodeTxn(std::string_view bytes, TxnRequest* request);
bool DecodeCompaction(std::string_view bytes, int64_t* revision);
bool DecodeLeaseGrant(std::string_view bytes, int64_t* id, int64_t* ttl);
bool DecodeLeaseRevoke(std::string_view bytes, int64_t* id);
bool DecodeLeaseCheckpoint(std::string_view bytes, std::vector<LeaseCheckpoint>* checkpoints);
bool DecodeAlarm(std::string_view bytes, AlarmRequest* request);
bool DecodeMetaUpdate(std::string_view bytes, std::vector<MetaWrite>* writes);
bool DecodeCommand(std::string_view bytes, Command* command);

/// What etcd's server checks before it proposes a request.
ErrorCode CheckRange(const RangeRequest& request);
ErrorCode CheckPut(const PutRequest& request);
ErrorCode CheckDeleteRange(const DeleteRangeRequest& request);
ErrorCode CheckTxn(const TxnRequest& request, int64_t max_operations);

}  // namespace balsa
