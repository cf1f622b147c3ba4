// What an operator's results will look like, before it has run: asked of its meta kernel, and remembered, as meta
// kernels written in Python take up to milliseconds and a launch must not.
#pragma once
#include <ATen/core/dispatch/Dispatcher.h>

#include "views.h"

namespace fakegpu {
using torch::jit::Stack;

struct Results {
  struct One {
    bool is_defined;
    std::vector<int64_t> sizes, strides;
    c10::ScalarType type;
  };
  bool are_known = true;  // else they depend on the data, or the call is wrong: the CPU's kernel decides
  std::vector<One> all;
};

// Describes a call so far as its results' metadata depends on it.
struct Key {
  std::string text;
  bool is_whole = true, tells_doubles = true;
  std::unordered_map<c10::TensorImpl*, int> seen;

  template <class T> void raw(const T& v) { text.append(reinterpret_cast<const char*>(&v), sizeof v); }
  template <class L> void list(char kind, const L& l) {
    text += kind;
    raw(l.size());
    for (const auto& v : l) raw(v);
  }
  void tensor(const at::Tensor& t) {
    if (!t.defined()) { text += 'u'; return; }
    auto [it, is_new] = seen.emplace(t.unsafeGetTensorImpl(), static_cast<int>(seen.size()));
    text += 't';
    raw(it->second);
    if (!is_new) return;
    raw(t.device().type()); raw(t.scalar_type()); raw(t.unsafeGetTensorImpl()->is_wrapped_number());
    list('s', t.sizes()); list('s', t.strides());
  }
  void value(const c10::IValue& v) {
    if (v.isNone()) text += 'n';
    else if (v.isTensor()) tensor(v.toTensor());
    else if (v.isBool()) { text += 'b'; raw(v.toBool()); }
    else if (v.isInt()) { text += 'i'; raw(v.toInt()); }
    else if (v.isDouble()) { text += 'd'; if (tells_doubles) raw(v.toDouble()); }
    else if (v.isIntList()) list('I', v.toIntVector());
    else if (v.isDoubleList()) list('D', v.toDoubleVector());
    else if (v.isBoolList()) { text += 'B'; for (bool b : v.toBoolList()) text += b ? '1' : '0'; }
    else if (v.isString()) { text += 's'; text += v.toStringRef(); text += '\0'; }
    else if (v.isTensorList()) { text += 'T'; for (const auto& t : v.toTensorVector()) tensor(t); text += ';'; }
    else if (v.isOptionalTensorList()) {
      text += 'O';
      for (const std::optional<at::Tensor>& t : v.toOptionalTensorList().vec()) tensor(t.value_or(at::Tensor()));
      text += ';';
    } else if (v.isDevice() || v.isGenerator()) text += 'g';
    else is_whole = false;
  }
};

inline void call(const c10::OperatorHandle& op, Stack& stack) {
  at::AutoDispatchBelowADInplaceOrView below;
  op.callBoxed(stack);
}
inline bool is_generator(const c10::Argument& a) {
  auto t = a.type();
  if (t->kind() == c10::TypeKind::OptionalType) t = t->expectRef<c10::OptionalType>().getElementType();
  return t->kind() == c10::TypeKind::GeneratorType;
}

class Remembered {
 public:
  static Remembered& get() {
    static auto* r = new Remembered();
    return *r;
  }
  std::optional<Results> find(const Key& key) {
    std::lock_guard<std::mutex> l(m);
    auto it = all.find(key.text);
    return key.is_whole && it != all.end() ? std::optional<Results>(it->second) : std::nullopt;
  }
  void keep(const Key& key, const Results& r) {
    if (!key.is_whole) return;
    std::lock_guard<std::mutex> l(m);
    if (all.size() > 50000) all.clear();
    all[key.text] = r;
  }

 private:
  std::mutex m;
  std::unordered_map<std::string, Results> all;
};

inline Results ask_meta_kernel(const c10::OperatorHandle& op, const std::vector<c10::IValue>& in, Wrap& wrap) {
  Results found;
  try {
    Stack stack;
    for (size_t i = 0; i < in.size(); ++i) {
      const auto& argument = op.schema().arguments()[i];
      const auto* alias = argument.alias_info();
      if (alias && alias->isWrite() && in[i].isTensor() && in[i].toTensor().defined() && !on_device(in[i].toTensor())) found.are_known = false;
      if (in[i].isDevice()) stack.push_back(c10::Device(c10::kMeta));
      else if (is_generator(argument)) stack.push_back(c10::IValue());
      else stack.push_back(map_tensors(in[i], [&](const at::Tensor& t) { return wrap.meta(t); }));
    }
    if (!found.are_known) return found;
    call(op, stack);
    for (auto& r : stack) {
      const auto t = r.isTensor() ? r.toTensor() : at::Tensor();
      if (t.defined()) found.all.push_back({true, t.sizes().vec(), t.strides().vec(), t.scalar_type()});
      else found.all.push_back({false, {}, {}, c10::ScalarType::Undefined});
    }
  } catch (const std::exception&) {
    found.are_known = false;
  }
  return found;
}
} // namespace fakegpu
