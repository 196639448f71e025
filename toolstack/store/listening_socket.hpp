// SPDX-License-Identifier: Apache-2.0
#pragma once
// The Unix socket stock clients find the store at. Owner-only (mode 0600): whoever can connect has dom0's
// rights.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <string>

namespace vmm::store
{

class Listening_socket
{
  public:
    // Makes the directory, replaces a socket nobody serves any more, and refuses (busy) if somebody does.
    [[nodiscard]] static Result<Listening_socket> create(const std::string& path);
    Listening_socket(Listening_socket&&)            = default;
    Listening_socket& operator=(Listening_socket&&) = delete;
    ~Listening_socket(); // removes the socket from the file system

    [[nodiscard]] int fd() const { return socket_.get(); }
    // The next client, non-blocking; Errc::again when none waits.
    [[nodiscard]] Result<Unique_fd> accept();

  private:
    Listening_socket(Unique_fd socket, std::string path) : socket_(std::move(socket)), path_(std::move(path))
    {
    }

    Unique_fd socket_;
    std::string path_;
};

} // namespace vmm::store
