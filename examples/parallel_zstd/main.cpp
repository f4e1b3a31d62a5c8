/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * evr-zstd - a real file, compressed by worker processes over shared memory.
 *
 *	options    the command line
 *	input      the file or pipe that is read, straight into blocks
 *	output     the file that appears when it is complete
 *	job        what parent and workers say to each other
 *	workspace  region, pool, channel, agent: as each process sees them
 *	worker     receive, compress, complete
 *	crew       the worker processes: started, killed, replaced
 *	seats      which of them runs on which CPU, if evering-pin chose
 *	pipeline   the parent's loop
 *	stats      the figures of the last line; progress draws them while it lasts
 *
 * Kill any worker at any time, by hand or with --kill-every: what it had in hand comes
 * back through Evering's recovery, is submitted again, and the output is the same.
 */

#include "crew.hpp"
#include "failure.hpp"
#include "input.hpp"
#include "interrupt.hpp"
#include "options.hpp"
#include "output.hpp"
#include "pipeline.hpp"
#include "seats.hpp"
#include "stats.hpp"
#include "workspace.hpp"

#include <cstdio>
#include <cstdlib>

using namespace parallel_zstd;

namespace
{

void compress(const options &wanted)
{
	stats figures;
	input from(wanted.input);
	output to(wanted.output, from.status());
	workspace space = workspace::create(wanted);
	const seats where;
	crew workers(wanted.workers, space.region.fd(), where);

	{
		where.sit_as_parent();
		pipeline parent(wanted, space, workers, from, to, figures);

		parent.run();
		to.commit();
	}
	/* It fails when the submission ring is full, and ours is empty. */
	if (space.channel.try_shutdown())
		workers.dismiss();
	if (!wanted.quiet)
		std::fprintf(stderr, "%s %s\n", figures.line(wanted.workers).c_str(),
			     where.line(wanted.workers).c_str());
}

} // namespace

int main(int argc, char **argv)
{
	try {
		auto wanted = parse_options(argc, argv);

		if (!wanted)
			return std::fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		remember_interrupts();
		compress(*wanted);
		return EXIT_SUCCESS;
	} catch (const usage_failure &error) {
		std::fprintf(stderr, "evr-zstd: %s\n", error.what());
		return 2;
	} catch (const std::exception &error) {
		std::fprintf(stderr, "evr-zstd: %s\n", error.what());
		return EXIT_FAILURE;
	}
}
