#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace balsa {

/// A point in the store's history: the transaction, and the change's place within it.
struct Revision {
  int64_t main = 0;
  uint32_t sub = 0;

  bool operator==(const Revision& other) const { return main == other.main && sub == other.sub; }
  bool operator<(const Revision& other) const { return main != other.main ? main < other.main : sub < other.sub; }
};

/// Keys of the `revisions` column family: 8 bytes of main and 4 bytes of sub, big endian, so that they sort in order of time.
inline constexpr size_t kRevisionKeySize = 12;
void EncodeRevisionKey(Revision revision, char* out);
bool DecodeRevisionKey(std::string_view bytes, Revision* revision);

enum class RecordKind : uint8_t { kPut = 1, kTombstone = 2 };

/// What a record says, as views into it.
struct KeyValueView {
  std::string_view key;
  std::string_view value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  int64_t lease = 0;
};

bool ParseKeyValue(std::string_view bytes, KeyValueView* view);
void AppendKeyValue(std::string* out, const KeyValueView& view);

/// One change as it is kept: a kind byte, then an encoded `mvccpb.KeyValue`, which answers and watch events carry as it is.
/// Reference counted, so that the cache, readers and all watchers of an event share the one copy.
class Record {
 public:
  static Record* Make(RecordKind kind, const KeyValueView& view);
  /// Takes the bytes of a stored record; nullptr when they are not one.
  static Record* FromStored(std::string_view stored);

  void Ref() { references_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      this->~Record();
      std::free(this);
    }
  }

  std::string_view stored() const { return {bytes(), size_}; }
  std::string_view encoded() const { return {bytes() + 1, size_ - 1u}; }
  RecordKind kind() const { return static_cast<RecordKind>(bytes()[0]); }
  bool tombstone() const { return kind() == RecordKind::kTombstone; }
  KeyValueView view() const {
    KeyValueView view;
    ParseKeyValue(encoded(), &view);
    return view;
  }

 private:
  explicit Record(uint32_t size) : size_(size) {}
  static Record* Allocate(size_t size);
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  char* bytes() { return reinterpret_cast<char*>(this + 1); }

  std::atomic<uint32_t> references_{1};
  uint32_t size_;
};

class RecordRef {
 public:
  RecordRef() = default;
  /// Takes over a reference.
  explicit RecordRef(Record* record) : record_(record) {}
  RecordRef(const RecordRef& other) : record_(other.record_) {
    if (record_ != nullptr) record_->Ref();
  }
  RecordRef(RecordRef&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
  RecordRef& operator=(RecordRef other) noexcept {
    std::swap(record_, other.record_);
    return *this;
  }
  ~RecordRef() {
    if (record_ != nullptr) record_->Unref();
  }

  explicit operator bool() const { return record_ != nullptr; }
  const Record* operator->() const { return record_; }
  const Record& operator*() const { return *record_; }

 private:
  Record* record_ = nullptr;
};

}  // namespace balsa
