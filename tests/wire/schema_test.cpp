#include <gtest/gtest.h>

#include <functional>

#include "schemas/civic_generated.h"
#include "tests/wire/golden.hpp"

namespace weir::schema::civic {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
using AnyOffset = flatbuffers::Offset<void>;

// What `make` builds must be the golden bytes, and those must verify and hold a fact of `type`.
void check(const std::string& name, Fact type, const std::function<AnyOffset(Builder&)>& make,
           const std::function<void(const Civic&)>& look) {
    Builder builder;
    const AnyOffset fact = make(builder);
    FinishCivicBuffer(builder, CreateCivic(builder, type, fact));
    const auto bytes =
        golden::expect_golden("civic-" + name, std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())));
    const auto* const data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    flatbuffers::Verifier verifier(data, bytes.size());
    ASSERT_TRUE(CivicBufferHasIdentifier(data));
    ASSERT_TRUE(VerifyCivicBuffer(verifier)) << name;
    ASSERT_EQ(GetCivic(data)->fact_type(), type);
    look(*GetCivic(data));
}

const Place walnut_street(39.9522, -75.1932);

TEST(CivicSchema, ViolationSubmitted) {
    check(
        "violation-submitted", Fact::ViolationSubmitted,
        [](Builder& b) {
            const std::vector<flatbuffers::Offset<flatbuffers::String>> photos{b.CreateString("store/1"),
                                                                               b.CreateString("store/2")};
            return CreateViolationSubmittedDirect(b, "r-1", "ann", "ABC123", "parking.double", &walnut_street,
                                                  "3400 WALNUT ST", &photos, 1'512'086'407'000'000'000)
                .Union();
        },
        [](const Civic& civic) {
            const auto& fact = *civic.fact_as_ViolationSubmitted();
            EXPECT_EQ(fact.report_id()->str(), "r-1");
            EXPECT_EQ(fact.plate()->str(), "ABC123");
            EXPECT_EQ(fact.place()->latitude(), 39.9522);
            EXPECT_EQ(fact.photos()->size(), 2U);
            EXPECT_EQ(fact.seen_ns(), 1'512'086'407'000'000'000U);
        });
}

TEST(CivicSchema, ViolationValidated) {
    check(
        "violation-validated", Fact::ViolationValidated,
        [](Builder& b) { return CreateViolationValidatedDirect(b, "r-1", "bob", 0.75F, true).Union(); },
        [](const Civic& civic) {
            EXPECT_EQ(civic.fact_as_ViolationValidated()->confidence(), 0.75F);
            EXPECT_TRUE(civic.fact_as_ViolationValidated()->plate_is_readable());
        });
}

TEST(CivicSchema, ViolationRejected) {
    check(
        "violation-rejected", Fact::ViolationRejected,
        [](Builder& b) { return CreateViolationRejectedDirect(b, "r-1", "unreadable", "bob").Union(); },
        [](const Civic& civic) { EXPECT_EQ(civic.fact_as_ViolationRejected()->reason()->str(), "unreadable"); });
}

TEST(CivicSchema, ViolationStored) {
    check(
        "violation-stored", Fact::ViolationStored,
        [](Builder& b) {
            const std::vector<std::uint8_t> digest(32, 0xab);
            return CreateViolationStoredDirect(b, "r-1", "cold", 123'456, &digest).Union();
        },
        [](const Civic& civic) {
            EXPECT_EQ(civic.fact_as_ViolationStored()->bytes(), 123'456U);
            EXPECT_EQ(civic.fact_as_ViolationStored()->digest()->size(), 32U);
        });
}

TEST(CivicSchema, ViolationApproved) {
    check(
        "violation-approved", Fact::ViolationApproved,
        [](Builder& b) { return CreateViolationApprovedDirect(b, "r-1", "bob", 5100, "USD").Union(); },
        [](const Civic& civic) { EXPECT_EQ(civic.fact_as_ViolationApproved()->fine_cents(), 5100U); });
}

TEST(CivicSchema, StatusChanged) {
    check(
        "status-changed", Fact::StatusChanged,
        [](Builder& b) {
            return CreateStatusChangedDirect(b, "r-1", Status::under_review, Status::appealed, "call").Union();
        },
        [](const Civic& civic) {
            EXPECT_EQ(civic.fact_as_StatusChanged()->before(), Status::under_review);
            EXPECT_EQ(civic.fact_as_StatusChanged()->after(), Status::appealed);
        });
}

TEST(CivicSchema, PaymentProcessed) {
    check(
        "payment-processed", Fact::PaymentProcessed,
        [](Builder& b) {
            return CreatePaymentProcessedDirect(b, "p-1", "r-1", "ann", 5100, "USD", Method::card).Union();
        },
        [](const Civic& civic) {
            EXPECT_EQ(civic.fact_as_PaymentProcessed()->amount_cents(), 5100U);
            EXPECT_EQ(civic.fact_as_PaymentProcessed()->method(), Method::card);
        });
}

TEST(CivicSchema, RewardRequested) {
    check(
        "reward-requested", Fact::RewardRequested,
        [](Builder& b) { return CreateRewardRequestedDirect(b, "r-1", "ann", 10).Union(); },
        [](const Civic& civic) { EXPECT_EQ(civic.fact_as_RewardRequested()->points(), 10U); });
}

TEST(CivicSchema, CameraReading) {
    check(
        "camera-reading", Fact::CameraReading,
        [](Builder& b) {
            return CreateCameraReadingDirect(b, "CHI120", "ABC123", 61.5F, 48.0F, &walnut_street).Union();
        },
        [](const Civic& civic) { EXPECT_EQ(civic.fact_as_CameraReading()->speed_kmh(), 61.5F); });
}

TEST(CivicSchema, Citation) {
    check(
        "citation", Fact::Citation,
        [](Builder& b) {
            return CreateCitationDirect(b, "c-1", "ABC123", "PA", "meter expired", 3600, &walnut_street, "7").Union();
        },
        [](const Civic& civic) { EXPECT_EQ(civic.fact_as_Citation()->plate_state()->str(), "PA"); });
}

TEST(CivicSchema, Ride) {
    check(
        "ride", Fact::Ride,
        [](Builder& b) {
            return CreateRideDirect(b, "t-1", "ann", &walnut_street, &walnut_street, 4200, 1550, 2).Union();
        },
        [](const Civic& civic) {
            EXPECT_EQ(civic.fact_as_Ride()->distance_m(), 4200U);
            EXPECT_EQ(civic.fact_as_Ride()->passengers(), 2U);
        });
}

TEST(CivicSchema, SensorReading) {
    check(
        "sensor-reading", Fact::SensorReading,
        [](Builder& b) { return CreateSensorReadingDirect(b, "s-1", "pm2.5", 12.25, "ug/m3").Union(); },
        [](const Civic& civic) { EXPECT_EQ(civic.fact_as_SensorReading()->value(), 12.25); });
}

TEST(CivicSchema, HasTwelveFactsAndNoneMovedUp) {
    // A new fact goes to the end and gets a golden file: then raise the number here.
    EXPECT_EQ(static_cast<int>(Fact::MAX), 12);
    EXPECT_EQ(static_cast<int>(Fact::SensorReading), 12);
}

}  // namespace
}  // namespace weir::schema::civic
