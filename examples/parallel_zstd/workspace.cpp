/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* workspace.cpp - how much memory the job needs, and how each side gets at it. */

#include "workspace.hpp"

#include "failure.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include <zstd.h>

namespace parallel_zstd
{
namespace
{

/* Beside the blocks: header, records, directory, rings. */
constexpr std::uint64_t overhead_bytes = 1 << 20;

constexpr std::uint64_t round_up(std::uint64_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

std::uint32_t power_of_two(std::uint32_t at_least)
{
	return std::bit_ceil(std::max(at_least, 2U));
}

evering::region create_region(const evering::region_options &wanted)
{
	std::error_code error;
	auto made = evering::region::create(wanted, error);

	if (error) {
		const std::string detail = evr_error_detail();
		throw failure("cannot make shared memory (less: --window, --chunk, "
			      "no --huge): " +
			      (detail.empty() ? error.message() : detail));
	}
	return made;
}

} // namespace

workspace workspace::create(const options &wanted)
{
	/* For each request its block, a chunk, and a frame, which is the largest: zstd
	 * wants room for what does not compress. */
	const evering::pool_class classes[] = {
		{round_up(sizeof(job) + sizeof(result)), wanted.window},
		{round_up(wanted.chunk_bytes), wanted.window},
		{round_up(ZSTD_compressBound(wanted.chunk_bytes)), wanted.window},
	};
	std::uint64_t blocks_bytes = 0;
	for (const evering::pool_class &each : classes)
		blocks_bytes +=
			each.blocks_count * (each.payload_bytes + EVR_BLOCK_PREFIX_BYTES);

	workspace made;
	made.region = create_region({
		.bytes =
			overhead_bytes + blocks_bytes + 64 * std::uint64_t{wanted.window},
		.page_bytes = wanted.huge_pages ? EVR_PAGE_2M : EVR_PAGE_4K,
		/* The dead keep their record until they are recovered. */
		.participants = 2 * wanted.workers + 8,
		.name = "evr-zstd",
	});
	made.pool = evering::pool::create(made.region, classes);
	made.channel = channel::create(
		made.pool, {.submission_capacity = power_of_two(wanted.window),
			    .completion_capacity = power_of_two(wanted.window + 1),
			    .submitters = 1});
	made.agent = evering::agent(made.pool);
	return made;
}

workspace workspace::attach(int region_fd)
{
	workspace found;

	found.region = evering::region::attach(region_fd);
	found.pool = evering::pool::open(found.region);
	found.channel = channel::open(found.pool);
	found.agent = evering::agent(found.pool);
	return found;
}

} // namespace parallel_zstd
