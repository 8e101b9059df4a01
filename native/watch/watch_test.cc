// Watchers against history: whatever happens to them, each sees every change it asked for once, in order, in whole revisions.
#include <condition_variable>
#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "store/testing_test.h"
#include "watch/interval_tree.h"

namespace balsa::testing {

namespace {

struct Seen {
  int64_t revision;
  std::string key;
  bool tombstone;
  std::string value;
  std::string previous;
  bool operator==(const Seen& other) const {
    return revision == other.revision && key == other.key && tombstone == other.tombstone && value == other.value &&
           previous == other.previous;
  }
};

struct Expectation {
  std::string key;
  std::string end;
  WatchOptions options;
  int64_t start;
  std::vector<Seen> seen;
  bool compacted = false;
  int64_t last_batch = 0;
};

/// A hub and what its watchers have been given.
class Consumer {
 public:
  explicit Consumer(Store* store) : store_(store) {
    hub_ = store->watch().CreateHub([this] {
      std::lock_guard<std::mutex> lock(lock_);
      woken_ = true;
      wake_.notify_all();
    });
  }
  ~Consumer() { store_->watch().CloseHub(hub_); }

  uint32_t Watch(std::string key, std::string end, int64_t start, WatchOptions options) {
    int64_t revision = 0;
    uint32_t id = store_->watch().Watch(hub_, key, end, start, options, &revision);
    watchers_[id] = {std::move(key), std::move(end), options, start > 0 ? start : revision + 1, {}, false, 0};
    return id;
  }

  void Drain() {
    std::vector<WatchBatch> batches;
    store_->watch().Drain(hub_.get(), &batches);
    PackWatchBatches(batches);
    for (const WatchBatch& batch : batches) {
      std::map<uint32_t, int64_t> before;
      for (const WatchBatch::Delivery& delivery : batch.deliveries) {
        auto it = watchers_.find(delivery.watcher);
        if (it == watchers_.end()) continue;  // Cancelled.
        const WatchEvent& event = batch.events[delivery.event];
        KeyValueView kv = event.record->view();
        CHECK(kv.mod_revision <= batch.revision);
        // A batch never continues a revision that an earlier one had part of.
        CHECK(kv.mod_revision > it->second.last_batch);
        before[delivery.watcher] = batch.revision;
        CHECK((delivery.with_previous != 0) == it->second.options.previous);
        it->second.seen.push_back({kv.mod_revision, std::string(kv.key), event.record->tombstone(), std::string(kv.value),
                                   it->second.options.previous && event.previous
                                       ? std::string(event.previous->view().value)
                                       : std::string()});
      }
      for (const auto& [id, revision] : before) watchers_[id].last_batch = revision;
      for (const WatchBatch::Notice& notice : batch.notices) {
        if (notice.kind == WatchBatch::Kind::kProgress) progress_[notice.watcher] = batch.revision;
        if (notice.kind == WatchBatch::Kind::kCompacted) watchers_[notice.watcher].compacted = true;
        CHECK(notice.kind != WatchBatch::Kind::kFailed);
      }
    }
  }

  /// Until all that run have reported that they have seen everything.
  void Settle() {
    progress_.clear();
    int64_t revision = store_->state().revision;
    for (auto& [id, watcher] : watchers_) {
      store_->watch().Resume(id);
      store_->watch().RequestProgress(id);
    }
    for (;;) {
      Drain();
      bool all = true;
      for (const auto& [id, watcher] : watchers_) {
        auto it = progress_.find(id);
        all = all && (watcher.compacted || (it != progress_.end() && it->second >= revision));
      }
      if (all) return;
      std::unique_lock<std::mutex> lock(lock_);
      wake_.wait(lock, [this] { return woken_; });
      woken_ = false;
    }
  }

  std::map<uint32_t, Expectation>& watchers() { return watchers_; }

 private:
  Store* store_;
  std::shared_ptr<WatchHub> hub_;
  std::mutex lock_;
  std::condition_variable wake_;
  bool woken_ = false;
  std::map<uint32_t, Expectation> watchers_;
  std::map<uint32_t, int64_t> progress_;
};

bool Covers(const Expectation& watcher, const std::string& key) {
  if (watcher.end.empty()) return key == watcher.key;
  return key >= watcher.key && (watcher.end == std::string(1, '\0') || key < watcher.end);
}

void RunWatchers(uint64_t seed) {
  Random random(seed);
  TemporaryDirectory directory;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  Consumer consumer(store.get());
  std::vector<Seen> history;
  std::map<std::string, std::string> values;
  auto key = [&] { return "k" + std::to_string(random.Below(20)); };
  for (int step = 0; step < 2500; step++) {
    switch (random.Below(10)) {
      case 0: {
        if (consumer.watchers().size() > 60) break;
        WatchOptions options;
        options.previous = random.OneIn(2);
        options.no_put = random.OneIn(6);
        options.no_delete = random.OneIn(6);
        std::string from = key();
        std::string end = random.OneIn(3) ? std::string() : random.OneIn(4) ? std::string(1, '\0') : from + "~";
        int64_t start = random.OneIn(2) ? 0 : static_cast<int64_t>(1 + random.Below(static_cast<uint64_t>(store->state().revision) + 3));
        consumer.Watch(from, end, start, options);
        break;
      }
      case 1:
        consumer.Drain();
        break;
      case 2:
      case 3: {
        if (consumer.watchers().empty()) break;
        auto it = consumer.watchers().begin();
        std::advance(it, random.Below(consumer.watchers().size()));
        if (random.OneIn(5)) {
          store->watch().Cancel(it->first);
          consumer.watchers().erase(it);
        } else if (random.OneIn(2)) {
          store->watch().Pause(it->first);
        } else {
          store->watch().Resume(it->first);
        }
        break;
      }
      default: {
        // One revision of several changes.
        TxnRequest txn;
        std::vector<std::string> keys;
        for (uint64_t i = 1 + random.Below(4); i > 0; i--) {
          std::string chosen = key();
          if (std::find(keys.begin(), keys.end(), chosen) == keys.end()) keys.push_back(chosen);
        }
        std::vector<std::string> new_values;
        for (size_t i = 0; i < keys.size(); i++) new_values.push_back(std::to_string(random.Next()) + std::string(random.Below(200), 'x'));
        int64_t revision = store->state().revision + 1;
        for (size_t i = 0; i < keys.size(); i++) {
          RequestOp& op = txn.success.emplace_back();
          bool exists = values.count(keys[i]) != 0;
          std::string previous = exists ? values[keys[i]] : std::string();
          if (exists && random.OneIn(4)) {
            op.kind = RequestOp::Kind::kDeleteRange;
            op.delete_range.key = keys[i];
            history.push_back({revision, keys[i], true, "", previous});
            values.erase(keys[i]);
          } else {
            op.kind = RequestOp::Kind::kPut;
            op.put.key = keys[i];
            op.put.value = new_values[i];
            history.push_back({revision, keys[i], false, new_values[i], previous});
            values[keys[i]] = new_values[i];
          }
        }
        CHECK(Run(store.get(), Command::Kind::kTxn, EncodeTxn(txn)).error == ErrorCode::kOk);
      }
    }
  }
  consumer.Settle();
  for (const auto& [id, watcher] : consumer.watchers()) {
    std::vector<Seen> expected;
    for (Seen one : history) {
      if (one.revision < watcher.start || !Covers(watcher, one.key)) continue;
      if (one.tombstone ? watcher.options.no_delete : watcher.options.no_put) continue;
      if (!watcher.options.previous) one.previous.clear();
      expected.push_back(one);
    }
    CHECK(watcher.seen == expected);
  }
}

}  // namespace

BALSA_TEST(WatchersSeeTheWholeOfHistoryInOrder) {
  uint64_t rounds = std::max<uint64_t>(1, 8 * Effort() / 100);
  for (uint64_t round = 0; round < rounds; round++) RunWatchers(Seed() + round);
}

BALSA_TEST(AWatchFromBeforeTheCompactionIsCancelled) {
  TemporaryDirectory directory;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  Consumer consumer(store.get());
  for (int i = 0; i < 10; i++) PutOne(store.get(), "key", std::to_string(i));
  DeleteRangeRequest remove;
  remove.key = "key";
  Run(store.get(), Command::Kind::kDeleteRange, EncodeDeleteRange(remove));
  int64_t deleted = store->state().revision;
  CHECK(Run(store.get(), Command::Kind::kCompaction, EncodeNumbers(deleted, 0)).error == ErrorCode::kOk);
  WaitCompaction(store.get());
  uint32_t early = consumer.Watch("key", "", deleted - 1, {});
  uint32_t exact = consumer.Watch("key", "", deleted, {});
  consumer.Settle();
  CHECK(consumer.watchers()[early].compacted);
  CHECK(!consumer.watchers()[exact].compacted);
  // The deletion at the compaction's own revision can still be seen.
  CHECK(consumer.watchers()[exact].seen.size() == 1 && consumer.watchers()[exact].seen[0].tombstone);
}

BALSA_TEST(AFullHubCatchesUpFromHistory) {
  TemporaryDirectory directory;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  Consumer consumer(store.get());
  uint32_t id = consumer.Watch("k", "l", 0, {});
  std::string value(1 << 20, 'v');
  for (int i = 0; i < 50; i++) PutOne(store.get(), "key" + std::to_string(i), value);
  CHECK(store->watch().stats().unsynced == 1);
  consumer.Settle();
  CHECK(consumer.watchers()[id].seen.size() == 50);
}

BALSA_TEST(WatchersComeAndGoWhileChangesArrive) {
  TemporaryDirectory directory;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2; t++) {
    threads.emplace_back([&store, &done, t] {
      Random random(Seed() + t);
      while (!done) {
        Consumer consumer(store.get());
        for (int i = 0; i < 20; i++) {
          WatchOptions options;
          options.previous = random.OneIn(2);
          uint32_t id = consumer.Watch("k", random.OneIn(2) ? "l" : "", random.OneIn(2) ? 0 : store->state().revision, options);
          consumer.Drain();
          if (random.OneIn(3)) {
            store->watch().Pause(id);
            store->watch().Cancel(id);
            consumer.watchers().erase(id);
          }
        }
        consumer.Settle();
      }
    });
  }
  for (uint64_t i = 0; i < std::max<uint64_t>(300, 3000 * Effort() / 100); i++) {
    PutOne(store.get(), i % 2 == 0 ? "k" : "k" + std::to_string(i % 30), std::to_string(i));
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

BALSA_TEST(TheIntervalTreeFindsWhatAListFinds) {
  Random random(Seed());
  IntervalTree<int> tree;
  std::map<std::pair<std::string, std::string>, int> list;
  auto text = [&] { return std::string(1 + random.Below(3), static_cast<char>('a' + random.Below(4))); };
  for (int step = 0; step < 20000; step++) {
    std::string begin = text();
    std::string end = random.OneIn(8) ? std::string(1, '\0') : text();
    if (random.OneIn(3)) {
      tree.Erase(begin, end);
      list.erase({begin, end});
    } else {
      tree.FindOrInsert(begin, end) = step;
      list[{begin, end}] = step;
    }
    std::string point = text();
    std::multiset<int> found;
    std::multiset<int> expected;
    tree.Stab(point, [&](int value) { found.insert(value); });
    for (const auto& [range, value] : list) {
      if (point >= range.first && (range.second == std::string(1, '\0') || point < range.second)) expected.insert(value);
    }
    CHECK(found == expected);
    CHECK(tree.empty() == list.empty());
  }
}

}  // namespace balsa::testing
