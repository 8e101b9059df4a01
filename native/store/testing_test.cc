#include "store/testing_test.h"

#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <future>

#include "store/coding.h"

namespace balsa::testing {

std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("BALSA_TEST_SEED");
    if (given != nullptr) return static_cast<uint64_t>(std::strtoull(given, nullptr, 10));
    return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count() % 1000000007);
  }();
  return seed;
}

uint64_t Effort() {
  const char* given = std::getenv("BALSA_TEST_EFFORT");
  return given == nullptr ? 100 : std::strtoull(given, nullptr, 10);
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = std::filesystem::temp_directory_path().string() + "/balsa-store-XXXXXX";
  CHECK(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

StoreOptions SmallOptions() {
  StoreOptions options;
  options.sync_log = false;
  // Small enough that a test flushes, compacts files and misses the cache.
  options.write_buffer_bytes = 256 << 10;
  options.block_cache_bytes = 1 << 20;
  options.record_cache_bytes = 64 << 10;
  return options;
}

std::string EncodePut(const PutRequest& request) {
  std::string out;
  AppendBytesField(&out, 1, request.key);
  AppendBytesField(&out, 2, request.value);
  AppendIntField(&out, 3, static_cast<uint64_t>(request.lease));
  AppendIntField(&out, 4, request.prev_kv);
  AppendIntField(&out, 5, request.ignore_value);
  AppendIntField(&out, 6, request.ignore_lease);
  return out;
}

std::string EncodeRange(const RangeRequest& request) {
  std::string out;
  AppendBytesField(&out, 1, request.key);
  AppendBytesField(&out, 2, request.range_end);
  AppendIntField(&out, 3, static_cast<uint64_t>(request.limit));
  AppendIntField(&out, 4, static_cast<uint64_t>(request.revision));
  AppendIntField(&out, 5, static_cast<uint64_t>(request.sort_order));
  AppendIntField(&out, 6, static_cast<uint64_t>(request.sort_target));
  AppendIntField(&out, 8, request.keys_only);
  AppendIntField(&out, 9, request.count_only);
  AppendIntField(&out, 10, static_cast<uint64_t>(request.min_mod_revision));
  AppendIntField(&out, 11, static_cast<uint64_t>(request.max_mod_revision));
  AppendIntField(&out, 12, static_cast<uint64_t>(request.min_create_revision));
  AppendIntField(&out, 13, static_cast<uint64_t>(request.max_create_revision));
  return out;
}

std::string EncodeDeleteRange(const DeleteRangeRequest& request) {
  std::string out;
  AppendBytesField(&out, 1, request.key);
  AppendBytesField(&out, 2, request.range_end);
  AppendIntField(&out, 3, request.prev_kv);
  return out;
}

std::string EncodeTxn(const TxnRequest& request) {
  std::string out;
  for (const Compare& compare : request.compare) {
    std::string bytes;
    AppendIntField(&bytes, 1, static_cast<uint64_t>(compare.result));
    AppendIntField(&bytes, 2, static_cast<uint64_t>(compare.target));
    AppendBytesField(&bytes, 3, compare.key);
    static constexpr uint32_t kFields[] = {4, 5, 6, 7, 8};
    uint32_t field = kFields[static_cast<size_t>(compare.target)];
    if (compare.target == Compare::Target::kValue) {
      AppendMessageField(&bytes, field, compare.value);
    } else {
      AppendIntField(&bytes, field, static_cast<uint64_t>(compare.number));
    }
    AppendBytesField(&bytes, 64, compare.range_end);
    AppendMessageField(&out, 1, bytes);
  }
  for (uint32_t field : {2u, 3u}) {
    for (const RequestOp& op : field == 2 ? request.success : request.failure) {
      std::string bytes;
      switch (op.kind) {
        case RequestOp::Kind::kRange:
          AppendMessageField(&bytes, 1, EncodeRange(op.range));
          break;
        case RequestOp::Kind::kPut:
          AppendMessageField(&bytes, 2, EncodePut(op.put));
          break;
        case RequestOp::Kind::kDeleteRange:
          AppendMessageField(&bytes, 3, EncodeDeleteRange(op.delete_range));
          break;
        case RequestOp::Kind::kTxn:
          AppendMessageField(&bytes, 4, EncodeTxn(*op.txn));
          break;
        case RequestOp::Kind::kNone:
          break;
      }
      AppendMessageField(&out, field, bytes);
    }
  }
  return out;
}

std::string EncodeNumbers(int64_t first, int64_t second) {
  std::string out;
  AppendIntField(&out, 1, static_cast<uint64_t>(first));
  AppendIntField(&out, 2, static_cast<uint64_t>(second));
  return out;
}

std::string EncodeCommand(Command::Kind kind, std::string_view request) {
  std::string out;
  AppendMessageField(&out, static_cast<uint32_t>(kind), request);
  return out;
}

std::vector<Applied> UnpackApplied(const std::string& packed) {
  std::vector<Applied> results;
  for (size_t at = 0; at < packed.size();) {
    size_t size = ReadLittle32(packed.data() + at + 24);
    results.push_back({static_cast<uint64_t>(ReadDouble(packed.data() + at)),
                       static_cast<ErrorCode>(ReadLittle32(packed.data() + at + 20)), packed.substr(at + 32, size)});
    at += 32 + (size + 7) / 8 * 8;
  }
  return results;
}

void AppendEntries(Store* store, const std::vector<std::string>& commands, uint64_t first) {
  std::vector<LogEntryView> entries;
  for (const std::string& command : commands) entries.push_back({first + entries.size(), 1, 0, command});
  CHECK_OK(store->AppendLog(entries, nullptr, [](const rocksdb::Status& status) { CHECK_OK(status); }));
}

Applied Run(Store* store, Command::Kind kind, std::string_view request) {
  std::string command = EncodeCommand(kind, request);
  uint64_t index = store->state().applied_index + 1;
  AppendEntries(store, {command}, index);
  std::string packed;
  CHECK_OK(store->Apply({{index, 1, 0, command}}, 1, {}, &packed));
  std::vector<Applied> results = UnpackApplied(packed);
  CHECK(results.size() == 1 && results[0].index == index);
  return results[0];
}

int64_t PutOne(Store* store, std::string_view key, std::string_view value, int64_t lease) {
  PutRequest request;
  request.key = key;
  request.value = value;
  request.lease = lease;
  CHECK(Run(store, Command::Kind::kPut, EncodePut(request)).error == ErrorCode::kOk);
  return store->state().revision;
}

void WaitCompaction(Store* store) {
  std::promise<rocksdb::Status> done;
  store->CompactionFinished(0, [&done](const rocksdb::Status& status) { done.set_value(status); });
  CHECK_OK(done.get_future().get());
}

HashResult Hash(Store* store, int64_t revision) {
  std::promise<HashResult> done;
  store->HashKv(revision, [&done](const rocksdb::Status& status, const HashResult& result) {
    CHECK_OK(status);
    done.set_value(result);
  });
  return done.get_future().get();
}

std::string Response(const Applied& applied, uint32_t field) {
  WireReader reader(applied.response);
  while (reader.Next()) {
    if (reader.field() == field) return std::string(reader.Bytes());
    reader.Skip();
  }
  return {};
}

}  // namespace balsa::testing

/// Runs all cases, or those whose names are given.
int main(int argc, char** argv) {
  using balsa::testing::Cases;
  std::printf("seed %llu\n", static_cast<unsigned long long>(balsa::testing::Seed()));
  size_t ran = 0;
  for (const auto& test : Cases()) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; i++) wanted = wanted || std::strcmp(argv[i], test.name) == 0;
    if (!wanted) continue;
    std::printf("run %s\n", test.name);
    std::fflush(stdout);
    test.run();
    std::printf("ok %s\n", test.name);
    ran++;
  }
  std::printf("%zu cases\n", ran);
  return ran == 0 ? 1 : 0;
}
