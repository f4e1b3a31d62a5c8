/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_UNIT_MEET_H
#define EVERING_TESTS_UNIT_MEET_H

/*
 * meet.h - a directory of one's own, a host (a child that listens there and accepts
 * everybody), and clients.
 */

#include "fixture.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SECOND_NS (1000 * MILLISECOND_NS)

/* What a host tells of itself; shared with it. */
struct host_board {
	char directory[64];
	char address[96];
	uint32_t ready;
	int32_t listen_error;
	uint32_t accepted;
	uint32_t refused;
	int32_t refused_error;
	char refused_reason[256];
	struct evr_peer peer; /* the latest */
	uint32_t peer_bytes;  /* of its region */
	struct evr_credentials refused_who;
};

#define GET(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define SET(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)

/* What the tests change of a host. */
struct host_start {
	struct host_board *board;
	struct evr_listen_options options;
	const char *names[4]; /* of regions; NULL ends; none: "" */
	bool with_bells;
	void (*before)(void);
	/* Instead of accepting for ever. */
	void (*act)(struct evr_listener *listener, struct host_board *board);
};

UNUSED static struct host_board *new_board_in(const char *parent)
{
	struct host_board *board = shared_memory(sizeof(*board));

	snprintf(board->directory, sizeof(board->directory), "%s/evr-unit-XXXXXX",
		 parent);
	cr_assert_neq(mkdtemp(board->directory), NULL);
	snprintf(board->address, sizeof(board->address), "%s/meet", board->directory);
	return board;
}

UNUSED static struct host_board *new_board(void)
{
	return new_board_in("/tmp");
}

/* For tests that look at the time: where no disk can stall, if there is such a place. */
UNUSED static struct host_board *new_board_in_memory(void)
{
	return new_board_in(access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
}

/* How many names there are in the directory. */
UNUSED static int names_in(const char *path)
{
	DIR *directory = opendir(path);
	int count = -2;

	if (!directory)
		return -1;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

UNUSED static void remove_board(struct host_board *board)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", board->directory);
	cr_assert_eq(system(command), 0);
}

UNUSED static void host_note_refused(void *context, const struct evr_credentials *who,
				     int error, const char *reason)
{
	struct host_board *board = context;

	board->refused_error = error;
	board->refused_who = *who;
	snprintf(board->refused_reason, sizeof(board->refused_reason), "%s", reason);
	SET(board->refused, board->refused + 1);
}

UNUSED static void host_accept_all(struct evr_listener *listener,
				   struct host_board *board)
{
	for (;;) {
		struct evr_peer peer;
		int error = evr_accept(listener, EVR_NEVER, &peer);

		if (error == -EINTR)
			continue;
		CHILD_MUST(error == 0);
		board->peer = peer;
		board->peer_bytes = (uint32_t)evr_region_bytes(peer.region);
		if (peer.bell_fd >= 0)
			CHILD_MUST(write(peer.bell_fd, &(uint64_t){ 7 }, 8) == 8);
		close(peer.bell_fd);
		close(peer.own_fd);
		SET(board->accepted, board->accepted + 1);
	}
}

UNUSED static struct evr_region *child_region_of(uint64_t bytes)
{
	struct evr_region_options options = { .size = sizeof(options), .bytes = bytes };
	struct evr_region *region = NULL;

	CHILD_MUST(evr_region_create(&options, &region) == 0);
	return region;
}

UNUSED static void host_run(void *argument)
{
	struct host_start *start = argument;
	struct host_board *board = start->board;
	struct evr_listener *listener = NULL;
	int i;

	if (start->before)
		start->before();
	start->options.size = sizeof(start->options);
	start->options.refused = host_note_refused;
	start->options.context = board;
	if (!start->options.address && !start->options.fd)
		start->options.address = board->address;
	board->listen_error = evr_listen(&start->options, &listener);
	if (board->listen_error < 0) {
		SET(board->ready, 1);
		return;
	}
	if (!start->names[0])
		start->names[0] = "";
	for (i = 0; i < 4 && start->names[i]; i++) {
		struct evr_region *region = child_region_of((uint64_t)(i + 1) << 20);

		CHILD_MUST((start->with_bells ? evr_listener_add_with_bells :
						evr_listener_add)(listener, region,
								  start->names[i]) == 0);
	}
	SET(board->ready, 1);
	(start->act ? start->act : host_accept_all)(listener, board);
}

UNUSED static pid_t start_host(struct host_start *start)
{
	pid_t host;

	SET(start->board->ready, 0);
	host = start_child(host_run, start);
	cr_assert(HOLDS_WITHIN(5000, GET(start->board->ready)), "the host did not start");
	return host;
}

UNUSED static pid_t plain_host(struct host_board *board)
{
	struct host_start start = { .board = board };
	pid_t host = start_host(&start);

	cr_assert_eq(board->listen_error, 0);
	return host;
}

UNUSED static int connect_within(const char *address, const char *name,
				 uint64_t milliseconds, struct evr_region **ret)
{
	struct evr_connect_options options = { .size = sizeof(options),
					       .address = address,
					       .name = name };

	return evr_connect(&options, now_ns() + milliseconds * MILLISECOND_NS, ret, NULL);
}

/* Connects and leaves; nothing may be left behind, or touched when it fails. */
UNUSED static int visit(const char *address, const char *name)
{
	struct evr_region *untouched = (struct evr_region *)0x5a5a;
	struct evr_region *region = untouched;
	int before = open_descriptors();
	int error = connect_within(address, name, 5000, &region);

	if (error == 0)
		evr_region_detach(region);
	else
		cr_assert_eq(region, untouched, "the result was touched");
	cr_assert_eq(open_descriptors(), before, "a descriptor was left behind");
	return error;
}

/* A bare connection, for one who does not keep to the rules. */
UNUSED static int raw_connect(const char *address)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	strcpy(name.sun_path, address);
	cr_assert_eq(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0, "%s",
		     strerror(errno));
	return fd;
}

UNUSED static int listen_at(const char *address, struct evr_listener **ret)
{
	struct evr_listen_options options = { .size = sizeof(options),
					      .address = address };

	return evr_listen(&options, ret);
}

#endif
