// WEIR_ASSERT: our own mistakes stop the process, in every build, with the place and the condition.
#pragma once

namespace weir {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace weir

#define WEIR_ASSERT(condition)                                                                    \
    (__builtin_expect(!(condition), 0) ? ::weir::assertion_failed(#condition, __FILE__, __LINE__) \
                                       : static_cast<void>(0))
