#include "socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

namespace balsa::netlink {

namespace {

constexpr size_t kReceiveBuffer = 256 * 1024;
constexpr int kMinimumSocketBuffer = 1024 * 1024;
constexpr time_t kReceiveTimeoutSeconds = 30;

Error ErrorOf(const nlmsghdr* message) {
  Error error;
  if (message->nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) {
    error.code = EBADMSG;
    error.message = "short netlink error message";
    return error;
  }
  const auto* body = static_cast<const nlmsgerr*>(NLMSG_DATA(message));
  error.code = -body->error;
  error.sequence = body->msg.nlmsg_seq;
  if (error.code == 0 || (message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return error;
  size_t skip = sizeof(nlmsgerr);
  // Without NLM_F_CAPPED the whole failed message is echoed before the extended attributes.
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) skip += NLMSG_ALIGN(body->msg.nlmsg_len) - NLMSG_HDRLEN;
  const Attribute text = AttributesOf(message, skip).Find(NLMSGERR_ATTR_MSG);
  if (text.present()) error.message = text.String();
  return error;
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

Error Socket::Fail(const char* step) const {
  Error error;
  error.code = errno;
  error.message = step;
  return error;
}

Error Socket::Open(int protocol) {
  fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd_ < 0) return Fail("open netlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return Fail("bind netlink socket");
  const int on = 1;
  // Both are refinements: old kernels without them still answer, with fewer words.
  (void)setsockopt(fd_, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)setsockopt(fd_, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  (void)setsockopt(fd_, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  const timeval timeout{kReceiveTimeoutSeconds, 0};
  if (setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0) return Fail("set receive timeout");
  const int receive = 8 * kMinimumSocketBuffer;
  if (setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &receive, sizeof receive) < 0) {
    (void)setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
  }
  buffer_.resize(kReceiveBuffer);
  return Error{};
}

Error Socket::Send(const MessageWriter& message) {
  if (message.overflow()) {
    Error error;
    error.code = EMSGSIZE;
    error.message = "an attribute exceeds 65535 bytes";
    return error;
  }
  // The whole buffer becomes one socket buffer in the kernel, which SO_SNDBUF bounds.
  if (message.size() > static_cast<size_t>(kMinimumSocketBuffer) / 8) {
    const int size = static_cast<int>(message.size()) + kMinimumSocketBuffer;
    if (setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0) return Fail("enlarge netlink send buffer");
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent;
  do {
    sent = sendto(fd_, message.bytes().data(), message.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return Fail("send netlink message");
  return Error{};
}

// Reads one datagram. `drained` is set when there was none and `wait` is false.
Error Socket::Receive(const Visit& visit, bool wait, bool* drained) {
  ssize_t size;
  do {
    size = recv(fd_, buffer_.data(), buffer_.size(), (wait ? 0 : MSG_DONTWAIT) | MSG_TRUNC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    if (!wait && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      *drained = true;
      return Error{};
    }
    if (errno == EAGAIN) errno = ETIMEDOUT;
    return Fail("receive netlink message");
  }
  if (static_cast<size_t>(size) > buffer_.size()) {
    Error error;
    error.code = EMSGSIZE;
    error.message = "netlink datagram exceeds the receive buffer";
    return error;
  }
  size_t offset = 0;
  while (offset + NLMSG_HDRLEN <= static_cast<size_t>(size)) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data() + offset);
    if (message->nlmsg_len < NLMSG_HDRLEN || message->nlmsg_len > static_cast<size_t>(size) - offset) break;
    visit(message);
    offset += NLMSG_ALIGN(message->nlmsg_len);
  }
  return Error{};
}

Error Socket::Request(const MessageWriter& message, const Visit& visit) {
  Error outcome = Send(message);
  bool done = !outcome.ok();
  bool drained = false;
  while (!done) {
    const Error received = Receive(
        [&](const nlmsghdr* answer) {
          if (answer->nlmsg_type == NLMSG_ERROR) {
            outcome = ErrorOf(answer);
            done = true;
          } else if (visit) {
            visit(answer);
          }
        },
        true, &drained);
    if (!received.ok()) return received;
  }
  return outcome;
}

Error Socket::Dump(const MessageWriter& message, const Visit& visit) {
  Error outcome = Send(message);
  bool done = !outcome.ok();
  bool drained = false;
  bool interrupted = false;
  while (!done) {
    const Error received = Receive(
        [&](const nlmsghdr* answer) {
          if ((answer->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
          if (answer->nlmsg_type == NLMSG_ERROR) {
            outcome = ErrorOf(answer);
            done = true;
          } else if (answer->nlmsg_type == NLMSG_DONE) {
            done = true;
            if (answer->nlmsg_len >= NLMSG_LENGTH(sizeof(int))) {
              int code = 0;
              std::memcpy(&code, NLMSG_DATA(answer), sizeof code);
              if (code < 0) outcome.code = -code;
            }
          } else {
            visit(answer);
          }
        },
        true, &drained);
    if (!received.ok()) return received;
  }
  if (outcome.ok() && interrupted) {
    outcome.code = EINTR;
    outcome.message = "the dump was interrupted by a change";
  }
  return outcome;
}

Error Socket::Batch(const MessageWriter& batch) {
  Error outcome = Send(batch);
  if (!outcome.ok()) return outcome;
  // The kernel runs the batch inside sendto: every answer is already queued.
  bool drained = false;
  while (!drained) {
    const Error received = Receive(
        [&](const nlmsghdr* answer) {
          if (answer->nlmsg_type != NLMSG_ERROR) return;
          Error error = ErrorOf(answer);
          if (!error.ok() && outcome.ok()) outcome = error;
        },
        false, &drained);
    if (!received.ok()) return outcome.ok() ? received : outcome;
  }
  return outcome;
}

}  // namespace balsa::netlink
