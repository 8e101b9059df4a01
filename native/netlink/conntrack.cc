// ctnetlink: list the tracked connections of one protocol and forget some of them.
#include "values.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <memory>
#include <utility>

namespace balsa::netlink {

namespace {

constexpr uint16_t TypeOf(int message) { return static_cast<uint16_t>((NFNL_SUBSYS_CTNETLINK << 8) | message); }

struct Tuple {
  std::string source;
  std::string destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t protocol = 0;
};

struct Connection {
  uint8_t family = 0;
  Tuple original;
  Tuple reply;
};

Tuple ReadTuple(uint8_t family, const Attribute& nest) {
  Tuple tuple;
  const AttributeList parts(nest);
  const AttributeList address(parts.Find(CTA_TUPLE_IP));
  const AttributeList protocol(parts.Find(CTA_TUPLE_PROTO));
  const bool four = family == AF_INET;
  const Attribute source = address.Find(four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC);
  const Attribute destination = address.Find(four ? CTA_IP_V4_DST : CTA_IP_V6_DST);
  if (source.present()) tuple.source = FormatAddress(family, source.data, source.size);
  if (destination.present()) tuple.destination = FormatAddress(family, destination.data, destination.size);
  tuple.protocol = protocol.Find(CTA_PROTO_NUM).As<uint8_t>();
  tuple.source_port = protocol.Find(CTA_PROTO_SRC_PORT).Be16();
  tuple.destination_port = protocol.Find(CTA_PROTO_DST_PORT).Be16();
  return tuple;
}

bool WriteTuple(MessageWriter& writer, const Tuple& tuple) {
  Address source;
  Address destination;
  if (!source.Parse(tuple.source) || !destination.Parse(tuple.destination)) return false;
  const bool four = source.family == AF_INET;
  const size_t nest = writer.BeginNested(CTA_TUPLE_ORIG);
  const size_t address = writer.BeginNested(CTA_TUPLE_IP);
  writer.Bytes(four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, source.bytes, source.size());
  writer.Bytes(four ? CTA_IP_V4_DST : CTA_IP_V6_DST, destination.bytes, destination.size());
  writer.EndNested(address);
  const size_t protocol = writer.BeginNested(CTA_TUPLE_PROTO);
  writer.U8(CTA_PROTO_NUM, tuple.protocol);
  writer.Be16(CTA_PROTO_SRC_PORT, tuple.source_port);
  writer.Be16(CTA_PROTO_DST_PORT, tuple.destination_port);
  writer.EndNested(protocol);
  writer.EndNested(nest);
  return true;
}

Napi::Object ToObject(Napi::Env env, const Tuple& tuple) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("source", Napi::String::New(env, tuple.source));
  object.Set("destination", Napi::String::New(env, tuple.destination));
  object.Set("sourcePort", Napi::Number::New(env, tuple.source_port));
  object.Set("destinationPort", Napi::Number::New(env, tuple.destination_port));
  object.Set("protocol", Napi::Number::New(env, tuple.protocol));
  return object;
}

uint8_t FamilyOf(const Napi::Value& value) { return value.ToString().Utf8Value() == "ip6" ? AF_INET6 : AF_INET; }

// conntrackList(family: 'ip' | 'ip6', protocol: number): Promise<{original, reply}[]>
Napi::Value List(const Napi::CallbackInfo& info) {
  const uint8_t family = FamilyOf(info[0]);
  const auto protocol = static_cast<uint8_t>(info[1].ToNumber().Uint32Value());
  auto connections = std::make_shared<std::vector<Connection>>();
  return RunAsync(
      info.Env(),
      [=] {
        Socket socket;
        Error error = socket.Open(NETLINK_NETFILTER);
        if (!error.ok()) return error;
        MessageWriter writer;
        writer.BeginMessage(TypeOf(IPCTNL_MSG_CT_GET), NLM_F_REQUEST | NLM_F_DUMP, 1);
        nfgenmsg header{};
        header.nfgen_family = family;
        writer.Append(header);
        writer.EndMessage();
        error = socket.Dump(writer, [&](const nlmsghdr* message) {
          const AttributeList fields = AttributesOf(message, sizeof(nfgenmsg));
          Connection connection;
          connection.family = family;
          connection.original = ReadTuple(family, fields.Find(CTA_TUPLE_ORIG));
          if (connection.original.protocol != protocol) return;
          connection.reply = ReadTuple(family, fields.Find(CTA_TUPLE_REPLY));
          connections->push_back(std::move(connection));
        });
        // Connections come and go all the time: what was seen is what the caller wants.
        return error.code == EINTR ? Error{} : error;
      },
      [connections](Napi::Env env) -> Napi::Value {
        Napi::Array list = Napi::Array::New(env, connections->size());
        for (size_t i = 0; i < connections->size(); i++) {
          Napi::Object object = Napi::Object::New(env);
          object.Set("original", ToObject(env, (*connections)[i].original));
          object.Set("reply", ToObject(env, (*connections)[i].reply));
          list.Set(static_cast<uint32_t>(i), object);
        }
        return list;
      });
}

// conntrackDelete(originals: Tuple[]): Promise<number>, how many were still there
Napi::Value Delete(const Napi::CallbackInfo& info) {
  auto tuples = std::make_shared<std::vector<Tuple>>();
  const auto list = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Properties properties(list.Get(i).As<Napi::Object>());
    tuples->push_back(Tuple{properties.String("source"), properties.String("destination"),
                            static_cast<uint16_t>(properties.U32("sourcePort")),
                            static_cast<uint16_t>(properties.U32("destinationPort")),
                            static_cast<uint8_t>(properties.U32("protocol"))});
  }
  auto deleted = std::make_shared<uint32_t>(0);
  return RunAsync(
      info.Env(),
      [=] {
        Socket socket;
        Error error = socket.Open(NETLINK_NETFILTER);
        if (!error.ok()) return error;
        for (const Tuple& tuple : *tuples) {
          MessageWriter writer;
          writer.BeginMessage(TypeOf(IPCTNL_MSG_CT_DELETE), NLM_F_REQUEST | NLM_F_ACK, 1);
          nfgenmsg header{};
          header.nfgen_family = tuple.source.find(':') == std::string::npos ? AF_INET : AF_INET6;
          writer.Append(header);
          if (!WriteTuple(writer, tuple)) continue;
          writer.EndMessage();
          error = socket.Request(writer);
          if (error.ok()) {
            ++*deleted;
          } else if (error.code != ENOENT) {
            return error;
          }
        }
        return Error{};
      },
      [deleted](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, *deleted); });
}

}  // namespace

void RegisterConntrack(Napi::Env env, Napi::Object exports) {
  exports.Set("conntrackList", Napi::Function::New(env, List, "conntrackList"));
  exports.Set("conntrackDelete", Napi::Function::New(env, Delete, "conntrackDelete"));
}

}  // namespace balsa::netlink
