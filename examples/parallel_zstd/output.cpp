/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* output.cpp - written without a name, named when complete. */

#include "output.hpp"

#include "failure.hpp"
#include "interrupt.hpp"

#include <cerrno>
#include <filesystem>
#include <random>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace parallel_zstd
{
namespace
{

std::string hidden_name()
{
	std::random_device random;

	return ".evr-zstd-" + std::to_string(getpid()) + "-" + std::to_string(random());
}

/* Where the name leads: a link's target is replaced, not the link. */
std::string resolved(const std::string &path)
{
	std::error_code error;
	auto real = std::filesystem::canonical(path, error);

	return error ? path : real.string();
}

} // namespace

output::output(const std::string &path, const struct stat &source)
	: name_("'" + path + "'")
{
	struct stat there;

	if (path == "-") {
		name_ = "standard output";
		fd_ = STDOUT_FILENO;
		return;
	}
	if (stat(path.c_str(), &there) == 0) {
		if (S_ISDIR(there.st_mode))
			throw failure("cannot write " + name_ +
				      ": it is a directory; name a file in it");
		if (S_ISREG(there.st_mode) && there.st_dev == source.st_dev &&
		    there.st_ino == source.st_ino)
			throw failure("cannot write " + name_ +
				      ": it is the input; choose another name with -o");
		if (!S_ISREG(there.st_mode)) {
			fd_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
			if (fd_ < 0)
				cannot_write(errno);
			return;
		}
	}
	path_ = resolved(path);
	open_directory();
	open_unnamed(S_ISREG(source.st_mode) ? source.st_mode & 0777 : 0666);
}

output::~output()
{
	if (!temporary_.empty())
		unlinkat(directory_, temporary_.c_str(), 0);
	if (fd_ >= 0 && fd_ != STDOUT_FILENO)
		close(fd_);
	if (directory_ >= 0)
		close(directory_);
}

void output::open_directory()
{
	auto parent = std::filesystem::path(path_).parent_path();
	std::string directory = parent.empty() ? "." : parent.string();

	directory_ = open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory_ < 0)
		system_failure("cannot write " + name_ + " in '" + directory + "'", errno,
			       "make the directory, or choose another with -o");
	path_ = std::filesystem::path(path_).filename().string();
	if (path_.empty() || path_ == "." || path_ == "..")
		throw failure("cannot write " + name_ +
			      ": it does not end in a file's name");
}

void output::open_unnamed(unsigned mode)
{
	fd_ = openat(directory_, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
	if (fd_ >= 0)
		return;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
		cannot_write(errno);

	std::string hidden = hidden_name();
	fd_ = openat(directory_, hidden.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC,
		     mode);
	if (fd_ < 0)
		cannot_write(errno);
	temporary_ = hidden;
}

void output::write(std::span<const std::byte> bytes)
{
	while (!bytes.empty()) {
		check_interrupt();
		ssize_t written = ::write(fd_, bytes.data(), bytes.size());

		if (written >= 0)
			bytes = bytes.subspan(static_cast<std::size_t>(written));
		else if (errno == EAGAIN)
			wait_for_reader();
		else if (errno != EINTR)
			cannot_write(errno);
	}
}

void output::wait_for_reader() const
{
	pollfd entry = {fd_, POLLOUT, 0};

	poll(&entry, 1, -1);
}

void output::commit()
{
	if (!path_.empty() && temporary_.empty()) {
		std::string self = "/proc/self/fd/" + std::to_string(fd_);
		std::string hidden = hidden_name();

		/* linkat() replaces nothing, so the file gets a hidden name first. */
		if (linkat(AT_FDCWD, self.c_str(), directory_, hidden.c_str(),
			   AT_SYMLINK_FOLLOW) < 0)
			cannot_write(errno);
		temporary_ = hidden;
	}
	if (fd_ != STDOUT_FILENO) {
		int closed = close(fd_);

		fd_ = -1;
		/* Some file systems tell only now that the disk is full. */
		if (closed < 0)
			cannot_write(errno);
	}
	if (!path_.empty()) {
		if (renameat(directory_, temporary_.c_str(), directory_, path_.c_str()) <
		    0)
			cannot_write(errno);
		temporary_.clear();
	}
}

void output::cannot_write(int error) const
{
	const char *cure = "check the name and its permissions";

	if (error == ENOSPC || error == EDQUOT || error == EFBIG)
		cure = "make room, or choose another place with -o";
	else if (error == EPIPE)
		cure = "whoever read it has ended";
	else if (error == EROFS || error == EACCES || error == EPERM)
		cure = "choose a directory with -o that you may write to";
	system_failure("cannot write " + name_, error, cure);
}

} // namespace parallel_zstd
