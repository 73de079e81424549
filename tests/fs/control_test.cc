// Goal: a request reaches its handler and the answer comes back; peers that say nonsense, nothing
// or go away harm nobody.
#include "fs/control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "dedup/base/unique_fd.h"

namespace varve {
namespace {

using Json = nlohmann::json;

class ControlTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "varve-control.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/control";
  }
  void TearDown() override {
    server_.reset();
    EXPECT_EQ(::rmdir(directory_.c_str()), 0) << "something was left behind";
  }

  void start() {
    std::map<std::string, ControlHandler> handlers;
    handlers["echo"] = [](const Json& request) -> Result<Json> {
      return Json{{"said", request.value("say", "")}};
    };
    handlers["nothing"] = [](const Json&) -> Result<Json> { return Json(); };
    handlers["fail"] = [](const Json&) -> Result<Json> { return Error(Errc::kBusy, "no time"); };
    handlers["large"] = [](const Json&) -> Result<Json> {
      return Json{{"said", std::string(5'000'000, 'x')}};
    };
    Result<std::unique_ptr<ControlServer>> server =
        ControlServer::start(path_, std::move(handlers));
    ASSERT_TRUE(server.ok()) << server.error().message();
    server_ = std::move(server).value();
  }

  // What the server says to raw bytes.
  std::string raw(const std::string& bytes) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    (void)::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::shutdown(socket.get(), SHUT_WR);
    std::string answer;
    char piece[4096];
    for (ssize_t got; (got = ::recv(socket.get(), piece, sizeof piece, 0)) > 0;) {
      answer.append(piece, static_cast<size_t>(got));
    }
    return answer;
  }

  std::string directory_, path_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlTest, Answers) {
  start();
  Result<Json> answer = control_call(path_, {{"command", "echo"}, {"say", "line\nbreak \xc3\xa4"}});
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ((*answer)["said"], "line\nbreak \xc3\xa4");
  EXPECT_EQ((*answer)["ok"], true);
  EXPECT_TRUE(control_call(path_, {{"command", "nothing"}}).ok());
  answer = control_call(path_, {{"command", "large"}});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ((*answer)["said"].get<std::string>().size(), 5'000'000u);
  struct stat st {};
  ASSERT_EQ(::stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
}

TEST_F(ControlTest, HandsErrorsOn) {
  start();
  Result<Json> answer = control_call(path_, {{"command", "fail"}});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), Errc::kBusy);
  EXPECT_EQ(answer.error().message(), "no time");
  EXPECT_EQ(control_call(path_, {{"command", "other"}}).error().code(), Errc::kUnsupported);
  EXPECT_EQ(control_call(path_, {{"no", "command"}}).error().code(), Errc::kInvalid);
}

TEST_F(ControlTest, BearsNonsense) {
  start();
  EXPECT_NE(raw("nonsense\n").find("\"invalid\""), std::string::npos);
  EXPECT_NE(raw("[]\n").find("\"invalid\""), std::string::npos);
  EXPECT_NE(raw("{\"command\": \"echo\", \"say\": 7}\n").find("\"invalid\""), std::string::npos);
  EXPECT_EQ(raw(""), "");
  EXPECT_EQ(raw("{\"command\": \"echo\""), "");  // no line's end
  EXPECT_EQ(raw(std::string(200'000, '[')), "");
  EXPECT_EQ(raw(std::string(10'000, '[') + "\n").substr(0, 1), "{");
  // Bytes that are no UTF-8 are refused as JSON, and names in answers that are none are replaced.
  EXPECT_NE(raw("{\"command\": \"echo\", \"say\": \"\xff\"}\n").find("\"invalid\""),
            std::string::npos);
  EXPECT_TRUE(control_call(path_, {{"command", "echo"}, {"say", "\xff"}}).ok());
}

TEST_F(ControlTest, ServesSeveralAtOnce) {
  start();
  std::vector<std::thread> callers;
  for (int i = 0; i < 16; i++) {
    callers.emplace_back([this, i] {
      Result<Json> answer = control_call(path_, {{"command", "echo"}, {"say", std::to_string(i)}});
      ASSERT_TRUE(answer.ok()) << answer.error().message();
      EXPECT_EQ((*answer)["said"], std::to_string(i));
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST_F(ControlTest, SaysThatNobodyListens) {
  EXPECT_EQ(control_call(path_, {{"command", "echo"}}).error().code(), Errc::kNotFound);
  start();
  server_.reset();
  EXPECT_EQ(control_call(path_, {{"command", "echo"}}).error().code(), Errc::kNotFound);
}

TEST_F(ControlTest, ReplacesASocketOfACrashedDaemon) {
  start();
  // A second server takes the path over, as after a crash.
  std::unique_ptr<ControlServer> first = std::move(server_);
  start();
  EXPECT_TRUE(control_call(path_, {{"command", "nothing"}}).ok());
  server_.reset();
}

}  // namespace
}  // namespace varve
