/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_PROGRESS_HPP
#define PARALLEL_ZSTD_PROGRESS_HPP

/* progress.hpp - a line that is drawn over and over, for a person at a terminal. */

#include "stats.hpp"

#include <optional>

namespace parallel_zstd
{

class progress
{
public:
	/* @bytes_expected: of the input, where that is known. @quiet: never draw. */
	progress(std::optional<std::uint64_t> bytes_expected, bool quiet);
	~progress();
	progress(const progress &) = delete;
	progress &operator=(const progress &) = delete;

	/* Draws, if the last time was long enough ago. */
	void show(const stats &now);

private:
	void draw(const stats &now);

	std::optional<std::uint64_t> expected_;
	bool enabled_;
	bool drawn_ = false;
	clock::time_point next_{};
};

} // namespace parallel_zstd

#endif
