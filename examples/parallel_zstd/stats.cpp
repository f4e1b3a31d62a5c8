/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* stats.cpp - counting times, and the line of figures. */

#include "stats.hpp"

#include <bit>
#include <cinttypes>
#include <cstdio>

namespace parallel_zstd
{

/* Below 2^5 a bucket is a value; above, the leading bit and the five bits behind it. */
unsigned histogram::bucket(std::uint64_t value)
{
	unsigned width = static_cast<unsigned>(std::bit_width(value));

	if (width <= fraction_bits)
		return static_cast<unsigned>(value);

	unsigned shift = width - 1 - fraction_bits;
	return (shift << fraction_bits) + static_cast<unsigned>(value >> shift);
}

std::uint64_t histogram::highest_of(unsigned bucket)
{
	constexpr unsigned step = 1U << fraction_bits;

	if (bucket < 2 * step)
		return bucket;

	unsigned shift = (bucket >> fraction_bits) - 1;
	std::uint64_t lowest = (std::uint64_t{bucket % step + step}) << shift;
	return lowest + ((std::uint64_t{1} << shift) - 1);
}

void histogram::add(std::chrono::nanoseconds time)
{
	counts_[bucket(static_cast<std::uint64_t>(time.count()))]++;
	total_++;
}

double histogram::percentile_us(double part) const
{
	auto wanted = static_cast<std::uint64_t>(static_cast<double>(total_) * part);
	std::uint64_t passed = 0;

	for (unsigned i = 0; i < counts_.size(); i++) {
		passed += counts_[i];
		if (passed > wanted || (passed == total_ && total_ > 0))
			return static_cast<double>(highest_of(i)) / 1000;
	}
	return 0;
}

std::string stats::line(std::uint32_t workers) const
{
	std::chrono::duration<double> elapsed = clock::now() - started;
	char text[256];

	std::snprintf(text, sizeof(text),
		      "bytes=%" PRIu64 " out=%" PRIu64 " MB/s=%.1f workers=%" PRIu32
		      " p50_us=%.0f p99_us=%.0f killed=%" PRIu64 " recovered=%" PRIu64,
		      bytes_in, bytes_out,
		      static_cast<double>(bytes_in) / 1e6 / elapsed.count(), workers,
		      times.percentile_us(0.50), times.percentile_us(0.99), killed,
		      recovered);
	return text;
}

} // namespace parallel_zstd
