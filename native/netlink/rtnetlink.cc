// rtnetlink: links, addresses, routes and neighbours.
#include "values.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cstdio>
#include <memory>
#include <utility>

namespace balsa::netlink {

namespace {

constexpr uint16_t kRequest = NLM_F_REQUEST | NLM_F_ACK;
constexpr uint16_t kReplace = kRequest | NLM_F_CREATE | NLM_F_REPLACE;

// Rows of a dump as lists of named values: enough for every object here, and one conversion to JavaScript.
struct Row {
  std::vector<std::pair<const char*, double>> numbers;
  std::vector<std::pair<const char*, std::string>> strings;
};

Napi::Value ToArray(Napi::Env env, const std::vector<Row>& rows) {
  Napi::Array list = Napi::Array::New(env, rows.size());
  for (size_t i = 0; i < rows.size(); i++) {
    Napi::Object object = Napi::Object::New(env);
    for (const auto& [name, value] : rows[i].numbers) object.Set(name, Napi::Number::New(env, value));
    for (const auto& [name, value] : rows[i].strings) object.Set(name, Napi::String::New(env, value));
    list.Set(static_cast<uint32_t>(i), object);
  }
  return list;
}

std::string FormatLinkAddress(const Attribute& attribute) {
  std::string text;
  char part[4];
  for (size_t i = 0; i < attribute.size; i++) {
    snprintf(part, sizeof part, i == 0 ? "%02x" : ":%02x", attribute.data[i]);
    text += part;
  }
  return text;
}

bool ParseLinkAddress(const std::string& text, uint8_t out[6]) {
  unsigned int part[6];
  if (sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5]) != 6) {
    return false;
  }
  for (int i = 0; i < 6; i++) out[i] = static_cast<uint8_t>(part[i]);
  return true;
}

// The family's own header: the kernel's structures mix types, so each reader copies it out.
template <typename Header>
Header HeaderOf(const nlmsghdr* message) {
  Header header{};
  if (message->nlmsg_len >= NLMSG_LENGTH(sizeof header)) std::memcpy(&header, NLMSG_DATA(message), sizeof header);
  return header;
}

template <typename Header>
Napi::Promise DumpRows(Napi::Env env, uint16_t type, const Header& header,
                       std::function<bool(const nlmsghdr*, Row*)> read) {
  auto rows = std::make_shared<std::vector<Row>>();
  return RunAsync(
      env,
      [=] {
        Error error;
        for (int attempt = 0; attempt < 10; attempt++) {
          rows->clear();
          Socket socket;
          error = socket.Open(NETLINK_ROUTE);
          if (!error.ok()) return error;
          MessageWriter writer;
          writer.BeginMessage(type, NLM_F_REQUEST | NLM_F_DUMP, 1);
          writer.Append(header);
          writer.EndMessage();
          error = socket.Dump(writer, [&](const nlmsghdr* message) {
            Row row;
            if (read(message, &row)) rows->push_back(std::move(row));
          });
          if (error.code != EINTR) return error;
        }
        return error;
      },
      [rows](Napi::Env result_env) { return ToArray(result_env, *rows); });
}

Napi::Promise RunRequest(Napi::Env env, MessageWriter writer) {
  auto message = std::make_shared<MessageWriter>(std::move(writer));
  return RunAsync(env, [message] {
    Socket socket;
    Error error = socket.Open(NETLINK_ROUTE);
    return error.ok() ? socket.Request(*message) : error;
  });
}

// ---- links

bool ReadLink(const nlmsghdr* message, Row* row) {
  const auto header = HeaderOf<ifinfomsg>(message);
  const AttributeList fields = AttributesOf(message, sizeof(ifinfomsg));
  row->numbers.emplace_back("index", header.ifi_index);
  row->numbers.emplace_back("flags", header.ifi_flags);
  row->numbers.emplace_back("mtu", fields.Find(IFLA_MTU).As<uint32_t>());
  row->numbers.emplace_back("master", fields.Find(IFLA_MASTER).As<uint32_t>());
  row->numbers.emplace_back("link", fields.Find(IFLA_LINK).As<uint32_t>());
  row->strings.emplace_back("name", fields.Find(IFLA_IFNAME).String());
  row->strings.emplace_back("address", FormatLinkAddress(fields.Find(IFLA_ADDRESS)));
  const AttributeList info(fields.Find(IFLA_LINKINFO));
  const Attribute kind = info.Find(IFLA_INFO_KIND);
  row->strings.emplace_back("kind", kind.present() ? kind.String() : "");
  const Attribute data = info.Find(IFLA_INFO_DATA);
  if (kind.present() && kind.String() == "vxlan") {
    const AttributeList vxlan(data);
    row->numbers.emplace_back("vxlanId", vxlan.Find(IFLA_VXLAN_ID).As<uint32_t>());
    row->numbers.emplace_back("vxlanPort", vxlan.Find(IFLA_VXLAN_PORT).Be16());
    const Attribute local = vxlan.Find(IFLA_VXLAN_LOCAL);
    if (local.present()) row->strings.emplace_back("vxlanLocal", FormatAddress(AF_INET, local.data, local.size));
    row->numbers.emplace_back("vxlanLink", vxlan.Find(IFLA_VXLAN_LINK).As<uint32_t>());
  }
  return true;
}

Napi::Value Links(const Napi::CallbackInfo& info) {
  ifinfomsg header{};
  return DumpRows(info.Env(), RTM_GETLINK, header, ReadLink);
}

// linkAdd({name, kind, mtu?, address?, peer?, vxlanId?, vxlanPort?, vxlanLocal?, vxlanLink?})
Napi::Value LinkAdd(const Napi::CallbackInfo& info) {
  const Properties link(info[0].As<Napi::Object>());
  const std::string kind = link.String("kind");
  MessageWriter writer;
  writer.BeginMessage(RTM_NEWLINK, kRequest | NLM_F_CREATE | NLM_F_EXCL, 1);
  writer.Append(ifinfomsg{});
  writer.String(IFLA_IFNAME, link.String("name"));
  if (link.Has("mtu")) writer.U32(IFLA_MTU, link.U32("mtu"));
  if (link.Has("address")) {
    uint8_t address[6];
    if (!ParseLinkAddress(link.String("address"), address)) return Reject(info.Env(), "malformed link address");
    writer.Bytes(IFLA_ADDRESS, address, sizeof address);
  }
  const size_t link_info = writer.BeginNested(IFLA_LINKINFO);
  writer.String(IFLA_INFO_KIND, kind);
  if (kind == "vxlan") {
    const size_t data = writer.BeginNested(IFLA_INFO_DATA);
    writer.U32(IFLA_VXLAN_ID, link.U32("vxlanId"));
    writer.Be16(IFLA_VXLAN_PORT, static_cast<uint16_t>(link.U32("vxlanPort", 8472)));
    writer.U8(IFLA_VXLAN_LEARNING, 0);
    if (link.Has("vxlanLink")) writer.U32(IFLA_VXLAN_LINK, link.U32("vxlanLink"));
    Address local;
    if (link.Has("vxlanLocal")) {
      if (!local.Parse(link.String("vxlanLocal"))) return Reject(info.Env(), "malformed vxlanLocal");
      writer.Bytes(local.family == AF_INET ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, local.bytes, local.size());
    }
    writer.EndNested(data);
  } else if (kind == "veth" && link.Has("peer")) {
    const size_t data = writer.BeginNested(IFLA_INFO_DATA);
    const size_t peer = writer.BeginNested(VETH_INFO_PEER);
    writer.Append(ifinfomsg{});
    writer.String(IFLA_IFNAME, link.String("peer"));
    writer.EndNested(peer);
    writer.EndNested(data);
  }
  writer.EndNested(link_info);
  writer.EndMessage();
  return RunRequest(info.Env(), std::move(writer));
}

// linkSet({index, up?, mtu?, master?, netnsPid?})
Napi::Value LinkSet(const Napi::CallbackInfo& info) {
  const Properties link(info[0].As<Napi::Object>());
  MessageWriter writer;
  writer.BeginMessage(RTM_NEWLINK, kRequest, 1);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(link.U32("index"));
  if (link.Has("up")) {
    header.ifi_change = IFF_UP;
    header.ifi_flags = link.Flag("up") ? IFF_UP : 0;
  }
  writer.Append(header);
  if (link.Has("mtu")) writer.U32(IFLA_MTU, link.U32("mtu"));
  if (link.Has("master")) writer.U32(IFLA_MASTER, link.U32("master"));
  if (link.Has("netnsPid")) writer.U32(IFLA_NET_NS_PID, link.U32("netnsPid"));
  writer.EndMessage();
  return RunRequest(info.Env(), std::move(writer));
}

// linkDelete(index)
Napi::Value LinkDelete(const Napi::CallbackInfo& info) {
  MessageWriter writer;
  writer.BeginMessage(RTM_DELLINK, kRequest, 1);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(info[0].ToNumber().Uint32Value());
  writer.Append(header);
  writer.EndMessage();
  return RunRequest(info.Env(), std::move(writer));
}

// ---- addresses

bool ReadAddress(const nlmsghdr* message, Row* row) {
  const auto header = HeaderOf<ifaddrmsg>(message);
  const AttributeList fields = AttributesOf(message, sizeof(ifaddrmsg));
  // On a point-to-point link IFA_ADDRESS is the far end.
  Attribute address = fields.Find(IFA_LOCAL);
  if (!address.present()) address = fields.Find(IFA_ADDRESS);
  row->numbers.emplace_back("index", header.ifa_index);
  row->numbers.emplace_back("prefixLength", header.ifa_prefixlen);
  row->numbers.emplace_back("scope", header.ifa_scope);
  row->strings.emplace_back("family", header.ifa_family == AF_INET6 ? "ip6" : "ip");
  row->strings.emplace_back("address", FormatAddress(header.ifa_family, address.data, address.size));
  return address.present();
}

Napi::Value Addresses(const Napi::CallbackInfo& info) {
  ifaddrmsg header{};
  return DumpRows(info.Env(), RTM_GETADDR, header, ReadAddress);
}

// {index, address, prefixLength, scope?}
Napi::Value ChangeAddress(const Napi::CallbackInfo& info, uint16_t type, uint16_t flags) {
  const Properties properties(info[0].As<Napi::Object>());
  Address address;
  if (!address.Parse(properties.String("address"))) return Reject(info.Env(), "malformed address");
  MessageWriter writer;
  writer.BeginMessage(type, flags, 1);
  ifaddrmsg header{};
  header.ifa_family = address.family;
  header.ifa_prefixlen = static_cast<uint8_t>(properties.U32("prefixLength", address.family == AF_INET ? 32 : 128));
  header.ifa_scope = static_cast<uint8_t>(properties.U32("scope"));
  header.ifa_index = properties.U32("index");
  if (address.family == AF_INET6) header.ifa_flags = IFA_F_NODAD;
  writer.Append(header);
  writer.Bytes(IFA_LOCAL, address.bytes, address.size());
  writer.Bytes(IFA_ADDRESS, address.bytes, address.size());
  writer.EndMessage();
  return RunRequest(info.Env(), std::move(writer));
}

Napi::Value AddressReplace(const Napi::CallbackInfo& info) { return ChangeAddress(info, RTM_NEWADDR, kReplace); }
Napi::Value AddressDelete(const Napi::CallbackInfo& info) { return ChangeAddress(info, RTM_DELADDR, kRequest); }

// ---- routes

bool ReadRoute(const nlmsghdr* message, Row* row) {
  const auto header = HeaderOf<rtmsg>(message);
  const AttributeList fields = AttributesOf(message, sizeof(rtmsg));
  if ((header.rtm_flags & RTM_F_CLONED) != 0) return false;
  if (header.rtm_family != AF_INET && header.rtm_family != AF_INET6) return false;
  row->strings.emplace_back("family", header.rtm_family == AF_INET6 ? "ip6" : "ip");
  const Attribute destination = fields.Find(RTA_DST);
  row->strings.emplace_back("destination", destination.present()
                                               ? FormatAddress(header.rtm_family, destination.data, destination.size)
                                               : header.rtm_family == AF_INET6 ? "::" : "0.0.0.0");
  row->numbers.emplace_back("prefixLength", header.rtm_dst_len);
  row->numbers.emplace_back("type", header.rtm_type);
  row->numbers.emplace_back("scope", header.rtm_scope);
  row->numbers.emplace_back("protocol", header.rtm_protocol);
  const Attribute table = fields.Find(RTA_TABLE);
  row->numbers.emplace_back("table", table.present() ? table.As<uint32_t>() : header.rtm_table);
  row->numbers.emplace_back("index", fields.Find(RTA_OIF).As<uint32_t>());
  row->numbers.emplace_back("metric", fields.Find(RTA_PRIORITY).As<uint32_t>());
  const Attribute gateway = fields.Find(RTA_GATEWAY);
  if (gateway.present()) {
    row->strings.emplace_back("gateway", FormatAddress(header.rtm_family, gateway.data, gateway.size));
  }
  const Attribute source = fields.Find(RTA_PREFSRC);
  if (source.present()) row->strings.emplace_back("source", FormatAddress(header.rtm_family, source.data, source.size));
  return true;
}

Napi::Value Routes(const Napi::CallbackInfo& info) {
  rtmsg header{};
  return DumpRows(info.Env(), RTM_GETROUTE, header, ReadRoute);
}

// {destination, prefixLength, gateway?, index?, source?, onLink?, metric?, table?, protocol?, scope?, type?}
Napi::Value ChangeRoute(const Napi::CallbackInfo& info, uint16_t type, uint16_t flags) {
  const Properties route(info[0].As<Napi::Object>());
  Address destination;
  if (!destination.Parse(route.String("destination"))) return Reject(info.Env(), "malformed destination");
  const bool deleting = type == RTM_DELROUTE;
  MessageWriter writer;
  writer.BeginMessage(type, flags, 1);
  rtmsg header{};
  header.rtm_family = destination.family;
  header.rtm_dst_len = static_cast<uint8_t>(route.U32("prefixLength", destination.family == AF_INET ? 32 : 128));
  header.rtm_table = RT_TABLE_UNSPEC;
  header.rtm_protocol = static_cast<uint8_t>(route.U32("protocol", deleting ? RTPROT_UNSPEC : RTPROT_STATIC));
  const uint32_t scope = deleting ? RT_SCOPE_NOWHERE : route.Has("gateway") ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  header.rtm_scope = static_cast<uint8_t>(route.U32("scope", scope));
  header.rtm_type = static_cast<uint8_t>(route.U32("type", deleting ? RTN_UNSPEC : RTN_UNICAST));
  if (route.Flag("onLink")) header.rtm_flags |= RTNH_F_ONLINK;
  writer.Append(header);
  if (header.rtm_dst_len > 0) writer.Bytes(RTA_DST, destination.bytes, destination.size());
  writer.U32(RTA_TABLE, route.U32("table", RT_TABLE_MAIN));
  for (const auto& [property, attribute] : {std::pair<const char*, uint16_t>{"gateway", RTA_GATEWAY},
                                            std::pair<const char*, uint16_t>{"source", RTA_PREFSRC}}) {
    if (!route.Has(property)) continue;
    Address address;
    if (!address.Parse(route.String(property)) || address.family != destination.family) {
      return Reject(info.Env(), std::string("malformed ") + property);
    }
    writer.Bytes(attribute, address.bytes, address.size());
  }
  if (route.Has("index")) writer.U32(RTA_OIF, route.U32("index"));
  if (route.Has("metric")) writer.U32(RTA_PRIORITY, route.U32("metric"));
  writer.EndMessage();
  return RunRequest(info.Env(), std::move(writer));
}

Napi::Value RouteReplace(const Napi::CallbackInfo& info) { return ChangeRoute(info, RTM_NEWROUTE, kReplace); }
Napi::Value RouteDelete(const Napi::CallbackInfo& info) { return ChangeRoute(info, RTM_DELROUTE, kRequest); }

// ---- neighbours (ARP, NDP and the forwarding database of bridges and VXLAN links)

bool ReadNeighbour(const nlmsghdr* message, Row* row) {
  const auto header = HeaderOf<ndmsg>(message);
  const AttributeList fields = AttributesOf(message, sizeof(ndmsg));
  row->numbers.emplace_back("index", header.ndm_ifindex);
  row->numbers.emplace_back("state", header.ndm_state);
  row->numbers.emplace_back("flags", header.ndm_flags);
  const Attribute address = fields.Find(NDA_DST);
  const uint8_t family = address.size == 16 ? AF_INET6 : AF_INET;
  row->strings.emplace_back("address", address.present() ? FormatAddress(family, address.data, address.size) : "");
  row->strings.emplace_back("linkAddress", FormatLinkAddress(fields.Find(NDA_LLADDR)));
  row->strings.emplace_back("family", header.ndm_family == AF_BRIDGE    ? "bridge"
                                      : header.ndm_family == AF_INET6 ? "ip6"
                                                                      : "ip");
  return true;
}

// neighbours(family: 'ip' | 'ip6' | 'bridge')
Napi::Value Neighbours(const Napi::CallbackInfo& info) {
  ndmsg header{};
  const std::string family = info[0].ToString().Utf8Value();
  header.ndm_family = family == "bridge" ? AF_BRIDGE : family == "ip6" ? AF_INET6 : AF_INET;
  return DumpRows(info.Env(), RTM_GETNEIGH, header, ReadNeighbour);
}

// {family: 'ip' | 'bridge', index, address, linkAddress}: permanent. In the 'bridge' family the entry is a VXLAN link's
// forwarding entry, and `address` the far tunnel end.
Napi::Value ChangeNeighbour(const Napi::CallbackInfo& info, uint16_t type, uint16_t flags) {
  const Properties neighbour(info[0].As<Napi::Object>());
  const bool bridge = neighbour.String("family") == "bridge";
  Address address;
  uint8_t link_address[6];
  if (!address.Parse(neighbour.String("address"))) return Reject(info.Env(), "malformed address");
  MessageWriter writer;
  writer.BeginMessage(type, flags, 1);
  ndmsg header{};
  header.ndm_family = bridge ? AF_BRIDGE : address.family;
  header.ndm_ifindex = static_cast<int>(neighbour.U32("index"));
  header.ndm_state = bridge ? NUD_PERMANENT | NUD_NOARP : NUD_PERMANENT;
  header.ndm_flags = bridge ? NTF_SELF : 0;
  writer.Append(header);
  writer.Bytes(NDA_DST, address.bytes, address.size());
  if (neighbour.Has("linkAddress")) {
    if (!ParseLinkAddress(neighbour.String("linkAddress"), link_address)) {
      return Reject(info.Env(), "malformed linkAddress");
    }
    writer.Bytes(NDA_LLADDR, link_address, sizeof link_address);
  }
  writer.EndMessage();
  return RunRequest(info.Env(), std::move(writer));
}

Napi::Value NeighbourReplace(const Napi::CallbackInfo& info) { return ChangeNeighbour(info, RTM_NEWNEIGH, kReplace); }
Napi::Value NeighbourDelete(const Napi::CallbackInfo& info) { return ChangeNeighbour(info, RTM_DELNEIGH, kRequest); }

}  // namespace

void RegisterRtnetlink(Napi::Env env, Napi::Object exports) {
  exports.Set("links", Napi::Function::New(env, Links, "links"));
  exports.Set("linkAdd", Napi::Function::New(env, LinkAdd, "linkAdd"));
  exports.Set("linkSet", Napi::Function::New(env, LinkSet, "linkSet"));
  exports.Set("linkDelete", Napi::Function::New(env, LinkDelete, "linkDelete"));
  exports.Set("addresses", Napi::Function::New(env, Addresses, "addresses"));
  exports.Set("addressReplace", Napi::Function::New(env, AddressReplace, "addressReplace"));
  exports.Set("addressDelete", Napi::Function::New(env, AddressDelete, "addressDelete"));
  exports.Set("routes", Napi::Function::New(env, Routes, "routes"));
  exports.Set("routeReplace", Napi::Function::New(env, RouteReplace, "routeReplace"));
  exports.Set("routeDelete", Napi::Function::New(env, RouteDelete, "routeDelete"));
  exports.Set("neighbours", Napi::Function::New(env, Neighbours, "neighbours"));
  exports.Set("neighbourReplace", Napi::Function::New(env, NeighbourReplace, "neighbourReplace"));
  exports.Set("neighbourDelete", Napi::Function::New(env, NeighbourDelete, "neighbourDelete"));
}

}  // namespace balsa::netlink
