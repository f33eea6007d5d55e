// PayloadForms: which registered schema an event's payload is of, whether it is so, and what stands at the paths that rules and routes name
// without an expression (`require`, `ranges`, `equals`).
//
// Thread    Made on a control thread; read by the intake runner. Nothing here allocates after construction.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/rules/flat_verifier.hpp"
#include "core/wire/event.hpp"
#include "edge/config.hpp"

namespace weir::edge {

class PayloadForms {
  public:
    class Form {
      public:
        Form(const rules::FlatSchema& schema, const std::vector<rules::Path>& paths)
            : verifier_(schema), paths_(schema, paths) {}
        [[nodiscard]] bool is_for(const wire::EventView& event) const noexcept {
            return paths_.is_for(event.type, event.content_type);
        }
        [[nodiscard]] wire::Reason verify(std::string_view payload) const noexcept { return verifier_.verify(payload); }
        // `path`: as number_of() says. Of a payload that was verified.
        [[nodiscard]] rules::Value read(std::uint32_t path, std::string_view payload) const noexcept {
            return paths_.read(path, payload);
        }

      private:
        rules::FlatVerifier verifier_;
        rules::FlatPaths paths_;
    };

    explicit PayloadForms(const EdgeConfig& config);
    // Null: no schema is registered for it.
    [[nodiscard]] const Form* of(const wire::EventView& event) const noexcept {
        for (const Form& form : forms_) {
            if (form.is_for(event)) return &form;
        }
        return nullptr;
    }
    [[nodiscard]] bool is_empty() const noexcept { return forms_.empty(); }
    // The number of a path that the configuration's rules or routes name, without its "data.".
    [[nodiscard]] std::uint32_t number_of(std::string_view path) const;

  private:
    std::vector<std::string> paths_;  // in order
    std::vector<Form> forms_;
};

}  // namespace weir::edge
