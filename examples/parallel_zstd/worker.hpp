/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_WORKER_HPP
#define PARALLEL_ZSTD_WORKER_HPP

/* worker.hpp - a worker process from its first instruction to its last. */

#include "seats.hpp"

#include <cstdint>

#include <sys/types.h>

namespace parallel_zstd
{

/* Takes its seat, serves until the uring is shut down, and ends with the parent. Returns
 * its exit status. */
int work(int region_fd, pid_t parent, const seats &where, std::uint32_t seat) noexcept;

} // namespace parallel_zstd

#endif
