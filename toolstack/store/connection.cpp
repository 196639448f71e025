// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/connection.hpp"

namespace vmm::store
{
namespace
{

// A message takes at least two reads, and a guest may hand out single bytes: reads are what is counted.
constexpr int kReadsPerTurn = 32;

} // namespace

// False when the transport is broken.
bool Connection::flush()
{
    while (!session_.outbox().empty()) {
        keep_();
        const Result<std::size_t> written = transport_.write(session_.outbox().front());
        if (!written) {
            return false;
        }
        if (*written == 0) {
            return true;
        }
        session_.consumed(*written);
    }
    return true;
}

Connection::Status Connection::serve()
{
    Status status = serve_until_limit();
    keep_();
    transport_.acknowledge();
    if (status == Status::idle && wants_to_read() && transport_.has_input()) {
        status = Status::more;
    }
    transport_.notify();
    return status;
}

Connection::Status Connection::serve_until_limit()
{
    if (!flush()) {
        return Status::closed;
    }
    for (int reads = 0; reads < kReadsPerTurn; ++reads) {
        if (!session_.outbox().accepts_requests()) {
            return Status::idle;
        }
        const Result<std::size_t> count = transport_.read(reader_.space());
        if (!count) {
            return Status::closed;
        }
        if (*count == 0) {
            return Status::idle;
        }
        const Message_reader::Progress progress = reader_.add(*count);
        if (progress == Message_reader::Progress::too_long) {
            return Status::too_long;
        }
        if (progress == Message_reader::Progress::complete) {
            handle_request(store_, session_, domains_, reader_.take());
            keep_();
            transport_.acknowledge();
            if (!flush()) {
                return Status::closed;
            }
        }
    }
    return Status::more;
}

} // namespace vmm::store
