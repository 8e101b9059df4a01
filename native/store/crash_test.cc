// What a crash leaves: killed processes, and write-ahead logs cut at any byte.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <future>
#include <map>

#include "store/testing_test.h"

namespace balsa::testing {

namespace {

/// The command at an index of the log, which follows from the seed alone.
std::string CommandAt(uint64_t seed, uint64_t index) {
  Random random(seed ^ (index * 0x2545f4914f6cdd1dull));
  std::string key = "key" + std::to_string(random.Below(200));
  switch (random.Below(10)) {
    case 0: {
      DeleteRangeRequest remove;
      remove.key = key;
      return EncodeCommand(Command::Kind::kDeleteRange, EncodeDeleteRange(remove));
    }
    case 1: {
      if (random.OneIn(6)) return EncodeCommand(Command::Kind::kCompaction, EncodeNumbers(static_cast<int64_t>(index / 2), 0));
      return EncodeCommand(Command::Kind::kLeaseGrant, EncodeNumbers(60, static_cast<int64_t>(1 + random.Below(30))));
    }
    case 2:
      return EncodeCommand(Command::Kind::kLeaseRevoke, EncodeNumbers(static_cast<int64_t>(1 + random.Below(30)), 0));
    default: {
      std::string value(random.Below(600), static_cast<char>('a' + index % 26));
      PutRequest put;
      put.key = key;
      put.value = value;
      if (random.OneIn(4)) put.lease = static_cast<int64_t>(1 + random.Below(30));
      return EncodeCommand(Command::Kind::kPut, EncodePut(put));
    }
  }
}

void ApplyUpTo(Store* store, uint64_t seed, uint64_t to, uint64_t batch) {
  while (store->state().applied_index < to) {
    uint64_t first = store->state().applied_index + 1;
    uint64_t last = std::min(to, first + batch - 1);
    std::vector<std::string> commands;
    for (uint64_t index = first; index <= last; index++) commands.push_back(CommandAt(seed, index));
    std::vector<LogEntryView> entries;
    for (const std::string& command : commands) entries.push_back({first + entries.size(), 1, 0, command});
    if (store->log().state().last_index < last) {
      std::vector<LogEntryView> missing;
      for (const LogEntryView& entry : entries) {
        if (entry.index > store->log().state().last_index) missing.push_back(entry);
      }
      std::promise<void> synced;
      CHECK_OK(store->AppendLog(missing, nullptr, [&synced](const rocksdb::Status& status) {
        CHECK_OK(status);
        synced.set_value();
      }));
      synced.get_future().wait();
    }
    std::string packed;
    CHECK_OK(store->Apply(entries, 1, {}, &packed));
  }
}

/// Runs in a child of its own: RocksDB's threads do not survive a fork.
void InChild(const std::function<void()>& work) {
  pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    work();
    ::_exit(0);
  }
  int status = 0;
  CHECK(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

StoreOptions CrashOptions() {
  StoreOptions options = SmallOptions();
  options.sync_log = true;
  return options;
}

/// Opens what a crash left, applies what its log still holds, and compares with a store that never crashed.
void Verify(const std::string& path, uint64_t seed, uint64_t acknowledged) {
  std::shared_ptr<Store> store;
  CHECK_OK(Store::Open(path, CrashOptions(), &store));
  LogState log = store->log().state();
  CHECK(log.last_index >= acknowledged);
  CHECK(store->state().applied_index <= log.last_index);
  std::string packed;
  if (log.last_index > 0) CHECK_OK(store->log().Read(1, log.last_index + 1, UINT64_MAX, &packed));
  std::vector<LogEntryView> entries;
  CHECK(UnpackEntries(packed, &entries));
  for (const LogEntryView& entry : entries) CHECK(entry.data == CommandAt(seed, entry.index));
  ApplyUpTo(store.get(), seed, log.last_index, 7);
  TemporaryDirectory reference;
  std::shared_ptr<Store> untouched;
  CHECK_OK(Store::Open(reference.path(), SmallOptions(), &untouched));
  ApplyUpTo(untouched.get(), seed, log.last_index, 500);
  CHECK(store->state().revision == untouched->state().revision);
  CHECK(store->state().compact_revision == untouched->state().compact_revision);
  CHECK(Hash(store.get()).hash == Hash(untouched.get()).hash);
  CHECK(store->lessor().Ids() == untouched->lessor().Ids());
  WaitCompaction(store.get());
  CHECK(Hash(store.get()).hash == Hash(untouched.get()).hash);
}

}  // namespace

BALSA_TEST(KilledAtAnyMomentItGoesOnWhereItWas) {
  TemporaryDirectory directory;
  Random random(Seed());
  uint64_t seed = random.Next();
  uint64_t rounds = std::max<uint64_t>(2, 10 * Effort() / 100);
  for (uint64_t round = 0; round < rounds; round++) {
    int acknowledgements[2];
    CHECK(::pipe(acknowledgements) == 0);
    pid_t child = ::fork();
    CHECK(child >= 0);
    if (child == 0) {
      ::close(acknowledgements[0]);
      std::shared_ptr<Store> store;
      CHECK_OK(Store::Open(directory.path(), CrashOptions(), &store));
      Random sizes(seed + round);
      for (;;) {
        uint64_t next = store->state().applied_index + 1 + sizes.Below(40);
        ApplyUpTo(store.get(), seed, next, 1 + sizes.Below(40));
        CHECK(::write(acknowledgements[1], &next, sizeof(next)) == sizeof(next));
      }
    }
    ::close(acknowledgements[1]);
    // Killed after some acknowledgements, at a moment within the next one's work.
    uint64_t acknowledged = 0;
    for (uint64_t left = 1 + random.Below(30); left > 0; left--) {
      CHECK(::read(acknowledgements[0], &acknowledged, sizeof(acknowledged)) == sizeof(acknowledged));
    }
    ::usleep(static_cast<useconds_t>(random.Below(3000)));
    CHECK(::kill(child, SIGKILL) == 0);
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    ::close(acknowledgements[0]);
    InChild([&] { Verify(directory.path(), seed, acknowledged); });
  }
}

BALSA_TEST(AFailedWriteStopsTheStoreAndLosesNothing) {
  TemporaryDirectory directory;
  uint64_t seed = Seed();
  int acknowledgements[2];
  CHECK(::pipe(acknowledgements) == 0);
  InChild([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    std::shared_ptr<Store> store;
    StoreOptions options;  // Large write buffers: the log is what grows.
    options.sync_log = false;
    CHECK_OK(Store::Open(directory.path(), options, &store));
    // A file that may not grow is a disk that is full.
    rlimit limit{512 << 10, 512 << 10};
    CHECK(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    uint64_t index = 0;
    rocksdb::Status failed;
    while (failed.ok()) {
      std::string command = CommandAt(seed, ++index);
      failed = store->AppendLog({{index, 1, 0, command}}, nullptr, [](const rocksdb::Status&) {});
      std::string packed;
      if (failed.ok()) failed = store->Apply({{index, 1, 0, command}}, 1, {}, &packed);
    }
    uint64_t applied = store->state().applied_index;
    CHECK(::write(acknowledgements[1], &applied, sizeof(applied)) == sizeof(applied));
    // From then on it refuses everything, also what would have succeeded.
    RangeRequest range;
    range.key = "key1";
    RangeOutcome outcome;
    RecordRef record;
    CHECK(!store->Range(range, &outcome).ok());
    CHECK(!store->Get("key1", &record).ok());
    std::string packed;
    CHECK(!store->Apply({{index + 1, 1, 0, ""}}, 1, {}, &packed).ok());
    CHECK(!store->AppendLog({}, nullptr, [](const rocksdb::Status&) {}).ok());
  });
  uint64_t applied = 0;
  CHECK(::read(acknowledgements[0], &applied, sizeof(applied)) == sizeof(applied));
  CHECK(applied > 100);
  ::close(acknowledgements[0]);
  ::close(acknowledgements[1]);
  InChild([&] { Verify(directory.path(), seed, applied); });
}

BALSA_TEST(AWriteAheadLogCutAnywhereReplaysToOneOfItsStates) {
  uint64_t seed = Seed();
  TemporaryDirectory directory;
  std::map<uint64_t, std::pair<int64_t, uint32_t>> states;
  StoreOptions options;
  options.sync_log = false;
  Random random(seed);
  {
    std::shared_ptr<Store> store;
    CHECK_OK(Store::Open(directory.path(), options, &store));
    states[0] = {1, Hash(store.get()).hash};
    while (store->state().applied_index < 400) {
      ApplyUpTo(store.get(), seed, store->state().applied_index + 1 + random.Below(9), 20);
      HashResult hash = Hash(store.get());
      states[store->state().applied_index] = {hash.revision, hash.hash};
    }
    WaitCompaction(store.get());
  }
  for (uint64_t cut = 0; cut < std::max<uint64_t>(5, 60 * Effort() / 100); cut++) {
    TemporaryDirectory copy;
    std::filesystem::copy(directory.path(), copy.path(), std::filesystem::copy_options::recursive);
    for (const auto& file : std::filesystem::recursive_directory_iterator(copy.path())) {
      if (file.path().extension() != ".log") continue;
      std::filesystem::resize_file(file.path(), random.Below(file.file_size() + 1));
    }
    std::shared_ptr<Store> store;
    CHECK_OK(Store::Open(copy.path(), options, &store));
    StoreState state = store->state();
    CHECK(states.count(state.applied_index) == 1);
    CHECK(states[state.applied_index].first == state.revision);
    // Compactions are part of the state only as far as the log's commands were applied, so the hash agrees as well.
    CHECK(states[state.applied_index].second == Hash(store.get()).hash);
    CHECK(store->log().state().last_index >= state.applied_index);
  }
}

BALSA_TEST(DamageIsRefusedInOneLine) {
  TemporaryDirectory directory;
  {
    std::shared_ptr<Store> store;
    CHECK_OK(Store::Open(directory.path(), SmallOptions(), &store));
    for (int i = 0; i < 100; i++) PutOne(store.get(), "key" + std::to_string(i), "value");
    std::promise<void> flushed;
    store->Flush([&flushed](const rocksdb::Status& status) {
      CHECK_OK(status);
      flushed.set_value();
    });
    flushed.get_future().wait();
  }
  auto refused = [&](const std::string& path) {
    std::shared_ptr<Store> store;
    rocksdb::Status status = Store::Open(path, SmallOptions(), &store);
    CHECK(!status.ok() && !store);
    std::string message = status.ToString();
    CHECK(message.find(path) != std::string::npos && message.find('\n') == std::string::npos);
    return message;
  };
  {
    TemporaryDirectory copy;
    std::filesystem::copy(directory.path(), copy.path(), std::filesystem::copy_options::recursive);
    for (const auto& file : std::filesystem::recursive_directory_iterator(copy.path())) {
      if (file.path().extension() != ".sst") continue;
      std::FILE* opened = std::fopen(file.path().c_str(), "r+");
      std::fseek(opened, 20, SEEK_SET);
      std::fputs("damage", opened);
      std::fclose(opened);
    }
    CHECK(refused(copy.path()).find("damaged") != std::string::npos);
  }
  {
    TemporaryDirectory copy;
    std::FILE* opened = std::fopen((copy.path() + "/active").c_str(), "w");
    std::fputs("2 state-000001\n", opened);
    std::fclose(opened);
    CHECK(refused(copy.path()).find("newer version") != std::string::npos);
  }
  {
    TemporaryDirectory copy;
    std::FILE* opened = std::fopen((copy.path() + "/active").c_str(), "w");
    std::fputs("nonsense", opened);
    std::fclose(opened);
    CHECK(refused(copy.path()).find("damaged") != std::string::npos);
  }
  {
    StoreOptions options = SmallOptions();
    options.create = false;
    TemporaryDirectory empty;
    std::shared_ptr<Store> store;
    CHECK(Store::Open(empty.path(), options, &store).ToString().find("there is no store") != std::string::npos);
  }
}

}  // namespace balsa::testing
