// The device's tensors as the CPU's kernels see them, over the same memory; and as the meta kernels do, without any.
#pragma once
#include <ATen/EmptyTensor.h>
#include <ATen/NativeFunctions.h>

#include "memory.h"

namespace fakegpu {
inline bool on_device(const at::Tensor& t) { return t.defined() && t.device().type() == kDev; }

// Keeps a block alive while queued work refers to it, and notes work on another stream than the block's own.
struct InUse {
  BlockPtr block;
  bool is_elsewhere;
  explicit InUse(BlockPtr b) : block(std::move(b)), is_elsewhere(block && block->made_on != current_stream() && !block->is_recorded) {
    if (is_elsewhere) block->n_elsewhere += 1;
  }
  ~InUse() {
    if (is_elsewhere) block->n_elsewhere -= 1;
  }
};

// Of one call: a tensor that appears twice is one wrapper, and tensors that share a storage share one here too.
struct Wrap {
  std::unordered_map<c10::StorageImpl*, c10::Storage> storages;
  std::unordered_map<c10::TensorImpl*, at::Tensor> cpus, metas;

  c10::Storage storage(const c10::Storage& s) {
    auto& made = storages[s.unsafeGetStorageImpl()];
    if (!made) {
      const auto& p = s.data_ptr();
      BlockPtr block;
      if (p.get_deleter() == &Memory::free_block && p.get_context()) block = *static_cast<BlockPtr*>(p.get_context());
      auto drop = [](void* use) { delete static_cast<InUse*>(use); };
      c10::DataPtr same(p.get(), new InUse(std::move(block)), drop, c10::Device(c10::kCPU));
      made = c10::Storage(c10::Storage::use_byte_size_t(), s.nbytes(), std::move(same), nullptr, false);
    }
    return made;
  }
  at::Tensor cpu(const at::Tensor& t) {
    if (!on_device(t)) return t;
    auto& made = cpus[t.unsafeGetTensorImpl()];
    if (!made.defined()) {
      made = at::detail::make_tensor<c10::TensorImpl>(storage(t.storage()), c10::DispatchKeySet(c10::DispatchKey::CPU), t.dtype());
      made.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
      if (t.is_conj()) made._set_conj(true);
      if (t.is_neg()) made._set_neg(true);
    }
    return made;
  }
  at::Tensor meta(const at::Tensor& t) {
    if (!t.defined() || (!on_device(t) && t.dim() == 0)) return t;
    auto& made = metas[t.unsafeGetTensorImpl()];
    if (!made.defined()) made = at::empty_strided(t.sizes(), t.strides(), t.options().device(c10::kMeta).pinned_memory(false));
    return made;
  }
};

using TensorFn = std::function<at::Tensor(const at::Tensor&)>;
inline c10::IValue map_tensors(const c10::IValue& v, const TensorFn& f) {
  if (v.isTensor()) return f(v.toTensor());
  if (v.isTensorList()) {
    c10::List<at::Tensor> out;
    for (const at::Tensor& t : v.toTensorVector()) out.push_back(f(t));
    return out;
  }
  if (v.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> out;
    for (const std::optional<at::Tensor>& t : v.toOptionalTensorList().vec()) out.push_back(t ? std::optional<at::Tensor>(f(*t)) : t);
    return out;
  }
  return v;
}

inline at::Tensor device_empty(at::IntArrayRef sizes, at::IntArrayRef strides, c10::ScalarType type) {
  return at::detail::empty_strided_generic(sizes, strides, &Memory::get(), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), type);
}
// at::native::resize_ copies the old bytes on the host at once: work still queued must have written them.
inline const at::Tensor& resize_device(const at::Tensor& t, at::IntArrayRef sizes, std::optional<at::MemoryFormat> format = std::nullopt) {
  const auto wanted = at::detail::computeStorageNbytesContiguous(sizes, t.itemsize(), t.storage_offset());
  if (t.storage().nbytes() && wanted > t.storage().nbytes()) wait_for_all();
  return at::native::resize_(t, sizes, format);
}
inline at::Tensor device_alias(const at::Tensor& base, const at::Tensor& like) {
  auto made = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(base.storage()), base.key_set(), like.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return made;
}
} // namespace fakegpu
