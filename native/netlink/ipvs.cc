// IPVS over generic netlink: virtual services and their destinations.
#include "values.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <sys/socket.h>

#include <memory>
#include <utility>

namespace balsa::netlink {

namespace {

struct Destination {
  std::string address;
  uint16_t port = 0;
  uint32_t weight = 1;
};

struct Service {
  uint16_t protocol = 0;
  std::string address;
  uint16_t port = 0;
  std::string scheduler;
  // Seconds a client stays with its destination; 0: it does not.
  uint32_t persistence = 0;
  std::vector<Destination> destinations;
};

struct Change {
  uint8_t command = IPVS_CMD_UNSPEC;
  Service service;
  bool has_destination = false;
  Destination destination;
};

void BeginGeneric(MessageWriter& writer, uint16_t family, uint16_t flags, uint8_t command, uint8_t version) {
  writer.BeginMessage(family, flags, 1);
  genlmsghdr header{};
  header.cmd = command;
  header.version = version;
  writer.Append(header);
}

// The number of the generic netlink family, which the kernel gives out as modules are loaded. ENOENT: there is no such family.
Error ResolveFamily(Socket& socket, const char* name, uint16_t* id) {
  MessageWriter writer;
  BeginGeneric(writer, GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK, CTRL_CMD_GETFAMILY, 1);
  writer.String(CTRL_ATTR_FAMILY_NAME, name);
  writer.EndMessage();
  return socket.Request(writer, [&](const nlmsghdr* message) {
    const Attribute found = AttributesOf(message, sizeof(genlmsghdr)).Find(CTRL_ATTR_FAMILY_ID);
    if (found.present()) *id = found.As<uint16_t>();
  });
}

Error OpenIpvs(Socket& socket, uint16_t* family) {
  const Error error = socket.Open(NETLINK_GENERIC);
  return error.ok() ? ResolveFamily(socket, IPVS_GENL_NAME, family) : error;
}

// The attributes that name a service, and in `full` those that describe it.
bool WriteService(MessageWriter& writer, const Service& service, bool full) {
  Address address;
  if (!address.Parse(service.address)) return false;
  const size_t nest = writer.BeginNested(IPVS_CMD_ATTR_SERVICE);
  writer.U16(IPVS_SVC_ATTR_AF, address.family);
  writer.U16(IPVS_SVC_ATTR_PROTOCOL, service.protocol);
  writer.Bytes(IPVS_SVC_ATTR_ADDR, address.bytes, sizeof address.bytes);
  writer.Be16(IPVS_SVC_ATTR_PORT, service.port);
  if (full) {
    writer.String(IPVS_SVC_ATTR_SCHED_NAME, service.scheduler);
    ip_vs_flags flags{};
    flags.flags = service.persistence > 0 ? IP_VS_SVC_F_PERSISTENT : 0;
    flags.mask = UINT32_MAX;
    writer.Bytes(IPVS_SVC_ATTR_FLAGS, &flags, sizeof flags);
    writer.U32(IPVS_SVC_ATTR_TIMEOUT, service.persistence);
    // Each client address on its own: a mask in IPv4, a prefix length in IPv6.
    writer.U32(IPVS_SVC_ATTR_NETMASK, address.family == AF_INET ? UINT32_MAX : 128);
  }
  writer.EndNested(nest);
  return true;
}

bool WriteDestination(MessageWriter& writer, const Destination& destination) {
  Address address;
  if (!address.Parse(destination.address)) return false;
  const size_t nest = writer.BeginNested(IPVS_CMD_ATTR_DEST);
  writer.Bytes(IPVS_DEST_ATTR_ADDR, address.bytes, sizeof address.bytes);
  writer.Be16(IPVS_DEST_ATTR_PORT, destination.port);
  writer.U32(IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_MASQ);
  writer.U32(IPVS_DEST_ATTR_WEIGHT, destination.weight);
  writer.U32(IPVS_DEST_ATTR_U_THRESH, 0);
  writer.U32(IPVS_DEST_ATTR_L_THRESH, 0);
  writer.U16(IPVS_DEST_ATTR_ADDR_FAMILY, address.family);
  writer.EndNested(nest);
  return true;
}

Error DumpServices(Socket& socket, uint16_t family, std::vector<Service>* services) {
  MessageWriter writer;
  BeginGeneric(writer, family, NLM_F_REQUEST | NLM_F_DUMP, IPVS_CMD_GET_SERVICE, IPVS_GENL_VERSION);
  writer.EndMessage();
  return socket.Dump(writer, [&](const nlmsghdr* message) {
    const AttributeList fields(AttributesOf(message, sizeof(genlmsghdr)).Find(IPVS_CMD_ATTR_SERVICE));
    const Attribute address = fields.Find(IPVS_SVC_ATTR_ADDR);
    // A service by firewall mark has no address; none of ours.
    if (!address.present()) return;
    Service service;
    service.protocol = fields.Find(IPVS_SVC_ATTR_PROTOCOL).As<uint16_t>();
    service.address = FormatAddress(static_cast<uint8_t>(fields.Find(IPVS_SVC_ATTR_AF).As<uint16_t>()), address.data, address.size);
    service.port = fields.Find(IPVS_SVC_ATTR_PORT).Be16();
    const Attribute scheduler = fields.Find(IPVS_SVC_ATTR_SCHED_NAME);
    if (scheduler.present()) service.scheduler = scheduler.String();
    const auto flags = fields.Find(IPVS_SVC_ATTR_FLAGS).As<ip_vs_flags>();
    if ((flags.flags & IP_VS_SVC_F_PERSISTENT) != 0) {
      service.persistence = fields.Find(IPVS_SVC_ATTR_TIMEOUT).As<uint32_t>();
    }
    services->push_back(std::move(service));
  });
}

Error DumpDestinations(Socket& socket, uint16_t family, Service* service) {
  Address virtual_address;
  if (!virtual_address.Parse(service->address)) return Error{};
  MessageWriter writer;
  BeginGeneric(writer, family, NLM_F_REQUEST | NLM_F_DUMP, IPVS_CMD_GET_DEST, IPVS_GENL_VERSION);
  WriteService(writer, *service, false);
  writer.EndMessage();
  return socket.Dump(writer, [&](const nlmsghdr* message) {
    const AttributeList fields(AttributesOf(message, sizeof(genlmsghdr)).Find(IPVS_CMD_ATTR_DEST));
    const Attribute address = fields.Find(IPVS_DEST_ATTR_ADDR);
    if (!address.present()) return;
    Destination destination;
    destination.address = FormatAddress(virtual_address.family, address.data, address.size);
    destination.port = fields.Find(IPVS_DEST_ATTR_PORT).Be16();
    destination.weight = fields.Find(IPVS_DEST_ATTR_WEIGHT).As<uint32_t>();
    service->destinations.push_back(std::move(destination));
  });
}

Napi::Object ToObject(Napi::Env env, const Service& service) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("protocol", Napi::Number::New(env, service.protocol));
  object.Set("address", Napi::String::New(env, service.address));
  object.Set("port", Napi::Number::New(env, service.port));
  object.Set("scheduler", Napi::String::New(env, service.scheduler));
  object.Set("persistence", Napi::Number::New(env, service.persistence));
  Napi::Array destinations = Napi::Array::New(env, service.destinations.size());
  for (size_t i = 0; i < service.destinations.size(); i++) {
    const Destination& destination = service.destinations[i];
    Napi::Object one = Napi::Object::New(env);
    one.Set("address", Napi::String::New(env, destination.address));
    one.Set("port", Napi::Number::New(env, destination.port));
    one.Set("weight", Napi::Number::New(env, destination.weight));
    destinations.Set(static_cast<uint32_t>(i), one);
  }
  object.Set("destinations", destinations);
  return object;
}

// ipvsServices(): Promise<IpvsService[] | null>; null: this kernel has no IPVS
Napi::Value Services(const Napi::CallbackInfo& info) {
  auto services = std::make_shared<std::vector<Service>>();
  auto available = std::make_shared<bool>(true);
  return RunAsync(
      info.Env(),
      [=] {
        Socket socket;
        uint16_t family = 0;
        Error error = OpenIpvs(socket, &family);
        if (error.code == ENOENT) {
          *available = false;
          return Error{};
        }
        if (error.ok()) error = DumpServices(socket, family, services.get());
        for (size_t i = 0; error.ok() && i < services->size(); i++) {
          error = DumpDestinations(socket, family, &(*services)[i]);
        }
        return error;
      },
      [=](Napi::Env env) -> Napi::Value {
        if (!*available) return env.Null();
        Napi::Array list = Napi::Array::New(env, services->size());
        for (size_t i = 0; i < services->size(); i++) list.Set(static_cast<uint32_t>(i), ToObject(env, (*services)[i]));
        return list;
      });
}

uint8_t CommandOf(const std::string& name) {
  if (name == "addService") return IPVS_CMD_NEW_SERVICE;
  if (name == "setService") return IPVS_CMD_SET_SERVICE;
  if (name == "deleteService") return IPVS_CMD_DEL_SERVICE;
  if (name == "addDestination") return IPVS_CMD_NEW_DEST;
  if (name == "setDestination") return IPVS_CMD_SET_DEST;
  if (name == "deleteDestination") return IPVS_CMD_DEL_DEST;
  return IPVS_CMD_UNSPEC;
}

Error ApplyChange(Socket& socket, uint16_t family, const Change& change) {
  MessageWriter writer;
  BeginGeneric(writer, family, NLM_F_REQUEST | NLM_F_ACK, change.command, IPVS_GENL_VERSION);
  const bool describes = change.command == IPVS_CMD_NEW_SERVICE || change.command == IPVS_CMD_SET_SERVICE;
  bool valid = WriteService(writer, change.service, describes);
  if (change.has_destination) valid = WriteDestination(writer, change.destination) && valid;
  writer.EndMessage();
  if (!valid) {
    Error error;
    error.code = EINVAL;
    error.message = "malformed address";
    return error;
  }
  return socket.Request(writer);
}

// ipvsApply(changes): Promise<void>; one after the other, up to the first that fails
Napi::Value Apply(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto changes = std::make_shared<std::vector<Change>>();
  const auto list = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::HandleScope scope(env);
    const Properties properties(list.Get(i).As<Napi::Object>());
    Change change;
    change.command = CommandOf(properties.String("change"));
    if (change.command == IPVS_CMD_UNSPEC) return Reject(env, "unknown change '" + properties.String("change") + "'");
    const Properties service(properties.Get("service").As<Napi::Object>());
    change.service.protocol = static_cast<uint16_t>(service.U32("protocol"));
    change.service.address = service.String("address");
    change.service.port = static_cast<uint16_t>(service.U32("port"));
    change.service.scheduler = service.String("scheduler");
    change.service.persistence = service.U32("persistence");
    if (properties.Has("destination")) {
      const Properties destination(properties.Get("destination").As<Napi::Object>());
      change.has_destination = true;
      change.destination = Destination{destination.String("address"), static_cast<uint16_t>(destination.U32("port")),
                                       destination.U32("weight", 1)};
    }
    changes->push_back(std::move(change));
  }
  auto failed = std::make_shared<int>(-1);
  return RunAsync(
      env,
      [=] {
        Socket socket;
        uint16_t family = 0;
        Error error = OpenIpvs(socket, &family);
        for (size_t i = 0; error.ok() && i < changes->size(); i++) {
          error = ApplyChange(socket, family, (*changes)[i]);
          if (!error.ok()) *failed = static_cast<int>(i);
        }
        return error;
      },
      {}, [failed](const Error&) { return *failed; });
}

}  // namespace

void RegisterIpvs(Napi::Env env, Napi::Object exports) {
  exports.Set("ipvsServices", Napi::Function::New(env, Services, "ipvsServices"));
  exports.Set("ipvsApply", Napi::Function::New(env, Apply, "ipvsApply"));
}

}  // namespace balsa::netlink
