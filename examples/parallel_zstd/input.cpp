/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* input.cpp - read(2) into the caller's memory. */

#include "input.hpp"

#include "failure.hpp"
#include "interrupt.hpp"

#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace parallel_zstd
{

input::input(const std::string &path)
	: name_(path == "-" ? "standard input" : "'" + path + "'"),
	  fd_(path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC))
{
	if (fd_ < 0)
		system_failure("cannot read " + name_, errno,
			       "check the name and its permissions");
	if (fstat(fd_, &status_) < 0)
		system_failure("cannot read " + name_, errno, "is it open?");
	if (S_ISDIR(status_.st_mode))
		throw failure("cannot read " + name_ +
			      ": it is a directory; pack it first, for example with tar");
	if (S_ISREG(status_.st_mode))
		posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL);
}

input::~input()
{
	if (fd_ != STDIN_FILENO)
		close(fd_);
}

input::state input::fill(std::span<std::byte> chunk, std::size_t &filled)
{
	while (filled < chunk.size()) {
		check_interrupt();
		if (!S_ISREG(status_.st_mode) && !ready(0))
			return state::nothing_yet;

		ssize_t got = read(fd_, chunk.data() + filled, chunk.size() - filled);
		if (got == 0)
			return state::end;
		if (got > 0)
			filled += static_cast<std::size_t>(got);
		else if (errno == EAGAIN)
			return state::nothing_yet;
		else if (errno != EINTR)
			system_failure("cannot read " + name_, errno,
				       "check the device it lies on");
	}
	return state::full;
}

void input::wait(std::chrono::milliseconds longest) const
{
	ready(static_cast<int>(longest.count()));
}

bool input::ready(int timeout_ms) const
{
	pollfd entry = {fd_, POLLIN, 0};

	/* An error is something to read as well: read() says which. */
	return poll(&entry, 1, timeout_ms) != 0 && entry.revents != 0;
}

std::optional<std::uint64_t> input::bytes_expected() const
{
	/* Files in /proc say 0 and mean that they do not know. */
	if (!S_ISREG(status_.st_mode) || status_.st_size == 0)
		return std::nullopt;
	return static_cast<std::uint64_t>(status_.st_size);
}

} // namespace parallel_zstd
