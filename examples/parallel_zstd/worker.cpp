/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* worker.cpp - receive, compress in place, complete. */

#include "worker.hpp"

#include "failure.hpp"
#include "interrupt.hpp"
#include "workspace.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>

#include <sys/prctl.h>
#include <unistd.h>

#include <zstd.h>
#include <zstd_errors.h>

namespace parallel_zstd
{
namespace
{

struct free_context {
	void operator()(ZSTD_CCtx *context) const
	{
		ZSTD_freeCCtx(context);
	}
};

using compressor = std::unique_ptr<ZSTD_CCtx, free_context>;

/* From box to box, and home. */
void compress(ZSTD_CCtx *context, received &request)
{
	/* Copied once: what lies in shared memory can change under our eyes. */
	const job what = request.request();
	const std::span<std::byte> chunk = request.content(what.chunk);
	const std::span<std::byte> frame = request.content(what.frame);

	if (what.chunk_bytes > chunk.size())
		throw failure("a job names more bytes than its chunk has");

	/* The same bytes whoever does it, and how often. Checksum: as the zstd tool. */
	ZSTD_CCtx_reset(context, ZSTD_reset_session_only);
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, what.level);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	const std::size_t made = ZSTD_compress2(context, frame.data(), frame.size(),
						chunk.data(), what.chunk_bytes);
	/* False: the parent has gone. The blocks are free already, and so are we soon. */
	if (ZSTD_isError(made))
		request.complete(
			-EIO, {0, static_cast<std::uint32_t>(ZSTD_getErrorCode(made))});
	else
		request.complete(0, {static_cast<std::uint32_t>(made), 0});
}

void serve(workspace &space)
{
	compressor context(ZSTD_createCCtx());
	completer side(space.channel, space.agent, sleep_at_once);

	if (!context)
		throw failure("no memory for zstd");
	while (auto request = side.receive())
		compress(context.get(), *request);
}

} // namespace

int work(int region_fd, pid_t parent, const seats &where, std::uint32_t seat) noexcept
{
	forget_interrupts();
	/* A parent that died before this call does not count, hence the second look. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return EXIT_FAILURE;
	try {
		where.sit_as_worker(seat);
		workspace space = workspace::attach(region_fd);

		serve(space);
		return EXIT_SUCCESS;
	} catch (const std::exception &error) {
		std::fprintf(stderr, "evr-zstd: worker %d: %s\n",
			     static_cast<int>(getpid()), error.what());
		return EXIT_FAILURE;
	}
}

} // namespace parallel_zstd
