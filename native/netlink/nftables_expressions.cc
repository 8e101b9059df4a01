#include "nftables_expressions.h"

#include <linux/netfilter/nf_tables.h>

#include <string>
#include <vector>

namespace balsa::netlink {

namespace {

enum class FieldKind { kU8, kBe32, kBe64, kString, kData };

struct Field {
  const char* property;
  uint16_t attribute;
  FieldKind kind;
};

struct ExpressionKind {
  const char* name;
  std::vector<Field> fields;
};

// Which attribute each property of an expression becomes. An absent property becomes none.
const std::vector<ExpressionKind>& ExpressionKinds() {
  static const std::vector<ExpressionKind> kinds = {
      {"payload",
       {{"dreg", NFTA_PAYLOAD_DREG, FieldKind::kBe32},
        {"base", NFTA_PAYLOAD_BASE, FieldKind::kBe32},
        {"offset", NFTA_PAYLOAD_OFFSET, FieldKind::kBe32},
        {"length", NFTA_PAYLOAD_LEN, FieldKind::kBe32}}},
      {"meta",
       {{"dreg", NFTA_META_DREG, FieldKind::kBe32},
        {"key", NFTA_META_KEY, FieldKind::kBe32},
        {"sreg", NFTA_META_SREG, FieldKind::kBe32}}},
      {"ct",
       {{"dreg", NFTA_CT_DREG, FieldKind::kBe32},
        {"key", NFTA_CT_KEY, FieldKind::kBe32},
        {"direction", NFTA_CT_DIRECTION, FieldKind::kU8},
        {"sreg", NFTA_CT_SREG, FieldKind::kBe32}}},
      {"cmp",
       {{"sreg", NFTA_CMP_SREG, FieldKind::kBe32},
        {"op", NFTA_CMP_OP, FieldKind::kBe32},
        {"data", NFTA_CMP_DATA, FieldKind::kData}}},
      {"bitwise",
       {{"sreg", NFTA_BITWISE_SREG, FieldKind::kBe32},
        {"dreg", NFTA_BITWISE_DREG, FieldKind::kBe32},
        {"length", NFTA_BITWISE_LEN, FieldKind::kBe32},
        {"mask", NFTA_BITWISE_MASK, FieldKind::kData},
        {"xor", NFTA_BITWISE_XOR, FieldKind::kData}}},
      {"immediate",
       {{"dreg", NFTA_IMMEDIATE_DREG, FieldKind::kBe32}, {"data", NFTA_IMMEDIATE_DATA, FieldKind::kData}}},
      {"lookup",
       {{"set", NFTA_LOOKUP_SET, FieldKind::kString},
        {"sreg", NFTA_LOOKUP_SREG, FieldKind::kBe32},
        {"dreg", NFTA_LOOKUP_DREG, FieldKind::kBe32},
        {"flags", NFTA_LOOKUP_FLAGS, FieldKind::kBe32}}},
      {"dynset",
       {{"set", NFTA_DYNSET_SET_NAME, FieldKind::kString},
        {"op", NFTA_DYNSET_OP, FieldKind::kBe32},
        {"keyRegister", NFTA_DYNSET_SREG_KEY, FieldKind::kBe32},
        {"dataRegister", NFTA_DYNSET_SREG_DATA, FieldKind::kBe32},
        {"timeout", NFTA_DYNSET_TIMEOUT, FieldKind::kBe64}}},
      {"numgen",
       {{"dreg", NFTA_NG_DREG, FieldKind::kBe32},
        {"modulus", NFTA_NG_MODULUS, FieldKind::kBe32},
        {"type", NFTA_NG_TYPE, FieldKind::kBe32},
        {"offset", NFTA_NG_OFFSET, FieldKind::kBe32}}},
      {"fib",
       {{"dreg", NFTA_FIB_DREG, FieldKind::kBe32},
        {"result", NFTA_FIB_RESULT, FieldKind::kBe32},
        {"flags", NFTA_FIB_FLAGS, FieldKind::kBe32}}},
      {"nat",
       {{"type", NFTA_NAT_TYPE, FieldKind::kBe32},
        {"family", NFTA_NAT_FAMILY, FieldKind::kBe32},
        {"addressRegister", NFTA_NAT_REG_ADDR_MIN, FieldKind::kBe32},
        {"portRegister", NFTA_NAT_REG_PROTO_MIN, FieldKind::kBe32},
        {"flags", NFTA_NAT_FLAGS, FieldKind::kBe32}}},
      {"masq", {{"flags", NFTA_MASQ_FLAGS, FieldKind::kBe32}}},
      {"reject", {{"type", NFTA_REJECT_TYPE, FieldKind::kBe32}, {"code", NFTA_REJECT_ICMP_CODE, FieldKind::kU8}}},
      {"counter", {}},
  };
  return kinds;
}

}  // namespace

void WriteVerdict(MessageWriter& writer, uint16_t attribute, const Properties& verdict) {
  const size_t data = writer.BeginNested(attribute);
  const size_t nest = writer.BeginNested(NFTA_DATA_VERDICT);
  writer.Be32(NFTA_VERDICT_CODE, static_cast<uint32_t>(static_cast<int32_t>(verdict.Number("code"))));
  if (verdict.Has("chain")) writer.String(NFTA_VERDICT_CHAIN, verdict.String("chain"));
  writer.EndNested(nest);
  writer.EndNested(data);
}

void WriteValue(MessageWriter& writer, uint16_t attribute, const void* data, size_t size) {
  const size_t nest = writer.BeginNested(attribute);
  writer.Bytes(NFTA_DATA_VALUE, data, size);
  writer.EndNested(nest);
}

bool WriteExpression(MessageWriter& writer, const Properties& expression) {
  const std::string name = expression.String("kind");
  for (const ExpressionKind& kind : ExpressionKinds()) {
    if (name != kind.name) continue;
    writer.String(NFTA_EXPR_NAME, name);
    const size_t data = writer.BeginNested(NFTA_EXPR_DATA);
    for (const Field& field : kind.fields) {
      if (!expression.Has(field.property)) continue;
      switch (field.kind) {
        case FieldKind::kU8:
          writer.U8(field.attribute, static_cast<uint8_t>(expression.U32(field.property)));
          break;
        case FieldKind::kBe32:
          writer.Be32(field.attribute, expression.U32(field.property));
          break;
        case FieldKind::kBe64:
          writer.Be64(field.attribute, static_cast<uint64_t>(expression.Number(field.property)));
          break;
        case FieldKind::kString:
          writer.String(field.attribute, expression.String(field.property));
          break;
        case FieldKind::kData: {
          const Napi::Value value = expression.Get(field.property);
          if (value.IsTypedArray()) {
            const std::string_view bytes = expression.Bytes(field.property);
            WriteValue(writer, field.attribute, bytes.data(), bytes.size());
          } else {
            WriteVerdict(writer, field.attribute, Properties(value.As<Napi::Object>()));
          }
          break;
        }
      }
    }
    writer.EndNested(data);
    return true;
  }
  return false;
}

}  // namespace balsa::netlink
