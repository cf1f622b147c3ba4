// What torch asks of a backend as a whole.
#pragma once
#include <ATen/detail/PrivateUse1HooksInterface.h>

#include "generator.h"
#include "memory.h"

namespace fakegpu {
struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override { return default_generator(); }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::make_generator<Generator>(); }
  at::Allocator* getPinnedMemoryAllocator() const override { return &Pinned::get(); }
  bool isPinnedPtr(const void* p) const override { return Pinned::get().owns(p); }
  c10::Device getDeviceFromPtr(void*) const override { return device0; }
  void resizePrivateUse1Bytes(const c10::Storage& s, size_t n) const override {
    auto p = Memory::get().allocate(n);
    const size_t kept = std::min(n, s.nbytes());
    if (kept) {
      wait_for_all();
      std::memcpy(p.get(), s.data(), kept);
    }
    s.set_data_ptr_noswap(std::move(p));
    s.unsafeGetStorageImpl()->set_nbytes(n);
  }
};
} // namespace fakegpu
