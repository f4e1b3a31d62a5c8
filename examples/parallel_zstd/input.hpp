/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_INPUT_HPP
#define PARALLEL_ZSTD_INPUT_HPP

/* input.hpp - the file or pipe that is compressed. */

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <sys/stat.h>

namespace parallel_zstd
{

class input
{
public:
	/* "-": standard input. Throws failure. */
	explicit input(const std::string &path);
	~input();
	input(const input &) = delete;
	input &operator=(const input &) = delete;

	enum class state { full, end, nothing_yet };

	/*
	 * Reads behind the first @filled bytes of @chunk until it is full or the input
	 * ends, straight to where it will be compressed. A pipe that has nothing at the
	 * moment is not waited for.
	 */
	state fill(std::span<std::byte> chunk, std::size_t &filled);

	/* Waits until there is something to read, or for so long. */
	void wait(std::chrono::milliseconds longest) const;

	/* Of a regular file: how much of it there is. */
	std::optional<std::uint64_t> bytes_expected() const;
	const struct stat &status() const
	{
		return status_;
	}

private:
	bool ready(int timeout_ms) const;

	std::string name_;
	int fd_;
	struct stat status_;
};

} // namespace parallel_zstd

#endif
