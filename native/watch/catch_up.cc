// Bringing watchers up to the present from history.
#include <algorithm>

#include "store/store.h"
#include "watch/watch_engine.h"

namespace balsa {

namespace {

/// Watchers brought up together, and how much history is read for them at once.
constexpr size_t kMaxFollowers = 512;
constexpr size_t kMaxChanges = 1000;
constexpr size_t kMaxBytes = size_t{1} << 20;

}  // namespace

void WatchEngine::CatchUp() {
  std::unique_lock<std::mutex> lock(lock_);
  while (!stopping_) {
    std::vector<Follower> followers;
    int64_t upto = 0;
    if (!PickFollowers(&followers, &upto)) {
      wake_.wait(lock);
      continue;
    }
    lock.unlock();
    Piece piece;
    ReadPiece(&followers, upto, &piece);
    lock.lock();
    HandOver(followers, piece);
  }
}

bool WatchEngine::PickFollowers(std::vector<Follower>* followers, int64_t* upto) {
  *upto = synced_revision_;
  std::vector<uint32_t> arrived;
  for (uint32_t id : unsynced_) {
    const Watcher& watcher = *watchers_.at(id);
    if (!Eligible(watcher)) continue;
    if (watcher.next > synced_revision_) {
      arrived.push_back(id);
      continue;
    }
    followers->push_back({id, watcher.key, watcher.end, watcher.options, watcher.next, {}});
    if (followers->size() == kMaxFollowers) break;
  }
  for (uint32_t id : arrived) Synchronize(watchers_.at(id).get());
  if (followers->empty()) return false;
  // Those far behind do not make the others read the same again and again: this piece is for the ones near the oldest.
  int64_t oldest = INT64_MAX;
  for (const Follower& follower : *followers) oldest = std::min(oldest, follower.next);
  int64_t near = oldest + static_cast<int64_t>(kMaxChanges);
  followers->erase(std::remove_if(followers->begin(), followers->end(),
                                  [near](const Follower& follower) { return follower.next > near; }),
                   followers->end());
  return true;
}

void WatchEngine::ReadPiece(std::vector<Follower>* followers, int64_t upto, Piece* piece) {
  auto hold = store_->HoldState();
  auto database = store_->database();
  rocksdb::ReadOptions scan;
  scan.fill_cache = false;
  auto it = database->NewIterator(database->revisions(), scan);
  // Read after the iterator was made: what a later compaction removes, the iterator still has.
  piece->compact_revision = store_->state().compact_revision;
  int64_t from = INT64_MAX;
  for (const Follower& follower : *followers) {
    if (follower.next >= piece->compact_revision) from = std::min(from, follower.next);
  }
  piece->end = upto;
  if (from == INT64_MAX) return;
  char start[kRevisionKeySize];
  EncodeRevisionKey({from, 0}, start);
  size_t bytes = 0;
  for (it->Seek(rocksdb::Slice(start, sizeof(start))); it->Valid(); it->Next()) {
    Revision revision;
    Record* record = Record::FromStored(it->value().ToStringView());
    RecordRef owned(record);
    if (record == nullptr || !DecodeRevisionKey(it->key().ToStringView(), &revision)) {
      database->Check(rocksdb::Status::Corruption("a record of the revisions is malformed")).PermitUncheckedError();
      piece->failed = true;
      return;
    }
    if (revision.main > upto) break;
    bool begins = piece->changes.empty() || piece->changes.back().revision.main != revision.main;
    if (begins && (piece->changes.size() >= kMaxChanges || bytes >= kMaxBytes)) {
      piece->end = revision.main - 1;
      break;
    }
    bytes += owned->stored().size();
    piece->changes.push_back({revision, Revision(), std::move(owned)});
  }
  if (!database->Check(it->status()).ok()) {
    piece->failed = true;
    return;
  }
  piece->previous.resize(piece->changes.size());
  for (uint32_t i = 0; i < piece->changes.size(); i++) {
    const WatchChange& change = piece->changes[i];
    KeyValueView view = change.record->view();
    bool wants_previous = false;
    for (Follower& follower : *followers) {
      if (change.revision.main < follower.next) continue;
      bool covers = follower.end.empty() ? view.key == follower.key
                                         : view.key >= follower.key &&
                                               (follower.end == std::string_view("\0", 1) || view.key < follower.end);
      if (!covers || (change.record->tombstone() ? follower.options.no_delete : follower.options.no_put)) continue;
      follower.matched.push_back(i);
      wants_previous = wants_previous || follower.options.previous;
    }
    Revision previous;
    if (wants_previous && store_->PreviousOf(view.key, change.revision.main, &previous)) {
      // Compacted away is no error: then the event goes without.
      store_->LoadRecord(previous, &piece->previous[i]).PermitUncheckedError();
    }
  }
}

void WatchEngine::HandOver(const std::vector<Follower>& followers, const Piece& piece) {
  struct Outgoing {
    std::shared_ptr<WatchHub> hub;
    WatchBatch batch;
    std::vector<uint32_t> event_of;  // By change: its event in the batch, plus one.
  };
  std::vector<Outgoing> outgoing;
  for (const Follower& follower : followers) {
    auto found = watchers_.find(follower.id);
    // Cancelled, paused or moved by Reset while history was read.
    if (found == watchers_.end() || found->second->paused || found->second->next != follower.next ||
        found->second->group != nullptr) {
      continue;
    }
    Watcher* watcher = found->second.get();
    Outgoing* out = nullptr;
    for (Outgoing& known : outgoing) {
      if (known.hub == watcher->hub) out = &known;
    }
    if (out == nullptr) {
      out = &outgoing.emplace_back();
      out->hub = watcher->hub;
      out->batch.revision = piece.end;
      out->event_of.resize(piece.changes.size());
    }
    if (piece.failed || watcher->next < piece.compact_revision) {
      out->batch.notices.push_back({watcher->id, piece.failed ? WatchBatch::Kind::kFailed : WatchBatch::Kind::kCompacted,
                                    piece.compact_revision});
      EraseWatcher(follower.id);
      continue;
    }
    for (uint32_t change : follower.matched) {
      uint32_t& event = out->event_of[change];
      if (event == 0) {
        out->batch.events.push_back({piece.changes[change].record, piece.previous[change]});
        event = static_cast<uint32_t>(out->batch.events.size());
      }
      out->batch.deliveries.push_back({watcher->id, event - 1, watcher->options.previous ? 1u : 0u});
    }
    watcher->next = std::max(watcher->next, piece.end + 1);
  }
  for (Outgoing& out : outgoing) out.hub->Push(std::move(out.batch));
  // Those that have now seen everything join the synced ones, after what they were just handed.
  for (const Follower& follower : followers) {
    auto found = watchers_.find(follower.id);
    if (found != watchers_.end() && !found->second->paused && found->second->group == nullptr &&
        found->second->next > synced_revision_) {
      Synchronize(found->second.get());
    }
  }
}

}  // namespace balsa
