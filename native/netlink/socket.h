// One netlink socket, and the three conversations held over it: a request, a dump and an nfnetlink batch.
#pragma once

#include <linux/netlink.h>

#include <functional>
#include <string>
#include <vector>

#include "message.h"

namespace balsa::netlink {

struct Error {
  int code = 0;            // an errno value; 0: none
  uint32_t sequence = 0;   // of the message that failed, when the kernel said so
  std::string message;     // the kernel's own words, or ours about which step failed

  bool ok() const { return code == 0; }
};

class Socket {
 public:
  Socket() = default;
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // `protocol` is NETLINK_ROUTE, NETLINK_NETFILTER or NETLINK_GENERIC.
  Error Open(int protocol);

  using Visit = std::function<void(const nlmsghdr*)>;

  // Sends one message that asks for an acknowledgement and waits for it; `visit` sees what comes before it.
  Error Request(const MessageWriter& message, const Visit& visit = {});

  // Sends a dump request and shows each message of the answer. EINTR when the kernel says the dump was interrupted by a
  // change: the caller decides whether an inconsistent answer will do or asks again.
  Error Dump(const MessageWriter& message, const Visit& visit);

  // Sends one whole nfnetlink batch as one datagram; the kernel has processed it when this returns. The first failure of
  // the batch comes back: nothing of it has been applied then.
  Error Batch(const MessageWriter& batch);

 private:
  Error Send(const MessageWriter& message);
  Error Receive(const Visit& visit, bool wait, bool* drained);
  Error Fail(const char* step) const;

  int fd_ = -1;
  std::vector<uint8_t> buffer_;
};

}  // namespace balsa::netlink
