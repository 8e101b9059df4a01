#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "watch/interval_tree.h"
#include "watch/watch_hub.h"

namespace balsa {

class Store;

struct WatchStats {
  size_t watchers = 0;
  size_t unsynced = 0;
  size_t pending_events = 0;
};

struct WatchOptions {
  bool previous = false;
  bool no_put = false;
  bool no_delete = false;
};

/// All watchers of a store. Those that have seen everything are synced: the thread that applies hands them what changed. The
/// others (begun in the past, paused, or of a hub that was full) are brought up by a thread that reads history in pieces and holds
/// the lock only to hand over a piece.
class WatchEngine {
 public:
  WatchEngine(Store* store, int64_t revision);
  ~WatchEngine() { Stop(); }

  std::shared_ptr<WatchHub> CreateHub(std::function<void()> wake);
  void CloseHub(const std::shared_ptr<WatchHub>& hub);
  void Drain(WatchHub* hub, std::vector<WatchBatch>* batches);

  /// An empty `end` watches one key. `start` 0: from the next change on. `revision` becomes the store's at this moment.
  uint32_t Watch(const std::shared_ptr<WatchHub>& hub, std::string_view key, std::string_view end, int64_t start,
                 WatchOptions options, int64_t* revision);
  void Cancel(uint32_t id);
  void Pause(uint32_t id);
  void Resume(uint32_t id);
  void RequestProgress(uint32_t id);

  /// By the thread that applies, after the changes can be read: whole revisions, up to `revision`.
  void Notify(const std::vector<WatchChange>& changes, int64_t revision);
  /// The state was replaced: everyone is caught up from what it holds.
  void Reset(int64_t revision);
  void Stop();
  WatchStats stats();

 private:
  struct Group;
  struct Watcher {
    uint32_t id;
    std::shared_ptr<WatchHub> hub;
    std::string key;
    std::string end;
    WatchOptions options;
    int64_t next;  // First revision it has yet to see; of a synced one, not before the next change.
    bool paused = false;
    bool progress_wanted = false;
    Group* group = nullptr;  // Set while synced.
    size_t place = 0;        // In the group.

    bool Wants(bool tombstone) const { return tombstone ? !options.no_delete : !options.no_put; }
    bool Covers(std::string_view point) const {
      if (end.empty()) return point == key;
      return point >= key && ((end.size() == 1 && end[0] == '\0') || point < end);
    }
  };
  struct Group {
    std::vector<Watcher*> watchers;
  };
  /// A watcher as the catch-up thread sees it while it has no lock.
  struct Follower {
    uint32_t id;
    std::string key;
    std::string end;
    WatchOptions options;
    int64_t next;
    std::vector<uint32_t> matched;
  };
  struct Piece {
    std::vector<WatchChange> changes;
    std::vector<RecordRef> previous;
    int64_t end = 0;  // Complete up to here.
    int64_t compact_revision = -1;
    bool failed = false;
  };

  void Synchronize(Watcher* watcher);
  void Desynchronize(Watcher* watcher, int64_t next);
  void ReportProgress(Watcher* watcher);
  void CatchUp();
  bool Eligible(const Watcher& watcher) const { return !watcher.paused && watcher.hub->roomy(); }
  bool PickFollowers(std::vector<Follower>* followers, int64_t* upto);
  void ReadPiece(std::vector<Follower>* followers, int64_t upto, Piece* piece);
  void HandOver(const std::vector<Follower>& followers, const Piece& piece);
  void EraseWatcher(uint32_t id);

  Store* store_;
  std::mutex lock_;
  std::condition_variable wake_;
  bool stopping_ = false;
  int64_t synced_revision_;
  uint32_t next_id_ = 1;
  std::unordered_map<uint32_t, std::unique_ptr<Watcher>> watchers_;
  std::unordered_map<std::string, Group> exact_;
  IntervalTree<Group> ranges_;
  std::unordered_set<uint32_t> unsynced_;
  std::vector<uint32_t> awaiting_notify_;  // Synced ones whose progress is reported with the next change.
  std::thread thread_;
};

}  // namespace balsa
