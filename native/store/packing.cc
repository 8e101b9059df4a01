#include "store/packing.h"

#include <cstring>

#include "store/coding.h"

namespace balsa {

namespace {

constexpr size_t kRangeHeader = 32;

Block Allocate(size_t size) {
  Block block;
  block.data.reset(static_cast<char*>(std::malloc(size)));
  block.size = size;
  return block;
}

/// The row of an encoded KeyValue whose bytes are at `at`.
void WriteRow(std::string_view encoded, bool tombstone, uint32_t at, uint32_t previous, char* row) {
  KeyValueView view;
  ParseKeyValue(encoded, &view);
  auto place = [&](std::string_view part) {
    return part.empty() ? at : at + static_cast<uint32_t>(part.data() - encoded.data());
  };
  WriteDouble(row, static_cast<double>(view.create_revision));
  WriteDouble(row + 8, static_cast<double>(view.mod_revision));
  WriteDouble(row + 16, static_cast<double>(view.version));
  WriteLittle64(row + 24, static_cast<uint64_t>(view.lease));
  WriteLittle32(row + 32, place(view.key));
  WriteLittle32(row + 36, static_cast<uint32_t>(view.key.size()));
  WriteLittle32(row + 40, place(view.value));
  WriteLittle32(row + 44, static_cast<uint32_t>(view.value.size()));
  WriteLittle32(row + 48, at);
  WriteLittle32(row + 52, static_cast<uint32_t>(encoded.size()));
  WriteLittle32(row + 56, tombstone ? 1 : 0);
  WriteLittle32(row + 60, previous);
}

void WriteRangeHeader(const RangeOutcome& outcome, char* header) {
  std::memset(header, 0, kRangeHeader);
  WriteDouble(header, static_cast<double>(outcome.revision));
  WriteDouble(header + 8, static_cast<double>(outcome.count));
  WriteLittle32(header + 16, outcome.more ? 1 : 0);
  WriteLittle32(header + 20, static_cast<uint32_t>(outcome.records.size()));
}

Block FromString(const std::string& bytes) {
  Block block = Allocate(bytes.size());
  std::memcpy(block.data.get(), bytes.data(), bytes.size());
  return block;
}

/// Writes a tag and a size as AppendMessageField does; returns the end.
char* WriteFieldHead(char* at, uint32_t field, size_t size) {
  *at++ = static_cast<char>((field << 3) | 2);
  for (; size >= 0x80; size >>= 7) *at++ = static_cast<char>(size | 0x80);
  *at++ = static_cast<char>(size);
  return at;
}

}  // namespace

void KeyValuePacker::Reserve(size_t rows, size_t bytes) {
  rows_.reserve(rows * kRow);
  bytes_.reserve(bytes);
}

uint32_t KeyValuePacker::Add(const Record& record, uint32_t previous, bool keys_only) {
  char row[kRow];
  auto at = static_cast<uint32_t>(bytes_.size());
  if (keys_only) {
    KeyValueView view = record.view();
    view.value = {};
    std::string encoded;
    AppendKeyValue(&encoded, view);
    WriteRow(encoded, record.tombstone(), at, previous, row);
    bytes_.append(encoded);
  } else {
    WriteRow(record.encoded(), record.tombstone(), at, previous, row);
    bytes_.append(record.encoded());
  }
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

Block PackRange(const RangeOutcome& outcome, bool keys_only) {
  size_t rows = outcome.records.size() * KeyValuePacker::kRow;
  if (keys_only) {
    KeyValuePacker packer;
    packer.Reserve(outcome.records.size(), outcome.records.size() * 96);
    for (const RecordRef& record : outcome.records) packer.Add(*record, UINT32_MAX, true);
    std::string packed(kRangeHeader, '\0');
    WriteRangeHeader(outcome, packed.data());
    packer.AppendRows(static_cast<uint32_t>(kRangeHeader + rows), &packed);
    packer.AppendBytes(&packed);
    packed.append((8 - packed.size() % 8) % 8, '\0');
    return FromString(packed);
  }
  // The sizes are known, so each record is copied once, to where it stays.
  size_t size = kRangeHeader + rows;
  for (const RecordRef& record : outcome.records) size += record->encoded().size();
  Block block = Allocate((size + 7) / 8 * 8);
  char* row = block.data.get();
  WriteRangeHeader(outcome, row);
  row += kRangeHeader;
  size_t at = kRangeHeader + rows;
  for (const RecordRef& record : outcome.records) {
    std::string_view encoded = record->encoded();
    WriteRow(encoded, false, static_cast<uint32_t>(at), UINT32_MAX, row);
    std::memcpy(block.data.get() + at, encoded.data(), encoded.size());
    row += KeyValuePacker::kRow;
    at += encoded.size();
  }
  std::memset(block.data.get() + at, 0, block.size - at);
  return block;
}

Block EncodeRange(const ResponseHeader& header, const RangeOutcome& outcome, bool keys_only) {
  std::string head;
  header.AppendTo(&head);
  std::string tail;
  AppendIntField(&tail, 3, outcome.more ? 1 : 0);
  AppendIntField(&tail, 4, static_cast<uint64_t>(outcome.count));
  if (keys_only) {
    for (const RecordRef& record : outcome.records) AppendRecordField(&head, 2, *record, true);
    return FromString(head + tail);
  }
  size_t size = head.size() + tail.size();
  for (const RecordRef& record : outcome.records) {
    size_t encoded = record->encoded().size();
    size += 1 + VarintSize(encoded) + encoded;
  }
  Block block = Allocate(size);
  char* at = block.data.get();
  std::memcpy(at, head.data(), head.size());
  at += head.size();
  for (const RecordRef& record : outcome.records) {
    std::string_view encoded = record->encoded();
    at = WriteFieldHead(at, 2, encoded.size());
    std::memcpy(at, encoded.data(), encoded.size());
    at += encoded.size();
  }
  std::memcpy(at, tail.data(), tail.size());
  return block;
}

}  // namespace balsa
