// The device's memory: the host's, counted, and at an end where a Mac's would be.
#pragma once
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <cstring>

#include "streams.h"

namespace fakegpu {
constexpr auto kAgg = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

struct Block {  // freed when neither a tensor nor queued work refers to it
  void* p;
  size_t n;
  c10::StreamId made_on = current_stream();
  std::atomic<int> n_elsewhere{0};  // work on other streams that has not been told of by record_stream
  std::atomic<bool> is_recorded{false};
  explicit Block(size_t n) : p(std::aligned_alloc(64, (n + 63) / 64 * 64)), n(n) {}
  ~Block() { std::free(p); }
};
using BlockPtr = std::shared_ptr<Block>;

inline std::string readable(size_t n) {
  char b[32];
  if (n >= (1ull << 30)) std::snprintf(b, sizeof b, "%.2f GiB", n / double(1ull << 30));
  else if (n >= (1ull << 20)) std::snprintf(b, sizeof b, "%.2f MiB", n / double(1ull << 20));
  else if (n >= (1ull << 10)) std::snprintf(b, sizeof b, "%.2f KiB", n / double(1ull << 10));
  else std::snprintf(b, sizeof b, "%zu bytes", n);
  return b;
}

struct Memory final : c10::DeviceAllocator {
  std::mutex m;
  c10::CachingDeviceAllocator::DeviceStats stats;
  size_t recommended = 0;  // of an Apple GPU; of a discrete one all there is
  double fraction = 1.7;   // MPSAllocator.h, default_high_watermark_ratio

  static Memory& get() {
    static auto* a = new Memory();
    return *a;
  }
  size_t limit() const { return static_cast<size_t>(recommended * (is_discrete() ? 1.0 : fraction)); }

  static void free_block(void* context) {
    auto* block = static_cast<BlockPtr*>(context);
    auto& a = get();
    {
      std::lock_guard<std::mutex> l(a.m);
      a.stats.allocated_bytes[kAgg].decrease((*block)->n);
      a.stats.active_bytes[kAgg].decrease((*block)->n);
      a.stats.allocation[kAgg].decrease(1);
    }
    // Another tensor of its own stream would have been given this memory by now, and written to it.
    if ((*block)->n_elsewhere > 0) {
      device().n_unrecorded += 1;
      std::memset((*block)->p, 0xff, (*block)->n);
    }
    delete block;
  }
  c10::DataPtr allocate(size_t n) override {
    if (n == 0) return {nullptr, device0};
    {
      std::lock_guard<std::mutex> l(m);
      const size_t now = stats.allocated_bytes[kAgg].current;
      if (n > limit() - std::min(limit(), now)) refuse(n, now);
      stats.allocated_bytes[kAgg].increase(n);
      stats.active_bytes[kAgg].increase(n);
      stats.allocation[kAgg].increase(1);
      stats.num_device_alloc += 1;
      // Freed memory stays with the allocator until empty_cache.
      const int64_t over = stats.allocated_bytes[kAgg].current - stats.reserved_bytes[kAgg].current;
      if (over > 0) stats.reserved_bytes[kAgg].increase(over);
    }
    auto* block = new BlockPtr(std::make_shared<Block>(n));
    return {(*block)->p, block, &free_block, device0};
  }
  void refuse(size_t n, size_t now) {
    stats.num_ooms += 1;
    if (is_discrete()) {
      TORCH_CHECK_WITH(OutOfMemoryError, false, "FAKEGPU out of memory. Tried to allocate ", readable(n), ". GPU 0 has a total capacity of ",
          readable(limit()), " of which ", readable(limit() - now), " is free.");
    }
    // Metal: no buffer is longer than the device allows, whatever is free
    TORCH_CHECK(n <= limit(), "Invalid buffer size: ", readable(n));
    TORCH_CHECK(false, "MPS backend out of memory (MPS allocated: ", readable(now), ", other allocations: 0 bytes, max allowed: ",
        readable(limit()), "). Tried to allocate ", readable(n), " on private pool. Use PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.0 "
        "to disable upper limit for memory allocations (may cause system failure).");
  }
  void emptyCache(c10::MempoolId_t) override {
    std::lock_guard<std::mutex> l(m);
    auto& reserved = stats.reserved_bytes[kAgg];
    reserved.decrease(reserved.current - stats.allocated_bytes[kAgg].current);
  }
  void recordStream(const c10::DataPtr& p, c10::Stream) override {
    if (p.get_deleter() == &free_block) (*static_cast<BlockPtr*>(p.get_context()))->is_recorded = true;
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* d, const void* s, std::size_t n) const override {
    wait_for_all();
    std::memcpy(d, s, n);
  }
  bool initialized() override { return true; }
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override {
    std::lock_guard<std::mutex> l(m);
    return stats;
  }
  template <class Change> void each_stat(Change change) {
    std::lock_guard<std::mutex> l(m);
    for (auto* s : {&stats.allocated_bytes, &stats.reserved_bytes, &stats.active_bytes, &stats.allocation}) change((*s)[kAgg]);
  }
  void resetAccumulatedStats(c10::DeviceIndex) override { each_stat([](auto& s) { s.reset_accumulated(); }); }
  void resetPeakStats(c10::DeviceIndex) override { each_stat([](auto& s) { s.reset_peak(); }); }
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex) override {
    std::lock_guard<std::mutex> l(m);
    return {recommended - std::min<size_t>(recommended, stats.allocated_bytes[kAgg].current), recommended};
  }
};

// Pinned memory is the host's, as on a Mac since torch 2.14.
struct Pinned final : at::HostAllocator {
  std::mutex m;
  std::unordered_map<void*, size_t> live;
  static Pinned& get() {
    static auto* a = new Pinned();
    return *a;
  }
  static void free_ptr(void* p) {
    {
      std::lock_guard<std::mutex> l(get().m);
      get().live.erase(p);
    }
    std::free(p);
  }
  c10::DataPtr allocate(size_t n) override {
    void* p = std::aligned_alloc(4096, (std::max<size_t>(n, 1) + 4095) / 4096 * 4096);
    std::lock_guard<std::mutex> l(m);
    live[p] = n;
    return {p, p, &free_ptr, c10::Device(c10::kCPU)};
  }
  bool owns(const void* p) {
    std::lock_guard<std::mutex> l(m);
    for (auto& [q, n] : live)
      if (p >= q && p < static_cast<char*>(q) + std::max<size_t>(n, 1)) return true;
    return false;
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_ptr; }
  void copy_data(void* d, const void* s, std::size_t n) const override { std::memcpy(d, s, n); }
  bool record_event(void*, void*, c10::Stream) override { return true; }
  void empty_cache() override {}
  at::HostStats get_stats() override { return {}; }
  void reset_accumulated_stats() override {}
  void reset_peak_stats() override {}
};
} // namespace fakegpu
