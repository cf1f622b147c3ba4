// Every operator without a kernel of its own: its results get their memory now, and the CPU's kernel fills it later.
#pragma once
#include "generator.h"
#include "metadata.h"
#include "refusals.h"

namespace fakegpu {
// The argument that a result is, or is a view of; -1 for one of its own.
inline int aliased_argument(const c10::FunctionSchema& schema, const c10::Argument& result) {
  if (!result.alias_info()) return -1;
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const auto* a = schema.arguments()[i].alias_info();
    if (a && a->beforeSets() == result.alias_info()->beforeSets()) return static_cast<int>(i);
  }
  return -1;
}

class Launch {
 public:
  Launch(const c10::OperatorHandle& op, Stack* stack)
      : op(op), schema(op.schema()), stack(stack), in(stack->end() - schema.arguments().size(), stack->end()) {
    name = schema.overload_name().empty() ? schema.name() : schema.name() + "." + schema.overload_name();
    is_known = !lacks(name);
    if (!is_known) refuse_or_fall_back(name);
    torch::jit::drop(*stack, in.size());
    for (const auto& r : schema.returns()) {
      alias.push_back(aliased_argument(schema, r));
      if (r.alias_info() && !r.alias_info()->isWrite()) is_view = true;
      if (alias.back() < 0 && r.type()->kind() != c10::TypeKind::TensorType) is_known = false;
    }
  }
  void run() {
    if (is_view) return make_view();
    find_results();
    if (is_known) enqueue();
    else run_and_wait();
  }

 private:
  const c10::OperatorHandle& op;
  const c10::FunctionSchema& schema;
  Stack* stack;
  std::vector<c10::IValue> in;
  std::string name;
  Wrap wrap;
  std::vector<int> alias;
  bool is_known = true, is_view = false;
  Results results;

  // Only metadata changes: the CPU's kernel tells it, and no data is touched.
  void make_view() {
    Stack s;
    for (const auto& v : in) s.push_back(map_tensors(v, [&](const at::Tensor& t) { return wrap.cpu(t); }));
    call(op, s);
    for (size_t i = 0; i < s.size(); ++i) {
      const auto& base = in[alias[i]].toTensor();
      stack->push_back(map_tensors(s[i], [&](const at::Tensor& t) { return device_alias(base, t); }));
    }
  }

  void find_results() {
    if (!is_known) return;
    Key key;
    key.text = name;
    // An in-place operator has no result to size: its changing scalars, such as learning rates, need not be told apart.
    key.tells_doubles = std::any_of(alias.begin(), alias.end(), [](int i) { return i < 0; });
    for (const auto& v : in) key.value(v);
    const auto remembered = Remembered::get().find(key);
    results = remembered ? *remembered : ask_meta_kernel(op, in, wrap);
    is_known = results.are_known;
    if (!remembered && !resize_outputs()) Remembered::get().keep(key, results);
  }

  // out= arguments take their size at once; whether any did.
  bool resize_outputs() {
    bool did = false;
    for (auto& [impl, meta] : wrap.metas) {
      if (!is_known || impl->device_type() != kDev || impl->sizes() == meta.sizes()) continue;
      did = true;
      auto t = at::Tensor(c10::intrusive_ptr<c10::TensorImpl>::reclaim_copy(impl));
      resize_device(t, meta.sizes());
      if (t.strides() != meta.strides()) impl->set_sizes_and_strides(meta.sizes(), meta.strides(), t.storage_offset());
    }
    return did;
  }

  c10::IValue for_the_cpu(size_t i, const TensorFn& tensor) {
    const auto& v = in[i];
    if (v.isDevice()) return c10::Device(c10::kCPU);
    if (!is_generator(schema.arguments()[i])) return map_tensors(v, tensor);
    auto g = v.isNone() ? default_generator() : v.toGenerator();
    return g.device().type() == kDev ? at::check_generator<Generator>(g)->twin : g;
  }

  void enqueue() {
    std::vector<at::Tensor> fresh(alias.size()), targets;
    for (size_t i = 0; i < alias.size(); ++i) {
      const auto* r = alias[i] < 0 ? &results.all[i] : nullptr;
      if (r && r->is_defined) fresh[i] = device_empty(r->sizes, r->strides, r->type);
      targets.push_back(fresh[i].defined() ? wrap.cpu(fresh[i]) : fresh[i]);
    }
    auto operand = [&](const at::Tensor& t) {
      if (on_device(t) || !t.defined()) return wrap.cpu(t);
      auto copy = t.clone();  // one of the host has its value at launch
      if (t.unsafeGetTensorImpl()->is_wrapped_number()) copy.unsafeGetTensorImpl()->set_wrapped_number(true);
      return copy;
    };
    Stack s;
    for (size_t i = 0; i < in.size(); ++i) s.push_back(for_the_cpu(i, operand));
    wrap = {};  // the queued work alone keeps what it uses
    queue().push([op = op, name = name, s = std::move(s), targets = std::move(targets)]() mutable {
      call(op, s);
      at::AutoDispatchBelowADInplaceOrView below;
      for (size_t i = 0; i < targets.size(); ++i) {
        if (!targets[i].defined() || !s[i].isTensor() || !s[i].toTensor().defined()) continue;
        const auto& made = s[i].toTensor();
        if (made.numel() == 0 || targets[i].numel() == 0) continue;
        TORCH_CHECK(made.sizes() == targets[i].sizes(), "fakegpu: meta and CPU kernels of ", name, " disagree: ", targets[i].sizes(), " and ", made.sizes());
        targets[i].copy_(made);
      }
    });
    for (size_t i = 0; i < alias.size(); ++i) stack->push_back(alias[i] >= 0 ? in[alias[i]] : c10::IValue(fresh[i]));
  }

  void run_and_wait() {
    std::vector<std::pair<size_t, at::Tensor>> outs;  // out= arguments, made on the CPU and copied back
    Stack s;
    for (size_t i = 0; i < in.size(); ++i) {
      const bool is_out = schema.arguments()[i].is_out() && in[i].isTensor() && on_device(in[i].toTensor());
      if (is_out) outs.emplace_back(i, at::empty({0}, in[i].toTensor().options().device(c10::kCPU)));
      s.push_back(is_out ? c10::IValue(outs.back().second) : for_the_cpu(i, [&](const at::Tensor& t) { return wrap.cpu(t); }));
    }
    queue().run_and_wait([&] { call(op, s); });
    auto to_device = [](const at::Tensor& t) {
      if (!t.defined() || !t.device().is_cpu()) return t;
      auto made = device_empty(t.sizes(), t.strides(), t.scalar_type());
      Wrap().cpu(made).copy_(t);
      return made;
    };
    for (auto& [i, t] : outs) {
      auto out = in[i].toTensor();
      if (out.sizes() != t.sizes()) resize_device(out, t.sizes());
      Wrap().cpu(out).copy_(t);
    }
    for (size_t i = 0; i < alias.size(); ++i) stack->push_back(alias[i] >= 0 ? in[alias[i]] : map_tensors(s[i], to_device));
  }
};

inline void launch(const c10::OperatorHandle& op, Stack* stack) { Launch(op, stack).run(); }
} // namespace fakegpu
