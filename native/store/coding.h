#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace balsa {

/// Fixed-size integers: little endian within values, big endian within keys (so that they sort).
inline void AppendLittle64(std::string* out, uint64_t value) { out->append(reinterpret_cast<const char*>(&value), 8); }
inline void AppendLittle32(std::string* out, uint32_t value) { out->append(reinterpret_cast<const char*>(&value), 4); }
inline void AppendBig64(std::string* out, uint64_t value) { AppendLittle64(out, __builtin_bswap64(value)); }

inline uint64_t ReadLittle64(const char* at) {
  uint64_t value;
  std::memcpy(&value, at, 8);
  return value;
}
inline uint32_t ReadLittle32(const char* at) {
  uint32_t value;
  std::memcpy(&value, at, 4);
  return value;
}
inline uint64_t ReadBig64(const char* at) { return __builtin_bswap64(ReadLittle64(at)); }
inline double ReadDouble(const char* at) {
  double value;
  std::memcpy(&value, at, 8);
  return value;
}
inline void WriteDouble(char* at, double value) { std::memcpy(at, &value, 8); }
inline void WriteLittle64(char* at, uint64_t value) { std::memcpy(at, &value, 8); }
inline void WriteLittle32(char* at, uint32_t value) { std::memcpy(at, &value, 4); }

/// CRC-32C (Castagnoli), continued from `crc`.
uint32_t Crc32c(uint32_t crc, std::string_view bytes);

}  // namespace balsa
