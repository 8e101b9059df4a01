#include "store/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "store/options.h"

namespace balsa {

namespace {

rocksdb::Status SystemError(const std::string& path, int error) {
  return rocksdb::Status::IOError(path, std::strerror(error));
}

rocksdb::Status SyncDirectory(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, errno);
  int failed = ::fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  return failed == 0 ? rocksdb::Status::OK() : SystemError(path, failed);
}

constexpr const char* kActive = "/active";

}  // namespace

rocksdb::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  return error ? SystemError(path, error.value()) : rocksdb::Status::OK();
}

rocksdb::Status RemoveDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return error ? SystemError(path, error.value()) : rocksdb::Status::OK();
}

rocksdb::Status ReadActive(const std::string& path, std::string* name) {
  int fd = ::open((path + kActive).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? rocksdb::Status::NotFound() : SystemError(path + kActive, errno);
  char bytes[64];
  ssize_t size = ::read(fd, bytes, sizeof(bytes) - 1);
  int failed = size < 0 ? errno : 0;
  ::close(fd);
  if (failed != 0) return SystemError(path + kActive, failed);
  bytes[size] = '\0';
  char* end = nullptr;
  unsigned long format = std::strtoul(bytes, &end, 10);
  if (end == bytes || format == 0) return rocksdb::Status::Corruption("the file `active` is malformed");
  if (format > kFormatVersion) {
    return rocksdb::Status::NotSupported("it was written in format " + std::to_string(format) +
                                         " by a newer version; this one knows formats up to " +
                                         std::to_string(kFormatVersion));
  }
  std::string rest(end);
  if (rest.size() < 3 || rest.front() != ' ' || rest.back() != '\n') {
    return rocksdb::Status::Corruption("the file `active` is malformed");
  }
  *name = rest.substr(1, rest.size() - 2);
  if (name->compare(0, 6, "state-") != 0 || name->find('/') != std::string::npos) {
    return rocksdb::Status::Corruption("the file `active` is malformed");
  }
  return rocksdb::Status::OK();
}

rocksdb::Status WriteActive(const std::string& path, const std::string& name) {
  std::string temporary = path + kActive + ".new";
  std::string line = std::to_string(kFormatVersion) + " " + name + "\n";
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError(temporary, errno);
  int failed = 0;
  if (::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size()) || ::fsync(fd) != 0) {
    failed = errno != 0 ? errno : EIO;
  }
  ::close(fd);
  if (failed != 0) return SystemError(temporary, failed);
  if (::rename(temporary.c_str(), (path + kActive).c_str()) != 0) return SystemError(path + kActive, errno);
  return SyncDirectory(path);
}

std::string NextStateName(const std::string& name) {
  unsigned long number = name.empty() ? 0 : std::strtoul(name.c_str() + 6, nullptr, 10);
  char next[32];
  std::snprintf(next, sizeof(next), "state-%06lu", number + 1);
  return next;
}

void RemoveStale(const std::string& path, const std::string& active) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    std::string name = entry.path().filename().string();
    std::error_code ignored;  // What cannot be removed now is tried again at the next start.
    if (name.compare(0, 6, "state-") == 0 && name != active) std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace balsa
