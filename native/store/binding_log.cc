// The Raft log, applying, and the records of the layer above.
#include "store/binding.h"

namespace balsa {

namespace {

/// Settles a promise without a value.
Done Plain(AsyncCalls::Finish finish) {
  return [finish = std::move(finish)](const rocksdb::Status& status) { finish(status, nullptr); };
}

napi_value AppendLog(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  std::vector<LogEntryView> entries;
  bool has_state = false;
  std::string_view packed_state = arguments.Bytes(1, &has_state);
  HardState hard_state;
  if (!UnpackEntries(arguments.Bytes(0), &entries) || (has_state && !UnpackHardState(packed_state, &hard_state))) {
    return ThrowCode(env, ErrorCode::kInvalidArgument, "the entries to append are malformed");
  }
  return GetEnvironment(env)->calls->Start(env, [&](AsyncCalls::Finish finish) {
    rocksdb::Status status = store->AppendLog(entries, has_state ? &hard_state : nullptr, Plain(finish));
    if (!status.ok()) finish(status, nullptr);
  });
}

napi_value LogStateOf(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  LogState state = store->log().state();
  napi_value hard_state = NewObject(env);
  SetProperty(env, hard_state, "term", FromNumber(env, static_cast<double>(state.hard_state.term)));
  SetProperty(env, hard_state, "vote", FromBigUint(env, state.hard_state.vote));
  SetProperty(env, hard_state, "commit", FromNumber(env, static_cast<double>(state.hard_state.commit)));
  napi_value result = NewObject(env);
  SetProperty(env, result, "firstIndex", FromNumber(env, static_cast<double>(state.compacted_index + 1)));
  SetProperty(env, result, "lastIndex", FromNumber(env, static_cast<double>(state.last_index)));
  SetProperty(env, result, "compactedIndex", FromNumber(env, static_cast<double>(state.compacted_index)));
  SetProperty(env, result, "compactedTerm", FromNumber(env, static_cast<double>(state.compacted_term)));
  SetProperty(env, result, "hardState", hard_state);
  return result;
}

napi_value ReadLog(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  std::string packed;
  auto hold = store->HoldState();
  rocksdb::Status status =
      store->log().Read(static_cast<uint64_t>(arguments.Integer(0)), static_cast<uint64_t>(arguments.Integer(1)),
                        static_cast<uint64_t>(arguments.Integer(2)), &packed);
  return status.ok() ? ToArrayBuffer(env, std::move(packed)) : ThrowStatus(env, status);
}

napi_value LogTerm(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  uint64_t term = 0;
  auto hold = store->HoldState();
  rocksdb::Status status = store->log().Term(static_cast<uint64_t>(arguments.Integer(0)), &term);
  if (status.IsNotFound()) return FromNumber(env, -1);
  return status.ok() ? FromNumber(env, static_cast<double>(term)) : ThrowStatus(env, status);
}

napi_value CompactLog(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  rocksdb::Status status = store->CompactLog(static_cast<uint64_t>(arguments.Integer(0)));
  return status.ok() ? Undefined(env) : ThrowStatus(env, status);
}

napi_value Apply(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  std::vector<LogEntryView> entries;
  std::vector<MetaWrite> meta;
  if (!UnpackEntries(arguments.Bytes(0), &entries) || !UnpackMetaWrites(arguments.Bytes(2), &meta)) {
    return ThrowCode(env, ErrorCode::kInvalidArgument, "the entries to apply are malformed");
  }
  std::string results;
  rocksdb::Status status = store->Apply(entries, static_cast<uint64_t>(arguments.Integer(1)), meta, &results);
  return status.ok() ? ToArrayBuffer(env, std::move(results)) : ThrowStatus(env, status);
}

napi_value State(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  return store ? StateObject(env, store->state()) : nullptr;
}

napi_value GetMeta(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  std::string value;
  rocksdb::Status status = store->GetMeta(arguments.String(0), &value);
  if (status.IsNotFound()) return Undefined(env);
  return status.ok() ? BufferCopy(env, value) : ThrowStatus(env, status);
}

napi_value ScanMeta(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  std::vector<std::pair<std::string, std::string>> found;
  rocksdb::Status status = store->ScanMeta(arguments.String(0), &found);
  if (!status.ok()) return ThrowStatus(env, status);
  napi_value result = nullptr;
  napi_create_array_with_length(env, found.size(), &result);
  for (uint32_t i = 0; i < found.size(); i++) {
    napi_value pair = nullptr;
    napi_create_array_with_length(env, 2, &pair);
    napi_set_element(env, pair, 0, FromString(env, found[i].first));
    napi_set_element(env, pair, 1, BufferCopy(env, found[i].second));
    napi_set_element(env, result, i, pair);
  }
  return result;
}

napi_value WriteMeta(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  std::vector<MetaWrite> writes;
  if (!UnpackMetaWrites(arguments.Bytes(0), &writes)) {
    return ThrowCode(env, ErrorCode::kInvalidArgument, "the records to write are malformed");
  }
  return GetEnvironment(env)->calls->Start(env, [&](AsyncCalls::Finish finish) {
    rocksdb::Status status = store->WriteMeta(writes, Plain(finish));
    if (!status.ok()) finish(status, nullptr);
  });
}

}  // namespace

napi_value StateObject(napi_env env, const StoreState& state) {
  napi_value result = NewObject(env);
  SetProperty(env, result, "revision", FromNumber(env, static_cast<double>(state.revision)));
  SetProperty(env, result, "compactRevision", FromNumber(env, static_cast<double>(state.compact_revision)));
  SetProperty(env, result, "appliedIndex", FromNumber(env, static_cast<double>(state.applied_index)));
  SetProperty(env, result, "appliedTerm", FromNumber(env, static_cast<double>(state.applied_term)));
  return result;
}

void AddLogMethods(std::vector<napi_property_descriptor>* methods) {
  methods->insert(methods->end(),
                  {Method("appendLog", AppendLog), Method("logState", LogStateOf), Method("readLog", ReadLog),
                   Method("logTerm", LogTerm), Method("compactLog", CompactLog), Method("apply", Apply),
                   Method("state", State), Method("getMeta", GetMeta), Method("scanMeta", ScanMeta),
                   Method("writeMeta", WriteMeta)});
}

}  // namespace balsa
