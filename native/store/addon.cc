#include "store/binding.h"

namespace balsa {

namespace {

/// An option, or what it already is when absent.
template <typename Read>
void Option(napi_env env, napi_value options, const char* name, Read read) {
  napi_value value = nullptr;
  napi_valuetype type = napi_undefined;
  if (napi_get_named_property(env, options, name, &value) != napi_ok) return;
  if (napi_typeof(env, value, &type) != napi_ok || type == napi_undefined) return;
  read(value);
}

StoreOptions ReadOptions(napi_env env, napi_value object) {
  StoreOptions options;
  auto big = [env](uint64_t* out) {
    return [env, out](napi_value value) {
      bool lossless = false;
      napi_get_value_bigint_uint64(env, value, out, &lossless);
    };
  };
  auto size = [env](auto* out) {
    return [env, out](napi_value value) {
      int64_t number = 0;
      if (napi_get_value_int64(env, value, &number) == napi_ok && number >= 0) {
        *out = static_cast<std::remove_pointer_t<decltype(out)>>(number);
      }
    };
  };
  Option(env, object, "clusterId", big(&options.cluster_id));
  Option(env, object, "memberId", big(&options.member_id));
  Option(env, object, "create", [&](napi_value value) { napi_get_value_bool(env, value, &options.create); });
  Option(env, object, "walSync", [&](napi_value value) {
    char text[8] = {};
    size_t length = 0;
    napi_get_value_string_utf8(env, value, text, sizeof(text), &length);
    options.sync_log = std::string_view(text, length) != "never";
  });
  Option(env, object, "blockCacheBytes", size(&options.block_cache_bytes));
  Option(env, object, "writeBufferBytes", size(&options.write_buffer_bytes));
  Option(env, object, "recordCacheBytes", size(&options.record_cache_bytes));
  Option(env, object, "minLeaseTtl", size(&options.min_lease_ttl));
  Option(env, object, "quotaBytes", size(&options.quota_bytes));
  return options;
}

napi_value CloseStore(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto* handle = arguments.Unwrap<StoreHandle>();
  if (handle != nullptr) handle->store.reset();
  return Undefined(env);
}

napi_value SetIdentity(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  store->SetIdentity(arguments.BigInt(0), arguments.BigInt(1));
  return Undefined(env);
}

napi_value Open(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  std::shared_ptr<Store> store;
  rocksdb::Status status = Store::Open(arguments.String(0), ReadOptions(env, arguments[1]), &store);
  if (!status.ok()) return ThrowStatus(env, status);
  std::vector<napi_property_descriptor> methods = {Method("close", CloseStore), Method("setIdentity", SetIdentity)};
  AddLogMethods(&methods);
  AddReadMethods(&methods);
  AddLeaseMethods(&methods);
  AddMaintenanceMethods(&methods);
  AddWatchMethods(&methods);
  return WrapObject(env, methods, new StoreHandle{std::move(store)},
                    [](napi_env, void* data, void*) { delete static_cast<StoreHandle*>(data); });
}

}  // namespace

Environment* GetEnvironment(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Environment*>(data);
}

}  // namespace balsa

NAPI_MODULE_INIT() {
  auto* environment = new balsa::Environment{balsa::AsyncCalls::Create(env)};
  napi_set_instance_data(
      env, environment, [](napi_env, void* data, void*) { delete static_cast<balsa::Environment*>(data); }, nullptr);
  napi_property_descriptor open = balsa::Method("open", balsa::Open);
  napi_define_properties(env, exports, 1, &open);
  napi_value codes = nullptr;
  napi_create_array(env, &codes);
  uint32_t at = 0;
  for (const char* name : balsa::kErrorCodeNames) napi_set_element(env, codes, at++, balsa::FromString(env, name));
  balsa::SetProperty(env, exports, "errorCodes", codes);
  return exports;
}
