#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <queue>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "store/error_code.h"
#include "store/key_index.h"

namespace balsa {

inline constexpr int64_t kMaxLeaseTtl = 9'000'000'000;

struct LeaseInfo {
  int64_t ttl = -1;
  int64_t granted_ttl = 0;
  std::vector<std::string> keys;
};

/// Leases and the keys attached to them, as etcd's lessor keeps them. What leases exist is replicated state; when they expire is
/// the leader's clock alone, which never goes back.
class Lessor {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Lessor(int64_t min_ttl) : min_ttl_(min_ttl) {}

  /// Replicated changes.
  ErrorCode Grant(int64_t id, int64_t ttl, int64_t* granted);
  void Restore(int64_t id, int64_t ttl, int64_t remaining);
  bool Exists(int64_t id) const;
  void Attach(int64_t id, KeyEntry* entry);
  void Detach(int64_t id, KeyEntry* entry);
  /// The live keys attached, in order; the lease must exist.
  std::vector<KeyEntry*> Keys(int64_t id) const;
  void Remove(int64_t id);
  /// False when there is no such lease.
  bool Checkpoint(int64_t id, int64_t remaining, int64_t* ttl);
  void Clear();

  /// The leader's clock.
  void Promote(int64_t extend_seconds);
  void Demote();
  ErrorCode Renew(int64_t id, int64_t* ttl);
  bool Checkpointed(int64_t id) const;
  std::vector<int64_t> Expired(size_t limit);
  std::vector<std::pair<int64_t, int64_t>> DueCheckpoints(size_t limit);

  LeaseInfo Info(int64_t id, bool keys) const;
  std::vector<int64_t> Ids() const;
  size_t size() const;

 private:
  struct Lease {
    int64_t ttl;
    int64_t remaining = 0;  // From a checkpoint; 0: the whole TTL.
    Clock::time_point expiry;
    std::unordered_set<KeyEntry*> keys;
    int64_t remaining_ttl() const { return remaining > 0 ? remaining : ttl; }
  };
  struct Due {
    Clock::time_point time;
    int64_t id;
    bool operator>(const Due& other) const { return time > other.time; }
  };
  using DueQueue = std::priority_queue<Due, std::vector<Due>, std::greater<Due>>;

  void Schedule(int64_t id, Lease* lease, Clock::time_point expiry);
  void ScheduleCheckpoint(int64_t id, const Lease& lease);

  mutable std::mutex lock_;
  const int64_t min_ttl_;
  bool leading_ = false;
  std::unordered_map<int64_t, Lease> leases_;
  // Entries are not removed when a lease changes: each is checked against its lease when it comes up.
  DueQueue expiries_;
  DueQueue checkpoints_;
};

}  // namespace balsa
