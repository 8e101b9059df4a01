#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "store/packing.h"
#include "store/record.h"

/// Stored revisions: what is accepted can be packed for JavaScript, with and without its value.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace balsa;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Revision revision;
  DecodeRevisionKey(bytes.substr(0, 12), &revision);
  Record* record = Record::FromStored(bytes);
  if (record == nullptr) return 0;
  RecordRef owned(record);
  KeyValuePacker packer;
  packer.Add(*record, UINT32_MAX);
  packer.Add(*record, 0, true);
  KeyValueView view = record->view();
  std::string encoded;
  AppendKeyValue(&encoded, view);
  KeyValueView again;
  if (!ParseKeyValue(encoded, &again) || again.key != view.key || again.value != view.value ||
      again.lease != view.lease || again.version != view.version) {
    std::abort();
  }
  return 0;
}
