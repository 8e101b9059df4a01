#include "store/binding.h"

namespace balsa {

namespace {

napi_value LeaseIds(napi_env env, const std::vector<int64_t>& ids) {
  napi_value result = nullptr;
  napi_create_array_with_length(env, ids.size(), &result);
  for (uint32_t i = 0; i < ids.size(); i++) napi_set_element(env, result, i, FromBigInt(env, ids[i]));
  return result;
}

napi_value Promote(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  store->lessor().Promote(arguments.Integer(0));
  return Undefined(env);
}

napi_value Demote(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  store->lessor().Demote();
  return Undefined(env);
}

napi_value Renew(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  int64_t ttl = 0;
  ErrorCode error = store->lessor().Renew(static_cast<int64_t>(arguments.BigInt(0)), &ttl);
  if (error == ErrorCode::kNotLeader) return ThrowCode(env, error, "etcdserver: not leader");
  if (error != ErrorCode::kOk) return ThrowCode(env, error, "etcdserver: requested lease not found");
  return FromNumber(env, static_cast<double>(ttl));
}

napi_value Checkpointed(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  napi_value result = nullptr;
  napi_get_boolean(env, store->lessor().Checkpointed(static_cast<int64_t>(arguments.BigInt(0))), &result);
  return result;
}

napi_value Expired(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  return store ? LeaseIds(env, store->lessor().Expired(static_cast<size_t>(arguments.Integer(0)))) : nullptr;
}

napi_value Checkpoints(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  auto due = store->lessor().DueCheckpoints(static_cast<size_t>(arguments.Integer(0)));
  napi_value result = nullptr;
  napi_create_array_with_length(env, due.size(), &result);
  for (uint32_t i = 0; i < due.size(); i++) {
    napi_value pair = nullptr;
    napi_create_array_with_length(env, 2, &pair);
    napi_set_element(env, pair, 0, FromBigInt(env, due[i].first));
    napi_set_element(env, pair, 1, FromNumber(env, static_cast<double>(due[i].second)));
    napi_set_element(env, result, i, pair);
  }
  return result;
}

napi_value Info(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  auto id = static_cast<int64_t>(arguments.BigInt(0));
  LeaseInfo lease = store->lessor().Info(id, arguments.Boolean(1));
  napi_value keys = nullptr;
  napi_create_array_with_length(env, lease.keys.size(), &keys);
  for (uint32_t i = 0; i < lease.keys.size(); i++) napi_set_element(env, keys, i, BufferCopy(env, lease.keys[i]));
  napi_value result = NewObject(env);
  SetProperty(env, result, "id", FromBigInt(env, id));
  SetProperty(env, result, "ttl", FromNumber(env, static_cast<double>(lease.ttl)));
  SetProperty(env, result, "grantedTtl", FromNumber(env, static_cast<double>(lease.granted_ttl)));
  SetProperty(env, result, "keys", keys);
  return result;
}

napi_value Leases(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  return store ? LeaseIds(env, store->lessor().Ids()) : nullptr;
}

napi_value Alarms(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  auto store = arguments.OpenStore();
  if (!store) return nullptr;
  auto alarms = store->Alarms();
  napi_value result = nullptr;
  napi_create_array_with_length(env, alarms.size(), &result);
  for (uint32_t i = 0; i < alarms.size(); i++) {
    napi_value alarm = NewObject(env);
    SetProperty(env, alarm, "memberId", FromBigUint(env, alarms[i].first));
    SetProperty(env, alarm, "alarm", FromString(env, alarms[i].second == AlarmType::kNoSpace ? "nospace" : "corrupt"));
    napi_set_element(env, result, i, alarm);
  }
  return result;
}

}  // namespace

void AddLeaseMethods(std::vector<napi_property_descriptor>* methods) {
  methods->insert(methods->end(),
                  {Method("leasePromote", Promote), Method("leaseDemote", Demote), Method("leaseRenew", Renew),
                   Method("leaseCheckpointed", Checkpointed), Method("expiredLeases", Expired),
                   Method("leaseCheckpoints", Checkpoints), Method("leaseInfo", Info), Method("leases", Leases),
                   Method("alarms", Alarms)});
}

}  // namespace balsa
