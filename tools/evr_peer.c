/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * evr-peer - one participant of a region, on the command line: for demonstrations, for
 * debugging, and for trials that kill and stop it from outside. See evr-peer --help.
 */

#include "evr_peer.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* No wait is longer, so that signals and the deadline are noticed. */
#define TICK_NS UINT64_C(20000000)

static volatile sig_atomic_t stop_wanted;
static volatile sig_atomic_t dump_wanted;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		dump_wanted = 1;
	else
		stop_wanted = 1;
}

static void listen_to_signals(void)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
	struct sigaction action = {.sa_handler = on_signal};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int peer_complain(const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "evr-peer: %s\n", text);
	return PEER_FAILED;
}

int peer_failed(const char *what, int error)
{
	const char *detail = evr_error_detail();

	return peer_complain("%s: %s%s%s%s", what, evr_strerror(error),
			     *detail ? " (" : "", detail, *detail ? ")" : "");
}

uint64_t peer_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Not continued after a signal: the caller looks what it wanted. */
void peer_sleep_ns(uint64_t duration_ns)
{
	struct timespec duration = {
		.tv_sec = (time_t)(duration_ns / UINT64_C(1000000000)),
		.tv_nsec = (long)(duration_ns % UINT64_C(1000000000)),
	};

	nanosleep(&duration, NULL);
}

bool peer_should_end(const struct peer *peer)
{
	if (dump_wanted) {
		dump_wanted = 0;
		int error = evr_region_dump(peer->region, STDERR_FILENO);
		if (error < 0)
			peer_failed("cannot dump the region", error);
	}
	return stop_wanted || peer_now_ns() >= peer->deadline_ns;
}

uint64_t peer_tick_ns(const struct peer *peer)
{
	uint64_t tick_ns = peer_now_ns() + TICK_NS;

	return tick_ns < peer->deadline_ns ? tick_ns : peer->deadline_ns;
}

int main(int argc, char **argv)
{
	struct peer_options options;
	struct peer peer = {.options = &options, .deadline_ns = EVR_NEVER};
	int status = peer_parse_options(argc, argv, &options);

	if (status >= 0)
		return status;

	/* A trial reads along, and must not lose a line when it kills us. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	listen_to_signals();
	if (options.deadline_s)
		peer.deadline_ns =
			peer_now_ns() + options.deadline_s * UINT64_C(1000000000);

	status = peer_meet(&peer);
	if (status == PEER_DONE) {
		printf("evr-peer %s pid=%d number=%u ready\n",
		       peer_role_names[options.role], (int)getpid(),
		       evr_region_number(peer.region));
		status = peer_run(&peer);
		/* Told to stop is as good as done; only the clock makes it late. */
		if (status == PEER_LATE && stop_wanted)
			status = PEER_DONE;
	}
	peer_leave(&peer);
	return status;
}
