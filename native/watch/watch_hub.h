#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "store/record.h"

namespace balsa {

/// A change as it leaves the store: what was written, and what was in force before its transaction (main 0: nothing).
struct WatchChange {
  Revision revision;
  Revision previous;
  RecordRef record;
};

struct WatchEvent {
  RecordRef record;
  RecordRef previous;
};

/// What one step of the store (an applied batch, a piece of history) brings to the watchers of one hub. Events are held once; each
/// delivery names an event and who gets it.
struct WatchBatch {
  enum class Kind : uint32_t { kEvents = 0, kProgress = 1, kCompacted = 2, kFailed = 3 };
  struct Delivery {
    uint32_t watcher;
    uint32_t event : 31;
    uint32_t with_previous : 1;
  };
  struct Notice {
    uint32_t watcher;
    Kind kind;
    int64_t compact_revision;
  };

  int64_t revision = 0;  // Everything up to here has been delivered to those named.
  std::vector<WatchEvent> events;
  std::vector<Delivery> deliveries;
  std::vector<Notice> notices;  // After the deliveries.

  bool empty() const { return deliveries.empty() && notices.empty(); }
  size_t bytes() const {
    size_t total = sizeof(*this) + deliveries.size() * sizeof(Delivery) + notices.size() * sizeof(Notice);
    for (const WatchEvent& event : events) {
      total += event.record->stored().size() + (event.previous ? event.previous->stored().size() : 0);
    }
    return total;
  }
};

/// Deliveries for the watchers of one thread, waiting to be fetched. Guarded by the engine's lock, except for `wake`.
class WatchHub {
 public:
  /// `wake` is called from any thread, under the engine's lock, once until the next drain.
  explicit WatchHub(std::function<void()> wake) : wake_(std::move(wake)) {}

  void Push(WatchBatch batch);
  /// Takes batches of about `max_bytes`, at least one; wakes again when some are left.
  void Take(size_t max_bytes, std::vector<WatchBatch>* batches);

  bool full() const { return pending_bytes_ >= kMaxPendingBytes; }
  /// Room enough for catching up to go on.
  bool roomy() const { return pending_bytes_ < kMaxPendingBytes / 4; }
  size_t pending_events() const { return pending_events_; }
  void Close() { closed_ = true; }
  bool closed() const { return closed_; }

 private:
  static constexpr size_t kMaxPendingBytes = size_t{32} << 20;

  std::function<void()> wake_;
  std::deque<WatchBatch> batches_;
  size_t pending_bytes_ = 0;
  size_t pending_events_ = 0;
  bool awake_ = false;
  bool closed_ = false;
};

/// Batches as JavaScript reads them (daemon/store/native-watch.ts).
std::string PackWatchBatches(const std::vector<WatchBatch>& batches);

}  // namespace balsa
