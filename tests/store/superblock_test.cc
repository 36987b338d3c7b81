// Stories of the superblock on a disk in memory: which slot is written, and what either may lose.
#include "store/superblock.h"

#include <gtest/gtest.h>

#include "tests/store/fault_vfs.h"

namespace fettle::store {
namespace {

constexpr const char* kPath = "group.db-superblock";

Point point(std::uint64_t sequence) { return {sequence, "tip " + std::to_string(sequence)}; }

std::unique_ptr<Superblock> open(Disk& disk) {
  auto opened = Superblock::open(disk, kPath);
  EXPECT_TRUE(opened) << opened.error().what;
  return opened ? *std::move(opened) : nullptr;
}

TEST(Superblock, ANewOneHoldsNothing) {
  FaultDisk disk;
  EXPECT_EQ(open(disk)->newest(), std::nullopt);
}

TEST(Superblock, ASecondOpenerIsRefused) {
  FaultDisk disk;
  const auto first = open(disk);
  const auto second = Superblock::open(disk, kPath);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::Conflict);
}

TEST(Superblock, WhatWasWrittenSurvivesTheProcessAndWhatWasSyncedThePower) {
  FaultDisk disk;
  {
    const auto block = open(disk);
    ASSERT_TRUE(block->write(point(1)));
    ASSERT_TRUE(block->sync());
    ASSERT_TRUE(block->write(point(2)));
  }
  FaultDisk killed({}, disk.image());
  EXPECT_EQ(open(killed)->newest(), point(2));
  FaultDisk dark({}, disk.platter().after_power_loss([](auto, auto) { return false; }));
  EXPECT_EQ(open(dark)->newest(), point(1));
}

TEST(Superblock, TheDurableSlotIsNeverWrittenTo) {
  FaultDisk disk;
  const auto block = open(disk);
  ASSERT_TRUE(block->write(point(1)));
  ASSERT_TRUE(block->sync());
  for (std::uint64_t n = 2; n <= 9; ++n) ASSERT_TRUE(block->write(point(n)));
  Image torn = disk.image();
  const std::size_t at = torn.find(kPath)->find("tip 9");
  ASSERT_NE(at, std::string::npos);
  (*torn.find(kPath))[at] = '?';
  FaultDisk after({}, torn);
  EXPECT_EQ(open(after)->newest(), point(1));
}

TEST(Superblock, NorIsTheOneThatWasFoundAtTheStart) {
  FaultDisk disk;
  {
    const auto block = open(disk);
    for (std::uint64_t n = 1; n <= 2; ++n) {
      ASSERT_TRUE(block->write(point(n)));
      ASSERT_TRUE(block->sync());
    }
  }
  const auto block = open(disk);
  ASSERT_TRUE(block->write(point(3)));
  Image torn = disk.image();
  (*torn.find(kPath))[torn.find(kPath)->find("tip 3")] = '?';
  FaultDisk after({}, torn);
  EXPECT_EQ(open(after)->newest(), point(2));
}

TEST(Superblock, SettledEitherSlotMayBeDamaged) {
  FaultDisk disk;
  const auto block = open(disk);
  for (std::uint64_t n = 1; n <= 3; ++n) ASSERT_TRUE(block->write(point(n)));
  ASSERT_TRUE(block->settle());
  const std::string* content = disk.image().find(kPath);
  for (std::size_t at = content->find("tip 3"); at != std::string::npos;
       at = content->find("tip 3", at + 1)) {
    Image image = disk.image();
    (*image.find(kPath))[at] = '?';
    FaultDisk damaged({}, image);
    EXPECT_EQ(open(damaged)->newest(), point(3));
  }
  const std::size_t operations = disk.ops().size();
  ASSERT_TRUE(block->settle());
  EXPECT_EQ(disk.ops().size(), operations) << "what is settled costs nothing";
}

TEST(Superblock, OneRecordIsOneSector) {
  EXPECT_EQ(encode_slot({1, std::string(400, 't')}).size(), 512U);
  EXPECT_LE(encode_slot({1, std::string(kTipBytesMax, 't')}).size(), kSlotBytes);
}

}  // namespace
}  // namespace fettle::store
