#include "store/record_cache.h"

namespace balsa {

RecordRef RecordCache::Find(Revision revision) {
  Shard& shard = ShardOf(revision);
  std::lock_guard<std::mutex> lock(shard.lock);
  auto it = shard.nodes.find(revision);
  if (it == shard.nodes.end()) return RecordRef();
  shard.used.splice(shard.used.begin(), shard.used, it->second);
  return it->second->record;
}

void RecordCache::Insert(Revision revision, const RecordRef& record) {
  // One record must not push out everything else.
  if (Cost(record) > shard_capacity_ / 4) return;
  Shard& shard = ShardOf(revision);
  std::lock_guard<std::mutex> lock(shard.lock);
  if (shard.nodes.count(revision) != 0) return;
  shard.used.push_front({revision, record});
  shard.nodes.emplace(revision, shard.used.begin());
  shard.bytes += Cost(record);
  while (shard.bytes > shard_capacity_) {
    const Node& oldest = shard.used.back();
    shard.bytes -= Cost(oldest.record);
    shard.nodes.erase(oldest.revision);
    shard.used.pop_back();
  }
}

void RecordCache::Erase(Revision revision) {
  Shard& shard = ShardOf(revision);
  std::lock_guard<std::mutex> lock(shard.lock);
  auto it = shard.nodes.find(revision);
  if (it == shard.nodes.end()) return;
  shard.bytes -= Cost(it->second->record);
  shard.used.erase(it->second);
  shard.nodes.erase(it);
}

void RecordCache::Clear() {
  for (Shard& shard : shards_) {
    std::lock_guard<std::mutex> lock(shard.lock);
    shard.nodes.clear();
    shard.used.clear();
    shard.bytes = 0;
  }
}

size_t RecordCache::memory_bytes() const {
  size_t total = 0;
  for (const Shard& shard : shards_) {
    std::lock_guard<std::mutex> lock(shard.lock);
    total += shard.bytes;
  }
  return total;
}

}  // namespace balsa
