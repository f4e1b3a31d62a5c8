/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* progress.cpp - drawing on standard error, and wiping it off again. */

#include "progress.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include <unistd.h>

namespace parallel_zstd
{
namespace
{

constexpr std::chrono::milliseconds interval{100};
constexpr int bar_width = 30;
constexpr char wipe[] = "\r\x1b[K";

} // namespace

progress::progress(std::optional<std::uint64_t> bytes_expected, bool quiet)
	: expected_(bytes_expected), enabled_(!quiet && isatty(STDERR_FILENO))
{
}

progress::~progress()
{
	if (drawn_)
		std::fputs(wipe, stderr);
}

void progress::show(const stats &now)
{
	if (!enabled_ || clock::now() < next_)
		return;
	next_ = clock::now() + interval;
	drawn_ = true;
	draw(now);
}

void progress::draw(const stats &now)
{
	std::chrono::duration<double> elapsed = clock::now() - now.started;
	double rate =
		static_cast<double>(now.bytes_in) / 1e6 / std::max(elapsed.count(), 1e-3);

	std::fputs(wipe, stderr);
	if (expected_) {
		double part = std::min(1.0, static_cast<double>(now.bytes_in) /
						    static_cast<double>(*expected_));
		int filled = static_cast<int>(part * bar_width);
		std::fprintf(stderr, "[%.*s%*s] %3.0f %%  ", filled,
			     "==============================", bar_width - filled, "",
			     part * 100);
	}
	std::fprintf(stderr, "%.1f MB  %.1f MB/s",
		     static_cast<double>(now.bytes_in) / 1e6, rate);
	if (now.killed || now.recovered)
		std::fprintf(stderr, "  killed %" PRIu64 ", recovered %" PRIu64,
			     now.killed, now.recovered);
	std::fflush(stderr);
}

} // namespace parallel_zstd
