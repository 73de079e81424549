// Goal: every option that people and fstab write is taken or passed over, and what is unknown is
// refused by its name.
#include "fs/mount_options.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(MountOptions, HaveDefaults) {
  Result<MountOptions> options = parse_mount_options("");
  ASSERT_TRUE(options.ok());
  EXPECT_FALSE(options->read_only);
  EXPECT_FALSE(options->allow_other);
  EXPECT_EQ(options->checkpoint_seconds, 900);
  EXPECT_GT(options->cache_bytes, 0u);
}

TEST(MountOptions, TakeWhatVarveKnows) {
  Result<MountOptions> options = parse_mount_options(
      "ro,allow_other,passphrase_file=/etc/a "
      "b=c,cache=1G,dirty=32M,compression=zstd:12,checkpoint=0,snapshots=append");
  ASSERT_TRUE(options.ok()) << options.error().message();
  EXPECT_TRUE(options->read_only);
  EXPECT_TRUE(options->allow_other);
  EXPECT_TRUE(options->append_only_snapshots);
  EXPECT_EQ(options->passphrase_file, "/etc/a b=c");
  EXPECT_EQ(options->cache_bytes, uint64_t{1} << 30);
  EXPECT_EQ(options->dirty_bytes, uint64_t{32} << 20);
  EXPECT_EQ(options->checkpoint_seconds, 0);
  EXPECT_EQ(options->compression_level, 12);
  EXPECT_TRUE(parse_mount_options("io_uring=auto")->io_uring);
  EXPECT_FALSE(parse_mount_options("io_uring=off")->io_uring);
  EXPECT_EQ(parse_mount_options("compression=none")->compression_level, 0);
  EXPECT_FALSE(parse_mount_options("ro,rw")->read_only);
}

TEST(MountOptions, PassOverWhatIsForOthers) {
  for (const char* list :
       {"defaults", "_netdev,nofail,noauto,auto,user,users,nouser", "user=somebody",
        "x-systemd.automount,x-systemd.idle-timeout=5min,X-mount.mkdir", "relatime", ",,rw,"}) {
    Result<MountOptions> options = parse_mount_options(list);
    ASSERT_TRUE(options.ok()) << list;
    EXPECT_TRUE(options->kernel_flags.empty()) << list;
  }
}

TEST(MountOptions, GiveTheKernelItsFlags) {
  Result<MountOptions> options = parse_mount_options("nosuid,dev,noexec,noatime");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->kernel_flags,
            (std::vector<std::string>{"nosuid", "dev", "noexec", "noatime"}));
}

TEST(MountOptions, RefuseByName) {
  for (const char* wrong : {"bogus",
                            "bogus=1",
                            "cache",
                            "cache=",
                            "cache=x",
                            "cache=1Q",
                            "cache=99999999999T",
                            "dirty=0",
                            "dirty=1M",
                            "dirty=",
                            "compression=9",
                            "compression=zstd:0",
                            "compression=zstd:20",
                            "compression=zstd:3x",
                            "checkpoint=5y",
                            "checkpoint=-1",
                            "snapshots=always",
                            "io_uring=on",
                            "io_uring",
                            "ro=1",
                            "passphrase_file"}) {
    Result<MountOptions> options = parse_mount_options(std::string("rw,") + wrong);
    ASSERT_FALSE(options.ok()) << wrong;
    EXPECT_EQ(options.error().code(), Errc::kInvalid) << wrong;
  }
  EXPECT_NE(parse_mount_options("rw,bogus=1").error().message().find("bogus"), std::string::npos);
  EXPECT_EQ(parse_mount_options("ro,local=/x")->local, "/x");
  EXPECT_EQ(parse_mount_options("local=/x").error().code(), Errc::kInvalid);
  EXPECT_EQ(parse_mount_options("ro,local=").error().code(), Errc::kInvalid);
  EXPECT_FALSE(parse_mount_options("passphrase_file=a,key_file=b").ok());
}

TEST(MountOptions, ReadSizesAndTimes) {
  EXPECT_EQ(*parse_byte_count("4096"), 4096u);
  EXPECT_EQ(*parse_byte_count("64k"), 65536u);
  EXPECT_EQ(*parse_byte_count("2GiB"), uint64_t{2} << 30);
  EXPECT_FALSE(parse_byte_count("").ok());
  EXPECT_FALSE(parse_byte_count("1G1").ok());
  EXPECT_EQ(*parse_duration_seconds("90"), 90);
  EXPECT_EQ(*parse_duration_seconds("90s"), 90);
  EXPECT_EQ(*parse_duration_seconds("15m"), 900);
  EXPECT_EQ(*parse_duration_seconds("2h"), 7200);
  EXPECT_EQ(*parse_duration_seconds("1d"), 86400);
}

}  // namespace
}  // namespace varve
