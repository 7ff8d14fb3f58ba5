#include "base/epoch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/park.h"

namespace lightning {
namespace {

struct Counted {
  explicit Counted(std::atomic<int>& freed_count) : freed(freed_count) {}
  ~Counted() { freed.fetch_add(1); }
  std::atomic<int>& freed;
};

// Another thread that stands inside an epoch until it is told to leave.
class Reader {
 public:
  Reader() : thread_([this] { run(); }) {
    while (!inside_.load()) yield_thread();
  }
  ~Reader() { leave(); }
  void leave() {
    if (!thread_.joinable()) return;
    go_.store(true);
    thread_.join();
  }

 private:
  void run() {
    EpochGuard guard;
    inside_.store(true);
    while (!go_.load()) yield_thread();
  }
  std::atomic<bool> inside_{false};
  std::atomic<bool> go_{false};
  std::thread thread_;
};

TEST(Epoch, GuardsNest) {
  EXPECT_FALSE(inside_epoch());
  {
    EpochGuard outer;
    {
      EpochGuard inner;
      EXPECT_TRUE(inside_epoch());
    }
    EXPECT_TRUE(inside_epoch());
  }
  EXPECT_FALSE(inside_epoch());
}

TEST(Epoch, NothingIsFreedUnderAReader) {
  std::atomic<int> freed{0};
  Reader reader;
  epoch_retire(new Counted(freed));
  EXPECT_NE(epoch_reclaim(), 0u);
  EXPECT_EQ(freed.load(), 0);
  reader.leave();
  epoch_drain();
  EXPECT_EQ(freed.load(), 1);
  EXPECT_EQ(epoch_reclaim(), 0u);
}

TEST(Epoch, AReaderThatCameLaterKeepsNothing) {
  std::atomic<int> freed{0};
  epoch_retire(new Counted(freed));
  Reader reader;
  EXPECT_EQ(epoch_reclaim(), 0u);
  EXPECT_EQ(freed.load(), 1);
}

TEST(Epoch, LeavingTheInnerGuardKeepsTheOuter) {
  std::atomic<int> freed{0};
  {
    EpochGuard outer;
    epoch_retire(new Counted(freed));
    {
      EpochGuard inner;
    }
    EXPECT_NE(epoch_reclaim(), 0u);
    EXPECT_EQ(freed.load(), 0);
  }
  epoch_drain();
  EXPECT_EQ(freed.load(), 1);
}

TEST(Epoch, ADeleterMayRetire) {
  epoch_drain();
  static std::atomic<int> freed;
  freed = 0;  // of a repetition, too
  struct Chain {
    ~Chain() { epoch_retire(new Counted(freed)); }
  };
  epoch_retire(new Chain);
  epoch_drain();
  EXPECT_EQ(freed.load(), 1);
}

TEST(Epoch, ManyThreadsMayComeAndGo) {
  std::atomic<int> freed{0};
  constexpr int kThreads = 200;
  for (int i = 0; i < kThreads; ++i) {
    std::thread([&] {
      EpochGuard guard;
      epoch_retire(new Counted(freed));
    }).join();
  }
  epoch_drain();
  EXPECT_EQ(freed.load(), kThreads);
}

TEST(Epoch, ReadersNeverSeeAFreedObject) {
  struct Object {
    ~Object() { alive.store(0); }
    std::atomic<uint64_t> alive{0x600df00d};
  };
  std::atomic<Object*> current{new Object};
  std::atomic<bool> stop{false};
  std::atomic<int> bad{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        EpochGuard guard;
        const Object* const object = current.load(std::memory_order_acquire);
        for (int look = 0; look < 20; ++look) {
          if (object->alive.load(std::memory_order_relaxed) != 0x600df00d) bad.fetch_add(1);
        }
      }
    });
  }
  for (int i = 0; i < 20'000; ++i) {
    epoch_retire(current.exchange(new Object, std::memory_order_acq_rel));
    if (i % 4 == 0) epoch_reclaim();
  }
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  epoch_retire(current.load());
  epoch_drain();
  EXPECT_EQ(bad.load(), 0);
}

}  // namespace
}  // namespace lightning
