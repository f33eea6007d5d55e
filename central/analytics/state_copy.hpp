// StateCopy: the state of all operators after one record, taken in steps while the records go on (Engine::begin_copy()).
//
// Thread    Any; one at a time. Putting its entries in order is for whoever writes it, not for the operators' thread.
// Law       The bytes are those of Engine::save() at the record at which the copy began.
// Format    engine.hpp
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "central/analytics/table_copy.hpp"

namespace weir::analytics {

class StateCopy {
  public:
    // What an operator is besides its tables, and its tables, in the order in which they are written.
    using Piece = std::variant<std::string, TableCopy>;
    struct Part {
        std::string name;
        std::uint64_t digest = 0;
        std::vector<Piece> pieces{};
    };

    std::string head;
    std::vector<Part> parts;

    [[nodiscard]] std::size_t bytes() const {
        std::size_t all = head.size();
        for (const Part& part : parts) all += head_of(part).size() + bytes_of(part);
        return all;
    }
    // In order.
    [[nodiscard]] std::vector<TableCopy*> tables() {
        std::vector<TableCopy*> all;
        for (Part& part : parts) {
            for (Piece& piece : part.pieces) {
                if (auto* table = std::get_if<TableCopy>(&piece)) all.push_back(table);
            }
        }
        return all;
    }
    // sink(std::string_view), piece by piece.
    template <class Sink>
    void write(Sink&& sink) const {
        sink(std::string_view(head));
        for (const Part& part : parts) {
            sink(std::string_view(head_of(part)));
            for (const Piece& piece : part.pieces) {
                if (const auto* table = std::get_if<TableCopy>(&piece)) {
                    table->write(sink);
                } else {
                    sink(std::string_view(std::get<std::string>(piece)));
                }
            }
        }
    }
    [[nodiscard]] std::string text() const {
        std::string all;
        all.reserve(bytes());
        write([&](std::string_view piece) { all.append(piece); });
        return all;
    }

  private:
    [[nodiscard]] static std::size_t bytes_of(const Part& part) {
        std::size_t all = 0;
        for (const Piece& piece : part.pieces) {
            const auto* table = std::get_if<TableCopy>(&piece);
            all += table != nullptr ? table->bytes() : std::get<std::string>(piece).size();
        }
        return all;
    }
    [[nodiscard]] static std::string head_of(const Part& part) {
        StateWriter out;
        out.text(part.name);
        out.put(part.digest);
        out.count(bytes_of(part));
        return out.take();
    }
};

}  // namespace weir::analytics
