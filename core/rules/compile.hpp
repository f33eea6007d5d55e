// compile(): an expression's text becomes a Program, or a fault at a line and column.
//
// Thread    Control threads: compiling allocates. A Program is never changed afterwards.
// Law       A Program cannot fail at run time. What format() prints compiles, within the limits, to a program that says the same.
// Format    LANGUAGE.md
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/rules/graph.hpp"
#include "core/rules/tables.hpp"

namespace weir::rules {

struct Limits {
    std::uint32_t text_bytes_max = 4096;
    std::uint32_t nodes_max = 512;
    std::uint32_t depth_max = depth_levels_max;  // of nesting; at most depth_levels_max
    std::uint32_t paths_max = 64;
    std::uint32_t path_steps_max = 16;
    std::uint32_t list_elements_max = 256;
};

struct CompileOptions {
    bool is_placed = false;          // edge, lane and part are known where it runs
    bool is_judged = false;          // verdict and reason are known where it runs
    bool gives_condition = true;     // must be boolean; else any value will do
    const Tables* tables = nullptr;  // checks the names in lookup(); without it every name will do, and is null
    Limits limits = {};
};

struct Fault {
    std::uint32_t line = 1;    // 1-based
    std::uint32_t column = 1;  // 1-based, bytes
    std::string what;
};
// "LINE:COLUMN: WHAT", the line, and a caret under the place.
[[nodiscard]] std::string describe(const Fault& fault, std::string_view text);

class Program {
  public:
    Program(Graph graph, NodeId root) : graph_(std::move(graph)), root_(root) {}
    [[nodiscard]] const Graph& graph() const { return graph_; }
    [[nodiscard]] NodeId root() const { return root_; }
    [[nodiscard]] Type type() const { return graph_.at(root_).type; }

  private:
    Graph graph_;
    NodeId root_;
};

struct Compiled {
    std::optional<Program> program;
    Fault fault;  // when there is no program
};
[[nodiscard]] Compiled compile(std::string_view text, const CompileOptions& options = {});

// The program in the language again, as it will run: constants worked out, cheap conditions first, every operation in parentheses.
[[nodiscard]] std::string format(const Program& program);

}  // namespace weir::rules
