#include "store/binding.h"
#include "store/snapshot.h"

namespace balsa {

namespace {

Done Plain(AsyncCalls::Finish finish) {
  return [finish = std::move(finish)](const rocksdb::Status& status) { finish(status, nullptr); };
}

/// A method that takes nothing and settles when the store's own thread has done it.
template <void (Store::*kCall)(Done)>
napi_value Simple(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  return GetEnvironment(env)->calls->Start(env, [&](AsyncCalls::Finish finish) { (store.get()->*kCall)(Plain(finish)); });
}

napi_value CompactionFinished(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  return GetEnvironment(env)->calls->Start(
      env, [&](AsyncCalls::Finish finish) { store->CompactionFinished(arguments.Integer(0), Plain(finish)); });
}

napi_value HashKv(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  return GetEnvironment(env)->calls->Start(env, [&](AsyncCalls::Finish finish) {
    store->HashKv(arguments.Integer(0), [finish](const rocksdb::Status& status, const HashResult& found) {
      finish(status, [found](napi_env settling) {
        napi_value result = NewObject(settling);
        SetProperty(settling, result, "hash", FromNumber(settling, found.hash));
        SetProperty(settling, result, "revision", FromNumber(settling, static_cast<double>(found.revision)));
        SetProperty(settling, result, "compactRevision", FromNumber(settling, static_cast<double>(found.compact_revision)));
        return result;
      });
    });
  });
}

napi_value Checkpoint(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  return GetEnvironment(env)->calls->Start(
      env, [&](AsyncCalls::Finish finish) { store->Checkpoint(arguments.String(0), Plain(finish)); });
}

napi_value Stats(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  StoreStats stats = store->stats();
  const std::pair<const char*, uint64_t> numbers[] = {
      {"dbSize", stats.disk_bytes},
      {"dbSizeInUse", stats.live_bytes},
      {"quotaBytes", stats.quota_bytes},
      {"keys", stats.keys},
      {"watchers", stats.watch.watchers},
      {"slowWatchers", stats.watch.unsynced},
      {"pendingEvents", stats.watch.pending_events},
      {"leases", stats.leases},
      {"blockCacheBytes", stats.block_cache_bytes},
      {"memtableBytes", stats.memtable_bytes},
      {"tableReaderBytes", stats.table_reader_bytes},
      {"indexBytes", stats.index_bytes},
      {"recordCacheBytes", stats.record_cache_bytes},
  };
  napi_value result = NewObject(env);
  for (const auto& [name, value] : numbers) SetProperty(env, result, name, FromNumber(env, static_cast<double>(value)));
  napi_value exceeded = nullptr;
  napi_get_boolean(env, stats.live_bytes > stats.quota_bytes, &exceeded);
  SetProperty(env, result, "quotaExceeded", exceeded);
  return result;
}

/// The store outlives what reads it or writes beside it; work under way keeps its own reference.
struct ReaderHandle {
  std::shared_ptr<Store> store;
  std::shared_ptr<SnapshotReader> reader;
};

napi_value ReadPiece(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto* handle = arguments.Unwrap<ReaderHandle>();
  if (handle == nullptr) return nullptr;
  if (!handle->reader) return ThrowCode(env, ErrorCode::kUnavailable, "the snapshot is closed");
  return GetEnvironment(env)->calls->Start(env, [&](AsyncCalls::Finish finish) {
    handle->store->PostMaintenance([reader = handle->reader, finish] {
      auto piece = std::make_shared<std::string>();
      rocksdb::Status status = reader->Read(piece.get());
      finish(status, [piece](napi_env settling) {
        return piece->empty() ? Undefined(settling) : ToBuffer(settling, std::move(*piece));
      });
    });
  });
}

napi_value CloseReader(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto* handle = arguments.Unwrap<ReaderHandle>();
  if (handle != nullptr) {
    handle->reader.reset();
    handle->store.reset();
  }
  return Undefined(env);
}

napi_value Snapshot(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  auto* handle = new ReaderHandle{store, std::make_shared<SnapshotReader>(store.get())};
  const StoreState& state = handle->reader->state();
  napi_value result = WrapObject(env, {Method("read", ReadPiece), Method("close", CloseReader)}, handle,
                                 [](napi_env, void* data, void*) { delete static_cast<ReaderHandle*>(data); });
  SetProperty(env, result, "revision", FromNumber(env, static_cast<double>(state.revision)));
  SetProperty(env, result, "appliedIndex", FromNumber(env, static_cast<double>(state.applied_index)));
  SetProperty(env, result, "appliedTerm", FromNumber(env, static_cast<double>(state.applied_term)));
  return result;
}

struct WriterHandle {
  std::shared_ptr<Store> store;
  std::shared_ptr<SnapshotWriter> writer;
};

WriterHandle* OpenWriter(napi_env env, const Arguments& arguments) {
  auto* handle = arguments.Unwrap<WriterHandle>();
  if (handle != nullptr && !handle->writer) {
    ThrowCode(env, ErrorCode::kUnavailable, "the installation has ended");
    return nullptr;
  }
  return handle;
}

napi_value WritePiece(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  WriterHandle* handle = OpenWriter(env, arguments);
  if (handle == nullptr) return nullptr;
  return GetEnvironment(env)->calls->Start(env, [&](AsyncCalls::Finish finish) {
    handle->store->PostMaintenance([writer = handle->writer, piece = std::string(arguments.Bytes(0)), finish] {
      finish(writer->Write(piece), nullptr);
    });
  });
}

napi_value FinishInstall(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  WriterHandle* handle = OpenWriter(env, arguments);
  if (handle == nullptr) return nullptr;
  HardState hard_state;
  if (!UnpackHardState(arguments.Bytes(0), &hard_state)) {
    return ThrowCode(env, ErrorCode::kInvalidArgument, "the hard state is malformed");
  }
  napi_value promise = GetEnvironment(env)->calls->Start(env, [&](AsyncCalls::Finish finish) {
    Store* store = handle->store.get();
    store->PostMaintenance([store, writer = handle->writer, hard_state, finish] {
      rocksdb::Status status = writer->Finish(hard_state);
      if (!status.ok()) writer->Abort();
      StoreState state = store->state();
      finish(status, [state](napi_env settling) { return StateObject(settling, state); });
    });
  });
  handle->writer.reset();
  return promise;
}

napi_value AbortInstall(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto* handle = arguments.Unwrap<WriterHandle>();
  if (handle != nullptr && handle->writer) {
    handle->store->PostMaintenance([writer = handle->writer] { writer->Abort(); });
    handle->writer.reset();
  }
  return Undefined(env);
}

napi_value InstallSnapshot(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  auto* handle = new WriterHandle{store, std::make_shared<SnapshotWriter>(store.get())};
  return WrapObject(env, {Method("write", WritePiece), Method("finish", FinishInstall), Method("abort", AbortInstall)},
                    handle, [](napi_env, void* data, void*) { delete static_cast<WriterHandle*>(data); });
}

}  // namespace

void AddMaintenanceMethods(std::vector<napi_property_descriptor>* methods) {
  methods->insert(methods->end(),
                  {Method("compactionFinished", CompactionFinished), Method("hashKv", HashKv),
                   Method("checkpoint", Checkpoint), Method("stats", Stats), Method("snapshot", Snapshot),
                   Method("installSnapshot", InstallSnapshot), Method("defragment", Simple<&Store::Defragment>),
                   Method("flush", Simple<&Store::Flush>)});
}

}  // namespace balsa
