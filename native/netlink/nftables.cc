// nf_tables: operations described by JavaScript objects become one atomic batch; elements of sets and maps come packed.
#include "nftables_expressions.h"
#include "values.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <memory>
#include <utility>

namespace balsa::netlink {

namespace {

// The list of elements is one attribute, whose length has 16 bits; a batch message carries at most this much of it.
constexpr size_t kElementBytesPerMessage = 48 * 1024;

constexpr uint16_t TypeOf(int message) { return static_cast<uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | message); }

uint8_t FamilyOf(const std::string& name) {
  if (name == "ip") return NFPROTO_IPV4;
  if (name == "ip6") return NFPROTO_IPV6;
  if (name == "inet") return NFPROTO_INET;
  if (name == "bridge") return NFPROTO_BRIDGE;
  return NFPROTO_UNSPEC;
}

// Builds the batch; remembers which operation each message came from.
class BatchBuilder {
 public:
  BatchBuilder() { Marker(NFNL_MSG_BATCH_BEGIN); }

  // An empty string, or what is wrong with the operation.
  std::string Add(const Properties& operation, int index) {
    operation_ = index;
    family_ = FamilyOf(operation.String("family"));
    table_ = operation.String("table");
    const std::string name = operation.String("operation");
    if (family_ == NFPROTO_UNSPEC) return "unknown nf_tables family";
    if (name == "addTable") return AddTable();
    if (name == "deleteTable") return Named(NFT_MSG_DELTABLE, "", NFTA_TABLE_NAME, 0);
    if (name == "addChain") return AddChain(operation);
    if (name == "deleteChain") {
      return Named(NFT_MSG_DELCHAIN, operation.String("chain"), NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME);
    }
    if (name == "addRule") return AddRule(operation);
    if (name == "flushChain") {
      return Named(NFT_MSG_DELRULE, operation.String("chain"), NFTA_RULE_TABLE, NFTA_RULE_CHAIN);
    }
    if (name == "addSet") return AddSet(operation);
    if (name == "deleteSet") {
      return Named(NFT_MSG_DELSET, operation.String("set"), NFTA_SET_TABLE, NFTA_SET_NAME);
    }
    if (name == "flushSet") {
      return Named(NFT_MSG_DELSETELEM, operation.String("set"), NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET);
    }
    if (name == "addElements") return Elements(operation, true);
    if (name == "deleteElements") return Elements(operation, false);
    return "unknown nf_tables operation '" + name + "'";
  }

  const MessageWriter& Finish() {
    Marker(NFNL_MSG_BATCH_END);
    return writer_;
  }

  int OperationOf(uint32_t sequence) const {
    return sequence < operation_of_.size() ? operation_of_[sequence] : -1;
  }

 private:
  void Marker(uint16_t type) {
    writer_.BeginMessage(type, NLM_F_REQUEST, static_cast<uint32_t>(operation_of_.size()));
    operation_of_.push_back(-1);
    nfgenmsg header{};
    header.nfgen_family = AF_UNSPEC;
    header.version = NFNETLINK_V0;
    header.res_id = htobe16(NFNL_SUBSYS_NFTABLES);
    writer_.Append(header);
    writer_.EndMessage();
  }

  void Begin(int message, uint16_t flags) {
    writer_.BeginMessage(TypeOf(message), static_cast<uint16_t>(NLM_F_REQUEST | flags),
                         static_cast<uint32_t>(operation_of_.size()));
    operation_of_.push_back(operation_);
    nfgenmsg header{};
    header.nfgen_family = family_;
    header.version = NFNETLINK_V0;
    writer_.Append(header);
  }

  // A message that only names its object within the table.
  std::string Named(int message, const std::string& name, uint16_t table_attribute, uint16_t name_attribute) {
    Begin(message, 0);
    writer_.String(table_attribute, table_);
    if (!name.empty()) writer_.String(name_attribute, name);
    writer_.EndMessage();
    return "";
  }

  std::string AddTable() {
    Begin(NFT_MSG_NEWTABLE, NLM_F_CREATE);
    writer_.String(NFTA_TABLE_NAME, table_);
    writer_.EndMessage();
    return "";
  }

  std::string AddChain(const Properties& operation) {
    Begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    writer_.String(NFTA_CHAIN_TABLE, table_);
    writer_.String(NFTA_CHAIN_NAME, operation.String("chain"));
    if (operation.Has("type")) {
      writer_.String(NFTA_CHAIN_TYPE, operation.String("type"));
      const size_t hook = writer_.BeginNested(NFTA_CHAIN_HOOK);
      writer_.Be32(NFTA_HOOK_HOOKNUM, operation.U32("hook"));
      writer_.Be32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(static_cast<int32_t>(operation.Number("priority"))));
      writer_.EndNested(hook);
      writer_.Be32(NFTA_CHAIN_POLICY, operation.U32("policy", NF_ACCEPT));
    }
    writer_.EndMessage();
    return "";
  }

  std::string AddRule(const Properties& operation) {
    Begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    writer_.String(NFTA_RULE_TABLE, table_);
    writer_.String(NFTA_RULE_CHAIN, operation.String("chain"));
    const Napi::Array expressions = operation.List("expressions");
    const size_t list = writer_.BeginNested(NFTA_RULE_EXPRESSIONS);
    for (uint32_t i = 0; i < expressions.Length(); i++) {
      const size_t element = writer_.BeginNested(NFTA_LIST_ELEM);
      const Properties expression(expressions.Get(i).As<Napi::Object>());
      if (!WriteExpression(writer_, expression)) return "unknown expression '" + expression.String("kind") + "'";
      writer_.EndNested(element);
    }
    writer_.EndNested(list);
    const std::string comment = operation.String("comment");
    if (!comment.empty() && comment.size() < 128) {
      // libnftnl's form: type 0 (comment), length, zero-terminated text.
      std::vector<uint8_t> data = {0, static_cast<uint8_t>(comment.size() + 1)};
      data.insert(data.end(), comment.begin(), comment.end());
      data.push_back(0);
      writer_.Bytes(NFTA_RULE_USERDATA, data.data(), data.size());
    }
    writer_.EndMessage();
    return "";
  }

  std::string AddSet(const Properties& operation) {
    Begin(NFT_MSG_NEWSET, NLM_F_CREATE);
    writer_.String(NFTA_SET_TABLE, table_);
    writer_.String(NFTA_SET_NAME, operation.String("set"));
    writer_.Be32(NFTA_SET_ID, ++set_id_);
    writer_.Be32(NFTA_SET_FLAGS, operation.U32("flags"));
    writer_.Be32(NFTA_SET_KEY_TYPE, operation.U32("keyType"));
    writer_.Be32(NFTA_SET_KEY_LEN, operation.U32("keyLength"));
    if (operation.Has("dataType")) {
      writer_.Be32(NFTA_SET_DATA_TYPE, operation.U32("dataType"));
      if (operation.Has("dataLength")) writer_.Be32(NFTA_SET_DATA_LEN, operation.U32("dataLength"));
    }
    if (operation.Has("timeout")) writer_.Be64(NFTA_SET_TIMEOUT, static_cast<uint64_t>(operation.Number("timeout")));
    const Napi::Array fields = operation.List("fieldLengths");
    if (operation.Has("size") || fields.Length() > 0) {
      const size_t description = writer_.BeginNested(NFTA_SET_DESC);
      if (operation.Has("size")) writer_.Be32(NFTA_SET_DESC_SIZE, operation.U32("size"));
      if (fields.Length() > 0) {
        const size_t concatenation = writer_.BeginNested(NFTA_SET_DESC_CONCAT);
        for (uint32_t i = 0; i < fields.Length(); i++) {
          const size_t field = writer_.BeginNested(NFTA_LIST_ELEM);
          writer_.Be32(NFTA_SET_FIELD_LEN, fields.Get(i).As<Napi::Number>().Uint32Value());
          writer_.EndNested(field);
        }
        writer_.EndNested(concatenation);
      }
      writer_.EndNested(description);
    }
    writer_.EndMessage();
    return "";
  }

  std::string Elements(const Properties& operation, bool add) {
    const std::string_view keys = operation.Bytes("keys");
    const std::string_view ends = operation.Bytes("keyEnds");
    const std::string_view data = operation.Bytes("data");
    const std::string_view timeouts = operation.Bytes("timeouts");
    const std::string_view expirations = operation.Bytes("expirations");
    const std::string_view flags = operation.Bytes("elementFlags");
    const size_t key_length = operation.U32("keyLength");
    const size_t data_length = operation.U32("dataLength");
    if (key_length == 0 || keys.size() % key_length != 0) return "keys do not divide into elements";
    const size_t count = keys.size() / key_length;
    if (!ends.empty() && ends.size() != keys.size()) return "keyEnds do not match keys";
    if (!data.empty() && (data_length == 0 || data.size() != count * data_length)) return "data does not match keys";
    if (!timeouts.empty() && timeouts.size() != count * sizeof(double)) return "timeouts do not match keys";
    if (!expirations.empty() && expirations.size() != timeouts.size()) return "expirations need timeouts";
    if (!flags.empty() && flags.size() != count) return "elementFlags do not match keys";
    const bool has_verdict = add && operation.Has("verdict");
    const std::string set = operation.String("set");
    size_t next = 0;
    while (next < count) {
      Begin(add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);
      writer_.String(NFTA_SET_ELEM_LIST_TABLE, table_);
      writer_.String(NFTA_SET_ELEM_LIST_SET, set);
      const size_t list = writer_.BeginNested(NFTA_SET_ELEM_LIST_ELEMENTS);
      for (; next < count && writer_.size() - list < kElementBytesPerMessage; next++) {
        const size_t element = writer_.BeginNested(NFTA_LIST_ELEM);
        if (!flags.empty() && flags[next] != 0) writer_.Be32(NFTA_SET_ELEM_FLAGS, static_cast<uint8_t>(flags[next]));
        WriteValue(writer_, NFTA_SET_ELEM_KEY, keys.data() + next * key_length, key_length);
        if (!ends.empty()) WriteValue(writer_, NFTA_SET_ELEM_KEY_END, ends.data() + next * key_length, key_length);
        if (add && !data.empty()) {
          WriteValue(writer_, NFTA_SET_ELEM_DATA, data.data() + next * data_length, data_length);
        }
        if (has_verdict) {
          WriteVerdict(writer_, NFTA_SET_ELEM_DATA, Properties(operation.Get("verdict").As<Napi::Object>()));
        }
        if (add) WriteMilliseconds(NFTA_SET_ELEM_TIMEOUT, timeouts, next);
        if (add) WriteMilliseconds(NFTA_SET_ELEM_EXPIRATION, expirations, next);
        writer_.EndNested(element);
      }
      writer_.EndNested(list);
      writer_.EndMessage();
    }
    return "";
  }

  // The number at `index` of packed doubles; none and 0 write nothing.
  void WriteMilliseconds(uint16_t attribute, std::string_view packed, size_t index) {
    if (packed.empty()) return;
    double value;
    std::memcpy(&value, packed.data() + index * sizeof value, sizeof value);
    if (value > 0) writer_.Be64(attribute, static_cast<uint64_t>(value));
  }

  MessageWriter writer_;
  std::vector<int> operation_of_;
  int operation_ = -1;
  uint8_t family_ = NFPROTO_UNSPEC;
  std::string table_;
  uint32_t set_id_ = 0;
};

// nftablesCommit(operations): Promise<void>
Napi::Value Commit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsArray()) return Reject(env, "operations must be an array");
  const auto operations = info[0].As<Napi::Array>();
  auto builder = std::make_shared<BatchBuilder>();
  for (uint32_t i = 0; i < operations.Length(); i++) {
    const Napi::HandleScope scope(env);
    const Napi::Value operation = operations.Get(i);
    if (!operation.IsObject()) return Reject(env, "operation " + std::to_string(i) + " is not an object");
    const std::string wrong = builder->Add(Properties(operation.As<Napi::Object>()), static_cast<int>(i));
    if (!wrong.empty()) return Reject(env, "operation " + std::to_string(i) + ": " + wrong);
  }
  return RunAsync(
      env,
      [builder] {
        Socket socket;
        Error error = socket.Open(NETLINK_NETFILTER);
        return error.ok() ? socket.Batch(builder->Finish()) : error;
      },
      {}, [builder](const Error& error) { return builder->OperationOf(error.sequence); });
}

struct DumpedElements {
  std::vector<uint8_t> keys;
  std::vector<uint8_t> data;
  std::vector<double> timeouts;
  std::vector<double> expirations;
  uint32_t count = 0;
};

void CollectElement(const Attribute& element, DumpedElements* out) {
  const AttributeList fields(element);
  const Attribute key = AttributeList(fields.Find(NFTA_SET_ELEM_KEY)).Find(NFTA_DATA_VALUE);
  if (!key.present()) return;
  out->count++;
  out->keys.insert(out->keys.end(), key.data, key.data + key.size);
  const Attribute data = fields.Find(NFTA_SET_ELEM_DATA);
  if (data.present()) {
    const Attribute value = AttributeList(data).Find(NFTA_DATA_VALUE);
    if (value.present()) out->data.insert(out->data.end(), value.data, value.data + value.size);
  }
  const Attribute timeout = fields.Find(NFTA_SET_ELEM_TIMEOUT);
  out->timeouts.push_back(timeout.present() ? static_cast<double>(timeout.Be64()) : 0);
  const Attribute expiration = fields.Find(NFTA_SET_ELEM_EXPIRATION);
  out->expirations.push_back(expiration.present() ? static_cast<double>(expiration.Be64()) : 0);
}

// nftablesElements(family, table, set): Promise<{count, keys, data, timeouts, expirations}>
Napi::Value ListElements(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint8_t family = FamilyOf(info[0].ToString().Utf8Value());
  const std::string table = info[1].ToString().Utf8Value();
  const std::string set = info[2].ToString().Utf8Value();
  auto elements = std::make_shared<DumpedElements>();
  return RunAsync(
      env,
      [=] {
        Error error;
        // A dump that a commit interrupted is asked for again; a table that changes all the time is not waited for.
        for (int attempt = 0; attempt < 10; attempt++) {
          *elements = DumpedElements{};
          Socket socket;
          error = socket.Open(NETLINK_NETFILTER);
          if (!error.ok()) return error;
          MessageWriter writer;
          writer.BeginMessage(TypeOf(NFT_MSG_GETSETELEM), NLM_F_REQUEST | NLM_F_DUMP, 1);
          nfgenmsg header{};
          header.nfgen_family = family;
          writer.Append(header);
          writer.String(NFTA_SET_ELEM_LIST_TABLE, table);
          writer.String(NFTA_SET_ELEM_LIST_SET, set);
          writer.EndMessage();
          error = socket.Dump(writer, [&](const nlmsghdr* message) {
            const Attribute list = AttributesOf(message, sizeof(nfgenmsg)).Find(NFTA_SET_ELEM_LIST_ELEMENTS);
            if (!list.present()) return;
            AttributeList(list).ForEach([&](const Attribute& element) { CollectElement(element, elements.get()); });
          });
          if (error.code != EINTR) return error;
        }
        return error;
      },
      [elements](Napi::Env result_env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(result_env);
        result.Set("count", Napi::Number::New(result_env, elements->count));
        result.Set("keys", Napi::Buffer<uint8_t>::Copy(result_env, elements->keys.data(), elements->keys.size()));
        result.Set("data", Napi::Buffer<uint8_t>::Copy(result_env, elements->data.data(), elements->data.size()));
        auto timeouts = Napi::Float64Array::New(result_env, elements->timeouts.size());
        auto expirations = Napi::Float64Array::New(result_env, elements->expirations.size());
        for (size_t i = 0; i < elements->expirations.size(); i++) {
          timeouts[i] = elements->timeouts[i];
          expirations[i] = elements->expirations[i];
        }
        // 0: the set's own timeout.
        result.Set("timeouts", timeouts);
        result.Set("expirations", expirations);
        return result;
      });
}

// nftablesTable(family, table): Promise<number | null>, the table's handle
Napi::Value TableHandle(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint8_t family = FamilyOf(info[0].ToString().Utf8Value());
  const std::string table = info[1].ToString().Utf8Value();
  auto handle = std::make_shared<double>(-1);
  return RunAsync(
      env,
      [=] {
        Socket socket;
        Error error = socket.Open(NETLINK_NETFILTER);
        if (!error.ok()) return error;
        MessageWriter writer;
        writer.BeginMessage(TypeOf(NFT_MSG_GETTABLE), NLM_F_REQUEST | NLM_F_ACK, 1);
        nfgenmsg header{};
        header.nfgen_family = family;
        writer.Append(header);
        writer.String(NFTA_TABLE_NAME, table);
        writer.EndMessage();
        error = socket.Request(writer, [&](const nlmsghdr* message) {
          const Attribute found = AttributesOf(message, sizeof(nfgenmsg)).Find(NFTA_TABLE_HANDLE);
          if (found.present()) *handle = static_cast<double>(found.Be64());
        });
        return error.code == ENOENT ? Error{} : error;
      },
      [handle](Napi::Env result_env) -> Napi::Value {
        if (*handle < 0) return result_env.Null();
        return Napi::Number::New(result_env, *handle);
      });
}

}  // namespace

void RegisterNftables(Napi::Env env, Napi::Object exports) {
  exports.Set("nftablesCommit", Napi::Function::New(env, Commit, "nftablesCommit"));
  exports.Set("nftablesElements", Napi::Function::New(env, ListElements, "nftablesElements"));
  exports.Set("nftablesTable", Napi::Function::New(env, TableHandle, "nftablesTable"));
}

}  // namespace balsa::netlink
