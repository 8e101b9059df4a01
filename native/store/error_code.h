#pragma once

#include <cstdint>

namespace balsa {

/// Why a request was refused. The names are those of `StoreErrorCode` in daemon/store/store.ts.
enum class ErrorCode : uint32_t {
  kOk,
  kCompacted,
  kFutureRevision,
  kKeyNotFound,
  kValueProvided,
  kLeaseProvided,
  kLeaseNotFound,
  kLeaseExists,
  kLeaseTtlTooLarge,
  kDuplicateKey,
  kTooManyOps,
  kEmptyKey,
  kNoSpace,
  kCorrupt,
  kNotLeader,
  kInvalidArgument,
  kUnavailable,
  kRequestTooLarge,
};

inline constexpr const char* kErrorCodeNames[] = {
    "ok",           "compacted",       "future_revision",     "key_not_found", "value_provided", "lease_provided",
    "lease_not_found", "lease_exists", "lease_ttl_too_large", "duplicate_key", "too_many_ops",   "empty_key",
    "no_space",     "corrupt",         "not_leader",          "invalid_argument", "unavailable", "request_too_large",
};

inline const char* ErrorCodeName(ErrorCode code) { return kErrorCodeNames[static_cast<uint32_t>(code)]; }

}  // namespace balsa
