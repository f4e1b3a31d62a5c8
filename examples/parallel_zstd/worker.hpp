/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_WORKER_HPP
#define PARALLEL_ZSTD_WORKER_HPP

/* worker.hpp - a worker process from its first instruction to its last. */

#include <sys/types.h>

namespace parallel_zstd
{

/* Serves until the uring is shut down; ends with the parent. Returns its exit status. */
int work(int region_fd, pid_t parent) noexcept;

} // namespace parallel_zstd

#endif
