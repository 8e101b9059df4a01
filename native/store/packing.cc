#include "store/packing.h"

#include "store/coding.h"

namespace balsa {

namespace {

constexpr size_t kRangeHeader = 32;

}  // namespace

void KeyValuePacker::Reserve(size_t rows, size_t bytes) {
  rows_.reserve(rows * kRow);
  bytes_.reserve(bytes);
}

uint32_t KeyValuePacker::Add(const Record& record, uint32_t previous, bool keys_only) {
  KeyValueView view = record.view();
  std::string_view raw = record.encoded();
  auto base = static_cast<uint32_t>(bytes_.size());
  uint32_t key_at;
  uint32_t value_at;
  auto raw_size = static_cast<uint32_t>(raw.size());
  if (keys_only) {
    view.value = {};
    size_t before = bytes_.size();
    AppendKeyValue(&bytes_, view);
    raw_size = static_cast<uint32_t>(bytes_.size() - before);
    // The key is the first field: its tag, its size, itself.
    key_at = base + 1 + static_cast<uint32_t>(VarintSize(view.key.size()));
    value_at = base;
  } else {
    bytes_.append(raw);
    key_at = base + static_cast<uint32_t>(view.key.data() - raw.data());
    value_at = view.value.empty() ? base : base + static_cast<uint32_t>(view.value.data() - raw.data());
  }
  char row[kRow];
  WriteDouble(row, static_cast<double>(view.create_revision));
  WriteDouble(row + 8, static_cast<double>(view.mod_revision));
  WriteDouble(row + 16, static_cast<double>(view.version));
  WriteLittle64(row + 24, static_cast<uint64_t>(view.lease));
  WriteLittle32(row + 32, key_at);
  WriteLittle32(row + 36, static_cast<uint32_t>(view.key.size()));
  WriteLittle32(row + 40, value_at);
  WriteLittle32(row + 44, static_cast<uint32_t>(view.value.size()));
  WriteLittle32(row + 48, base);
  WriteLittle32(row + 52, raw_size);
  WriteLittle32(row + 56, record.tombstone() ? 1 : 0);
  WriteLittle32(row + 60, previous);
  rows_.append(row, sizeof(row));
  return count() - 1;
}

void KeyValuePacker::AppendRows(uint32_t bytes_at, std::string* out) {
  for (size_t row = 0; row < rows_.size(); row += kRow) {
    for (size_t word : {size_t{32}, size_t{40}, size_t{48}}) {
      char* at = rows_.data() + row + word;
      WriteLittle32(at, ReadLittle32(at) + bytes_at);
    }
  }
  out->append(rows_);
}

std::string PackRange(const RangeOutcome& outcome, bool keys_only) {
  size_t bytes = 0;
  for (const RecordRef& record : outcome.records) bytes += record->stored().size();
  KeyValuePacker packer;
  packer.Reserve(outcome.records.size(), keys_only ? 0 : bytes);
  for (const RecordRef& record : outcome.records) packer.Add(*record, UINT32_MAX, keys_only);
  char header[kRangeHeader] = {};
  WriteDouble(header, static_cast<double>(outcome.revision));
  WriteDouble(header + 8, static_cast<double>(outcome.count));
  WriteLittle32(header + 16, outcome.more ? 1 : 0);
  WriteLittle32(header + 20, packer.count());
  std::string packed;
  size_t bytes_at = kRangeHeader + packer.rows_size();
  packed.reserve(bytes_at + packer.bytes_size() + 8);
  packed.append(header, sizeof(header));
  packer.AppendRows(static_cast<uint32_t>(bytes_at), &packed);
  packer.AppendBytes(&packed);
  packed.append((8 - packed.size() % 8) % 8, '\0');
  return packed;
}

}  // namespace balsa
