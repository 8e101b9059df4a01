#include <cstdlib>
#include <cstring>

#include "store/binding.h"
#include "store/coding.h"

namespace balsa {

namespace {

/// Below this a copy costs less than the bookkeeping of memory outside V8's heap.
constexpr size_t kCopyBelow = 8 << 10;

const char* CodeOf(const rocksdb::Status& status) {
  if (status.IsInvalidArgument()) return ErrorCodeName(ErrorCode::kInvalidArgument);
  if (status.IsIncomplete() || status.IsShutdownInProgress()) return ErrorCodeName(ErrorCode::kUnavailable);
  return ErrorCodeName(ErrorCode::kCorrupt);
}

void FreeBlock(napi_env, void* data, void*) { std::free(data); }

void DeleteString(napi_env, void*, void* hint) { delete static_cast<std::string*>(hint); }

}  // namespace

napi_value ThrowStatus(napi_env env, const rocksdb::Status& status) {
  napi_throw_error(env, CodeOf(status), status.getState() != nullptr ? status.getState() : status.ToString().c_str());
  return nullptr;
}

napi_value ThrowCode(napi_env env, ErrorCode code, const char* message) {
  napi_throw_error(env, ErrorCodeName(code), message);
  return nullptr;
}

napi_value MakeError(napi_env env, const rocksdb::Status& status) {
  napi_value error = nullptr;
  napi_value code = FromString(env, CodeOf(status));
  napi_value message = FromString(env, status.getState() != nullptr ? status.getState() : status.ToString());
  napi_create_error(env, code, message, &error);
  return error;
}

std::string_view Arguments::Bytes(size_t at, bool* given) const {
  if (given != nullptr) *given = false;
  size_t size = 0;
  char* data = at < count_ ? Writable(at, &size) : nullptr;
  if (given != nullptr) *given = data != nullptr || size != 0;
  return data == nullptr ? std::string_view() : std::string_view(data, size);
}

char* Arguments::Writable(size_t at, size_t* size) const {
  void* data = nullptr;
  *size = 0;
  if (napi_get_buffer_info(env_, values_[at], &data, size) == napi_ok) {
    // An empty array may have no memory; it is an argument all the same.
    static char nothing;
    return data == nullptr ? &nothing : static_cast<char*>(data);
  }
  return nullptr;
}

double Arguments::Number(size_t at) const {
  double value = 0;
  if (at < count_) napi_get_value_double(env_, values_[at], &value);
  return value;
}

int64_t Arguments::Integer(size_t at) const {
  int64_t value = 0;
  if (at < count_) napi_get_value_int64(env_, values_[at], &value);
  return value;
}

bool Arguments::Boolean(size_t at) const {
  bool value = false;
  if (at < count_) napi_get_value_bool(env_, values_[at], &value);
  return value;
}

uint64_t Arguments::BigInt(size_t at) const {
  uint64_t value = 0;
  bool lossless = false;
  if (at < count_) napi_get_value_bigint_uint64(env_, values_[at], &value, &lossless);
  return value;
}

std::string Arguments::String(size_t at) const {
  size_t size = 0;
  if (at >= count_ || napi_get_value_string_utf8(env_, values_[at], nullptr, 0, &size) != napi_ok) return {};
  std::string value(size, '\0');
  napi_get_value_string_utf8(env_, values_[at], value.data(), size + 1, &size);
  return value;
}

std::shared_ptr<Store> Arguments::OpenStore() const {
  auto* handle = Unwrap<StoreHandle>();
  if (handle == nullptr) return nullptr;
  if (!handle->store) ThrowCode(env_, ErrorCode::kUnavailable, "the store is closed");
  return handle->store;
}

napi_value Undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

napi_value FromNumber(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value FromBigInt(napi_env env, int64_t number) {
  napi_value value = nullptr;
  napi_create_bigint_int64(env, number, &value);
  return value;
}

napi_value FromBigUint(napi_env env, uint64_t number) {
  napi_value value = nullptr;
  napi_create_bigint_uint64(env, number, &value);
  return value;
}

napi_value FromString(napi_env env, std::string_view text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value ToArrayBuffer(napi_env env, std::string bytes) {
  napi_value value = nullptr;
  if (bytes.size() < kCopyBelow) {
    void* data = nullptr;
    napi_create_arraybuffer(env, bytes.size(), &data, &value);
    if (data != nullptr && !bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
    return value;
  }
  auto* owned = new std::string(std::move(bytes));
  if (napi_create_external_arraybuffer(env, owned->data(), owned->size(), DeleteString, owned, &value) != napi_ok) {
    delete owned;
  }
  return value;
}

napi_value ToArrayBuffer(napi_env env, Block block) {
  napi_value value = nullptr;
  if (block.size < kCopyBelow) {
    void* data = nullptr;
    napi_create_arraybuffer(env, block.size, &data, &value);
    if (data != nullptr) std::memcpy(data, block.data.get(), block.size);
    return value;
  }
  if (napi_create_external_arraybuffer(env, block.data.get(), block.size, FreeBlock, nullptr, &value) == napi_ok) {
    block.data.release();
  }
  return value;
}

napi_value ToBuffer(napi_env env, Block block) {
  if (block.size < kCopyBelow) return BufferCopy(env, {block.data.get(), block.size});
  napi_value value = nullptr;
  if (napi_create_external_buffer(env, block.size, block.data.get(), FreeBlock, nullptr, &value) == napi_ok) {
    block.data.release();
  }
  return value;
}

napi_value ToBuffer(napi_env env, std::string bytes) {
  if (bytes.size() < kCopyBelow) return BufferCopy(env, bytes);
  napi_value value = nullptr;
  auto* owned = new std::string(std::move(bytes));
  if (napi_create_external_buffer(env, owned->size(), owned->data(), DeleteString, owned, &value) != napi_ok) delete owned;
  return value;
}

napi_value BufferCopy(napi_env env, std::string_view bytes) {
  napi_value value = nullptr;
  void* data = nullptr;
  napi_create_buffer_copy(env, bytes.size(), bytes.data(), &data, &value);
  return value;
}

void SetProperty(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

napi_value NewObject(napi_env env) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  return object;
}

napi_property_descriptor Method(const char* name, napi_callback callback) {
  napi_property_descriptor descriptor = {};
  descriptor.utf8name = name;
  descriptor.method = callback;
  descriptor.attributes = napi_default_method;
  return descriptor;
}

napi_value WrapObject(napi_env env, const std::vector<napi_property_descriptor>& methods, void* native,
                      napi_finalize finalize) {
  napi_value object = NewObject(env);
  napi_define_properties(env, object, methods.size(), methods.data());
  napi_wrap(env, object, native, finalize, nullptr, nullptr);
  return object;
}

bool UnpackMetaWrites(std::string_view packed, std::vector<MetaWrite>* writes) {
  while (!packed.empty()) {
    if (packed.size() < 8) return false;
    uint32_t key_size = ReadLittle32(packed.data());
    uint32_t value_size = ReadLittle32(packed.data() + 4);
    MetaWrite write;
    write.is_delete = value_size == UINT32_MAX;
    if (write.is_delete) value_size = 0;
    packed.remove_prefix(8);
    if (packed.size() < uint64_t{key_size} + value_size) return false;
    write.key = packed.substr(0, key_size);
    write.value = packed.substr(key_size, value_size);
    packed.remove_prefix(size_t{key_size} + value_size);
    writes->push_back(write);
  }
  return true;
}

bool UnpackHardState(std::string_view packed, HardState* state) {
  if (packed.size() != 24) return false;
  state->term = static_cast<uint64_t>(ReadDouble(packed.data()));
  state->vote = ReadLittle64(packed.data() + 8);
  state->commit = static_cast<uint64_t>(ReadDouble(packed.data() + 16));
  return true;
}

}  // namespace balsa
