#include "execute/shared_races.hpp"

#include <gtest/gtest.h>

using namespace emulator;

namespace
{

class SharedRacesTest : public ::testing::Test
{
protected:
    SharedRacesTest() { races.resize(64); }
    bool collides(std::uint64_t offset, std::uint64_t size, std::uint32_t warp, Access kind)
    {
        return races.access(offset, size, warp, kind).has_value();
    }
    SharedRaces races;
};

TEST_F(SharedRacesTest, ReadersDoNotCollide)
{
    EXPECT_FALSE(collides(0, 8, 0, Access::read));
    EXPECT_FALSE(collides(0, 8, 1, Access::read));
}

TEST_F(SharedRacesTest, WriterCollidesWithEarlierReaderAndWriterOfOtherWarps)
{
    EXPECT_FALSE(collides(0, 8, 0, Access::write));
    EXPECT_FALSE(collides(0, 8, 0, Access::read));
    EXPECT_TRUE(collides(4, 4, 1, Access::read));
    EXPECT_FALSE(collides(8, 8, 1, Access::read));
    EXPECT_TRUE(collides(8, 8, 0, Access::write));
}

TEST_F(SharedRacesTest, NamesTheOtherWarp)
{
    races.access(0, 4, 3, Access::write);
    auto const conflict = races.access(0, 4, 5, Access::read);
    ASSERT_TRUE(conflict);
    EXPECT_EQ(conflict->warp, 3U);
    EXPECT_EQ(conflict->other, Access::write);
    EXPECT_FALSE(conflict->several);
}

TEST_F(SharedRacesTest, AWriterAmongSeveralReadersCollides)
{
    collides(0, 4, 0, Access::read);
    collides(0, 4, 1, Access::read);
    auto const conflict = races.access(0, 4, 1, Access::write);
    ASSERT_TRUE(conflict);
    EXPECT_TRUE(conflict->several);
}

TEST_F(SharedRacesTest, BarrierForgets)
{
    collides(0, 4, 0, Access::write);
    races.next_phase();
    EXPECT_FALSE(collides(0, 4, 1, Access::write));
}

TEST_F(SharedRacesTest, NeighboursInAWordDoNotCollide)
{
    EXPECT_FALSE(collides(0, 1, 0, Access::write));
    EXPECT_FALSE(collides(1, 1, 1, Access::write));
    EXPECT_FALSE(collides(2, 2, 2, Access::write));
    EXPECT_TRUE(collides(0, 1, 3, Access::read));
    EXPECT_TRUE(collides(0, 4, 3, Access::read));
}

TEST_F(SharedRacesTest, PartOfAWrittenWordCollides)
{
    EXPECT_FALSE(collides(4, 4, 0, Access::write));
    EXPECT_TRUE(collides(6, 1, 1, Access::read));
}

TEST_F(SharedRacesTest, AtomicsCollideWithOthersOnly)
{
    EXPECT_FALSE(collides(0, 4, 0, Access::atomic));
    EXPECT_FALSE(collides(0, 4, 1, Access::atomic));
    EXPECT_TRUE(collides(0, 4, 2, Access::read));
    EXPECT_TRUE(collides(0, 4, 2, Access::write));
}

} // namespace
