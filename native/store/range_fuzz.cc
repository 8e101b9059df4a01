#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "store/requests.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  balsa::RangeRequest request;
  if (balsa::DecodeRange({reinterpret_cast<const char*>(data), size}, &request)) {
    balsa::CheckRange(request);
    // What is decoded lies within the bytes.
    if (request.key.size() + request.range_end.size() > 2 * size) std::abort();
  }
  return 0;
}
