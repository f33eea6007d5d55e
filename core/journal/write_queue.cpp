#include "core/journal/write_queue.hpp"

#include <cerrno>

#include "core/base/assert.hpp"
#include "core/base/planted.hpp"

namespace weir::journal {

WriteQueue::WriteQueue(io::Io& io, io::Token token, Options options, Position durable)
    : io_(io), token_(token), options_(options), durable_(durable) {
    WEIR_ASSERT(options_.groups_max > 0 && options_.groups_max <= gathered_groups_max);
}

void WriteQueue::push(const Group& group) {
    WEIR_ASSERT(!is_full() && !is_poisoned());
    groups_[next_place()] = group;
    ++count_;
    ++waiting_;
    waiting_bytes_ += group.bytes.size();
    begin_due();
}

bool WriteQueue::is_write_due() const {
    if (is_poisoned() || waiting_ == 0 || write_count_ == writes_in_flight_max) return false;
    if (!options_.gathers || in_flight_count_ == 0 || waiting_bytes_ >= gathered_bytes_max) return true;
    return waiting_bytes_ < short_write_bytes && in_flight_count_ < short_writes_max;
}

void WriteQueue::begin_due() {
    while (is_write_due()) begin_write();
}

// The oldest that wait, as many as one write takes: of one file.
void WriteQueue::begin_write() {
    io::Token token = token_;
    token.index = (write_head_ + write_count_) % writes_in_flight_max;
    const Group& first = oldest_waiting();
    Write& write = writes_[token.index];
    write.groups = 0;
    write.bytes = 0;
    write.file = first.file;
    write.is_done = false;
    while (waiting_ > 0) {
        const Group& next = oldest_waiting();
        const auto bytes = static_cast<std::uint32_t>(next.bytes.size());
        const bool is_first = write.groups == 0;
        if (!is_first && (!options_.gathers || write.bytes + bytes > gathered_bytes_max)) break;
        if (next.file != write.file) break;
        // The kernel only reads them.
        write.parts[write.groups++] = {.iov_base = const_cast<std::byte*>(next.bytes.data()), .iov_len = bytes};
        write.bytes += bytes;
        write.end = next.end;
        --waiting_;
        waiting_bytes_ -= bytes;
    }
    ++write_count_;
    ++in_flight_count_;
    ++writes_begun_;
    if (write.groups == 1) {
        io_.write(write.file, first.bytes, first.offset, token);
    } else {
        io_.write_gathered(write.file, std::span(write.parts).first(write.groups), first.offset, token);
    }
}

void WriteQueue::on_completion(const io::Completion& completion) {
    WEIR_ASSERT(completion.op == io::Op::write);
    WEIR_ASSERT(completion.token.index < writes_in_flight_max);
    Write& done = writes_[completion.token.index];
    WEIR_ASSERT(!done.is_done && in_flight_count_ > 0);
    done.is_done = true;
    --in_flight_count_;
    if (WEIR_PLANTED(ignore_write_error)) {
        written_bytes_ += done.bytes;
    } else if (completion.result < 0) {
        poison(-completion.result);
    } else if (static_cast<std::uint32_t>(completion.result) != done.bytes) {
        poison(EIO);
    } else {
        written_bytes_ += done.bytes;
    }
    for (; write_count_ > 0 && write(0).is_done; --write_count_) {
        // Once poisoned nothing moves: the failed write, and what lies behind it, must never count as durable.
        if (!is_poisoned()) {
            WEIR_ASSERT(write(0).end > durable_);
            durable_ = write(0).end;
        }
        head_ = (head_ + write(0).groups) % options_.groups_max;
        count_ -= write(0).groups;
        write_head_ = (write_head_ + 1) % writes_in_flight_max;
    }
    begin_due();
}

void WriteQueue::begin_at(Position position) {
    WEIR_ASSERT(count_ == 0 && position >= durable_);
    durable_ = position;
}

std::uint32_t WriteQueue::unwritten_in(io::File file) const {
    std::uint32_t groups = 0;
    for (std::uint32_t nth = 0; nth < write_count_; ++nth) {
        const Write& one = writes_[(write_head_ + nth) % writes_in_flight_max];
        if (!one.is_done && one.file == file) groups += one.groups;
    }
    for (std::uint32_t nth = count_ - waiting_; nth < count_ && !is_poisoned(); ++nth) {
        if (groups_[(head_ + nth) % options_.groups_max].file == file) ++groups;
    }
    return groups;
}

void WriteQueue::poison(int code) {
    WEIR_ASSERT(code != 0);
    if (!is_poisoned()) poison_errno_ = code;
}

}  // namespace weir::journal
