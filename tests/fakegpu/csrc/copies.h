// Copies between host and device, which read late what they were told not to wait for.
#pragma once
#include "refusals.h"
#include "views.h"

namespace fakegpu {
constexpr int64_t kLate_ns = 2'000'000;

// Pageable memory of the host that nobody keeps for a copy: whoever frees it early has a copy of something else.
struct Unkept {
  c10::weak_intrusive_ptr<c10::StorageImpl> storage;
  std::vector<int64_t> sizes, strides;
  int64_t offset;
  caffe2::TypeMeta type;

  explicit Unkept(const at::Tensor& t)
      : storage(t.storage().getWeakStorageImpl()), sizes(t.sizes().vec()), strides(t.strides().vec()), offset(t.storage_offset()), type(t.dtype()) {}

  at::Tensor lock() const {  // undefined if it was freed
    auto kept = storage.lock();
    if (!kept) return {};
    auto t = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(std::move(kept)), c10::DispatchKeySet(c10::DispatchKey::CPU), type);
    t.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, offset);
    return t;
  }
};

// What is read of freed memory is whatever lies there: NaN, or a number that no index can be.
inline void spoil(at::Tensor& t) {
  if (at::isFloatingType(t.scalar_type())) t.fill_(std::numeric_limits<double>::quiet_NaN());
  else if (t.scalar_type() == at::kLong || t.scalar_type() == at::kInt) t.fill_(-0x5a5a5a5b);
  else t.fill_(0x5a);
}

inline void copy_late(const at::Tensor& src, const at::Tensor& dst) {
  Wrap wrap;
  auto on_src = on_device(src), on_dst = on_device(dst);
  const Unkept unkept(on_src ? dst : src);
  queue().push([unkept, on_dst, mine = on_dst ? wrap.cpu(dst) : wrap.cpu(src)]() mutable {
    at::AutoDispatchBelowADInplaceOrView below;
    sleep_until_ns(now_ns() + kLate_ns);
    auto theirs = unkept.lock();
    if (theirs.defined()) on_dst ? mine.copy_(theirs) : theirs.copy_(mine);
    else {
      device().n_freed_sources += 1;
      if (on_dst) spoil(mine);
    }
  });
}

inline at::Tensor copy_from(const at::Tensor& src, const at::Tensor& dst, bool non_blocking) {
  const bool is_within = on_device(src) && on_device(dst);
  const auto& host = on_device(src) ? dst : src;
  if (non_blocking && !is_within && !Pinned::get().owns(host.storage().data())) {
    if (!is_discrete()) {
      copy_late(src, dst);
      return dst;
    }
    non_blocking = false;  // as CUDA, which copies pageable memory before it returns
  }
  {
    Wrap wrap;
    queue().push([s = wrap.cpu(src), d = wrap.cpu(dst)]() mutable {
      at::AutoDispatchBelowADInplaceOrView below;
      d.copy_(s);
    });
  }
  if (!non_blocking && !is_within) queue().wait();
  return dst;
}
inline at::Tensor copy_from_and_resize(const at::Tensor& src, const at::Tensor& dst) {
  if (on_device(dst)) resize_device(dst, src.sizes());
  else at::native::resize_(dst, src.sizes(), std::nullopt);
  return copy_from(src, dst, false);
}
} // namespace fakegpu
