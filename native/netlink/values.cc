#include "values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <utility>

namespace balsa::netlink {

namespace {

Napi::Value ErrorObject(Napi::Env env, const Error& error, int operation) {
  const char* name = strerrorname_np(error.code);
  std::string text = name == nullptr ? "error " + std::to_string(error.code) : name;
  const std::string code = text;
  text += ": ";
  text += strerror(error.code);
  if (!error.message.empty()) text += " (" + error.message + ")";
  const Napi::Error object = Napi::Error::New(env, text);
  object.Set("code", Napi::String::New(env, code));
  object.Set("errno", Napi::Number::New(env, error.code));
  if (operation >= 0) object.Set("operation", Napi::Number::New(env, operation));
  return object.Value();
}

class Task : public Napi::AsyncWorker {
 public:
  Task(Napi::Env env, std::function<Error()> work, std::function<Napi::Value(Napi::Env)> result,
       std::function<int(const Error&)> operation_of)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        work_(std::move(work)),
        result_(std::move(result)),
        operation_of_(std::move(operation_of)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override { error_ = work_(); }

  void OnOK() override {
    const Napi::Env env = Env();
    const Napi::HandleScope scope(env);
    if (!error_.ok()) {
      deferred_.Reject(ErrorObject(env, error_, operation_of_ ? operation_of_(error_) : -1));
    } else {
      deferred_.Resolve(result_ ? result_(env) : env.Undefined());
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::function<Error()> work_;
  std::function<Napi::Value(Napi::Env)> result_;
  std::function<int(const Error&)> operation_of_;
  Error error_;
};

}  // namespace

size_t Address::size() const { return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0; }

bool Address::Parse(const std::string& text) {
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) {
    family = AF_INET;
  } else if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) {
    family = AF_INET6;
  } else {
    family = 0;
  }
  return family != 0;
}

std::string FormatAddress(uint8_t family, const uint8_t* bytes, size_t size) {
  char text[INET6_ADDRSTRLEN] = "";
  if (size < (family == AF_INET ? 4u : 16u)) return "";
  if (inet_ntop(family, bytes, text, sizeof text) == nullptr) return "";
  return text;
}

Napi::Promise RunAsync(Napi::Env env, std::function<Error()> work, std::function<Napi::Value(Napi::Env)> result,
                       std::function<int(const Error&)> operation_of) {
  auto* task = new Task(env, std::move(work), std::move(result), std::move(operation_of));
  const Napi::Promise promise = task->promise();
  task->Queue();  // deletes itself after OnOK
  return promise;
}

Napi::Promise Reject(Napi::Env env, const std::string& message) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(Napi::TypeError::New(env, message).Value());
  return deferred.Promise();
}

}  // namespace balsa::netlink
