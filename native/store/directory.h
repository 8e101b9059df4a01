#pragma once

#include <rocksdb/status.h>

#include <string>

namespace balsa {

/// A store's directory: the file `active` ("<format> <name>\n") names the RocksDB directory inside it that counts. A snapshot is written
/// beside it and becomes the state by replacing that file.

rocksdb::Status MakeDirectory(const std::string& path);
rocksdb::Status RemoveDirectory(const std::string& path);
/// NotFound when the directory holds no store.
rocksdb::Status ReadActive(const std::string& path, std::string* name);
/// Durable when it returns.
rocksdb::Status WriteActive(const std::string& path, const std::string& name);
/// The name after `name`: state-000001, state-000002, ...
std::string NextStateName(const std::string& name);
/// Removes RocksDB directories that do not count: what a crash left of an installation.
void RemoveStale(const std::string& path, const std::string& active);

}  // namespace balsa
