#include "store/lessor.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace balsa {

namespace {

using std::chrono::seconds;

/// Leases longer than this have their remaining time checkpointed this often, so that a new leader does not start them over.
constexpr int64_t kCheckpointInterval = 5 * 60;
/// An expired lease whose revocation does not come through is offered again after this.
constexpr auto kExpiryRetry = seconds(3);
/// A new leader does not let more leases than this expire within one second; the rest are spread over the following ones.
constexpr size_t kRevokeRate = 1000;

}  // namespace

ErrorCode Lessor::Grant(int64_t id, int64_t ttl, int64_t* granted) {
  if (id == 0) return ErrorCode::kLeaseNotFound;
  if (ttl > kMaxLeaseTtl) return ErrorCode::kLeaseTtlTooLarge;
  std::lock_guard<std::mutex> lock(lock_);
  auto [it, added] = leases_.try_emplace(id);
  if (!added) return ErrorCode::kLeaseExists;
  Lease& lease = it->second;
  lease.ttl = std::max(ttl, min_ttl_);
  *granted = lease.ttl;
  if (leading_) {
    Schedule(id, &lease, Clock::now() + seconds(lease.ttl));
    ScheduleCheckpoint(id, lease);
  }
  return ErrorCode::kOk;
}

void Lessor::Restore(int64_t id, int64_t ttl, int64_t remaining) {
  std::lock_guard<std::mutex> lock(lock_);
  Lease& lease = leases_[id];
  lease.ttl = ttl;
  lease.remaining = remaining;
}

bool Lessor::Exists(int64_t id) const {
  std::lock_guard<std::mutex> lock(lock_);
  return leases_.count(id) != 0;
}

void Lessor::Attach(int64_t id, KeyEntry* entry) {
  std::lock_guard<std::mutex> lock(lock_);
  auto it = leases_.find(id);
  // Checked before the put; only a record from before its lease was revoked comes here without one.
  if (it != leases_.end()) it->second.keys.insert(entry);
}

void Lessor::Detach(int64_t id, KeyEntry* entry) {
  std::lock_guard<std::mutex> lock(lock_);
  auto it = leases_.find(id);
  if (it != leases_.end()) it->second.keys.erase(entry);
}

std::vector<KeyEntry*> Lessor::Keys(int64_t id) const {
  std::lock_guard<std::mutex> lock(lock_);
  auto it = leases_.find(id);
  if (it == leases_.end()) return {};
  std::vector<KeyEntry*> keys(it->second.keys.begin(), it->second.keys.end());
  std::sort(keys.begin(), keys.end(), [](const KeyEntry* a, const KeyEntry* b) { return a->key() < b->key(); });
  return keys;
}

void Lessor::Remove(int64_t id) {
  std::lock_guard<std::mutex> lock(lock_);
  leases_.erase(id);
}

bool Lessor::Checkpoint(int64_t id, int64_t remaining, int64_t* ttl) {
  std::lock_guard<std::mutex> lock(lock_);
  auto it = leases_.find(id);
  if (it == leases_.end()) return false;
  it->second.remaining = remaining;
  *ttl = it->second.ttl;
  return true;
}

void Lessor::Clear() {
  std::lock_guard<std::mutex> lock(lock_);
  leases_.clear();
  expiries_ = DueQueue();
  checkpoints_ = DueQueue();
}

void Lessor::Schedule(int64_t id, Lease* lease, Clock::time_point expiry) {
  lease->expiry = expiry;
  expiries_.push({expiry, id});
}

void Lessor::ScheduleCheckpoint(int64_t id, const Lease& lease) {
  if (lease.ttl > kCheckpointInterval) checkpoints_.push({Clock::now() + seconds(kCheckpointInterval), id});
}

void Lessor::Promote(int64_t extend_seconds) {
  std::lock_guard<std::mutex> lock(lock_);
  leading_ = true;
  expiries_ = DueQueue();
  checkpoints_ = DueQueue();
  auto now = Clock::now();
  std::vector<std::pair<int64_t, Lease*>> order;
  order.reserve(leases_.size());
  for (auto& [id, lease] : leases_) order.emplace_back(id, &lease);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second->remaining_ttl() < b.second->remaining_ttl();
  });
  // Leases that would all end in the same second are spread out: revoking them takes a proposal each.
  int64_t window = 0;
  size_t in_window = 0;
  for (auto& [id, lease] : order) {
    int64_t ends = lease->remaining_ttl() + extend_seconds;
    if (ends > window) {
      window = ends;
      in_window = 0;
    } else if (in_window >= kRevokeRate) {
      window++;
      in_window = 0;
    }
    in_window++;
    Schedule(id, lease, now + seconds(window));
    ScheduleCheckpoint(id, *lease);
  }
}

void Lessor::Demote() {
  std::lock_guard<std::mutex> lock(lock_);
  leading_ = false;
  expiries_ = DueQueue();
  checkpoints_ = DueQueue();
}

ErrorCode Lessor::Renew(int64_t id, int64_t* ttl) {
  std::lock_guard<std::mutex> lock(lock_);
  if (!leading_) return ErrorCode::kNotLeader;
  auto it = leases_.find(id);
  auto now = Clock::now();
  // An expired one is about to be revoked: its holder must not believe it was saved.
  if (it == leases_.end() || it->second.expiry <= now) return ErrorCode::kLeaseNotFound;
  it->second.remaining = 0;
  it->second.expiry = now + seconds(it->second.ttl);
  // The queue's older entry finds the later expiry when it comes up, and moves itself there.
  *ttl = it->second.ttl;
  return ErrorCode::kOk;
}

bool Lessor::Checkpointed(int64_t id) const {
  std::lock_guard<std::mutex> lock(lock_);
  auto it = leases_.find(id);
  return it != leases_.end() && it->second.remaining > 0;
}

std::vector<int64_t> Lessor::Expired(size_t limit) {
  std::lock_guard<std::mutex> lock(lock_);
  std::vector<int64_t> expired;
  if (!leading_) return expired;
  auto now = Clock::now();
  while (expired.size() < limit && !expiries_.empty() && expiries_.top().time <= now) {
    Due due = expiries_.top();
    expiries_.pop();
    auto it = leases_.find(due.id);
    if (it == leases_.end()) continue;
    if (it->second.expiry > now) {
      expiries_.push({it->second.expiry, due.id});
      continue;
    }
    expired.push_back(due.id);
    expiries_.push({now + kExpiryRetry, due.id});
  }
  return expired;
}

std::vector<std::pair<int64_t, int64_t>> Lessor::DueCheckpoints(size_t limit) {
  std::lock_guard<std::mutex> lock(lock_);
  std::vector<std::pair<int64_t, int64_t>> due;
  if (!leading_) return due;
  auto now = Clock::now();
  while (due.size() < limit && !checkpoints_.empty() && checkpoints_.top().time <= now) {
    int64_t id = checkpoints_.top().id;
    checkpoints_.pop();
    auto it = leases_.find(id);
    if (it == leases_.end() || it->second.expiry <= now) continue;
    checkpoints_.push({now + seconds(kCheckpointInterval), id});
    auto left = std::chrono::duration<double>(it->second.expiry - now).count();
    auto remaining = static_cast<int64_t>(std::ceil(left));
    if (remaining >= it->second.ttl) continue;  // Renewed just now.
    due.emplace_back(id, remaining);
  }
  return due;
}

LeaseInfo Lessor::Info(int64_t id, bool keys) const {
  LeaseInfo info;
  {
    std::lock_guard<std::mutex> lock(lock_);
    auto it = leases_.find(id);
    if (it == leases_.end()) return info;
    const Lease& lease = it->second;
    info.granted_ttl = lease.ttl;
    info.ttl = lease.ttl;
    if (leading_) {
      auto left = std::chrono::duration<double>(lease.expiry - Clock::now()).count();
      info.ttl = std::max<int64_t>(0, static_cast<int64_t>(std::llround(left)));
    }
    if (keys) {
      for (KeyEntry* entry : lease.keys) info.keys.emplace_back(entry->key());
    }
  }
  std::sort(info.keys.begin(), info.keys.end());
  return info;
}

std::vector<int64_t> Lessor::Ids() const {
  std::lock_guard<std::mutex> lock(lock_);
  std::vector<int64_t> ids;
  ids.reserve(leases_.size());
  for (const auto& [id, lease] : leases_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

size_t Lessor::size() const {
  std::lock_guard<std::mutex> lock(lock_);
  return leases_.size();
}

}  // namespace balsa
