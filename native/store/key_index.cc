#include "store/key_index.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

namespace balsa {

KeyEntry* KeyEntry::Make(std::string_view key) {
  void* memory = std::malloc(sizeof(KeyEntry) + key.size());
  auto* entry = new (memory) KeyEntry(static_cast<uint32_t>(key.size()));
  std::memcpy(reinterpret_cast<char*>(entry + 1), key.data(), key.size());
  return entry;
}

void KeyEntry::Free() {
  if (capacity_ != 0) std::free(slots_);
  this->~KeyEntry();
  std::free(this);
}

size_t KeyEntry::heap_bytes() const { return sizeof(KeyEntry) + key_size_ + capacity_ * sizeof(Slot); }

bool KeyEntry::At(int64_t revision, Revision* found) const {
  const Slot* first = slots();
  const Slot* last = first + count_;
  // Reads are nearly always of the newest state.
  const Slot* after = count_ != 0 && (last - 1)->main <= revision
                          ? last
                          : std::upper_bound(first, last, revision, [](int64_t at, const Slot& slot) { return at < slot.main; });
  if (after == first || (after - 1)->tombstone) return false;
  *found = Revision{(after - 1)->main, (after - 1)->sub};
  return true;
}

void KeyEntry::Push(Revision revision, bool tombstone) {
  Slot slot{revision.main, revision.sub, tombstone ? 1u : 0u};
  if (count_ == 0 && capacity_ == 0) {
    inline_slot_ = slot;
  } else {
    if (capacity_ == 0 || count_ == capacity_) {
      uint32_t grown = capacity_ == 0 ? 4 : capacity_ * 2;
      auto* memory = static_cast<Slot*>(std::malloc(grown * sizeof(Slot)));
      std::memcpy(memory, slots(), count_ * sizeof(Slot));
      if (capacity_ != 0) std::free(slots_);
      slots_ = memory;
      capacity_ = grown;
    }
    slots_[count_] = slot;
  }
  count_++;
}

template <typename Visitor>
void KeyIndex::Visit(std::string_view key, std::string_view end, Visitor visit) const {
  if (end.empty()) {
    if (KeyEntry* entry = FindLocked(key)) visit(entry);
    return;
  }
  bool unbounded = end.size() == 1 && end[0] == '\0';
  for (auto it = tree_.lower_bound(key); it != tree_.end(); ++it) {
    if (!unbounded && (*it)->key() >= end) break;
    if (!visit(*it)) break;
  }
}

KeyEntry* KeyIndex::FindLocked(std::string_view key) const {
  auto it = tree_.find(key);
  return it == tree_.end() ? nullptr : *it;
}

KeyEntry* KeyIndex::Find(std::string_view key) const {
  std::shared_lock<std::shared_mutex> lock(lock_);
  return FindLocked(key);
}

KeyEntry* KeyIndex::FindOrMake(std::string_view key) {
  auto it = tree_.lower_bound(key);
  if (it != tree_.end() && (*it)->key() == key) return *it;
  KeyEntry* entry = KeyEntry::Make(key);
  tree_.insert(it, entry);
  entry_bytes_ += entry->heap_bytes();
  return entry;
}

KeyEntry* KeyIndex::Put(std::string_view key, Revision revision, int64_t lease) {
  std::unique_lock<std::shared_mutex> lock(lock_);
  KeyEntry* entry = FindOrMake(key);
  if (!entry->live()) entry->create_revision_ = revision.main;
  entry->version_++;
  entry->lease_ = lease;
  size_t before = entry->heap_bytes();
  entry->Push(revision, false);
  entry_bytes_ += entry->heap_bytes() - before;
  return entry;
}

void KeyIndex::Tombstone(KeyEntry* entry, Revision revision) {
  std::unique_lock<std::shared_mutex> lock(lock_);
  assert(entry->live());
  entry->version_ = 0;
  entry->lease_ = 0;
  size_t before = entry->heap_bytes();
  entry->Push(revision, true);
  entry_bytes_ += entry->heap_bytes() - before;
}

KeyEntry* KeyIndex::Restore(const KeyValueView& view, Revision revision, bool tombstone) {
  std::unique_lock<std::shared_mutex> lock(lock_);
  KeyEntry* entry = FindOrMake(view.key);
  entry->version_ = tombstone ? 0 : view.version;
  entry->create_revision_ = tombstone ? 0 : view.create_revision;
  entry->lease_ = tombstone ? 0 : view.lease;
  size_t before = entry->heap_bytes();
  entry->Push(revision, tombstone);
  entry_bytes_ += entry->heap_bytes() - before;
  return entry;
}

void KeyIndex::Clear() {
  std::unique_lock<std::shared_mutex> lock(lock_);
  for (KeyEntry* entry : tree_) entry->Free();
  tree_.clear();
  entry_bytes_ = 0;
}

void KeyIndex::Swap(KeyIndex* other) {
  std::unique_lock<std::shared_mutex> lock(lock_);
  tree_.swap(other->tree_);
  std::swap(entry_bytes_, other->entry_bytes_);
}

bool KeyIndex::CompactSome(int64_t revision, size_t budget, std::string* cursor, std::vector<Revision>* dropped) {
  std::unique_lock<std::shared_mutex> lock(lock_);
  auto it = tree_.lower_bound(std::string_view(*cursor));
  for (; it != tree_.end(); budget--) {
    KeyEntry* entry = *it;
    if (budget == 0) {
      cursor->assign(entry->key());
      return true;
    }
    KeyEntry::Slot* slots = entry->slots();
    uint32_t drop = 0;  // How many of the oldest go.
    while (drop < entry->count_ && slots[drop].main <= revision) drop++;
    if (drop != 0) {
      const KeyEntry::Slot& newest = slots[drop - 1];
      // A tombstone at exactly the compaction's revision stays: a watch from there must still see the deletion.
      if (!newest.tombstone || newest.main == revision) drop--;
    }
    for (uint32_t i = 0; i < drop; i++) dropped->push_back(Revision{slots[i].main, slots[i].sub});
    if (drop == entry->count_) {
      entry_bytes_ -= entry->heap_bytes();
      it = tree_.erase(it);
      entry->Free();
      continue;
    }
    if (drop != 0) {
      size_t before = entry->heap_bytes();
      uint32_t kept = entry->count_ - drop;
      if (kept == 1) {
        KeyEntry::Slot only = slots[drop];
        if (entry->capacity_ != 0) std::free(entry->slots_);
        entry->capacity_ = 0;
        entry->inline_slot_ = only;
      } else {
        std::memmove(slots, slots + drop, kept * sizeof(KeyEntry::Slot));
      }
      entry->count_ = kept;
      entry_bytes_ -= before - entry->heap_bytes();
    }
    ++it;
  }
  return false;
}

size_t KeyIndex::Collect(std::string_view key, std::string_view end, int64_t revision, size_t limit,
                         std::vector<Revision>* found) const {
  std::shared_lock<std::shared_mutex> lock(lock_);
  size_t count = 0;
  Visit(key, end, [&](const KeyEntry* entry) {
    Revision at;
    if (entry->At(revision, &at)) {
      if (limit == 0 || count < limit) found->push_back(at);
      count++;
    }
    return true;
  });
  return count;
}

size_t KeyIndex::Count(std::string_view key, std::string_view end, int64_t revision) const {
  std::shared_lock<std::shared_mutex> lock(lock_);
  size_t count = 0;
  Visit(key, end, [&](const KeyEntry* entry) {
    Revision at;
    count += entry->At(revision, &at) ? 1 : 0;
    return true;
  });
  return count;
}

bool KeyIndex::At(std::string_view key, int64_t revision, Revision* found) const {
  std::shared_lock<std::shared_mutex> lock(lock_);
  const KeyEntry* entry = FindLocked(key);
  return entry != nullptr && entry->At(revision, found);
}

void KeyIndex::CollectLive(std::string_view key, std::string_view end, std::vector<KeyEntry*>* found) const {
  std::shared_lock<std::shared_mutex> lock(lock_);
  Visit(key, end, [&](KeyEntry* entry) {
    if (entry->live()) found->push_back(entry);
    return true;
  });
}

bool KeyIndex::Keeps(std::string_view key, Revision revision, int64_t compact) const {
  if (revision.main > compact) return true;
  std::shared_lock<std::shared_mutex> lock(lock_);
  const KeyEntry* entry = FindLocked(key);
  if (entry == nullptr) return false;
  const KeyEntry::Slot* slots = entry->slots();
  const KeyEntry::Slot* newest = nullptr;
  for (uint32_t i = 0; i < entry->count_ && slots[i].main <= compact; i++) newest = &slots[i];
  return newest != nullptr && newest->main == revision.main && newest->sub == revision.sub &&
         (!newest->tombstone || newest->main == compact);
}

void KeyIndex::VisitLeased(const std::function<void(int64_t lease, KeyEntry* entry)>& visit) const {
  std::shared_lock<std::shared_mutex> lock(lock_);
  for (KeyEntry* entry : tree_) {
    if (entry->live() && entry->lease() != 0) visit(entry->lease(), entry);
  }
}

size_t KeyIndex::size() const {
  std::shared_lock<std::shared_mutex> lock(lock_);
  return tree_.size();
}

size_t KeyIndex::memory_bytes() const {
  std::shared_lock<std::shared_mutex> lock(lock_);
  // The tree's nodes are at least half full; three quarters is what random insertion settles at.
  return entry_bytes_ + tree_.size() * (sizeof(KeyEntry*) * 4 / 3 + 16);
}

}  // namespace balsa
