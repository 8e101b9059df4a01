#include "store/binding.h"

namespace balsa {

namespace {

struct HubHandle {
  std::shared_ptr<Store> store;  // Empty once closed.
  std::shared_ptr<WatchHub> hub;
  std::shared_ptr<EnvironmentWake> wake;
  napi_ref on_ready = nullptr;

  void Close(napi_env env) {
    if (!store) return;
    store->watch().CloseHub(hub);
    wake->Close();
    napi_delete_reference(env, on_ready);
    store.reset();
  }
};

HubHandle* OpenHub(napi_env env, const Arguments& arguments) {
  auto* handle = arguments.Unwrap<HubHandle>();
  if (handle == nullptr) return nullptr;
  if (!handle->store) {
    ThrowCode(env, ErrorCode::kUnavailable, "the watch hub is closed");
    return nullptr;
  }
  return handle;
}

napi_value Watch(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  HubHandle* handle = OpenHub(env, arguments);
  if (handle == nullptr) return nullptr;
  auto flags = static_cast<uint32_t>(arguments.Integer(3));
  WatchOptions options;
  options.previous = (flags & 1) != 0;
  options.no_put = (flags & 2) != 0;
  options.no_delete = (flags & 4) != 0;
  int64_t revision = 0;
  uint32_t id = handle->store->watch().Watch(handle->hub, arguments.Bytes(0), arguments.Bytes(1), arguments.Integer(2),
                                             options, &revision);
  napi_value result = NewObject(env);
  SetProperty(env, result, "id", FromNumber(env, id));
  SetProperty(env, result, "revision", FromNumber(env, static_cast<double>(revision)));
  return result;
}

template <void (WatchEngine::*kCall)(uint32_t)>
napi_value OnWatcher(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  HubHandle* handle = OpenHub(env, arguments);
  if (handle == nullptr) return nullptr;
  (handle->store->watch().*kCall)(static_cast<uint32_t>(arguments.Integer(0)));
  return Undefined(env);
}

napi_value Drain(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  HubHandle* handle = OpenHub(env, arguments);
  if (handle == nullptr) return nullptr;
  std::vector<WatchBatch> batches;
  handle->store->watch().Drain(handle->hub.get(), &batches);
  return batches.empty() ? Undefined(env) : ToArrayBuffer(env, PackWatchBatches(batches));
}

napi_value Close(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto* handle = arguments.Unwrap<HubHandle>();
  if (handle != nullptr) handle->Close(env);
  return Undefined(env);
}

napi_value CreateWatchHub(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  auto* handle = new HubHandle();
  handle->store = store;
  napi_create_reference(env, arguments[0], 1, &handle->on_ready);
  handle->wake = EnvironmentWake::Create(env, "balsa watch", [handle](napi_env called) {
    if (!handle->store) return;
    napi_value callback = nullptr;
    napi_get_reference_value(called, handle->on_ready, &callback);
    napi_call_function(called, Undefined(called), callback, 0, nullptr, nullptr);
  });
  handle->hub = store->watch().CreateHub([wake = handle->wake] { wake->Wake(); });
  return WrapObject(env,
                    {Method("watch", Watch), Method("cancel", OnWatcher<&WatchEngine::Cancel>),
                     Method("pause", OnWatcher<&WatchEngine::Pause>), Method("resume", OnWatcher<&WatchEngine::Resume>),
                     Method("requestProgress", OnWatcher<&WatchEngine::RequestProgress>), Method("drain", Drain),
                     Method("close", Close)},
                    handle, [](napi_env finalizing, void* data, void*) {
                      auto* owned = static_cast<HubHandle*>(data);
                      owned->Close(finalizing);
                      delete owned;
                    });
}

}  // namespace

void AddWatchMethods(std::vector<napi_property_descriptor>* methods) {
  methods->push_back(Method("createWatchHub", CreateWatchHub));
}

}  // namespace balsa
