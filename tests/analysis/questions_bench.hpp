// Questions asked of results, without the rest of a daemon.
#pragma once

#include <atomic>
#include <string>

#include "central/api/sources.hpp"

namespace weir::central::test {

struct QuestionsBench {
    explicit QuestionsBench(const std::string& data_dir) : questions(results_path(data_dir), 2000) {}
    [[nodiscard]] std::optional<control::AdminResponse> answer(const std::string& target) {
        return questions.answer(sources, target);
    }

    CentralConfig config;
    IngestShared shared{config};
    ReadModel model{8, 8};
    Reader reader{"/nowhere", shared.durable_position, model};
    std::atomic<bool> is_draining{false}, is_alive{true};
    journal::ScrubCounters scrub;
    ResultQuestions questions;
    ApiSources sources{.config = config,
                       .shared = shared,
                       .model = model,
                       .reader = reader,
                       .is_draining = is_draining,
                       .is_alive = is_alive,
                       .scrub = scrub,
                       .io_name = "test",
                       .results = &questions};
};

}  // namespace weir::central::test
