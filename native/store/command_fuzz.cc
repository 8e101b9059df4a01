#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "store/requests.h"

/// Log entries and clients' requests: whatever the bytes, decoding ends, and what it gives can be judged.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace balsa;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Command command;
  std::string_view request = DecodeCommand(bytes, &command) ? command.request : bytes;
  TxnRequest txn;
  if (DecodeTxn(request, &txn)) CheckTxn(txn, 128);
  PutRequest put;
  if (DecodePut(request, &put)) CheckPut(put);
  DeleteRangeRequest remove;
  if (DecodeDeleteRange(request, &remove)) CheckDeleteRange(remove);
  int64_t id = 0;
  int64_t ttl = 0;
  DecodeCompaction(request, &id);
  DecodeLeaseGrant(request, &id, &ttl);
  DecodeLeaseRevoke(request, &id);
  std::vector<LeaseCheckpoint> checkpoints;
  DecodeLeaseCheckpoint(request, &checkpoints);
  AlarmRequest alarm;
  DecodeAlarm(request, &alarm);
  std::vector<MetaWrite> writes;
  DecodeMetaUpdate(request, &writes);
  return 0;
}
