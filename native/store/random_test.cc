// The store against the model, with seeded random commands, reads, compactions and restarts.
#include "store/model_test.h"
#include "store/packing.h"
#include "store/testing_test.h"

namespace balsa::testing {

namespace {

/// Random requests; their bytes live as long as this.
class Generator {
 public:
  explicit Generator(Random* random) : random_(random) {}

  std::string_view Key() { return Keep("k" + std::to_string(random_->Below(24))); }
  std::string_view End(std::string_view key) {
    switch (random_->Below(4)) {
      case 0:
        return {};
      case 1:
        return Keep(std::string(1, '\0'));
      default:
        return std::max(key, Key());
    }
  }
  std::string_view Value() {
    if (random_->OneIn(8)) return {};
    return Keep(std::string(1 + random_->Below(random_->OneIn(10) ? 3000 : 30), static_cast<char>('a' + random_->Below(26))));
  }
  int64_t Lease() { return random_->OneIn(3) ? static_cast<int64_t>(1 + random_->Below(5)) : 0; }

  PutRequest Put() {
    PutRequest put;
    put.key = Key();
    put.ignore_value = random_->OneIn(8);
    put.ignore_lease = random_->OneIn(8);
    if (!put.ignore_value) put.value = Value();
    if (!put.ignore_lease) put.lease = Lease();
    put.prev_kv = random_->OneIn(2);
    return put;
  }

  RangeRequest Range(int64_t revision) {
    RangeRequest range;
    range.key = random_->OneIn(10) ? Keep(std::string(1, '\0')) : Key();
    range.range_end = End(range.key);
    if (random_->OneIn(2)) range.limit = static_cast<int64_t>(random_->Below(8));
    if (random_->OneIn(2)) range.revision = static_cast<int64_t>(random_->Below(static_cast<uint64_t>(revision) + 3));
    range.sort_order = static_cast<SortOrder>(random_->Below(3));
    range.sort_target = static_cast<SortTarget>(random_->Below(5));
    range.keys_only = random_->OneIn(4);
    range.count_only = random_->OneIn(6);
    auto bound = [&] { return random_->OneIn(6) ? static_cast<int64_t>(random_->Below(static_cast<uint64_t>(revision) + 2)) : 0; };
    range.min_mod_revision = bound();
    range.max_mod_revision = bound();
    range.min_create_revision = bound();
    range.max_create_revision = bound();
    return range;
  }

  TxnRequest Txn(int64_t revision, int depth = 0) {
    TxnRequest txn;
    for (uint64_t i = random_->Below(3); i > 0; i--) {
      Compare& compare = txn.compare.emplace_back();
      compare.key = Key();
      if (random_->OneIn(3)) compare.range_end = End(compare.key);
      compare.result = static_cast<Compare::Result>(random_->Below(4));
      compare.target = static_cast<Compare::Target>(random_->Below(5));
      compare.number = static_cast<int64_t>(random_->Below(compare.target == Compare::Target::kVersion ? 4 : static_cast<uint64_t>(revision) + 2));
      compare.value = Value();
    }
    for (auto* ops : {&txn.success, &txn.failure}) {
      for (uint64_t i = random_->Below(4); i > 0; i--) {
        RequestOp& op = ops->emplace_back();
        switch (random_->Below(depth < 2 ? 4 : 3)) {
          case 0:
            op.kind = RequestOp::Kind::kRange;
            op.range = Range(revision);
            break;
          case 1:
            op.kind = RequestOp::Kind::kPut;
            op.put = Put();
            break;
          case 2:
            op.kind = RequestOp::Kind::kDeleteRange;
            op.delete_range.key = Key();
            op.delete_range.range_end = random_->OneIn(2) ? End(op.delete_range.key) : std::string_view();
            op.delete_range.prev_kv = random_->OneIn(2);
            break;
          default:
            op.kind = RequestOp::Kind::kTxn;
            op.txn = std::make_unique<TxnRequest>(Txn(revision, depth + 1));
        }
      }
    }
    return txn;
  }

 private:
  std::string_view Keep(std::string text) { return *kept_.insert(std::move(text)).first; }
  Random* random_;
  std::set<std::string> kept_;
};

void CompareRange(Store* store, const Model& model, const RangeRequest& request) {
  ErrorCode error;
  int64_t count;
  bool more;
  std::vector<Model::Found> expected = model.Range(request, &error, &count, &more);
  RangeOutcome outcome;
  CHECK_OK(store->Range(request, &outcome));
  CHECK(outcome.error == error);
  if (error != ErrorCode::kOk) return;
  CHECK(outcome.revision == model.revision);
  CHECK(outcome.count == count);
  CHECK(outcome.more == more);
  CHECK(outcome.records.size() == expected.size());
  for (size_t i = 0; i < expected.size(); i++) {
    KeyValueView kv = outcome.records[i]->view();
    const Model::Version& version = expected[i].version;
    CHECK(kv.key == expected[i].key);
    CHECK(kv.value == version.value);
    CHECK(kv.mod_revision == version.main);
    CHECK(kv.create_revision == version.create_revision);
    CHECK(kv.version == version.version);
    CHECK(kv.lease == version.lease);
  }
}

void CompareAll(Store* store, const Model& model) {
  RangeRequest all;
  all.key = std::string_view("\0", 1);
  all.range_end = all.key;
  int64_t first = std::max<int64_t>(model.compact_revision, 1);
  for (int64_t revision = first; revision <= model.revision; revision += 1 + (model.revision - first) / 40) {
    all.revision = revision;
    CompareRange(store, model, all);
  }
  all.revision = 0;
  CompareRange(store, model, all);
  std::vector<int64_t> ids;
  for (const auto& [id, keys] : model.leases) {
    ids.push_back(id);
    LeaseInfo info = store->lessor().Info(id, true);
    CHECK(info.keys == std::vector<std::string>(keys.begin(), keys.end()));
  }
  CHECK(store->lessor().Ids() == ids);
}

void RunModel(uint64_t seed, uint64_t steps) {
  Random random(seed);
  TemporaryDirectory directory;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  Model model;
  for (uint64_t step = 0; step < steps; step++) {
    Generator generate(&random);
    std::string request;
    Command::Kind kind = Command::Kind::kPut;
    ErrorCode expected = ErrorCode::kOk;
    switch (random.Below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        PutRequest put = generate.Put();
        request = EncodePut(put);
        expected = model.Put(put);
        break;
      }
      case 4: {
        DeleteRangeRequest remove;
        remove.key = generate.Key();
        if (random.OneIn(4)) remove.range_end = generate.End(remove.key);
        kind = Command::Kind::kDeleteRange;
        request = EncodeDeleteRange(remove);
        model.DeleteRange(remove.key, remove.range_end);
        break;
      }
      case 5:
      case 6: {
        TxnRequest txn = generate.Txn(model.revision);
        if (CheckTxn(txn, 128) != ErrorCode::kOk) continue;
        kind = Command::Kind::kTxn;
        request = EncodeTxn(txn);
        expected = model.Txn(txn);
        break;
      }
      case 7: {
        auto id = static_cast<int64_t>(random.Below(6));
        kind = Command::Kind::kLeaseGrant;
        request = EncodeNumbers(60, id);
        expected = model.Grant(id);
        break;
      }
      case 8: {
        if (!random.OneIn(3)) continue;
        auto id = static_cast<int64_t>(1 + random.Below(5));
        kind = Command::Kind::kLeaseRevoke;
        request = EncodeNumbers(id, 0);
        expected = model.Revoke(id);
        break;
      }
      case 9: {
        if (!random.OneIn(10)) continue;
        auto at = static_cast<int64_t>(random.Below(static_cast<uint64_t>(model.revision) + 2));
        kind = Command::Kind::kCompaction;
        request = EncodeNumbers(at, 0);
        expected = model.Compact(at);
        break;
      }
      case 10: {
        CompareRange(store.get(), model, generate.Range(model.revision));
        continue;
      }
      default: {
        if (!random.OneIn(40)) continue;
        // A restart, with a compaction perhaps under way.
        HashResult before = Hash(store.get());
        store.reset();
        CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
        if (random.OneIn(2)) WaitCompaction(store.get());
        HashResult after = Hash(store.get());
        CHECK(before.hash == after.hash && before.revision == after.revision);
        CompareAll(store.get(), model);
        continue;
      }
    }
    Applied applied = Run(store.get(), kind, request);
    if (applied.error != expected) {
      std::fprintf(stderr, "seed %llu step %llu: kind %d answered %s, expected %s\n", static_cast<unsigned long long>(seed),
                   static_cast<unsigned long long>(step), static_cast<int>(kind), ErrorCodeName(applied.error),
                   ErrorCodeName(expected));
      std::abort();
    }
    CHECK(store->state().revision == model.revision);
    CHECK(store->state().compact_revision == model.compact_revision);
  }
  WaitCompaction(store.get());
  CompareAll(store.get(), model);
}

}  // namespace

BALSA_TEST(RandomCommandsMatchTheModel) {
  uint64_t rounds = std::max<uint64_t>(1, 12 * Effort() / 100);
  for (uint64_t round = 0; round < rounds; round++) RunModel(Seed() + round, 4000);
}

BALSA_TEST(KeepsOfTheIndexAgreeBeforeAndAfterCompaction) {
  TemporaryDirectory directory;
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  Random random(Seed());
  for (int i = 0; i < 3000; i++) {
    std::string key = "key" + std::to_string(random.Below(500));
    if (random.OneIn(4)) {
      DeleteRangeRequest remove;
      remove.key = key;
      Run(store.get(), Command::Kind::kDeleteRange, EncodeDeleteRange(remove));
    } else {
      PutOne(store.get(), key, "value");
    }
  }
  int64_t at = store->state().revision / 2;
  CHECK(Run(store.get(), Command::Kind::kCompaction, EncodeNumbers(at, 0)).error == ErrorCode::kOk);
  // Perhaps before, during and after the removal: the same.
  uint32_t early = Hash(store.get()).hash;
  WaitCompaction(store.get());
  CHECK(Hash(store.get()).hash == early);
  store.reset();
  CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
  CHECK(Hash(store.get()).hash == early);
}

}  // namespace balsa::testing
