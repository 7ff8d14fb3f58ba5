#include "engine/vacancies.h"

#include <gtest/gtest.h>

#include "base/epoch.h"

namespace lightning {
namespace {

constexpr uint64_t kTail = 1000;

class Emptiness : public testing::Test {
 protected:
  void look(std::string_view from, std::string_view to, uint64_t lsn, uint64_t tail = kTail,
            bool worth_keeping = true) {
    vacancies_.note_empty(from, to, lsn, worth_keeping, [tail] { return tail; });
  }
  void put(std::string_view key, uint64_t lsn) {
    EpochGuard epoch;
    if (vacancies_.any()) vacancies_.note_put(key, lsn);
  }
  /// "from to" of what is found, empty if nothing is.
  std::string found(std::string_view key, uint64_t lsn) const {
    std::string from, to;
    return vacancies_.find(key, lsn, &from, &to) ? from + " " + to : "";
  }

  Vacancies vacancies_;
};

TEST_F(Emptiness, IsOfUseOnceASecondReadFoundIt) {
  look("b", "d", 900);
  EXPECT_EQ(found("c", 2000), "");
  EXPECT_TRUE(vacancies_.unconfirmed());
  look("b", "d", 1500);
  EXPECT_FALSE(vacancies_.unconfirmed());
  EXPECT_EQ(found("c", 2000), "b d");
  EXPECT_EQ(found("b", 1500), "b d");
  EXPECT_EQ(found("d", 2000), "");
  EXPECT_EQ(found("a", 2000), "");
  EXPECT_EQ(found("c", 1499), "");  // an older snapshot may see what was removed
}

TEST_F(Emptiness, TheSecondReadSeesAllThatWasReservedWhenItBecameVisible) {
  look("b", "d", 900);
  look("b", "d", kTail - 1);
  EXPECT_EQ(found("c", 2000), "");
  look("b", "d", kTail);
  EXPECT_EQ(found("c", 2000), "b d");
}

TEST_F(Emptiness, EndsAtTheFirstPut) {
  look("b", "d", 900);
  look("b", "d", 1500);
  put("e", 1600);
  put("c", 1800);
  put("c", 1700);
  put("c", 1900);
  EXPECT_EQ(found("b", 1700), "b d");
  EXPECT_EQ(found("b", 1701), "");
}

TEST_F(Emptiness, APutBeforeTheSecondReadIsNotForgotten) {
  look("b", "d", 900);
  put("c", 1200);
  look("b", "d", 1500);  // it was removed meanwhile
  EXPECT_EQ(found("c", 1400), "");
  EXPECT_EQ(found("c", 1600), "");
  look("b", "d", 1600);
  EXPECT_EQ(found("c", 1600), "b d");
}

TEST_F(Emptiness, WhatContinuesItTakesItsPlace) {
  look("b", "d", 900);
  look("b", "d", 1500);
  look("b", "f", 1600, 1650);
  EXPECT_EQ(found("c", 1600), "b d");
  EXPECT_EQ(found("e", 1700), "");
  look("b", "g", 1700, 1650, false);
  EXPECT_EQ(found("c", 1700), "b f");
  EXPECT_EQ(found("e", 1700), "b f");
  EXPECT_EQ(found("f", 1700), "");
}

TEST_F(Emptiness, WhatIsNotWorthKeepingConfirmsOnly) {
  look("b", "d", 900, kTail, false);
  EXPECT_FALSE(vacancies_.any());
  look("b", "d", 900);
  look("a", "e", 1500, kTail, false);
  EXPECT_EQ(found("c", 1500), "b d");
}

TEST_F(Emptiness, PutsThatReadersCannotSeeComingKeepItFromBeingLearned) {
  {
    const UnseenPuts unseen(vacancies_);
    look("b", "d", 900);
    EXPECT_FALSE(vacancies_.any());
  }
  look("b", "d", 900);
  EXPECT_TRUE(vacancies_.any());
}

TEST_F(Emptiness, TheOldestGoWhenTheyAreTooMany) {
  for (int i = 0; i < 100; ++i) {
    const std::string from = "k" + std::to_string(1000 + i);
    look(from, from + "x", 900);
    look(from, from + "x", 1500);
    EXPECT_EQ(found(from, 1500), from + " " + from + "x");
  }
  EXPECT_EQ(found("k1000", 1500), "");
}

TEST_F(Emptiness, LongKeysAreNotKept) {
  look(std::string(2000, 'b'), "d", 900);
  EXPECT_FALSE(vacancies_.any());
}

}  // namespace
}  // namespace lightning
