#pragma once

#include "store/store.h"

namespace balsa {

/// Everything a store keeps in memory, as read back from a database.
struct Store::Loaded {
  KeyIndex index;
  struct Attachment {
    int64_t lease;
    KeyEntry* entry;
  };
  struct Lease {
    int64_t id;
    int64_t ttl;
    int64_t remaining;
  };
  std::vector<Lease> leases;
  std::vector<Attachment> attachments;
  std::set<std::pair<uint64_t, AlarmType>> alarms;
  StoreState state;
  int64_t compacted = -1;
};

}  // namespace balsa
