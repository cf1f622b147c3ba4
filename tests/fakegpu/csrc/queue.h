// One stream of the device: work is handed over at once and runs in order on a worker thread.
#pragma once
#include <torch/csrc/utils/pybind.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace fakegpu {
namespace py = pybind11;

inline int64_t now_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}
inline void sleep_until_ns(int64_t t) {
  const int64_t left = t - now_ns();
  if (left > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(left));
}
// Whoever waits lets go of the interpreter: the worker may need it to free what Python made.
struct WithoutInterpreter {
  std::optional<py::gil_scoped_release> released;
  WithoutInterpreter() {
    if (PyGILState_Check()) released.emplace();
  }
};

// What the device is told and what it counts, of all streams together.
struct Device {
  std::atomic<int64_t> least_ns{0};  // least duration of one operator
  std::atomic<int64_t> n_operators{0}, n_waits{0}, busy_ns{0}, n_freed_sources{0}, n_unrecorded{0};
};
inline Device& device() {
  static auto* d = new Device();
  return *d;
}

class Queue {
 public:
  // timed == false: bookkeeping such as events, which takes no time of the device
  void push(std::function<void()> work, bool timed = true) {
    TORCH_CHECK(!is_forked(), "fakegpu cannot be used in a forked child of a process that used it");
    std::optional<WithoutInterpreter> released;
    std::unique_lock<std::mutex> lock(mutex);
    if (!pid) {
      pid = getpid();
      std::thread([this] { run(); }).detach();
    }
    if (jobs.size() >= kDeepest) {
      released.emplace();
      has_room.wait(lock, [&] { return jobs.size() < kDeepest; });
    }
    jobs.emplace_back([this, work = std::move(work), timed, pushed = now_ns()] {
      const int64_t began = now_ns();
      // The device's own time: an operator begins where the one before ended, so that late wake-ups do not add up.
      last_end = std::max(last_end.load(), pushed);
      work();
      if (timed) take_time(began);
    });
    lock.unlock();
    has_work.notify_one();
  }

  // Wait for everything pushed so far; an error of the device is raised here, as its operators have returned long ago.
  void wait(bool rethrow = true) {
    WithoutInterpreter released;
    if (!pid || is_forked()) return;
    std::unique_lock<std::mutex> lock(mutex);
    is_idle.wait(lock, [&] { return jobs.empty() && !is_busy; });
    auto first = std::exchange(error, nullptr);
    lock.unlock();
    if (first && rethrow) std::rethrow_exception(first);
  }

  // In order, and waited for; what it raises is the caller's.
  void run_and_wait(std::function<void()> work) {
    device().n_waits += 1;
    std::exception_ptr mine;
    push([&] {
      try { work(); } catch (...) { mine = std::current_exception(); }
    });
    wait();
    if (mine) std::rethrow_exception(mine);
  }

  bool is_pending() {
    std::lock_guard<std::mutex> lock(mutex);
    return !jobs.empty() || is_busy;
  }

  std::atomic<int64_t> last_end{0};  // when the last operator ended, on the device's own time

 private:
  static constexpr size_t kDeepest = 4096;
  std::mutex mutex;
  std::condition_variable has_work, is_idle, has_room;
  std::deque<std::function<void()>> jobs;
  bool is_busy = false;
  std::exception_ptr error;
  pid_t pid = 0;

  bool is_forked() const { return pid && pid != getpid(); }

  void run() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock<std::mutex> lock(mutex);
        is_busy = false;
        if (jobs.empty()) is_idle.notify_all();
        has_work.wait(lock, [&] { return !jobs.empty(); });
        job = std::move(jobs.front());
        jobs.pop_front();
        is_busy = true;
        has_room.notify_all();
      }
      try {
        job();
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex);
        if (!error) error = std::current_exception();
      }
      job = nullptr;  // its tensors are let go before the queue counts as idle
    }
  }

  void take_time(int64_t began) {
    const int64_t ended = now_ns(), took = std::max(device().least_ns.load(), ended - began);
    device().n_operators += 1;
    device().busy_ns += took;
    last_end = std::max(last_end + took, ended);
    sleep_until_ns(last_end);
  }
};
} // namespace fakegpu
