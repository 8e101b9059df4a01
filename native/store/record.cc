#include "store/record.h"

#include <cassert>
#include <cstring>
#include <new>

#include "store/wire.h"

namespace balsa {

void EncodeRevisionKey(Revision revision, char* out) {
  uint64_t main = __builtin_bswap64(static_cast<uint64_t>(revision.main));
  uint32_t sub = __builtin_bswap32(revision.sub);
  std::memcpy(out, &main, 8);
  std::memcpy(out + 8, &sub, 4);
}

bool DecodeRevisionKey(std::string_view bytes, Revision* revision) {
  if (bytes.size() != kRevisionKeySize) return false;
  uint64_t main;
  uint32_t sub;
  std::memcpy(&main, bytes.data(), 8);
  std::memcpy(&sub, bytes.data() + 8, 4);
  revision->main = static_cast<int64_t>(__builtin_bswap64(main));
  revision->sub = __builtin_bswap32(sub);
  return revision->main > 0;
}

bool ParseKeyValue(std::string_view bytes, KeyValueView* view) {
  *view = KeyValueView();
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        view->key = reader.Bytes();
        break;
      case 2:
        view->create_revision = reader.Int64();
        break;
      case 3:
        view->mod_revision = reader.Int64();
        break;
      case 4:
        view->version = reader.Int64();
        break;
      case 5:
        view->value = reader.Bytes();
        break;
      case 6:
        view->lease = reader.Int64();
        break;
      default:
        reader.Skip();
    }
  }
  return reader.ok();
}

void AppendKeyValue(std::string* out, const KeyValueView& view) {
  AppendBytesField(out, 1, view.key);
  AppendIntField(out, 2, static_cast<uint64_t>(view.create_revision));
  AppendIntField(out, 3, static_cast<uint64_t>(view.mod_revision));
  AppendIntField(out, 4, static_cast<uint64_t>(view.version));
  AppendBytesField(out, 5, view.value);
  AppendIntField(out, 6, static_cast<uint64_t>(view.lease));
}

Record* Record::Allocate(size_t size) {
  assert(size > 0 && size <= UINT32_MAX);
  void* memory = std::malloc(sizeof(Record) + size);
  return new (memory) Record(static_cast<uint32_t>(size));
}

Record* Record::Make(RecordKind kind, const KeyValueView& view) {
  // Reused: building the bytes once in place costs less than sizing every field first.
  thread_local std::string scratch;
  scratch.clear();
  scratch.push_back(static_cast<char>(kind));
  AppendKeyValue(&scratch, view);
  Record* record = Allocate(scratch.size());
  std::memcpy(record->bytes(), scratch.data(), scratch.size());
  if (scratch.capacity() > (1u << 20)) std::string().swap(scratch);
  return record;
}

Record* Record::FromStored(std::string_view stored) {
  if (stored.empty() || stored.size() > UINT32_MAX) return nullptr;
  auto kind = static_cast<RecordKind>(stored[0]);
  if (kind != RecordKind::kPut && kind != RecordKind::kTombstone) return nullptr;
  KeyValueView view;
  if (!ParseKeyValue(stored.substr(1), &view) || view.key.empty()) return nullptr;
  Record* record = Allocate(stored.size());
  std::memcpy(record->bytes(), stored.data(), stored.size());
  return record;
}

}  // namespace balsa
