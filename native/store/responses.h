#pragma once

#include <string>
#include <vector>

#include "store/record.h"
#include "store/requests.h"
#include "store/wire.h"

namespace balsa {

/// etcdserverpb.ResponseHeader; zero fields are not written, so that {} is an empty message.
struct ResponseHeader {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  int64_t revision = 0;
  uint64_t raft_term = 0;

  void AppendTo(std::string* out) const {
    std::string bytes;
    AppendIntField(&bytes, 1, cluster_id);
    AppendIntField(&bytes, 2, member_id);
    AppendIntField(&bytes, 3, static_cast<uint64_t>(revision));
    AppendIntField(&bytes, 4, raft_term);
    AppendMessageField(out, 1, bytes);
  }
};

/// What a range found.
struct RangeOutcome {
  ErrorCode error = ErrorCode::kOk;
  int64_t revision = 0;
  int64_t count = 0;
  bool more = false;
  std::vector<RecordRef> records;
};

/// A record as a `KeyValue` field; without its value when `keys_only`.
inline void AppendRecordField(std::string* out, uint32_t field, const Record& record, bool keys_only) {
  if (!keys_only) {
    AppendMessageField(out, field, record.encoded());
    return;
  }
  KeyValueView view = record.view();
  view.value = {};
  std::string bytes;
  AppendKeyValue(&bytes, view);
  AppendMessageField(out, field, bytes);
}

inline void AppendRangeResponse(std::string* out, const ResponseHeader& header, const RangeOutcome& outcome,
                                bool keys_only) {
  header.AppendTo(out);
  for (const RecordRef& record : outcome.records) AppendRecordField(out, 2, *record, keys_only);
  AppendIntField(out, 3, outcome.more ? 1 : 0);
  AppendIntField(out, 4, static_cast<uint64_t>(outcome.count));
}

}  // namespace balsa
