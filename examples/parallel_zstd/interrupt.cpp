/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* interrupt.cpp - the only thing a signal handler does here is to set a flag. */

#include "interrupt.hpp"

#include "failure.hpp"

#include <csignal>

namespace parallel_zstd
{
namespace
{

volatile std::sig_atomic_t interrupted;

constexpr int remembered[] = {SIGINT, SIGTERM, SIGHUP};

void set_action(int number, void (*handler)(int))
{
	struct sigaction action = {};

	/* No SA_RESTART: a read() that waits has to return. */
	action.sa_handler = handler;
	sigaction(number, &action, nullptr);
}

} // namespace

void remember_interrupts()
{
	for (int number : remembered)
		set_action(number, [](int which) { interrupted = which; });
	set_action(SIGPIPE, SIG_IGN);
}

void forget_interrupts()
{
	set_action(SIGINT, SIG_IGN);
	set_action(SIGHUP, SIG_IGN);
	set_action(SIGTERM, SIG_DFL);
}

void check_interrupt()
{
	if (interrupted)
		throw failure(std::string("stopped by signal ") +
			      std::to_string(interrupted) + " (" +
			      strsignal(interrupted) +
			      "); nothing was written under "
			      "the name of the output");
}

} // namespace parallel_zstd
