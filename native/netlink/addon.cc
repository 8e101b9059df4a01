#include "values.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  balsa::netlink::RegisterNftables(env, exports);
  balsa::netlink::RegisterRtnetlink(env, exports);
  balsa::netlink::RegisterConntrack(env, exports);
  balsa::netlink::RegisterIpvs(env, exports);
  balsa::netlink::RegisterAnnounce(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(netlink, Init)
