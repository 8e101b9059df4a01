#include "watch/watch_engine.h"

#include "store/store.h"

namespace balsa {

WatchEngine::WatchEngine(Store* store, int64_t revision)
    : store_(store), synced_revision_(revision), thread_([this] { CatchUp(); }) {}

void WatchEngine::Stop() {
  {
    std::lock_guard<std::mutex> lock(lock_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<WatchHub> WatchEngine::CreateHub(std::function<void()> wake) {
  return std::make_shared<WatchHub>(std::move(wake));
}

void WatchEngine::CloseHub(const std::shared_ptr<WatchHub>& hub) {
  std::lock_guard<std::mutex> lock(lock_);
  hub->Close();
  std::vector<uint32_t> ids;
  for (const auto& [id, watcher] : watchers_) {
    if (watcher->hub == hub) ids.push_back(id);
  }
  for (uint32_t id : ids) EraseWatcher(id);
}

void WatchEngine::Drain(WatchHub* hub, std::vector<WatchBatch>* batches) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  std::lock_guard<std::mutex> lock(lock_);
  hub->Take(kMaxBytes, batches);
  if (hub->roomy() && !unsynced_.empty()) wake_.notify_one();
}

uint32_t WatchEngine::Watch(const std::shared_ptr<WatchHub>& hub, std::string_view key, std::string_view end,
                            int64_t start, WatchOptions options, int64_t* revision) {
  std::lock_guard<std::mutex> lock(lock_);
  // A change may be readable a moment before it is handed to watchers: "from now on" is from what can be read.
  int64_t current = std::max(synced_revision_, store_->state().revision);
  *revision = current;
  uint32_t id = next_id_++;
  auto watcher = std::make_unique<Watcher>();
  watcher->id = id;
  watcher->hub = hub;
  watcher->key = key;
  watcher->end = end;
  watcher->options = options;
  watcher->next = start > 0 ? start : current + 1;
  Watcher* added = watcher.get();
  watchers_.emplace(id, std::move(watcher));
  if (added->next > synced_revision_) {
    Synchronize(added);
  } else {
    unsynced_.insert(id);
    wake_.notify_one();
  }
  return id;
}

void WatchEngine::Synchronize(Watcher* watcher) {
  unsynced_.erase(watcher->id);
  Group& group = watcher->end.empty() ? exact_[watcher->key] : ranges_.FindOrInsert(watcher->key, watcher->end);
  watcher->group = &group;
  watcher->place = group.watchers.size();
  group.watchers.push_back(watcher);
  if (watcher->progress_wanted) ReportProgress(watcher);
}

void WatchEngine::ReportProgress(Watcher* watcher) {
  // A change that can be read already, but is not handed over yet, comes first: its Notify is about to be called.
  watcher->progress_wanted = synced_revision_ < store_->state().revision;
  if (watcher->progress_wanted) {
    awaiting_notify_.push_back(watcher->id);
    return;
  }
  WatchBatch batch;
  batch.revision = synced_revision_;
  batch.notices.push_back({watcher->id, WatchBatch::Kind::kProgress, 0});
  watcher->hub->Push(std::move(batch));
}

void WatchEngine::Desynchronize(Watcher* watcher, int64_t next) {
  Group* group = watcher->group;
  if (group != nullptr) {
    Watcher* last = group->watchers.back();
    group->watchers[watcher->place] = last;
    last->place = watcher->place;
    group->watchers.pop_back();
    watcher->group = nullptr;
    if (group->watchers.empty()) {
      if (watcher->end.empty()) {
        exact_.erase(watcher->key);
      } else {
        ranges_.Erase(watcher->key, watcher->end);
      }
    }
  }
  watcher->next = std::max(watcher->next, next);
  unsynced_.insert(watcher->id);
}

void WatchEngine::EraseWatcher(uint32_t id) {
  auto it = watchers_.find(id);
  if (it == watchers_.end()) return;
  Desynchronize(it->second.get(), 0);
  unsynced_.erase(id);
  watchers_.erase(it);
}

void WatchEngine::Cancel(uint32_t id) {
  std::lock_guard<std::mutex> lock(lock_);
  EraseWatcher(id);
}

void WatchEngine::Pause(uint32_t id) {
  std::lock_guard<std::mutex> lock(lock_);
  auto it = watchers_.find(id);
  if (it == watchers_.end() || it->second->paused) return;
  it->second->paused = true;
  if (it->second->group != nullptr) Desynchronize(it->second.get(), synced_revision_ + 1);
}

void WatchEngine::Resume(uint32_t id) {
  std::lock_guard<std::mutex> lock(lock_);
  auto it = watchers_.find(id);
  if (it == watchers_.end() || !it->second->paused) return;
  Watcher* watcher = it->second.get();
  watcher->paused = false;
  if (watcher->next > synced_revision_) {
    Synchronize(watcher);
  } else {
    wake_.notify_one();
  }
}

void WatchEngine::RequestProgress(uint32_t id) {
  std::lock_guard<std::mutex> lock(lock_);
  auto it = watchers_.find(id);
  if (it == watchers_.end()) return;
  if (it->second->group == nullptr) {
    it->second->progress_wanted = true;
  } else {
    ReportProgress(it->second.get());
  }
}

void WatchEngine::Notify(const std::vector<WatchChange>& changes, int64_t revision) {
  std::lock_guard<std::mutex> lock(lock_);
  synced_revision_ = revision;
  if (exact_.empty() && ranges_.empty()) return;
  struct Outgoing {
    std::shared_ptr<WatchHub> hub;
    WatchBatch batch;
    int64_t event_of = -1;  // Which change the batch's last event is.
    bool full = false;
  };
  std::vector<Outgoing> outgoing;  // One per thread that watches: a few.
  std::vector<std::pair<Watcher*, int64_t>> lagging;
  auto outgoing_of = [&](const std::shared_ptr<WatchHub>& hub) -> Outgoing& {
    for (Outgoing& known : outgoing) {
      if (known.hub == hub) return known;
    }
    Outgoing& made = outgoing.emplace_back();
    made.hub = hub;
    made.full = hub->full();
    made.batch.revision = revision;
    return made;
  };
  for (size_t i = 0; i < changes.size(); i++) {
    const WatchChange& change = changes[i];
    bool tombstone = change.record->tombstone();
    bool previous_loaded = false;
    RecordRef previous;
    auto deliver = [&](Group& group) {
      for (Watcher* watcher : group.watchers) {
        if (watcher->next > change.revision.main || !watcher->Wants(tombstone)) continue;
        Outgoing& out = outgoing_of(watcher->hub);
        if (out.full) {
          // Whole batches are kept back, so no revision is split; history will supply them.
          if (watcher->next < INT64_MAX) lagging.emplace_back(watcher, change.revision.main);
          continue;
        }
        if (watcher->options.previous && !previous_loaded) {
          previous_loaded = true;
          if (change.previous.main != 0) {
            // Compacted away is no error: then the event goes without. Others have poisoned the store.
            store_->LoadRecord(change.previous, &previous).PermitUncheckedError();
          }
        }
        if (out.event_of != static_cast<int64_t>(i)) {
          out.event_of = static_cast<int64_t>(i);
          out.batch.events.push_back({change.record, RecordRef()});
        }
        if (watcher->options.previous && previous && !out.batch.events.back().previous) {
          out.batch.events.back().previous = previous;
        }
        out.batch.deliveries.push_back({watcher->id, static_cast<uint32_t>(out.batch.events.size() - 1),
                                        watcher->options.previous ? 1u : 0u});
      }
    };
    std::string_view key = change.record->view().key;
    if (!exact_.empty()) {
      auto it = exact_.find(std::string(key));
      if (it != exact_.end()) deliver(it->second);
    }
    ranges_.Stab(key, deliver);
  }
  for (Outgoing& out : outgoing) out.hub->Push(std::move(out.batch));
  for (const auto& [watcher, next] : lagging) {
    if (watcher->group != nullptr) Desynchronize(watcher, next);
  }
  std::vector<uint32_t> awaiting;
  awaiting.swap(awaiting_notify_);
  for (uint32_t id : awaiting) {
    auto it = watchers_.find(id);
    if (it != watchers_.end() && it->second->progress_wanted && it->second->group != nullptr) ReportProgress(it->second.get());
  }
}

void WatchEngine::Reset(int64_t revision) {
  std::lock_guard<std::mutex> lock(lock_);
  int64_t next = synced_revision_ + 1;
  synced_revision_ = revision;
  for (auto& [id, watcher] : watchers_) {
    if (watcher->group != nullptr) Desynchronize(watcher.get(), next);
  }
  wake_.notify_one();
}

WatchStats WatchEngine::stats() {
  std::lock_guard<std::mutex> lock(lock_);
  WatchStats stats;
  stats.watchers = watchers_.size();
  stats.unsynced = unsynced_.size();
  std::unordered_set<WatchHub*> hubs;
  for (const auto& [id, watcher] : watchers_) {
    if (hubs.insert(watcher->hub.get()).second) stats.pending_events += watcher->hub->pending_events();
  }
  return stats;
}

}  // namespace balsa
