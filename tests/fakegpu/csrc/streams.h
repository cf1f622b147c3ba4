// Which queue work goes to. As an Apple GPU the device has one stream; as a discrete one a few that run side by side.
#pragma once
#include <ATen/ATen.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "queue.h"

namespace fakegpu {
constexpr auto kDev = c10::DeviceType::PrivateUse1;
const c10::Device device0(kDev, 0);
constexpr int kStreams = 4;

inline bool is_discrete() {
  static const bool told = [] {
    const char* kind = std::getenv("FAKEGPU");
    return kind && std::string_view(kind) == "discrete";
  }();
  return told;
}
inline Queue& queue_of(c10::StreamId id) {
  static auto* all = new std::array<Queue, kStreams>();  // never freed: workers outlive static destructors
  return (*all)[id];
}
inline c10::StreamId& current_stream() {
  thread_local c10::StreamId id = 0;
  return id;
}
inline Queue& queue() { return queue_of(current_stream()); }
inline c10::Stream stream_of(c10::StreamId id) { return c10::Stream(c10::Stream::UNSAFE, device0, id); }
inline c10::StreamId next_stream() {
  static std::atomic<int> n{0};
  return is_discrete() ? 1 + n++ % (kStreams - 1) : 0;
}
inline void wait_for_all(bool rethrow = true) {
  for (int id = 0; id < kStreams; ++id) queue_of(id).wait(rethrow);
}
inline bool is_pending() {
  for (int id = 0; id < kStreams; ++id)
    if (queue_of(id).is_pending()) return true;
  return false;
}
} // namespace fakegpu
