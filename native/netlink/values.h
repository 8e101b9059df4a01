// Reading JavaScript values into C++ ones, and running netlink work off the main thread.
#pragma once

// Plain return values instead of Maybe: a failed property access here means a broken typed binding, not user input.
#undef NODE_ADDON_API_ENABLE_MAYBE
#include <napi.h>

#include <functional>
#include <string>

#include "socket.h"

namespace balsa::netlink {

// Properties of one JavaScript object. A missing or mistyped property yields the default: the typed binding
// (daemon/proxy/netlink.ts) is the only caller.
class Properties {
 public:
  explicit Properties(Napi::Object object) : object_(object) {}

  bool Has(const char* name) const {
    const Napi::Value value = object_.Get(name);
    return !value.IsUndefined() && !value.IsNull();
  }
  Napi::Value Get(const char* name) const { return object_.Get(name); }
  std::string String(const char* name) const {
    const Napi::Value value = object_.Get(name);
    return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
  }
  double Number(const char* name, double otherwise = 0) const {
    const Napi::Value value = object_.Get(name);
    return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : otherwise;
  }
  uint32_t U32(const char* name, uint32_t otherwise = 0) const {
    const Napi::Value value = object_.Get(name);
    return value.IsNumber() ? value.As<Napi::Number>().Uint32Value() : otherwise;
  }
  bool Flag(const char* name) const {
    const Napi::Value value = object_.Get(name);
    return value.IsBoolean() && value.As<Napi::Boolean>().Value();
  }
  // Empty when absent. Valid as long as the JavaScript value is.
  std::string_view Bytes(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsTypedArray()) return {};
    const auto array = value.As<Napi::TypedArray>();
    const auto* base = static_cast<const char*>(array.ArrayBuffer().Data());
    return std::string_view(base + array.ByteOffset(), array.ByteLength());
  }
  Napi::Array List(const char* name) const {
    const Napi::Value value = object_.Get(name);
    return value.IsArray() ? value.As<Napi::Array>() : Napi::Array::New(object_.Env(), 0);
  }

 private:
  Napi::Object object_;
};

// An IP address of either family in network order.
struct Address {
  uint8_t family = 0;  // AF_INET, AF_INET6; 0: none
  uint8_t bytes[16] = {};
  size_t size() const;
  bool Parse(const std::string& text);
};

std::string FormatAddress(uint8_t family, const uint8_t* bytes, size_t size);

// Runs `work` on a pool thread and settles a promise with `result` or with an Error that has `code` (such as `ENOENT`),
// `errno` and, from `operation_of`, `operation`: the index of the failed operation.
Napi::Promise RunAsync(Napi::Env env, std::function<Error()> work, std::function<Napi::Value(Napi::Env)> result = {},
                       std::function<int(const Error&)> operation_of = {});

// A promise that is already rejected with a TypeError.
Napi::Promise Reject(Napi::Env env, const std::string& message);

void RegisterNftables(Napi::Env env, Napi::Object exports);
void RegisterRtnetlink(Napi::Env env, Napi::Object exports);
void RegisterConntrack(Napi::Env env, Napi::Object exports);
void RegisterIpvs(Napi::Env env, Napi::Object exports);
void RegisterAnnounce(Napi::Env env, Napi::Object exports);

}  // namespace balsa::netlink
