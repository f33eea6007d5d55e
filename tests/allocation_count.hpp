// What the calling thread has asked operator new for while it was counted; counted_new.hpp does the counting.
#pragma once

#include <cstdint>

namespace weir::test {

inline thread_local bool counts_allocations = false;
inline thread_local std::uint64_t allocations = 0;

}  // namespace weir::test
