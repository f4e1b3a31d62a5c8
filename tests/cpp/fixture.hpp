/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_CPP_FIXTURE_HPP
#define EVERING_TESTS_CPP_FIXTURE_HPP

/**
 * fixture.hpp - a region with a pool, and peers: views of it that are participants of
 * their own, in this process (a second attachment) or in a child.
 */

#include <boost/test/unit_test.hpp>
#include <evering/evering.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace fixture
{

using namespace std::chrono_literals;

inline constexpr std::uint32_t small_count = 128; /* blocks of 64 bytes */
inline constexpr std::uint32_t large_count = 16;  /* blocks of 4096 bytes */

/* One participant, with all that a thread of it needs. */
struct peer {
	evering::region region;
	evering::pool pool;
	evering::agent agent;
};

inline peer create()
{
	peer made;
	made.region = evering::region::create({.bytes = 2 << 20, .participants = 8});
	made.pool = evering::pool::create(made.region, {{64, small_count},
							{4096, large_count}});
	made.agent = evering::agent(made.pool);
	return made;
}

inline peer attach(int fd)
{
	peer joined;
	joined.region = evering::region::attach(fd);
	joined.pool = evering::pool::open(joined.region);
	joined.agent = evering::agent(joined.pool);
	return joined;
}

/* How many blocks somebody has, the magazines of this peer not counted. */
inline std::uint32_t in_use(peer &of)
{
	of.agent.flush();
	return of.pool.blocks() - of.pool.free_count();
}

inline evering::deadline soon()
{
	return std::chrono::steady_clock::now() + 5s;
}

/* The code that a call throws; none if it does not. */
template <class Call> std::error_code thrown_by(Call &&call)
{
	try {
		std::forward<Call>(call)();
	} catch (const std::system_error &error) {
		return error.code();
	}
	return {};
}

/* Runs a child that attaches anew; its exit status: 0, or 1 after an exception, whose
 * text is printed. Nothing in it may unwind into the parent's objects. */
template <class Body> pid_t start_child(int fd, Body body)
{
	std::fflush(nullptr);
	pid_t child = fork();
	if (child != 0)
		return child;
	try {
		alarm(30);
		peer own = attach(fd);
		body(own);
	} catch (const std::exception &error) {
		std::fprintf(stderr, "in a child: %s\n", error.what());
		_exit(1);
	}
	_exit(0);
}

/* How a child ended, in words. */
inline std::string end_of(pid_t child)
{
	int status = 0;

	if (waitpid(child, &status, 0) != child)
		return "no such child";
	if (WIFSIGNALED(status))
		return "killed by signal " + std::to_string(WTERMSIG(status));
	return "exit " + std::to_string(WEXITSTATUS(status));
}

} // namespace fixture

#endif
