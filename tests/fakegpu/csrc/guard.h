// What torch asks of a device's streams and events.
#pragma once
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "streams.h"

namespace fakegpu {
struct Event {  // one recording; another one of the same torch.Event is another of these
  std::mutex m;
  std::condition_variable cv;
  bool is_done = false;
  int64_t t = 0;

  void wait() {
    std::unique_lock<std::mutex> l(m);
    cv.wait(l, [&] { return is_done; });
  }
};
using EventPtr = std::shared_ptr<Event>;

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = kDev;
  c10::DeviceType type() const override { return kDev; }
  c10::Device exchangeDevice(c10::Device) const override { return device0; }
  c10::Device getDevice() const override { return device0; }
  void setDevice(c10::Device d) const override { TORCH_CHECK(d.index() <= 0, "fakegpu has one device, got ", d); }
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Stream getStream(c10::Device) const override { return stream_of(current_stream()); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream_of(0); }
  c10::Stream getNewStream(c10::Device, int) const override { return stream_of(next_stream()); }
  c10::Stream exchangeStream(c10::Stream s) const override { return stream_of(std::exchange(current_stream(), s.id())); }
  // MPSGuardImpl refuses these two
  bool queryStream(const c10::Stream& s) const override {
    TORCH_CHECK(is_discrete(), "Backend doesn't support querying streams.");
    void* e = nullptr;
    record(&e, s, 0, c10::EventFlag::PYTORCH_DEFAULT);
    const bool is_done = queryEvent(e);
    destroyEvent(e, 0);
    return is_done;
  }
  void synchronizeStream(const c10::Stream& s) const override {
    TORCH_CHECK(is_discrete(), "Backend doesn't support synchronizing streams.");
    queue_of(s.id()).wait();
  }
  void synchronizeDevice(c10::DeviceIndex) const override { wait_for_all(); }
  c10::DeviceCapability getDeviceCapability(c10::Device) const override {
    c10::DeviceCapability c;
    auto& s = c.capability_data.supported_scalar_types;
    c.capability_data.capability_bits = 0;
    s.has_Byte = s.has_Char = s.has_Short = s.has_Int = s.has_Long = s.has_Half = s.has_Float = s.has_Bool = 1;
    s.has_BFloat16 = s.has_ComplexHalf = s.has_ComplexFloat = s.has_UInt16 = s.has_UInt32 = s.has_UInt64 = 1;
    s.has_Double = s.has_ComplexDouble = is_discrete();
    return c;
  }

  void record(void** e, const c10::Stream& s, c10::DeviceIndex, c10::EventFlag) const override {
    if (!*e) *e = new EventPtr();
    auto made = *static_cast<EventPtr*>(*e) = std::make_shared<Event>();
    auto& q = queue_of(s.id());
    q.push([made, &q] {
      std::lock_guard<std::mutex> l(made->m);
      made->t = q.last_end;
      made->is_done = true;
      made->cv.notify_all();
    }, /*timed=*/false);
  }
  void block(void* e, const c10::Stream& s) const override {
    if (!e) return;
    auto& q = queue_of(s.id());
    q.push([awaited = *static_cast<EventPtr*>(e), &q] {
      awaited->wait();
      q.last_end = std::max(q.last_end.load(), awaited->t);
    }, /*timed=*/false);
  }
  bool queryEvent(void* e) const override {
    if (!e) return true;
    auto& ev = **static_cast<EventPtr*>(e);
    std::lock_guard<std::mutex> l(ev.m);
    return ev.is_done && now_ns() >= ev.t;
  }
  void synchronizeEvent(void* e) const override {
    if (!e) return;
    WithoutInterpreter released;
    auto& ev = **static_cast<EventPtr*>(e);
    ev.wait();
    sleep_until_ns(ev.t);
  }
  double elapsedTime(void* a, void* b, c10::DeviceIndex) const override {
    TORCH_CHECK(a && b, "Both events must be recorded before calculating elapsed time.");
    synchronizeEvent(b);
    return ((*static_cast<EventPtr*>(b))->t - (*static_cast<EventPtr*>(a))->t) / 1e6;
  }
  void destroyEvent(void* e, c10::DeviceIndex) const noexcept override { delete static_cast<EventPtr*>(e); }
};
} // namespace fakegpu
