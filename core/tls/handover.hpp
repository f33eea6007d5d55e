// Handover: one value on its way from a control thread to a runner, and the one that it replaces on its way back.
//
// Thread    offer() and take_back() by one thread, take() and give_back() by another.
// Ownership What is offered belongs to the taker until it is given back; the offering thread frees it.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace weir::tls {

template <class T>
class Handover {
  public:
    Handover() = default;
    ~Handover() {
        delete next_.load();
        delete old_.load();
    }
    Handover(const Handover&) = delete;
    Handover& operator=(const Handover&) = delete;

    // In place of one that was offered and not taken yet.
    void offer(std::unique_ptr<T> next) {
        take_back();
        delete next_.exchange(next.release(), std::memory_order_acq_rel);
    }
    void take_back() { delete old_.exchange(nullptr, std::memory_order_acq_rel); }

    // Null if there is none, or the last old one was not taken back yet.
    [[nodiscard]] std::unique_ptr<T> take() noexcept {
        if (next_.load(std::memory_order_relaxed) == nullptr || old_.load(std::memory_order_relaxed) != nullptr) {
            return nullptr;
        }
        return std::unique_ptr<T>(next_.exchange(nullptr, std::memory_order_acq_rel));
    }
    void give_back(std::unique_ptr<T> old) noexcept { old_.store(old.release(), std::memory_order_release); }

  private:
    std::atomic<T*> next_{nullptr};
    std::atomic<T*> old_{nullptr};
};

}  // namespace weir::tls
