#include "store/binding.h"

namespace balsa {

namespace {

void FinalizeWake(napi_env, void* data, void*) { delete static_cast<std::shared_ptr<EnvironmentWake>*>(data); }

}  // namespace

std::shared_ptr<EnvironmentWake> EnvironmentWake::Create(napi_env env, const char* name,
                                                         std::function<void(napi_env)> on_wake) {
  auto wake = std::make_shared<EnvironmentWake>();
  wake->on_wake_ = std::move(on_wake);
  // The function's finalizer lets go of the wake, after its last call.
  auto* held = new std::shared_ptr<EnvironmentWake>(wake);
  napi_create_threadsafe_function(
      env, nullptr, nullptr, FromString(env, name), 0, 1, held, FinalizeWake, wake.get(),
      [](napi_env called, napi_value, void* context, void*) {
        if (called != nullptr) static_cast<EnvironmentWake*>(context)->on_wake_(called);
      },
      &wake->function_);
  napi_unref_threadsafe_function(env, wake->function_);
  // At the environment's end no thread may call it any more.
  auto* hook = new std::weak_ptr<EnvironmentWake>(wake);
  napi_add_env_cleanup_hook(
      env,
      [](void* data) {
        auto* weak = static_cast<std::weak_ptr<EnvironmentWake>*>(data);
        if (auto alive = weak->lock()) alive->Close();
        delete weak;
      },
      hook);
  return wake;
}

void EnvironmentWake::Wake() {
  std::lock_guard<std::mutex> lock(lock_);
  if (!closed_) napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
}

void EnvironmentWake::KeepAlive(napi_env env, bool keep) {
  std::lock_guard<std::mutex> lock(lock_);
  if (closed_) return;
  if (keep) {
    napi_ref_threadsafe_function(env, function_);
  } else {
    napi_unref_threadsafe_function(env, function_);
  }
}

void EnvironmentWake::Close() {
  std::lock_guard<std::mutex> lock(lock_);
  if (closed_) return;
  closed_ = true;
  napi_release_threadsafe_function(function_, napi_tsfn_abort);
}

std::shared_ptr<AsyncCalls> AsyncCalls::Create(napi_env env) {
  auto calls = std::make_shared<AsyncCalls>();
  std::weak_ptr<AsyncCalls> weak = calls;
  calls->wake_ = EnvironmentWake::Create(env, "balsa store", [weak](napi_env called) {
    if (auto alive = weak.lock()) alive->SettleAll(called);
  });
  return calls;
}

napi_value AsyncCalls::Start(napi_env env, const std::function<void(Finish)>& begin) {
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  napi_create_promise(env, &deferred, &promise);
  if (pending_++ == 0) wake_->KeepAlive(env, true);
  begin([self = shared_from_this(), deferred](const rocksdb::Status& status, MakeValue make) {
    {
      std::lock_guard<std::mutex> lock(self->lock_);
      self->settled_.push_back({deferred, status, std::move(make)});
    }
    self->wake_->Wake();
  });
  return promise;
}

void AsyncCalls::SettleAll(napi_env env) {
  std::vector<Settled> settled;
  {
    std::lock_guard<std::mutex> lock(lock_);
    settled.swap(settled_);
  }
  for (Settled& call : settled) {
    if (call.status.ok()) {
      napi_resolve_deferred(env, call.deferred, call.make ? call.make(env) : Undefined(env));
    } else {
      napi_reject_deferred(env, call.deferred, MakeError(env, call.status));
    }
  }
  pending_ -= settled.size();
  if (!settled.empty() && pending_ == 0) wake_->KeepAlive(env, false);
}

}  // namespace balsa
