#include <cstring>

#include "store/binding.h"
#include "store/packing.h"

namespace balsa {

namespace {

napi_value CodeNumber(napi_env env, ErrorCode code) { return FromNumber(env, static_cast<double>(static_cast<uint32_t>(code))); }

/// Places within an answer are 32-bit, and a message of protobuf ends at 2 GiB.
bool TooLarge(const RangeOutcome& outcome) {
  uint64_t total = 0;
  for (const RecordRef& record : outcome.records) total += record->stored().size() + KeyValuePacker::kRow;
  return total > INT32_MAX;
}

napi_value Get(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  RecordRef record;
  rocksdb::Status status = store->Get(arguments.Bytes(0), &record);
  if (!status.ok()) return ThrowStatus(env, status);
  if (!record) return FromNumber(env, 0);
  KeyValuePacker packer;
  packer.Add(*record, UINT32_MAX);
  std::string packed;
  packed.reserve(packer.rows_size() + packer.bytes_size() + 8);
  packer.AppendRows(static_cast<uint32_t>(packer.rows_size()), &packed);
  packer.AppendBytes(&packed);
  packed.append((8 - packed.size() % 8) % 8, '\0');
  size_t room = 0;
  char* scratch = arguments.Writable(1, &room);
  if (scratch == nullptr || packed.size() > room) return ToArrayBuffer(env, std::move(packed));
  std::memcpy(scratch, packed.data(), packed.size());
  return FromNumber(env, static_cast<double>(packed.size()));
}

napi_value Range(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  RangeRequest request;
  request.key = arguments.Bytes(0);
  request.range_end = arguments.Bytes(1);
  request.limit = arguments.Integer(2);
  request.revision = arguments.Integer(3);
  auto flags = static_cast<uint32_t>(arguments.Integer(4));
  request.sort_order = static_cast<SortOrder>(flags & 0xf);
  request.sort_target = static_cast<SortTarget>((flags >> 4) & 0xf);
  request.keys_only = (flags & 0x100) != 0;
  request.count_only = (flags & 0x200) != 0;
  request.min_mod_revision = arguments.Integer(5);
  request.max_mod_revision = arguments.Integer(6);
  request.min_create_revision = arguments.Integer(7);
  request.max_create_revision = arguments.Integer(8);
  if (ErrorCode code = CheckRange(request); code != ErrorCode::kOk) return CodeNumber(env, code);
  RangeOutcome outcome;
  rocksdb::Status status = store->Range(request, &outcome);
  if (!status.ok()) return ThrowStatus(env, status);
  if (outcome.error != ErrorCode::kOk) return CodeNumber(env, outcome.error);
  if (TooLarge(outcome)) return CodeNumber(env, ErrorCode::kRequestTooLarge);
  return ToArrayBuffer(env, PackRange(outcome, request.keys_only));
}

napi_value RangeEncoded(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  RangeRequest request;
  if (!DecodeRange(arguments.Bytes(0), &request)) return CodeNumber(env, ErrorCode::kInvalidArgument);
  if (ErrorCode code = CheckRange(request); code != ErrorCode::kOk) return CodeNumber(env, code);
  RangeOutcome outcome;
  rocksdb::Status status = store->Range(request, &outcome);
  if (!status.ok()) return ThrowStatus(env, status);
  if (outcome.error != ErrorCode::kOk) return CodeNumber(env, outcome.error);
  if (TooLarge(outcome)) return CodeNumber(env, ErrorCode::kRequestTooLarge);
  ResponseHeader header = store->Header(static_cast<uint64_t>(arguments.Integer(1)));
  header.revision = outcome.revision;
  return ToBuffer(env, EncodeRange(header, outcome, request.keys_only));
}

napi_value TxnEncoded(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  TxnRequest request;
  if (!DecodeTxn(arguments.Bytes(0), &request)) return CodeNumber(env, ErrorCode::kInvalidArgument);
  ErrorCode error = ErrorCode::kOk;
  std::string response;
  rocksdb::Status status = store->ReadTxn(request, static_cast<uint64_t>(arguments.Integer(1)), &error, &response);
  if (!status.ok()) return ThrowStatus(env, status);
  return error == ErrorCode::kOk ? ToBuffer(env, std::move(response)) : CodeNumber(env, error);
}

template <typename Request, typename Decode, typename Check>
ErrorCode Judge(std::string_view bytes, Decode decode, Check check) {
  Request request;
  return decode(bytes, &request) ? check(request) : ErrorCode::kInvalidArgument;
}

napi_value CheckRequest(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::string_view bytes = arguments.Bytes(1);
  int64_t max_operations = arguments.Integer(2);
  switch (arguments.Integer(0)) {
    case 0:
      return CodeNumber(env, Judge<RangeRequest>(bytes, DecodeRange, CheckRange));
    case 1:
      return CodeNumber(env, Judge<PutRequest>(bytes, DecodePut, CheckPut));
    case 2:
      return CodeNumber(env, Judge<DeleteRangeRequest>(bytes, DecodeDeleteRange, CheckDeleteRange));
    case 3:
      return CodeNumber(env, Judge<TxnRequest>(bytes, DecodeTxn, [max_operations](const TxnRequest& request) {
                          return CheckTxn(request, max_operations);
                        }));
    default:
      return CodeNumber(env, ErrorCode::kInvalidArgument);
  }
}

}  // namespace

void AddReadMethods(std::vector<napi_property_descriptor>* methods) {
  methods->insert(methods->end(),
                  {Method("get", Get), Method("range", Range), Method("rangeEncoded", RangeEncoded),
                   Method("txnEncoded", TxnEncoded), Method("checkRequest", CheckRequest)});
}

}  // namespace balsa
