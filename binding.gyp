{
  "target_defaults": {
    "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "native"],
    "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_ENABLE_MAYBE=0"],
    "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-rtti", "-fno-exceptions"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"]
  },
  "targets": [
    {
      "target_name": "store",
      "sources": ["<!@(find native/store native/watch -name '*.cc' -not -name '*_test.cc' -not -name '*_fuzz.cc')"],
      "libraries": ["-lrocksdb", "-labsl_raw_logging_internal"]
    },
    {
      "target_name": "netlink",
      "sources": ["<!@(find native/netlink -name '*.cc' -not -name '*_test.cc' -not -name '*_fuzz.cc')"]
    }
  ]
}
