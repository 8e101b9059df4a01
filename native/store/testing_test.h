#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "store/store.h"
#include "store/wire.h"

/// What the native tests share: a registry of cases, checks that end the process, requests in etcd's encoding, directories of their own.
namespace balsa::testing {

struct Case {
  const char* name;
  void (*run)();
};
std::vector<Case>& Cases();
struct Register {
  Register(const char* name, void (*run)()) { Cases().push_back({name, run}); }
};

#define BALSA_TEST(name)                                                  \
  static void name();                                                     \
  static const ::balsa::testing::Register register_##name(#name, &name); \
  static void name()

#define CHECK(condition)                                                                      \
  do {                                                                                        \
    if (!(condition)) {                                                                       \
      std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition);      \
      std::abort();                                                                           \
    }                                                                                         \
  } while (false)

#define CHECK_OK(expression)                                                                               \
  do {                                                                                                     \
    ::rocksdb::Status checked = (expression);                                                              \
    if (!checked.ok()) {                                                                                   \
      std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expression, checked.ToString().c_str()); \
      std::abort();                                                                                        \
    }                                                                                                      \
  } while (false)

/// The seed of this run: BALSA_TEST_SEED, or the clock's; printed, so that a failure can be had again.
uint64_t Seed();
/// How much a randomised case does, in percent of the usual (BALSA_TEST_EFFORT).
uint64_t Effort();

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t Next() {  // splitmix64
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

/// A directory that goes with its owner.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

StoreOptions SmallOptions();

std::string EncodePut(const PutRequest& request);
std::string EncodeRange(const RangeRequest& request);
std::string EncodeDeleteRange(const DeleteRangeRequest& request);
std::string EncodeTxn(const TxnRequest& request);
std::string EncodeNumbers(int64_t first, int64_t second);  // Fields 1 and 2.
std::string EncodeCommand(Command::Kind kind, std::string_view request);

/// One command's result, taken out of Apply's packed ones.
struct Applied {
  uint64_t index;
  ErrorCode error;
  std::string response;
};
std::vector<Applied> UnpackApplied(const std::string& packed);

/// Appends and applies one command; the log is written as a member writes it.
Applied Run(Store* store, Command::Kind kind, std::string_view request);
int64_t PutOne(Store* store, std::string_view key, std::string_view value, int64_t lease = 0);
void AppendEntries(Store* store, const std::vector<std::string>& commands, uint64_t first);
void WaitCompaction(Store* store);
HashResult Hash(Store* store, int64_t revision = 0);
std::string Response(const Applied& applied, uint32_t field);

}  // namespace balsa::testing
