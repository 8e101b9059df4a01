#pragma once

#include <absl/container/btree_set.h>

#include <cstdint>
#include <functional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "store/record.h"

namespace balsa {

/// One key and the revisions at which it changed, oldest first. A tombstone ends a generation; what follows begins the next.
class KeyEntry {
 public:
  static KeyEntry* Make(std::string_view key);
  void Free();

  std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_size_}; }
  bool live() const { return version_ != 0; }
  int64_t version() const { return version_; }
  int64_t create_revision() const { return create_revision_; }
  int64_t lease() const { return lease_; }

  /// The change in force at `revision` (whole transactions: its sub is the last); false when the key did not exist then.
  bool At(int64_t revision, Revision* found) const;

 private:
  friend class KeyIndex;
  struct Slot {
    int64_t main;
    uint32_t sub : 31;
    uint32_t tombstone : 1;
  };
  explicit KeyEntry(uint32_t key_size) : key_size_(key_size) {}
  const Slot* slots() const { return capacity_ == 0 ? &inline_slot_ : slots_; }
  Slot* slots() { return capacity_ == 0 ? &inline_slot_ : slots_; }
  void Push(Revision revision, bool tombstone);
  size_t heap_bytes() const;

  int64_t version_ = 0;          // Of the newest generation; 0 when that has ended.
  int64_t create_revision_ = 0;  // Of the newest generation.
  int64_t lease_ = 0;            // Of the newest put.
  union {
    Slot inline_slot_;  // Most keys have changed once since the last compaction.
    Slot* slots_;
  };
  uint32_t count_ = 0;
  uint32_t capacity_ = 0;  // 0: inline.
  uint32_t key_size_;
};

/// All keys in order, with etcd's treeIndex semantics. One thread writes at a time (the caller sees to that); any read.
class KeyIndex {
 public:
  KeyIndex() = default;
  ~KeyIndex() { Clear(); }
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  /// Writers.
  KeyEntry* Put(std::string_view key, Revision revision, int64_t lease);
  void Tombstone(KeyEntry* entry, Revision revision);
  /// A record met while loading, in order of revision.
  KeyEntry* Restore(const KeyValueView& view, Revision revision, bool tombstone);
  void Clear();
  void Swap(KeyIndex* other);

  /// Visits up to `budget` entries from `cursor` on and drops what a compaction at `revision` leaves out: all but the newest change up to it,
  /// and that one too if it is a tombstone below it. Returns false when the end was reached; else `cursor` says where to go on.
  bool CompactSome(int64_t revision, size_t budget, std::string* cursor, std::vector<Revision>* dropped);

  /// Readers. An empty `end`: the one key; the single byte 0: to the end of the keyspace.
  KeyEntry* Find(std::string_view key) const;
  /// Changes in force at `revision`, in key order, at most `limit` (0: all); the return value counts them all.
  size_t Collect(std::string_view key, std::string_view end, int64_t revision, size_t limit,
                 std::vector<Revision>* found) const;
  size_t Count(std::string_view key, std::string_view end, int64_t revision) const;
  bool At(std::string_view key, int64_t revision, Revision* found) const;
  /// Live entries in the range; for the writer, which alone may keep pointers.
  void CollectLive(std::string_view key, std::string_view end, std::vector<KeyEntry*>* found) const;

  /// Whether a compaction at `compact` keeps this change of a key, however far compaction has come.
  bool Keeps(std::string_view key, Revision revision, int64_t compact) const;
  /// Live entries that have a lease.
  void VisitLeased(const std::function<void(int64_t lease, KeyEntry* entry)>& visit) const;

  size_t size() const;
  size_t memory_bytes() const;

 private:
  struct Less {
    using is_transparent = void;
    bool operator()(const KeyEntry* a, const KeyEntry* b) const { return a->key() < b->key(); }
    bool operator()(const KeyEntry* a, std::string_view b) const { return a->key() < b; }
    bool operator()(std::string_view a, const KeyEntry* b) const { return a < b->key(); }
  };
  using Tree = absl::btree_set<KeyEntry*, Less>;

  template <typename Visitor>
  void Visit(std::string_view key, std::string_view end, Visitor visit) const;
  KeyEntry* FindLocked(std::string_view key) const;
  KeyEntry* FindOrMake(std::string_view key);

  mutable std::shared_mutex lock_;
  Tree tree_;
  size_t entry_bytes_ = 0;
};

}  // namespace balsa
