/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_OUTPUT_HPP
#define PARALLEL_ZSTD_OUTPUT_HPP

/* output.hpp - the compressed file: all of it under its name, or nothing. */

#include <cstddef>
#include <span>
#include <string>

#include <sys/stat.h>

namespace parallel_zstd
{

/*
 * A regular file has no name while it is written (O_TMPFILE), so that a full disk, a
 * crash or a SIGKILL leaves nothing behind; commit() gives it its name, replacing what
 * had it, in one step. File systems without O_TMPFILE get a hidden name in the same
 * directory, which only a SIGKILL can leave behind. Standard output, devices and pipes
 * are written as they are.
 */
class output
{
public:
	/* "-": standard output. @source: what is read, which gives the new file its mode
	 * and is refused as the output. Throws failure. */
	output(const std::string &path, const struct stat &source);
	~output();
	output(const output &) = delete;
	output &operator=(const output &) = delete;

	void write(std::span<const std::byte> bytes);
	void commit();

private:
	void open_directory();
	void open_unnamed(unsigned mode);
	void wait_for_reader() const;
	[[noreturn]] void cannot_write(int error) const;

	std::string name_;      /* for messages */
	std::string path_;      /* what it will be called; empty: written as it is */
	std::string temporary_; /* what it is called now, in directory_ */
	int directory_ = -1;
	int fd_ = -1;
};

} // namespace parallel_zstd

#endif
