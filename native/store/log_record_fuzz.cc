#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "store/raft_log.h"
#include "store/snapshot.h"

/// Stored log entries, packed entries and a snapshot's records; what is accepted encodes to the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace balsa;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  LogEntryView entry;
  if (DecodeLogRecord(7, bytes, &entry)) {
    std::string again;
    EncodeLogRecord(entry, &again);
    if (again != bytes) std::abort();
  }
  entry = LogEntryView{9, 3, 1, bytes};
  std::string stored;
  EncodeLogRecord(entry, &stored);
  LogEntryView decoded;
  if (!DecodeLogRecord(9, stored, &decoded) || decoded.data != bytes) std::abort();
  if (DecodeLogRecord(8, stored, &decoded)) std::abort();

  std::vector<LogEntryView> entries;
  if (UnpackEntries(bytes, &entries)) {
    size_t total = 0;
    for (const LogEntryView& one : entries) total += one.data.size() + 24;
    if (total != size) std::abort();
  }
  bool meta = false;
  std::string_view key;
  std::string_view value;
  std::string_view records = bytes;
  while (!records.empty() && NextSnapshotRecord(&records, &meta, &key, &value)) {
  }
  return 0;
}
