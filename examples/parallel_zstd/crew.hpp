/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_CREW_HPP
#define PARALLEL_ZSTD_CREW_HPP

/* crew.hpp - the worker processes: started, killed, buried, replaced. */

#include "seats.hpp"

#include <cstdint>
#include <random>
#include <vector>

#include <sys/types.h>

namespace parallel_zstd
{

class crew
{
public:
	/* Starts @size workers on the region behind the descriptor, each in a seat of
	 * its own. Throws failure. */
	crew(std::uint32_t size, int region_fd, const seats &where);
	/* Kills those that are left. */
	~crew();
	crew(const crew &) = delete;
	crew &operator=(const crew &) = delete;

	/*
	 * Looks, without waiting, whether workers have ended, and starts others in their
	 * place. Returns how many had ended. Throws failure when that makes no sense any
	 * more: a worker that gave up would give up again, and so would one more of very
	 * many that were killed with nothing done in between.
	 */
	std::uint32_t replace_ended();

	/* SIGKILL to one of them, and another in its place. Throws failure when very many
	 * have been killed with nothing done in between. */
	void kill_random();

	/* A chunk was done: the deaths so far were not in vain. */
	void made_progress()
	{
		deaths_in_vain_ = kills_in_vain_ = 0;
	}

	/* The rings are shut down: gives the workers a while to end by themselves. */
	void dismiss();

private:
	/* Who comes in another's place sits down in its seat. */
	struct member {
		pid_t pid;
		std::uint32_t seat;
	};

	void start(std::uint32_t seat);
	void bury(std::size_t index, int status);

	std::vector<member> members_;
	int region_fd_;
	const seats &seats_;
	std::uint32_t deaths_in_vain_ = 0;
	std::uint32_t kills_in_vain_ = 0;
	std::mt19937 random_{std::random_device{}()};
};

} // namespace parallel_zstd

#endif
