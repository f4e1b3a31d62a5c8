/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_STATS_HPP
#define PARALLEL_ZSTD_STATS_HPP

/* stats.hpp - what the last line says. */

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace parallel_zstd
{

using clock = std::chrono::steady_clock;

/*
 * Times, counted in buckets that grow with the value: the same small memory for any
 * number of them, and a percentile that is at most 1/32 too large.
 */
class histogram
{
public:
	void add(std::chrono::nanoseconds time);
	/* @part: 0.5 for the median. Microseconds; 0 when nothing was added. */
	double percentile_us(double part) const;

private:
	static constexpr unsigned fraction_bits = 5;

	static unsigned bucket(std::uint64_t value);
	static std::uint64_t highest_of(unsigned bucket);

	std::array<std::uint64_t, (64 - fraction_bits + 1) << fraction_bits> counts_{};
	std::uint64_t total_ = 0;
};

struct stats {
	clock::time_point started = clock::now();
	std::uint64_t bytes_in = 0;
	std::uint64_t bytes_out = 0;
	std::uint64_t killed = 0;    /* by --kill-every */
	std::uint64_t recovered = 0; /* requests that came back from dead workers */
	histogram times;	     /* of a chunk, from submission to its return */

	/* "bytes=... out=... MB/s=... ..." */
	std::string line(std::uint32_t workers) const;
};

} // namespace parallel_zstd

#endif
