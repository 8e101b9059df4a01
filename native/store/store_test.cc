// Behaviour by example: snapshots, leases, alarms, the log, threads.
#include <filesystem>
#include <future>
#include <thread>

#include "store/snapshot.h"
#include "store/testing_test.h"

namespace balsa::testing {

namespace {

std::vector<std::string> ReadSnapshot(Store* store) {
  SnapshotReader reader(store);
  std::vector<std::string> pieces;
  for (;;) {
    std::string piece;
    CHECK_OK(reader.Read(&piece));
    if (piece.empty()) return pieces;
    pieces.push_back(std::move(piece));
  }
}

rocksdb::Status Install(Store* store, const std::vector<std::string>& pieces) {
  std::promise<rocksdb::Status> done;
  store->PostMaintenance([&] {
    SnapshotWriter writer(store);
    rocksdb::Status status;
    for (const std::string& piece : pieces) {
      if (status.ok()) status = writer.Write(piece);
    }
    if (status.ok()) status = writer.Finish(HardState{3, 7, 0});
    if (!status.ok()) writer.Abort();
    done.set_value(status);
  });
  return done.get_future().get();
}

}  // namespace

BALSA_TEST(ASnapshotMakesAnotherStoreTheSame) {
  TemporaryDirectory first_directory;
  TemporaryDirectory second_directory;
  std::shared_ptr<Store> first;
  std::shared_ptr<Store> second;
  CHECK_OK(Store::Open(first_directory.path(), SmallOptions(), &first));
  CHECK_OK(Store::Open(second_directory.path(), SmallOptions(), &second));
  CHECK(Run(first.get(), Command::Kind::kLeaseGrant, EncodeNumbers(100, 9)).error == ErrorCode::kOk);
  for (int i = 0; i < 3000; i++) PutOne(first.get(), "key" + std::to_string(i % 1000), std::string(900, 'v'), i % 50 == 0 ? 9 : 0);
  CHECK(Run(first.get(), Command::Kind::kCompaction, EncodeNumbers(1500, 0)).error == ErrorCode::kOk);
  PutOne(second.get(), "old", "state");
  std::vector<std::string> pieces = ReadSnapshot(first.get());
  CHECK(pieces.size() > 3);

  // What is damaged, cut short or out of order changes nothing.
  HashResult before = Hash(second.get());
  std::vector<std::string> cut(pieces.begin(), pieces.end() - 1);
  CHECK(!Install(second.get(), cut).ok());
  std::vector<std::string> missing = pieces;
  missing.erase(missing.begin() + 1);
  CHECK(!Install(second.get(), missing).ok());
  std::vector<std::string> damaged = pieces;
  damaged[1][100] ^= 1;
  CHECK(!Install(second.get(), damaged).ok());
  CHECK(Hash(second.get()).hash == before.hash);

  CHECK_OK(Install(second.get(), pieces));
  auto same = [&] {
    CHECK(second->state().revision == first->state().revision);
    CHECK(second->state().applied_index == first->state().applied_index);
    CHECK(second->state().compact_revision == 1500);
    CHECK(second->lessor().Info(9, true).keys == first->lessor().Info(9, true).keys);
    LogState log = second->log().state();
    CHECK(log.compacted_index == first->state().applied_index && log.last_index == log.compacted_index);
    CHECK(log.hard_state.term == 3 && log.hard_state.vote == 7 && log.hard_state.commit == log.last_index);
    CHECK(Hash(second.get()).hash == Hash(first.get()).hash);
  };
  same();
  second.reset();
  CHECK_OK(Store::Open(second_directory.path(), SmallOptions(), &second));
  same();
  PutOne(second.get(), "after", "it");
}

BALSA_TEST(ACheckpointOpensAsAStore) {
  TemporaryDirectory directory;
  TemporaryDirectory target;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  for (int i = 0; i < 500; i++) PutOne(store.get(), "key" + std::to_string(i), "value");
  HashResult hash = Hash(store.get());
  auto checkpoint = [&] {
    std::promise<rocksdb::Status> done;
    store->Checkpoint(target.path() + "/copy", [&done](const rocksdb::Status& status) { done.set_value(status); });
    return done.get_future().get();
  };
  CHECK_OK(checkpoint());
  CHECK(!checkpoint().ok());
  PutOne(store.get(), "later", "value");
  std::shared_ptr<Store> copy;
  CHECK_OK(Store::Open(target.path() + "/copy", SmallOptions(), &copy));
  CHECK(Hash(copy.get()).hash == hash.hash);
}

BALSA_TEST(TheSameDirectoryIsTheSameStore) {
  TemporaryDirectory directory;
  std::shared_ptr<Store> first;
  std::shared_ptr<Store> second;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &first));
  CHECK_OK(Store::Open(directory.path() + "/.", SmallOptions(), &second));
  CHECK(first == second);
  second.reset();
  PutOne(first.get(), "key", "value");
}

BALSA_TEST(LeasesExpireOnTheLeaderOnly) {
  TemporaryDirectory directory;
  StoreOptions options = SmallOptions();
  options.min_lease_ttl = 0;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), options, &store));
  CHECK(Run(store.get(), Command::Kind::kLeaseGrant, EncodeNumbers(0, 1)).error == ErrorCode::kOk);
  CHECK(Run(store.get(), Command::Kind::kLeaseGrant, EncodeNumbers(1000, 2)).error == ErrorCode::kOk);
  CHECK(Run(store.get(), Command::Kind::kLeaseGrant, EncodeNumbers(kMaxLeaseTtl + 1, 3)).error ==
        ErrorCode::kLeaseTtlTooLarge);
  PutOne(store.get(), "a", "1", 1);
  PutOne(store.get(), "b", "2", 1);
  PutOne(store.get(), "b", "3", 2);
  int64_t ttl = 0;
  CHECK(store->lessor().Renew(2, &ttl) == ErrorCode::kNotLeader);
  CHECK(store->lessor().Expired(10).empty());
  store->lessor().Promote(0);
  CHECK(store->lessor().Expired(10) == std::vector<int64_t>{1});
  CHECK(store->lessor().Expired(10).empty());  // Offered again later only.
  CHECK(store->lessor().Renew(1, &ttl) == ErrorCode::kLeaseNotFound);
  CHECK(store->lessor().Renew(2, &ttl) == ErrorCode::kOk && ttl == 1000);
  CHECK(store->lessor().Info(1, true).keys == std::vector<std::string>{"a"});
  int64_t before = store->state().revision;
  CHECK(Run(store.get(), Command::Kind::kLeaseRevoke, EncodeNumbers(1, 0)).error == ErrorCode::kOk);
  CHECK(store->state().revision == before + 1);
  RecordRef record;
  CHECK_OK(store->Get("a", &record));
  CHECK(!record);
  store->lessor().Demote();
  CHECK(store->lessor().Info(2, false).ttl == 1000);
  // A checkpoint shortens what a new leader gives, and survives a restart.
  std::string checkpoint;
  AppendMessageField(&checkpoint, 1, EncodeNumbers(2, 10));
  CHECK(Run(store.get(), Command::Kind::kLeaseCheckpoint, checkpoint).error == ErrorCode::kOk);
  store.reset();
  CHECK_OK(Store::Open(directory.path(), options, &store));
  store->lessor().Promote(5);
  int64_t left = store->lessor().Info(2, false).ttl;
  CHECK(left > 10 && left <= 15);
}

BALSA_TEST(AlarmsStopWhatTheyMust) {
  TemporaryDirectory directory;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  PutOne(store.get(), "key", "value");
  auto alarm = [&](uint64_t action, uint64_t type) {
    std::string request;
    AppendIntField(&request, 1, action);
    AppendIntField(&request, 2, 77);
    AppendIntField(&request, 3, type);
    return Run(store.get(), Command::Kind::kAlarm, request);
  };
  CHECK(alarm(1, 1).error == ErrorCode::kOk);
  store.reset();
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  CHECK(store->Alarms().size() == 1);
  PutRequest put;
  put.key = "key";
  CHECK(Run(store.get(), Command::Kind::kPut, EncodePut(put)).error == ErrorCode::kNoSpace);
  DeleteRangeRequest remove;
  remove.key = "key";
  CHECK(Run(store.get(), Command::Kind::kDeleteRange, EncodeDeleteRange(remove)).error == ErrorCode::kOk);
  CHECK(alarm(2, 1).error == ErrorCode::kOk);
  PutOne(store.get(), "key", "again");
  CHECK(alarm(1, 2).error == ErrorCode::kOk);
  CHECK(Run(store.get(), Command::Kind::kDeleteRange, EncodeDeleteRange(remove)).error == ErrorCode::kCorrupt);
}

BALSA_TEST(TheLogReplacesCutsAndVerifies) {
  TemporaryDirectory directory;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  auto none = [](const rocksdb::Status& status) { CHECK_OK(status); };
  HardState hard_state{5, 3, 4};
  CHECK_OK(store->AppendLog({{1, 1, 0, "a"}, {2, 1, 0, "b"}, {3, 1, 0, "c"}, {4, 2, 1, "d"}, {5, 2, 0, "e"}}, nullptr, none));
  CHECK_OK(store->AppendLog({{3, 3, 0, "C"}, {4, 3, 0, "D"}}, &hard_state, none));
  CHECK(store->log().state().last_index == 4);
  CHECK(!store->AppendLog({{6, 3, 0, "f"}}, nullptr, none).ok());
  std::string packed;
  CHECK_OK(store->log().Read(2, 5, 2, &packed));
  std::vector<LogEntryView> entries;
  CHECK(UnpackEntries(packed, &entries));
  CHECK(entries.size() == 2 && entries[0].data == "b" && entries[1].data == "C" && entries[1].term == 3);
  uint64_t term = 0;
  CHECK(store->log().Term(5, &term).IsNotFound());
  CHECK(!store->CompactLog(1).ok());  // Not applied.
  std::string results;
  CHECK_OK(store->Apply({{1, 1, 1, "a"}, {2, 1, 1, "b"}, {3, 3, 1, "C"}}, 3, {{"members/1", "me", false}}, &results));
  CHECK(results.empty());
  CHECK_OK(store->CompactLog(2));
  packed.clear();
  CHECK(!store->log().Read(2, 4, 100, &packed).ok());
  store.reset();
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  LogState state = store->log().state();
  CHECK(state.compacted_index == 2 && state.compacted_term == 1 && state.last_index == 4);
  CHECK(state.hard_state.term == 5 && state.hard_state.vote == 3 && state.hard_state.commit == 4);
  CHECK(store->state().applied_index == 3 && store->state().applied_term == 3);
  std::string value;
  CHECK_OK(store->GetMeta("members/1", &value));
  CHECK(value == "me");
  CHECK_OK(store->log().Term(2, &term));
  CHECK(term == 1);
  // Applied twice is applied once.
  CHECK_OK(store->Apply({{3, 3, 0, "C"}}, 3, {}, &results));
  CHECK(!store->Apply({{9, 3, 0, "x"}}, 3, {}, &results).ok());
}

BALSA_TEST(ReadersSeeWholeTransactionsWhileOthersWrite) {
  TemporaryDirectory directory;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; i++) {
    threads.emplace_back([&store, &done] {
      int64_t seen = 0;
      while (!done) {
        RangeRequest pair;
        pair.key = "pair/";
        pair.range_end = "pair0";
        RangeOutcome outcome;
        CHECK_OK(store->Range(pair, &outcome));
        CHECK(outcome.error == ErrorCode::kOk && outcome.revision >= seen);
        seen = outcome.revision;
        CHECK(outcome.records.empty() || outcome.records.size() == 2);
        if (outcome.records.size() == 2) {
          CHECK(outcome.records[0]->view().value == outcome.records[1]->view().value);
        }
        RecordRef record;
        CHECK_OK(store->Get("pair/a", &record));
      }
    });
  }
  threads.emplace_back([&store, &done] {
    while (!done) {
      std::vector<std::string> pieces = ReadSnapshot(store.get());
      CHECK(pieces.size() >= 2);
      store->stats();
    }
  });
  uint64_t rounds = std::max<uint64_t>(200, 3000 * Effort() / 100);
  for (uint64_t i = 0; i < rounds; i++) {
    std::string value = "value" + std::to_string(i);
    TxnRequest txn;
    for (const char* key : {"pair/a", "pair/b"}) {
      RequestOp& op = txn.success.emplace_back();
      if (i % 7 == 6) {
        op.kind = RequestOp::Kind::kDeleteRange;
        op.delete_range.key = key;
      } else {
        op.kind = RequestOp::Kind::kPut;
        op.put.key = key;
        op.put.value = value;
      }
    }
    CHECK(Run(store.get(), Command::Kind::kTxn, EncodeTxn(txn)).error == ErrorCode::kOk);
    if (i % 20 == 19) {
      CHECK(Run(store.get(), Command::Kind::kCompaction, EncodeNumbers(store->state().revision, 0)).error == ErrorCode::kOk);
    }
    if (i % 50 == 49) CHECK_OK(store->CompactLog(store->state().applied_index));
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace balsa::testing
