// Tells the hosts of a link that an address has moved here: gratuitous ARP, and its IPv6 counterpart.
#include "values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace balsa::netlink {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error Failed(const char* step) { return Error{errno, 0, std::string(step) + ": " + strerror(errno)}; }

struct __attribute__((packed)) ArpPacket {
  uint16_t hardware = htons(ARPHRD_ETHER);
  uint16_t protocol = htons(ETHERTYPE_IP);
  uint8_t hardware_size = ETH_ALEN;
  uint8_t protocol_size = 4;
  uint16_t operation = 0;
  uint8_t sender_hardware[ETH_ALEN] = {};
  uint8_t sender[4] = {};
  uint8_t target_hardware[ETH_ALEN] = {};
  uint8_t target[4] = {};
};
static_assert(sizeof(ArpPacket) == 28);

Error LinkAddress(int fd, uint32_t index, uint8_t* address) {
  ifreq request{};
  request.ifr_ifindex = static_cast<int>(index);
  if (ioctl(fd, SIOCGIFNAME, &request) != 0) return Failed("looking for the link");
  if (ioctl(fd, SIOCGIFHWADDR, &request) != 0) return Failed("reading the link's address");
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return Error{EOPNOTSUPP, 0, "the link is not Ethernet"};
  memcpy(address, request.ifr_hwaddr.sa_data, ETH_ALEN);
  return {};
}

// As a request and as a reply: some hosts heed only one of them (RFC 5227, section 3).
Error AnnounceArp(uint32_t index, const Address& address) {
  const Descriptor socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETHERTYPE_ARP)));
  if (socket.get() < 0) return Failed("opening a packet socket");
  ArpPacket packet;
  if (const Error error = LinkAddress(socket.get(), index, packet.sender_hardware); !error.ok()) return error;
  memcpy(packet.sender, address.bytes, 4);
  memcpy(packet.target, address.bytes, 4);
  sockaddr_ll everybody{};
  everybody.sll_family = AF_PACKET;
  everybody.sll_protocol = htons(ETHERTYPE_ARP);
  everybody.sll_ifindex = static_cast<int>(index);
  everybody.sll_halen = ETH_ALEN;
  memset(everybody.sll_addr, 0xff, ETH_ALEN);
  for (const uint16_t operation : {ARPOP_REQUEST, ARPOP_REPLY}) {
    packet.operation = htons(operation);
    const auto* to = reinterpret_cast<const sockaddr*>(&everybody);
    if (sendto(socket.get(), &packet, sizeof packet, 0, to, sizeof everybody) < 0) return Failed("sending ARP");
  }
  return {};
}

// An unsolicited neighbour advertisement to all nodes (RFC 4861, section 7.2.6). The kernel fills the checksum in.
Error AnnounceNeighbour(uint32_t index, const Address& address) {
  const Descriptor socket(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6));
  if (socket.get() < 0) return Failed("opening a raw socket");
  struct __attribute__((packed)) {
    nd_neighbor_advert advert{};
    nd_opt_hdr option{};
    uint8_t hardware[ETH_ALEN] = {};
  } packet;
  if (const Error error = LinkAddress(socket.get(), index, packet.hardware); !error.ok()) return error;
  packet.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
  packet.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
  memcpy(&packet.advert.nd_na_target, address.bytes, 16);
  packet.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
  packet.option.nd_opt_len = 1;
  // Receivers drop what could have come through a router.
  const int hops = 255;
  if (setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) != 0)
    return Failed("setting the hop limit");
  // From the address itself: the link-local one may still be under duplicate detection.
  sockaddr_in6 self{};
  self.sin6_family = AF_INET6;
  self.sin6_scope_id = index;
  memcpy(&self.sin6_addr, address.bytes, 16);
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0)
    return Failed("binding to the address");
  const int outgoing = static_cast<int>(index);
  if (setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, &outgoing, sizeof outgoing) != 0)
    return Failed("choosing the link");
  sockaddr_in6 everybody{};
  everybody.sin6_family = AF_INET6;
  everybody.sin6_scope_id = index;
  inet_pton(AF_INET6, "ff02::1", &everybody.sin6_addr);
  const auto* to = reinterpret_cast<const sockaddr*>(&everybody);
  if (sendto(socket.get(), &packet, sizeof packet, 0, to, sizeof everybody) < 0)
    return Failed("sending a neighbour advertisement");
  return {};
}

// {index, address}
Napi::Value AddressAnnounce(const Napi::CallbackInfo& info) {
  const Properties properties(info[0].As<Napi::Object>());
  Address address;
  if (!address.Parse(properties.String("address"))) return Reject(info.Env(), "malformed address");
  const uint32_t index = properties.U32("index");
  return RunAsync(info.Env(), [index, address] {
    return address.family == AF_INET6 ? AnnounceNeighbour(index, address) : AnnounceArp(index, address);
  });
}

}  // namespace

void RegisterAnnounce(Napi::Env env, Napi::Object exports) {
  exports.Set("addressAnnounce", Napi::Function::New(env, AddressAnnounce, "addressAnnounce"));
}

}  // namespace balsa::netlink
