/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_WORKSPACE_HPP
#define PARALLEL_ZSTD_WORKSPACE_HPP

/* workspace.hpp - the shared memory of the job, as one process sees it. */

#include "job.hpp"
#include "options.hpp"

namespace parallel_zstd
{

/*
 * Parent and workers sleep at once when there is nothing to do. Spinning would take the
 * processor from a worker that has a chunk to compress.
 */
inline constexpr evering::wait_options sleep_at_once{std::chrono::nanoseconds(0)};

/* Each member stands on those before it, and ends before them. */
struct workspace {
	evering::region region;
	evering::pool pool;
	parallel_zstd::channel channel;
	evering::agent agent;

	/* The parent's: made for these options. Throws. */
	static workspace create(const options &wanted);
	/* A worker's: attached to what is behind the descriptor. Throws. */
	static workspace attach(int region_fd);
};

} // namespace parallel_zstd

#endif
