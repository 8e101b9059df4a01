#pragma once

#include <node_api.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "store/error_code.h"
#include "store/packing.h"
#include "store/store.h"

namespace balsa {

/// The addon speaks Node-API's C interface: its calls are the hot path, and its errors are values.

/// A thread's way to wake one Node environment: `on_wake` runs there, at least once after each Wake.
class EnvironmentWake : public std::enable_shared_from_this<EnvironmentWake> {
 public:
  static std::shared_ptr<EnvironmentWake> Create(napi_env env, const char* name, std::function<void(napi_env)> on_wake);
  /// Any thread; nothing happens once closed.
  void Wake();
  /// The environment's thread: whether waiting for a wake keeps the process up.
  void KeepAlive(napi_env env, bool keep);
  /// The environment's thread.
  void Close();

 private:
  std::mutex lock_;
  bool closed_ = false;
  napi_threadsafe_function function_ = nullptr;
  std::function<void(napi_env)> on_wake_;
};

/// Promises of one environment that other threads settle.
class AsyncCalls : public std::enable_shared_from_this<AsyncCalls> {
 public:
  /// Makes the value a promise resolves with; runs on the environment's thread.
  using MakeValue = std::function<napi_value(napi_env)>;
  /// Settles once, from any thread.
  using Finish = std::function<void(const rocksdb::Status&, MakeValue)>;

  static std::shared_ptr<AsyncCalls> Create(napi_env env);
  /// Returns the promise; `begin` gets what settles it.
  napi_value Start(napi_env env, const std::function<void(Finish)>& begin);

 private:
  struct Settled {
    napi_deferred deferred;
    rocksdb::Status status;
    MakeValue make;
  };
  void SettleAll(napi_env env);

  std::shared_ptr<EnvironmentWake> wake_;
  std::mutex lock_;
  std::vector<Settled> settled_;
  size_t pending_ = 0;
};

/// What each environment that loads the addon has.
struct Environment {
  std::shared_ptr<AsyncCalls> calls;
};
Environment* GetEnvironment(napi_env env);

/// A handle that JavaScript holds to a store.
struct StoreHandle {
  std::shared_ptr<Store> store;  // Empty once closed.
};

napi_value ThrowStatus(napi_env env, const rocksdb::Status& status);
napi_value ThrowCode(napi_env env, ErrorCode code, const char* message);
napi_value MakeError(napi_env env, const rocksdb::Status& status);

/// A method's arguments, and the object it was called on.
class Arguments {
 public:
  static constexpr size_t kMax = 10;
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMax;
    napi_get_cb_info(env, info, &count, values_, &self_, nullptr);
    count_ = count;
  }

  napi_value self() const { return self_; }
  napi_value operator[](size_t at) const { return values_[at]; }
  /// The bytes of a Uint8Array; empty for undefined (`given` tells).
  std::string_view Bytes(size_t at, bool* given = nullptr) const;
  char* Writable(size_t at, size_t* size) const;
  int64_t Integer(size_t at) const;
  double Number(size_t at) const;
  bool Boolean(size_t at) const;
  uint64_t BigInt(size_t at) const;
  std::string String(size_t at) const;

  /// The wrapped object; nullptr, with an exception thrown, when it is of another kind.
  template <typename T>
  T* Unwrap() const {
    void* object = nullptr;
    if (napi_unwrap(env_, self_, &object) != napi_ok) {
      napi_throw_type_error(env_, nullptr, "called on an object of another kind");
      return nullptr;
    }
    return static_cast<T*>(object);
  }

  /// The store of the handle it was called on; empty, with an exception thrown, when that is closed.
  std::shared_ptr<Store> OpenStore() const;

 private:
  napi_env env_;
  napi_value self_ = nullptr;
  napi_value values_[kMax] = {};
  size_t count_ = 0;
};

napi_value Undefined(napi_env env);
napi_value FromNumber(napi_env env, double value);
napi_value FromBigInt(napi_env env, int64_t value);
napi_value FromBigUint(napi_env env, uint64_t value);
napi_value FromString(napi_env env, std::string_view value);
napi_value ToArrayBuffer(napi_env env, std::string bytes);
napi_value ToArrayBuffer(napi_env env, Block block);
napi_value ToBuffer(napi_env env, std::string bytes);
napi_value ToBuffer(napi_env env, Block block);
napi_value BufferCopy(napi_env env, std::string_view bytes);
void SetProperty(napi_env env, napi_value object, const char* name, napi_value value);
napi_value NewObject(napi_env env);
/// A JavaScript object that owns `native`, with these methods.
napi_value WrapObject(napi_env env, const std::vector<napi_property_descriptor>& methods, void* native,
                      napi_finalize finalize);
napi_property_descriptor Method(const char* name, napi_callback callback);

/// Methods by theme; each file adds its own.
void AddLogMethods(std::vector<napi_property_descriptor>* methods);
void AddReadMethods(std::vector<napi_property_descriptor>* methods);
void AddLeaseMethods(std::vector<napi_property_descriptor>* methods);
void AddMaintenanceMethods(std::vector<napi_property_descriptor>* methods);
void AddWatchMethods(std::vector<napi_property_descriptor>* methods);

bool UnpackMetaWrites(std::string_view packed, std::vector<MetaWrite>* writes);
bool UnpackHardState(std::string_view packed, HardState* state);
napi_value StateObject(napi_env env, const StoreState& state);

}  // namespace balsa
